//! Whether a stream's publisher may be replaced: one answer for the gate, which asks before it lets the
//! next one in, and for the stream, which takes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use base::{Clock, limits};
use config::DuplicatePublish;
use media::StreamMedia;

/// Who has the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Held {
    /// A publisher is in, or is being let in.
    Publisher = 0,
    /// Its publisher is lost, and the stream waits for one.
    Nobody = 1,
    /// The stream is ending.
    Ending = 2,
}

/// How one publisher has the stream. The next one gets a new tenure.
pub(super) struct Tenure {
    held: AtomicU8,
    began: Instant,
    media: Arc<StreamMedia>,
    clock: Arc<dyn Clock>,
    duplicate: DuplicatePublish,
}

impl Tenure {
    pub(super) fn new(media: Arc<StreamMedia>, clock: Arc<dyn Clock>, duplicate: DuplicatePublish) -> Self {
        let began = clock.now();
        Self { held: AtomicU8::new(Held::Publisher as u8), began, media, clock, duplicate }
    }

    /// Nothing is taken back from a stream that ends.
    pub(super) fn set(&self, held: Held) {
        self.held.fetch_max(held as u8, Ordering::AcqRel);
    }

    /// Why another publisher may have the stream now; `None`: it may not.
    pub(super) fn gives_way(&self) -> Option<GivesWay> {
        match self.held.load(Ordering::Acquire) {
            held if held == Held::Nobody as u8 => Some(GivesWay::Lost),
            held if held == Held::Publisher as u8 => {
                let heard =
                    self.media.position().map_or(self.began, |at| at.newest().arrived.max(self.began));
                let silent = self.clock.now().saturating_duration_since(heard);
                if silent >= limits::PUBLISHER_SILENCE_MAX {
                    Some(GivesWay::Silent)
                } else {
                    (self.duplicate == DuplicatePublish::Replace).then_some(GivesWay::Replaced)
                }
            }
            _ => None,
        }
    }
}

/// Why a publisher gives way to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GivesWay {
    /// Its connection was lost.
    Lost,
    /// It has sent no media for [`limits::PUBLISHER_SILENCE_MAX`].
    Silent,
    /// The configuration lets second publishers in.
    Replaced,
}

impl GivesWay {
    /// The word for log lines and the metric's label.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Silent => "silent",
            Self::Replaced => "replaced",
        }
    }
}

#[cfg(test)]
mod tests {
    use base::{ManualClock, MediaTime, TrackId, WallTime};
    use media::{CodecConfig, MediaBudget, Unit, Vp9Config};

    use super::*;

    #[test]
    fn a_publisher_that_sends_steadily_is_heard_even_before_its_first_key_frame() {
        let clock = Arc::new(ManualClock::new(WallTime(0)));
        let media = StreamMedia::new(&MediaBudget::unlimited());
        let tenure =
            Tenure::new(Arc::clone(&media), Arc::clone(&clock) as Arc<dyn Clock>, DuplicatePublish::Refuse);
        let vp9 = CodecConfig::Vp9(Vp9Config { profile: 0, width: 320, height: 180 });
        let writer = media.write_track(&TrackId::new("video").unwrap(), &vp9, None).unwrap();
        for second in 1..10 {
            clock.advance(limits::PUBLISHER_SILENCE_MAX / 3);
            let at = MediaTime::from_millis(second * 1_000);
            let payload = bytes::Bytes::from_static(&[0x86]);
            let unit = Unit { dts: at, pts: at, arrived: clock.now(), key: false, generation: 1, payload };
            writer.write(unit).unwrap();
            assert_eq!(tenure.gives_way(), None);
        }
        clock.advance(limits::PUBLISHER_SILENCE_MAX);
        assert_eq!(tenure.gives_way(), Some(GivesWay::Silent));
    }
}
