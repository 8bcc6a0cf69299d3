use std::sync::atomic::{AtomicUsize, Ordering};

use base::SystemClock;
use media::{Codec, DemandGuard, MediaBudget};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;
use crate::testing::{MONO_44100, Recording, STEREO_48000, play, tone, unit};

struct Stage {
    media: Arc<StreamMedia>,
    follower: JoinHandle<()>,
}

fn audio() -> TrackId {
    TrackId::new("audio").unwrap()
}

impl Stage {
    fn new(make: Make) -> Self {
        let media = StreamMedia::new(&MediaBudget::unlimited());
        let pool = AudioPool::with_threads(1).unwrap();
        Self { follower: tokio::spawn(run(Arc::clone(&media), pool, Arc::new(SystemClock), make)), media }
    }

    fn real() -> Self {
        Self::new(|config| Ok(Box::new(AacToOpus::new(config)?)))
    }

    fn writer(&self, asc: &[u8]) -> TrackWriter {
        let config = CodecConfig::Aac(Arc::new(AacConfig::from_asc(asc).unwrap()));
        self.media.write_track(&audio(), &config, None).unwrap()
    }

    /// Waits until the catalogue is as it should be.
    async fn catalogue(&self, is: impl FnMut(&Arc<Catalogue>) -> bool) -> Arc<Catalogue> {
        Arc::clone(&*self.media.watch().wait_for(is).await.unwrap())
    }

    async fn opus(&self) -> Arc<Track> {
        let catalogue = self.catalogue(|catalogue| catalogue.derived(Codec::Opus).is_some()).await;
        Arc::clone(&catalogue.derived(Codec::Opus).unwrap().track)
    }

    async fn end(self) {
        self.media.close();
        self.follower.await.unwrap();
    }
}

/// Reads a track until it holds so many units.
async fn read(track: &Track, count: u64) -> Vec<Unit> {
    let bell = Bell::new();
    track.frames().hang(&bell);
    while track.frames().head() < count {
        bell.rung().await;
    }
    let read = track.frames().read(&mut Cursor(track.frames().tail()), usize::MAX);
    read.entries.iter().map(|unit| unit.as_ref().clone()).collect()
}

fn write(writer: &TrackWriter, units: impl IntoIterator<Item = Unit>) {
    for given in units {
        writer.write(Unit { generation: writer.generation(), ..given }).unwrap();
    }
}

