//! From a source's clock to the stream's.

mod rtp;

use std::time::Duration;

use base::{MediaTime, WallTime};

use crate::clock::{Arrival, StreamPosition};
use crate::codec::Kind;
pub(crate) use rtp::RtpTimeline;

/// A forward jump of the source's clock beyond this is no pause but a new clock.
const JUMP_MAX_MS: i64 = 2_000;
/// How far a track's stamps may step back before that is a new clock. Below, they are put in order.
const STEP_BACK_MAX_MS: i64 = 100;
/// How far a track's first stamp may lie behind what the other track has reached.
const INTERLEAVE_MAX_MS: i64 = 2_000;
/// How far the counted samples may stray from the stamps before audio is anchored anew.
const AUDIO_DRIFT_MAX: Duration = Duration::from_millis(100);
/// Time without a unit, up to this, is no pause of the source.
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// Two units of a track are at least this far apart: nine ticks of the 90 kHz RTP clock, so that
/// two pictures never share an RTP timestamp.
const STEP: Duration = Duration::from_micros(100);
/// Composition times are held within these bounds.
const COMPOSITION_MS: (i64, i64) = (-1_000, 10_000);
/// A frame's length where the stamps don't tell one between these.
const FRAME_BETWEEN: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));
const FRAME_DEFAULT: Duration = Duration::from_millis(33);

/// Something about a source's clock that is worth a log line and a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimelineEvent {
    /// The source's clock stepped back, jumped or stood; the stream's clock went on as time passed.
    Rebased {
        /// The track that showed it.
        kind: Kind,
        /// Where its stamp lies relative to what the source had reached, in milliseconds. Of RTP, whose
        /// pauses are no jumps: to where the source should have been when it came.
        jump_ms: i64,
    },
    /// Counted samples and stamps were too far apart; audio follows the stamps again.
    AudioAnchored {
        /// By how much audio was moved, in milliseconds; negative: it had run ahead.
        by_ms: i64,
    },
}

/// Where a unit lies on the stream's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Greater than the track's `dts` before.
    pub dts: MediaTime,
    /// Never before `dts`.
    pub pts: MediaTime,
    /// What happened to the clock with this unit.
    pub event: Option<TimelineEvent>,
}

/// Maps the stamps of one source (one video and one audio track, 32-bit milliseconds as in RTMP)
/// to the stream's clock.
///
/// Both tracks share one offset, so their relation is the source's. A step back or a jump over
/// two seconds makes a new offset for both: the unit follows one frame behind, or after a pause by when it
/// arrived ([`StreamPosition::at`]). While one track still sends stamps of the old clock, they are placed by
/// the old offset. Tracks that run on two unrelated clocks each keep their own.
#[derive(Clone, Debug)]
pub struct Timeline {
    start: MediaTime,
    /// The newest clock first; at most one older one.
    clocks: Vec<SourceClock>,
    video: Output,
    audio: Output,
    /// How far `dts` is put ahead of the source's, for sources with negative composition times.
    lead_ms: i64,
    samples: Option<SampleClock>,
    /// Clocks begun so far.
    epochs: u64,
    anchor: Option<(MediaTime, WallTime)>,
    /// Where the stream's clock stands, by this source's units and those of the source before. The stream's
    /// own ([`crate::StreamMedia::position`]) outlives sources and is moved by the one that may write; this is
    /// a source's own view, which a later source does not move, so that a timeline stays a value.
    position: Option<StreamPosition>,
}

/// The source's clock since its last step.
#[derive(Clone, Debug)]
struct SourceClock {
    /// Which clock of the source this is, counted from 1.
    epoch: u64,
    /// The newest stamp of any track, unwrapped.
    newest_ms: i64,
    /// What unwrapped 0 is on the stream's clock.
    offset: MediaTime,
    /// The newest stamp of each track, unwrapped.
    video_ms: Option<i64>,
    audio_ms: Option<i64>,
}

impl SourceClock {
    fn track(&mut self, kind: Kind) -> &mut Option<i64> {
        match kind {
            Kind::Video => &mut self.video_ms,
            Kind::Audio => &mut self.audio_ms,
        }
    }

