//! The publisher's actor: control only; the session's task writes the media.

use actix::prelude::*;
use base::ExitReason;
use security::Permit;

use crate::ending::Ending;
use crate::obituary::Obituary;

/// What a publisher's end says to its stream.
#[derive(Debug)]
pub(crate) struct PublisherEnd {
    /// Handed up so that the seat is free only once the stream is gone.
    pub permit: Option<Permit>,
    pub ending: Ending,
}

/// Holds the publisher's permit for as long as it publishes.
pub(crate) struct Publisher {
    ending: Ending,
    guard: Obituary<PublisherEnd>,
}

impl Publisher {
    pub(crate) fn new(ending: Ending, guard: Obituary<PublisherEnd>) -> Self {
        Self { ending, guard }
    }
}

impl Actor for Publisher {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let ending = self.ending.clone();
        ctx.spawn(async move { ending.ended().await }.into_actor(self).map(|_, _, ctx| ctx.stop()));
        let mut revoked = None;
        self.guard.edit(|note| revoked = note.permit.as_ref().map(Permit::life));
        if let Some(life) = revoked {
            ctx.spawn(
                async move { life.died().await }
                    .into_actor(self)
                    .map(|reason, publisher, _| {
                        publisher.ending.end(reason);
                    }),
            );
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        // After a panic nobody has said why yet.
        self.ending.end(ExitReason::Failed);
    }
}
