//! From RTMP's audio and video messages to units and codec configurations.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use base::{MediaTime, WallTime, limits};
use bytes::Bytes;
use container::flv::{AudioBody, AudioTag, FlvError, VideoBody, VideoTag};
use media::h264::{Framing, H264Config, LengthSize, to_unit_payload};
use media::{AacConfig, CodecConfig, Kind, Placed, Timeline, TimelineEvent, Unit};

use crate::close::CloseReason;

/// What the messages gave.
#[derive(Clone, Debug)]
pub enum IngestEvent {
    /// The video configuration the units after it need: the first one, or a changed one.
    Video(CodecConfig),
    /// An access unit. Its `generation` is 0: the writer of the track knows the right one.
    VideoUnit(Unit),
    /// The audio configuration the units after it need: the first one, or a changed one.
    Audio(CodecConfig),
    /// An audio frame. Its `generation` is 0: the writer of the track knows the right one.
    AudioUnit(Unit),
    /// The encoder's clock did something worth a log line.
    Clock(TimelineEvent),
    /// A broken message was skipped.
    Skipped {
        /// Audio or video.
        kind: Kind,
        /// What was wrong with it.
        why: String,
    },
    /// The stream cannot go on: a codec we do not carry, a configuration that cannot be read, or
    /// too much that is broken. To be handed to [`crate::Session::end`].
    Refused(CloseReason),
}

/// Turns the bodies of one publisher's messages into units on the stream's clock.
///
/// Video: parameter sets from the sequence header and in band; a stream without a sequence header
/// begins with its first in-band sets. Audio: frames before the configuration are skipped.
#[derive(Debug)]
pub struct Ingest {
    timeline: Timeline,
    video: Option<Arc<H264Config>>,
    length_size: LengthSize,
    audio: Option<Arc<AacConfig>>,
    /// Broken messages in a row.
    broken_video: u32,
    broken_audio: u32,
    events: VecDeque<IngestEvent>,
}

impl Ingest {
    /// A publisher whose first unit lies at `start` of the stream's clock: zero for a new stream,
    /// [`Ingest::end`] of the publisher before for a takeover.
    pub fn new(start: MediaTime) -> Self {
        Self {
            timeline: Timeline::new(start),
            video: None,
            length_size: LengthSize::Four,
            audio: None,
            broken_video: 0,
            broken_audio: 0,
            events: VecDeque::new(),
        }
    }

    /// What came of the messages so far, in order.
    pub fn poll(&mut self) -> Option<IngestEvent> {
        self.events.pop_front()
    }

    /// Where a next publisher's first unit lies.
    pub fn end(&self) -> MediaTime {
        self.timeline.end()
    }

    /// Takes the body of a video message that arrived at `now`.
    pub fn video(&mut self, timestamp_ms: u32, body: &Bytes, now: Instant, wall: WallTime) {
        let read = match VideoTag::parse(body) {
            Ok(VideoTag { body: VideoBody::SequenceHeader(record), .. }) => {
                return self.video_config(&record);
            }
            Ok(VideoTag { body: VideoBody::Nalus { composition_ms, payload }, .. }) => {
                self.access_unit(timestamp_ms, composition_ms, &payload, now, wall)
            }
            Ok(VideoTag { body: VideoBody::EndOfSequence | VideoBody::Nothing, .. })
            | Err(FlvError::Empty) => return,
            Err(error) => Err(self.flv_error(error)),
        };
        match read {
            Ok(()) => self.broken_video = 0,
            Err(None) => {}
            Err(Some(why)) => {
                self.broken_video += 1;
                self.skip(Kind::Video, why, self.broken_video);
            }
        }
    }

    /// Takes the body of an audio message that arrived at `now`.
    pub fn audio(&mut self, timestamp_ms: u32, body: &Bytes, now: Instant, wall: WallTime) {
        let read = match AudioTag::parse(body) {
            Ok(AudioTag { body: AudioBody::SequenceHeader(asc) }) => return self.audio_config(&asc),
            Ok(AudioTag { body: AudioBody::Raw(payload) }) if !payload.is_empty() => {
                self.audio_frame(timestamp_ms, payload, now, wall)
            }
            Ok(_) | Err(FlvError::Empty) => return,
            Err(error) => Err(self.flv_error(error)),
        };
        match read {
            Ok(()) => self.broken_audio = 0,
            Err(None) => {}
            Err(Some(why)) => {
                self.broken_audio += 1;
                self.skip(Kind::Audio, why, self.broken_audio);
            }
        }
    }

