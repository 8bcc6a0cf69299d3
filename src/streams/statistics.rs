//! What every live stream of the node is doing now, readable at any time and by anybody without asking an
//! actor: REST shows it, and the stream's heartbeat stores it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{AppName, Clock, MediaTime, StreamId, WallTime};
use cluster_model::{Heartbeat, Ratio};
use media::{Codec, Kind, StreamMedia, TrackInfo};
use parking_lot::{Mutex, RwLock};

/// What rates are measured over: a key frame in one second of three must not make them jump.
const WINDOW: Duration = Duration::from_secs(5);

/// The figures of every live stream of a node. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct LiveStatistics(Arc<RwLock<Meters>>);

type Meters = BTreeMap<AppName, BTreeMap<StreamId, Arc<Meter>>>;

/// What a live stream is doing now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// What the store is told every 10 s.
    pub heartbeat: Heartbeat,
    /// The codec of the source's pictures; `None` for a stream without any.
    pub video_codec: Option<Codec>,
    /// Bits per second of the source's pictures, over what is held of them.
    pub video_bitrate_bps: u64,
    /// Bits per second of the source's sound, over what is held of it.
    pub audio_bitrate_bps: u64,
}

impl LiveStatistics {
    /// One stream's figures; `None`: it is not live on this node.
    pub fn of(&self, app: &AppName, stream: &StreamId) -> Option<Figures> {
        let meter = self.0.read().get(app)?.get(stream).cloned()?;
        Some(meter.figures())
    }

    /// Keeps a stream's figures for as long as what is returned lives.
    pub(crate) fn follow(
        &self,
        app: &AppName,
        stream: &StreamId,
        media: &Arc<StreamMedia>,
        clock: &Arc<dyn Clock>,
    ) -> Measured {
        let meter = Arc::new(Meter {
            media: Arc::clone(media),
            clock: Arc::clone(clock),
            since: clock.wall(),
            players: Mutex::default(),
            samples: Mutex::default(),
        });
        meter.sample();
        self.0.write().entry(app.clone()).or_default().insert(stream.clone(), Arc::clone(&meter));
        Measured { meter, app: app.clone(), stream: stream.clone(), all: self.clone() }
    }
}

/// A live stream's own hold on its figures: they are gone with it, in whatever way it goes.
pub(crate) struct Measured {
    meter: Arc<Meter>,
    app: AppName,
    stream: StreamId,
    all: LiveStatistics,
}

impl Measured {
    /// To be called every second.
    pub(crate) fn sample(&self) {
        self.meter.sample();
    }

    /// A player came by that protocol.
    pub(crate) fn came(&self, protocol: &'static str) {
        *self.meter.players.lock().entry(protocol).or_default() += 1;
    }

    /// A player that came by that protocol is gone.
    pub(crate) fn went(&self, protocol: &'static str) {
        if let Some(players) = self.meter.players.lock().get_mut(protocol) {
            *players = players.saturating_sub(1);
        }
    }

