//! What came of one track, read from RTP headers alone.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rtc_rtcp::reception_report::ReceptionReport;

use super::offer::{OfferedTrack, TrackKind};
use crate::source::FPS;

/// Between two requests for the same packet: Chromium's guess of a round trip.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// Requests for one packet, then it is lost for good (Chromium: 10).
const ASKS_MAX: u8 = 10;
/// A larger jump of sequence numbers is a new beginning (Chromium: 1,000 requests at most).
const HOLE_MAX: u64 = 1_000;

/// From one frame to the next, in ticks of the video clock.
const FRAME_TICKS: u32 = 90_000 / FPS;
/// From one frame to the next in fast motion, at most; RTMP's milliseconds make steps uneven by 60 ticks.
const FAST_TICKS: u32 = FRAME_TICKS * 9 / 10;

/// What was counted of a track since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// RTP packets, duplicates not among them.
    pub packets: u64,
    /// Their bytes as datagrams, with header and tag.
    pub bytes: u64,
    /// Packets that had come already or were given up.
    pub duplicates: u64,
    /// Packets that were missing when a later one came.
    pub missed: u64,
    /// Of those, the ones that came later, asked for or just late.
    pub recovered: u64,
    /// Of those, the ones given up.
    pub lost: u64,
    /// Frames of video of which every packet came.
    pub frames: u64,
    /// Frames of video that ended with a packet missing for good.
    pub broken_frames: u64,
    /// Of the whole ones, those that came in fast motion, as the node replays what was missed.
    pub fast_frames: u64,
    /// How long whole frames were there to be shown, in frames: one in fast motion fills only a part of its time.
    /// In thousandths.
    pub frames_filled_milli: u64,
    /// Frames of video that the node left out, whose packets nobody misses: seen from the timestamps.
    pub skipped_frames: u64,
}

impl Counts {
    /// What was counted since `before`.
    #[must_use]
    pub const fn since(&self, before: &Self) -> Self {
        Self {
            packets: self.packets - before.packets,
            bytes: self.bytes - before.bytes,
            duplicates: self.duplicates - before.duplicates,
            missed: self.missed - before.missed,
            recovered: self.recovered - before.recovered,
            lost: self.lost - before.lost,
            frames: self.frames - before.frames,
            broken_frames: self.broken_frames - before.broken_frames,
            fast_frames: self.fast_frames - before.fast_frames,
            frames_filled_milli: self.frames_filled_milli - before.frames_filled_milli,
            skipped_frames: self.skipped_frames - before.skipped_frames,
        }
    }

    /// Adds what another track counted.
    pub const fn add(&mut self, more: &Self) {
        self.packets += more.packets;
        self.bytes += more.bytes;
        self.duplicates += more.duplicates;
        self.missed += more.missed;
        self.recovered += more.recovered;
        self.lost += more.lost;
        self.frames += more.frames;
        self.broken_frames += more.broken_frames;
        self.fast_frames += more.fast_frames;
        self.frames_filled_milli += more.frames_filled_milli;
        self.skipped_frames += more.skipped_frames;
    }

    /// The frames whose time was filled: whole ones, but what is replayed in fast motion counts by its time.
    pub const fn frames_filled(&self) -> f64 {
        self.frames_filled_milli as f64 / 1_000.0
    }
}

#[derive(Clone, Copy)]
enum Slot {
    Came { marker: bool, timestamp: u32 },
    Lost,
}

/// What a packet brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Came {
    /// Its extended number.
    pub(super) sequence: u64,
    /// Whether it made a frame of video whole.
    pub(super) frame: bool,
}

struct Missing {
    asks: u8,
    ask_at: Instant,
}

/// The header fields of one packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) marker: bool,
    /// Bytes of the datagram.
    pub(super) bytes: usize,
}

/// One track.
pub struct Track {
    /// Audio or video.
    pub kind: TrackKind,
    /// The sender's name for it.
    pub ssrc: u32,
    clock_rate: u32,
    counts: Counts,
    /// The extended number everything before which has come or was given up.
    cursor: u64,
    highest: u64,
    first: Option<(u64, Instant)>,
    /// What came or was given up beyond the cursor.
    ahead: BTreeMap<u64, Slot>,
    missing: BTreeMap<u64, Missing>,
    frame_broken: bool,
    /// RFC 3550 A.8, in sixteenths of a tick.
    jitter: u64,
    transit: Option<i64>,
    /// Expected and received at the last report (RFC 3550 A.3).
    reported: (u64, u64),
    sender_report: Option<(u32, Instant)>,
    /// Of the last frame that ended, whole or not.
    last_frame: Option<u32>,
    /// RTP time less the sender's wall clock, ticks modulo 2^32.
    clock_offset: Option<u32>,
    picture_lost: bool,
}

