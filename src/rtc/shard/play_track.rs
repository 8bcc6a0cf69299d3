//! One track of one player: where it stands, how its packets are numbered and stamped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base::Randomness;
use media::{Codec, Kind, PacketRun};
use rtc_rtcp::reception_report::ReceptionReport;

use super::pacer::Pacer;
use super::resends::Resends;
use super::slab::Key;
use super::stamps::{FrameClock, Stamps};
use super::statistics::{Reports, SentStats, TrackStats};
use crate::sdp::policy::{OPUS_CLOCK_RATE, VIDEO_CLOCK_RATE};
use crate::srtp::{PlayoutDelay, RtpHeader, RtpSealer};

/// What a replay needs to go on.
#[derive(Debug)]
pub(super) struct Replay {
    /// Track-wide number of the next packet.
    pub(super) next: u64,
    /// The frame under way, between its packets.
    pub(super) run: Option<Arc<PacketRun>>,
    /// When it began.
    pub(super) began: Instant,
    /// How long it goes on at least before it may begin anew.
    pub(super) lasts: Duration,
}

/// Where a track stands.
#[derive(Debug)]
pub(super) enum Position {
    /// Muted, refused, not connected yet.
    Stopped,
    /// Goes live with the next frame that a decoder can start from.
    Waiting,
    /// Follows the newest frames.
    Live {
        /// Track-wide number of the next packet.
        next: u64,
    },
    /// Replays the group of pictures until it has caught up.
    Replaying(Replay),
}

/// Packets of one run written one behind the other, for one segmented send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) packets: usize,
    pub(super) bytes: usize,
    /// Size of every packet but the last, when there are several.
    pub(super) segment_size: Option<usize>,
}

/// One track of one player.
#[derive(Debug)]
pub(super) struct PlayTrack {
    /// What it is sent as.
    pub(super) codec: Codec,
    pub(super) kind: Kind,
    pub(super) ssrc: u32,
    /// Once the answer has taken the track.
    pub(super) payload_type: Option<u8>,
    /// Sent with key frames, where the answer took the extension.
    pub(super) playout_delay: Option<PlayoutDelay>,
    /// Once the track is there.
    pub(super) fanout: Option<Key>,
    pub(super) enabled: bool,
    pub(super) position: Position,
    /// It stands in the queue of live or replaying tracks.
    pub(super) queued: bool,
    /// It stands in the queue of tracks with resends.
    pub(super) resends_queued: bool,
    pub(super) pacer: Pacer,
    /// It stands in no queue until then: its pace does not allow more.
    pub(super) paced_until: Option<Instant>,
    /// When its pace last held it up.
    pub(super) held_at: Option<Instant>,
    pub(super) replay_ended: Option<Instant>,
    pub(super) stamps: Stamps,
    pub(super) resends: Resends,
    /// SRTP index = packet number + shift, wrapping.
    shift: u64,
    /// SRTP index of the next new packet.
    next_index: u64,
    /// Lowest SRTP index that may be sent again.
    floor: u64,
    stamp_base: u32,
    pub(super) packets: u64,
    pub(super) payload_bytes: u64,
    /// What it was sent and was asked for.
    pub(super) sent: SentStats,
    reports: Reports,
}

impl PlayTrack {
    /// A track that is not sent yet.
    pub(super) fn new(codec: Codec, ssrc: u32, randomness: &dyn Randomness) -> Self {
        let random = randomness.next_u64();
        // The first sequence number is below 2^15, so that a receiver that misses the first packets
        // still guesses the rollover counter right (RFC 3711 3.3.1).
        let first = random & 0x7fff;
        Self {
            codec,
            kind: codec.kind(),
            ssrc,
            payload_type: None,
            playout_delay: None,
            fanout: None,
            enabled: true,
            position: Position::Stopped,
            queued: false,
            resends_queued: false,
            pacer: Pacer::default(),
            paced_until: None,
            held_at: None,
            replay_ended: None,
            stamps: Stamps::default(),
            resends: Resends::default(),
            shift: 0,
            next_index: first,
            floor: first,
            stamp_base: (random >> 32) as u32,
            packets: 0,
            payload_bytes: 0,
            sent: SentStats::default(),
            reports: Reports::new(first as u16),
        }
    }

    /// Ticks per second of the track's RTP clock.
    pub(super) const fn clock_rate(&self) -> u32 {
        match self.kind {
            Kind::Video => VIDEO_CLOCK_RATE,
            Kind::Audio => OPUS_CLOCK_RATE,
        }
    }

    /// Goes on with another packet than the one behind the last: it gets the next index, so that the
    /// player sees no hole, and nothing from before is sent again.
    pub(super) fn jump_to(&mut self, packet: u64) {
        self.forget_sent();
        self.shift = self.next_index.wrapping_sub(packet);
    }

    /// Nothing sent so far is sent again: its numbers will not lead to the same packets any more.
    pub(super) fn forget_sent(&mut self) {
        self.refuse_resends();
        self.stamps.forget();
    }

    /// Nothing sent so far is sent again. A frame that has begun goes on.
    fn refuse_resends(&mut self) {
        self.floor = self.next_index;
        self.resends.clear();
    }

