//! The reader that makes a stream's Opus track while somebody wants it.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{Clock, MediaTime, TrackId, limits};
use media::{
    AacConfig, Bell, Catalogue, CodecConfig, Cursor, Demand, Kind, OpusConfig, StreamMedia, Track, TrackInfo,
    TrackWriter, Unit, WriteError,
};
use observe::metric;
use tokio::sync::watch;
use tokio::time::Sleep;

use crate::convert::{AacToOpus, ConvertError};
use crate::pace::{Hold, Pace};
use crate::pool::AudioPool;

/// The name of the track made from a stream's AAC.
pub const OPUS_TRACK: &str = "audio-opus";

/// How far back a converter begins: enough for the first packets to be there when the first player is.
const HEAD_START: Duration = Duration::from_millis(100);
/// A source that is silent for so long begins anew: another encoder goes on with the stream.
const PAUSE_MIN: Duration = Duration::from_millis(500);

/// Converts units, or panics; in tests something else than [`AacToOpus`].
trait Convert: Send {
    fn convert(&mut self, unit: &Unit) -> Result<Vec<Unit>, ConvertError>;
}

impl Convert for AacToOpus {
    fn convert(&mut self, unit: &Unit) -> Result<Vec<Unit>, ConvertError> {
        Self::convert(self, unit)
    }
}

type Make = fn(&AacConfig) -> Result<Box<dyn Convert>, ConvertError>;

/// Makes the Opus track of a stream from its AAC track, while somebody wants Opus; returns when the
/// stream is closed.
///
/// The track is called [`OPUS_TRACK`] and taken away when nobody has wanted it for
/// [`limits::TRANSCODER_IDLE_MAX`]. AAC that cannot be converted gets none, which is logged once.
pub async fn follow(media: Arc<StreamMedia>, pool: AudioPool, clock: Arc<dyn Clock>) {
    run(media, pool, clock, |config| Ok(Box::new(AacToOpus::new(config)?))).await;
}

async fn run(media: Arc<StreamMedia>, pool: AudioPool, clock: Arc<dyn Clock>, make: Make) {
    let Ok(id) = TrackId::new(OPUS_TRACK) else { return };
    let mut waiting =
        Waiting { catalogue: media.watch(), demand: media.demand(), refused: None, full_at: None };
    while let Some((source, config)) = waiting.for_work(&media).await {
        let opus = CodecConfig::Opus(OpusConfig { channels: config.channels });
        let Some(writer) = media.write_track(&id, &opus, Some(&source.id)) else {
            waiting.full();
            continue;
        };
        let _counted = Running::new();
        let bell = Bell::new();
        source.track.frames().hang(&bell);
        let newest = source.track.frames().head().checked_sub(1).and_then(|at| source.track.frames().get(at));
        let from = newest.map_or(MediaTime::ZERO, |unit| unit.dts - MediaTime::ZERO.plus(HEAD_START));
        let transcoder = Transcoder {
            cursor: Cursor(source.track.frames().at_or_after(from)),
            media: &media,
            pool: &pool,
            make,
            id: &id,
            source: source.id,
            frames: source.track,
            generation: source.generation,
            config,
            converter: None,
            writer,
            newest: None,
            pace: Pace::default(),
            hold: Hold::default(),
            clock: &*clock,
            bell,
        };
        let end = transcoder.run(&mut waiting.demand).await;
        match end {
            End::Fenced => return,
            End::Unsupported(config, why) => waiting.refuse(&config, &why),
            End::Closed | End::Source | End::Idle => {}
        }
        media.remove_track(&id);
    }
}

/// Why a transcoder stopped.
enum End {
    /// The stream is over.
    Closed,
    /// Somebody else writes the track.
    Fenced,
    /// The source track is gone.
    Source,
    /// Nobody wants it any more.
    Idle,
    /// The source's configuration changed to one that is not converted.
    Unsupported(Arc<AacConfig>, ConvertError),
}

