//! What a player was sent so far.

use std::sync::atomic::{AtomicU64, Ordering};

use cluster_model::Figures;

/// Counted by what serves the player, told with its session's facts.
#[derive(Debug, Default)]
pub struct Tally {
    bytes: AtomicU64,
    video: AtomicU64,
    audio: AtomicU64,
}

impl Tally {
    /// Counts `bytes` that went out, and how many bytes of pictures and of sound were written for them.
    pub fn add(&self, bytes: u64, (video, audio): (u64, u64)) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.video.fetch_add(video, Ordering::Relaxed);
        self.audio.fetch_add(audio, Ordering::Relaxed);
    }

    /// All of it, of a session that has lasted for so long.
    pub(crate) fn figures(&self, duration_ms: u64) -> Figures {
        Figures {
            duration_ms,
            bytes: self.bytes.load(Ordering::Relaxed),
            video_bytes: self.video.load(Ordering::Relaxed),
            audio_bytes: self.audio.load(Ordering::Relaxed),
        }
    }
}
