//! What a stream tells of itself: the broadcast's numbers, and what asks for it.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use observe::Seldom;

use super::Stream;
use crate::grants::LiveStream;

/// How often the broadcast's numbers are written (AMS: 10 s).
pub(super) const HEARTBEAT: Duration = Duration::from_secs(10);
/// How often they are measured, for whoever asks meanwhile.
pub(super) const SAMPLE: Duration = Duration::from_secs(1);

impl Stream {
    pub(super) fn beat(&self, ctx: &mut Context<Self>) {
        if self.ending {
            return;
        }
        let (claims, app, id) = (self.services.claims.clone(), self.app.clone(), self.id.clone());
        let beat = self.statistics.figures().heartbeat;
        ctx.spawn(async move { claims.heartbeat(&app, &id, beat).await }.into_actor(self).map(
            |outcome, stream, _| {
                static SAID: Seldom = Seldom::new(HEARTBEAT);
                if let Err(error) = outcome
                    && let Some(unsaid) = SAID.now()
                {
                    tracing::warn!(app = %stream.app, stream = %stream.id, %error, unsaid, "statistics of a stream were not recorded; of more such in 10 s their number is told");
                }
            },
        ));
    }
}

impl Stream {
    /// What the sessions of subscribers came to so far. Of all others only beginning and end are told.
    pub(super) fn sum_up(&self) {
        let players = self.players.0.values().map(|player| (&player.who, &player.ending));
        let publisher = self.publisher.as_ref().map(|publisher| (&publisher.who, &publisher.ending));
        for (who, ending) in players.chain(publisher).filter(|(who, _)| who.is_summed_up()) {
            self.services.facts.note(who.summary(ending, &*self.services.clock));
        }
    }
}

/// What the stream is now.
#[derive(Message)]
#[rtype(result = "Option<LiveStream>")]
pub(crate) struct Describe;

impl Handler<Describe> for Stream {
    type Result = Option<LiveStream>;

    fn handle(&mut self, _: Describe, _: &mut Self::Context) -> Self::Result {
        self.is_playable().then(|| LiveStream {
            app: self.app.clone(),
            id: self.id.clone(),
            media: Arc::clone(&self.media.0),
            since: self.since,
            players: self.players.0.len(),
        })
    }
}