    fn video_config(&mut self, record: &[u8]) {
        // ffmpeg sends an empty one when it copies a stream whose sets are in band only.
        if record.is_empty() {
            return;
        }
        match H264Config::from_avcc(record) {
            Ok((config, length_size)) => {
                self.length_size = length_size;
                // Encoders repeat their record; it must not undo sets that came in band since.
                if !self.video.as_deref().is_some_and(|held| holds(held, &config)) {
                    self.use_video(config);
                }
            }
            Err(error) => self.refuse(format!("the video configuration cannot be read: {error}")),
        }
    }

    fn audio_config(&mut self, asc: &[u8]) {
        if asc.is_empty() {
            return;
        }
        match AacConfig::from_asc(asc) {
            Ok(config) if self.audio.as_deref() == Some(&config) => {}
            Ok(config) => {
                let config = Arc::new(config);
                self.audio = Some(Arc::clone(&config));
                self.events.push_back(IngestEvent::Audio(CodecConfig::Aac(config)));
            }
            Err(error) => self.refuse(format!("the audio configuration cannot be read: {error}")),
        }
    }

    fn use_video(&mut self, config: H264Config) {
        if self.video.as_deref() != Some(&config) {
            let config = Arc::new(config);
            self.video = Some(Arc::clone(&config));
            self.events.push_back(IngestEvent::Video(CodecConfig::H264(config)));
        }
    }

    fn access_unit(
        &mut self,
        timestamp_ms: u32,
        composition_ms: i32,
        payload: &Bytes,
        arrived: Instant,
        wall: WallTime,
    ) -> Result<(), Option<String>> {
        let broken = |error: media::h264::H264Error| Some(error.to_string());
        let unit = to_unit_payload(payload, Framing::Length(self.length_size)).map_err(broken)?;
        if !unit.parameter_sets.is_empty() {
            let changed = match &self.video {
                Some(config) => config.with_in_band(&unit.parameter_sets).map_err(broken)?,
                None => {
                    let sets = unit.parameter_sets;
                    Some(H264Config::from_parameter_sets(sets.sps, sets.pps).map_err(broken)?)
                }
            };
            if let Some(config) = changed {
                self.use_video(config);
            }
        }
        if self.video.is_none() {
            return Err(Some("a picture came before its parameter sets".to_owned()));
        }
        if unit.payload.is_empty() {
            return Ok(());
        }
        let placed = self.timeline.video(timestamp_ms, composition_ms, wall);
        let unit = self.unit(placed, arrived, unit.idr, unit.payload);
        self.events.push_back(IngestEvent::VideoUnit(unit));
        Ok(())
    }

    fn audio_frame(
        &mut self,
        timestamp_ms: u32,
        payload: Bytes,
        arrived: Instant,
        wall: WallTime,
    ) -> Result<(), Option<String>> {
        let Some(config) = &self.audio else {
            return Err(Some("sound came before its configuration".to_owned()));
        };
        let (samples, rate) = (config.samples_per_frame(), config.sample_rate);
        let placed = self.timeline.audio(timestamp_ms, samples, rate, wall);
        let unit = self.unit(placed, arrived, true, payload);
        self.events.push_back(IngestEvent::AudioUnit(unit));
        Ok(())
    }

    fn unit(&mut self, placed: Placed, arrived: Instant, key: bool, payload: Bytes) -> Unit {
        if let Some(event) = placed.event {
            self.events.push_back(IngestEvent::Clock(event));
        }
        Unit { dts: placed.dts, pts: placed.pts, arrived, key, generation: 0, payload }
    }

    /// Refuses a foreign codec; anything else is broken, and why.
    fn flv_error(&mut self, error: FlvError) -> Option<String> {
        if let FlvError::Unsupported { codec } = error {
            self.events.push_back(IngestEvent::Refused(CloseReason::UnsupportedCodec(codec)));
            return None;
        }
        Some(error.to_string())
    }

    fn skip(&mut self, kind: Kind, why: String, in_a_row: u32) {
        if in_a_row > limits::RTMP_BROKEN_UNITS_MAX {
            self.refuse(format!("too many broken {} messages, the last one: {why}", kind.label()));
        } else {
            self.events.push_back(IngestEvent::Skipped { kind, why });
        }
    }

    fn refuse(&mut self, why: String) {
        self.events.push_back(IngestEvent::Refused(CloseReason::MalformedMedia(why)));
    }
}

/// Whether every parameter set of `other` is held already, unchanged.
fn holds(held: &H264Config, other: &H264Config) -> bool {
    other.sps.iter().all(|set| held.sps.contains(set)) && other.pps.iter().all(|set| held.pps.contains(set))
}

#[cfg(test)]
mod tests;
