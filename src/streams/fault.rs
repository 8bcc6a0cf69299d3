//! A fault for tests: an actor panics, as a bug of ours would make it. Built in by the feature `faults` only.

use actix::prelude::*;

/// The kinds of actors there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActorKind {
    /// One application.
    Application,
    /// One live stream.
    Stream,
    /// What stands for a stream's publisher.
    Publisher,
    /// What stands for one player.
    Subscriber,
}

/// Lets an actor that has started be struck by a fault. Without the feature this does nothing.
#[cfg(not(feature = "faults"))]
pub(crate) const fn expose<A: Actor<Context = Context<A>>>(_: ActorKind, _: &A::Context) {}

#[cfg(feature = "faults")]
pub(crate) use exposed::expose;
#[cfg(feature = "faults")]
pub use exposed::strike;

#[cfg(feature = "faults")]
mod exposed {
    use actix::WeakRecipient;
    use parking_lot::Mutex;

    use super::*;

    /// Those that can be struck, the newest last. Grows without bound: this is no build for a server.
    static EXPOSED: Mutex<Vec<(ActorKind, WeakRecipient<Fault>)>> = Mutex::new(Vec::new());

    pub(crate) fn expose<A>(kind: ActorKind, ctx: &A::Context)
    where
        A: Actor<Context = Context<A>> + Handler<Fault>,
    {
        EXPOSED.lock().push((kind, ctx.address().recipient().downgrade()));
    }

    /// Has the newest living actor of a kind panic; `false` when there is none.
    pub async fn strike(kind: ActorKind) -> bool {
        let of_kind = |(known, actor): &(ActorKind, WeakRecipient<Fault>)| {
            actor.upgrade().filter(|actor| *known == kind && actor.connected())
        };
        let newest = EXPOSED.lock().iter().rev().find_map(of_kind);
        let Some(newest) = newest else { return false };
        // It does not live to answer.
        newest.send(Fault).await.is_err()
    }
}

/// Panics in the actor it is sent to.
#[cfg(any(test, feature = "faults"))]
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Fault;

#[cfg(any(test, feature = "faults"))]
macro_rules! panics {
    ($($actor:ty),+) => { $(
        impl Handler<Fault> for $actor {
            type Result = ();

            fn handle(&mut self, _: Fault, _: &mut Self::Context) {
                panic!("a fault was asked for");
            }
        }
    )+ };
}

#[cfg(any(test, feature = "faults"))]
panics!(
    crate::application::Application,
    crate::stream::Stream,
    crate::publisher::Publisher,
    crate::subscriber::Subscriber
);
