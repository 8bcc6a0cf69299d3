//! One signalling WebSocket: AMS's messages.
//!
//! This file has the socket: its messages, its bounds, its end. [`plays`] has the streams played over it, [`changes`] what
//! happens when they change, [`publishes`] the streams published over it.

mod changes;
mod plays;
mod publishes;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_web_actors::ws;
use base::{AppName, ExitReason, PeerAddr, SessionId, StreamId, limits};
use config::AppSettings;
use media::Kind;
use observe::metric;
use security::{Access, Came, Direction};
use serde_json::Value;

use super::PROTOCOL;
use super::context::SignallingContext;
use super::info::rendition;
use super::message::{self, Request, RequestError};
use super::refusal::Refusal;
use crate::Upgraded;
use crate::connections::OpenConnection;
use plays::Playing;
use publishes::Publishing;

/// How often the socket is checked and its peer pinged.
const CHECK: Duration = Duration::from_secs(5);
/// A ping is also sent after this many messages, to learn whether the peer reads.
const PING_EVERY_MESSAGES: usize = 64;

/// The actor of one socket.
pub struct Signalling {
    context: Arc<SignallingContext>,
    app: AppName,
    peer: PeerAddr,
    id: SessionId,
    /// What the client calls itself.
    user_agent: String,
    came: Came,
    plays: BTreeMap<StreamId, Playing>,
    publishes: BTreeMap<StreamId, Publishing>,
    /// Publishes begun so far.
    published: u64,
    /// Streams waited for, and what waits.
    waits: BTreeMap<StreamId, SpawnHandle>,
    text: String,
    heard: Instant,
    /// Messages the peer may still send in this check interval.
    budget: u32,
    sent: usize,
    /// What `sent` was at the pings under way, oldest first; and at the newest that came back.
    pings: VecDeque<(u32, usize)>,
    ping: u32,
    read_by_peer: usize,
    closed: bool,
    /// Messages that were no requests; the first is logged.
    malformed: u64,
    _open: OpenConnection,
    _upgraded: Option<Upgraded>,
}

impl Signalling {
    /// A socket that was just accepted.
    pub fn new(
        context: Arc<SignallingContext>,
        app: AppName,
        peer: PeerAddr,
        user_agent: String,
        came: Came,
        open: OpenConnection,
        upgraded: Option<Upgraded>,
    ) -> Self {
        let id = SessionId::random(&*context.randomness);
        let heard = context.clock.now();
        metric::signalling_sockets().increment(1.0);
        Self {
            context,
            app,
            peer,
            id,
            user_agent,
            came,
            plays: BTreeMap::new(),
            publishes: BTreeMap::new(),
            published: 0,
            waits: BTreeMap::new(),
            text: String::new(),
            heard,
            budget: budget(),
            sent: 0,
            pings: VecDeque::new(),
            ping: 0,
            read_by_peer: 0,
            closed: false,
            malformed: 0,
            _open: open,
            _upgraded: upgraded,
        }
    }

    /// A wish of this socket, without the credentials of its message.
    fn wish(&self, stream: &StreamId, direction: Direction) -> Access {
        let session = SessionId::random(&*self.context.randomness);
        let (app, stream) = (self.app.clone(), stream.as_str());
        let wish = Access::new(app, stream, direction, PROTOCOL, self.peer, session);
        Access { presenter: self.id, came: self.came.clone(), ..wish }
    }

    fn settings(&self) -> Option<Arc<AppSettings>> {
        self.context.settings.snapshot(&self.app)
    }

    /// Sends one message; a peer that has not read the last ones is dropped instead.
    fn send(&mut self, message: &Value, ctx: &mut ws::WebsocketContext<Self>) {
        if self.takes_one_more(ctx) {
            ctx.text(message.to_string());
            self.sent_one(ctx);
        }
    }

    /// Whether the peer has read enough of what it was sent to be sent more; else it is dropped.
    fn takes_one_more(&mut self, ctx: &mut ws::WebsocketContext<Self>) -> bool {
        if self.sent - self.read_by_peer >= limits::SIGNALLING_SEND_QUEUE_MAX {
            self.close(ExitReason::TooSlow, ctx);
        }
        !self.closed
    }

    fn sent_one(&mut self, ctx: &mut ws::WebsocketContext<Self>) {
        self.sent += 1;
        if self.sent.is_multiple_of(PING_EVERY_MESSAGES) {
            self.ping(ctx);
        }
    }

    fn ping(&mut self, ctx: &mut ws::WebsocketContext<Self>) {
        if self.pings.len() >= limits::SIGNALLING_PINGS_UNANSWERED_MAX {
            self.close(ExitReason::TooSlow, ctx);
            return;
        }
        self.ping = self.ping.wrapping_add(1);
        self.pings.push_back((self.ping, self.sent));
        ctx.ping(&self.ping.to_be_bytes());
    }

