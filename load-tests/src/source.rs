//! The stream that is played: recorded once, then published without encoding.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Length of the recording; published over and over.
const RECORDED: &str = "20";
/// Frames per second.
const FPS: u32 = 30;
/// Time to encode it.
const ENCODING_MAX: Duration = Duration::from_secs(120);

/// A noisy picture and a tone in a file: noise, so that the encoder needs the rate it may have. An encoder at
/// work during a run would take a good part of the core that the players need.
pub struct Recording {
    _folder: TempDir,
    file: PathBuf,
}

/// A running publisher. Dropping it kills its process.
pub struct Publisher(Child);

impl Recording {
    /// Encodes 20 s of 720p30 at `bitrate` bits per second with a key frame every 2 s, and stereo sound.
    ///
    /// # Errors
    /// ffmpeg is not there or failed.
    pub async fn make(bitrate: u32) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("penstock-load-").tempdir()?;
        // Not MP4: its reader hands out up to a second of one track before the other.
        let file = folder.path().join("recording.mkv");
        let (rate, buffer) = (bitrate.to_string(), (bitrate / 2).to_string());
        let gop = (2 * FPS).to_string();
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg
            .args(["-hide_banner", "-nostats", "-loglevel", "error", "-y", "-f", "lavfi", "-i"])
            .arg(format!("testsrc2=size=1280x720:rate={FPS},noise=alls=20:allf=t,format=yuv420p"))
            .args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", RECORDED])
            .args(["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-bf", "0"])
            .args(["-g", &gop, "-keyint_min", &gop, "-sc_threshold", "0"])
            .args(["-b:v", &rate, "-maxrate", &rate, "-bufsize", &buffer])
            .args(["-c:a", "aac", "-ac", "2", "-b:a", "128k"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        let made = timeout(ENCODING_MAX, ffmpeg.status()).await.context("the recording took too long")?;
        let status = made.context("ffmpeg could not be started")?;
        ensure!(status.success(), "the recording was not made: ffmpeg ended with {status}");
        Ok(Self { _folder: folder, file })
    }

    /// Frames per second.
    pub fn fps(&self) -> f64 {
        f64::from(FPS)
    }

    /// Publishes it in real time to an `rtmp://` address, until dropped.
    ///
    /// # Errors
    /// ffmpeg is not there.
    pub fn publish(&self, url: &str) -> anyhow::Result<Publisher> {
        let child = Command::new("ffmpeg")
            .args(["-hide_banner", "-nostats", "-loglevel", "error", "-re", "-stream_loop", "-1", "-i"])
            .arg(&self.file)
            .args(["-c", "copy", "-flvflags", "no_duration_filesize", "-f", "flv", url])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("ffmpeg could not be started")?;
        Ok(Publisher(child))
    }
}

impl Publisher {
    /// Whether it still publishes.
    ///
    /// # Errors
    /// It has ended, or its state cannot be read.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.0.try_wait().context("ffmpeg")? {
            None => Ok(()),
            Some(status) => bail!("the publisher ended with {status}"),
        }
    }
}