/// Watches for a stream that has AAC and needs Opus.
struct Waiting {
    catalogue: watch::Receiver<Arc<Catalogue>>,
    demand: watch::Receiver<Demand>,
    /// The configuration no track is made from; said once.
    refused: Option<Arc<AacConfig>>,
    /// The catalogue's version that had no room for a track.
    full_at: Option<u64>,
}

impl Waiting {
    /// `None` when the stream is closed.
    async fn for_work(&mut self, media: &StreamMedia) -> Option<(TrackInfo, Arc<AacConfig>)> {
        loop {
            let wanted = self.demand.borrow_and_update().webrtc > 0;
            let catalogue = Arc::clone(&self.catalogue.borrow_and_update());
            if media.is_closed() {
                return None;
            }
            if let Some(info) = catalogue.opus_source()
                && let CodecConfig::Aac(config) = &info.config
                && wanted
                && self.refused.as_ref() != Some(config)
                && self.full_at != Some(catalogue.version)
            {
                return Some((info.clone(), Arc::clone(config)));
            }
            tokio::select! {
                () = media.closed() => return None,
                changed = self.catalogue.changed() => changed.ok()?,
                changed = self.demand.changed() => changed.ok()?,
            }
        }
    }

    fn full(&mut self) {
        tracing::warn!("no audio for WebRTC players: the stream has too many tracks");
        self.full_at = Some(self.catalogue.borrow().version);
    }

    fn refuse(&mut self, config: &Arc<AacConfig>, why: &dyn std::fmt::Display) {
        tracing::warn!(audio = ?config, reason = %why, "no audio for WebRTC players");
        self.refused = Some(Arc::clone(config));
    }
}

/// Counts the transcoders at work.
struct Running;

impl Running {
    fn new() -> Self {
        metric::transcoders().increment(1.0);
        Self
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        metric::transcoders().decrement(1.0);
    }
}

/// One run from the first wish for Opus to the end of the last.
struct Transcoder<'a> {
    media: &'a StreamMedia,
    pool: &'a AudioPool,
    make: Make,
    id: &'a TrackId,
    /// The source track, and what its newest units need.
    source: TrackId,
    frames: Arc<Track>,
    generation: u32,
    config: Arc<AacConfig>,
    cursor: Cursor,
    /// `None` before the first unit and after a panic took it along.
    converter: Option<Box<dyn Convert>>,
    writer: TrackWriter,
    /// The newest packet written.
    newest: Option<MediaTime>,
    pace: Pace,
    /// How far behind the source's pictures it has to stay.
    hold: Hold,
    clock: &'a dyn Clock,
    bell: Bell,
}

