//! From a publisher's units to the tracks of its stream.

use std::sync::Arc;

use base::{MediaTime, TrackId};
use media::h264::has_b_slice;
use media::{CodecConfig, Kind, PacketRun, StreamMedia, TrackWriter, Unit, WriteError};
use observe::metric;

/// How much media is waited for before a stream whose second track is missing begins without it.
const LATE_TRACK_WAIT_MS: i64 = 1_000;

/// Pictures to be seen before a stream that may reorder them begins: by then it is known whether it
/// does, and players can be told.
const REORDER_PROBE_UNITS: u32 = 8;
/// At few pictures per second it is not waited longer than this.
const REORDER_PROBE_MS_MAX: i64 = 3_000;

/// One track being written.
#[derive(Default)]
struct Lane {
    writer: Option<TrackWriter>,
    units: Option<metrics::Counter>,
}

/// Writes the two tracks a publisher can have.
pub(crate) struct Tracks {
    media: Arc<StreamMedia>,
    video: Lane,
    audio: Lane,
    /// The first unit's time, until the stream begins.
    first: Option<MediaTime>,
    began: bool,
    /// Pictures still to be seen.
    probe: u32,
    /// Whether the parameter sets allow B-frames, and whether there were any.
    may_reorder: bool,
    reorders: bool,
    /// When the newest picture is shown.
    shown: Option<MediaTime>,
    /// Pictures come in the order they are shown in, whatever the parameter sets allow.
    in_order: bool,
}

