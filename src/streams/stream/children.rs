//! What a stream holds of those under it: each is ended by its guard's drop, panic included.

use std::collections::HashMap;
use std::sync::Arc;

use actix::prelude::*;
use base::{ExitReason, SessionId};
use media::StreamMedia;
use observe::metric;

use crate::ending::Ending;
use crate::plane::Who;
use crate::publisher::Publisher;

/// Ends every player when the stream goes, in whatever way it goes.
#[derive(Default)]
pub(super) struct Players(pub(super) HashMap<SessionId, Player>);

/// One that is in.
pub(super) struct Player {
    pub(super) ending: Ending,
    pub(super) who: Who,
}

impl Players {
    pub(super) fn end(&mut self, reason: ExitReason) {
        for player in self.0.values() {
            player.ending.end(reason);
        }
    }
}

impl Drop for Players {
    fn drop(&mut self) {
        self.end(ExitReason::StreamEnded);
    }
}

/// The publisher that is in.
pub(super) struct PublisherChild {
    pub(super) ending: Ending,
    pub(super) who: Who,
    _addr: Addr<Publisher>,
}

impl PublisherChild {
    pub(super) fn new(ending: Ending, who: Who, addr: Addr<Publisher>) -> Self {
        metric::publishers().increment(1.0);
        Self { ending, who, _addr: addr }
    }
}

impl Drop for PublisherChild {
    fn drop(&mut self) {
        metric::publishers().decrement(1.0);
        self.ending.end(ExitReason::StreamEnded);
    }
}

/// Closes the media with the stream.
pub(super) struct MediaOwner(pub(super) Arc<StreamMedia>);

impl Drop for MediaOwner {
    fn drop(&mut self) {
        self.0.close();
    }
}
