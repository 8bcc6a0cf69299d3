//! What a marker is, and the ffmpeg that encodes it.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// H.264 for WebRTC: no picture depends on a later one, and none waits in the encoder.
pub const X264: &[&str] =
    &["-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-bf", "0", "-sc_threshold", "0"];
/// The same in the profile that every WebRTC stack has.
pub const X264_BASELINE: &[&str] = &[
    "-c:v",
    "libx264",
    "-preset",
    "veryfast",
    "-profile:v",
    "baseline",
    "-tune",
    "zerolatency",
    "-sc_threshold",
    "0",
];
/// What nearly every RTMP encoder sends.
pub const AAC: &[&str] = &["-c:a", "aac", "-b:a", "128k"];
/// What WebRTC takes; the least of it waits in the encoder.
pub const OPUS: &[&str] = &["-c:a", "libopus", "-b:a", "96k", "-application", "lowdelay"];

/// Where the picture goes.
#[derive(Clone, Debug)]
pub enum Target {
    /// Published as FLV to an `rtmp://` address.
    Rtmp(String),
    /// Published by WHIP to an `http://` address, with these further arguments of ffmpeg's muxer.
    Whip(String, &'static [&'static str]),
    /// Written to a file; the name's ending chooses the container.
    File(PathBuf),
}

/// How fast frames are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// One frame per frame time, as a camera does.
    RealTime,
    /// As fast as they can be encoded; the clock in them is the time they were made at.
    Unpaced,
}

/// What to make and where to send it.
#[derive(Clone, Debug)]
pub struct MarkerOptions {
    /// Where the picture goes.
    pub target: Target,
    /// Width in pixels, a multiple of 80.
    pub width: usize,
    /// Height in pixels, even.
    pub height: usize,
    /// Frames per second.
    pub fps: u32,
    /// Slower by 1,000 in 1,001, as television is: 59.94 for 60.
    pub ntsc: bool,
    /// Frames from one key frame to the next.
    pub gop: u32,
    /// Bits per second of the picture; without noise it needs a tenth of the default.
    pub video_bitrate: u32,
    /// Strength of the noise in the picture, levels of brightness; 0: none.
    pub noise: u8,
    /// Samples per second of the sound.
    pub sample_rate: u32,
    /// How many there are; all of them sound the same.
    pub channels: u16,
    /// The ffmpeg to use.
    pub ffmpeg: PathBuf,
    /// ffmpeg's arguments that choose and tune the encoder of pictures, [`X264`] by default; none: no pictures.
    pub video: &'static [&'static str],
    /// The same for sound, [`AAC`] by default.
    pub audio: &'static [&'static str],
    /// Ends by itself after this long; `None`: goes on until stopped.
    pub duration: Option<Duration>,
    /// How fast frames are made.
    pub pace: Pace,
}

/// How large pictures are where a test does not say, width and height: 1280 x 720 for the long proofs. Otherwise a
/// quarter of that, because what viewers are promised is not about size, and a machine of two slow cores that makes,
/// shows and reads pictures without a graphics card keeps up with it.
pub fn picture_size() -> (usize, usize) {
    if crate::in_full() { (1280, 720) } else { (640, 360) }
}

impl MarkerOptions {
    /// [`picture_size`] at 30 frames and 2 Mbit/s per second, a key frame every 2 s, stereo at 48 kHz, endless.
    pub fn new(target: Target) -> Self {
        let (width, height) = picture_size();
        Self {
            target,
            width,
            height,
            fps: 30,
            ntsc: false,
            gop: 60,
            video_bitrate: 2_000_000,
            noise: 0,
            sample_rate: 48_000,
            channels: 2,
            ffmpeg: PathBuf::from("ffmpeg"),
            video: X264,
            audio: AAC,
            duration: None,
            pace: Pace::RealTime,
        }
    }

    /// The same, published to an `rtmp://` address.
    pub fn to_rtmp(url: impl Into<String>) -> Self {
        Self::new(Target::Rtmp(url.into()))
    }

    /// The same, published by WHIP to an `http://` address, as WebRTC takes it; `ffmpeg` is
    /// [`whip_ffmpeg`](crate::whip_ffmpeg).
    pub fn to_whip(ffmpeg: PathBuf, url: impl Into<String>) -> Self {
        Self { ffmpeg, video: X264_BASELINE, audio: OPUS, ..Self::new(Target::Whip(url.into(), &[])) }
    }

    /// Published to an `rtmp://` address with a key frame every 8.3 s, as some encoders do by default, and
    /// noise that takes the whole bit rate: what a viewer who joins late has to be given is 2 MB.
    pub fn long_groups_to_rtmp(url: impl Into<String>) -> Self {
        Self { gop: 249, noise: 32, ..Self::to_rtmp(url) }
    }

    /// The frame of its group of pictures that is made this long after the group's first.
    pub fn frame_in_group(&self, time: Duration) -> u32 {
        (time.as_secs_f64() * f64::from(self.fps)).round() as u32 % self.gop
    }

    /// Frames in so many seconds.
    pub(super) const fn frame_rate(&self) -> (u32, u32) {
        if self.ntsc { (self.fps * 1_000, 1_001) } else { (self.fps, 1) }
    }

    /// When frame `number` is due.
    pub(super) fn due(&self, number: u32) -> Duration {
        let (frames, seconds) = self.frame_rate();
        Duration::from_nanos(u64::from(number) * u64::from(seconds) * 1_000_000_000 / u64::from(frames))
    }
}

pub(super) fn command(options: &MarkerOptions, sound_port: u16) -> Command {
    let (frames, seconds) = options.frame_rate();
    let mut command = Command::new(&options.ffmpeg);
    let mut arguments = |list: &[&str]| {
        command.args(list);
    };
    arguments(&["-hide_banner", "-nostats", "-loglevel", "warning", "-y"]);
    arguments(&["-probesize", "32", "-analyzeduration", "0", "-f", "rawvideo", "-pixel_format", "yuv420p"]);
    arguments(&["-video_size", &format!("{}x{}", options.width, options.height)]);
    arguments(&["-framerate", &format!("{frames}/{seconds}"), "-i", "pipe:0"]);
    arguments(&["-probesize", "32", "-analyzeduration", "0", "-f", "s16le"]);
    arguments(&["-ar", &options.sample_rate.to_string(), "-ac", &options.channels.to_string()]);
    arguments(&["-i", &format!("tcp://127.0.0.1:{sound_port}")]);
    if !options.video.is_empty() {
        let (gop, bitrate) = (options.gop.to_string(), options.video_bitrate.to_string());
        arguments(&["-map", "0:v", "-fps_mode", "passthrough", "-g", &gop]);
        arguments(&["-b:v", &bitrate, "-maxrate", &bitrate, "-bufsize", &bitrate]);
        arguments(options.video);
    }
    if !options.audio.is_empty() {
        arguments(&["-map", "1:a"]);
        arguments(options.audio);
    }
    arguments(&["-flush_packets", "1"]);
    match &options.target {
        Target::Rtmp(url) => {
            arguments(&["-flvflags", "no_duration_filesize", "-f", "flv", url]);
        }
        Target::Whip(url, more) => {
            arguments(more);
            arguments(&["-f", "whip", url]);
        }
        Target::File(path) => {
            arguments(&["-movflags", "+frag_keyframe+empty_moov"]);
            command.arg(path);
        }
    }
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    // Ctrl-C reaches every process of the terminal's group; ffmpeg ends when its inputs do.
    command.process_group(0);
    command
}
