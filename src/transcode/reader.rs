//! The reader every stream gets: a follower that makes Opus while somebody wants it.

use std::sync::Arc;

use base::{AppName, Clock, StreamId};
use media::StreamMedia;
use streams::{ReaderFactory, Serving};

use crate::follow::follow;
use crate::pool::AudioPool;

/// Starts an AAC-to-Opus follower for every stream, all on one pool.
#[derive(Clone)]
pub struct AudioTranscoders {
    pool: AudioPool,
    clock: Arc<dyn Clock>,
}

impl AudioTranscoders {
    /// Followers that convert on `pool`.
    pub const fn new(pool: AudioPool, clock: Arc<dyn Clock>) -> Self {
        Self { pool, clock }
    }
}

impl ReaderFactory for AudioTranscoders {
    fn name(&self) -> &'static str {
        "audio transcoder"
    }

    fn serve(&self, _: &AppName, _: &StreamId, media: Arc<StreamMedia>) -> Serving {
        Box::pin(follow(media, self.pool.clone(), Arc::clone(&self.clock)))
    }
}
