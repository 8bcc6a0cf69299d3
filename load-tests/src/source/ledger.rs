//! When each frame was sent, found by what is in it.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use media::h264::NalType;

/// What the publisher wrote down, read by players of the same process: both on one clock.
///
/// A frame's marker is the frame: noise makes every coded picture of a recording another one. So nothing is
/// added to the stream that would change the packets it becomes, and a marker that is found says too that the
/// picture came to the bit.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Sent>);

#[derive(Debug, Default)]
struct Sent {
    at: HashMap<u64, Instant>,
    key_frame: Option<Instant>,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Sent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a frame is being handed to the socket. A recording that is played over and over has one entry
    /// per frame: the latest.
    pub fn note(&self, fingerprint: u64, key: bool, now: Instant) {
        let mut sent = self.lock();
        sent.at.insert(fingerprint, now);
        if key {
            sent.key_frame = Some(now);
        }
    }

    /// When a frame was last sent; `None` for one that never was.
    pub fn sent_at(&self, fingerprint: u64) -> Option<Instant> {
        self.lock().at.get(&fingerprint).copied()
    }

    /// When the newest key frame was sent.
    pub fn key_frame_sent_at(&self) -> Option<Instant> {
        self.lock().key_frame
    }
}

/// The marker of a frame: a hash over its slices in order, without parameter sets and supplements, which a node
/// may add or leave out. `None` without a slice.
pub fn fingerprint<'a>(nals: impl Iterator<Item = &'a [u8]>) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    let mut slices = 0;
    for nal in nals.filter(|nal| matches!(NalType::of(nal), NalType::Slice | NalType::Idr)) {
        hasher.write_usize(nal.len());
        hasher.write(nal);
        slices += 1;
    }
    (slices > 0).then(|| hasher.finish())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base::{Clock, SystemClock};

    use super::*;

    #[test]
    fn a_frame_is_known_by_its_slices() {
        let [sps, slice, other]: [&[u8]; 3] = [&[0x67, 1], &[0x41, 2, 3], &[0x41, 2, 4]];
        let of = |nals: &[&[u8]]| fingerprint(nals.iter().copied());
        assert_eq!(of(&[sps]), None);
        assert_eq!(of(&[sps, slice]), of(&[slice]));
        assert_ne!(of(&[slice]), of(&[other]));
        assert_ne!(of(&[slice, other]), of(&[other, slice]));
    }

    #[test]
    fn the_latest_sending_counts() {
        let ledger = Ledger::default();
        let start = SystemClock.now();
        let later = start + Duration::from_secs(16);
        ledger.note(7, true, start);
        ledger.note(8, false, start);
        ledger.note(7, true, later);
        assert_eq!(
            (ledger.sent_at(7), ledger.sent_at(8), ledger.sent_at(9)),
            (Some(later), Some(start), None)
        );
        assert_eq!(ledger.key_frame_sent_at(), Some(later));
    }
}
