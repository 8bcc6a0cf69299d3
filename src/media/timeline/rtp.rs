//! From the RTP clocks of a publisher to the stream's.

use std::time::{Duration, Instant};

use base::MediaTime;

use super::{JUMP_MAX_MS, Output, STEP_BACK_MAX_MS, TimelineEvent};
use crate::clock::{Arrival, ClockPoint, StreamPosition};
use crate::codec::Kind;

/// Timestamps that have stood still beyond [`JUMP_MAX_MS`] for this long were no held up packets, which would have
/// come in a burst by now: the source's clock stood, and begins anew.
const STANDSTILL_MIN: Duration = Duration::from_millis(500);
/// Pictures are moved by at most this part of the time they last: 5 ms in 100 ms.
const SLEW_DIVISOR: i64 = 20;
/// Pictures and sound that are nearer to each other than this are in step: sender reports are not more exact.
const IN_STEP: MediaTime = MediaTime::from_millis(5);
/// Pictures and sound that are farther apart than this by their sender reports are so by mistake.
const APART_MAX: MediaTime = MediaTime::from_millis(2_000);
/// Reports of the two kinds that came farther apart than this are not compared.
const REPORTS_APART_MAX: Duration = Duration::from_secs(30);

/// Maps the RTP timestamps of one publisher (one video and one audio track) to the stream's clock.
///
/// Each kind is placed by its own timestamps alone, exactly: a frame's distance to the one before it is what its
/// publisher says, in whole ticks, and players are told the same. What the timestamps do not say is where a kind
/// begins. At first its arrival does, against what the other kind lies behind its own; once sender reports of both
/// kinds are there (RFC 3550 6.4.1), they do. Sound is master; pictures are moved, at once as long as none was
/// handed out, else by a twentieth of the time they last. A step back, a jump ahead of the time that passed, or a
/// clock that stood is a new clock, which begins by its arrival ([`StreamPosition::at`]).
#[derive(Debug)]
pub(crate) struct RtpTimeline {
    start: MediaTime,
    /// Where the stream's clock stands, by this source and the one before: as [`super::Timeline`] has it.
    position: Option<StreamPosition>,
    video: Lane,
    audio: Lane,
    /// Pictures were handed out: players may have them, and they are moved gently from now on.
    shown: bool,
    /// By how many ticks pictures are still to be moved.
    slew: i64,
}

/// One kind of media.
#[derive(Debug)]
struct Lane {
    /// Ticks per second.
    rate: u32,
    clock: Option<Clock>,
    report: Option<Report>,
    output: Output,
}

/// A source's RTP clock since its last step.
#[derive(Debug)]
struct Clock {
    /// The newest timestamp, unwrapped.
    newest: i64,
    /// What unwrapped 0 is on the stream's clock, in ticks: whole ones, so that nothing is rounded.
    base: i64,
    /// The newest frame that came when its timestamp says.
    on_time: ClockPoint,
    /// Since when frames come far later than their timestamps say.
    late_since: Option<Instant>,
}

/// What the source's clock showed at a moment of its wall clock.
#[derive(Clone, Copy, Debug)]
struct Report {
    /// Seconds of the wall clock, in units of 2^-32.
    ntp: u64,
    rtp: u32,
    arrived: Instant,
    /// `rtp` unwrapped, once the clock has begun.
    ticks: Option<i64>,
}

impl Clock {
    fn unwrap(&self, timestamp: u32) -> i64 {
        // The low 32 bits of the newest one; the distance is the shorter way around the circle.
        let newest = self.newest as u32;
        let distance = timestamp.wrapping_sub(newest) as i32;
        self.newest.saturating_add(i64::from(distance))
    }

    fn at(&self, ticks: i64, rate: u32) -> MediaTime {
        MediaTime::from_ticks(self.base.saturating_add(ticks), rate)
    }

    /// Moves everything that comes.
    fn shift(&mut self, ticks: i64, rate: u32) {
        self.base = self.base.saturating_add(ticks);
        self.on_time.dts = self.on_time.dts + MediaTime::from_ticks(ticks, rate);
    }

    /// Whether a frame cannot be of this clock, and by how much it is ahead of its arrival then.
    fn refuses(&mut self, ticks: i64, ahead: MediaTime, rate: u32, arrived: Instant) -> bool {
        let steps_back =
            MediaTime::from_ticks(self.newest.saturating_sub(ticks), rate).as_millis() > STEP_BACK_MAX_MS;
        if steps_back || ahead.as_millis() > JUMP_MAX_MS {
            return true;
        }
        if ahead.as_millis() >= -JUMP_MAX_MS {
            self.late_since = None;
            return false;
        }
        let since = *self.late_since.get_or_insert(arrived);
        arrived.saturating_duration_since(since) >= STANDSTILL_MIN
    }
}

impl Lane {
    const fn new() -> Self {
        Self { rate: 1, clock: None, report: None, output: Output::EMPTY }
    }

    /// Begins its clock with a frame that lies at `at`, to a tick.
    fn begin(&mut self, timestamp: u32, at: MediaTime, arrived: Instant) {
        let newest = i64::from(timestamp);
        let base = at.as_ticks(self.rate).saturating_sub(newest);
        let clock = Clock { newest, base, on_time: ClockPoint { dts: at, arrived }, late_since: None };
        if let Some(report) = &mut self.report {
            report.ticks = Some(clock.unwrap(report.rtp));
        }
        self.clock = Some(clock);
    }

