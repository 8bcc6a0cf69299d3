//! The encoder most people own, over a real socket.
//!
//! With `RTMP_CAPTURE=file` set, what ffmpeg sent is written there. `testdata/b-frames.rtmp` was made
//! so by the test of composition times.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test from end to end")]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use base::{Clock, SystemClock};
use media::{Arrival, CodecConfig, Unit};
use penstock_rtmp::{CloseReason, Ingest, IngestEvent, Output, PublishRequest, Refusal, Session};

/// What a publish gave.
#[derive(Default)]
struct Outcome {
    request: Option<PublishRequest>,
    video: Vec<Unit>,
    audio: Vec<Unit>,
    configs: Vec<CodecConfig>,
    unpublished: bool,
    reason: Option<CloseReason>,
    encoder: Option<String>,
    sent: Vec<u8>,
    stderr: String,
}

/// Publishes by ffmpeg to a session whose gate answers `refusal`. `None` without ffmpeg.
fn publish(path: &str, encoder: &[&str], refusal: Option<Refusal>) -> Option<Outcome> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("rtmp://127.0.0.1:{}/{path}", listener.local_addr().unwrap().port());
    let child = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-loglevel", "error"])
        .args(["-f", "lavfi", "-i", "testsrc2=size=160x90:rate=15"])
        .args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100"])
        .args(["-t", "2", "-pix_fmt", "yuv420p", "-g", "15"])
        .args(encoder)
        .args(["-f", "flv", &url])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("skipped: ffmpeg is not installed");
            return None;
        }
        Err(error) => panic!("ffmpeg does not start: {error}"),
    };
    let (socket, _) = listener.accept().unwrap();
    let mut outcome = serve(socket, refusal.as_ref());
    child.stderr.take().unwrap().read_to_string(&mut outcome.stderr).unwrap();
    child.wait().unwrap();
    if let Some(file) = std::env::var_os("RTMP_CAPTURE") {
        std::fs::write(file, &outcome.sent).unwrap();
    }
    Some(outcome)
}

