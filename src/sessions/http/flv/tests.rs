use std::sync::Arc;

use base::{Clock, MediaTime, SystemClock, TrackId, limits};
use bytes::Bytes;
use container::flv::{AudioBody, AudioTag, TagHeader, VideoBody, VideoTag, check_file_header, tags};
use futures_util::StreamExt;
use media::h264::H264Config;
use media::{
    AacConfig, CodecConfig, MediaBudget, OpusConfig, Packet, PacketRun, Payloads, StreamMedia, TrackWriter,
    Unit, Vp8Config,
};

use super::body::Cut;
use super::reader::Next;
use super::*;

fn h264(level: u8) -> CodecConfig {
    let sps = [0x67, 66, 0, level, 0b1101_1010, 0b0000_0101, 0b0000_0111, 0b1110_0100];
    let sets = (vec![Bytes::copy_from_slice(&sps)], vec![Bytes::from_static(&[0x68, 0xce, 0x3c])]);
    CodecConfig::H264(Arc::new(H264Config::from_parameter_sets(sets.0, sets.1).unwrap()))
}

fn aac() -> CodecConfig {
    CodecConfig::Aac(Arc::new(AacConfig::from_asc(&[0x11, 0x90]).unwrap()))
}

fn unit(writer: &TrackWriter, at_ms: i64, key: bool) {
    let at = MediaTime::from_millis(at_ms);
    let payload = Bytes::from(format!("{at_ms:08}"));
    let generation = writer.generation();
    writer.write(Unit { dts: at, pts: at, arrived: SystemClock.now(), key, generation, payload }).unwrap();
}

struct Stand {
    media: Arc<StreamMedia>,
    video: TrackWriter,
    audio: TrackWriter,
}

fn track(media: &StreamMedia, id: &str, config: &CodecConfig) -> TrackWriter {
    media.write_track(&TrackId::new(id).unwrap(), config, None).unwrap()
}

impl Stand {
    fn new() -> Self {
        let media = StreamMedia::new(&MediaBudget::unlimited());
        let (video, audio) = (track(&media, "video", &h264(30)), track(&media, "audio", &aac()));
        Self { media, video, audio }
    }

    /// A picture every 40 ms, each `group` of them with a key frame, and sound every 20.
    fn play(&self, ms: std::ops::Range<i64>, group: i64) {
        for at in ms.step_by(20) {
            unit(&self.audio, at, true);
            if at % 40 == 0 {
                unit(&self.video, at, at % (40 * group) == 0);
            }
        }
    }

    fn reader(&self) -> FlvReader {
        FlvReader::new(Arc::clone(&self.media), &self.media.catalogue())
    }
}

/// What a reader gave: `v120` for a picture, `K` for a key frame, `a` for sound, `V` and `A` for headers, `m` for metadata;
/// with the player's time.
fn read(reader: &mut FlvReader, begins: bool) -> (Vec<String>, Next) {
    let mut bytes = if begins { Vec::new() } else { vec![0; 13] };
    let last = loop {
        match reader.next() {
            Next::Piece(piece) => bytes.extend_from_slice(&piece),
            other => break other,
        }
    };
    let file = Bytes::from(bytes);
    if begins {
        check_file_header(file.first_chunk().unwrap()).unwrap();
        assert_eq!(file[4], 5, "both kinds are announced");
    }
    (tags(&file).map(|(header, body)| told(header, &body)).collect(), last)
}

