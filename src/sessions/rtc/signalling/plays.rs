//! The streams played and waited for over one signalling socket: each play is a session of its own
//! with its own permit, actor and shard player, named by its stream id on this socket.

use std::sync::Arc;

use actix::prelude::*;
use actix_web_actors::ws;
use base::{ExitReason, StreamId, limits};
use media::Kind;
use rtc::AnswerError;
use security::{Access, Direction};
use streams::Ending;
use tokio::sync::watch;

use super::super::join::{Coming, Joined, join};
use super::super::message::{self, Play};
use super::super::refusal::Refusal;
use super::super::shards::{PlayerControl, TakeAnswerError};
use super::super::statistics::PlayProtocol;
use super::Signalling;
use crate::connections::OpenConnection;

/// One stream played over this socket.
pub(super) struct Playing {
    pub(super) ending: Ending,
    /// There once the shard has made its offer.
    pub(super) control: Option<PlayerControl>,
    pub(super) subscriber_id: Option<String>,
    /// Whether its newest offer has been answered.
    pub(super) answered: watch::Sender<bool>,
    /// The viewer ended it: it does not wait for the stream to come back.
    pub(super) stopped: bool,
    _open: OpenConnection,
    /// Held until media flows.
    pub(super) joining: Option<OpenConnection>,
}

impl Signalling {
    pub(super) fn play(&mut self, play: Play, ctx: &mut ws::WebsocketContext<Self>) {
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
            answered: watch::Sender::new(false),
            stopped: false,
            _open: open,
            joining: Some(joining),
        };
        self.plays.insert(stream.clone(), playing);
        let access = Access {
            can_pause: true,
            token: play.token,
            subscriber_id: play.subscriber_id,
            subscriber_code: play.subscriber_code,
            main_track: play.room,
            meta_data: Some(play.meta_data).filter(|text| !text.is_empty()),
            ..self.wish(&stream, Direction::Play)
        };
        let (started, starts) = tokio::sync::oneshot::channel();
        let coming = Coming { protocol: PlayProtocol::WebSocket, info: play.viewer_info };
        let join = join(Arc::clone(&self.context), access, coming, None, ending.clone(), started);
        let joining = stream.clone();
        let of_join = ending.clone();
        ctx.spawn(join.into_actor(self).map(move |joined, session, ctx| match joined {
            Ok(joined) => session.joined(&joining, &of_join, joined, ctx),
            Err(refusal) => session.not_joined(&joining, &of_join, &refusal, ctx),
        }));
        let (soon, of_soon) = (stream.clone(), ending.clone());
        ctx.run_later(limits::STARTS_SOON_AFTER, move |session, ctx| {
            let joins = |playing: &&Playing| playing.ending.is(&of_soon) && playing.control.is_none();
            if session.plays.get(&soon).filter(joins).is_some() {
                session.send(&message::notification("streaming_starts_soon", soon.as_str()), ctx);
            }
        });
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
            &message::offer(
                stream.as_str(),
                &joined.description.sdp,
                &joined.description.id_mapping,
                subscriber,
            ),
            ctx,
        );
        for (label, mid, line) in &joined.description.candidates {
            self.send(&message::candidate(stream.as_str(), *label, mid, line, subscriber), ctx);
        }
        self.follow(stream, &ending, joined.follow, ctx);
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

    pub(super) fn stop_waiting(&mut self, stream: &StreamId, ctx: &mut ws::WebsocketContext<Self>) {
        if let Some(waiting) = self.waits.remove(stream) {
            ctx.cancel_future(waiting);
        }
    }

    pub(super) fn stop_playing(&mut self, stream: &StreamId, ctx: &mut ws::WebsocketContext<Self>) {
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

    pub(super) fn take_configuration(
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
                if outcome.is_ok()
                    && let Some(playing) = session.plays.get(&stream)
                    && playing.ending.is(&ending)
                {
                    playing.answered.send_replace(true);
                }
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

    pub(super) fn enable(
        &mut self,
        stream: &StreamId,
        kind: Kind,
        enabled: bool,
        ctx: &mut ws::WebsocketContext<Self>,
    ) {
        let control = self.plays.get(stream).and_then(|playing| playing.control.as_ref());
        if control.is_some_and(|control| !control.enable(kind, enabled)) {
            self.refuse(stream, &Refusal::no_room("commands of the shard"), ctx);
        }
    }
}
