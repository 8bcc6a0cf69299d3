//! One signalling WebSocket: AMS's messages, the play half.
//!
//! The actor is this file's one state machine. It holds no media; each play is a session of its own
//! with its own permit, actor and shard player, named by its stream id on this socket.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_web_actors::ws;
use base::{AppName, ExitReason, PeerAddr, SessionId, StreamId, limits};
use config::AppSettings;
use media::Kind;
use observe::metric;
use rtc::AnswerError;
use security::{Access, Direction};
use serde_json::Value;
use streams::Ending;

use super::context::SignallingContext;
use super::info::rendition;
use super::join::{Joined, join};
use super::message::{self, Play, Request, RequestError};
use super::refusal::Refusal;
use super::shards::{PlayerControl, TakeAnswerError};
use crate::connections::OpenConnection;

/// How often the socket is checked and its peer pinged.
const CHECK: Duration = Duration::from_secs(5);
/// A ping is also sent after this many messages, to learn whether the peer reads.
const PING_EVERY_MESSAGES: usize = 64;

/// One stream played over this socket.
struct Playing {
    ending: Ending,
    /// There once the shard has made its offer.
    control: Option<PlayerControl>,
    subscriber_id: Option<String>,
    /// The viewer ended it: it does not wait for the stream to come back.
    stopped: bool,
    _open: OpenConnection,
    /// Held until media flows.
    joining: Option<OpenConnection>,
}

/// The actor of one socket.
pub struct Signalling {
    context: Arc<SignallingContext>,
    app: AppName,
    peer: PeerAddr,
    id: SessionId,
    plays: BTreeMap<StreamId, Playing>,
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
}

