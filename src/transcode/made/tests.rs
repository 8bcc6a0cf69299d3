use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base::{MediaTime, SystemClock};
use bytes::Bytes;
use container::flv::{AudioBody, AudioTag, VideoBody, VideoTag, tags};
use media::h264::{Framing, H264Config, LengthSize, has_b_slice, to_unit_payload};
use media::{AacConfig, Bell, Codec, CodecConfig, Cursor, MediaBudget, TrackWriter, Unit};
use tokio::task::JoinHandle;

use super::*;

/// What an encoder made, ready to be written: its configuration, and units with the times it gave them.
struct Recording {
    config: CodecConfig,
    units: Vec<Unit>,
}

/// Has ffmpeg encode a test source; `None` (said loudly) without ffmpeg.
fn record(args: &str) -> Option<Recording> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-loglevel", "error"])
        .args(args.split(' '))
        .args(["-f", "flv", "pipe:1"])
        .output();
    let Ok(output) = output else {
        eprintln!("SKIPPED: no ffmpeg on this machine");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(Recording::of(output.stdout.into()))
}

impl Recording {
    /// What is in an FLV file.
    fn of(file: Bytes) -> Self {
        let (mut config, mut units) = (None, Vec::new());
        for (header, body) in tags(&file) {
            let dts = MediaTime::from_millis(header.millis.into());
            let mut unit = |pts, key, payload| {
                units.push(Unit { dts, pts, arrived: SystemClock.now(), key, generation: 1, payload });
            };
            match header.kind {
                Some(Kind::Video) => match VideoTag::parse(&body).unwrap().body {
                    VideoBody::SequenceHeader(_, record) => {
                        config = Some(CodecConfig::H264(Arc::new(H264Config::from_avcc(&record).unwrap().0)));
                    }
                    VideoBody::Frame { composition_ms, payload, .. } => {
                        let picture = to_unit_payload(&payload, Framing::Length(LengthSize::Four)).unwrap();
                        let pts = dts + MediaTime::from_millis(composition_ms.into());
                        unit(pts, picture.idr, picture.payload);
                    }
                    _ => {}
                },
                Some(Kind::Audio) => match AudioTag::parse(&body).unwrap().body {
                    AudioBody::SequenceHeader(_, asc) => {
                        config = Some(CodecConfig::Aac(Arc::new(AacConfig::from_asc(&asc).unwrap())));
                    }
                    AudioBody::Raw(_, payload) => unit(dts, true, payload),
                    _ => {}
                },
                None => {}
            }
        }
        Self { config: config.unwrap(), units }
    }
}

const OBS_LIKE: &str =
    "-f lavfi -i testsrc=size=320x180:rate=30 -t 6 -c:v libx264 -pix_fmt yuv420p -profile:v high -bf 2 -g 60";
const SURROUND: &str = "-f lavfi -i aevalsrc=0.1*sin(880*t)|0|0|0|0|0:c=5.1:s=48000 -t 4 -c:a aac";

struct Stage {
    media: Arc<StreamMedia>,
    follower: JoinHandle<()>,
}

impl Stage {
    fn new(making: &Making, kind: Kind) -> Self {
        let media = StreamMedia::new(&MediaBudget::unlimited());
        let [pictures, sounds] = making.factories();
        let factory = if kind == Kind::Video { pictures } else { sounds };
        let (app, stream) = (AppName::new("LiveApp").unwrap(), StreamId::new("s").unwrap());
        Self { follower: tokio::spawn(factory.serve(&app, &stream, Arc::clone(&media))), media }
    }

    fn source(&self, recording: &Recording) -> TrackWriter {
        let id = TrackId::new(recording.config.codec().kind().label()).unwrap();
        let writer = self.media.write_track(&id, &recording.config, None).unwrap();
        if recording.config.codec() == Codec::H264 {
            self.media.say_reorders(&id, true);
        }
        writer
    }