fn serve(mut socket: TcpStream, refusal: Option<&Refusal>) -> Outcome {
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let clock = SystemClock;
    let mut session = Session::new(|app| app.as_str() == "LiveApp", clock.now());
    let mut ingest = Ingest::new();
    let mut outcome = Outcome::default();
    let mut buffer = vec![0; 4_096];
    loop {
        // A reset is an end too: ffmpeg does not wait for the answer to `deleteStream`.
        let count = socket.read(&mut buffer).unwrap_or(0);
        let now = clock.now();
        let arrival = Arrival { at: now, wall: clock.wall() };
        if count == 0 {
            session.handle_end();
        } else {
            outcome.sent.extend(&buffer[..count]);
            session.handle(&buffer[..count], now);
        }
        while let Some(output) = session.poll() {
            match output {
                Output::Send(bytes) => match socket.write_all(&bytes) {
                    Err(error) if !outcome.unpublished => panic!("{error}"),
                    _ => {}
                },
                Output::Publish(request) => {
                    outcome.request = Some(*request);
                    match refusal {
                        Some(refusal) => session.refuse(refusal.clone()),
                        None => session.accept(now),
                    }
                }
                Output::Video { timestamp_ms, body } => ingest.video(timestamp_ms, &body, arrival),
                Output::Audio { timestamp_ms, body } => ingest.audio(timestamp_ms, &body, arrival),
                Output::Metadata(metadata) => outcome.encoder = metadata.encoder,
                Output::Unpublish => outcome.unpublished = true,
                Output::Close(reason) => {
                    // Both fail where ffmpeg has closed already, which it does behind `deleteStream`.
                    let _shut = socket.shutdown(Shutdown::Write);
                    let _drained = std::io::copy(&mut socket, &mut std::io::sink());
                    outcome.reason = Some(reason);
                    return outcome;
                }
            }
            while let Some(event) = ingest.poll() {
                match event {
                    IngestEvent::Video(config) | IngestEvent::Audio(config) => outcome.configs.push(config),
                    IngestEvent::VideoUnit(unit) => outcome.video.push(unit),
                    IngestEvent::AudioUnit(unit) => outcome.audio.push(unit),
                    IngestEvent::Refused(reason) => session.end(reason),
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

#[test]
fn ffmpeg_publishes_every_frame_and_ends_cleanly() {
    let encoder = ["-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-c:a", "aac"];
    let Some(outcome) = publish("LiveApp/stream1?token=T&subscriberId=u", &encoder, None) else { return };
    let request = outcome.request.unwrap();
    assert_eq!((request.app.as_str(), request.stream.as_str()), ("LiveApp", "stream1"));
    assert_eq!(request.token.unwrap().expose(), "T");
    assert_eq!(request.subscriber_id.as_deref(), Some("u"));
    assert_eq!(outcome.video.len(), 30);
    assert_eq!(outcome.video.iter().filter(|unit| unit.key).count(), 2);
    assert!(outcome.video.iter().all(|unit| unit.pts == unit.dts));
    assert!((85..=90).contains(&outcome.audio.len()), "{}", outcome.audio.len());
    let [CodecConfig::H264(video), CodecConfig::Aac(audio)] = &outcome.configs[..] else {
        panic!("{:?}", outcome.configs)
    };
    assert_eq!((video.width, video.height), (160, 90));
    assert_eq!((audio.sample_rate, audio.channels), (44_100, 1));
    assert!(outcome.encoder.is_some_and(|encoder| encoder.starts_with("Lavf")));
    assert!(outcome.unpublished && !reorders(&outcome.video));
    assert_eq!(outcome.reason, Some(CloseReason::Finished), "{}", outcome.stderr);
}

/// A picture is shown before one that came before it.
fn reorders(units: &[Unit]) -> bool {
    units.windows(2).any(|pair| pair[1].pts < pair[0].pts)
}

#[test]
fn composition_times_of_b_frames_are_kept() {
    let encoder = ["-c:v", "libx264", "-preset", "medium", "-bf", "2", "-c:a", "aac"];
    let Some(outcome) = publish("LiveApp/stream1?token=T&subscriberId=u", &encoder, None) else { return };
    assert!(reorders(&outcome.video));
    assert_eq!(outcome.video.len(), 30);
    assert!(outcome.video.iter().any(|unit| unit.pts.as_millis() - unit.dts.as_millis() > 100));
    let mut shown: Vec<_> = outcome.video.iter().map(|unit| unit.pts.as_millis()).collect();
    shown.sort_unstable();
    assert!(shown.windows(2).all(|pair| (60..=74).contains(&(pair[1] - pair[0]))), "{shown:?}");
}

#[test]
fn ffmpeg_shows_its_user_why_it_was_refused() {
    let encoder = ["-c:v", "libx264", "-c:a", "aac"];
    let Some(outcome) = publish("LiveApp/stream1?token=bad", &encoder, Some(Refusal::NotAllowed)) else {
        return;
    };
    assert_eq!(outcome.reason, Some(CloseReason::Refused(Refusal::NotAllowed)));
    assert!(
        outcome.stderr.contains("You are not allowed to publish the stream. Check the token"),
        "{}",
        outcome.stderr
    );
    let outcome = publish("Nowhere/stream1", &encoder, None).unwrap();
    assert_eq!(outcome.reason, Some(CloseReason::UnknownApplication));
    assert!(outcome.stderr.contains("No scope 'Nowhere' on this server."), "{}", outcome.stderr);
}

#[test]
fn ffmpeg_shows_its_user_which_codec_is_not_supported() {
    let encoder = ["-c:v", "flv1", "-an"];
    let Some(outcome) = publish("LiveApp/stream1", &encoder, None) else { return };
    let reason = outcome.reason.unwrap();
    assert_eq!(reason.to_string(), "the codec Sorenson H.263 is not supported");
}
