//! What comes from WebRTC publishers, and how: REST sums it up by application.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base::AppName;
use media::Kind;
use parking_lot::Mutex;

use super::super::statistics::Rates;
use super::feed::Feed;

/// What rates and shares are over.
const WINDOW: Duration = Duration::from_secs(1);
/// How much one packet moves the jitter (RFC 3550 6.4.1).
const JITTER_GAIN: f64 = 1.0 / 16.0;

/// What came of one kind of media.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReceivedFigures {
    /// RTP packets, those that came again among them.
    pub packets: u64,
    /// Their bytes, with headers.
    pub bytes: u64,
    /// Packets that never came, or too late.
    pub lost: u64,
    /// Frames that came whole.
    pub frames: u64,
    /// Requests for packets to be sent again.
    pub nacks: u64,
    /// Requests for key frames.
    pub key_frame_requests: u64,
    /// How unevenly packets come (RFC 3550 6.4.1); of several publishers the greatest.
    pub jitter: Duration,
    /// Now.
    pub rates: Rates,
    /// Packets lost within a second, of late.
    pub lost_per_second: f64,
}

impl ReceivedFigures {
    /// What part of the packets is lost now, 0 to 1.
    pub fn fraction_lost(&self) -> f64 {
        let due = self.rates.packets + self.lost_per_second;
        if due > 0.0 { self.lost_per_second / due } else { 0.0 }
    }

    fn add(&mut self, more: &Self) {
        self.packets += more.packets;
        self.bytes += more.bytes;
        self.lost += more.lost;
        self.frames += more.frames;
        self.nacks += more.nacks;
        self.key_frame_requests += more.key_frame_requests;
        self.jitter = self.jitter.max(more.jitter);
        self.rates.packets += more.rates.packets;
        self.rates.bytes += more.rates.bytes;
        self.rates.frames += more.rates.frames;
        self.lost_per_second += more.lost_per_second;
    }
}

/// What comes of one kind of one publisher's media.
#[derive(Debug, Default)]
pub(super) struct Reception {
    pub(super) figures: ReceivedFigures,
    clock_rate: u32,
    /// When the newest packet came, and its timestamp.
    newest: Option<(Instant, u32)>,
    jitter_s: f64,
    /// Where the window began, and what there was then.
    window: Option<(Instant, ReceivedFigures)>,
}

impl Reception {
    pub(super) fn new(clock_rate: u32) -> Self {
        Self { clock_rate, ..Self::default() }
    }

    pub(super) fn packet(&mut self, bytes: u64, timestamp: u32, at: Instant) {
        self.figures.packets += 1;
        self.figures.bytes += bytes;
        if let Some((before, stamped)) = self.newest.replace((at, timestamp)) {
            let ticks = f64::from(timestamp.wrapping_sub(stamped) as i32);
            let apart = at.saturating_duration_since(before).as_secs_f64();
            let uneven = (apart - ticks / f64::from(self.clock_rate.max(1))).abs();
            // What comes again, or after a pause, says nothing of the path.
            if uneven < 1.0 {
                self.jitter_s += (uneven - self.jitter_s) * JITTER_GAIN;
                self.figures.jitter = Duration::from_secs_f64(self.jitter_s.max(0.0));
            }
        }
    }

    pub(super) fn tick(&mut self, now: Instant) {
        let (began, before) = *self.window.get_or_insert((now, self.figures));
        let took = now.saturating_duration_since(began);
        if took < WINDOW {
            return;
        }
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / took.as_secs_f64();
        self.figures.rates = Rates {
            packets: rate(self.figures.packets, before.packets),
            bytes: rate(self.figures.bytes, before.bytes),
            frames: rate(self.figures.frames, before.frames),
        };
        self.figures.lost_per_second = rate(self.figures.lost, before.lost);
        self.window = Some((now, self.figures));
    }
}

/// What the publishers of an application send together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Received {
    /// Pictures.
    pub video: ReceivedFigures,
    /// Sound.
    pub audio: ReceivedFigures,
}

/// The WebRTC publishers of the node. Who ends leaves by being dropped.
#[derive(Clone, Default)]
pub struct Receptions(Arc<Mutex<Vec<Shown>>>);

/// One of them.
struct Shown {
    app: AppName,
    feed: Arc<Mutex<Feed>>,
}

impl Receptions {
    /// Shows what comes by a feed as long as what is returned lives. As many as there are publishers.
    pub(super) fn show(&self, app: AppName, feed: &Arc<Mutex<Feed>>) -> Showing {
        self.0.lock().push(Shown { app, feed: Arc::clone(feed) });
        Showing { of: self.clone(), feed: Arc::clone(feed) }
    }

    /// What comes from the publishers of an application that are there now.
    pub fn of(&self, app: &AppName) -> Received {
        let shown = self.0.lock();
        let feeds: Vec<_> =
            shown.iter().filter(|shown| shown.app == *app).map(|shown| Arc::clone(&shown.feed)).collect();
        // Feeds are locked by their publishers for longer than this is.
        drop(shown);
        let mut sum = Received::default();
        for feed in feeds {
            let feed = feed.lock();
            sum.video.add(feed.received(Kind::Video));
            sum.audio.add(feed.received(Kind::Audio));
        }
        sum
    }
}

/// A publisher that is shown.
pub(super) struct Showing {
    of: Receptions,
    feed: Arc<Mutex<Feed>>,
}

impl Drop for Showing {
    fn drop(&mut self) {
        self.of.0.lock().retain(|shown| !Arc::ptr_eq(&shown.feed, &self.feed));
    }
}

#[cfg(test)]
mod tests {
    use base::{Clock, SystemClock};

    use super::*;

    #[test]
    fn rates_and_shares_are_those_of_the_last_second() {
        let mut reception = Reception::new(90_000);
        let begin = SystemClock.now();
        reception.tick(begin);
        for packet in 0..100_u32 {
            reception.packet(1_000, packet * 900, begin + Duration::from_millis(10) * packet);
        }
        reception.figures.lost += 25;
        reception.tick(begin + Duration::from_millis(990));
        assert_eq!(reception.figures.rates, Rates::default());
        reception.tick(begin + Duration::from_secs(1));
        assert_eq!((reception.figures.rates.packets, reception.figures.rates.bytes), (100.0, 100_000.0));
        assert!((reception.figures.fraction_lost() - 0.2).abs() < 1e-9);
        reception.tick(begin + Duration::from_secs(2));
        assert_eq!((reception.figures.rates.packets, reception.figures.fraction_lost()), (0.0, 0.0));
        assert_eq!((reception.figures.packets, reception.figures.lost), (100, 25));
        assert!(reception.figures.jitter < Duration::from_micros(1), "{:?}", reception.figures.jitter);
    }

    #[test]
    fn jitter_is_how_unevenly_packets_come() {
        let mut reception = Reception::new(48_000);
        let begin = SystemClock.now();
        for packet in 0..1_000_u32 {
            let late = if packet % 2 == 0 { 0 } else { 8 };
            reception.packet(
                100,
                packet.wrapping_mul(960),
                begin + Duration::from_millis((20 * packet + late).into()),
            );
        }
        let jitter = reception.figures.jitter.as_secs_f64();
        assert!((jitter - 0.008).abs() < 0.000_1, "{jitter}");
    }
}
