//! A stream in memory: made by ffmpeg once, because an encoder at work during a run would take a good part of
//! the core that the players need.

use std::collections::HashSet;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use container::flv::{AudioBody, AudioTag, FrameType, VideoBody, VideoTag, tags};
use media::Kind;
use media::h264::{H264Config, LengthSize, nals};
use tokio::process::Command;
use tokio::time::timeout;

use super::fingerprint;

/// Frames per second.
pub const FPS: u32 = 30;
/// Samples per second of the sound.
const SAMPLE_RATE: u32 = 48_000;
/// Samples of one AAC frame.
const AAC_FRAME_SAMPLES: u32 = 1_024;
/// Pictures that take as long as a whole number of AAC frames (25): a recording of a multiple of it can be
/// played over and over without a step in the sound.
const EVEN_FRAMES: u32 = 16;
/// At least this many pictures: no picture may be taken for the same one of the round before.
const FRAMES_MIN: u32 = 16 * FPS;
/// Time to encode it.
const ENCODING_MAX: Duration = Duration::from_secs(120);
/// In front of the NAL units of a video message: codec, kind and composition time.
const VIDEO_TAG_HEADER_BYTES: usize = 5;
/// Adds nothing to a picture (`cabac_zero_word` with its emulation prevention, ITU-T H.264 7.3.2.10).
const STUFFING: [u8; 3] = [0, 0, 3];

/// What to record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordingOptions {
    /// Bits per second of the picture, 1280 x 720 at 30 frames per second.
    pub bitrate: u32,
    /// Frames from one key frame to the next.
    pub gop_frames: u32,
    /// What key frames are stuffed to, where they are smaller; in bytes.
    pub key_frame_bytes: usize,
}

impl Default for RecordingOptions {
    /// 2 Mbit/s with a key frame every 2 s.
    fn default() -> Self {
        Self { bitrate: 2_000_000, gop_frames: 2 * FPS, key_frame_bytes: 0 }
    }
}

/// One coded picture.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// The body of its RTMP message.
    pub(super) message: Bytes,
    pub(super) key: bool,
    pub(super) fingerprint: u64,
}

/// A noisy picture and a tone: noise, so that the encoder needs the rate it may have.
#[derive(Clone, Debug)]
pub struct Recording {
    pub(super) video_header: Bytes,
    pub(super) audio_header: Bytes,
    pub(super) frames: Vec<Frame>,
    /// Bodies of the audio messages, 1,024 samples each.
    pub(super) sounds: Vec<Bytes>,
}

