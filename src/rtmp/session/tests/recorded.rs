//! A recorded publish, and a foreign client.

use base::WallTime;
use media::{Arrival, CodecConfig};

use super::*;
use crate::{Ingest, IngestEvent};

const CAPTURE: &[u8] = include_bytes!("../../testdata/b-frames.rtmp");

/// Runs the recorded publish in pieces of `size` bytes; what came out, without the handshake's
/// random bytes.
fn replay(size: usize) -> Vec<Output> {
    replay_of(CAPTURE, size)
}

fn replay_of(capture: &[u8], size: usize) -> Vec<Output> {
    let start = now();
    let mut session = Session::new(knows, start);
    let mut outputs = Vec::new();
    for piece in capture.chunks(size) {
        session.handle(piece, start);
        while let Some(output) = session.poll() {
            match output {
                Output::Send(_) => {}
                Output::Publish(_) => {
                    outputs.push(output);
                    session.accept(start);
                }
                other => outputs.push(other),
            }
        }
    }
    session.handle_end();
    outputs.extend(std::iter::from_fn(|| session.poll()));
    outputs
}

#[test]
fn a_recorded_publish_replays_the_same_however_it_is_cut() {
    let whole = replay(usize::MAX);
    let Output::Publish(request) = &whole[0] else { panic!("{:?}", whole[0]) };
    assert_eq!(request.stream, "stream1");
    assert!(request.flash_ver.starts_with("FMLE/3.0 (compatible; Lavf"));
    let Output::Metadata(metadata) = &whole[1] else { panic!("{:?}", whole[1]) };
    assert_eq!((metadata.width, metadata.height, metadata.frame_rate), (Some(160), Some(90), Some(15.0)));
    let count = |wanted: fn(&Output) -> bool| whole.iter().filter(|output| wanted(output)).count();
    // 30 pictures, a sequence header and an end of sequence.
    assert_eq!(count(|output| matches!(output, Output::Video { .. })), 32);
    assert_eq!(count(|output| matches!(output, Output::Audio { .. })), 89);
    assert!(matches!(whole[whole.len() - 2..], [Output::Unpublish, Output::Close(CloseReason::Finished)]));
    for size in [1, 7, 128, 1_000, 4_096] {
        assert!(replay(size) == whole, "in pieces of {size}");
    }
}

/// The first 0.9 s of OBS Studio 29 with its default settings under Xvfb: x264 veryfast at a constant
/// 2,500 kbit/s, a key frame every 250 pictures, two B-frames, AAC at 160 kbit/s and 48 kHz; a still
/// picture of 1024x640.
const OBS: &[u8] = include_bytes!("../../testdata/obs.rtmp");

#[test]
fn obs_with_its_defaults_is_read_and_its_b_frames_are_seen() {
    let outputs = replay_of(OBS, 1_460);
    let Output::Publish(request) = &outputs[0] else { panic!("{:?}", outputs[0]) };
    assert_eq!(
        (request.stream.as_str(), request.flash_ver.as_str()),
        ("obs", "FMLE/3.0 (compatible; FMSc/1.0)")
    );
    let Output::Metadata(metadata) = &outputs[1] else { panic!("{:?}", outputs[1]) };
    assert_eq!((metadata.width, metadata.height, metadata.frame_rate), (Some(1_024), Some(640), Some(30.0)));
    assert!(metadata.encoder.as_deref().is_some_and(|name| name.starts_with("obs-output module")));

    let mut ingest = Ingest::new();
    let arrival = Arrival { at: now(), wall: WallTime(0) };
    let mut events = Vec::new();
    for output in &outputs {
        match output {
            Output::Video { timestamp_ms, body } => ingest.video(*timestamp_ms, body, arrival),
            Output::Audio { timestamp_ms, body } => ingest.audio(*timestamp_ms, body, arrival),
            _ => {}
        }
        events.extend(std::iter::from_fn(|| ingest.poll()));
    }
    let mut shown = Vec::new();
    let mut sounds = 0;
    for event in events {
        match event {
            IngestEvent::Video(CodecConfig::H264(config)) => {
                assert_eq!((config.profile_idc, config.width, config.height), (100, 1_024, 640));
                assert!(config.may_have_b_frames());
            }
            IngestEvent::Audio(CodecConfig::Aac(config)) => assert!(config.is_plain()),
            IngestEvent::VideoUnit(unit) => shown.push(unit.pts),
            IngestEvent::AudioUnit(_) => sounds += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(shown.len() >= 25 && sounds >= 35, "{} pictures, {sounds} sounds", shown.len());
    assert!(shown.windows(2).any(|pair| pair[1] < pair[0]), "pictures are reordered");
}

#[test]
fn a_recorded_publish_cut_off_anywhere_ends_with_a_reason() {
    for cut in (0..CAPTURE.len()).step_by(97) {
        let start = now();
        let mut session = Session::new(knows, start);
        session.handle(&CAPTURE[..cut], start);
        let mut last = None;
        session.handle_end();
        while let Some(output) = session.poll() {
            last = Some(output);
        }
        assert!(matches!(last, Some(Output::Close(_))), "cut at {cut}");
    }
}

#[test]
fn rmls_client_handshakes_with_us() {
    let start = now();
    let mut client = Handshake::new(PeerType::Client);
    let mut session = Session::new(knows, start);
    session.handle(&client.generate_outbound_p0_and_p1().unwrap(), start);
    let Some(Output::Send(answer)) = session.poll() else { panic!("no answer") };
    assert_eq!(answer.len(), 1 + 2 * 1_536);
    let Ok(HandshakeProcessResult::Completed { response_bytes, .. }) = client.process_bytes(&answer) else {
        panic!("not completed")
    };
    session.handle(&[response_bytes, connect("LiveApp")].concat(), start);
    assert!(matches!(session.poll(), Some(Output::Send(_))));
    assert!(matches!(session.phase, Phase::Idle));
}

proptest! {
    #[test]
    fn no_bytes_make_the_session_panic_or_forget_its_reason(
        garbage in prop::collection::vec(any::<u8>(), 0..600),
        at in 0..CAPTURE.len(),
        publishing in any::<bool>(),
    ) {
        let mut peer = if publishing { Peer::publishing() } else { Peer::new() };
        // From inside the recording, so that most of it looks like chunks.
        peer.send(&CAPTURE[at..(at + 2_000).min(CAPTURE.len())]);
        peer.session.accept(peer.start);
        peer.send(&garbage);
        peer.session.accept(peer.start);
        peer.session.handle_end();
        peer.drain();
        prop_assert!(peer.reason().is_some());
        prop_assert!(peer.session.poll().is_none());
    }
}