    /// How the player takes the track from now on; no payload type: not at all. What was sent under another
    /// header is not sent again: it would be another packet under the same index.
    pub(super) fn agree(&mut self, payload_type: Option<u8>, playout_delay: Option<PlayoutDelay>) {
        if (self.payload_type, self.playout_delay) != (payload_type, playout_delay) {
            self.refuse_resends();
            (self.payload_type, self.playout_delay) = (payload_type, playout_delay);
        }
    }

    /// Begins a live frame, whose own time is `ticks`.
    pub(super) fn begin_live(&mut self, run: &PacketRun, ticks: i64) {
        self.stamps.live(run, ticks);
    }

    /// Begins a replayed frame.
    pub(super) fn begin_replayed(&mut self, run: &PacketRun, clock: &FrameClock, now: Instant) {
        self.stamps.replay(run, clock, self.clock_rate(), now);
    }

    /// A stream time on the track's RTP clock.
    pub(super) fn timestamp(&self, ticks: i64) -> u32 {
        self.stamp_base.wrapping_add(ticks as u32)
    }

    /// Seals packets of a frame that has begun and whose own time is `ticks`, from the `first`-th on,
    /// while they have one size.
    pub(super) fn seal_batch(
        &mut self,
        sealer: &mut RtpSealer,
        run: &PacketRun,
        ticks: i64,
        first: usize,
        max: usize,
        out: &mut Vec<u8>,
    ) -> Batch {
        let start = out.len();
        let mut batch = Batch { packets: 0, bytes: 0, segment_size: None };
        let timestamp = self.timestamp(self.stamps.of(run, ticks));
        let Some(size) = run.packets.get(first).map(|packet| packet.payload.len()) else { return batch };
        let mut sealed = 0;
        for (offset, packet) in run.packets.iter().enumerate().skip(first).take(max) {
            let bytes = packet.payload.len();
            let before = out.len();
            if bytes > size || !self.seal(sealer, run, offset, timestamp, out) {
                break;
            }
            if batch.packets == 0 {
                sealed = out.len() - before;
            }
            let index = (run.first_packet + offset as u64).wrapping_add(self.shift);
            self.next_index = self.next_index.max(index + 1);
            self.packets += 1;
            self.payload_bytes += bytes as u64;
            batch.packets += 1;
            if bytes < size {
                break;
            }
        }
        batch.bytes = out.len() - start;
        batch.segment_size = (batch.packets > 1).then_some(sealed);
        self.sent.count(&batch, batch.packets > 0 && first == 0 && run.starts_frame);
        self.resends.sent(batch.bytes);
        batch
    }

    /// Seals one packet of a frame that has begun.
    fn seal(
        &self,
        sealer: &mut RtpSealer,
        run: &PacketRun,
        offset: usize,
        timestamp: u32,
        out: &mut Vec<u8>,
    ) -> bool {
        let (Some(packet), Some(payload_type)) = (run.packets.get(offset), self.payload_type) else {
            return false;
        };
        let header = RtpHeader {
            index: (run.first_packet + offset as u64).wrapping_add(self.shift),
            timestamp,
            ssrc: self.ssrc,
            payload_type,
            marker: packet.marker,
            // Browsers keep what a key frame said, and a packet sent again says the same.
            playout_delay: self.playout_delay.filter(|_| run.key),
        };
        sealer.seal(&header, &packet.payload, out).is_ok()
    }

    /// Seals a packet again, the same to the bit.
    pub(super) fn seal_again(
        &self,
        sealer: &mut RtpSealer,
        run: &PacketRun,
        packet: u64,
        out: &mut Vec<u8>,
    ) -> bool {
        let offset = packet.checked_sub(run.first_packet).and_then(|offset| usize::try_from(offset).ok());
        let timestamp = self.timestamp(self.stamps.of(run, run.pts.as_ticks(self.clock_rate())));
        offset.is_some_and(|offset| self.seal(sealer, run, offset, timestamp, out))
    }

    /// Takes what the player reports; the share of packets that are missing since its last report, 0 to 1.
    pub(super) fn take_report(&mut self, report: &ReceptionReport, now: Instant) -> f32 {
        self.reports.take(report, self.packets, self.sent.resent, now);
        self.reports.fraction_lost()
    }

    /// How it fares.
    pub(super) fn stats(&self) -> TrackStats {
        TrackStats { sent: self.sent, received: self.reports.stats(self.clock_rate()) }
    }

    /// Forgets the stamps of a replay that ended long enough ago, and refuses its packets from then
    /// on: sealed with other stamps they would be other packets under the same index.
    pub(super) fn expire_stamps(&mut self, now: Instant) {
        if let Some(end) = self.stamps.expire(now) {
            self.floor = self.floor.max(end.wrapping_add(self.shift));
        }
    }

    /// The SRTP index that a sequence number of a sent packet means; `None` when it was not sent, or
    /// is not to be sent again. [`PlayTrack::expire_stamps`] goes before.
    pub(super) fn sent_index(&self, sequence_number: u16) -> Option<u64> {
        let last = self.next_index.checked_sub(1)?;
        let back = u64::from((last as u16).wrapping_sub(sequence_number));
        last.checked_sub(back).filter(|index| *index >= self.floor)
    }

    /// The track-wide number of a sent packet.
    pub(super) const fn packet_at(&self, index: u64) -> u64 {
        index.wrapping_sub(self.shift)
    }

    /// Whether an index may be sent again.
    pub(super) const fn may_resend(&self, index: u64) -> bool {
        index >= self.floor && index < self.next_index
    }
}
