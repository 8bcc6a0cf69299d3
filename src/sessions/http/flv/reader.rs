//! Reads the tracks of a stream and writes them as FLV. Without I/O: asked for bytes, it has some or none.

use std::sync::Arc;

use base::{ExitReason, MediaTime, TrackId};
use bytes::Bytes;
use container::flv::{FlvStream, FlvUnit};
use media::{
    Bell, Catalogue, Codec, CodecConfig, FrameReader, Kind, StreamMedia, TrackInfo, Unit, can_depacketize,
};
use observe::metric;

/// Bytes that are written before the first of them are handed out.
const BYTES_AT_ONCE: usize = 32 * 1024;
/// What FLV calls H.264 and AAC (annex E.4.3.1, E.4.2.1).
const CODEC_NUMBER_H264: f64 = 7.0;
const CODEC_NUMBER_AAC: f64 = 10.0;

/// What a reader has.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Bytes, to be sent.
    Piece(Bytes),
    /// Nothing before the bell rings.
    Nothing,
    /// It is over, for that reason.
    Ended(ExitReason),
}

/// The tracks of a stream that its source sends, one of each kind.
pub(super) fn sources(catalogue: &Catalogue) -> impl Iterator<Item = &TrackInfo> {
    [Kind::Video, Kind::Audio].into_iter().filter_map(|kind| catalogue.source(kind))
}

/// One track that is read.
struct Lane {
    id: TrackId,
    kind: Kind,
    codec: Codec,
    frames: FrameReader,
    /// Its place in the ring. Nothing is taken out of that before it is written, or a player that stands still would keep
    /// what the ring has let go.
    place: u64,
    /// Nothing of it can be decoded before the next key unit.
    waits_for_key: bool,
    /// The newest configuration the stream has told of, and its generation.
    config: (CodecConfig, u32),
    /// The generation whose header the player was sent last.
    sent: Option<u32>,
}

impl Lane {
    fn new(info: &TrackInfo, bell: &Bell) -> Self {
        let frames = info.track.read_frames();
        frames.hang(bell);
        Self {
            id: info.id.clone(),
            kind: info.kind(),
            codec: info.config.codec(),
            place: frames.frames().head(),
            frames,
            waits_for_key: true,
            config: (info.config.clone(), info.generation),
            sent: None,
        }
    }

    /// Whether units went before they were written.
    fn misses(&self) -> bool {
        self.place < self.frames.frames().tail()
    }

    fn next(&self) -> Option<Arc<Unit>> {
        self.frames.frames().get(self.place)
    }

    /// Its source sends packets now that nobody puts together.
    fn has_run_dry(&self) -> bool {
        self.frames.track().is_of_packets() && !can_depacketize(self.codec)
    }

    /// Leaves everything before that place of its ring.
    fn go_to(&mut self, index: u64) {
        self.place = index;
        self.waits_for_key = true;
    }
}

/// A player's place in its stream.
pub(super) struct FlvReader {
    media: Arc<StreamMedia>,
    bell: Bell,
    /// How often the stream had changed when it was looked at last.
    changes: u64,
    /// Pictures first.
    lanes: Vec<Lane>,
    out: FlvStream,
    /// The stream's time that is 0 for the player.
    zero: Option<MediaTime>,
    /// Bytes of pictures and sound written since they were last asked for.
    counted: (u64, u64),
}

impl FlvReader {
    /// Begins with the newest key frame of `catalogue`'s pictures, or the newest sound.
    pub(super) fn new(media: Arc<StreamMedia>, catalogue: &Catalogue) -> Self {
        let bell = Bell::new();
        media.hang(&bell);
        let changes = media.changes();
        let lanes: Vec<_> = sources(catalogue).map(|info| Lane::new(info, &bell)).collect();
        let out = FlvStream::new(lanes.iter().map(|lane| lane.kind));
        let mut reader = Self { media, bell, changes, lanes, out, zero: None, counted: (0, 0) };
        reader.jump();
        let numbers = reader.numbers();
        reader.out.metadata(0, &numbers);
        // Looked at once more: the catalogue may be an older one by now.
        reader.changes = reader.changes.wrapping_sub(1);
        reader
    }

    /// Sleeps until there may be something. Cancel-safe.
    pub(super) async fn rung(&self) {
        self.bell.rung().await;
    }

    /// Bytes of pictures and of sound written since this was last asked.
    pub(super) fn take_counted(&mut self) -> (u64, u64) {
        std::mem::take(&mut self.counted)
    }

