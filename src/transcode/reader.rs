//! The reader every stream gets: a follower that makes Opus while somebody wants it.

use std::sync::Arc;

use base::{AppName, StreamId};
use media::StreamMedia;
use streams::{ReaderFactory, Serving};

use crate::follow::follow;
use crate::pool::AudioPool;

/// Starts an AAC-to-Opus follower for every stream, all on one pool.
#[derive(Clone)]
pub struct AudioTranscoders(AudioPool);

impl AudioTranscoders {
    /// Followers that convert on `pool`.
    pub const fn new(pool: AudioPool) -> Self {
        Self(pool)
    }
}

impl ReaderFactory for AudioTranscoders {
    fn name(&self) -> &'static str {
        "audio transcoder"
    }

    fn serve(&self, _: &AppName, _: &StreamId, media: Arc<StreamMedia>) -> Serving {
        Box::pin(follow(media, self.0.clone()))
    }
}
