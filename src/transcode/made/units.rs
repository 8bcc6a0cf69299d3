//! The units of a source, as long as they need the configuration they began with.

use std::sync::Arc;

use media::{Bell, Cursor, Ring, TrackInfo, Unit};
use observe::metric;

/// Units given at once, so that what else there is is looked at in between.
const UNITS_AT_ONCE: usize = 32;

/// Reads a track from somewhere in its ring.
pub(super) struct Units<'a> {
    frames: &'a Ring<Unit>,
    generation: u32,
    cursor: Cursor,
    bell: Bell,
}

impl<'a> Units<'a> {
    /// From the unit of that index on.
    pub(super) fn of(source: &'a TrackInfo, from: u64) -> Self {
        let (frames, bell) = (source.track.frames(), Bell::new());
        frames.hang(&bell);
        Self { frames, generation: source.generation, cursor: Cursor(from), bell }
    }

    /// Waits for the next units; of those that are there, those of the configuration, which may be none. `None`:
    /// the track is over, or needs another. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Vec<Arc<Unit>>> {
        loop {
            let read = self.frames.read(&mut self.cursor, UNITS_AT_ONCE);
            if read.skipped > 0 {
                metric::ring_skips().increment(1);
            }
            let mut units = read.entries;
            if units.is_empty() {
                if self.frames.is_closed() {
                    return None;
                }
                self.bell.rung().await;
                continue;
            }
            // Configurations change in order: older ones come before, and after a newer one comes none of this.
            if units.iter().all(|unit| unit.generation > self.generation) {
                return None;
            }
            units.retain(|unit| unit.generation == self.generation);
            return Some(units);
        }
    }
}
