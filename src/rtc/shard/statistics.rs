//! What is known of one track of one player: what it was sent and asked for, and what its reports say of that.

use std::time::{Duration, Instant};

use rtc_rtcp::reception_report::ReceptionReport;

use super::play_track::Batch;

/// Losses are told of the reports within this and as much again: one report alone says little of a few percent.
const WINDOW: Duration = Duration::from_secs(5);

/// What a track was sent, and what was asked for. All of it only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SentStats {
    /// RTP packets sent, resends and replays included.
    pub packets: u64,
    /// Their bytes, with header and tag.
    pub bytes: u64,
    /// Frames begun, replayed ones included: pictures, or packets of sound.
    pub frames: u64,
    /// Packets sent again.
    pub resent: u64,
    /// Requests for missing packets (RFC 4585 6.2.1); one may name many.
    pub nacks: u64,
    /// Key frames asked for because a picture is missing (RFC 4585 6.3.1).
    pub plis: u64,
    /// Key frames asked for without a reason (RFC 5104 4.3.1).
    pub firs: u64,
}

/// What a player's reports say of a track (RFC 3550 6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReceivedStats {
    /// Share of packets missing, 0 to 1, between the last report and the one before. What came when it was sent again
    /// is not missing.
    pub fraction_lost: f32,
    /// Packets missing so far.
    pub lost: u32,
    /// How unevenly packets come (RFC 3550 A.8).
    pub jitter: Duration,
    /// Packets that went over the path of late, 5 to 10 s, each as often as it was sent.
    pub path_packets: u64,
    /// Of those, the ones that did not come, whatever became of them later.
    pub path_lost: u64,
}

/// How one track of a player fares.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TrackStats {
    /// What it was sent.
    pub sent: SentStats,
    /// What came of it.
    pub received: ReceivedStats,
}

impl SentStats {
    /// Packets were sent for the first time, and with them a frame may have begun.
    pub(super) fn count(&mut self, batch: &Batch, begins_frame: bool) {
        self.packets += batch.packets as u64;
        self.bytes += batch.bytes as u64;
        self.frames += u64::from(begins_frame);
    }

    /// A packet was sent again.
    pub(super) fn count_again(&mut self, batch: &Batch) {
        self.count(batch, false);
        self.resent += batch.packets as u64;
    }
}

impl std::ops::AddAssign for SentStats {
    fn add_assign(&mut self, more: Self) {
        self.packets += more.packets;
        self.bytes += more.bytes;
        self.frames += more.frames;
        self.resent += more.resent;
        self.nacks += more.nacks;
        self.plis += more.plis;
        self.firs += more.firs;
    }
}

/// Where a track stood at a report.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    /// The highest number that had come, wraps counted.
    highest: u32,
    /// Packets missing so far; what comes twice makes it negative.
    lost: i32,
    /// Packets sent again so far.
    resent: u64,
}

/// What a player has reported of one track.
///
/// A report tells of packets that are missing for good or not there yet: those that came when they were sent again
/// are not among them (RFC 3550 A.3 counts what comes). So what the path loses is what is missing and what had to be
/// sent again, of all that was sent.
#[derive(Debug)]
pub(super) struct Reports {
    /// From the newest.
    fraction_lost: f32,
    lost: i32,
    jitter_ticks: u32,
    /// Where the window begins, where it will begin next, and where it ends.
    begin: Mark,
    next: Mark,
    newest: Mark,
    /// When `next` was reported.
    next_at: Option<Instant>,
}

impl Reports {
    /// Of a track whose first packet will have that number.
    pub(super) fn new(first: u16) -> Self {
        let start = Mark { highest: u32::from(first).wrapping_sub(1), ..Mark::default() };
        Self {
            fraction_lost: 0.0,
            lost: 0,
            jitter_ticks: 0,
            begin: start,
            next: start,
            newest: start,
            next_at: None,
        }
    }

    /// Takes a report that came when so many `packets` had been sent for the first time, and so many again.
    pub(super) fn take(&mut self, report: &ReceptionReport, packets: u64, resent: u64, now: Instant) {
        self.fraction_lost = f32::from(report.fraction_lost) / 256.0;
        // A signed 24-bit number.
        self.lost = (report.total_lost << 8).cast_signed() >> 8;
        self.jitter_ticks = report.jitter;
        let mark = Mark { highest: report.last_sequence_number, lost: self.lost, resent };
        // That more came than was sent is not believed, and what is older than the newest report is no news.
        if u64::from(mark.highest.wrapping_sub(self.newest.highest)) > packets {
            return;
        }
        let since = *self.next_at.get_or_insert(now);
        if now.saturating_duration_since(since) >= WINDOW {
            (self.begin, self.next, self.next_at) = (self.next, mark, Some(now));
        }
        self.newest = mark;
    }

