//! A track that an ffmpeg makes from another.

use std::sync::OnceLock;
use std::time::Duration;

use base::{Clock, MediaTime, TrackId};
use container::flv::FlvWriter;
use media::{CodecConfig, Kind, StreamMedia, TrackInfo, Unit};

use super::take::Taker;
use super::units::Units;
use super::{End, Shared};
use crate::child::{Child, ChildError, Input};

/// So much is handed over at once, and what the last unit has beyond it.
const BYTES_PER_WRITE: usize = 64 * 1024;
/// Where its clock stands at the first unit: nothing it makes may lie before zero, or all of it is moved.
const CLOCK_BEGINS: Duration = Duration::from_secs(10);
/// The file's clock has 31 bits that everybody reads alike; before they are over it begins anew.
const CLOCK_MILLIS_MAX: i64 = 0x7000_0000;
/// Between two key frames of what is made: what a viewer who joins has to be sent again.
const KEY_INTERVAL_S: u32 = 2;
/// Bits per second of pictures: at least; for each pixel; and of what the source sends, in percent.
const PICTURE_RATE_MIN: u64 = 500_000;
const PICTURE_RATE_PER_PIXEL: u64 = 3;
const PICTURE_RATE_PERCENT: u64 = 120;
/// What a source has sent for less than this says little of its rate: it begins with a key frame.
const RATE_KNOWN_AFTER: Duration = Duration::from_secs(3);
/// Larger pictures are not transcoded: a decoder keeps up to 16 of them.
const PIXELS_MAX: u64 = 4_096 * 2_304;
/// How far the times of a source may run ahead of the clock on the wall: what is missing is made up as silence.
const AHEAD_MAX: Duration = Duration::from_secs(30);

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
    // What is there may need the configuration before.
    let first = frames.get(start).filter(|unit| unit.generation == source.generation);
    let start = if first.is_some() { start } else { frames.head() };
    let live = first.as_ref().and_then(|_| frames.get(newest)).map(|unit| unit.dts);
    let args = match &source.config {
        CodecConfig::H264(config) => {
            let pixels = u64::from(config.width) * u64::from(config.height);
            if pixels > PIXELS_MAX {
                let told = "pictures of more than 4096x2304 are not transcoded";
                return End::Failed { told, why: told.to_owned() };
            }
            let backlog = first.zip(live).map_or(MediaTime::ZERO, |(first, live)| live - first.pts);
            picture_args(source, pixels, backlog)
        }
        _ => words(SOUND_ARGS),
    };
    let (child, input, output) = match Child::start(&shared.ffmpeg, &args) {
        Ok(started) => started,
        Err(error) => {
            let told = "its ffmpeg cannot be started (transcode.ffmpeg in penstock.toml)";
            return End::Failed { told, why: error.to_string() };
        }
    };
    let clock = OnceLock::new();
    let taker = Taker::new(media, &*shared.clock, source, id, &clock, live);
    let end = tokio::select! {
        end = feed(source, &*shared.clock, &clock, start, input) => end,
        end = taker.take(output) => end,
    };
    match end {
        Ok(end) => end,
        Err(error) => End::failed(child.explain(error).await),
    }
}

/// H.264 that every browser takes, in the order it is shown in, with a key frame where the backlog ends: from
/// there on players are sent it. `backlog` is counted from the first picture shown, as ffmpeg counts.
fn picture_args(source: &TrackInfo, pixels: u64, backlog: MediaTime) -> Vec<String> {
    let (_, known_for) = source.track.frames().held();
    let rate = if known_for < RATE_KNOWN_AFTER {
        pixels * PICTURE_RATE_PER_PIXEL
    } else {
        source.track.bitrate_bps() * PICTURE_RATE_PERCENT / 100
    };
    let rate = rate.max(PICTURE_RATE_MIN);
    let backlog_s = backlog.as_millis().max(0) as f64 / 1_000.0;
    let key_frames = format!("expr:gte(t,{backlog_s:.3}+n_forced*{KEY_INTERVAL_S})");
    words(&format!("{PICTURE_ARGS} -maxrate {rate} -bufsize {rate} -force_key_frames {key_frames}"))
}

const PICTURE_ARGS: &str = "-an -sn -dn -fps_mode passthrough -enc_time_base 1:1000 -c:v libx264 -preset veryfast \
    -tune zerolatency -profile:v baseline -pix_fmt yuv420p -bf 0 -g 100000 -sc_threshold 0 -crf 21 -threads:v 1";

/// AAC-LC in stereo, which what is mono on paper may turn out to be (parametric stereo). A gap in the source
/// becomes silence, because players hear a clock that goes on.
const SOUND_ARGS: &str =
    "-vn -sn -dn -af aresample=async=1:min_hard_comp=0.03 -c:a aac -b:a 160k -ar 48000 -ac 2";

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// Hands the source's units to the child, from the first that can be decoded by itself.
async fn feed(
    source: &TrackInfo,
    now: &dyn Clock,
    file: &OnceLock<FileClock>,
    from: u64,
    mut input: Input,
) -> Result<End, ChildError> {
    let began = now.now();
    let mut out = Vec::new();
    let mut begun: Option<FlvWriter> = None;
    let mut reader = Units::of(source, from);
    while let Some(units) = reader.next().await {
        for unit in units {
            if begun.is_none() && !unit.key {
                continue;
            }
            let clock = *file.get_or_init(|| FileClock::new(unit.dts));
            if clock.millis(unit.dts) > CLOCK_MILLIS_MAX {
                return Ok(End::Changed);
            }
            let passed = now.now().saturating_duration_since(began);
            if unit.dts.since(clock.0) > passed + AHEAD_MAX {
                return Ok(End::failed("the source's times run ahead of the clock"));
            }
            let writer = *begun.get_or_insert_with(|| begin(source, clock, &unit, &mut out));
            write(writer, clock, &unit, &mut out);
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
    }
    Ok(End::Changed)
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