impl Transcoder<'_> {
    async fn run(mut self, demand: &mut watch::Receiver<Demand>) -> End {
        let mut idle: Option<Pin<Box<Sleep>>> = None;
        loop {
            match demand.borrow_and_update().webrtc {
                0 if idle.is_none() => idle = Some(Box::pin(tokio::time::sleep(limits::TRANSCODER_IDLE_MAX))),
                0 => {}
                _ => idle = None,
            }
            if let Err(end) = self.convert_what_is_there().await {
                return end;
            }
            if self.media.is_closed() {
                return End::Closed;
            }
            if self.frames.frames().is_closed() {
                return End::Source;
            }
            let idled = async {
                match idle.as_mut() {
                    Some(sleep) => sleep.await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.media.closed() => return End::Closed,
                () = idled => return End::Idle,
                changed = demand.changed() => if changed.is_err() { return End::Closed },
                () = self.bell.rung() => {}
            }
        }
    }

    /// Converts up to the head of the source's ring, at most so much at a time that the wishes are
    /// looked at in between.
    async fn convert_what_is_there(&mut self) -> Result<(), End> {
        let read = self.frames.frames().read(&mut self.cursor, limits::AUDIO_UNITS_PER_JOB_MAX);
        if read.skipped > 0 {
            metric::ring_skips().increment(1);
        }
        if read.entries.len() == limits::AUDIO_UNITS_PER_JOB_MAX {
            // There may be more, and no push to come.
            self.bell.ring();
        }
        for units in read.entries.chunk_by(|a, b| a.generation == b.generation) {
            let Some(generation) = units.first().map(|unit| unit.generation) else { continue };
            if generation != self.generation && !self.reconfigure(generation)? {
                continue;
            }
            self.convert(units.to_vec()).await?;
        }
        Ok(())
    }

    /// Takes the configuration that units of that generation need. `false` when there is none any
    /// more: they are old, and skipped.
    fn reconfigure(&mut self, generation: u32) -> Result<bool, End> {
        let catalogue = self.media.catalogue();
        let info = catalogue.track(&self.source).ok_or(End::Source)?;
        if catalogue.opus_source().is_none_or(|source| source.id != info.id) {
            return Err(End::Source);
        }
        if info.generation != generation {
            return Ok(false);
        }
        let CodecConfig::Aac(config) = &info.config else { return Err(End::Source) };
        self.converter = None;
        self.generation = generation;
        self.config = Arc::clone(config);
        let opus = CodecConfig::Opus(OpusConfig { channels: config.channels });
        self.writer = self.media.write_track(self.id, &opus, Some(&self.source)).ok_or(End::Closed)?;
        Ok(true)
    }

    async fn convert(&mut self, units: Vec<Arc<Unit>>) -> Result<(), End> {
        let Some(slot) = self.pool.reserve() else {
            // The converter fills the gap with silence.
            metric::audio_jobs_dropped().increment(units.len() as u64);
            return Ok(());
        };
        let mut converter = match self.converter.take() {
            Some(converter) => converter,
            None => {
                (self.make)(&self.config).map_err(|why| End::Unsupported(Arc::clone(&self.config), why))?
            }
        };
        let done = slot.run(move || {
            let converted: Vec<_> = units.iter().map(|unit| converter.convert(unit)).collect();
            (converter, converted)
        });
        let Ok((converter, converted)) = done.await else {
            tracing::error!("the audio transcoder panicked and is made anew");
            return Ok(());
        };
        self.converter = Some(converter);
        for outcome in converted {
            match outcome {
                Ok(packets) => {
                    for packet in packets {
                        if self.newest.is_some_and(|newest| packet.dts.since(newest) > PAUSE_MIN) {
                            // Another encoder, another pace.
                            self.pace = Pace::default();
                        }
                        let due = self.due(&packet);
                        tokio::select! {
                            () = tokio::time::sleep_until(due.into()) => {}
                            () = self.media.closed() => return Err(End::Closed),
                        }
                        self.write(packet)?;
                    }
                }
                Err(why) => tracing::debug!(%why, "an audio frame is skipped"),
            }
        }
        Ok(())
    }

    /// When a packet is to be handed on: at an even pace, and not before the pictures it belongs to.
    fn due(&mut self, packet: &Unit) -> Instant {
        let even = self.pace.due(packet.dts, packet.arrived);
        let lag = self.media.lag(Kind::Video);
        let Some(position) = self.media.position().filter(|_| !lag.is_zero()) else { return even };
        // Both are measured against the punctual pictures of the source, which come at an even pace.
        let now = self.clock.now();
        let shown = packet.dts.plus(self.hold.towards(lag));
        let wait = shown.since(position.at(Kind::Video, now));
        // Sound may be said to lie far ahead of its pictures; it is not kept for them.
        even.max(now + wait.min(limits::TRANSCODED_LAG_MAX))
    }

    fn write(&mut self, packet: Unit) -> Result<(), End> {
        // A new converter begins a little before the units it is given.
        if self.newest.is_some_and(|newest| packet.dts <= newest) {
            return Ok(());
        }
        self.newest = Some(packet.dts);
        let packet = Unit { generation: self.writer.generation(), ..packet };
        match self.writer.write(packet) {
            Ok(()) => Ok(()),
            Err(WriteError::Fenced) if self.media.is_closed() => Err(End::Closed),
            Err(WriteError::Fenced) => Err(End::Fenced),
            // Packets are far below the limit; one that is not is skipped.
            Err(WriteError::TooLarge(_)) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
