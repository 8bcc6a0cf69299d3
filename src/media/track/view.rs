//! The packet view of a track: made from its frames, or as its source sent it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use base::limits;

use super::Track;
use crate::bell::Bell;
use crate::codec::CodecConfig;
use crate::packet::PacketRun;
use crate::packetize::Packetizer;
use crate::ring::Ring;
use crate::unit::Unit;

/// What stands between a track's two rings. Packets are numbered here, whoever gives them, so that the numbers
/// go on when a source of frames takes over from one of packets, or the other way round.
pub(super) struct PacketView {
    packetizer: Packetizer,
    /// Index of the next frame to convert.
    next_frame: u64,
    /// Frames went before they were converted: what follows needs the next key frame.
    waits_for_key: bool,
    /// The number of the next packet.
    next_packet: u64,
}

impl PacketView {
    pub(super) fn new(config: &CodecConfig) -> Self {
        Self { packetizer: Packetizer::new(config), next_frame: 0, waits_for_key: false, next_packet: 0 }
    }

    /// Frames that come from here on have another configuration.
    pub(super) fn reconfigure(&mut self, config: &CodecConfig) {
        self.packetizer = Packetizer::new(config);
    }

    /// Frames that nobody asked packets of so far stay without.
    pub(super) fn skip(&mut self, frames: &Ring<Unit>) {
        self.next_frame = frames.head();
    }

    /// Begins with the newest key frame, unless that has its packets.
    pub(super) fn begin(&mut self, frames: &Ring<Unit>, packets: &Ring<PacketRun>) {
        let start = frames.newest_key().unwrap_or_else(|| frames.tail());
        self.next_frame = self.next_frame.max(start);
        self.fill(frames, packets);
    }

    /// Makes the packets of the frames that have none yet.
    pub(super) fn fill(&mut self, frames: &Ring<Unit>, packets: &Ring<PacketRun>) {
        loop {
            let Some(unit) = frames.get(self.next_frame) else {
                let tail = frames.tail();
                if self.next_frame >= tail {
                    return;
                }
                // Packet numbers go on without a hole, so no viewer could tell that frames are missing.
                self.next_frame = tail;
                self.waits_for_key = true;
                continue;
            };
            self.next_frame += 1;
            self.waits_for_key &= !unit.key;
            if !self.waits_for_key
                && let Some(run) = self.packetizer.packetize(&unit, self.next_packet)
            {
                self.next_packet = run.end_packet();
                packets.push(Arc::new(run));
            }
        }
    }

    /// Gives a run of a source the track's numbers. `shift` is what its writer's runs are moved by, wrapping;
    /// `None` before the first one.
    pub(super) fn number(&mut self, run: &mut PacketRun, shift: &mut Option<u64>) {
        let by = *shift.get_or_insert(self.next_packet.wrapping_sub(run.first_packet));
        let placed = run.first_packet.wrapping_add(by);
        let hole = placed.checked_sub(self.next_packet).filter(|hole| *hole <= limits::RTP_HOLE_PACKETS_MAX);
        let first = self.next_packet + hole.unwrap_or(0);
        if hole.is_none() {
            *shift = Some(first.wrapping_sub(run.first_packet));
        }
        run.first_packet = first;
        self.next_packet = run.end_packet();
    }
}

/// Keeps a track's packets coming; dropped with the last reader, those that are made from frames are made no more.
#[derive(Debug)]
pub struct PacketReader {
    track: Arc<Track>,
}

impl PacketReader {
    pub(super) fn of(track: &Arc<Track>) -> Self {
        Self { track: Arc::clone(track) }
    }

    /// The packets, one run per frame.
    pub fn packets(&self) -> &Ring<PacketRun> {
        &self.track.packets
    }

    /// The track read.
    pub fn track(&self) -> &Arc<Track> {
        &self.track
    }

    /// Hangs a bell that is rung with every run.
    pub fn hang(&self, bell: &Bell) {
        self.track.packets.hang(bell);
    }

    /// The run that holds the packet of that track-wide number, if it is still held.
    pub fn run_of(&self, packet: u64) -> Option<Arc<PacketRun>> {
        self.track.packets.find(|run| run.end_packet() <= packet).filter(|run| run.first_packet <= packet)
    }
}

impl Drop for PacketReader {
    fn drop(&mut self) {
        self.track.packet_readers.fetch_sub(1, Ordering::AcqRel);
    }
}