    pub(crate) fn figures(&self) -> Figures {
        self.meter.figures()
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        let mut all = self.all.0.write();
        if let Some(streams) = all.get_mut(&self.app) {
            // A successor under the same id keeps its own.
            if streams.get(&self.stream).is_some_and(|held| Arc::ptr_eq(held, &self.meter)) {
                streams.remove(&self.stream);
            }
            if streams.is_empty() {
                all.remove(&self.app);
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Sample {
    at: Instant,
    received: u64,
    newest: Option<MediaTime>,
}

struct Meter {
    media: Arc<StreamMedia>,
    clock: Arc<dyn Clock>,
    since: WallTime,
    /// By protocol.
    players: Mutex<BTreeMap<&'static str, u32>>,
    /// Oldest first, not more than [`WINDOW`] of them.
    samples: Mutex<VecDeque<Sample>>,
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meter").field("players", &self.players).finish_non_exhaustive()
    }
}

impl Meter {
    fn sample(&self) {
        let catalogue = self.media.catalogue();
        let newest = sources(&catalogue.tracks).filter_map(|info| info.track.newest()).max();
        let mut samples = self.samples.lock();
        let at = self.clock.now();
        // Where rings had to let everything go, the stream is where it was.
        let newest = newest.max(samples.back().and_then(|last| last.newest));
        samples.push_back(Sample { at, received: self.media.received_bytes(), newest });
        while samples.front().is_some_and(|oldest| at.saturating_duration_since(oldest.at) > WINDOW) {
            samples.pop_front();
        }
    }

    /// Bits per second from the publisher, and media time per wall time; 0 while unknown.
    fn rates(&self) -> (u64, Ratio) {
        let samples = self.samples.lock();
        let (Some(first), Some(last)) = (samples.front(), samples.back()) else {
            return (0, Ratio::default());
        };
        let bits = last.received.saturating_sub(first.received).saturating_mul(8);
        let took_ms = last.at.saturating_duration_since(first.at).as_millis();
        let bitrate = u128::from(bits).saturating_mul(1_000).checked_div(took_ms).unwrap_or(0);
        let timed = samples.iter().find_map(|sample| Some((sample.at, sample.newest?))).zip(last.newest);
        let speed = timed.and_then(|((from, begins), newest)| {
            let took = last.at.saturating_duration_since(from).as_secs_f64();
            (took > 0.0).then(|| newest.since(begins).as_secs_f64() / took)
        });
        (u64::try_from(bitrate).unwrap_or(u64::MAX), Ratio::from_f64(speed.unwrap_or(0.0)))
    }

    /// A heartbeat of nothing but viewers.
    fn viewers(&self) -> Heartbeat {
        let mut viewers = Heartbeat::default();
        for (protocol, players) in &*self.players.lock() {
            viewers.count_viewers(protocol, *players);
        }
        viewers
    }

    fn figures(&self) -> Figures {
        let catalogue = self.media.catalogue();
        let (bitrate_bps, speed) = self.rates();
        let (width, height) =
            catalogue.tracks.iter().find_map(|info| info.config.picture_size()).unwrap_or_default();
        let bitrate_of = |kind| -> u64 {
            let tracks = sources(&catalogue.tracks).filter(|info| info.kind() == kind);
            tracks.map(|info| info.track.bitrate_bps()).sum()
        };
        Figures {
            heartbeat: Heartbeat {
                duration_ms: self.clock.wall().as_millis().saturating_sub(self.since.as_millis()),
                received_bytes: self.media.received_bytes(),
                bitrate_bps,
                speed,
                width,
                height,
                ..self.viewers()
            },
            video_codec: catalogue.source(Kind::Video).map(|info| info.config.codec()),
            video_bitrate_bps: bitrate_of(Kind::Video),
            audio_bitrate_bps: bitrate_of(Kind::Audio),
        }
    }
}

fn sources(tracks: &[TrackInfo]) -> impl Iterator<Item = &TrackInfo> {
    tracks.iter().filter(|info| info.derived_from.is_none())
}

#[cfg(test)]
mod tests {
    use base::ManualClock;
    use base::TrackId;
    use bytes::Bytes;
    use media::{CodecConfig, MediaBudget, OpusConfig, Unit};

    use super::*;

    struct Stand {
        all: LiveStatistics,
        clock: Arc<ManualClock>,
        media: Arc<StreamMedia>,
    }

    impl Stand {
        fn new() -> Self {
            Self {
                all: LiveStatistics::default(),
                clock: Arc::new(ManualClock::new(WallTime(1_000_000))),
                media: StreamMedia::new(&MediaBudget::unlimited()),
            }
        }

        fn follow(&self) -> Measured {
            let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
            self.all.follow(&app(), &stream(), &self.media, &clock)
        }

        fn figures(&self) -> Option<Figures> {
            self.all.of(&app(), &stream())
        }

        fn heartbeat(&self) -> Heartbeat {
            self.figures().unwrap().heartbeat
        }
    }

    fn app() -> AppName {
        AppName::new("LiveApp").unwrap()
    }

    fn stream() -> StreamId {
        StreamId::new("s").unwrap()
    }

    #[test]
    fn rates_follow_the_last_seconds_and_a_silent_publisher_comes_to_nothing() {
        let stand = Stand::new();
        let measured = stand.follow();
        assert_eq!(stand.heartbeat(), Heartbeat::default());
        let audio = stand
            .media
            .write_track(
                &TrackId::new("audio").unwrap(),
                &CodecConfig::Opus(OpusConfig { channels: 2 }),
                None,
            )
            .unwrap();
        let mut dts = MediaTime::ZERO;
        let mut a_second = |bytes: u64, media_ms: u64| {
            stand.clock.advance(Duration::from_secs(1));
            stand.media.count_received(bytes);
            if media_ms > 0 {
                dts = dts.plus(Duration::from_millis(media_ms));
                let payload = Bytes::from_static(&[1; 100]);
                let arrived = stand.clock.now();
                audio.write(Unit { dts, pts: dts, arrived, key: true, generation: 1, payload }).unwrap();
            }
            measured.sample();
            stand.heartbeat()
        };
        assert_eq!(a_second(10_000, 1_000).bitrate_bps, 80_000);
        for _ in 0..8 {
            a_second(10_000, 1_000);
        }
        let steady = a_second(10_000, 1_000);
        assert_eq!((steady.bitrate_bps, steady.speed), (80_000, Ratio::from_millionths(1_000_000)));
        assert_eq!((steady.received_bytes, steady.duration_ms), (100_000, 10_000));
        for _ in 0..5 {
            a_second(5_000, 500);
        }
        let slow = a_second(5_000, 500);
        assert_eq!((slow.bitrate_bps, slow.speed), (40_000, Ratio::from_millionths(500_000)));
        for _ in 0..5 {
            a_second(0, 0);
        }
        let silent = a_second(0, 0);
        assert_eq!((silent.bitrate_bps, silent.speed), (0, Ratio::default()));
        assert_eq!(silent.received_bytes, 130_000);
        let figures = stand.figures().unwrap();
        assert_eq!((figures.video_codec, figures.video_bitrate_bps), (None, 0));
        assert!(figures.audio_bitrate_bps > 0);
    }

    #[test]
    fn players_are_those_of_now_and_a_stream_that_is_gone_has_no_figures() {
        let stand = Stand::new();
        let first = stand.follow();
        for protocol in ["webrtc", "webrtc", "webrtc", "flv", "flv"] {
            first.came(protocol);
        }
        first.went("flv");
        first.went("hls");
        assert_eq!(stand.heartbeat().webrtc_viewers, 3);
        assert_eq!(stand.heartbeat().rtmp_viewers, 1);
        // A successor is there before its predecessor is gone.
        let second = stand.follow();
        second.came("webrtc");
        drop(first);
        assert_eq!(stand.heartbeat().webrtc_viewers, 1);
        drop(second);
        assert_eq!(stand.figures(), None);
        assert!(stand.all.0.read().is_empty());
    }
}
