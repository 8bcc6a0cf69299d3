//! Encoders that publish until they are dropped.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running encoder; killed when it is dropped.
pub struct Encoder(Child);

impl Encoder {
    /// Publishes ffmpeg's own test picture and tone to an `rtmp://` address. `video` and `audio` are ffmpeg's
    /// arguments for each encoder; empty: there is none of it. The picture has `size`, as in `320x180`, and 30 frames
    /// a second.
    ///
    /// # Errors
    /// ffmpeg does not start.
    pub fn start(url: &str, size: &str, video: &[&str], audio: &[&str]) -> io::Result<Self> {
        Self::start_with(Path::new("ffmpeg"), url, size, video, audio)
    }

    /// The same by another ffmpeg.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_with(
        ffmpeg: &Path,
        url: &str,
        size: &str,
        video: &[&str],
        audio: &[&str],
    ) -> io::Result<Self> {
        let mut ffmpeg = Command::new(ffmpeg);
        ffmpeg.args(["-nostdin", "-loglevel", "error"]);
        if !video.is_empty() {
            ffmpeg.args(["-re", "-f", "lavfi", "-i", &format!("testsrc2=size={size}:rate=30")]);
        }
        if !audio.is_empty() {
            ffmpeg.args(["-re", "-f", "lavfi", "-i", "sine=frequency=440"]);
        }
        // Sound alone would otherwise leave in bursts of seconds.
        ffmpeg.args(["-flush_packets", "1"]);
        // It does not outlive a test that was killed for long.
        ffmpeg.args(video).args(audio).args(["-t", "120", "-f", "flv", url]);
        Self::run(ffmpeg)
    }

    /// Runs any encoder.
    ///
    /// # Errors
    /// It does not start; the error names it.
    pub fn run(mut command: Command) -> io::Result<Self> {
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let program = || command.get_program().to_string_lossy().into_owned();
        started.map(Self).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", program())))
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