impl Signalling {
    /// A socket that was just accepted.
    pub fn new(context: Arc<SignallingContext>, app: AppName, peer: PeerAddr, open: OpenConnection) -> Self {
        let id = SessionId::random(&*context.randomness);
        let heard = context.clock.now();
        metric::signalling_sockets().increment(1.0);
        Self {
            context,
            app,
            peer,
            id,
            plays: BTreeMap::new(),
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
        }
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
            Request::TakeConfiguration { stream, kind, sdp } => {
                self.take_configuration(stream, &kind, sdp, ctx)
            }
            // The client's checks reach this node by themselves: it is ICE-lite.
            Request::TakeCandidate { .. } | Request::Unknown => {}
            Request::Stop(stream) => {
                self.stop_waiting(&stream, ctx);
                self.stop_playing(&stream, ctx);
            }
            Request::GetStreamInfo(stream) => self.stream_info(stream, ctx),
            Request::GetBroadcastObject(stream) => self.broadcast_object(stream, ctx),
            Request::ToggleVideo(stream, enabled) => self.enable(&stream, Kind::Video, enabled, ctx),
            Request::ToggleAudio(stream, enabled) => self.enable(&stream, Kind::Audio, enabled, ctx),
            Request::Publish(stream) => {
                let words = "this version does not take WebRTC publishers yet: publish the stream by RTMP";
                self.send(&message::explained_error("server_error_check_logs", stream.as_str(), words), ctx);
            }
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

    fn play(&mut self, play: Play, ctx: &mut ws::WebsocketContext<Self>) {
        let stream = play.stream.clone();
        if let Some(playing) = self.plays.get(&stream) {
            if self.settings().is_none_or(|settings| settings.play_webrtc_stream_once_for_each_session()) {
                self.refuse(&stream, &Refusal::new("already_playing"), ctx);
                return;
            }
            // The same stream may be played again: the newer one takes the name on this socket.
            playing.ending.end(ExitReason::Replaced);
            self.plays.remove(&stream);
        }
        let room = if self.plays.len() >= limits::PLAYS_PER_SOCKET_MAX {
            Err("plays of the socket")
        } else {
            let plays = self.context.plays.open(self.peer).map_err(|_| "players of the address");
            plays.and_then(|open| {
                let joins = self.context.joins.open(self.peer).map_err(|_| "joins of the address");
                joins.map(|joining| (open, joining))
            })
        };
        let (open, joining) = match room {
            Ok(room) => room,
            Err(limit) => {
                self.refuse(&stream, &Refusal::no_room(limit), ctx);
                return;
            }
        };
        self.stop_waiting(&stream, ctx);
        let ending = Ending::new();
        let subscriber_id = play.subscriber_id.clone();
        let playing = Playing {
            ending: ending.clone(),
            control: None,
            subscriber_id,
            stopped: false,
            _open: open,
            joining: Some(joining),
        };
        self.plays.insert(stream.clone(), playing);
        let access = Access {
            app: self.app.clone(),
            stream: stream.as_str().to_owned(),
            direction: Direction::Play,
            peer: self.peer,
            token: play.token,
            subscriber_id: play.subscriber_id,
            subscriber_code: play.subscriber_code,
            session: SessionId::random(&*self.context.randomness),
            main_track: None,
        };
        let (started, starts) = tokio::sync::oneshot::channel();
        let join = join(Arc::clone(&self.context), access, ending.clone(), started);
        let joining = stream.clone();
        let of_join = ending.clone();
        ctx.spawn(join.into_actor(self).map(move |joined, session, ctx| match joined {
            Ok(joined) => session.joined(&joining, &of_join, joined, ctx),
            Err(refusal) => session.not_joined(&joining, &of_join, &refusal, ctx),
        }));
        let (starting, of_start) = (stream.clone(), ending);
        ctx.spawn(starts.into_actor(self).map(move |started, session, ctx| {
            if started.is_ok()
                && let Some(playing) = session.plays.get_mut(&starting)
                && playing.ending.is(&of_start)
            {
                playing.joining = None;
                let subscriber = playing.subscriber_id.clone();
                let note = message::subscriber_notification(
                    "play_started",
                    starting.as_str(),
                    subscriber.as_deref(),
                );
                session.send(&note, ctx);
            }
        }));
    }

    fn joined(
        &mut self,
        stream: &StreamId,
        ending: &Ending,
        joined: Joined,
        ctx: &mut ws::WebsocketContext<Self>,
    ) {
        let Some(playing) = self.plays.get_mut(stream).filter(|playing| playing.ending.is(ending)) else {
            // The join outlived its session.
            ending.end(ExitReason::Finished);
            return;
        };
        if ending.reason().is_some() {
            // The stream ended in the middle of the join.
            self.plays.remove(stream);
            self.wait(stream, ctx);
            self.refuse(stream, &Refusal::not_live(), ctx);
            return;
        }
        playing.control = Some(joined.control);
        let ending = playing.ending.clone();
        let subscriber = playing.subscriber_id.clone();
        let subscriber = subscriber.as_deref();
        self.send(
            &message::offer(stream.as_str(), &joined.offer.sdp, &joined.offer.id_mapping, subscriber),
            ctx,
        );
        for (label, mid, line) in &joined.offer.candidates {
            self.send(&message::candidate(stream.as_str(), *label, mid, line, subscriber), ctx);
        }
        let (outdated, of_player) = (joined.outdated, ending.clone());
        let goes_stale = async move {
            tokio::select! {
                () = outdated => { of_player.end(ExitReason::CodecChanged); }
                _ = of_player.ended() => {}
            }
        };
        ctx.spawn(goes_stale.into_actor(self));
        let (stream, ended) = (stream.clone(), ending.clone());
        ctx.spawn(async move { ending.ended().await }.into_actor(self).map(move |reason, session, ctx| {
            session.play_ended(&stream, &ended, reason, ctx);
        }));
    }

    fn not_joined(
        &mut self,
        stream: &StreamId,
        ending: &Ending,
        refusal: &Refusal,
        ctx: &mut ws::WebsocketContext<Self>,
    ) {
        ending.end(ExitReason::Denied);
        if self.plays.get(stream).is_none_or(|playing| !playing.ending.is(ending)) {
            return;
        }
        self.plays.remove(stream);
        if refusal.wait {
            self.wait(stream, ctx);
        }
        self.refuse(stream, refusal, ctx);
    }

    fn play_ended(
        &mut self,
        stream: &StreamId,
        ended: &Ending,
        reason: ExitReason,
        ctx: &mut ws::WebsocketContext<Self>,
    ) {
        // Another play of the same stream may have taken the name meanwhile.
        if self.plays.get(stream).is_none_or(|playing| !playing.ending.is(ended)) {
            return;
        }
        let Some(playing) = self.plays.remove(stream) else { return };
        let subscriber = playing.subscriber_id.as_deref();
        self.send(&message::play_finished(stream.as_str(), subscriber, reason.label()), ctx);
        // The stream may come back: whoever watched it is told, as who came too early is.
        let stream_is_gone =
            matches!(reason, ExitReason::Finished | ExitReason::StreamEnded | ExitReason::CodecChanged);
        if stream_is_gone && !playing.stopped {
            self.wait(stream, ctx);
        }
    }

    /// Tells this socket when the stream begins.
    fn wait(&mut self, stream: &StreamId, ctx: &mut ws::WebsocketContext<Self>) {
        if self.waits.len() >= limits::WAITS_PER_SOCKET_MAX || self.waits.contains_key(stream) {
            return;
        }
        let (applications, app, id) = (self.context.applications.clone(), self.app.clone(), stream.clone());
        let begins = async move {
            let Some(mut began) = applications.wait(&app, &id).await else { return false };
            began.wait_for(|began| *began).await.is_ok()
        };
        let awaited = stream.clone();
        let waiting = ctx.spawn(begins.into_actor(self).map(move |began, session, ctx| {
            if session.waits.remove(&awaited).is_some() && began {
                session.send(&message::notification("streaming_started", awaited.as_str()), ctx);
            }
        }));
        self.waits.insert(stream.clone(), waiting);
    }

    fn stop_waiting(&mut self, stream: &StreamId, ctx: &mut ws::WebsocketContext<Self>) {
        if let Some(waiting) = self.waits.remove(stream) {
            ctx.cancel_future(waiting);
        }
    }

    fn stop_playing(&mut self, stream: &StreamId, ctx: &mut ws::WebsocketContext<Self>) {
        let Some(playing) = self.plays.get_mut(stream) else { return };
        playing.stopped = true;
        playing.ending.end(ExitReason::Finished);
        if playing.control.is_some() {
            return;
        }
        // Its offer is still under way, and must not be sent any more.
        let subscriber = self.plays.remove(stream).and_then(|playing| playing.subscriber_id);
        let reason = ExitReason::Finished.label();
        self.send(&message::play_finished(stream.as_str(), subscriber.as_deref(), reason), ctx);
    }

    fn take_configuration(
        &mut self,
        stream: StreamId,
        kind: &str,
        sdp: String,
        ctx: &mut ws::WebsocketContext<Self>,
    ) {
        let playing = self
            .plays
            .get(&stream)
            .and_then(|playing| Some((playing.control.clone()?, playing.ending.clone())));
        let Some((control, ending)) = playing else {
            // AMS ignores a configuration for a session it does not have.
            tracing::debug!(socket = %self.id, %stream, "a configuration came for a stream that is not played here");
            return;
        };
        if kind != "answer" {
            self.refuse(&stream, &Refusal::new("notSetRemoteDescription"), ctx);
            return;
        }
        ctx.spawn(async move { control.answer(sdp).await }.into_actor(self).map(
            move |outcome, session, ctx| {
                if let Err(error) = outcome {
                    tracing::info!(socket = %session.id, %stream, %error, "an answer was refused");
                    session.refuse(&stream, &Refusal::new("notSetRemoteDescription"), ctx);
                    // The offer was answered before, or can be answered again: only a wrong answer ends it.
                    if !matches!(
                        error,
                        TakeAnswerError::Overloaded | TakeAnswerError::Answer(AnswerError::AlreadyAnswered)
                    ) {
                        ending.end(ExitReason::ProtocolError);
                    }
                }
            },
        ));
    }

    fn enable(&mut self, stream: &StreamId, kind: Kind, enabled: bool, ctx: &mut ws::WebsocketContext<Self>) {
        let control = self.plays.get(stream).and_then(|playing| playing.control.as_ref());
        if control.is_some_and(|control| !control.enable(kind, enabled)) {
            self.refuse(stream, &Refusal::new("highResourceUsage"), ctx);
        }
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
