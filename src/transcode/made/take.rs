//! What comes from a child, on its way to a track.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use base::{Clock, MediaTime, TrackId, limits};
use bytes::Bytes;
use container::flv::{AudioBody, AudioTag, VideoBody, VideoTag};
use media::h264::{Framing, H264Config, LengthSize, to_unit_payload};
use media::{AacConfig, Codec, CodecConfig, Kind, StreamMedia, TrackInfo, TrackWriter, Unit, WriteError};

use super::End;
use super::child::FileClock;
use crate::child::{ChildError, Output, Tag};
use crate::pace::Extreme;

/// What is this near to the source's newest has caught up with it, beside the pictures a decoder holds back.
const NEAR: Duration = Duration::from_millis(300);
/// The most pictures a decoder may hold back until it knows their order.
const HELD_BACK: u64 = 8;
/// A child that has caught up comes no nearer over so many units, but by this: at twice the source's pace it
/// would have come nearer by three units.
const STEADY_UNITS: usize = 6;
const STEADY: Duration = Duration::from_millis(20);
/// How much later than the soonest of a child's units the others are, most of the time.
const SPREAD: Duration = Duration::from_millis(15);

/// Takes what a child made.
pub(super) struct Taker<'a> {
    media: &'a StreamMedia,
    now: &'a dyn Clock,
    source: &'a TrackInfo,
    id: &'a TrackId,
    clock: &'a OnceLock<FileClock>,
    /// Where the source stood when the child began: what it makes before is nobody's.
    live: Option<MediaTime>,
    began: Instant,
    config: Option<CodecConfig>,
    length_size: LengthSize,
    /// Units since the newest key frame, until they have caught up with the source.
    backlog: VecDeque<Unit>,
    writer: Option<TrackWriter>,
    /// The newest that came.
    newest: Option<MediaTime>,
    /// How far behind the newest units were, until that is steady.
    lags: VecDeque<Duration>,
    /// The least of late, with its sign turned: a machine that is busy for a moment is not waited for.
    lag: Extreme,
    /// Since when it has been too far behind.
    slow_since: Option<Instant>,
}

impl<'a> Taker<'a> {
    pub(super) fn new(
        media: &'a StreamMedia,
        now: &'a dyn Clock,
        source: &'a TrackInfo,
        id: &'a TrackId,
        clock: &'a OnceLock<FileClock>,
        live: Option<MediaTime>,
    ) -> Self {
        Self {
            media,
            now,
            source,
            id,
            clock,
            live,
            began: now.now(),
            config: None,
            length_size: LengthSize::Four,
            backlog: VecDeque::new(),
            writer: None,
            newest: None,
            lags: VecDeque::new(),
            lag: Extreme::default(),
            slow_since: None,
        }
    }

    /// Takes tags until the child or the track fails.
    pub(super) async fn take(mut self, mut output: Output) -> Result<End, ChildError> {
        self.unless_stalled(output.begin()).await?;
        loop {
            let tag = self.unless_stalled(output.tag()).await?;
            if let Some(end) = self.tag(&tag)? {
                return Ok(end);
            }
        }
    }

    /// Gives a child up that has taken much and gives nothing.
    async fn unless_stalled<T>(
        &self,
        next: impl Future<Output = Result<T, ChildError>>,
    ) -> Result<T, ChildError> {
        let frames = self.source.track.frames();
        let since = frames.head();
        let mut next = std::pin::pin!(next);
        loop {
            match tokio::time::timeout(limits::CHILD_STALL_MAX, &mut next).await {
                Ok(done) => return done,
                // The source may be at rest.
                Err(_) if frames.head() < since + limits::CHILD_UNITS_INSIDE_MAX => {}
                Err(_) => return Err(ChildError::OutputStalled),
            }
        }
    }

    fn tag(&mut self, tag: &Tag) -> Result<Option<End>, ChildError> {
        let broken = |why: &dyn std::fmt::Display| ChildError::Output(why.to_string());
        let millis = i64::from(tag.header.millis);
        match tag.header.kind.filter(|kind| *kind == self.source.kind()) {
            Some(Kind::Video) => match VideoTag::parse(&tag.body).map_err(|why| broken(&why))?.body {
                VideoBody::SequenceHeader(Codec::H264, record) => {
                    let (config, size) = H264Config::from_avcc(&record).map_err(|why| broken(&why))?;
                    self.length_size = size;
                    self.config.get_or_insert(CodecConfig::H264(Arc::new(config)));
                }
                VideoBody::Frame { composition_ms, payload, .. } => {
                    let framing = Framing::Length(self.length_size);
                    let unit = to_unit_payload(&payload, framing).map_err(|why| broken(&why))?;
                    return Ok(self.unit(millis + i64::from(composition_ms), unit.idr, unit.payload));
                }
                _ => {}
            },
            Some(Kind::Audio) => match AudioTag::parse(&tag.body).map_err(|why| broken(&why))?.body {
                AudioBody::SequenceHeader(Codec::Aac, asc) => {
                    let config = AacConfig::from_asc(&asc).map_err(|why| broken(&why))?;
                    self.config.get_or_insert(CodecConfig::Aac(Arc::new(config)));
                }
                AudioBody::Raw(Codec::Aac, payload) => return Ok(self.unit(millis, true, payload)),
                _ => {}
            },
            None => {}
        }
        Ok(None)
    }