    /// As [`ReceivedStats::fraction_lost`].
    pub(super) const fn fraction_lost(&self) -> f32 {
        self.fraction_lost
    }

    /// What the reports say of a track whose clock ticks so often in a second.
    pub(super) fn stats(&self, clock_rate: u32) -> ReceivedStats {
        let resent = self.newest.resent.saturating_sub(self.begin.resent);
        let resent = i64::try_from(resent).unwrap_or(i64::MAX);
        let came_first = i64::from(self.newest.highest.wrapping_sub(self.begin.highest));
        let path_packets = came_first.saturating_add(resent);
        let missing = i64::from(self.newest.lost) - i64::from(self.begin.lost);
        let path_lost = missing.saturating_add(resent).clamp(0, path_packets);
        let jitter_us = u64::from(self.jitter_ticks) * 1_000_000 / u64::from(clock_rate.max(1));
        ReceivedStats {
            fraction_lost: self.fraction_lost,
            lost: u32::try_from(self.lost).unwrap_or(0),
            jitter: Duration::from_micros(jitter_us),
            path_packets: path_packets.unsigned_abs(),
            path_lost: path_lost.unsigned_abs(),
        }
    }
}

#[cfg(test)]
mod tests {
    use base::{Clock, SystemClock};

    use super::*;

    const FIRST: u16 = 30_000;

    /// A player that reports once a second on a track of 100 packets a second.
    struct Line {
        reports: Reports,
        now: Instant,
        packets: u64,
        lost: i32,
        resent: u64,
    }

    impl Line {
        fn new() -> Self {
            Self { reports: Reports::new(FIRST), now: SystemClock.now(), packets: 0, lost: 0, resent: 0 }
        }

        /// A second in which so many packets did not come at first; all but `missing` came when they were sent again.
        fn second(&mut self, lost: u64, missing: i32) -> ReceivedStats {
            self.now += Duration::from_secs(1);
            self.packets += 100;
            self.resent += lost;
            self.lost += missing;
            self.report(u32::from(FIRST) + self.packets as u32 - 1)
        }

        fn report(&mut self, highest: u32) -> ReceivedStats {
            let report = ReceptionReport {
                last_sequence_number: highest,
                total_lost: self.lost as u32 & 0xff_ffff,
                fraction_lost: 64,
                jitter: 900,
                ..ReceptionReport::default()
            };
            self.reports.take(&report, self.packets, self.resent, self.now);
            self.reports.stats(90_000)
        }
    }

    fn share(stats: ReceivedStats) -> f64 {
        stats.path_lost as f64 / stats.path_packets as f64
    }

    #[test]
    fn what_was_healed_was_lost_on_the_path_all_the_same() {
        let mut line = Line::new();
        let first = line.second(4, 0);
        assert_eq!((first.path_packets, first.path_lost, first.lost), (104, 4, 0));
        assert_eq!((first.fraction_lost, first.jitter), (0.25, Duration::from_millis(10)));
        // Two of five never come, though each was sent again: what was sent again was lost as well.
        let second = line.second(5, 2);
        assert_eq!((second.path_packets, second.path_lost, second.lost), (209, 11, 2));
    }

    #[test]
    fn losses_are_told_of_the_last_seconds() {
        let mut line = Line::new();
        for _ in 0..20 {
            line.second(0, 0);
        }
        // The numbers wrap on the way.
        let path = (0..700).map(|_| line.second(3, 0)).last().unwrap();
        assert!((share(path) - 3.0 / 103.0).abs() < 0.001, "{path:?}");
        assert!((500..=1_100).contains(&path.path_packets), "{path:?}");
        let clear = (0..10).map(|_| line.second(0, 0)).last().unwrap();
        assert_eq!(clear.path_lost, 0);
    }

    #[test]
    fn what_cannot_be_is_not_believed() {
        let mut line = Line::new();
        let before = line.second(2, 0);
        for highest in [0, u32::from(FIRST) + 5, u32::from(FIRST) + 500, u32::MAX] {
            let after = line.report(highest);
            assert_eq!((after.path_packets, after.path_lost), (before.path_packets, before.path_lost));
        }
        // More missing than were sent, and less than none.
        line.second(0, i32::MAX >> 8);
        let all = line.second(0, 0);
        assert_eq!((all.path_lost, all.path_packets), (302, 302));
        line.lost = -5;
        let none = line.second(0, 0);
        assert_eq!((none.path_lost, none.lost), (0, 0));
    }

    #[test]
    fn a_player_that_reports_nothing_lost_nothing() {
        let reports = Reports::new(0);
        assert_eq!(reports.stats(48_000), ReceivedStats::default());
    }
}
