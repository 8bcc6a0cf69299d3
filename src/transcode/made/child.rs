//! A track that an ffmpeg makes from another.

use std::time::Duration;

use base::{MediaTime, TrackId};
use container::flv::FlvWriter;
use media::{Bell, CodecConfig, Cursor, Kind, StreamMedia, TrackInfo, Unit};
use observe::metric;

use super::take::Taker;
use super::{End, Shared};
use crate::child::{Child, ChildError, Input};

/// Units looked at at once.
const UNITS_PER_READ: usize = 32;
/// So much is handed over at once, and what the last unit has beyond it.
const BYTES_PER_WRITE: usize = 64 * 1024;
/// Where its clock stands at the first unit: nothing it makes may lie before zero, or all of it is moved.
const CLOCK_BEGINS: Duration = Duration::from_secs(10);
/// The file's clock has 31 bits that everybody reads alike; before they are over it begins anew.
const CLOCK_MILLIS_MAX: i64 = 0x7000_0000;
/// Between two key frames of what is made: what a viewer who joins has to be sent again.
const KEY_INTERVAL_S: u32 = 2;
/// Bits per second of pictures, at least; and of what the source sends, in percent.
const PICTURE_RATE_MIN: u64 = 500_000;
const PICTURE_RATE_PERCENT: u64 = 120;

/// The clock of a child's files against the stream's.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileClock(MediaTime);

impl FileClock {
    /// The clock of a file whose first unit is of that time.
    pub(super) const fn new(first: MediaTime) -> Self {
        Self(first)
    }

    /// A time of the stream in the file's milliseconds.
    fn millis(self, time: MediaTime) -> i64 {
        // To the nearest: what comes back is rounded to the nearest too.
        (time - self.0).plus(CLOCK_BEGINS).plus(Duration::from_micros(500)).as_millis()
    }

    /// A time of the file on the stream's clock.
    pub(super) fn time(self, millis: i64) -> MediaTime {
        self.0 + MediaTime::from_millis(millis) - MediaTime::ZERO.plus(CLOCK_BEGINS)
    }
}

/// Makes a track with a child until that fails.
pub(super) async fn by_child(media: &StreamMedia, shared: &Shared, source: &TrackInfo, id: &TrackId) -> End {
    let frames = source.track.frames();
    let newest = frames.head().saturating_sub(1);
    let start = match source.kind() {
        Kind::Video => frames.newest_key().unwrap_or(frames.head()),
        Kind::Audio => newest,
    };
    let first = frames.get(start).map_or(MediaTime::ZERO, |unit| unit.dts);
    let clock = FileClock::new(first);
    let live = frames.get(newest).map_or(first, |unit| unit.dts);
    let args = match source.kind() {
        Kind::Video => picture_args(source, live - frames.get(start).map_or(live, |unit| unit.pts)),
        Kind::Audio => sound_args(source),
    };
    let (child, input, output) = match Child::start(&shared.ffmpeg, &args) {
        Ok(started) => started,
        Err(error) => return End::Failed(error.to_string()),
    };
    let taker = Taker::new(media, &*shared.clock, source, id, clock, live);
    let end = tokio::select! {
        end = feed(source, clock, Cursor(start), input) => end,
        end = taker.take(output) => end,
    };
    match end {
        Ok(end) => end,
        Err(error) => End::Failed(child.explain(error).await.to_string()),
    }
}

/// H.264 that every browser takes, in the order it is shown in, with a key frame where the backlog ends: from
/// there on players are sent it.
/// `backlog` is counted from the first picture shown, as ffmpeg counts.
fn picture_args(source: &TrackInfo, backlog: MediaTime) -> Vec<String> {
    let rate = (source.track.bitrate_bps() * PICTURE_RATE_PERCENT / 100).max(PICTURE_RATE_MIN);
    let backlog_s = backlog.as_millis().max(0) as f64 / 1_000.0;
    let key_frames = format!("expr:gte(t,{backlog_s:.3}+n_forced*{KEY_INTERVAL_S})");
    let mut args =
        words("-an -sn -dn -fps_mode passthrough -enc_time_base 1:1000 -c:v libx264 -preset veryfast");
    args.extend(words(
        "-tune zerolatency -profile:v baseline -pix_fmt yuv420p -bf 0 -g 100000 -sc_threshold 0",
    ));
    args.extend(words("-crf 21 -threads:v 1"));
    args.extend(
        [("-maxrate", rate), ("-bufsize", rate)]
            .map(|(name, rate)| [name.to_owned(), rate.to_string()])
            .concat(),
    );
    args.extend(["-force_key_frames".to_owned(), key_frames]);
    args
}

