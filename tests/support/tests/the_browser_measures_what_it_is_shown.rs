//! The measuring script tells the truth about files whose faults are known.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use penstock_test_support::{
    Browser, FileServer, Load, Marker, MarkerOptions, Measurement, Pace, Target, Turn, note,
};

const PAGE: &str =
    r#"<!doctype html><link rel="icon" href="data:,"><video src="marker.mp4" autoplay></video>"#;

/// A file of 14 s, changed by ffmpeg with `faults`, as the browser shows it for 10 s.
async fn watch(folder: &Path, faults: &[&str]) -> Result<Measurement> {
    let sound = folder.join("sound.mp4");
    let options = MarkerOptions {
        width: 640,
        height: 360,
        duration: Some(Duration::from_secs(14)),
        pace: Pace::Unpaced,
        ..MarkerOptions::new(Target::File(sound.clone()))
    };
    Marker::start(options)?.finish(Duration::from_secs(120))?;
    let output = Command::new("ffmpeg")
        .args(["-loglevel", "error", "-y", "-i"])
        .arg(&sound)
        .args(faults)
        .arg(folder.join("marker.mp4"))
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(folder.join("page.html"), PAGE)?;
    let server = FileServer::start(folder).await?;
    let _turn = Turn::take().await?;
    let browser = Browser::start().await?;
    let load = Load::watch();
    browser.open(&server.url("page.html")).await?;
    let measured = browser.measure("video", Duration::from_secs(10), Duration::from_secs(10)).await?;
    let load = load.report();
    if let Ok(path) = std::env::var("PENSTOCK_TEST_SCREENSHOT") {
        browser.screenshot(Path::new(&path)).await?;
    }
    browser.close().await?;
    note(&format!("machine: {load}"));
    Ok(measured)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_file_is_seen_whole_and_in_step() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let measured = watch(folder.path(), &["-c", "copy"]).await?;
    ensure!(measured.unreadable == 0 && measured.gaps.is_empty(), "{measured:?}");
    ensure!(measured.seen_share() > 0.9, "{measured:?}");
    let offset = measured.sound_minus_picture.median_ms.context("no flash with a beep")?;
    // Chromium takes the sound of a file from its source 60 ms before it is heard, and does not say so.
    ensure!((-90.0..30.0).contains(&offset), "{measured:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_sound_a_freeze_and_an_end_are_found() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // Sound 300 ms late; nothing shown from second 6.0 to 6.5, and from second 8 on.
    let faults = [
        "-t",
        "8",
        "-vf",
        "select='not(between(t,6.0,6.5))'",
        "-fps_mode",
        "vfr",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-af",
        "adelay=300:all=1",
        "-c:a",
        "aac",
    ];
    let measured = watch(folder.path(), &faults).await?;
    let offset = measured.sound_minus_picture.median_ms.context("no flash with a beep")?;
    ensure!((200.0..330.0).contains(&offset), "{measured:?}");
    let [freeze, end] = measured.gaps[..] else { bail!("{measured:?}") };
    ensure!((480.0..650.0).contains(&freeze.length_ms), "{measured:?}");
    let near = |frame: Option<u32>, range: std::ops::RangeInclusive<u32>| {
        frame.is_some_and(|frame| range.contains(&frame))
    };
    ensure!(near(freeze.before, 174..=179) && near(freeze.after, 195..=200), "{measured:?}");
    ensure!(end.length_ms > 1_500.0 && end.after.is_none(), "{measured:?}");
    ensure!(measured.returns.is_empty(), "{measured:?}");
    ensure!(measured.joining.live_ms.is_none() && measured.joining.gaps.len() == 2, "{measured:?}");
    ensure!((180..=194).all(|frame| measured.missing.contains(&frame)), "{measured:?}");
    Ok(())
}
