//! A track: a native ring of frames, its one writer, and the packet mirror.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base::limits;
use parking_lot::Mutex;

use crate::bell::Bell;
use crate::budget::MediaBudget;
use crate::clock::StreamClock;
use crate::codec::{CodecConfig, Kind};
use crate::packet::PacketRun;
use crate::packetize::Packetizer;
use crate::ring::Ring;
use crate::unit::Unit;

/// Why a unit was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Another writer took the track over, or the track has ended.
    #[error("the track has ended or another publisher has taken it over")]
    Fenced,
    /// The unit is larger than [`limits::UNIT_BYTES_MAX`].
    #[error("a unit of {0} bytes is over the limit of {max}", max = limits::UNIT_BYTES_MAX)]
    TooLarge(usize),
}

/// The packet mirror: made with its first reader, fed by the writer while there is one.
struct Mirror {
    packetizer: Packetizer,
    /// Index of the next frame to convert.
    next_frame: u64,
    /// Frames went before they were converted: what follows needs the next key frame.
    waits_for_key: bool,
}

/// Who may write a track.
#[derive(Debug)]
struct Turn {
    /// The writer's number.
    number: u64,
    /// Nothing is appended before the first unit that can be decoded by itself: one before it needs units
    /// nobody has, and after a takeover players would decode it upon the last publisher's.
    waits_for_key: bool,
}

impl Turn {
    /// The next writer's.
    const fn pass(&mut self) -> u64 {
        self.number += 1;
        self.number
    }
}

/// One track of a stream.
///
/// Frames are native; the packets are a mirror made from them by one packetizer, which runs in
/// the writer's turn while there is a [`PacketReader`], and never otherwise.
pub struct Track {
    frames: Arc<Ring<Unit>>,
    packets: Arc<Ring<PacketRun>>,
    /// Held locked while the writer writes, so that nothing of a fenced one comes in after its successor's
    /// first unit.
    turn: Mutex<Turn>,
    packet_readers: AtomicUsize,
    mirror: Mutex<Mirror>,
    kind: Kind,
    /// The configuration and its generation, from 1.
    config: Mutex<(CodecConfig, u32)>,
    /// The stream's, moved with every unit; `None` for a derived track.
    clock: Option<Arc<StreamClock>>,
}

impl Track {
    /// An empty track of no stream that nobody writes yet; what it will hold is charged to `budget`.
    pub fn new(config: CodecConfig, budget: &Arc<MediaBudget>) -> Arc<Self> {
        Self::in_stream(config, budget, None)
    }

