//! A track: its one writer, the ring of what its source sends, and the ring that is made from it.

mod frames;
mod view;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use base::{MediaTime, limits};
use parking_lot::Mutex;

pub use frames::FrameReader;
pub use view::PacketReader;

use crate::budget::{Holder, MediaBudget};
use crate::clock::StreamClock;
use crate::codec::{CodecConfig, Kind};
use crate::packet::PacketRun;
use crate::ring::{Ring, Timed};
use crate::unit::Unit;
use frames::FrameView;
use view::PacketView;

/// Why a unit was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Another writer took the track over, or the track has ended.
    #[error("the track has ended or another publisher has taken it over")]
    Fenced,
    /// The unit, or the run of packets, is larger than [`limits::UNIT_BYTES_MAX`].
    #[error("a unit of {0} bytes is over the limit of {max}", max = limits::UNIT_BYTES_MAX)]
    TooLarge(usize),
}

/// Who may write a track.
#[derive(Debug)]
struct Turn {
    /// The writer's number.
    number: u64,
    /// Nothing is appended before the first unit that can be decoded by itself: one before it needs units
    /// nobody has, and after a takeover players would decode it upon the last publisher's.
    waits_for_key: bool,
    /// What the writer's packet numbers are moved by, see [`PacketView::number`].
    shift: Option<u64>,
}

impl Turn {
    /// The next writer's.
    const fn pass(&mut self) -> u64 {
        self.number += 1;
        self.shift = None;
        self.number
    }
}

/// What the source sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Native {
    Frames,
    Packets,
}

/// One track of a stream.
///
/// What its source sends is native: frames ([`TrackWriter::write`]) or RTP packets
/// ([`TrackWriter::write_run`]). Of frames the packets are a mirror, made by one packetizer in the writer's turn
/// while there is a [`PacketReader`], and never otherwise. Of packets that are native frames are the mirror, made
/// while there is a [`FrameReader`]; the ring of frames is empty otherwise.
pub struct Track {
    frames: Arc<Ring<Unit>>,
    packets: Arc<Ring<PacketRun>>,
    packets_are_native: AtomicBool,
    /// Held locked while the writer writes, so that nothing of a fenced one comes in after its successor's
    /// first unit.
    turn: Mutex<Turn>,
    packet_readers: AtomicUsize,
    view: Mutex<PacketView>,
    frame_readers: AtomicUsize,
    frame_view: Mutex<FrameView>,
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
            packets_are_native: AtomicBool::new(false),
            turn: Mutex::new(Turn { number: 0, waits_for_key: true, shift: None }),
            packet_readers: AtomicUsize::new(0),
            view: Mutex::new(PacketView::new(&config)),
            frame_readers: AtomicUsize::new(0),
            frame_view: Mutex::new(FrameView::new(config.codec())),
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

    /// The frames; of a source that sends packets there are some only while somebody reads them
    /// ([`Track::read_frames`]).
    pub fn frames(&self) -> &Ring<Unit> {
        &self.frames
    }

    /// Begins to read packets, which a viewer finds from the newest key frame on: where they are made from
    /// frames, those of the group of pictures so far are made now.
    pub fn read_packets(self: &Arc<Self>) -> PacketReader {
        let mut view = self.view.lock();
        let is_first = self.packet_readers.fetch_add(1, Ordering::AcqRel) == 0;
        // Of a source that sends packets frames are copies for others: it has its packets.
        if is_first && self.native() == Native::Frames {
            view.begin(&self.frames, &self.packets);
        }
        PacketReader::of(self)
    }

    /// Whether anybody reads packets.
    pub fn has_packet_readers(&self) -> bool {
        self.packet_readers.load(Ordering::Acquire) > 0
    }

    /// What the source sends, in bits per second over what is held of it.
    pub fn bitrate_bps(&self) -> u64 {
        let (bytes, time) = match self.native() {
            Native::Frames => self.frames.held(),
            Native::Packets => self.packets.held(),
        };
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(100);
        (bytes as u64).saturating_mul(8_000) / millis
    }

    /// Where the newest of what the source sent lies; `None` where nothing is held.
    pub fn newest(&self) -> Option<MediaTime> {
        match self.native() {
            Native::Frames => self.frames.newest(),
            Native::Packets => self.packets.newest(),
        }
    }

