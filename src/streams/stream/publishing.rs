//! How a publisher gets a stream, loses it, and passes it on.

use std::sync::Arc;

use actix::prelude::*;
use base::ExitReason;
use cluster_model::{MetaError, Refusal, StreamStarted};
use observe::metric;
use security::Permit;

use super::Stream;
use super::children::PublisherChild;
use super::tenure::{GivesWay, Held, Tenure};
use crate::ending::Ending;
use crate::grants::{PublishError, PublishGrant, PublisherFacts};
use crate::plane::{Attendance, BeginError};
use crate::publisher::{Publisher, PublisherEnd};

/// A publisher that passed the gate begins, or goes on with the stream of one before it.
#[derive(Message)]
#[rtype(result = "Result<PublishGrant, PublishError>")]
pub(crate) struct BeginPublish {
    pub permit: Permit,
    pub facts: PublisherFacts,
    pub began: tokio::sync::oneshot::Sender<()>,
}

/// Whether the encoder may be back in a moment: nobody said that this was the end.
const fn may_come_back(reason: ExitReason) -> bool {
    matches!(
        reason,
        ExitReason::PeerClosed | ExitReason::TimedOut | ExitReason::ProtocolError | ExitReason::Failed
    )
}

impl Handler<BeginPublish> for Stream {
    type Result = ResponseActFuture<Self, Result<PublishGrant, PublishError>>;

    fn handle(&mut self, begin: BeginPublish, ctx: &mut Self::Context) -> Self::Result {
        // The gate has asked the same; the lost one may have spoken again since.
        let over = self.tenure.as_ref().map(|tenure| tenure.gives_way());
        if self.ending || self.coming || over == Some(None) {
            return Box::pin(actix::fut::ready(Err(PublishError::AlreadyLive)));
        }
        let over = over.flatten();
        self.coming = true;
        self.stop_waiting(ctx);
        let (claims, app, id) = (self.services.claims.clone(), self.app.clone(), self.id.clone());
        let BeginPublish { permit, facts, began } = begin;
        let started = StreamStarted {
            publish_type: facts.publish_type.to_owned(),
            remote_ip: facts.remote_ip,
            user_agent: facts.user_agent,
            name: facts.name,
            meta_data: facts.meta_data,
            main_track: permit.room().cloned(),
            goes_on: over.is_some(),
        };
        let record = async move { claims.begin(&app, &id, started).await };
        Box::pin(record.into_actor(self).map(move |outcome, stream, ctx| {
            stream.coming = false;
            if let Err(error) = outcome {
                stream.not_begun(permit, ctx);
                return Err(match error {
                    BeginError::Meta(MetaError::Refused(Refusal::TooLarge)) => PublishError::RecordTooLarge,
                    BeginError::Elsewhere { by, .. } => {
                        tracing::info!(app = %stream.app, stream = %stream.id, %by, "a publisher is refused: another node has the stream");
                        PublishError::AlreadyLive
                    }
                    BeginError::Meta(error) => {
                        tracing::error!(app = %stream.app, stream = %stream.id, %error, "the start of the broadcast was not recorded");
                        PublishError::StoreUnavailable
                    }
                });
            }
            stream.watch_claim(ctx);
            if stream.ending {
                stream.give_back(permit);
                return Err(PublishError::AlreadyLive);
            }
            Ok(stream.begin(permit, began, over, ctx))
        }))
    }
}

impl Stream {
    /// A publisher is in. One that was in before is fenced and told.
    fn begin(
        &mut self,
        permit: Permit,
        began: tokio::sync::oneshot::Sender<()>,
        over: Option<GivesWay>,
        ctx: &mut Context<Self>,
    ) -> PublishGrant {
        if let Some(why) = over {
            metric::publisher_takeovers(why.label()).increment(1);
            tracing::info!(
                app = %self.app, stream = %self.id, session = %permit.session(), before = why.label(),
                "a publisher goes on with the stream of the one before"
            );
        }
        if let Some(before) = self.publisher.take() {
            before.ending.end(ExitReason::Replaced);
        }
        self.media.0.take_over();
        let resume = self.media.0.position();
        let tenure = Arc::new(Tenure::new(
            Arc::clone(&self.media.0),
            Arc::clone(&self.services.clock),
            self.services.publish.duplicate,
        ));
        let of_gate = Arc::clone(&tenure);
        permit.give_way_when(move || of_gate.gives_way().is_some());
        self.tenure = Some(tenure);
        let life = permit.life();
        let ending = Ending::new();
        permit.has_begun();
        let attendance = Attendance::begin(&permit, &ending, &self.services);
        let who = attendance.who().clone();
        // The seat is free only when the application has forgotten the stream, in whatever way it ends.
        self.guard.edit(|note| note.permit = Some(permit));
        // Whoever ends the permit while its publisher is lost ends the stream: nobody else listens to it then.
        let lost = life.clone();
        let died = async move { lost.died().await }.into_actor(self);
        ctx.spawn(died.map(|reason, stream, ctx| {
            let is_waiting = stream.publisher.is_none() && !stream.coming;
            if is_waiting && reason != ExitReason::Finished {
                stream.finish(reason, ctx);
            }
        }));
        let end = PublisherEnd { attendance };
        let publisher = Publisher::new(ending.clone(), life, self.publisher_ends.guard(end));
        self.publisher = Some(PublisherChild::new(ending.clone(), who, publisher.start()));
        PublishGrant { media: Arc::clone(&self.media.0), resume, ending, began: Some(began) }
    }