    async fn until(&self, is: impl FnMut(&Arc<Catalogue>) -> bool) -> Arc<Catalogue> {
        let until = async { Arc::clone(&*self.media.watch().wait_for(is).await.unwrap()) };
        tokio::time::timeout(Duration::from_secs(20), until).await.expect("in time")
    }

    async fn end(self) {
        self.media.close();
        self.follower.await.unwrap();
    }
}

fn making(program: impl AsRef<Path>, b_frames: BFrames, pictures_max: usize) -> Making {
    Making::new(program.as_ref().to_owned(), b_frames, pictures_max, Arc::new(SystemClock))
}

/// Writes units as they come in life: each at its time.
async fn play(writer: &TrackWriter, units: &[Unit]) {
    let (began, first) = (SystemClock.now(), units[0].dts);
    for unit in units {
        tokio::time::sleep_until((began + unit.dts.since(first)).into()).await;
        writer.write(Unit { arrived: SystemClock.now(), ..unit.clone() }).unwrap();
    }
}

/// Reads the track of that codec from its first unit to the one of that time.
async fn read(stage: &Stage, codec: Codec, to: MediaTime) -> Vec<Arc<Unit>> {
    let catalogue = stage.until(|catalogue| catalogue.derived(codec).is_some()).await;
    let track = Arc::clone(&catalogue.derived(codec).unwrap().track);
    let bell = Bell::new();
    track.frames().hang(&bell);
    let (mut cursor, mut units) = (Cursor(0), Vec::new());
    loop {
        units.extend(track.frames().read(&mut cursor, usize::MAX).entries);
        if units.last().is_some_and(|unit: &Arc<Unit>| unit.dts >= to) {
            return units;
        }
        tokio::time::timeout(Duration::from_secs(10), bell.rung()).await.expect("more units in time");
    }
}

#[tokio::test]
async fn pictures_come_in_the_order_they_are_shown_in_and_none_is_missing() {
    let Some(recording) = record(OBS_LIKE) else { return };
    assert!(recording.units.iter().any(|unit| has_b_slice(&unit.payload)));
    let stage = Stage::new(&making("ffmpeg", BFrames::Transcode, 1), Kind::Video);
    let writer = stage.source(&recording);
    // Somebody comes in the middle of a group.
    let (before, after) = recording.units.split_at(40);
    for unit in before {
        writer.write(unit.clone()).unwrap();
    }
    let _wanted = stage.media.want_for_webrtc();
    let last = recording.units.iter().map(|unit| unit.pts).max().unwrap();
    // What a decoder holds back at the end comes with more, or not.
    let to = last - MediaTime::from_millis(300);
    let ((), made) = tokio::join!(play(&writer, after), read(&stage, Codec::H264, to));

    assert!(made[0].key, "players may begin at the first");
    let begins = made[0].pts;
    assert!(begins - before.last().unwrap().dts <= MediaTime::from_millis(100), "begins at {begins}");
    let mut wanted: Vec<_> = recording
        .units
        .iter()
        .map(|unit| unit.pts)
        .filter(|pts| *pts >= begins && *pts <= made.last().unwrap().pts)
        .collect();
    wanted.sort_unstable();
    let millis = |times: Vec<MediaTime>| times.into_iter().map(MediaTime::as_millis).collect::<Vec<_>>();
    assert_eq!(millis(made.iter().map(|unit| unit.pts).collect()), millis(wanted));
    assert!(made.iter().all(|unit| unit.pts == unit.dts && !has_b_slice(&unit.payload)));
    let between_keys: Vec<_> = made.iter().filter(|unit| unit.key).map(|unit| unit.pts).collect();
    assert!(
        between_keys.windows(2).all(|keys| keys[1] - keys[0] <= MediaTime::from_millis(2_050)),
        "{between_keys:?}"
    );
    let lag = stage.media.lag(Kind::Video);
    assert!(lag > Duration::ZERO && lag < Duration::from_secs(1), "{lag:?}");
    stage.end().await;
}

