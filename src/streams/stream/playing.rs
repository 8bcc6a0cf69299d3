//! How players join a stream and leave it.

use std::sync::Arc;

use actix::prelude::*;
use actix_rt::ArbiterHandle;
use base::limits;
use observe::metric;
use security::Permit;

use super::Stream;
use super::children::Player;
use crate::ending::Ending;
use crate::grants::{PlayError, PlayGrant};
use crate::plane::Attendance;
use crate::subscriber::{Subscriber, SubscriberEnd};

/// A player that passed the gate joins; its actor runs on `arbiter`.
#[derive(Message)]
#[rtype(result = "Result<PlayGrant, PlayError>")]
pub(crate) struct BeginPlay {
    pub permit: Permit,
    pub ending: Ending,
    pub arbiter: ArbiterHandle,
}

impl Handler<BeginPlay> for Stream {
    type Result = Result<PlayGrant, PlayError>;

    fn handle(&mut self, begin: BeginPlay, _: &mut Self::Context) -> Self::Result {
        if !self.is_playable() {
            return Err(PlayError::NoSuchStream);
        }
        if self.players.0.len() >= limits::SUBSCRIBERS_PER_STREAM_MAX {
            return Err(PlayError::TooManyPlayers);
        }
        let session = begin.permit.session();
        let ending = begin.ending;
        begin.permit.has_begun();
        let attendance = Attendance::begin(&begin.permit, &ending, &self.services);
        let who = attendance.who().clone();
        let guard = self.subscriber_ends.guard(SubscriberEnd { attendance });
        if self.players.0.insert(session, Player { ending: ending.clone(), who }).is_none() {
            self.statistics.came(begin.permit.protocol());
        }
        tracing::info!(app = %self.app, stream = %self.id, %session, peer = %begin.permit.peer(), "player begins");
        let permit = begin.permit;
        let of_subscriber = ending.clone();
        let subscriber = Subscriber::start_in_arbiter(&begin.arbiter, move |ctx| {
            ctx.set_mailbox_capacity(limits::SUBSCRIBER_MAILBOX_MESSAGES_MAX);
            Subscriber::new(permit, of_subscriber, guard)
        });
        Ok(PlayGrant { media: Arc::clone(&self.media.0), subscriber, ending })
    }
}

impl Stream {
    pub(super) fn subscriber_gone(&mut self, end: &SubscriberEnd, ctx: &mut Context<Self>) {
        if let Some(player) = self.players.0.remove(&end.attendance.who().session()) {
            self.statistics.went(player.who.protocol());
        }
        tell(end);
        if self.waits_for_players && self.players.0.is_empty() {
            ctx.stop();
        }
    }

    /// Whoever has not gone yet when the stream does is told of all the same.
    pub(super) fn tell_of_the_rest(&self) {
        let (app, id, ends) = (self.app.clone(), self.id.clone(), self.subscriber_ends.clone());
        let mut left = self.players.0.len();
        if left == 0 {
            return;
        }
        actix_rt::spawn(async move {
            while left > 0 {
                let Ok(gone) = tokio::time::timeout(limits::SUBSCRIBER_ENDS_WAIT_MAX, ends.next()).await
                else {
                    tracing::warn!(%app, stream = %id, left, "players of a stream that ended did not end in time");
                    return;
                };
                left = left.saturating_sub(gone.len());
                gone.iter().for_each(tell);
            }
        });
    }
}

fn tell(SubscriberEnd { attendance }: &SubscriberEnd) {
    let (who, reason) = (attendance.who(), attendance.reason());
    metric::player_ended(reason.label()).increment(1);
    tracing::info!(app = %who.app(), stream = %who.stream(), session = %who.session(), %reason, "player ended");
}