    /// The stamp unwrapped on this clock, and how far it lies from where the track's next one
    /// should be. `None` when it can't be of this clock.
    fn fit(&self, kind: Kind, stamp: u32) -> Option<(i64, i64)> {
        let stamp = self.unwrap(stamp);
        let seen = match kind {
            Kind::Video => self.video_ms,
            Kind::Audio => self.audio_ms,
        };
        let earliest = match seen {
            Some(newest) => newest - STEP_BACK_MAX_MS,
            None => self.newest_ms - INTERLEAVE_MAX_MS,
        };
        let fits = stamp >= earliest && stamp <= self.newest_ms + JUMP_MAX_MS;
        fits.then(|| (stamp, (stamp - seen.unwrap_or(self.newest_ms)).abs()))
    }

    fn unwrap(&self, stamp: u32) -> i64 {
        // The low 32 bits of the newest stamp; the distance is the shorter way around the circle.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "modulo 2^32 is meant")]
        let newest = self.newest_ms as u32;
        #[expect(clippy::cast_possible_wrap, reason = "signed distance modulo 2^32")]
        let distance = stamp.wrapping_sub(newest) as i32;
        self.newest_ms + i64::from(distance)
    }

    fn place(&self, stamp_ms: i64) -> MediaTime {
        self.offset + MediaTime::from_millis(stamp_ms)
    }
}

/// A stamp on the stream's clock.
struct Mapped {
    /// Where it would be, were it not for the units before it.
    ideal: MediaTime,
    event: Option<TimelineEvent>,
    epoch: u64,
}

/// What a track has put out.
#[derive(Clone, Copy, Debug, Default)]
struct Output {
    newest: Option<MediaTime>,
    frame: Option<Duration>,
}

impl Output {
    const EMPTY: Self = Self { newest: None, frame: None };

    /// Takes the next `dts`, moved forward where it would not be greater than the one before.
    fn advance(&mut self, ideal: MediaTime, start: MediaTime) -> MediaTime {
        let earliest = self.newest.map_or(start, |newest| newest.plus(STEP));
        let dts = ideal.max(earliest);
        self.newest = Some(dts);
        dts
    }
}

/// Counts samples from an anchor, without rounding.
#[derive(Clone, Copy, Debug)]
struct SampleClock {
    /// The source's clock that the anchor was taken from.
    epoch: u64,
    anchor: MediaTime,
    samples: i64,
    rate: u32,
}

impl SampleClock {
    fn now(&self) -> MediaTime {
        self.anchor + MediaTime::from_ticks(self.samples, self.rate)
    }
}

impl Timeline {
    /// The timeline of a new stream's source, which begins at [`MediaTime::ZERO`].
    pub fn new() -> Self {
        Self {
            start: MediaTime::ZERO,
            clocks: Vec::with_capacity(2),
            video: Output::default(),
            audio: Output::default(),
            lead_ms: 0,
            samples: None,
            epochs: 0,
            anchor: None,
            position: None,
        }
    }

    /// The timeline of a source that goes on with a stream of another one.
    pub fn resuming(position: StreamPosition) -> Self {
        let start = position.newest().dts.plus(STEP);
        Self { start, position: Some(position), ..Self::new() }
    }

    /// Places a video unit. `composition_ms` is what is added to the stamp for the time of showing.
    pub fn video(&mut self, stamp_ms: u32, composition_ms: i32, arrived: Arrival) -> Placed {
        let Mapped { ideal, event, .. } = self.map(Kind::Video, stamp_ms, arrived);
        let composition = i64::from(composition_ms).clamp(COMPOSITION_MS.0, COMPOSITION_MS.1);
        self.lead_ms = self.lead_ms.max(-composition);
        let before = self.video.newest;
        let dts = self.video.advance(ideal - MediaTime::from_millis(self.lead_ms), self.start);
        if let Some(before) = before.filter(|_| event.is_none()) {
            self.video.frame = Some(dts.since(before).clamp(FRAME_BETWEEN.0, FRAME_BETWEEN.1));
        }
        let pts = (ideal + MediaTime::from_millis(composition)).max(dts);
        self.note(Kind::Video, dts, arrived);
        Placed { dts, pts, event }
    }