fn told(header: TagHeader, body: &Bytes) -> String {
    let what = match header.kind {
        None => "m",
        Some(media::Kind::Video) => {
            let tag = VideoTag::parse(body).unwrap();
            match tag.body {
                VideoBody::SequenceHeader(..) => "V",
                VideoBody::Frame { .. } if tag.frame_type == container::flv::FrameType::Key => "K",
                _ => "v",
            }
        }
        Some(media::Kind::Audio) => match AudioTag::parse(body).unwrap().body {
            AudioBody::SequenceHeader(..) => "A",
            _ => "a",
        },
    };
    format!("{what}{}", header.millis)
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

#[test]
fn a_late_joiner_begins_with_the_newest_key_frame_and_the_sound_of_that_moment() {
    let stand = Stand::new();
    stand.play(0..300, 3);
    let mut reader = stand.reader();
    let (got, last) = read(&mut reader, true);
    assert_eq!(got, words("m0 V0 K0 A0 a0 a20 v40 a40"));
    assert_eq!(last, Next::Nothing);
    assert_eq!(reader.take_counted(), (16, 24));
    stand.play(300..380, 3);
    assert_eq!(read(&mut reader, false).0, words("a60 v80 a80 a100 K120 a120"));
    stand.media.close();
    assert_eq!(read(&mut reader, false), (Vec::new(), Next::Ended(ExitReason::StreamEnded)));
}

#[test]
fn without_a_key_frame_sound_goes_on_and_pictures_are_waited_for() {
    let stand = Stand::new();
    stand.play(0..20, 1);
    // The key frame is forgotten: the ring holds ten seconds.
    stand.play(40..11_000, 100_000);
    let mut reader = stand.reader();
    assert_eq!(read(&mut reader, true).0, words("m0 A0 a0"));
    unit(&stand.video, 11_000, false);
    unit(&stand.audio, 11_000, true);
    unit(&stand.video, 11_040, true);
    assert_eq!(read(&mut reader, false).0, words("a20 V60 K60"));
}

#[test]
fn a_slow_reader_skips_to_the_newest_key_frame_with_its_sound() {
    let stand = Stand::new();
    stand.play(0..100, 25);
    let mut reader = stand.reader();
    let before = read(&mut reader, true).0;
    assert_eq!(before.last().unwrap(), "a80");
    // Twelve seconds pass, of which the ring holds ten.
    stand.play(100..12_100, 25);
    let after = read(&mut reader, false).0;
    assert_eq!(after[..4], words("K12000 a12000 a12020 v12040"));
    assert_eq!(after.len(), 8);
}

#[test]
fn what_a_takeover_changes_in_band_is_told_before_what_needs_it() {
    let stand = Stand::new();
    stand.play(0..40, 1);
    let mut reader = stand.reader();
    assert_eq!(read(&mut reader, true).0, words("m0 V0 K0 A0 a0 a20"));
    stand.media.take_over();
    let video = track(&stand.media, "video", &h264(31));
    let audio = track(&stand.media, "audio", &aac());
    unit(&audio, 1_000, true);
    unit(&video, 1_000, true);
    unit(&video, 1_040, false);
    assert_eq!(read(&mut reader, false).0, words("V1000 m1000 K1000 a1000 v1040"));
    // A configuration that came and went before it was read.
    let _skipped = track(&stand.media, "video", &h264(32));
    let video = track(&stand.media, "video", &h264(40));
    unit(&video, 1_080, true);
    assert_eq!(read(&mut reader, false).0, words("V1080 m1080 K1080"));
}

#[test]
fn another_codec_or_another_set_of_tracks_ends_it() {
    for change in [
        |media: &StreamMedia| {
            drop(track(media, "video", &CodecConfig::Vp8(Vp8Config { width: 2, height: 2 })))
        },
        |media: &StreamMedia| media.remove_track(&TrackId::new("audio").unwrap()),
    ] {
        let stand = Stand::new();
        stand.play(0..40, 1);
        let mut reader = stand.reader();
        let _begun = read(&mut reader, true);
        change(&stand.media);
        assert_eq!(read(&mut reader, false).1, Next::Ended(ExitReason::CodecChanged));
    }
}

fn run(at_ms: i64, first_packet: u64, payload: &'static [u8]) -> PacketRun {
    let at = MediaTime::from_millis(at_ms);
    PacketRun {
        first_packet,
        packets: vec![Packet { payload: Bytes::from_static(payload), marker: true }],
        dts: at,
        pts: at,
        arrived: SystemClock.now(),
        key: true,
        starts_frame: true,
        ends_frame: true,
        payloads: Payloads::Datagrams,
    }
}

#[test]
fn a_browsers_pictures_and_sound_are_put_together_for_it() {
    let media = StreamMedia::new(&MediaBudget::unlimited());
    let video = track(&media, "video", &h264(30));
    let audio = track(&media, "audio", &CodecConfig::Opus(OpusConfig { channels: 2 }));
    video.write_run(run(0, 0, &[0x65, 1])).unwrap();
    audio.write_run(run(10, 0, &[0xfc, 1])).unwrap();
    assert!(sendable(&media.catalogue()).is_ok());
    let mut reader = FlvReader::new(Arc::clone(&media), &media.catalogue());
    assert_eq!(read(&mut reader, true).0, words("m0 V0 K0 A10 a10"));
    video.write_run(run(40, 1, &[0x65, 1])).unwrap();
    assert_eq!(read(&mut reader, false).0, words("K40"));
}

#[test]
fn what_flv_cannot_carry_is_refused_by_name() {
    let refused = |config: &CodecConfig| {
        let media = StreamMedia::new(&MediaBudget::unlimited());
        track(&media, "video", config);
        sendable(&media.catalogue()).unwrap_err()
    };
    let why =
        "the stream's video is VP8, which players of FLV do not take; play it by WebRTC, or publish H.264";
    let vp8 = CodecConfig::Vp8(Vp8Config { width: 320, height: 180 });
    assert_eq!(refused(&vp8), Refusal::explained(StatusCode::NOT_ACCEPTABLE, why.to_owned()));
    let empty = StreamMedia::new(&MediaBudget::unlimited());
    assert!(sendable(&empty.catalogue()).is_err());
}

fn body(stand: &Stand, pull: &Rc<Pull>) -> (FlvBody, Ending) {
    let ending = Ending::new();
    let clock = Arc::new(SystemClock);
    (FlvBody::new(stand.reader(), ending.clone(), Rc::clone(pull), clock), ending)
}

#[tokio::test]
async fn a_body_ends_at_once_with_its_player_and_says_by_how_it_ends_whether_that_was_meant() {
    let stand = Stand::new();
    stand.play(0..40, 1);
    for (reason, cut) in [
        (ExitReason::Finished, None),
        (ExitReason::StreamEnded, None),
        (ExitReason::Blocked, Some(Err(ExitReason::Blocked))),
        (ExitReason::Kicked, Some(Err(ExitReason::Kicked))),
    ] {
        let (body, ending) = body(&stand, &Rc::default());
        let mut pieces = Box::pin(body.into_stream());
        assert!(pieces.next().await.unwrap().is_ok());
        let rest = async {
            loop {
                match pieces.next().await {
                    Some(Ok(_)) => {}
                    last => return last,
                }
            }
        };
        let (next, ()) = tokio::join!(rest, async {
            tokio::task::yield_now().await;
            ending.end(reason);
        });
        let cut_by = |Cut(reason)| reason;
        assert_eq!(next.map(|piece| piece.map(|_| ()).map_err(cut_by)), cut);
        if cut.is_some() {
            assert!(pieces.next().await.is_none());
        }
    }
    let (body, ending) = body(&stand, &Rc::default());
    drop(body);
    assert_eq!(ending.reason(), Some(ExitReason::PeerClosed));
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_is_noticed_and_who_has_nothing_to_take_is_not() {
    let stand = Stand::new();
    let pull = Rc::new(Pull::default());
    let (body, _ending) = body(&stand, &pull);
    let mut pieces = Box::pin(body.into_stream());
    // The header of the file; then nothing comes, and it is waited for.
    assert!(pieces.next().await.unwrap().is_ok());
    let waiting = tokio::time::timeout(limits::HTTP_PLAYER_STALL_MAX * 3, pieces.next());
    tokio::select! {
        waited = waiting => assert!(waited.is_err()),
        () = pull.stalls() => panic!("nothing was there to be taken"),
    }
    stand.play(0..40, 1);
    assert!(pieces.next().await.unwrap().is_ok());
    let stalled = tokio::time::timeout(limits::HTTP_PLAYER_STALL_MAX * 2, pull.stalls()).await;
    assert!(stalled.is_ok(), "it was given something and did not come for more");
}