    fn native(&self) -> Native {
        if self.packets_are_native.load(Ordering::Relaxed) { Native::Packets } else { Native::Frames }
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
        let mut view = self.view.lock();
        if self.has_packet_readers() && self.native() == Native::Frames {
            view.fill(&self.frames, &self.packets);
        }
        view.skip(&self.frames);
        view.reconfigure(config);
        let mut held = self.config.lock();
        *held = (config.clone(), held.1 + 1);
        self.frame_view.lock().reconfigure(held.1, &self.packets);
        TrackWriter { track: Arc::clone(self), number, generation: held.1 }
    }

    /// Takes something of the writer with that number, which moves the stream's clock. Whether it is to be
    /// appended: one before its source's first key entry is not.
    fn admit(
        &self,
        turn: &mut Turn,
        number: u64,
        native: Native,
        entry: &impl Timed,
        arrived: Instant,
    ) -> Result<bool, WriteError> {
        if turn.number != number {
            return Err(WriteError::Fenced);
        }
        if entry.bytes() > limits::UNIT_BYTES_MAX {
            return Err(WriteError::TooLarge(entry.bytes()));
        }
        if let Some(clock) = &self.clock {
            clock.note(self.kind, entry.dts(), arrived);
        }
        turn.waits_for_key |= self.native() != native;
        turn.waits_for_key &= !entry.key();
        Ok(!turn.waits_for_key)
    }

    /// What is appended from now on is of that sort. Of a source before that sent the other sort nothing is
    /// left that would be taken for this one's.
    fn turn_to(&self, native: Native) {
        if self.native() == native {
            return;
        }
        // Nobody begins to read packets meanwhile: of frames that go none are to be made.
        let mut view = self.view.lock();
        let mut frame_view = self.frame_view.lock();
        self.packets_are_native.store(native == Native::Packets, Ordering::Relaxed);
        match native {
            Native::Packets => {
                frame_view.skip(&self.packets);
                // Who reads frames goes on with those of the packets to come.
                if !self.has_frame_readers() {
                    self.frames.cut(0);
                }
            }
            // Who reads packets goes on with those of the frames to come; what others were given as frames was packets.
            Native::Frames => {
                view.skip(&self.frames);
                if !self.has_packet_readers() {
                    self.packets.cut(0);
                }
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
    ///
    /// # Errors
    /// The track has another writer or none, or the unit is too large.
    pub fn write(&self, unit: Unit) -> Result<(), WriteError> {
        let track = &*self.track;
        let mut turn = track.turn.lock();
        if track.admit(&mut turn, self.number, Native::Frames, &unit, unit.arrived)? {
            track.turn_to(Native::Frames);
            track.frames.append(Arc::new(unit));
            if track.has_packet_readers() {
                track.view.lock().fill(&track.frames, &track.packets);
            }
            // Last: however many wait for frames, packets leave before.
            track.frames.ring();
        }
        Ok(())
    }

    /// Appends one whole frame of a source that sends RTP packets; one before its source's first key frame only
    /// moves the stream's clock, and one without packets too. `dts` must not go back; [`crate::RtpIngest`] sees
    /// to that.
    ///
    /// `first_packet` is the source's own number. The writer's first run is given the track's next one; later
    /// ones keep their distance to it, so that a hole of the source stays a hole, up to
    /// [`limits::RTP_HOLE_PACKETS_MAX`].
    ///
    /// # Errors
    /// The track has another writer or none, or the run is too large.
    pub fn write_run(&self, mut run: PacketRun) -> Result<(), WriteError> {
        let track = &*self.track;
        let mut turn = track.turn.lock();
        let admitted = track.admit(&mut turn, self.number, Native::Packets, &run, run.arrived)?;
        if admitted && !run.packets.is_empty() {
            track.turn_to(Native::Packets);
            track.view.lock().number(&mut run, &mut turn.shift);
            track.packets.push(Arc::new(run));
            if track.has_frame_readers() {
                track.frame_view.lock().fill(&track.packets, &track.frames);
            }
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

#[cfg(test)]
mod tests;
