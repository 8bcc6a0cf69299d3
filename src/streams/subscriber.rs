//! A play session's actor, of any protocol.

use actix::prelude::*;
use base::ExitReason;
use security::Permit;

use crate::ending::Ending;
use crate::fault::{ActorKind, expose};
use crate::obituary::Obituary;
use crate::plane::Attendance;

/// What a subscriber's end says to its stream.
#[derive(Debug)]
pub(crate) struct SubscriberEnd {
    pub attendance: Attendance,
}

/// One player: carries its permit, what serves it, and its end. Runs on the Arbiter that serves it.
pub struct Subscriber {
    ending: Ending,
    permit: Permit,
    attachments: Vec<Box<dyn Send>>,
    _guard: Obituary<SubscriberEnd>,
}

impl Subscriber {
    pub(crate) fn new(permit: Permit, ending: Ending, guard: Obituary<SubscriberEnd>) -> Self {
        Self { ending, permit, attachments: Vec::new(), _guard: guard }
    }
}

impl Actor for Subscriber {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        expose::<Self>(ActorKind::Subscriber, ctx);
        let ending = self.ending.clone();
        ctx.spawn(async move { ending.ended().await }.into_actor(self).map(|_, _, ctx| ctx.stop()));
        let life = self.permit.life();
        ctx.spawn(async move { life.died().await }.into_actor(self).map(|reason, subscriber, _| {
            subscriber.ending.end(reason);
        }));
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        // After a panic nobody has said why yet.
        self.ending.end(ExitReason::Failed);
    }
}

/// Gives a subscriber what serves its player: it is dropped, and so detaches, with the subscriber.
/// A session in several streams holds one for each.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Attach(pub Box<dyn Send>);

impl Handler<Attach> for Subscriber {
    type Result = ();

    fn handle(&mut self, Attach(attachment): Attach, _: &mut Self::Context) {
        self.attachments.push(attachment);
    }
}