    /// Drops a peer that broke a rule.
    fn close(&mut self, reason: ExitReason, ctx: &mut ws::WebsocketContext<Self>) {
        if self.shut(reason, ws::CloseCode::Policy, ctx) {
            tracing::info!(app = %self.app, socket = %self.id, peer = %self.peer, %reason, "signalling socket closed");
            metric::signalling_refused(reason.label()).increment(1);
        }
    }

    /// Ends every play and the socket; `false` when that was done before.
    fn shut(
        &mut self,
        reason: ExitReason,
        code: ws::CloseCode,
        ctx: &mut ws::WebsocketContext<Self>,
    ) -> bool {
        if std::mem::replace(&mut self.closed, true) {
            return false;
        }
        for playing in self.plays.values() {
            playing.ending.end(reason);
        }
        for publishing in self.publishes.values() {
            publishing.end(reason);
        }
        ctx.close(Some(ws::CloseReason { code, description: Some(reason.label().into()) }));
        ctx.stop();
        true
    }

    fn check(&mut self, ctx: &mut ws::WebsocketContext<Self>) {
        self.budget = budget();
        if self.context.clock.now().duration_since(self.heard) > limits::SIGNALLING_SILENCE_MAX {
            self.close(ExitReason::TimedOut, ctx);
        } else {
            self.ping(ctx);
        }
    }

    fn receive(&mut self, text: &str, ctx: &mut ws::WebsocketContext<Self>) {
        metric::signalling_messages().increment(1);
        if self.settings().is_none() {
            self.send(&message::error("not_initialized_yet"), ctx);
            return;
        }
        match Request::read(text) {
            Ok(request) => self.serve(request, ctx),
            Err(RequestError::Malformed) => {
                self.malformed += 1;
                if self.malformed == 1 {
                    tracing::info!(socket = %self.id, peer = %self.peer, "a signalling message was no JSON object with a command");
                }
            }
            Err(RequestError::NoStreamName) => self.send(&message::error("noStreamNameSpecified"), ctx),
            Err(RequestError::InvalidStreamName(name)) => {
                self.send(&message::stream_error("invalidStreamName", &name), ctx);
            }
        }
    }

    fn serve(&mut self, request: Request, ctx: &mut ws::WebsocketContext<Self>) {
        match request {
            Request::Ping => self.send(&message::pong(), ctx),
            Request::GetIceServerConfig => {
                if let Some(settings) = self.settings() {
                    let reply = message::ice_server_config(
                        settings.stun_server_uri(),
                        settings.turn_server_username(),
                        settings.turn_server_credential().expose(),
                    );
                    self.send(&reply, ctx);
                }
            }
            Request::Play(play) => self.play(play, ctx),
            Request::TakeConfiguration { stream, kind, sdp } if kind == "offer" => {
                self.take_offer(stream, sdp, ctx);
            }
            Request::TakeConfiguration { stream, kind, sdp } => {
                self.take_configuration(stream, &kind, sdp, ctx);
            }
            // The client's checks reach this node by themselves: it is ICE-lite.
            Request::TakeCandidate { .. } | Request::Unknown => {}
            Request::Stop(stream) => {
                self.stop_waiting(&stream, ctx);
                self.stop_playing(&stream, ctx);
                self.stop_publishing(&stream, ctx);
            }
            Request::GetStreamInfo(stream) => self.stream_info(stream, ctx),
            Request::GetBroadcastObject(stream) => self.broadcast_object(stream, ctx),
            Request::ToggleVideo(stream, enabled) => self.enable(&stream, Kind::Video, enabled, ctx),
            Request::ToggleAudio(stream, enabled) => self.enable(&stream, Kind::Audio, enabled, ctx),
            Request::Publish(publish) => self.publish(publish, ctx),
            Request::UpdateStreamMetaData(stream, meta_data) => self.update_meta_data(stream, meta_data, ctx),
        }
    }

    fn refuse(&mut self, stream: &StreamId, refusal: &Refusal, ctx: &mut ws::WebsocketContext<Self>) {
        metric::signalling_refused(refusal.definition).increment(1);
        let reply = match refusal.information.as_deref() {
            Some(information) if refusal.definition == "no_stream_exist" => {
                message::no_stream_exist(stream.as_str(), information)
            }
            Some(information) => message::explained_error(refusal.definition, stream.as_str(), information),
            None => message::stream_error(refusal.definition, stream.as_str()),
        };
        self.send(&reply, ctx);
    }

    fn stream_info(&mut self, stream: StreamId, ctx: &mut ws::WebsocketContext<Self>) {
        let (applications, app, id) = (self.context.applications.clone(), self.app.clone(), stream.clone());
        ctx.spawn(async move { applications.find(&app, &id).await }.into_actor(self).map(
            move |live, session, ctx| match live {
                Some(live) => {
                    let info = message::stream_information(stream.as_str(), &[rendition(&live.media)]);
                    session.send(&info, ctx);
                }
                None => session.refuse(&stream, &Refusal::not_live(), ctx),
            },
        ));
    }

