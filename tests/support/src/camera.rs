//! Cameras and microphones for pages that publish.
//!
//! [`Camera`] draws the marker inside the page, at the moment it is shown: its frames have the wall clock, so that a
//! viewer can tell how old they are, and nothing of the page has to be changed. [`CameraFiles`] is the browser's own
//! device that shows files: all of Chromium's capture stands between, but the clock in the frames is that of the day the
//! file was made, and picture and sound begin whenever each is opened.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::{Browser, BrowserError, BrowserOptions};
use crate::marker::{FLASH_PERIOD, Marker, MarkerError, MarkerOptions, Pace, Target};

/// Installed in the page before its own scripts, with what it is to show.
const SCRIPT: &str = include_str!("../camera.js");
/// What Chromium takes a file of pictures for: 30 a second.
const FILE_FPS: u32 = 30;
const MJPEG: &[&str] = &["-c:v", "mjpeg"];
const PCM: &[&str] = &["-c:a", "pcm_s16le"];
/// Time to make the files of a camera.
const MAKING_MAX: Duration = Duration::from_secs(120);

/// A camera, a microphone and a screen that show the marker to whatever page asks for them.
#[derive(Clone, Debug)]
pub struct Camera {
    /// Pixels across (a multiple of 80) and down (even) of the camera's picture.
    pub size: (usize, usize),
    /// The same of the screen that a page may share.
    pub screen: (usize, usize),
    /// Frames per second.
    pub fps: u32,
    /// How much the light of a third of the picture flickers from pixel to pixel, as cameras in the dark have it, of 255:
    /// browsers encode what they may then, instead of the little that the marker needs.
    pub grain: u8,
    /// The codecs that pages may offer for pictures, in this order, as in `H264`; none: whatever the browser offers.
    pub codecs: &'static [&'static str],
}

impl Default for Camera {
    fn default() -> Self {
        Self { size: (640, 360), screen: (960, 540), fps: 30, grain: 0, codecs: &[] }
    }
}

impl Camera {
    /// The same for a page that offers pictures in these codecs alone.
    pub fn of(codecs: &'static [&'static str]) -> Self {
        Self { codecs, ..Self::default() }
    }

    /// A browser whose pages have it.
    pub fn options(&self) -> BrowserOptions {
        let Self { size, screen, fps, grain, codecs } = self;
        let options = json!({ "size": size, "screen": screen, "fps": fps, "grain": grain, "codecs": codecs });
        BrowserOptions {
            scripts: vec![format!("({SCRIPT})({options})")],
            // It draws in a worker, which no page has foreseen.
            passes_over_policies: true,
            ..BrowserOptions::default()
        }
    }
}

/// What became of a [`Camera`]'s picture in the page that publishes it.
#[derive(Clone, Debug, Deserialize)]
pub struct CameraReport {
    /// Why nothing is drawn.
    pub failure: Option<String>,
    /// Frames drawn, of all tracks.
    pub frames: u32,
    /// The most a frame was drawn later than it was due, from the third second on, in ms.
    pub late_max_ms: f64,
    /// What the page's senders count (`RTCOutboundRtpStreamStats`), with the name of the codec as `codec` and the state
    /// of the connection as `connection`.
    pub senders: Vec<Value>,
}

impl CameraReport {
    /// What the newest sender of `kind` that has sent anything counts; null without one.
    pub fn sender(&self, kind: &str) -> &Value {
        let has_sent = |sender: &&Value| sender["kind"] == kind && sender["packetsSent"].as_u64() > Some(0);
        self.senders.iter().rfind(has_sent).unwrap_or(&Value::Null)
    }

    /// The codec that pictures are sent in, as in `video/H264`; empty while none are.
    pub fn codec(&self) -> &str {
        self.sender("video")["codec"].as_str().unwrap_or_default()
    }
}

impl Browser {
    /// What the page made so far of the [`Camera`] it was given.
    ///
    /// # Errors
    /// The browser has none, or is gone.
    pub async fn camera(&self) -> Result<CameraReport, BrowserError> {
        let report = self.run("return window.penstockCamera.report()").await?;
        serde_json::from_value(report.clone())
            .map_err(|error| BrowserError::Command(format!("{error} in {report}")))
    }
}

/// The marker as files that Chromium shows as its camera and its microphone, over and over. Gone when dropped.
pub struct CameraFiles(TempDir);

impl CameraFiles {
    /// Makes files of 640 x 360 that last for so many flashes: about 1 MB each.
    ///
    /// # Errors
    /// They cannot be written, or ffmpeg fails.
    pub fn make(flashes: u32) -> Result<Self, MarkerError> {
        let files =
            Self(tempfile::Builder::new().prefix("penstock-camera-").tempdir().map_err(MarkerError::Start)?);
        let make = |file, video, audio| {
            let options = MarkerOptions {
                width: 640,
                height: 360,
                fps: FILE_FPS,
                video_bitrate: 4_000_000,
                video,
                audio,
                duration: Some(FLASH_PERIOD * flashes),
                pace: Pace::Unpaced,
                ..MarkerOptions::new(Target::File(file))
            };
            Marker::start(options)?.finish(MAKING_MAX)
        };
        make(files.pictures(), MJPEG, &[])?;
        make(files.sound(), &[], PCM)?;
        Ok(files)
    }

    fn pictures(&self) -> PathBuf {
        self.0.path().join("camera.mjpeg")
    }

    fn sound(&self) -> PathBuf {
        self.0.path().join("microphone.wav")
    }

    /// A browser that has them and asks nobody before it gives them to a page.
    pub fn options(&self) -> BrowserOptions {
        let flags = vec![
            "--use-fake-device-for-media-stream".to_owned(),
            "--use-fake-ui-for-media-stream".to_owned(),
            format!("--use-file-for-fake-video-capture={}", self.pictures().display()),
            format!("--use-file-for-fake-audio-capture={}", self.sound().display()),
        ];
        BrowserOptions { flags, ..BrowserOptions::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_sender_that_sends_is_told_of() {
        let report: CameraReport = serde_json::from_value(json!({
            "failure": null, "frames": 9, "late_max_ms": 1.5,
            "senders": [
                { "kind": "video", "packetsSent": 7, "codec": "video/VP8" },
                { "kind": "audio", "packetsSent": 9, "codec": "audio/opus" },
                { "kind": "video", "packetsSent": 3, "codec": "video/H264" },
                { "kind": "video", "packetsSent": 0, "codec": "video/AV1" },
            ],
        }))
        .unwrap();
        assert_eq!((report.codec(), report.sender("audio")["packetsSent"].as_u64()), ("video/H264", Some(9)));
        assert!(report.sender("data").is_null());
    }

    #[test]
    fn the_page_is_told_what_to_show() {
        let options = Camera::of(&["VP8"]).options();
        let [script] = options.scripts.as_slice() else { panic!("{options:?}") };
        let told = script.rsplit_once(")(").unwrap().1.trim_end_matches(')');
        let told: Value = serde_json::from_str(told).unwrap();
        assert_eq!(
            told,
            json!({ "size": [640, 360], "screen": [960, 540], "fps": 30, "grain": 0, "codecs": ["VP8"] })
        );
    }
}
