//! What the players of a shard share of one track: read once, sealed for each.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use base::limits;
use media::{Bell, Cursor, PacketReader, PacketRun, Track};

use super::TrackRef;
use super::lateness::Lateness;
use super::slab::Key;
use super::stamps::FrameClock;

/// Runs read from the ring at once.
const RUNS_PER_READ: usize = 64;

/// A frame as the players of a shard share it.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) run: Arc<PacketRun>,
    /// When it was read.
    pub(super) read: Instant,
    /// Its time on the RTP clock: reckoned once, not per viewer.
    pub(super) ticks: i64,
}

/// What a live player finds at its position.
pub(super) enum Found {
    /// The frame with its next packet, or the next frame where the source has a hole.
    Run(Held),
    /// It has everything.
    UpToDate,
    /// Its frames are gone.
    Behind,
}

/// The state of one track in a shard.
pub(super) struct Fanout {
    /// The stream it belongs to.
    pub(super) stream: Key,
    reader: PacketReader,
    cursor: Cursor,
    clock_rate: u32,
    /// The newest runs, oldest first: what live players have to catch up with.
    window: VecDeque<Held>,
    /// Number behind the newest packet read.
    pub(super) end: u64,
    /// First packet of the newest key frame read.
    pub(super) newest_key: Option<u64>,
    /// The source's rate, bits per second, as of the last read.
    pub(super) rate: u64,
    /// Where the media clock stands.
    pub(super) clock: Option<FrameClock>,
    /// The newest run, for the stream's wall clock anchor.
    pub(super) newest: Option<Arc<PacketRun>>,
    /// The tracks being sent.
    pub(super) viewers: Vec<TrackRef>,
    /// How late its frames have been: of this stream alone, because others have turns of their own.
    pub(super) lateness: Lateness,
    /// Which viewer is served first next time.
    pub(super) turn: usize,
    /// Tracks of players that use this, sent or not.
    pub(super) users: usize,
    bell: Bell,
}

impl Fanout {
    /// Begins to read a track; its GOP so far is found in the ring.
    pub(super) fn new(stream: Key, track: &Arc<Track>, clock_rate: u32, bell: &Bell) -> Self {
        let reader = track.read_packets();
        reader.hang(bell);
        let ring = reader.packets();
        let head = ring.head();
        let newest = head.checked_sub(1).and_then(|last| ring.get(last));
        let before = head.checked_sub(2).and_then(|last| ring.get(last));
        let clock = newest.as_ref().map(|newest| {
            let before = before.map(|before| FrameClock::after(None, &before, clock_rate));
            FrameClock::after(before, newest, clock_rate)
        });
        let newest_key = ring.newest_key().and_then(|key| ring.get(key)).map(|run| run.first_packet);
        Self {
            stream,
            cursor: Cursor(head),
            clock_rate,
            window: VecDeque::new(),
            end: newest.as_ref().map_or(0, |newest| newest.end_packet()),
            newest_key,
            rate: track.bitrate_bps(),
            clock,
            newest,
            viewers: Vec::new(),
            lateness: Lateness::default(),
            turn: 0,
            users: 0,
            bell: bell.clone(),
            reader,
        }
    }

    /// Whether this reads that very track.
    pub(super) fn reads(&self, track: &Arc<Track>) -> bool {
        Arc::ptr_eq(self.reader.track(), track)
    }

    /// Whether there is something new to read.
    pub(super) fn has_news(&self) -> bool {
        self.reader.packets().head() > self.cursor.0
    }

    /// Reads what is new: the runs, and whether runs were missed before them.
    pub(super) fn read(&mut self, now: Instant) -> (Vec<Arc<PacketRun>>, bool) {
        let mut runs = Vec::new();
        let mut missed = false;
        loop {
            let read = self.reader.packets().read(&mut self.cursor, RUNS_PER_READ);
            if read.skipped > 0 {
                missed = true;
                runs.clear();
                self.window.clear();
                // Whoever is live stands before this, and is found to be behind.
                self.end = read.entries.first().map_or(u64::MAX, |run| run.first_packet);
            }
            if read.entries.is_empty() {
                break;
            }
            for run in read.entries {
                self.take(&run, now);
                runs.push(run);
            }
        }
        while self.window.front().is_some_and(|held| {
            now.saturating_duration_since(held.read) > limits::PLAY_BACKLOG_MAX && self.window.len() > 1
        }) {
            self.window.pop_front();
        }
        self.rate = self.reader.track().bitrate_bps();
        (runs, missed)
    }

    fn take(&mut self, run: &Arc<PacketRun>, now: Instant) {
        self.clock = Some(FrameClock::after(self.clock, run, self.clock_rate));
        self.end = run.end_packet();
        if run.key && run.starts_frame {
            self.newest_key = Some(run.first_packet);
        }
        self.newest = Some(Arc::clone(run));
        let ticks = run.pts.as_ticks(self.clock_rate);
        self.window.push_back(Held { run: Arc::clone(run), read: now, ticks });
    }

    /// What a live player whose next packet is `next` finds.
    pub(super) fn find(&self, next: u64) -> Found {
        if next == self.end {
            return Found::UpToDate;
        }
        if self.window.front().is_none_or(|oldest| next < oldest.run.first_packet) {
            return Found::Behind;
        }
        let at = self.window.partition_point(|held| held.run.end_packet() <= next);
        self.window.get(at).map_or(Found::UpToDate, |held| Found::Run(held.clone()))
    }

    /// The run of a packet, as long as the ring holds it.
    pub(super) fn run_of(&self, packet: u64) -> Option<Arc<PacketRun>> {
        self.reader.run_of(packet)
    }

    /// Takes a track off the list of those being sent.
    pub(super) fn drop_viewer(&mut self, viewer: TrackRef) {
        self.viewers.retain(|held| *held != viewer);
    }
}

impl Drop for Fanout {
    fn drop(&mut self) {
        self.reader.packets().take_down(&self.bell);
    }
}

impl std::fmt::Debug for Fanout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fanout")
            .field("end", &self.end)
            .field("viewers", &self.viewers.len())
            .finish_non_exhaustive()
    }
}