    fn broadcast_object(&mut self, stream: StreamId, ctx: &mut ws::WebsocketContext<Self>) {
        let (broadcasts, app, id) = (self.context.broadcasts.clone(), self.app.clone(), stream.clone());
        ctx.spawn(async move { broadcasts.get(&app, &id).await }.into_actor(self).map(
            move |broadcast, session, ctx| match broadcast {
                Ok(Some(broadcast)) => match serde_json::to_string(&broadcast.for_viewers()) {
                    Ok(text) => session.send(&message::broadcast_object(stream.as_str(), &text), ctx),
                    Err(error) => {
                        tracing::error!(%stream, %error, "a broadcast could not be written as JSON");
                        session.refuse(&stream, &Refusal::new("server_error_check_logs"), ctx);
                    }
                },
                Ok(None) => session.refuse(&stream, &Refusal::not_live(), ctx),
                Err(error) => {
                    tracing::warn!(%stream, %error, "a broadcast could not be read");
                    session.refuse(&stream, &Refusal::new("data_store_not_available"), ctx);
                }
            },
        ));
    }
}

fn budget() -> u32 {
    limits::SIGNALLING_MESSAGES_PER_SECOND_MAX.saturating_mul(u32::try_from(CHECK.as_secs()).unwrap_or(1))
}

impl Actor for Signalling {
    type Context = ws::WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(limits::SIGNALLING_SEND_QUEUE_MAX);
        ctx.run_interval(CHECK, Self::check);
        let mut draining = self.context.draining.clone();
        let stops = async move { draining.wait_for(|draining| *draining).await.is_ok() };
        ctx.spawn(stops.into_actor(self).map(|stops, session, ctx| {
            if stops {
                session.send(&message::server_will_stop(), ctx);
                session.shut(ExitReason::Draining, ws::CloseCode::Away, ctx);
            }
        }));
    }
}

impl Drop for Signalling {
    fn drop(&mut self) {
        metric::signalling_sockets().decrement(1.0);
        for playing in self.plays.values() {
            playing.ending.end(ExitReason::PeerClosed);
        }
        for publishing in self.publishes.values() {
            publishing.end(ExitReason::PeerClosed);
        }
    }
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for Signalling {
    fn handle(&mut self, message: Result<ws::Message, ws::ProtocolError>, ctx: &mut Self::Context) {
        if self.closed {
            return;
        }
        self.heard = self.context.clock.now();
        // Every frame counts, whatever it is.
        match self.budget.checked_sub(1) {
            Some(left) => self.budget = left,
            None => return self.close(ExitReason::LimitExceeded, ctx),
        }
        match message {
            Ok(ws::Message::Text(text)) => self.receive(&text, ctx),
            Ok(ws::Message::Continuation(item)) => self.continuation(item, ctx),
            Ok(ws::Message::Ping(bytes)) => {
                if self.takes_one_more(ctx) {
                    ctx.pong(&bytes);
                    self.sent_one(ctx);
                }
            }
            // Only the answer to the oldest ping says what was read: a pong can be sent unasked.
            Ok(ws::Message::Pong(bytes)) => {
                if let Some((ping, sent)) = self.pings.front().copied()
                    && bytes[..] == ping.to_be_bytes()
                {
                    self.pings.pop_front();
                    self.read_by_peer = sent;
                }
            }
            Ok(ws::Message::Close(reason)) => {
                ctx.close(reason);
                ctx.stop();
            }
            // AMS's signalling is text; a binary frame means nothing.
            Ok(ws::Message::Binary(_) | ws::Message::Nop) => {}
            Err(ws::ProtocolError::Io(_)) => {
                self.shut(ExitReason::PeerClosed, ws::CloseCode::Normal, ctx);
            }
            Err(error) => {
                tracing::info!(socket = %self.id, peer = %self.peer, %error, "a signalling socket broke its protocol");
                self.close(ExitReason::ProtocolError, ctx);
            }
        }
    }
}

impl Signalling {
    fn continuation(&mut self, item: actix_http::ws::Item, ctx: &mut ws::WebsocketContext<Self>) {
        use actix_http::ws::Item;
        let (bytes, last) = match item {
            Item::FirstText(bytes) => {
                self.text.clear();
                (bytes, false)
            }
            Item::Continue(bytes) => (bytes, false),
            Item::Last(bytes) => (bytes, true),
            Item::FirstBinary(_) => return,
        };
        // Fragments may cut a character in two; such a text is malformed later, never unbounded.
        self.text.push_str(&String::from_utf8_lossy(&bytes));
        if self.text.len() > limits::SIGNALLING_MESSAGE_BYTES_MAX {
            self.close(ExitReason::LimitExceeded, ctx);
        } else if last {
            let text = std::mem::take(&mut self.text);
            self.receive(&text, ctx);
        }
    }
}
