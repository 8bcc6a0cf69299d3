//! One track on its way out: headers, reports, and what may be asked for again.

use std::collections::VecDeque;
use std::time::Duration;

use base::{Randomness, WallTime};
use bytes::{BufMut, BytesMut};
use rtc_rtcp::sender_report::SenderReport;

use crate::receiver::TrackKind;

/// Packets that are kept for being asked for again: a second and more of 2 Mbit/s.
const KEPT_MAX: usize = 512;
/// The fixed header (RFC 3550 5.1).
const HEADER_BYTES: usize = 12;
/// Version 2, no padding, no extension, no sources.
const FIRST_BYTE: u8 = 0x80;
const MARKER: u8 = 0x80;
/// From NTP's epoch to that of Unix, seconds.
const NTP_EPOCH_SECONDS: u64 = 2_208_988_800;

/// One track.
pub(super) struct Outgoing {
    kind: TrackKind,
    ssrc: u32,
    sequence: u16,
    /// The RTP timestamp of the media's beginning.
    first_timestamp: u32,
    packets: u32,
    octets: u32,
    /// The newest sealed packets, the last of which has the number before `sequence`.
    kept: VecDeque<BytesMut>,
}

impl Outgoing {
    /// Numbers and times begin anywhere.
    pub(super) fn new(kind: TrackKind, randomness: &dyn Randomness) -> Self {
        let random = randomness.next_u64();
        Self {
            kind,
            // Zero is what some take for none.
            ssrc: (random >> 32) as u32 | 1,
            sequence: random as u16,
            first_timestamp: (random >> 8) as u32,
            packets: 0,
            octets: 0,
            kept: VecDeque::with_capacity(KEPT_MAX),
        }
    }

    pub(super) const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    fn timestamp(&self, time: Duration) -> u32 {
        let rate: u128 = match self.kind {
            TrackKind::Video => 90_000,
            TrackKind::Audio => 48_000,
        };
        // Rounded: pictures of a thirtieth of a second are 3,000 ticks apart.
        let ticks = (time.as_nanos() * rate + 500_000_000) / 1_000_000_000;
        self.first_timestamp.wrapping_add(ticks as u32)
    }

    /// The next packet, not sealed yet.
    pub(super) fn packet(&mut self, time: Duration, payload: &[u8], marker: bool) -> BytesMut {
        let mut packet = BytesMut::with_capacity(HEADER_BYTES + payload.len());
        packet.put_u8(FIRST_BYTE);
        packet.put_u8(super::offer::payload_type(self.kind) | if marker { MARKER } else { 0 });
        packet.put_u16(self.sequence);
        packet.put_u32(self.timestamp(time));
        packet.put_u32(self.ssrc);
        packet.put_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload.len() as u32);
        packet
    }

    /// Keeps the packet that was made last, sealed.
    pub(super) fn remember(&mut self, sealed: BytesMut) -> &[u8] {
        if self.kept.len() == KEPT_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(sealed);
        self.kept.back().map_or(&[], |sealed| sealed)
    }

    /// A packet that was sent before, as it was sealed then; `None` for one that is not kept any more.
    pub(super) fn again(&self, sequence: u16) -> Option<&[u8]> {
        let back = usize::from(self.sequence.wrapping_sub(sequence));
        self.kept.get(self.kept.len().checked_sub(back)?).map(|sealed| &sealed[..])
    }

    /// What a sender report says `time` after the media's beginning, which was at `wall`.
    pub(super) fn report(&self, wall: WallTime, time: Duration) -> SenderReport {
        let since_epoch = Duration::from_millis(wall.as_millis()) + time;
        let fraction = (u64::from(since_epoch.subsec_nanos()) << 32) / 1_000_000_000;
        SenderReport {
            ssrc: self.ssrc,
            ntp_time: (since_epoch.as_secs() + NTP_EPOCH_SECONDS) << 32 | fraction,
            rtp_time: self.timestamp(time),
            packet_count: self.packets,
            octet_count: self.octets,
            ..SenderReport::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use base::SeededRandomness;

    use super::*;

    #[test]
    fn a_track_counts_on_and_sends_again_what_it_keeps() {
        let mut track = Outgoing::new(TrackKind::Video, &SeededRandomness::new(1));
        let third = Duration::from_secs(1) / 30;
        let (first, start) = (track.sequence, track.first_timestamp);
        for number in 0..600_u32 {
            let packet = track.packet(third * number, &number.to_be_bytes(), number % 2 == 1);
            assert_eq!(packet[2..4], first.wrapping_add(number as u16).to_be_bytes());
            assert_eq!(packet[4..8], start.wrapping_add(number * 3_000).to_be_bytes());
            assert_eq!(packet[1] & MARKER != 0, number % 2 == 1);
            track.remember(packet);
        }
        let again = |number: u16| track.again(first.wrapping_add(number)).map(|packet| packet[12..].to_vec());
        assert_eq!(again(599), Some(599_u32.to_be_bytes().to_vec()));
        assert_eq!(again(88), Some(88_u32.to_be_bytes().to_vec()));
        assert_eq!((again(87), again(600)), (None, None), "forgotten, and not sent yet");
        let report = track.report(WallTime(1_500), Duration::from_millis(250));
        assert_eq!(report.ntp_time, (NTP_EPOCH_SECONDS + 1) << 32 | 3 << 30);
        assert_eq!(report.rtp_time, start.wrapping_add(22_500));
        assert_eq!((report.packet_count, report.octet_count), (600, 2_400));
    }
}
