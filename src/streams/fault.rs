//! A fault for tests: the actor that gets it panics, as a bug of ours would make it.

use actix::prelude::*;

use crate::application::Application;
use crate::publisher::Publisher;
use crate::stream::Stream;
use crate::subscriber::Subscriber;

/// Panics in the actor it is sent to.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Fault;

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

panics!(Application, Stream, Publisher, Subscriber);