    /// What there is for the player now.
    pub(super) fn next(&mut self) -> Next {
        if let Some(piece) = self.out.take() {
            return Next::Piece(piece);
        }
        if let Some(reason) = self.look() {
            return Next::Ended(reason);
        }
        while self.out.bytes() < BYTES_AT_ONCE {
            if self.lanes.iter().any(Lane::misses) {
                metric::ring_skips().increment(1);
                self.jump();
                continue;
            }
            let earliest =
                self.lanes.iter().enumerate().filter_map(|(index, lane)| Some((index, lane.next()?)));
            let Some((index, unit)) = earliest.min_by_key(|(index, unit)| (unit.dts, *index)) else { break };
            if !self.write(index, &unit) {
                return Next::Ended(ExitReason::CodecChanged);
            }
        }
        match self.out.take() {
            Some(piece) => Next::Piece(piece),
            None if self.media.is_closed() => Next::Ended(ExitReason::StreamEnded),
            None if self.lanes.iter().any(Lane::has_run_dry) => Next::Ended(ExitReason::CodecChanged),
            None => Next::Nothing,
        }
    }

    /// Goes to the newest key frame, with sound from there on. Without one pictures are waited for and sound goes on.
    fn jump(&mut self) {
        let mut begin = None;
        for lane in &mut self.lanes {
            let ring = lane.frames.frames();
            let to = match begin {
                Some(dts) => ring.at_or_after(dts),
                None => ring.newest_key().unwrap_or_else(|| ring.head()),
            };
            if lane.kind == Kind::Video {
                begin = ring.get(to).map(|unit| unit.dts);
            }
            lane.go_to(to);
        }
    }

    /// Takes notice of what the stream is now; a reason where it cannot be followed any more.
    fn look(&mut self) -> Option<ExitReason> {
        let changes = self.media.changes();
        if changes == self.changes {
            return None;
        }
        self.changes = changes;
        if self.media.is_closed() {
            // What is left of it is still sent.
            return None;
        }
        let catalogue = self.media.catalogue();
        let mut tracks = sources(&catalogue);
        let mut lanes = self.lanes.iter_mut();
        loop {
            match (tracks.next(), lanes.next()) {
                (None, None) => return None,
                (Some(info), Some(lane))
                    if info.id == lane.id && Arc::ptr_eq(&info.track, lane.frames.track()) =>
                {
                    lane.config = (info.config.clone(), info.generation);
                }
                // FLV has no way to say that a track comes, goes or is another.
                _ => return Some(ExitReason::CodecChanged),
            }
        }
    }

    /// Writes the next unit of a lane, with its header where that is new. `false`: the stream is not what it was.
    fn write(&mut self, index: usize, unit: &Unit) -> bool {
        // A unit whose configuration is not known yet: the stream has told of it by now.
        if self.lanes.get(index).is_some_and(|lane| unit.generation > lane.config.1) && self.look().is_some()
        {
            return false;
        }
        let Some(lane) = self.lanes.get_mut(index) else { return true };
        lane.place += 1;
        lane.waits_for_key &= !unit.key;
        let is_known = lane.sent == Some(unit.generation) || lane.config.1 == unit.generation;
        if lane.waits_for_key || !is_known || unit.payload.is_empty() {
            // Of a configuration that was replaced before it was written nobody knows what it was.
            lane.waits_for_key |= !is_known;
            return true;
        }
        let zero = *self.zero.get_or_insert(unit.dts);
        let millis = millis(unit.dts, zero);
        if lane.sent != Some(unit.generation) {
            let changed = lane.sent.replace(unit.generation).is_some();
            self.out.header(&lane.config.0, millis);
            if changed {
                let numbers = self.numbers();
                self.out.metadata(millis, &numbers);
            }
        }
        let Some(lane) = self.lanes.get(index) else { return true };
        let composition_ms = i32::try_from((unit.pts - unit.dts).as_millis()).unwrap_or(0);
        self.out.unit(lane.codec, FlvUnit { millis, composition_ms, key: unit.key, payload: &unit.payload });
        let counted = match lane.kind {
            Kind::Video => &mut self.counted.0,
            Kind::Audio => &mut self.counted.1,
        };
        *counted += unit.payload.len() as u64;
        true
    }

    /// What `onMetaData` says.
    fn numbers(&self) -> Vec<(&'static str, f64)> {
        let mut numbers = Vec::new();
        for lane in &self.lanes {
            let config = &lane.config.0;
            if let Some((width, height)) = config.picture_size() {
                numbers.extend([("width", f64::from(width)), ("height", f64::from(height))]);
            }
            match config {
                CodecConfig::H264(h264) => {
                    numbers.extend(h264.frame_rate.map(|rate| ("framerate", rate.per_second())));
                    numbers.push(("videocodecid", CODEC_NUMBER_H264));
                }
                CodecConfig::Aac(aac) => numbers.extend([
                    ("audiocodecid", CODEC_NUMBER_AAC),
                    ("audiosamplerate", f64::from(aac.sample_rate)),
                    ("audiochannels", f64::from(aac.channels)),
                ]),
                _ => {}
            }
        }
        numbers
    }
}

/// Milliseconds of the player's time, which goes round after 49 days as RTMP's does.
fn millis(dts: MediaTime, zero: MediaTime) -> u32 {
    // Sound that lies before the first picture is not written; rounding may still come out below.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "going round is meant")]
    let millis = (dts - zero).as_millis().max(0) as u32;
    millis
}