#[tokio::test]
async fn sound_of_six_channels_becomes_plain_and_keeps_its_times() {
    let Some(recording) = record(SURROUND) else { return };
    let stage = Stage::new(&making("ffmpeg", BFrames::Transcode, 1), Kind::Audio);
    let writer = stage.source(&recording);
    let _wanted = stage.media.want_for_webrtc();
    let to = recording.units.last().unwrap().dts - MediaTime::from_millis(200);
    let ((), made) = tokio::join!(play(&writer, &recording.units), read(&stage, Codec::Aac, to));
    let catalogue = stage.media.catalogue();
    let CodecConfig::Aac(config) = &catalogue.derived(Codec::Aac).unwrap().config else { panic!("not AAC") };
    assert_eq!((config.is_plain(), config.channels), (true, 2));
    let first = made[0].dts - recording.units[0].dts;
    // An encoder begins with what its decoder leaves out.
    assert!((-25..=25).contains(&first.as_millis()), "{first}");
    for pair in made.windows(2) {
        let step = (pair[1].dts - pair[0].dts).as_millis();
        assert!((20..=22).contains(&step), "{step}");
    }
    stage.end().await;
}

/// HE-AAC of 48 kHz, made by an encoder of AAC's authors: six seconds with a beep in each.
const HE_AAC: &[u8] = include_bytes!("../testdata/beeps-he-aac.flv");

/// Where the first sound is heard in samples of 48 kHz, in milliseconds.
fn first_sound(samples: impl IntoIterator<Item = f32>) -> f64 {
    let at = samples.into_iter().position(|sample| sample.abs() > 0.1).unwrap();
    f64::from(u32::try_from(at).unwrap()) / 48.0
}

#[tokio::test]
async fn he_aac_is_heard_where_it_was() {
    let file = std::env::temp_dir().join(format!("penstock-he-aac-{}.flv", std::process::id()));
    std::fs::write(&file, HE_AAC).unwrap();
    let decoded = Command::new("ffmpeg")
        .args(["-nostdin", "-loglevel", "error", "-i"])
        .arg(&file)
        .args(["-f", "f32le", "-ac", "1", "-ar", "48000", "pipe:1"])
        .output();
    std::fs::remove_file(&file).unwrap();
    let Ok(decoded) = decoded else {
        eprintln!("SKIPPED: no ffmpeg on this machine");
        return;
    };
    let wanted =
        first_sound(decoded.stdout.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())));

    let recording = Recording::of(Bytes::from_static(HE_AAC));
    let stage = Stage::new(&making("ffmpeg", BFrames::Transcode, 1), Kind::Audio);
    let writer = stage.source(&recording);
    let _wanted = stage.media.want_for_webrtc();
    // The third beep: by then it is certain that the child has caught up.
    let units: Vec<_> =
        recording.units.iter().filter(|unit| unit.dts < MediaTime::from_millis(4_000)).cloned().collect();
    let to = MediaTime::from_millis(3_500);
    let ((), made) = tokio::join!(play(&writer, &units), read(&stage, Codec::Aac, to));
    let catalogue = stage.media.catalogue();
    let CodecConfig::Aac(config) = &catalogue.derived(Codec::Aac).unwrap().config else { panic!("not AAC") };
    let mut opus = crate::AacToOpus::new(config).unwrap();
    let packets: Vec<_> = made.iter().flat_map(|unit| opus.convert(unit).unwrap()).collect();
    let [heard, _] = &crate::testing::play(&packets, 2)[..] else { panic!("not stereo") };
    // In steps of a millisecond; the beep of the third second.
    let heard = heard.iter().skip(2_000).position(|level| *level > 0.1).unwrap() as f64 + 2_000.0;
    assert!((heard - (wanted + 2_000.0)).abs() < 25.0, "{heard} for {wanted}");
    stage.end().await;
}

/// A program that leaves a trace of having been started.
struct Traced {
    folder: std::path::PathBuf,
}