    /// From the first publisher's claim on: the stream ends when it is another node's.
    fn watch_claim(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.claim_watched, true) {
            return;
        }
        let (claims, app, id) = (self.services.claims.clone(), self.app.clone(), self.id.clone());
        ctx.spawn(
            async move { claims.lost(&app, &id).await }
                .into_actor(self)
                .map(|(), stream, ctx| stream.end(ExitReason::Superseded, ctx)),
        );
        self.heed_contests(ctx);
    }

    /// A publisher that came to another node has the stream if one that came here would: this one ends, and its players with
    /// it.
    fn heed_contests(&self, ctx: &mut Context<Self>) {
        let (claims, app, id) = (self.services.claims.clone(), self.app.clone(), self.id.clone());
        let contested = async move { claims.contested(&app, &id).await }.into_actor(self);
        ctx.spawn(contested.map(|(), stream, ctx| {
            let gives_way = stream.tenure.as_ref().and_then(|tenure| tenure.gives_way());
            if let Some(why) = gives_way.filter(|_| !stream.coming) {
                metric::publisher_takeovers(why.label()).increment(1);
                tracing::info!(
                    app = %stream.app, stream = %stream.id, before = why.label(),
                    "the stream goes to a publisher of another node"
                );
                stream.end(ExitReason::Superseded, ctx);
            }
            stream.heed_contests(ctx);
        }));
    }

    /// The store did not take a publisher's start. Whoever had the stream before has it still.
    fn not_begun(&mut self, permit: Permit, ctx: &mut Context<Self>) {
        let is_first = self.tenure.is_none();
        self.give_back(permit);
        if is_first {
            self.finish(ExitReason::Failed, ctx);
        } else if self.publisher.is_none() {
            self.wait_for_publisher(ExitReason::Failed, ctx);
        }
    }

    /// The seat of a publisher that did not begin: the stream's own when nobody had it before, so that it is free
    /// only once the stream's end is recorded; else it goes back to whoever had it.
    fn give_back(&mut self, permit: Permit) {
        if self.tenure.is_none() {
            self.guard.edit(|note| note.permit = Some(permit));
        }
    }

    /// A publisher is gone: the stream ends with it, or waits for it to come back.
    pub(super) fn publisher_gone(&mut self, end: &PublisherEnd, ctx: &mut Context<Self>) {
        let reason = end.attendance.reason();
        metric::publisher_ended(reason.label()).increment(1);
        tracing::info!(app = %self.app, stream = %self.id, %reason, "publisher ended");
        // Another may have the stream by now.
        if self.publisher.take_if(|held| held.ending.is(end.attendance.ending())).is_none() {
            return;
        }
        if self.coming || self.is_playable() && may_come_back(reason) {
            self.wait_for_publisher(reason, ctx);
        } else {
            self.finish(reason, ctx);
        }
    }

    /// Players stay while the stream waits; `reason` is its end when nobody comes.
    fn wait_for_publisher(&mut self, reason: ExitReason, ctx: &mut Context<Self>) {
        if self.ending {
            return;
        }
        if let Some(tenure) = &self.tenure {
            tenure.set(Held::Nobody);
        }
        self.guard.edit(|note| {
            if let Some(permit) = &note.permit {
                permit.connection_is_lost();
            }
        });
        // Whoever is being let in ends the wait, one way or the other.
        if self.coming {
            return;
        }
        let grace = self.services.publish.grace;
        tracing::info!(
            app = %self.app, stream = %self.id, %reason, grace_ms = grace.as_millis(),
            "the stream waits for its publisher"
        );
        self.stop_waiting(ctx);
        self.waiting = Some(ctx.run_later(grace, move |stream, ctx| stream.finish(reason, ctx)));
    }

    fn stop_waiting(&mut self, ctx: &mut Context<Self>) {
        if let Some(waiting) = self.waiting.take() {
            ctx.cancel_future(waiting);
        }
    }
}