#[tokio::test]
async fn a_stream_has_opus_while_somebody_wants_it() {
    let stage = Stage::real();
    let recording: Recording = MONO_44100;
    let writer = stage.writer(&recording.asc);
    let units = recording.units(MediaTime::from_millis(1_000));
    write(&writer, units[..20].to_vec());
    assert!(stage.media.catalogue().derived(Codec::Opus).is_none());

    let _wanted: DemandGuard = stage.media.want_for_webrtc();
    let opus = stage.opus().await;
    let info = stage.media.catalogue().derived(Codec::Opus).unwrap().clone();
    assert_eq!((info.id.as_str(), info.derived_from), (OPUS_TRACK, Some(audio())));
    assert_eq!(info.config, CodecConfig::Opus(OpusConfig { channels: 1 }));
    // At once there is what the newest 100 ms give, and no more.
    let first = read(&opus, 4).await;
    let head = units[19].dts - first[0].dts;
    assert!((80..=130).contains(&head.as_millis()), "{head}");

    write(&writer, units[20..].to_vec());
    let packets = read(&opus, 30).await;
    let (begins, _) = tone(&play(&packets, 1)[0]);
    assert!((begins - 1_500.0).abs() <= 5.0, "{begins}");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_track_goes_when_nobody_has_wanted_it_for_a_while() {
    let stage = Stage::real();
    let writer = stage.writer(&STEREO_48000.asc);
    write(&writer, STEREO_48000.units(MediaTime::ZERO).into_iter().skip(1));
    let wanted = stage.media.want_for_webrtc();
    let opus = stage.opus().await;
    read(&opus, 2).await;
    drop(wanted);
    let again = stage.media.want_for_webrtc();
    // On the paused clock: no time passes.
    tokio::time::sleep(limits::TRANSCODER_IDLE_MAX * 2).await;
    assert!(!opus.frames().is_closed(), "somebody came back in time");
    drop(again);
    // The same.
    tokio::time::sleep(limits::TRANSCODER_IDLE_MAX - Duration::from_millis(1)).await;
    assert!(!opus.frames().is_closed());
    stage.catalogue(|catalogue| catalogue.derived(Codec::Opus).is_none()).await;
    assert!(opus.frames().is_closed());

    let _once_more = stage.media.want_for_webrtc();
    let second = stage.opus().await;
    assert!(!Arc::ptr_eq(&opus, &second));
    read(&second, 1).await;
    stage.end().await;
}

#[tokio::test]
async fn unsupported_audio_has_no_track_until_it_changes() {
    let stage = Stage::real();
    let _wanted = stage.media.want_for_webrtc();
    // HE-AAC.
    stage.writer(&[0x2b, 0x92, 0x08, 0x00]);
    tokio::task::yield_now().await;
    assert!(stage.media.catalogue().derived(Codec::Opus).is_none());
    let writer = stage.writer(&STEREO_48000.asc);
    write(&writer, STEREO_48000.units(MediaTime::ZERO).into_iter().skip(1));
    let opus = stage.opus().await;
    read(&opus, 1).await;
    stage.end().await;
}

#[tokio::test]
async fn a_new_configuration_makes_a_new_converter_and_time_goes_on() {
    let stage = Stage::real();
    let _wanted = stage.media.want_for_webrtc();
    let writer = stage.writer(&STEREO_48000.asc);
    let opus = stage.opus().await;
    write(&writer, STEREO_48000.units(MediaTime::ZERO).into_iter().skip(1));
    let before = read(&opus, 40).await;
    let writer = stage.writer(&MONO_44100.asc);
    write(&writer, MONO_44100.units(MediaTime::from_millis(2_000)));
    let after = read(&opus, 80).await;
    assert_eq!(opus.config(), CodecConfig::Opus(OpusConfig { channels: 1 }));
    assert_eq!((before[0].generation, after.last().unwrap().generation), (1, 2));
    assert!(after.windows(2).all(|pair| pair[0].dts < pair[1].dts));
    stage.end().await;
}

#[tokio::test]
async fn the_track_ends_with_its_source() {
    let stage = Stage::real();
    let _wanted = stage.media.want_for_webrtc();
    stage.writer(&STEREO_48000.asc);
    let opus = stage.opus().await;
    stage.media.remove_track(&audio());
    stage.catalogue(|catalogue| catalogue.tracks.is_empty()).await;
    assert!(opus.frames().is_closed());
    stage.end().await;
}

/// Gives each unit back, and panics at one that says so.
struct Fragile;

static FRAGILE_MADE: AtomicUsize = AtomicUsize::new(0);
static FRAGILE_GONE: Notify = Notify::const_new();

impl Convert for Fragile {
    fn convert(&mut self, unit: &Unit) -> Result<Vec<Unit>, ConvertError> {
        assert_ne!(&unit.payload[..], b"panic", "a codec's bug");
        Ok(vec![unit.clone()])
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        FRAGILE_GONE.notify_one();
    }
}

#[tokio::test]
async fn after_a_panic_the_converter_is_made_anew() {
    let stage = Stage::new(|_| {
        FRAGILE_MADE.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(Fragile))
    });
    let _wanted = stage.media.want_for_webrtc();
    let writer = stage.writer(&STEREO_48000.asc);
    let opus = stage.opus().await;
    write(&writer, [unit(MediaTime::from_millis(20), b"good")]);
    read(&opus, 1).await;
    write(&writer, [unit(MediaTime::from_millis(40), b"panic")]);
    FRAGILE_GONE.notified().await;
    write(&writer, [unit(MediaTime::from_millis(60), b"good")]);
    let packets = read(&opus, 2).await;
    assert_eq!(packets[1].dts, MediaTime::from_millis(60));
    assert_eq!(FRAGILE_MADE.load(Ordering::Relaxed), 2);
    stage.end().await;
}