impl Recording {
    /// Encodes at least 16 s with stereo sound. One slice per picture, as hardware encoders and OBS have it.
    ///
    /// # Errors
    /// ffmpeg is not there or failed, or it wrote something else than was asked for.
    pub async fn make(options: RecordingOptions) -> anyhow::Result<Self> {
        ensure!(options.gop_frames > 0, "a group of pictures has pictures");
        let folder = tempfile::Builder::new().prefix("penstock-load-").tempdir()?;
        let file = folder.path().join("recording.flv");
        let (rate, buffer) = (options.bitrate.to_string(), (options.bitrate / 2).to_string());
        let (count, gop) = (frame_count(options.gop_frames), options.gop_frames.to_string());
        // The encoder of the sound is a frame behind at the end.
        let seconds = (count.div_ceil(FPS) + 1).to_string();
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg
            .args(["-hide_banner", "-nostats", "-loglevel", "error", "-y", "-f", "lavfi", "-i"])
            .arg(format!("testsrc2=size=1280x720:rate={FPS},noise=alls=20:allf=t,format=yuv420p"))
            .args(["-f", "lavfi", "-i", &format!("sine=frequency=440:sample_rate={SAMPLE_RATE}")])
            .args(["-t", &seconds, "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency"])
            .args(["-threads", "1", "-x264-params", "slices=1:cabac=1", "-bf", "0"])
            .args(["-g", &gop, "-keyint_min", &gop, "-sc_threshold", "0"])
            .args(["-b:v", &rate, "-maxrate", &rate, "-bufsize", &buffer])
            .args(["-c:a", "aac", "-ac", "2", "-b:a", "128k", "-flvflags", "no_duration_filesize"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        let made = timeout(ENCODING_MAX, ffmpeg.status()).await.context("the recording took too long")?;
        let status = made.context("ffmpeg could not be started")?;
        ensure!(status.success(), "the recording was not made: ffmpeg ended with {status}");
        Self::read(&fs::read(&file)?.into(), options).context("the recording is not what was asked for")
    }

    fn read(flv: &Bytes, options: RecordingOptions) -> anyhow::Result<Self> {
        let count = frame_count(options.gop_frames) as usize;
        let sounds = count * (SAMPLE_RATE / FPS) as usize / AAC_FRAME_SAMPLES as usize;
        let mut recording = Self {
            video_header: Bytes::new(),
            audio_header: Bytes::new(),
            frames: Vec::new(),
            sounds: Vec::new(),
        };
        for (header, message) in tags(flv) {
            match header.kind {
                Some(Kind::Audio) => recording.read_sound(message)?,
                Some(Kind::Video) => recording.read_picture(message, options.key_frame_bytes)?,
                None => {}
            }
        }
        ensure!(recording.frames.len() >= count, "{} frames, not {count}", recording.frames.len());
        ensure!(recording.sounds.len() >= sounds, "{} audio frames, not {sounds}", recording.sounds.len());
        recording.frames.truncate(count);
        recording.sounds.truncate(sounds);
        for (index, frame) in recording.frames.iter().enumerate() {
            ensure!(frame.key == index.is_multiple_of(options.gop_frames as usize), "key frames elsewhere");
        }
        let distinct: HashSet<u64> = recording.frames.iter().map(|frame| frame.fingerprint).collect();
        ensure!(distinct.len() == count, "two frames are alike");
        ensure!(!recording.video_header.is_empty() && !recording.audio_header.is_empty(), "no headers");
        Ok(recording)
    }

    fn read_sound(&mut self, message: Bytes) -> anyhow::Result<()> {
        match AudioTag::parse(&message)?.body {
            AudioBody::SequenceHeader(..) => self.audio_header = message,
            AudioBody::Raw(..) => self.sounds.push(message),
            AudioBody::Nothing => {}
        }
        Ok(())
    }

    fn read_picture(&mut self, message: Bytes, key_frame_bytes: usize) -> anyhow::Result<()> {
        let tag = VideoTag::parse(&message)?;
        match tag.body {
            VideoBody::SequenceHeader(..) => self.video_header = message,
            VideoBody::Frame { .. } => {
                let key = tag.frame_type == FrameType::Key;
                let message = if key { stuffed(&message, key_frame_bytes)? } else { message };
                let payload = message.get(VIDEO_TAG_HEADER_BYTES..).unwrap_or_default();
                let units: Vec<&[u8]> = nals(payload, LengthSize::Four).collect::<Result<_, _>>()?;
                let fingerprint = fingerprint(units.into_iter()).context("a frame without a slice")?;
                self.frames.push(Frame { message, key, fingerprint });
            }
            VideoBody::EndOfSequence | VideoBody::Nothing => {}
        }
        Ok(())
    }

    /// The pictures alone.
    pub fn without_sound(self) -> Self {
        Self { audio_header: Bytes::new(), sounds: Vec::new(), ..self }
    }

    /// The parameter sets.
    ///
    /// # Errors
    /// The decoder configuration cannot be read.
    pub fn config(&self) -> anyhow::Result<H264Config> {
        let VideoBody::SequenceHeader(_, avcc) = VideoTag::parse(&self.video_header)?.body else {
            anyhow::bail!("not a sequence header")
        };
        Ok(H264Config::from_avcc(&avcc)?.0)
    }

    /// The pictures as length-prefixed NAL units, and which are key frames.
    pub fn pictures(&self) -> impl Iterator<Item = (Bytes, bool)> {
        self.frames.iter().map(|frame| (frame.message.slice(VIDEO_TAG_HEADER_BYTES..), frame.key))
    }

    /// When a picture is due, from the start of a round.
    pub(super) fn frame_due(index: usize) -> Duration {
        Duration::from_secs(index as u64) / FPS
    }

    /// When an audio frame is due, from the start of a round.
    pub(super) fn sound_due(index: usize) -> Duration {
        Duration::from_secs(index as u64 * u64::from(AAC_FRAME_SAMPLES)) / SAMPLE_RATE
    }

    /// How long a round takes.
    pub(super) fn duration(&self) -> Duration {
        Self::frame_due(self.frames.len())
    }
}

/// Whole groups of pictures that last as long as whole frames of sound.
fn frame_count(gop_frames: u32) -> u32 {
    let mut even = gop_frames;
    while !even.is_multiple_of(EVEN_FRAMES) {
        even += gop_frames;
    }
    even * FRAMES_MIN.div_ceil(even)
}

/// A video message whose last NAL unit is made longer until the message has `bytes`.
fn stuffed(message: &Bytes, bytes: usize) -> anyhow::Result<Bytes> {
    let Some(missing) = bytes.checked_sub(message.len()) else { return Ok(message.clone()) };
    let payload = message.get(VIDEO_TAG_HEADER_BYTES..).unwrap_or_default();
    let last = nals(payload, LengthSize::Four).last().context("an empty frame")??.len();
    let words = missing / STUFFING.len();
    let mut out = BytesMut::with_capacity(bytes);
    out.put_slice(&message[..message.len() - last - 4]);
    out.put_u32(u32::try_from(last + words * STUFFING.len())?);
    out.put_slice(&message[message.len() - last..]);
    (0..words).for_each(|_| out.put_slice(&STUFFING));
    Ok(out.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_whole_groups_and_whole_sounds() {
        for gop in [1, 30, 60, 248] {
            let frames = frame_count(gop);
            assert!(frames.is_multiple_of(gop) && frames >= FRAMES_MIN, "{gop}: {frames}");
            let samples = frames * SAMPLE_RATE / FPS;
            assert!(samples.is_multiple_of(AAC_FRAME_SAMPLES), "{gop}: {samples}");
            let sounds = samples / AAC_FRAME_SAMPLES;
            assert_eq!(Recording::sound_due(sounds as usize), Recording::frame_due(frames as usize));
        }
    }

    #[test]
    fn stuffing_makes_the_last_nal_unit_longer() {
        let message = Bytes::from_static(&[0x17, 1, 0, 0, 0, 0, 0, 0, 2, 6, 9, 0, 0, 0, 3, 0x65, 1, 2]);
        let long = stuffed(&message, 100).unwrap();
        assert!((97..=100).contains(&long.len()));
        let units: Vec<&[u8]> = nals(&long[5..], LengthSize::Four).collect::<Result<_, _>>().unwrap();
        assert_eq!(units[0], [6, 9]);
        assert_eq!(units[1][..6], [0x65, 1, 2, 0, 0, 3]);
        assert_eq!(stuffed(&message, 3).unwrap(), message);
    }

    #[tokio::test]
    async fn a_recording_has_the_shape_that_was_asked_for() {
        let options = RecordingOptions { bitrate: 300_000, gop_frames: 240, key_frame_bytes: 100_000 };
        let recording = Recording::make(options).await.unwrap();
        assert_eq!((recording.frames.len(), recording.sounds.len()), (480, 750));
        let keys: Vec<(Bytes, bool)> = recording.pictures().filter(|(_, key)| *key).collect();
        assert_eq!(keys.len(), 2);
        for (picture, _) in keys {
            assert!((99_000..=100_000).contains(&picture.len()), "{}", picture.len());
        }
        assert!(!recording.config().unwrap().may_have_b_frames());
    }
}