impl Track {
    pub(super) fn new(offered: &OfferedTrack) -> Self {
        Self {
            kind: offered.kind,
            ssrc: offered.ssrc,
            clock_rate: offered.clock_rate,
            counts: Counts::default(),
            cursor: 0,
            highest: 0,
            first: None,
            ahead: BTreeMap::new(),
            missing: BTreeMap::new(),
            frame_broken: false,
            jitter: 0,
            transit: None,
            reported: (0, 0),
            sender_report: None,
            last_frame: None,
            clock_offset: None,
            picture_lost: false,
        }
    }

    /// What was counted so far.
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The extended number before which everything has come or was given up.
    pub(super) const fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Counts a packet; `None` for one that had come already.
    pub(super) fn packet(&mut self, header: Header, now: Instant) -> Option<Came> {
        let sequence = self.extend(header.sequence, now);
        if sequence < self.cursor || self.ahead.contains_key(&sequence) {
            self.counts.duplicates += 1;
            return None;
        }
        self.counts.packets += 1;
        self.counts.bytes += header.bytes as u64;
        self.count_jitter(header.timestamp, now);
        if sequence > self.highest {
            self.note_hole(sequence, now);
            self.highest = sequence;
        }
        if self.missing.remove(&sequence).is_some() {
            self.counts.recovered += 1;
        }
        let before = self.counts.frames;
        let slot = Slot::Came { marker: header.marker, timestamp: header.timestamp };
        if sequence == self.cursor && self.ahead.is_empty() {
            self.pass(slot);
        } else {
            self.ahead.insert(sequence, slot);
            self.advance();
        }
        Some(Came { sequence, frame: self.counts.frames > before })
    }

    /// The 64-bit number next to the highest one that ends in `sequence`.
    fn extend(&mut self, sequence: u16, now: Instant) -> u64 {
        if self.first.is_none() {
            // One wrap up, so that packets before the first one have numbers too.
            let first = 0x1_0000 | u64::from(sequence);
            self.first = Some((first, now));
            self.cursor = first;
            self.highest = first - 1;
            self.reported = (0, 0);
        }
        let step = sequence.wrapping_sub(self.highest as u16).cast_signed();
        self.highest.saturating_add_signed(i64::from(step))
    }

    fn note_hole(&mut self, sequence: u64, now: Instant) {
        let from = self.highest + 1;
        self.counts.missed += sequence - from;
        if sequence - from > HOLE_MAX {
            self.counts.lost += sequence - from + self.missing.len() as u64;
            self.ahead.clear();
            self.missing.clear();
            self.cursor = sequence;
            self.frame_broken = true;
            self.picture_lost = true;
            return;
        }
        self.missing.extend((from..sequence).map(|lost| (lost, Missing { asks: 0, ask_at: now })));
    }

    fn advance(&mut self) {
        while let Some(slot) = self.ahead.remove(&self.cursor) {
            self.pass(slot);
        }
    }

    fn pass(&mut self, slot: Slot) {
        self.cursor += 1;
        match slot {
            Slot::Lost => self.frame_broken = true,
            Slot::Came { marker: true, timestamp } if self.kind == TrackKind::Video => {
                let ticks = self.count_skipped(timestamp);
                if std::mem::take(&mut self.frame_broken) {
                    self.counts.broken_frames += 1;
                    return;
                }
                self.counts.frames += 1;
                if ticks < FAST_TICKS {
                    self.counts.fast_frames += 1;
                    self.counts.frames_filled_milli += u64::from(ticks * 1_000 / FRAME_TICKS);
                } else {
                    self.counts.frames_filled_milli += 1_000;
                }
            }
            Slot::Came { .. } => {}
        }
    }

    /// A node that leaves frames out leaves no hole in the numbers, but one in the times. From the last frame to
    /// this one, in ticks.
    fn count_skipped(&mut self, timestamp: u32) -> u32 {
        let Some(last) = self.last_frame.replace(timestamp) else { return FRAME_TICKS };
        let ticks = u32::try_from(timestamp.wrapping_sub(last).cast_signed()).unwrap_or(0);
        let frames = (ticks + FRAME_TICKS / 2) / FRAME_TICKS;
        self.counts.skipped_frames += u64::from(frames.saturating_sub(1));
        ticks
    }