/// AAC-LC, mono or stereo. A gap in the source becomes silence, because players hear a clock that goes on.
fn sound_args(source: &TrackInfo) -> Vec<String> {
    let channels = match &source.config {
        CodecConfig::Aac(aac) => aac.channels.clamp(1, 2),
        _ => 2,
    };
    let mut args =
        words("-vn -sn -dn -af aresample=async=1:min_hard_comp=0.03 -c:a aac -b:a 192k -ar 48000 -ac");
    args.push(channels.to_string());
    args
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// Hands the source's units to the child.
async fn feed(
    source: &TrackInfo,
    clock: FileClock,
    mut cursor: Cursor,
    mut input: Input,
) -> Result<End, ChildError> {
    let frames = source.track.frames();
    let bell = Bell::new();
    frames.hang(&bell);
    let mut out = Vec::new();
    let mut begun: Option<FlvWriter> = None;
    loop {
        let read = frames.read(&mut cursor, UNITS_PER_READ);
        if read.skipped > 0 {
            metric::ring_skips().increment(1);
        }
        for unit in &read.entries {
            if unit.generation != source.generation || clock.millis(unit.dts) > CLOCK_MILLIS_MAX {
                return Ok(End::Changed);
            }
            let writer = *begun.get_or_insert_with(|| begin(source, clock, unit, &mut out));
            write(writer, clock, unit, &mut out);
            if out.len() >= BYTES_PER_WRITE {
                input.write(&out).await?;
                out.clear();
                out.shrink_to(BYTES_PER_WRITE);
            }
        }
        if !out.is_empty() {
            input.write(&out).await?;
            out.clear();
        }
        if !read.entries.is_empty() {
            continue;
        }
        if frames.is_closed() {
            return Ok(End::Changed);
        }
        bell.rung().await;
    }
}

fn begin(source: &TrackInfo, clock: FileClock, first: &Unit, out: &mut Vec<u8>) -> FlvWriter {
    let writer = FlvWriter::new(source.kind(), out);
    let millis = millis_32(clock.millis(first.dts));
    match &source.config {
        CodecConfig::H264(config) => writer.h264_header(config, millis, out),
        CodecConfig::Aac(config) => writer.aac_header(config, millis, out),
        // The codec table sends nothing else here.
        _ => {}
    }
    writer
}

fn write(writer: FlvWriter, clock: FileClock, unit: &Unit, out: &mut Vec<u8>) {
    let (decoded, shown) = (clock.millis(unit.dts), clock.millis(unit.pts));
    let millis = millis_32(decoded);
    match writer.kind() {
        Kind::Video => writer.h264(millis, millis_32(shown - decoded), unit.key, &unit.payload, out),
        Kind::Audio => writer.aac(millis, &unit.payload, out),
    }
}

fn millis_32(millis: i64) -> u32 {
    u32::try_from(millis).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_comes_back_as_it_went_to_a_millisecond() {
        let clock = FileClock::new(MediaTime::from_nanos(1_234_567_890));
        for nanos in [1_234_567_890, 1_267_901_223, 3_600_000_000_001] {
            let time = MediaTime::from_nanos(nanos);
            let back = clock.time(clock.millis(time));
            assert!((back - time).as_nanos().abs() <= 500_000, "{time} {back}");
        }
        assert_eq!(clock.millis(MediaTime::from_nanos(1_234_567_890)), 10_000);
    }
}
