//! The publisher's actor: control only; the session's task writes the media.

use actix::prelude::*;
use base::ExitReason;
use security::PermitLife;

use crate::ending::Ending;
use crate::fault::{ActorKind, expose};
use crate::obituary::Obituary;
use crate::plane::Attendance;

/// What a publisher's end says to its stream.
#[derive(Debug)]
pub(crate) struct PublisherEnd {
    pub attendance: Attendance,
}

/// Ends with its session or with its permit, which the stream holds.
pub(crate) struct Publisher {
    ending: Ending,
    permit: PermitLife,
    _guard: Obituary<PublisherEnd>,
}

impl Publisher {
    pub(crate) fn new(ending: Ending, permit: PermitLife, guard: Obituary<PublisherEnd>) -> Self {
        Self { ending, permit, _guard: guard }
    }
}

impl Actor for Publisher {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        expose::<Self>(ActorKind::Publisher, ctx);
        let ending = self.ending.clone();
        ctx.spawn(async move { ending.ended().await }.into_actor(self).map(|_, _, ctx| ctx.stop()));
        let permit = self.permit.clone();
        ctx.spawn(async move { permit.died().await }.into_actor(self).map(|reason, publisher, _| {
            publisher.ending.end(reason);
        }));
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        // After a panic nobody has said why yet.
        self.ending.end(ExitReason::Failed);
    }
}
