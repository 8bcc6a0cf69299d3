//! The streams published over one signalling socket: each is a session of its own with its own permit and connection,
//! named by its stream id on this socket.

use std::sync::Arc;

use actix::prelude::*;
use actix_web_actors::ws;
use base::{ExitReason, StreamId, limits};
use cluster_model::{BroadcastPatch, MetaError};
use security::{Access, Direction};
use serde_json::json;
use streams::{Ending, PublisherFacts};

use super::super::message::{self, Publish};
use super::super::publish::{self, Answer, NoAnswer, Publisher, PublisherControl, Started};
use super::super::refusal::Refusal;
use super::Signalling;

/// One stream published over this socket.
pub(super) struct Publishing {
    /// There once the publisher is in.
    publisher: Option<In>,
    /// Counts the publishes of this socket: an answer to an earlier one of the same name is not taken for this one's.
    number: u64,
    subscriber_id: Option<String>,
    /// Players may come, and the publisher was told.
    started: bool,
}

struct In {
    ending: Ending,
    control: PublisherControl,
}

impl Publishing {
    /// Ends it, if it has begun.
    pub(super) fn end(&self, reason: ExitReason) {
        if let Some(publisher) = &self.publisher {
            publisher.ending.end(reason);
        }
    }
}

impl Signalling {
    pub(super) fn publish(&mut self, publish: Publish, ctx: &mut ws::WebsocketContext<Self>) {
        let stream = publish.stream;
        if self.publishes.contains_key(&stream) {
            self.refuse(&stream, &Refusal::new("already_publishing"), ctx);
            return;
        }
        if self.publishes.len() >= limits::PUBLISHES_PER_SOCKET_MAX {
            self.refuse(&stream, &Refusal::new("highResourceUsage"), ctx);
            return;
        }
        self.published += 1;
        let number = self.published;
        let subscriber_id = publish.subscriber_id.clone();
        let publishing = Publishing { publisher: None, number, subscriber_id, started: false };
        self.publishes.insert(stream.clone(), publishing);
        let access = Access {
            meta_data: Some(publish.meta_data.clone()).filter(|text| !text.is_empty()),
            token: publish.token,
            subscriber_id: publish.subscriber_id,
            subscriber_code: publish.subscriber_code,
            main_track: publish.main_track,
            ..self.wish(&stream, Direction::Publish)
        };
        let facts = PublisherFacts {
            user_agent: self.user_agent.clone(),
            name: publish.name,
            meta_data: publish.meta_data,
            ..PublisherFacts::default()
        };
        let context = Arc::clone(&self.context);
        let beginning = async move { publish::begin(&context, access, facts).await };
        ctx.spawn(beginning.into_actor(self).map(move |begun, session, ctx| match begun {
            Ok(publisher) => session.publisher_is_in(&stream, number, publisher, ctx),
            Err(refusal) => {
                if session.publishing(&stream, number).is_some() {
                    session.publishes.remove(&stream);
                    session.refuse(&stream, &refusal, ctx);
                }
            }
        }));
    }

    fn publishing(&mut self, stream: &StreamId, number: u64) -> Option<&mut Publishing> {
        self.publishes.get_mut(stream).filter(|publishing| publishing.number == number)
    }

    fn publisher_is_in(
        &mut self,
        stream: &StreamId,
        number: u64,
        publisher: Publisher,
        ctx: &mut ws::WebsocketContext<Self>,
    ) {
        let Publisher { ending, started, control } = publisher;
        let Some(publishing) = self.publishing(stream, number) else {
            // It was stopped meanwhile.
            ending.end(ExitReason::Finished);
            return;
        };
        publishing.publisher = Some(In { ending: ending.clone(), control });
        let start = message::start(stream.as_str(), publishing.subscriber_id.as_deref());
        self.send(&start, ctx);
        let of_start = stream.clone();
        ctx.spawn(started.into_actor(self).map(move |started, session, ctx| {
            if let Ok(started) = started {
                session.publish_started(&of_start, number, started, ctx);
            }
        }));
        let of_end = stream.clone();
        ctx.spawn(async move { ending.ended().await }.into_actor(self).map(move |reason, session, ctx| {
            session.publish_ended(&of_end, number, reason, ctx);
        }));
    }

    fn publish_started(
        &mut self,
        stream: &StreamId,
        number: u64,
        started: Started,
        ctx: &mut ws::WebsocketContext<Self>,
    ) {
        let Some(publishing) = self.publishing(stream, number) else { return };
        publishing.started = true;
        let subscriber = publishing.subscriber_id.clone();
        let note =
            message::subscriber_notification("publish_started", stream.as_str(), subscriber.as_deref());
        self.send(&note, ctx);
        if started.goes_on {
            self.send(&message::notification("session_restored", stream.as_str()), ctx);
        }
    }