    /// Where its report lies on the stream's clock.
    fn reported(&self) -> Option<(Report, MediaTime)> {
        let (clock, report) = (self.clock.as_ref()?, self.report?);
        Some((report, clock.at(report.ticks?, self.rate)))
    }
}

impl RtpTimeline {
    /// The timeline of a new stream's source, which begins at [`MediaTime::ZERO`].
    pub(crate) const fn new() -> Self {
        let (video, audio) = (Lane::new(), Lane::new());
        Self { start: MediaTime::ZERO, position: None, video, audio, shown: false, slew: 0 }
    }

    /// The timeline of a source that goes on with a stream of another one.
    pub(crate) fn resuming(position: StreamPosition) -> Self {
        Self { start: position.newest().dts.plus(super::STEP), position: Some(position), ..Self::new() }
    }

    const fn lane(&mut self, kind: Kind) -> &mut Lane {
        match kind {
            Kind::Video => &mut self.video,
            Kind::Audio => &mut self.audio,
        }
    }

    /// A kind has another clock from here on, of which nothing is known but its rate in ticks per second.
    pub(crate) fn restart(&mut self, kind: Kind, rate: u32) {
        let lane = self.lane(kind);
        (lane.rate, lane.clock, lane.report) = (rate.max(1), None, None);
        self.slew = 0;
    }

    /// The first packet of a clock came: where it begins. Later ones change nothing.
    pub(crate) fn begin(&mut self, kind: Kind, timestamp: u32, arrived: Arrival) {
        if self.lane(kind).clock.is_none() {
            self.begin_anew(kind, timestamp, arrived);
            self.aim();
        }
    }

    fn begin_anew(&mut self, kind: Kind, timestamp: u32, arrived: Arrival) -> MediaTime {
        let ideal = self.position.map_or(self.start, |position| position.at(kind, arrived.at));
        let at = ideal.max(self.start);
        self.lane(kind).begin(timestamp, at, arrived.at);
        self.note(kind, at, arrived.at);
        at
    }

    /// Places the next frame of a kind, whose first packet arrived then.
    pub(crate) fn place(
        &mut self,
        kind: Kind,
        timestamp: u32,
        arrived: Arrival,
    ) -> (MediaTime, Option<TimelineEvent>) {
        self.begin(kind, timestamp, arrived);
        let (start, shown, slew) = (self.start, self.shown, self.slew);
        let lane = self.lane(kind);
        let rate = lane.rate;
        let mut moved = 0;
        let mut jump = None;
        let mut ideal = start;
        if let Some(clock) = &mut lane.clock {
            let ticks = clock.unwrap(timestamp);
            if kind == Kind::Video {
                let lasted = (ticks - clock.newest).max(0);
                let at_most = if shown { lasted / SLEW_DIVISOR } else { i64::MAX };
                moved = slew.clamp(-at_most, at_most);
                clock.shift(moved, rate);
            }
            ideal = clock.at(ticks, rate);
            let ahead = ideal - clock.on_time.at(arrived.at);
            if clock.refuses(ticks, ahead, rate, arrived.at) {
                jump = Some(ahead.as_millis());
            } else {
                clock.newest = clock.newest.max(ticks);
                if clock.late_since.is_none() {
                    clock.on_time = ClockPoint { dts: ideal, arrived: arrived.at };
                }
            }
        }
        self.slew -= moved;
        if jump.is_some() {
            self.lane(kind).report = None;
            self.slew = 0;
            ideal = self.begin_anew(kind, timestamp, arrived);
        }
        let dts = self.lane(kind).output.advance(ideal, start);
        self.note(kind, dts, arrived.at);
        (dts, jump.map(|jump_ms| TimelineEvent::Rebased { kind, jump_ms }))
    }

    /// A sender report of a kind: `ntp` is its wall clock in seconds, in units of 2^-32.
    pub(crate) fn report(&mut self, kind: Kind, ntp: u64, rtp: u32, arrived: Instant) {
        // A source without a wall clock says so (RFC 3550 6.4.1).
        if ntp == 0 {
            return;
        }
        let lane = self.lane(kind);
        let ticks = lane.clock.as_ref().map(|clock| clock.unwrap(rtp));
        lane.report = Some(Report { ntp, rtp, arrived, ticks });
        self.aim();
    }

    /// Pictures go out from now on.
    pub(crate) const fn show(&mut self) {
        self.shown = true;
    }

    /// Finds by how much pictures are to be moved to be in step with sound, by the newest reports.
    fn aim(&mut self) {
        let (Some((video, video_at)), Some((audio, audio_at))) =
            (self.video.reported(), self.audio.reported())
        else {
            return;
        };
        let later = video.arrived.max(audio.arrived);
        let apart = later.saturating_duration_since(video.arrived.min(audio.arrived));
        if apart > REPORTS_APART_MAX {
            return;
        }
        let distance = (i128::from(video.ntp.wrapping_sub(audio.ntp) as i64) * 1_000_000_000) >> 32;
        let distance = MediaTime::from_nanos(i64::try_from(distance).unwrap_or(i64::MAX));
        let ahead = (video_at - audio_at) - distance;
        let off = ahead.max(MediaTime::ZERO - ahead);
        self.slew = if off <= IN_STEP || off > APART_MAX { 0 } else { -ahead.as_ticks(self.video.rate) };
    }

    fn note(&mut self, kind: Kind, dts: MediaTime, arrived: Instant) {
        self.position = Some(StreamPosition::after(self.position, kind, dts, arrived));
    }
}

#[cfg(test)]
mod tests;