    fn count_jitter(&mut self, timestamp: u32, now: Instant) {
        let Some((_, start)) = self.first else { return };
        let elapsed =
            now.saturating_duration_since(start).as_micros() * u128::from(self.clock_rate) / 1_000_000;
        let transit = i64::from((elapsed as u32).wrapping_sub(timestamp));
        if let Some(before) = self.transit {
            let difference = (transit - before).unsigned_abs();
            self.jitter = (self.jitter + difference).saturating_sub((self.jitter + 8) >> 4);
        }
        self.transit = Some(transit);
    }

    /// When packets must be asked for.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.missing.values().map(|missing| missing.ask_at).min()
    }

    /// The sequence numbers to ask for now; those asked for often enough are given up.
    pub(super) fn asks(&mut self, now: Instant) -> Vec<u16> {
        let mut asked = Vec::new();
        let mut given_up = Vec::new();
        for (&sequence, missing) in &mut self.missing {
            if missing.ask_at > now {
                continue;
            }
            if missing.asks == ASKS_MAX {
                given_up.push(sequence);
                continue;
            }
            missing.asks += 1;
            missing.ask_at = now + ASK_AGAIN;
            asked.push(sequence as u16);
        }
        for sequence in given_up {
            self.missing.remove(&sequence);
            self.counts.lost += 1;
            self.ahead.insert(sequence, Slot::Lost);
            self.picture_lost |= self.kind == TrackKind::Video;
        }
        self.advance();
        asked
    }

    /// The newest sequence number; `None` before the first packet.
    pub(super) fn newest(&self) -> Option<u16> {
        self.first.map(|_| self.highest as u16)
    }

    /// Whether a picture was lost for good since the last call.
    pub(super) fn take_picture_lost(&mut self) -> bool {
        std::mem::take(&mut self.picture_lost)
    }

    /// Notes a sender report: its NTP time, the same moment on the track's clock, and when it came.
    pub(super) fn sender_report(&mut self, ntp: u64, rtp: u32, now: Instant) {
        self.sender_report = Some(((ntp >> 16) as u32, now));
        let wall = (u128::from(ntp) * u128::from(self.clock_rate)) >> 32;
        let offset = rtp.wrapping_sub(wall as u32);
        // The sender's media clock may stand still while a frame is late, but never runs ahead: the report
        // that puts it furthest is the truest.
        let truest = self.clock_offset.is_none_or(|before| offset.wrapping_sub(before).cast_signed() > 0);
        if truest {
            self.clock_offset = Some(offset);
        }
    }

    /// A timestamp on the sender's wall clock, ticks modulo 2^32: the same for all players of a track, whose
    /// timestamps begin anywhere. `None` before the first sender report.
    pub(super) fn wall_ticks(&self, timestamp: u32) -> Option<u32> {
        Some(timestamp.wrapping_sub(self.clock_offset?))
    }

    /// What a receiver report says of the track (RFC 3550 6.4.1), and begins the next interval; `None`
    /// before the first packet.
    pub(super) fn report(&mut self, now: Instant) -> Option<ReceptionReport> {
        let (first, _) = self.first?;
        let expected = self.highest + 1 - first;
        let (expected_before, packets_before) =
            std::mem::replace(&mut self.reported, (expected, self.counts.packets));
        let expected_now = expected - expected_before;
        let lost_now = expected_now.saturating_sub(self.counts.packets - packets_before);
        let fraction = (lost_now * 256).checked_div(expected_now).unwrap_or(0).min(255);
        let (last_sender_report, delay) = self.sender_report.map_or((0, 0), |(middle, at)| {
            let units = now.saturating_duration_since(at).as_micros() * 65_536 / 1_000_000;
            (middle, u32::try_from(units).unwrap_or(u32::MAX))
        });
        Some(ReceptionReport {
            ssrc: self.ssrc,
            fraction_lost: fraction as u8,
            total_lost: expected.saturating_sub(self.counts.packets).min(0x7f_ffff) as u32,
            last_sequence_number: (self.highest - 0x1_0000) as u32,
            jitter: (self.jitter >> 4).min(u64::from(u32::MAX)) as u32,
            last_sender_report,
            delay,
        })
    }
}

#[cfg(test)]
mod tests {
    use base::{Clock, SystemClock};

    use super::*;

    struct Line {
        track: Track,
        now: Instant,
    }

    impl Line {
        fn new() -> Self {
            let offered = OfferedTrack { kind: TrackKind::Video, ssrc: 9, clock_rate: 90_000 };
            Self { track: Track::new(&offered), now: SystemClock.now() }
        }