    fn publish_ended(
        &mut self,
        stream: &StreamId,
        number: u64,
        reason: ExitReason,
        ctx: &mut ws::WebsocketContext<Self>,
    ) {
        if self.publishing(stream, number).is_none() {
            return;
        }
        let Some(publishing) = self.publishes.remove(stream) else { return };
        if reason == ExitReason::TimedOut {
            let definition =
                if publishing.started { "noPacketReceivedForTimeoutDuration" } else { "publishTimeoutError" };
            self.refuse(stream, &Refusal::new(definition), ctx);
            if !publishing.started {
                return;
            }
        }
        let subscriber = publishing.subscriber_id.as_deref();
        self.send(&message::publish_finished(stream.as_str(), subscriber, reason.label()), ctx);
    }

    pub(super) fn stop_publishing(&mut self, stream: &StreamId, ctx: &mut ws::WebsocketContext<Self>) {
        let Some(publishing) = self.publishes.get(stream) else { return };
        if publishing.publisher.is_some() {
            publishing.end(ExitReason::Finished);
            return;
        }
        // It is still being let in, and leaves as soon as it is.
        let subscriber = self.publishes.remove(stream).and_then(|publishing| publishing.subscriber_id);
        let reason = ExitReason::Finished.label();
        self.send(&message::publish_finished(stream.as_str(), subscriber.as_deref(), reason), ctx);
    }

    /// What is said of a stream while it is live. Only its publisher may, and it is told nothing where it was stored, as in
    /// AMS.
    pub(super) fn update_meta_data(
        &mut self,
        stream: StreamId,
        meta_data: String,
        ctx: &mut ws::WebsocketContext<Self>,
    ) {
        let number = match self.publishes.get(&stream) {
            Some(publishing) if publishing.publisher.is_some() => publishing.number,
            _ => {
                let why = "metaData is updated by the stream's publisher, over the socket it publishes with";
                self.refuse(&stream, &Refusal::explained("unauthorized_access", why.to_owned()), ctx);
                return;
            }
        };
        let patch = match BroadcastPatch::read(json!({ "metaData": meta_data })) {
            Ok(patch) => patch,
            Err(error) => {
                tracing::error!(%stream, %error, "no patch could be made of metaData");
                self.refuse(&stream, &Refusal::new("server_error_check_logs"), ctx);
                return;
            }
        };
        let (broadcasts, app, id) = (self.context.broadcasts.clone(), self.app.clone(), stream.clone());
        ctx.spawn(async move { broadcasts.patch(&app, &id, patch).await }.into_actor(self).map(
            move |patched, session, ctx| {
                let refusal = match patched {
                    Ok(true) => return,
                    // Its end is told otherwise.
                    Ok(false) if session.publishing(&stream, number).is_none() => return,
                    Ok(false) => Refusal::not_live(),
                    Err(MetaError::Refused(_)) => Refusal::broadcast_too_large(),
                    Err(error) => {
                        tracing::warn!(%stream, %error, "a stream's metaData could not be stored");
                        Refusal::new("data_store_not_available")
                    }
                };
                session.refuse(&stream, &refusal, ctx);
            },
        ));
    }

    /// An offer is a publisher's.
    pub(super) fn take_offer(&mut self, stream: StreamId, sdp: String, ctx: &mut ws::WebsocketContext<Self>) {
        let publisher = self.publishes.get(&stream).and_then(|publishing| {
            let publisher = publishing.publisher.as_ref()?;
            Some((publishing.number, publisher.control.clone(), publishing.subscriber_id.clone()))
        });
        let Some((number, control, subscriber)) = publisher else {
            // AMS ignores a configuration for a session it does not have.
            tracing::debug!(socket = %self.id, %stream, "an offer came for a stream that is not published here");
            return;
        };
        ctx.spawn(async move { control.offer(sdp).await }.into_actor(self).map(
            move |outcome, session, ctx| {
                if session.publishing(&stream, number).is_none() {
                    return;
                }
                match outcome {
                    Ok(Answer { sdp, candidates, .. }) => {
                        let subscriber = subscriber.as_deref();
                        session.send(&message::answer(stream.as_str(), &sdp, subscriber), ctx);
                        for (label, mid, line) in &candidates {
                            let candidate =
                                message::candidate(stream.as_str(), *label, mid, line, subscriber);
                            session.send(&candidate, ctx);
                        }
                    }
                    // Its end is told otherwise.
                    Err(NoAnswer::Gone) => {}
                    Err(error @ NoAnswer::Codec(_)) => {
                        session.refuse(&stream, &Refusal::codec(error.to_string()), ctx);
                    }
                    Err(error) => {
                        tracing::info!(socket = %session.id, %stream, %error, "an offer was refused");
                        session.refuse(
                            &stream,
                            &Refusal::explained("notSetRemoteDescription", error.to_string()),
                            ctx,
                        );
                    }
                }
            },
        ));
    }
}