    fn unit(&mut self, millis: i64, key: bool, payload: Bytes) -> Option<End> {
        let now = self.now.now();
        let pts = self.clock.get()?.time(millis);
        // Nothing of a track goes back; a child that does is not believed.
        if payload.is_empty() || self.live.max(self.newest).is_some_and(|newest| pts < newest) {
            return None;
        }
        self.newest = Some(pts);
        let unit = Unit { dts: pts, pts, arrived: now, key, generation: 0, payload };
        let lag = self.lag_of(pts, now);
        if let Some(writer) = &self.writer {
            return write(writer, unit).or_else(|| self.note_lag(lag, now));
        }
        if key && self.source.kind() == Kind::Video {
            self.backlog.clear();
        }
        if !self.backlog.is_empty() || key {
            self.backlog.push_back(unit);
        }
        if !self.caught_up(pts, lag) {
            let slow = now.saturating_duration_since(self.began) > limits::CHILD_CATCH_UP_MAX;
            return slow.then(too_slow);
        }
        self.note_lag(lag, now).or_else(|| self.begin())
    }

    /// Makes the track, with what there is since its newest key frame.
    fn begin(&mut self) -> Option<End> {
        if self.backlog.is_empty() {
            return None;
        }
        let config = self.config.as_ref()?;
        // Before the track is there: who looks then is not to be refused.
        self.media.say_unmade(&self.source.id, None);
        let Some(writer) = self.media.write_track(self.id, config, Some(&self.source.id)) else {
            return Some(End::failed("the stream has too many tracks"));
        };
        let end = self.backlog.drain(..).find_map(|unit| write(&writer, unit));
        self.writer = Some(writer);
        end
    }

    /// How far this is behind where the source stands by its punctual units. A pause of the source is none of the
    /// child's: what a decoder held back comes with the first unit after it.
    fn lag_of(&self, pts: MediaTime, now: Instant) -> Duration {
        let frames = self.source.track.frames();
        let behind =
            frames.get(frames.at_or_after(pts)).map(|unit| now.saturating_duration_since(unit.arrived));
        let position = self.media.position().map(|position| position.at(self.source.kind(), now).since(pts));
        position.unwrap_or_default().min(behind.unwrap_or_default() + NEAR)
    }

    /// Has sound and pictures wait for each other. An end where this is too far behind.
    fn note_lag(&mut self, lag: Duration, now: Instant) -> Option<End> {
        let nanos = i64::try_from(lag.as_nanos()).unwrap_or(i64::MAX);
        let least = Duration::from_nanos(u64::try_from(-self.lag.of(-nanos, now)).unwrap_or(0));
        self.media.set_lag(self.source.kind(), (least + SPREAD).min(limits::TRANSCODED_LAG_MAX));
        if lag <= limits::TRANSCODED_LAG_MAX {
            self.slow_since = None;
            return None;
        }
        let since = *self.slow_since.get_or_insert(now);
        (now.saturating_duration_since(since) > limits::CHILD_STALL_MAX).then(too_slow)
    }

    /// Whether what comes is as near to the source as it will be. Players begin then: what came before would
    /// be late, and they would wait for the next to be as late.
    fn caught_up(&mut self, pts: MediaTime, lag: Duration) -> bool {
        self.lags.push_back(lag);
        if self.lags.len() <= STEADY_UNITS {
            return false;
        }
        let before = self.lags.pop_front().unwrap_or_default();
        let frames = self.source.track.frames();
        let held_back =
            frames.get(frames.head().saturating_sub(1 + HELD_BACK)).or_else(|| frames.get(frames.tail()));
        lag + STEADY > before && held_back.is_none_or(|unit| pts.plus(NEAR) >= unit.dts)
    }
}

fn write(writer: &TrackWriter, unit: Unit) -> Option<End> {
    match writer.write(Unit { generation: writer.generation(), ..unit }) {
        Ok(()) => None,
        Err(WriteError::Fenced) => Some(End::Changed),
        Err(error @ WriteError::TooLarge(_)) => Some(End::failed(error)),
    }
}

fn too_slow() -> End {
    let told = "this machine is too slow for it";
    End::Failed { told, why: told.to_owned() }
}
