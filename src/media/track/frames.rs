//! The frame view of a track whose source sends packets.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Native, Track};
use crate::bell::Bell;
use crate::budget::Holder;
use crate::codec::{Codec, Kind};
use crate::depacketize::depacketize;
use crate::packet::PacketRun;
use crate::ring::Ring;
use crate::unit::Unit;

/// What makes frames of packets, while somebody reads them.
#[derive(Debug)]
pub(super) struct FrameView {
    codec: Codec,
    /// Of the configuration that the runs to come need.
    generation: u32,
    /// Index of the first run of that configuration.
    first_run: u64,
    /// Index of the next run to convert.
    next_run: u64,
    /// Runs went before they were converted, or could not be: what follows needs the next key frame.
    waits_for_key: bool,
}

impl FrameView {
    pub(super) const fn new(codec: Codec) -> Self {
        Self { codec, generation: 1, first_run: 0, next_run: 0, waits_for_key: true }
    }

    /// Runs that come from here on need another configuration; those nobody asked frames of stay without.
    pub(super) fn reconfigure(&mut self, generation: u32, packets: &Ring<PacketRun>) {
        self.generation = generation;
        self.skip(packets);
    }

    /// Goes on with the next run.
    pub(super) fn skip(&mut self, packets: &Ring<PacketRun>) {
        self.first_run = packets.head();
        self.next_run = self.first_run;
        self.waits_for_key = true;
    }

    /// Begins with the newest key frame of the configuration; sound with all that is held, for pictures may begin
    /// anywhere in it.
    fn begin(&mut self, packets: &Ring<PacketRun>, frames: &Ring<Unit>) {
        let newest_key = packets.newest_key().filter(|_| self.codec.kind() == Kind::Video);
        let begin = newest_key.unwrap_or_else(|| packets.tail());
        self.next_run = begin.max(self.first_run);
        self.waits_for_key = true;
        self.fill(packets, frames);
    }

    /// Makes the frames of the runs that have none yet.
    pub(super) fn fill(&mut self, packets: &Ring<PacketRun>, frames: &Ring<Unit>) {
        loop {
            let Some(run) = packets.get(self.next_run) else {
                let tail = packets.tail();
                if self.next_run >= tail {
                    return;
                }
                self.next_run = tail;
                self.waits_for_key = true;
                continue;
            };
            self.next_run += 1;
            self.waits_for_key &= !run.key;
            if self.waits_for_key {
                continue;
            }
            match depacketize(self.codec, &run) {
                Some(payload) if payload.is_empty() => {}
                Some(payload) => {
                    frames.push(Arc::new(Unit {
                        dts: run.dts,
                        pts: run.pts,
                        arrived: run.arrived,
                        key: run.key,
                        generation: self.generation,
                        payload,
                    }));
                }
                None => self.waits_for_key = true,
            }
        }
    }
}

/// Keeps a track's frames coming; dropped with the last reader, those that are made from packets are made no more.
#[derive(Debug)]
pub struct FrameReader {
    track: Arc<Track>,
}

impl FrameReader {
    /// The frames.
    pub fn frames(&self) -> &Ring<Unit> {
        &self.track.frames
    }

    /// The track read.
    pub fn track(&self) -> &Arc<Track> {
        &self.track
    }

    /// Hangs a bell that is rung with every frame.
    pub fn hang(&self, bell: &Bell) {
        self.track.frames.hang(bell);
    }
}

impl Drop for FrameReader {
    fn drop(&mut self) {
        let _view = self.track.frame_view.lock();
        let was_last = self.track.frame_readers.fetch_sub(1, Ordering::AcqRel) == 1;
        if was_last && self.track.native() == Native::Packets {
            self.track.frames.cut(0);
        }
    }
}

impl Track {
    /// Begins to read frames, which a reader finds from the newest key frame on: where they are made from packets,
    /// those of the group of pictures so far are made now. Of codecs that [`crate::can_depacketize`] denies there
    /// are none then.
    pub fn read_frames(self: &Arc<Self>) -> FrameReader {
        let mut view = self.frame_view.lock();
        let is_first = self.frame_readers.fetch_add(1, Ordering::AcqRel) == 0;
        if is_first && self.native() == Native::Packets {
            self.frames.cut(0);
            view.begin(&self.packets, &self.frames);
        }
        FrameReader { track: Arc::clone(self) }
    }

    /// Whether its source sends packets now, of which frames are to be made.
    pub fn is_of_packets(&self) -> bool {
        self.native() == Native::Packets
    }

    pub(super) fn has_frame_readers(&self) -> bool {
        self.frame_readers.load(Ordering::Acquire) > 0
    }
}