    /// An empty track, which moves its stream's clock if it is given one.
    pub(crate) fn in_stream(
        config: CodecConfig,
        budget: &Arc<MediaBudget>,
        clock: Option<Arc<StreamClock>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            frames: Ring::new(budget),
            packets: Ring::new(budget),
            turn: Mutex::new(Turn { number: 0, waits_for_key: true }),
            packet_readers: AtomicUsize::new(0),
            mirror: Mutex::new(Mirror {
                packetizer: Packetizer::new(&config),
                next_frame: 0,
                waits_for_key: false,
            }),
            kind: config.codec().kind(),
            config: Mutex::new((config, 1)),
            clock,
        })
    }

    /// Takes the track over: the writer before this one is fenced from now on.
    pub fn writer(self: &Arc<Self>) -> TrackWriter {
        let number = self.turn.lock().pass();
        TrackWriter { track: Arc::clone(self), number, generation: self.config.lock().1 }
    }

    /// The frames.
    pub fn frames(&self) -> &Ring<Unit> {
        &self.frames
    }

    /// Begins to read packets. With the first reader the mirror is filled from the newest key
    /// frame on, so that a viewer finds the group of pictures so far.
    pub fn read_packets(self: &Arc<Self>) -> PacketReader {
        let mut mirror = self.mirror.lock();
        if self.packet_readers.fetch_add(1, Ordering::AcqRel) == 0 {
            let start = self.frames.newest_key().unwrap_or_else(|| self.frames.tail());
            mirror.next_frame = mirror.next_frame.max(start);
            self.fill(&mut mirror);
        }
        PacketReader { track: Arc::clone(self) }
    }

    /// Whether anybody reads packets.
    pub fn has_packet_readers(&self) -> bool {
        self.packet_readers.load(Ordering::Acquire) > 0
    }

    /// What the source sends, in bits per second over what the ring holds.
    pub fn bitrate_bps(&self) -> u64 {
        let (bytes, time) = self.frames.held();
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(100);
        (bytes as u64).saturating_mul(8_000) / millis
    }

    /// Fences its writer; readers wait for the next one, and for a key unit of its source.
    pub(crate) fn fence(&self) {
        let mut turn = self.turn.lock();
        turn.pass();
        turn.waits_for_key = true;
    }

    /// Ends the track for its readers and its writer.
    pub(crate) fn close(&self) {
        self.turn.lock().pass();
        self.frames.close();
        self.packets.close();
    }

    /// The configuration decoders need now.
    pub fn config(&self) -> CodecConfig {
        self.config.lock().0.clone()
    }

    /// Takes the track over with a new configuration. Frames of the old one that nobody has asked
    /// packets of stay without: they can't be decoded with the new parameter sets.
    pub(crate) fn reconfigure(self: &Arc<Self>, config: &CodecConfig) -> TrackWriter {
        let mut turn = self.turn.lock();
        let number = turn.pass();
        let mut mirror = self.mirror.lock();
        if self.has_packet_readers() {
            self.fill(&mut mirror);
        }
        mirror.next_frame = self.frames.head();
        mirror.packetizer.reconfigure(config);
        let mut held = self.config.lock();
        *held = (config.clone(), held.1 + 1);
        TrackWriter { track: Arc::clone(self), number, generation: held.1 }
    }

    fn fill(&self, mirror: &mut Mirror) {
        loop {
            let Some(unit) = self.frames.get(mirror.next_frame) else {
                let tail = self.frames.tail();
                if mirror.next_frame >= tail {
                    return;
                }
                // Packet numbers go on without a hole, so no viewer could tell that frames are missing.
                mirror.next_frame = tail;
                mirror.waits_for_key = true;
                continue;
            };
            mirror.next_frame += 1;
            mirror.waits_for_key &= !unit.key;
            if !mirror.waits_for_key
                && let Some(run) = mirror.packetizer.packetize(&unit)
            {
                self.packets.push(Arc::new(run));
            }
        }
    }
}

impl std::fmt::Debug for Track {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Track").field("frames", &self.frames).finish_non_exhaustive()
    }
}

/// The one who may write a track, until another takes it over.
#[derive(Debug)]
pub struct TrackWriter {
    track: Arc<Track>,
    number: u64,
    generation: u32,
}

impl TrackWriter {
    /// Appends a unit; one before its source's first key unit only moves the stream's clock. `dts` must not
    /// go back; [`crate::Timeline`] sees to that.
    pub fn write(&self, unit: Unit) -> Result<(), WriteError> {
        let mut turn = self.track.turn.lock();
        if turn.number != self.number {
            return Err(WriteError::Fenced);
        }
        if unit.payload.len() > limits::UNIT_BYTES_MAX {
            return Err(WriteError::TooLarge(unit.payload.len()));
        }
        if let Some(clock) = &self.track.clock {
            clock.note(self.track.kind, unit.dts, unit.arrived);
        }
        turn.waits_for_key &= !unit.key;
        if turn.waits_for_key {
            return Ok(());
        }
        self.track.frames.push(Arc::new(unit));
        if self.track.has_packet_readers() {
            self.track.fill(&mut self.track.mirror.lock());
        }
        Ok(())
    }

    /// Whether this writer still may write.
    pub fn is_current(&self) -> bool {
        self.track.turn.lock().number == self.number
    }

    /// The generation of the codec configuration this writer was made with; it belongs into
    /// [`Unit::generation`].
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The track written.
    pub fn track(&self) -> &Arc<Track> {
        &self.track
    }
}

/// Keeps a track's packet mirror running; dropped with the last reader it stops.
#[derive(Debug)]
pub struct PacketReader {
    track: Arc<Track>,
}

impl PacketReader {
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

#[cfg(test)]
mod tests;