    /// Places an audio unit of `samples` samples per channel at `rate` per second.
    pub fn audio(&mut self, stamp_ms: u32, samples: u32, rate: u32, arrived: Arrival) -> Placed {
        let Mapped { ideal: stamped, mut event, epoch } = self.map(Kind::Audio, stamp_ms, arrived);
        let counted = self.samples.filter(|clock| clock.epoch == epoch).map(|clock| clock.now());
        let ideal = match counted {
            Some(counted) if counted.since(stamped).max(stamped.since(counted)) <= AUDIO_DRIFT_MAX => counted,
            Some(counted) => {
                event = Some(TimelineEvent::AudioAnchored { by_ms: (stamped - counted).as_millis() });
                stamped
            }
            None => stamped,
        };
        let rate = rate.max(1);
        let clock = match self.samples {
            Some(clock) if counted == Some(ideal) && clock.rate == rate => clock,
            _ => SampleClock { epoch, anchor: ideal, samples: 0, rate },
        };
        self.samples = Some(SampleClock { samples: clock.samples + i64::from(samples), ..clock });
        let length = MediaTime::from_ticks(i64::from(samples), rate).since(MediaTime::ZERO);
        self.audio.frame = Some(length.clamp(FRAME_BETWEEN.0, FRAME_BETWEEN.1));
        let dts = self.audio.advance(ideal, self.start);
        self.note(Kind::Audio, dts, arrived);
        Placed { dts, pts: dts, event }
    }

    /// Where the wall clock stood at a point of the stream's: the arrival of the first unit.
    pub fn anchor(&self) -> Option<(MediaTime, WallTime)> {
        self.anchor
    }

    /// One frame behind the newest unit of any track.
    pub fn end(&self) -> MediaTime {
        match self.video.newest.max(self.audio.newest) {
            None => self.start,
            Some(newest) => {
                let of = if self.video.newest == Some(newest) { self.video } else { self.audio };
                newest.plus(of.frame.unwrap_or(FRAME_DEFAULT))
            }
        }
    }

    fn note(&mut self, kind: Kind, dts: MediaTime, arrived: Arrival) {
        self.anchor.get_or_insert((dts, arrived.wall));
        self.position = Some(StreamPosition::after(self.position, kind, dts, arrived.at));
    }

    /// Where a new clock of the source begins with a unit that arrives now.
    fn resumes(&self, kind: Kind, arrived: Arrival) -> MediaTime {
        let end = self.end();
        let Some(position) = self.position else { return end };
        let passed = arrived.at.saturating_duration_since(position.newest().arrived);
        // While units go on, a single arrival says less than the frame before.
        let goes_on = !self.clocks.is_empty() && passed <= PAUSE_MIN;
        if goes_on { end } else { position.at(kind, arrived.at).max(end) }
    }

    /// Finds the clock a stamp belongs to, or begins a new one.
    fn map(&mut self, kind: Kind, stamp: u32, arrived: Arrival) -> Mapped {
        let fits = self.clocks.iter().enumerate();
        let best =
            fits.filter_map(|(at, clock)| Some((at, clock.fit(kind, stamp)?))).min_by_key(|fit| fit.1.1);
        if let Some((at, (stamp, _))) = best {
            let clock = &mut self.clocks[at];
            clock.newest_ms = clock.newest_ms.max(stamp);
            let newest = clock.track(kind).get_or_insert(stamp);
            *newest = (*newest).max(stamp);
            return Mapped { ideal: clock.place(stamp), event: None, epoch: clock.epoch };
        }
        let jump_ms = self.clocks.first().map(|clock| clock.unwrap(stamp) - clock.newest_ms);
        let at = self.resumes(kind, arrived);
        let stamp_ms = i64::from(stamp);
        self.epochs += 1;
        let mut clock = SourceClock {
            epoch: self.epochs,
            newest_ms: stamp_ms,
            offset: at - MediaTime::from_millis(stamp_ms),
            video_ms: None,
            audio_ms: None,
        };
        *clock.track(kind) = Some(stamp_ms);
        self.clocks.truncate(1);
        self.clocks.insert(0, clock);
        let event = jump_ms.map(|jump_ms| TimelineEvent::Rebased { kind, jump_ms });
        Mapped { ideal: at, event, epoch: self.epochs }
    }
}

impl Default for Timeline {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod rows;
#[cfg(test)]
mod tests;
