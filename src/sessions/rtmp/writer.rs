//! From a publisher's units to the tracks of its stream.

use std::sync::Arc;

use base::{MediaTime, TrackId};
use media::{CodecConfig, Kind, StreamMedia, TrackWriter, Unit, WriteError};
use observe::metric;

/// How much media is waited for before a stream whose second track is missing begins without it.
const LATE_TRACK_WAIT_MS: i64 = 1_000;

/// Pictures to be seen before a stream that may reorder them begins: by then it is known whether it
/// does, and players can be told.
const REORDER_PROBE_UNITS: u32 = 8;

/// One track being written.
#[derive(Default)]
struct Lane {
    writer: Option<TrackWriter>,
    units: Option<metrics::Counter>,
}

/// Writes the two tracks an RTMP publisher can have.
pub(super) struct Tracks {
    media: Arc<StreamMedia>,
    video: Lane,
    audio: Lane,
    /// The first unit's time, until the stream begins.
    first: Option<MediaTime>,
    began: bool,
    /// Pictures still to be seen.
    probe: u32,
}

/// Why the tracks cannot be written on.
#[derive(Debug, thiserror::Error)]
pub(super) enum TrackError {
    #[error("the stream has too many tracks")]
    TooManyTracks,
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Tracks {
    pub(super) fn new(media: Arc<StreamMedia>) -> Self {
        Self { media, video: Lane::default(), audio: Lane::default(), first: None, began: false, probe: 0 }
    }

    fn lane(&mut self, kind: Kind) -> &mut Lane {
        match kind {
            Kind::Video => &mut self.video,
            Kind::Audio => &mut self.audio,
        }
    }

    /// A first or a changed configuration.
    pub(super) fn configure(&mut self, config: &CodecConfig) -> Result<(), TrackError> {
        let kind = config.codec().kind();
        let id = TrackId::new(kind.label()).map_err(|_| TrackError::TooManyTracks)?;
        let writer = self.media.write_track(&id, config, None).ok_or(TrackError::TooManyTracks)?;
        if let CodecConfig::H264(h264) = config
            && h264.may_have_b_frames()
            && !self.began
        {
            self.probe = REORDER_PROBE_UNITS;
        }
        let lane = self.lane(kind);
        lane.writer = Some(writer);
        lane.units.get_or_insert_with(|| metric::units(kind.label()));
        Ok(())
    }

    /// A unit; before its configuration it has no track and is skipped.
    pub(super) fn write(&mut self, kind: Kind, unit: Unit) -> Result<(), TrackError> {
        self.first.get_or_insert(unit.dts);
        if kind == Kind::Video {
            self.probe = self.probe.saturating_sub(1);
        }
        let lane = self.lane(kind);
        let Some(writer) = &lane.writer else { return Ok(()) };
        writer.write(Unit { generation: writer.generation(), ..unit })?;
        if let Some(units) = &lane.units {
            units.increment(1);
        }
        Ok(())
    }

    /// True once, when players may come: both tracks are there, or one and no other for a while.
    /// `expects_both` is what the encoder announced.
    pub(super) fn begins(&mut self, now: Option<MediaTime>, expects_both: bool) -> bool {
        if self.began || (self.video.writer.is_none() && self.audio.writer.is_none()) {
            return false;
        }
        let both = self.video.writer.is_some() && self.audio.writer.is_some();
        let waited = match (self.first, now) {
            (Some(first), Some(now)) => (now - first).as_millis(),
            _ => 0,
        };
        let known = (both || !expects_both) && self.probe == 0;
        self.began = known || waited >= LATE_TRACK_WAIT_MS;
        self.began
    }
}
