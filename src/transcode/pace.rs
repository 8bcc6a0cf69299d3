//! Evening out audio that comes in bursts.
//!
//! Encoders interleave audio with video, so two or three audio frames arrive at once with every
//! picture. Players answer such jitter with a deep buffer (Chromium: 70 to 90 ms) and sound that
//! lags the picture until they have caught up; handed on at an even pace it is far shallower.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use base::{MediaTime, limits};

/// How long a late arrival is remembered.
const WINDOW: Duration = Duration::from_secs(2);

/// Tells when a packet is to be handed on: at an even pace, behind the latest of the recent
/// arrivals, and never held for more than [`limits::AUDIO_PACE_MAX`].
#[derive(Debug, Default)]
pub(crate) struct Pace {
    origin: Option<(Instant, MediaTime)>,
    /// How late packets came against the first, in nanoseconds: the latest and the earliest of late.
    latest: Extreme,
    earliest: Extreme,
}

/// The greatest of the values of the last [`WINDOW`]: what stands here is falling.
#[derive(Debug, Default)]
pub(crate) struct Extreme(VecDeque<(Instant, i64)>);

impl Extreme {
    pub(crate) fn of(&mut self, value: i64, at: Instant) -> i64 {
        while self.0.back().is_some_and(|(_, earlier)| *earlier <= value) {
            self.0.pop_back();
        }
        self.0.push_back((at, value));
        while self.0.front().is_some_and(|(then, _)| at.saturating_duration_since(*then) > WINDOW) {
            self.0.pop_front();
        }
        self.0.front().map_or(value, |(_, greatest)| *greatest)
    }
}

impl Pace {
    /// When the packet of that time, which arrived then, is due. Packets come in order.
    pub(crate) fn due(&mut self, dts: MediaTime, arrived: Instant) -> Instant {
        let (origin, first) = *self.origin.get_or_insert((arrived, dts));
        let since = i64::try_from(arrived.saturating_duration_since(origin).as_nanos()).unwrap_or(i64::MAX);
        let late = since.saturating_sub((dts - first).as_nanos());
        let earliest = -self.earliest.of(-late, arrived);
        let most = i64::try_from(limits::AUDIO_PACE_MAX.as_nanos()).unwrap_or(i64::MAX);
        if late.saturating_sub(earliest) > most {
            // A stall, or the silence that fills a gap: no pace to keep up with.
            return arrived;
        }
        // Later than that were the first ones of an encoder that begins with a burst: nothing is held for them.
        let latest = self.latest.of(late, arrived).min(earliest.saturating_add(most));
        let hold = Duration::from_nanos(u64::try_from(latest.saturating_sub(late)).unwrap_or(0));
        arrived + hold.min(limits::AUDIO_PACE_MAX)
    }
}

/// How far a hold may be from what it should be: less is not heard, and not worth an uneven pace.
const HOLD_OFF_MAX: Duration = Duration::from_millis(15);
/// How much a hold moves per packet: a tenth of what one lasts.
const HOLD_STEP: Duration = Duration::from_millis(2);
/// Further off than this it begins anew: a viewer notices the wait less than what follows it.
const HOLD_JUMP: Duration = Duration::from_millis(150);

/// Holds sound back until the pictures it belongs to are there, when those are made by somebody who takes
/// his time. Moves slowly, because players take a jump for a change of the path.
#[derive(Debug, Default)]
pub(crate) struct Hold {
    held: Duration,
    moving: bool,
}

impl Hold {
    /// How long the next packet is to be held, given how late pictures are.
    pub(crate) fn towards(&mut self, lag: Duration) -> Duration {
        let off = self.held.abs_diff(lag);
        if off > HOLD_JUMP {
            *self = Self { held: lag, moving: false };
            return self.held;
        }
        self.moving = off > HOLD_OFF_MAX || (self.moving && off > HOLD_STEP);
        if self.moving {
            let step = off.min(HOLD_STEP);
            self.held = if lag > self.held { self.held + step } else { self.held.saturating_sub(step) };
        }
        self.held
    }
}

#[cfg(test)]
mod tests {
    use base::{Clock, SystemClock};

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn bursts_become_an_even_pace() {
        let start = SystemClock.now();
        let mut pace = Pace::default();
        let mut last = None;
        // Packets of 20 ms that arrive with the pictures, every 33 ms.
        for packet in 0..200_u32 {
            let made = MediaTime::from_millis(i64::from(packet) * 20);
            let arrived = start + 33 * MS * (packet * 20).div_ceil(33);
            let due = pace.due(made, arrived);
            assert!(due >= arrived && due <= arrived + 33 * MS, "packet {packet}");
            if packet > 20 {
                let step = due - last.unwrap_or(due);
                assert!(step >= 19 * MS && step <= 21 * MS, "packet {packet} after {step:?}");
            }
            last = Some(due);
        }
    }

    /// ffmpeg begins with 0.3 s at once.
    #[test]
    fn an_even_pace_follows_the_burst_an_encoder_begins_with() {
        let start = SystemClock.now();
        let mut pace = Pace::default();
        let (mut last, mut uneven) = (None, Vec::new());
        for packet in 0..200_u32 {
            let made = MediaTime::from_millis(i64::from(packet) * 20);
            // With the pictures, every 33 ms, and those of the first 300 ms when the last of them is made.
            let arrived = start + 33 * MS * (packet * 20).max(300).div_ceil(33);
            let hold = pace.due(made, arrived) - arrived;
            let due = arrived + hold;
            if packet > 20 {
                assert!(hold <= 60 * MS, "packet {packet} is held for {hold:?}");
                let step = due.saturating_duration_since(last.unwrap_or(due));
                if step < 19 * MS || step > 21 * MS {
                    uneven.push((packet, step));
                }
            }
            last = Some(due);
        }
        // Once the burst is forgotten what comes with the pictures alone is held for less.
        assert!(uneven.len() <= 2, "{uneven:?}");
    }

    #[test]
    fn a_hold_follows_slowly_and_leaves_small_differences_alone() {
        let mut hold = Hold::default();
        assert_eq!(hold.towards(400 * MS), 400 * MS, "the first is a jump");
        assert_eq!(hold.towards(410 * MS), 400 * MS);
        let held: Vec<_> = (0..30).map(|_| hold.towards(440 * MS)).collect();
        assert_eq!((held[0], held[1], held[29]), (402 * MS, 404 * MS, 438 * MS));
        assert_eq!(hold.towards(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn an_even_source_is_not_held() {
        let start = SystemClock.now();
        let mut pace = Pace::default();
        for packet in 0..100_u32 {
            let at = start + 20 * MS * packet;
            assert_eq!(pace.due(MediaTime::from_millis(i64::from(packet) * 20), at), at);
        }
    }

    #[test]
    fn a_long_stall_does_not_hold_what_comes_after_it() {
        let start = SystemClock.now();
        let mut pace = Pace::default();
        for packet in 0..300_u32 {
            let stall = if (50..60).contains(&packet) { 500 * MS } else { Duration::ZERO };
            let arrived = start + 20 * MS * packet + stall;
            let held = pace.due(MediaTime::from_millis(i64::from(packet) * 20), arrived) - arrived;
            assert_eq!(held, Duration::ZERO, "packet {packet}");
        }
    }
}
