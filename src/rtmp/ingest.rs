//! From RTMP's audio and video messages to units and codec configurations.

mod pictures;
mod sounds;

use std::collections::VecDeque;

use base::limits;
use bytes::Bytes;
use container::flv::{AudioBody, AudioTag, FlvError, VideoBody, VideoTag};
use media::{Arrival, Codec, CodecConfig, Kind, Placed, StreamPosition, Timeline, TimelineEvent, Unit};

use crate::close::CloseReason;
use pictures::Pictures;
use sounds::Sounds;

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
    /// Messages have further tracks, which are left out. Told once, with the kind that showed it.
    OtherTracks(Kind),
    /// The stream cannot go on: a codec we do not carry, a configuration that cannot be read, or
    /// too much that is broken. To be handed to [`crate::Session::end`].
    Refused(CloseReason),
}

/// Turns the bodies of one publisher's messages into units on the stream's clock.
///
/// One video and one audio track; what else a message holds is told once and left out. A codec may
/// change on the way.
#[derive(Debug)]
pub struct Ingest {
    timeline: Timeline,
    pictures: Pictures,
    sounds: Sounds,
    /// Broken messages in a row.
    broken_video: u32,
    broken_audio: u32,
    told_of_other_tracks: bool,
    events: VecDeque<IngestEvent>,
}

/// One that is being taken.
struct Message<'a> {
    timestamp_ms: u32,
    body: &'a Bytes,
    arrival: Arrival,
}

/// What came of a message, unless it was broken: what is wrong, or that it was refused.
type Taken = Result<(), Option<String>>;

impl Ingest {
    /// The first publisher of a stream: its first unit is the zero of the stream's clock.
    pub fn new() -> Self {
        Self {
            timeline: Timeline::new(),
            pictures: Pictures::default(),
            sounds: Sounds::default(),
            broken_video: 0,
            broken_audio: 0,
            told_of_other_tracks: false,
            events: VecDeque::new(),
        }
    }

    /// A publisher that goes on with a stream whose clock stands at `position`: its first unit lies behind it
    /// by the time that has passed.
    pub fn resuming(position: StreamPosition) -> Self {
        Self { timeline: Timeline::resuming(position), ..Self::new() }
    }

    /// What came of the messages so far, in order.
    pub fn poll(&mut self) -> Option<IngestEvent> {
        self.events.pop_front()
    }

    /// Takes the body of a video message.
    pub fn video(&mut self, timestamp_ms: u32, body: &Bytes, arrival: Arrival) {
        let message = Message { timestamp_ms, body, arrival };
        let tag = VideoTag::parse(body);
        self.tell_of_other_tracks(Kind::Video, tag.as_ref().is_ok_and(|tag| tag.other_tracks));
        let read = match tag.map(|tag| tag.body) {
            Ok(VideoBody::SequenceHeader(codec, record)) => match self.pictures.header(codec, &record) {
                Ok(config) => return self.events.extend(config.map(IngestEvent::Video)),
                Err(why) => return self.refuse(format!("the video configuration cannot be read: {why}")),
            },
            Ok(VideoBody::Frame { codec, composition_ms, payload }) => {
                self.picture(codec, composition_ms, &payload, &message)
            }
            Ok(VideoBody::EndOfSequence | VideoBody::Nothing) | Err(FlvError::Empty) => return,
            Err(error) => Err(self.flv_error(error)),
        };
        self.broken_video = self.count_broken(Kind::Video, read, self.broken_video);
    }

    /// Takes the body of an audio message.
    pub fn audio(&mut self, timestamp_ms: u32, body: &Bytes, arrival: Arrival) {
        let message = Message { timestamp_ms, body, arrival };
        let tag = AudioTag::parse(body);
        self.tell_of_other_tracks(Kind::Audio, tag.as_ref().is_ok_and(|tag| tag.other_tracks));
        let read = match tag.map(|tag| tag.body) {
            Ok(AudioBody::SequenceHeader(codec, header)) => match self.sounds.header(codec, &header) {
                Ok(config) => return self.events.extend(config.map(IngestEvent::Audio)),
                Err(why) => return self.refuse(format!("the audio configuration cannot be read: {why}")),
            },
            Ok(AudioBody::Raw(codec, payload)) if !payload.is_empty() => self.sound(codec, payload, &message),
            Ok(AudioBody::Raw(..) | AudioBody::Nothing) | Err(FlvError::Empty) => return,
            Err(error) => Err(self.flv_error(error)),
        };
        self.broken_audio = self.count_broken(Kind::Audio, read, self.broken_audio);
    }

    fn picture(
        &mut self,
        codec: Codec,
        composition_ms: i32,
        payload: &Bytes,
        message: &Message<'_>,
    ) -> Taken {
        let picture = self.pictures.picture(codec, payload).map_err(|why| Some(why.to_string()))?;
        self.events.extend(picture.config.map(IngestEvent::Video));
        if let Some((payload, key)) = picture.unit {
            let placed = self.timeline.video(message.timestamp_ms, composition_ms, message.arrival);
            let unit = self.unit(placed, key, payload, message);
            self.events.push_back(IngestEvent::VideoUnit(unit));
        }
        Ok(())
    }

    fn sound(&mut self, codec: Codec, payload: Bytes, message: &Message<'_>) -> Taken {
        let (length, config) = self.sounds.frame(codec, &payload).map_err(|why| Some(why.to_string()))?;
        self.events.extend(config.map(IngestEvent::Audio));
        let placed = self.timeline.audio(message.timestamp_ms, length.samples, length.rate, message.arrival);
        let unit = self.unit(placed, true, payload, message);
        self.events.push_back(IngestEvent::AudioUnit(unit));
        Ok(())
    }

    fn tell_of_other_tracks(&mut self, kind: Kind, has_some: bool) {
        if has_some && !std::mem::replace(&mut self.told_of_other_tracks, true) {
            self.events.push_back(IngestEvent::OtherTracks(kind));
        }
    }

    /// The broken messages in a row after this one, of which `before` came before it.
    fn count_broken(&mut self, kind: Kind, taken: Taken, before: u32) -> u32 {
        match taken {
            Ok(()) => 0,
            Err(None) => before,
            Err(Some(why)) => {
                self.skip(kind, why, before + 1);
                before + 1
            }
        }
    }

    fn unit(&mut self, placed: Placed, key: bool, payload: Bytes, message: &Message<'_>) -> Unit {
        if let Some(event) = placed.event {
            self.events.push_back(IngestEvent::Clock(event));
        }
        let payload = without_its_message(payload, message.body);
        Unit { dts: placed.dts, pts: placed.pts, arrived: message.arrival.at, key, generation: 0, payload }
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

/// A unit may hold up to twice the memory it is charged for in a ring, and that much only: where most of a
/// message was something else (other tracks, padding), the unit is copied out of it.
fn without_its_message(payload: Bytes, body: &Bytes) -> Bytes {
    if payload.len() < body.len() / 2 { Bytes::copy_from_slice(&payload) } else { payload }
}

impl Default for Ingest {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