        fn packet(&mut self, sequence: u16, marker: bool) -> bool {
            self.now += Duration::from_millis(1);
            let header = Header { sequence, timestamp: 0, marker, bytes: 100 };
            self.track.packet(header, self.now).is_some_and(|came| came.frame)
        }
    }

    #[test]
    fn frames_are_counted_over_the_wrap_of_sequence_numbers() {
        let mut line = Line::new();
        let whole = (0..100u16).filter(|i| line.packet(65_500u16.wrapping_add(*i), i % 5 == 4)).count();
        assert_eq!(whole, 20);
        let counts = line.track.counts();
        assert_eq!((counts.packets, counts.frames, counts.missed), (100, 20, 0));
        let report = line.track.report(line.now).unwrap();
        assert_eq!(report.last_sequence_number, (1 << 16) + 63, "one wrap");
        assert_eq!((report.fraction_lost, report.total_lost), (0, 0));
    }

    #[test]
    fn a_hole_is_asked_for_and_the_frame_counts_when_it_is_filled() {
        let mut line = Line::new();
        line.packet(10, false);
        assert!(!line.packet(13, true), "11 and 12 are missing");
        assert_eq!(line.track.asks(line.now), [11, 12]);
        assert_eq!(line.track.asks(line.now), [] as [u16; 0], "not twice within a round trip");
        line.now += ASK_AGAIN;
        assert_eq!(line.track.asks(line.now), [11, 12]);
        assert!(!line.packet(12, false));
        assert!(line.packet(11, false), "the frame is whole");
        assert!(!line.packet(11, false));
        let counts = line.track.counts();
        assert_eq!((counts.missed, counts.recovered, counts.lost, counts.duplicates), (2, 2, 0, 1));
        assert_eq!(line.track.poll_timeout(), None);
    }

    #[test]
    fn what_never_comes_breaks_its_frame_only() {
        let mut line = Line::new();
        line.packet(1, false);
        line.packet(3, true);
        line.packet(4, true);
        for _ in 0..ASKS_MAX {
            assert_eq!(line.track.asks(line.now), [2]);
            line.now += ASK_AGAIN;
        }
        assert!(!line.track.take_picture_lost());
        assert!(line.track.asks(line.now).is_empty());
        assert!(line.track.take_picture_lost());
        let counts = *line.track.counts();
        assert_eq!((counts.lost, counts.broken_frames, counts.frames), (1, 1, 1));
        let report = line.track.report(line.now).unwrap();
        assert_eq!((report.total_lost, report.fraction_lost), (1, 64), "one of four");
    }

    #[test]
    fn a_jump_is_a_new_beginning() {
        let mut line = Line::new();
        line.packet(1, true);
        line.packet(2_000, true);
        assert!(line.packet(2_001, true));
        assert_eq!(line.track.counts().lost, 1_998);
        assert!(line.track.asks(line.now).is_empty());
    }

    #[test]
    fn frames_left_out_are_seen_from_the_times() {
        let mut line = Line::new();
        // Milliseconds of 30 frames a second, one frame left out, then three; then a replay's small steps.
        let times = [0, 33, 67, 133, 167, 300, 301, 302, 333];
        for (sequence, ms) in times.into_iter().enumerate() {
            let timestamp = 4_294_960_000u32.wrapping_add(ms * 90);
            let header = Header { sequence: sequence as u16, timestamp, marker: true, bytes: 100 };
            line.track.packet(header, line.now);
        }
        let counts = line.track.counts();
        assert_eq!((counts.skipped_frames, counts.frames, counts.fast_frames), (4, 9, 2));
        // Seven in time, two of a millisecond.
        assert_eq!(counts.frames_filled_milli, 7 * 1_000 + 2 * 30);
    }

    #[test]
    fn timestamps_of_two_players_meet_on_the_senders_clock() {
        let (mut one, mut two) = (Line::new(), Line::new());
        assert_eq!(one.track.wall_ticks(7), None);
        let second = |n: u64| n << 32;
        one.track.sender_report(second(100), 4_294_967_000, one.now);
        two.track.sender_report(second(101), 90_050, two.now);
        // A frame half a second after second 100.
        assert_eq!(one.track.wall_ticks(4_294_967_000u32.wrapping_add(45_000)), Some(9_045_000));
        assert_eq!(two.track.wall_ticks(45_050), Some(9_045_000));
        // A report made while the sender's media clock stood still changes nothing.
        two.track.sender_report(second(102), 90_060, two.now);
        assert_eq!(two.track.wall_ticks(45_050), Some(9_045_000));
    }
}