/// Why the tracks cannot be written on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrackError {
    #[error("the stream has too many tracks")]
    TooManyTracks,
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Tracks {
    pub(crate) fn new(media: Arc<StreamMedia>) -> Self {
        Self {
            media,
            video: Lane::default(),
            audio: Lane::default(),
            first: None,
            began: false,
            probe: 0,
            may_reorder: false,
            reorders: false,
            shown: None,
            in_order: false,
        }
    }

    /// The same for a protocol without B-frames.
    pub(crate) fn in_order(media: Arc<StreamMedia>) -> Self {
        Self { in_order: true, ..Self::new(media) }
    }

    fn lane(&mut self, kind: Kind) -> &mut Lane {
        match kind {
            Kind::Video => &mut self.video,
            Kind::Audio => &mut self.audio,
        }
    }

    /// A first or a changed configuration.
    pub(crate) fn configure(&mut self, config: &CodecConfig) -> Result<(), TrackError> {
        let kind = config.codec().kind();
        let id = TrackId::new(kind.label()).map_err(|_| TrackError::TooManyTracks)?;
        let writer = self.media.write_track(&id, config, None).ok_or(TrackError::TooManyTracks)?;
        if kind == Kind::Video {
            let may_reorder = matches!(config, CodecConfig::H264(h264) if h264.may_have_b_frames());
            self.may_reorder = may_reorder && !self.in_order;
            self.reorders &= self.may_reorder;
            if self.may_reorder && !self.began {
                self.probe = REORDER_PROBE_UNITS;
            }
        }
        let lane = self.lane(kind);
        lane.writer = Some(writer);
        lane.units.get_or_insert_with(|| metric::units(kind.label()));
        Ok(())
    }

    /// A unit; before its configuration it has no track and is skipped.
    pub(crate) fn write(&mut self, kind: Kind, unit: Unit) -> Result<(), TrackError> {
        self.first.get_or_insert(unit.dts);
        if kind == Kind::Video {
            self.probe = self.probe.saturating_sub(1);
            self.look_at_order(&unit)?;
        }
        let lane = self.lane(kind);
        let Some(writer) = &lane.writer else { return Ok(()) };
        writer.write(Unit { generation: writer.generation(), ..unit })?;
        if let Some(units) = &lane.units {
            units.increment(1);
        }
        Ok(())
    }

    /// The same for packets.
    pub(crate) fn write_run(&mut self, kind: Kind, run: PacketRun) -> Result<(), TrackError> {
        self.first.get_or_insert(run.dts);
        let lane = self.lane(kind);
        let Some(writer) = &lane.writer else { return Ok(()) };
        writer.write_run(run)?;
        if let Some(units) = &lane.units {
            units.increment(1);
        }
        Ok(())
    }

    /// A picture that is shown before one that came before it tells of B-frames, whatever the SPS says. So does a
    /// B slice where the SPS allows them: some encoders say of every picture that it is shown when it is decoded.
    fn look_at_order(&mut self, unit: &Unit) -> Result<(), TrackError> {
        let pts = unit.pts;
        let turns_back = || self.shown.is_some_and(|shown| pts < shown);
        let has_b_slice = || self.may_reorder && has_b_slice(&unit.payload);
        if !self.reorders && (turns_back() || has_b_slice()) {
            self.reorders = true;
            let id = TrackId::new(Kind::Video.label()).map_err(|_| TrackError::TooManyTracks)?;
            self.media.say_reorders(&id, true);
        }
        self.shown = self.shown.max(Some(pts));
        Ok(())
    }

    /// True once, when players may come: both tracks are there, or one and no other for a while.
    /// `expects_both` is what the encoder announced.
    pub(crate) fn begins(&mut self, now: Option<MediaTime>, expects_both: bool) -> bool {
        if self.began || (self.video.writer.is_none() && self.audio.writer.is_none()) {
            return false;
        }
        let both = self.video.writer.is_some() && self.audio.writer.is_some();
        let waited = match (self.first, now) {
            (Some(first), Some(now)) => (now - first).as_millis(),
            _ => 0,
        };
        let known = both || !expects_both || waited >= LATE_TRACK_WAIT_MS;
        self.began = known && (self.probe == 0 || waited >= REORDER_PROBE_MS_MAX);
        if self.began {
            self.leave_out();
            // What the publisher before had says nothing of this one.
            if !self.reorders
                && let Ok(id) = TrackId::new(Kind::Video.label())
            {
                self.media.say_reorders(&id, false);
            }
        }
        self.began
    }

    /// Takes away what the publisher before sent and this one does not.
    fn leave_out(&self) {
        for (kind, lane) in [(Kind::Video, &self.video), (Kind::Audio, &self.audio)] {
            if lane.writer.is_none()
                && let Ok(id) = TrackId::new(kind.label())
            {
                self.media.remove_track(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use base::{Clock, SystemClock};
    use bytes::Bytes;
    use media::{AacConfig, Conversion, MediaBudget, Way, webrtc_way};

    use super::*;

    /// x264's parameter sets: High, 320x180, and what its VUI says of reordering.
    fn h264(reorders: bool) -> CodecConfig {
        let sps: &[u8] = if reorders {
            &[
                0x67, 0x64, 0x00, 0x0d, 0xac, 0xd9, 0x41, 0x41, 0x9f, 0x9e, 0x10, 0x00, 0x00, 0x03, 0x00,
                0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x42, 0x99, 0x60,
            ]
        } else {
            &[
                0x67, 0x42, 0xc0, 0x0d, 0xd9, 0x01, 0x41, 0x9f, 0x9e, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10,
                0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x42, 0xa4, 0x80,
            ]
        };
        let config = media::h264::H264Config::from_parameter_sets(
            vec![Bytes::from_static(sps)],
            vec![Bytes::from_static(&[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0])],
        );
        CodecConfig::H264(Arc::new(config.unwrap()))
    }

    fn aac() -> CodecConfig {
        CodecConfig::Aac(Arc::new(AacConfig::from_asc(&[0x11, 0x90]).unwrap()))
    }

    fn unit(dts_ms: i64, pts_ms: i64) -> Unit {
        Unit {
            dts: MediaTime::from_millis(dts_ms),
            pts: MediaTime::from_millis(pts_ms),
            arrived: SystemClock.now(),
            key: dts_ms == 0,
            generation: 0,
            payload: Bytes::from_static(&[0, 0, 0, 1, 0x65]),
        }
    }

    fn at(ms: i64) -> Option<MediaTime> {
        Some(MediaTime::from_millis(ms))
    }

    #[test]
    fn a_stream_begins_when_both_tracks_are_known_or_one_has_waited_long_enough() {
        let mut tracks = Tracks::new(StreamMedia::new(&MediaBudget::unlimited()));
        assert!(!tracks.begins(None, true));
        tracks.configure(&h264(false)).unwrap();
        tracks.write(Kind::Video, unit(0, 0)).unwrap();
        assert!(!tracks.begins(at(900), true));
        tracks.configure(&aac()).unwrap();
        assert!(tracks.begins(at(900), true));
        assert!(!tracks.begins(at(901), true), "it begins once");

        let mut alone = Tracks::new(StreamMedia::new(&MediaBudget::unlimited()));
        alone.configure(&h264(false)).unwrap();
        alone.write(Kind::Video, unit(0, 0)).unwrap();
        assert!(alone.begins(at(1_000), true));

        let mut announced = Tracks::new(StreamMedia::new(&MediaBudget::unlimited()));
        announced.configure(&aac()).unwrap();
        assert!(announced.begins(None, false));
    }

    #[test]
    fn b_frames_are_known_before_the_stream_begins() {
        let media = StreamMedia::new(&MediaBudget::unlimited());
        let mut tracks = Tracks::new(Arc::clone(&media));
        tracks.configure(&h264(true)).unwrap();
        for (picture, pts) in [0, 133, 66, 33, 100, 266, 200].into_iter().enumerate() {
            tracks.write(Kind::Video, unit(picture as i64 * 33, pts)).unwrap();
            assert!(!tracks.begins(at(picture as i64 * 33), false), "after {picture} pictures");
        }
        tracks.write(Kind::Video, unit(231, 166)).unwrap();
        assert!(tracks.begins(at(231), false));
        let catalogue = media.catalogue();
        let way = webrtc_way(catalogue.source(Kind::Video).unwrap());
        assert_eq!(way, Way::Transcode(Conversion::PicturesInOrder));
    }

    #[test]
    fn b_slices_tell_of_b_frames_where_times_do_not() {
        for (may_reorder, known) in [(true, true), (false, false)] {
            let media = StreamMedia::new(&MediaBudget::unlimited());
            let mut tracks = Tracks::new(Arc::clone(&media));
            tracks.configure(&h264(may_reorder)).unwrap();
            tracks.write(Kind::Video, unit(0, 0)).unwrap();
            // first_mb_in_slice 0, slice_type 6 (B).
            let payload = Bytes::from_static(&[0, 0, 0, 2, 0x41, 0b1001_1100]);
            tracks.write(Kind::Video, Unit { key: false, payload, ..unit(33, 33) }).unwrap();
            assert_eq!(media.catalogue().source(Kind::Video).unwrap().reorders, known);
        }
    }

    #[test]
    fn pictures_in_order_are_not_taken_for_b_frames_even_late() {
        let media = StreamMedia::new(&MediaBudget::unlimited());
        let mut tracks = Tracks::new(Arc::clone(&media));
        tracks.configure(&h264(true)).unwrap();
        for picture in 0..30 {
            // A constant composition time is no reordering.
            tracks.write(Kind::Video, unit(picture * 33, picture * 33 + 66)).unwrap();
        }
        let way = |media: &StreamMedia| webrtc_way(media.catalogue().source(Kind::Video).unwrap());
        assert_eq!(way(&media), Way::Pass);
        let version = media.catalogue().version;
        tracks.write(Kind::Video, unit(990, 990)).unwrap();
        tracks.write(Kind::Video, unit(1_023, 1_023)).unwrap();
        assert!(matches!(way(&media), Way::Transcode(_)));
        assert_eq!(media.catalogue().version, version + 1, "players are told once");
    }
}
