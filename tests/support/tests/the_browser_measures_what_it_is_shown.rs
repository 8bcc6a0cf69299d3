//! The measuring script tells the truth about files whose faults are known.

use std::ops::RangeInclusive;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use penstock_test_support::{
    Browser, FileServer, Gap, Load, LoadReport, Marker, MarkerOptions, Measurement, Pace, Target, Turn,
    Verdict, note,
};

const PAGE: &str =
    r#"<!doctype html><link rel="icon" href="data:,"><video src="marker.mp4" autoplay></video>"#;

/// A file of 14 s, changed by ffmpeg with `faults`, as the browser shows it for 10 s.
async fn watch(folder: &Path, faults: &[&str]) -> Result<(Measurement, LoadReport)> {
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
    Ok((measured, load))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_file_is_seen_whole_and_in_step() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (measured, load) = watch(folder.path(), &["-c", "copy"]).await?;
    // Chromium takes the sound of a file from its source 60 ms before it is heard, and does not say so.
    let offset = measured.sound_minus_picture.median_ms;
    let in_step = offset.is_some_and(|offset| (-90.0..30.0).contains(&offset));
    let promises = [
        (measured.unreadable > 0 || !measured.gaps.is_empty(), "it stood, or could not be read"),
        (measured.seen_share() <= 0.9, "too little was seen"),
        (!in_step, "its sound is not in step"),
    ];
    Verdict::of(promises, &format!(": {measured:?}"), &load).into_result()
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
    let (measured, load) = watch(folder.path(), &faults).await?;
    let offset = measured.sound_minus_picture.median_ms;
    let late = offset.is_some_and(|offset| (200.0..330.0).contains(&offset));
    let near =
        |frame: Option<u32>, range: RangeInclusive<u32>| frame.is_some_and(|frame| range.contains(&frame));
    let frozen = |gap: &Gap| {
        (480.0..650.0).contains(&gap.length_ms) && near(gap.before, 174..=179) && near(gap.after, 195..=200)
    };
    let ended = |gap: &Gap| gap.length_ms > 1_500.0 && gap.after.is_none();
    let gaps = matches!(&measured.gaps[..], [freeze, end] if frozen(freeze) && ended(end));
    let joining = &measured.joining;
    let promises = [
        (!late, "the late sound was not found"),
        (!gaps, "the freeze and the end were not found"),
        (!measured.returns.is_empty(), "an older picture came again"),
        (joining.live_ms.is_some() || joining.gaps.len() != 2, "how it began is wrong"),
        (!(180..=194).all(|frame| measured.missing.contains(&frame)), "what was left out was not found"),
    ];
    Verdict::of(promises, &format!(": {measured:?}"), &load).into_result()
}
