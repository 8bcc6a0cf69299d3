//! A play session's actor, of any protocol.

use actix::prelude::*;
use base::ExitReason;
use security::{Permit, PermitState};

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
    attachments: Vec<Box<dyn Attachment>>,
    paused: bool,
    _guard: Obituary<SubscriberEnd>,
}

impl Subscriber {
    pub(crate) fn new(permit: Permit, ending: Ending, guard: Obituary<SubscriberEnd>) -> Self {
        Self { ending, permit, attachments: Vec::new(), paused: false, _guard: guard }
    }
}

impl Actor for Subscriber {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        expose::<Self>(ActorKind::Subscriber, ctx);
        let ending = self.ending.clone();
        ctx.spawn(async move { ending.ended().await }.into_actor(self).map(|_, _, ctx| ctx.stop()));
        self.follow(PermitState::Live, ctx);
    }
}

impl Subscriber {
    /// Pauses, goes on and ends as the permit does.
    fn follow(&self, seen: PermitState, ctx: &mut Context<Self>) {
        let life = self.permit.life();
        ctx.spawn(async move { life.changed_from(seen).await }.into_actor(self).map(
            |state, subscriber, ctx| {
                match state {
                    PermitState::Dead(reason) => {
                        subscriber.ending.end(reason);
                        return;
                    }
                    PermitState::Suspended => subscriber.pause(true),
                    PermitState::Live => subscriber.pause(false),
                }
                subscriber.follow(state, ctx);
            },
        ));
    }

    fn pause(&mut self, paused: bool) {
        self.paused = paused;
        for attachment in &mut self.attachments {
            attachment.pause(paused);
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        // After a panic nobody has said why yet.
        self.ending.end(ExitReason::Failed);
    }
}

/// What serves a player. Dropping it detaches the player.
pub trait Attachment: Send {
    /// Withholds media from the player while its connection stays, or goes on. Never called where the session's
    /// `Access::can_pause` was not said.
    fn pause(&mut self, paused: bool);
}

/// Gives a subscriber what serves its player: it is dropped, and so detaches, with the subscriber.
/// A session in several streams holds one for each.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Attach(pub Box<dyn Attachment>);

impl Handler<Attach> for Subscriber {
    type Result = ();

    fn handle(&mut self, Attach(mut attachment): Attach, _: &mut Self::Context) {
        if self.paused {
            attachment.pause(true);
        }
        self.attachments.push(attachment);
    }
}