impl Traced {
    fn new(name: &str, script: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("penstock-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let traced = Self { folder };
        let text = format!("#!/bin/sh\necho started >> {}\n{script}\n", traced.trace().display());
        std::fs::write(traced.program(), text).unwrap();
        Command::new("chmod").arg("+x").arg(traced.program()).status().unwrap();
        traced
    }

    fn program(&self) -> std::path::PathBuf {
        self.folder.join("program")
    }

    fn trace(&self) -> std::path::PathBuf {
        self.folder.join("trace")
    }

    fn starts(&self) -> usize {
        std::fs::read_to_string(self.trace()).map_or(0, |trace| trace.lines().count())
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        // Another run's folder has another name.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn a_stream_that_is_not_watched_or_can_be_sent_as_it_is_has_no_program() {
    let Some(recording) = record(OBS_LIKE) else { return };
    let program = Traced::new("needless", "exec ffmpeg \"$@\"");
    let making = making(program.program(), BFrames::Transcode, 2);
    let (unwatched, in_order) = (Stage::new(&making, Kind::Video), Stage::new(&making, Kind::Video));
    let writers = [unwatched.source(&recording), in_order.source(&recording)];
    in_order.media.say_reorders(&TrackId::new("video").unwrap(), false);
    let _wanted = in_order.media.want_for_webrtc();
    for writer in &writers {
        play(writer, &recording.units[..15]).await;
    }
    assert_eq!(program.starts(), 0);
    let _wanted = unwatched.media.want_for_webrtc();
    play(&writers[0], &recording.units[15..60]).await;
    assert_eq!(program.starts(), 1, "it is the one that is asked");
    unwatched.end().await;
    in_order.end().await;
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told_by_the_name_of_its_setting() {
    let Some(recording) = record(OBS_LIKE) else { return };
    let stage = Stage::new(&making("/nonexistent/ffmpeg", BFrames::Transcode, 1), Kind::Video);
    let writer = stage.source(&recording);
    play(&writer, &recording.units[..10]).await;
    let _wanted = stage.media.want_for_webrtc();
    let is_unmade =
        |catalogue: &Arc<Catalogue>| catalogue.source(Kind::Video).is_some_and(|info| info.unmade.is_some());
    let unmade = stage.until(is_unmade).await;
    let why = unmade.source(Kind::Video).unwrap().unmade.clone().unwrap().why;
    assert!(why.contains("transcode.ffmpeg in penstock.toml"), "{why}");
    stage.end().await;
}

/// The configuration comes before the unit that needs it; until then everything that is there needs the one before.
#[tokio::test]
async fn a_new_configuration_without_a_picture_takes_no_time_and_no_programs() {
    let Some(recording) = record(OBS_LIKE) else { return };
    let Some(other) = record(&OBS_LIKE.replace("320x180", "640x360")) else { return };
    for b_frames in [BFrames::Transcode, BFrames::Drop] {
        let program = Traced::new(&format!("reconfigured-{b_frames:?}"), "exec ffmpeg \"$@\"");
        let stage = Stage::new(&making(program.program(), b_frames, 1), Kind::Video);
        let writer = stage.source(&recording);
        let _wanted = stage.media.want_for_webrtc();
        play(&writer, &recording.units[..45]).await;
        let writer = stage.source(&other);
        // A window to count starts in: what is promised is that there are no more, of which nothing tells. And were
        // the follower to go round without waiting, nothing else would run on this one thread.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert!(program.starts() <= 2, "{} starts", program.starts());
        let shift = recording.units[45].dts - other.units[0].dts;
        let moved = |unit: &Unit| Unit {
            dts: unit.dts + shift,
            pts: unit.pts + shift,
            generation: 2,
            ..unit.clone()
        };
        let units: Vec<_> = other.units.iter().map(moved).collect();
        let playing = tokio::spawn(async move { play(&writer, &units).await });
        let is_new = |catalogue: &Arc<Catalogue>| {
            catalogue
                .derived(Codec::H264)
                .is_some_and(|info| matches!(&info.config, CodecConfig::H264(h264) if h264.width == 640))
        };
        stage.until(is_new).await;
        playing.abort();
        stage.end().await;
    }
}

#[tokio::test]
async fn over_the_budget_players_are_told_so_until_there_is_room() {
    let Some(recording) = record(OBS_LIKE) else { return };
    let one = making("ffmpeg", BFrames::Transcode, 1);
    let (first, second) = (Stage::new(&one, Kind::Video), Stage::new(&one, Kind::Video));
    let writers = [first.source(&recording), second.source(&recording)];
    for writer in &writers {
        play(writer, &recording.units[..30]).await;
    }
    let watched = first.media.want_for_webrtc();
    let rest = recording.units[30..].to_vec();
    let playing = tokio::spawn(async move { play(&writers[0], &rest).await });
    first.until(|catalogue| catalogue.derived(Codec::H264).is_some()).await;
    let refused = second.media.want_for_webrtc();
    let unmade = |catalogue: &Arc<Catalogue>| {
        catalogue.source(Kind::Video).and_then(|info| info.unmade.clone().map(|unmade| unmade.why))
    };
    let told = second.until(|catalogue| unmade(catalogue).is_some()).await;
    assert!(unmade(&told).unwrap().contains("limits.video_transcoders"), "{:?}", unmade(&told));
    drop(refused);
    second.until(|catalogue| unmade(catalogue).is_none()).await;
    drop(watched);
    playing.await.unwrap();
    first.until(|catalogue| catalogue.derived(Codec::H264).is_none()).await;
    first.end().await;
    second.end().await;
}

#[tokio::test]
async fn a_program_that_dies_is_started_anew() {
    let Some(recording) = record(OBS_LIKE) else { return };
    // Each lives for a second and a half.
    let program = Traced::new("short-lived", "exec timeout 1.5 ffmpeg \"$@\"");
    let stage = Stage::new(&making(program.program(), BFrames::Transcode, 1), Kind::Video);
    let writer = stage.source(&recording);
    play(&writer, &recording.units[..5]).await;
    let _wanted = stage.media.want_for_webrtc();
    let playing = tokio::spawn({
        let units = recording.units[5..].to_vec();
        async move { play(&writer, &units).await }
    });
    let there = |catalogue: &Arc<Catalogue>| catalogue.derived(Codec::H264).is_some();
    stage.until(there).await;
    stage.until(|catalogue| !there(catalogue)).await;
    stage.until(there).await;
    playing.abort();
    stage.end().await;
}

#[tokio::test]
async fn where_they_are_refused_it_is_known_before_anybody_comes() {
    let Some(recording) = record(OBS_LIKE) else { return };
    let stage = Stage::new(&making("ffmpeg", BFrames::Refuse, 1), Kind::Video);
    stage.source(&recording);
    let told = stage
        .until(|catalogue| catalogue.source(Kind::Video).is_some_and(|info| info.unmade.is_some()))
        .await;
    let why = told.source(Kind::Video).unwrap().unmade.clone().unwrap();
    assert!(why.why.contains("bf=0") && !why.for_now, "{why:?}");
    stage.end().await;
}

#[tokio::test]
async fn dropped_b_frames_leave_the_others_in_order() {
    let Some(recording) = record(OBS_LIKE) else { return };
    let stage = Stage::new(&making("/nonexistent/ffmpeg", BFrames::Drop, 1), Kind::Video);
    let writer = stage.source(&recording);
    let _wanted = stage.media.want_for_webrtc();
    stage.until(|catalogue| catalogue.derived(Codec::H264).is_some()).await;
    for unit in &recording.units {
        writer.write(unit.clone()).unwrap();
    }
    let kept: Vec<_> = recording.units.iter().filter(|unit| !has_b_slice(&unit.payload)).collect();
    let made = read(&stage, Codec::H264, kept.last().unwrap().pts).await;
    assert_eq!(made.len(), kept.len());
    assert!(made.windows(2).all(|pair| pair[0].pts < pair[1].pts));
    assert!(kept.len() < recording.units.len());
    stage.end().await;
}
