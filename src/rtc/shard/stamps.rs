//! RTP timestamps: the stream's clock for live frames, the moment of sending for replayed ones.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use media::PacketRun;

/// How long the stamps of a replay are kept after its end, for resends.
const KEPT: Duration = Duration::from_secs(1);

/// Where a track's media clock stands: its newest frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameClock {
    /// The newest frame's time, in ticks of the RTP clock.
    pub(super) newest: i64,
    /// When it came.
    pub(super) arrived: Instant,
    /// Ticks between the last two frames.
    pub(super) interval: i64,
}

impl FrameClock {
    /// Ticks assumed between frames until there are two: 30 frames a second.
    const INTERVAL: i64 = 3000;

    /// The clock after one more frame.
    pub(super) fn after(before: Option<Self>, run: &PacketRun, rate: u32) -> Self {
        let newest = run.pts.as_ticks(rate);
        let interval = before.map_or(Self::INTERVAL, |before| {
            let step = newest - before.newest;
            if step > 0 { step.min(i64::from(rate)) } else { before.interval }
        });
        Self { newest, arrived: run.arrived, interval }
    }

    /// What the media clock shows now, but never as far as the next live frame: it must still be
    /// able to come after.
    fn now(&self, now: Instant, rate: u32) -> i64 {
        let since = now.saturating_duration_since(self.arrived).as_micros() * u128::from(rate) / 1_000_000;
        let shown = self.newest.saturating_add(i64::try_from(since).unwrap_or(i64::MAX));
        shown.min(self.newest + self.interval - 1)
    }
}

#[derive(Clone, Copy, Debug)]
struct Stamp {
    /// The frame's packets, from first to behind the last.
    packets: (u64, u64),
    ticks: i64,
}

/// The timestamps of one player's track.
///
/// Variant E of the measured replay: `max(last + 1, min(media clock, next live frame - 1))`. What
/// was stamped so is remembered, because a resend must be the same to the bit.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    last: Option<i64>,
    last_replayed: Option<i64>,
    /// Frames that did not get their own time, oldest first.
    moved: VecDeque<Stamp>,
    keep_until: Option<Instant>,
}

impl Stamps {
    /// Stamps a frame that is replayed.
    pub(super) fn replay(&mut self, run: &PacketRun, clock: &FrameClock, rate: u32, now: Instant) {
        let shown = clock.now(now, rate);
        let ticks = self.last.map_or(shown, |last| shown.max(last + 1));
        self.last_replayed = Some(ticks);
        self.keep_until = None;
        self.move_to(run, ticks);
    }

    /// Stamps a live frame: its own time, unless a replay went past it.
    pub(super) fn live(&mut self, run: &PacketRun, own: i64) {
        match self.last_replayed {
            Some(replayed) if own <= replayed => {
                self.last_replayed = Some(replayed + 1);
                self.move_to(run, replayed + 1);
            }
            _ => self.last = self.last.max(Some(own)),
        }
    }

    fn move_to(&mut self, run: &PacketRun, ticks: i64) {
        self.last = self.last.max(Some(ticks));
        self.moved.push_back(Stamp { packets: (run.first_packet, run.end_packet()), ticks });
    }

    /// What a frame was stamped with, in ticks: `own` is its own time.
    pub(super) fn of(&self, run: &PacketRun, own: i64) -> i64 {
        let at = self.moved.partition_point(|stamp| stamp.packets.1 <= run.first_packet);
        match self.moved.get(at) {
            Some(stamp) if stamp.packets.0 <= run.first_packet => stamp.ticks,
            _ => own,
        }
    }

    /// The replay has reached the live frames.
    pub(super) fn replay_ended(&mut self, now: Instant) {
        self.keep_until = Some(now + KEPT);
    }

    /// Forgets the moved stamps when they have been kept long enough; the packet number behind
    /// the last one, before which nothing may be sent again.
    pub(super) fn expire(&mut self, now: Instant) -> Option<u64> {
        self.keep_until.filter(|until| now >= *until)?;
        self.keep_until = None;
        let end = self.moved.back().map(|stamp| stamp.packets.1);
        self.moved = VecDeque::new();
        end
    }

    /// The packets sent so far will not be sent again.
    pub(super) fn forget(&mut self) {
        self.keep_until = None;
        self.moved.clear();
    }
}
