//! What the marker says survives the encoder, at 2 Mbit/s and in another size, and a flash and its beep
//! stand at the same place of the encoded file.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use penstock_test_support::{Marker, MarkerError, MarkerOptions, Pace, Picture, Target};

const SECONDS: u64 = 4;

fn encode(path: &Path, sample_rate: u32, channels: u16) -> Result<()> {
    let options =
        MarkerOptions { sample_rate, channels, ..MarkerOptions::new(Target::File(path.to_owned())) };
    encode_with(options)
}

fn encode_with(options: MarkerOptions) -> Result<()> {
    let options = MarkerOptions {
        width: 1280,
        height: 720,
        duration: Some(Duration::from_secs(SECONDS)),
        pace: Pace::Unpaced,
        ..options
    };
    let report = Marker::start(options)?.finish(Duration::from_secs(120))?;
    ensure!(u64::from(report.frames) == SECONDS * 30, "{report:?}");
    Ok(())
}

fn ffmpeg(input: &Path, output: &[&str]) -> Result<Vec<u8>> {
    let result =
        Command::new("ffmpeg").args(["-loglevel", "error", "-i"]).arg(input).args(output).output()?;
    ensure!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
    Ok(result.stdout)
}

/// The luma planes of the file, scaled to `width` x `height`.
fn pictures(input: &Path, width: usize, height: usize) -> Result<Vec<Vec<u8>>> {
    let scale = format!("scale={width}:{height}");
    let raw = ffmpeg(
        input,
        &["-an", "-vf", &scale, "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "-"],
    )?;
    Ok(raw.chunks_exact(width * height).map(<[u8]>::to_vec).collect())
}

/// Presentation times in seconds of a stream's packets or frames, from ffprobe.
fn start_time(input: &Path, stream: &str) -> Result<f64> {
    let result = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            stream,
            "-show_entries",
            "stream=start_time",
            "-of",
            "csv=p=0",
        ])
        .arg(input)
        .output()?;
    String::from_utf8(result.stdout)?.trim().parse().context("no start time")
}

fn all_frames_read_back(file: &Path, (width, height): (usize, usize)) -> Result<()> {
    let pictures = pictures(file, width, height)?;
    let numbers: Vec<Option<u32>> =
        pictures.iter().map(|p| Picture::read(width, p).map(|r| r.frame)).collect();
    let expected: Vec<Option<u32>> = (0..SECONDS as u32 * 30).map(Some).collect();
    ensure!(numbers == expected, "{width} x {height}: {numbers:?}");
    Ok(())
}

#[test]
fn every_frame_reads_back_in_both_sizes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("marker.flv");
    encode(&file, 48_000, 2)?;
    all_frames_read_back(&file, (1280, 720))?;
    all_frames_read_back(&file, (640, 360))
}

#[test]
fn noise_takes_the_whole_rate_and_every_frame_reads_back() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("marker.flv");
    let options = MarkerOptions::long_groups_to_rtmp("");
    let rate = u64::from(options.video_bitrate);
    encode_with(MarkerOptions { target: Target::File(file.clone()), ..options })?;
    let video = folder.path().join("video.h264");
    ffmpeg(&file, &["-c", "copy", "-an", "-f", "h264", &video.to_string_lossy()])?;
    let bits = std::fs::metadata(&video)?.len() * 8;
    ensure!((rate * 8 / 10..rate * 13 / 10).contains(&(bits / SECONDS)), "{} bit/s", bits / SECONDS);
    all_frames_read_back(&file, (1280, 720))
}

#[test]
fn a_flash_and_its_beep_are_encoded_at_the_same_time() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (rate, channels) in [(44_100, 2), (48_000, 2), (44_100, 1), (48_000, 1)] {
        let file = folder.path().join(format!("{rate}-{channels}.flv"));
        encode(&file, rate, channels)?;
        let pictures = pictures(&file, 640, 360)?;
        let flash = pictures.iter().position(|p| Picture::shows_flash(640, p)).context("no flash")?;
        let flash = start_time(&file, "v")? + flash as f64 / 30.0;

        let pcm = ffmpeg(&file, &["-vn", "-ac", "1", "-f", "s16le", "-"])?;
        let beep = pcm
            .chunks_exact(2)
            .position(|sample| i16::from_le_bytes([sample[0], sample[1]]).unsigned_abs() > 3_000)
            .context("no beep")?;
        // FLV keeps the encoder's priming, and ffmpeg moves both tracks so that it begins at 0.
        let beep = start_time(&file, "a")? + beep as f64 / f64::from(rate);
        ensure!((flash - beep).abs() < 0.002, "{rate} Hz, {channels} channels: flash {flash}, beep {beep}");
    }
    Ok(())
}

#[test]
fn an_encoder_that_reaches_nobody_says_so() -> Result<()> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let nobody = listener.local_addr()?;
    drop(listener);
    let options = MarkerOptions {
        duration: Some(Duration::from_secs(5)),
        ..MarkerOptions::to_rtmp(format!("rtmp://{nobody}/LiveApp/stream1"))
    };
    let error =
        Marker::start(options)?.finish(Duration::from_secs(30)).err().context("it published to nobody")?;
    let MarkerError::Encoder { status: Some(_), last_lines } = &error else { anyhow::bail!("{error}") };
    ensure!(last_lines.iter().any(|line| line.contains("refused")), "{error}");
    Ok(())
}

#[test]
fn a_stopped_marker_ends_its_file_well() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("stopped.flv");
    let marker = Marker::start(MarkerOptions::new(Target::File(file.clone())))?;
    while marker.published_frames() < 20 {
        std::thread::yield_now();
    }
    let report = marker.stop()?;
    ensure!(pictures(&file, 640, 360)?.len() as u32 == report.frames, "{report:?}");
    Ok(())
}
