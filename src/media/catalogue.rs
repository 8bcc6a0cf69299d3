//! What tracks a stream has, at one moment.

use std::sync::Arc;

use base::TrackId;

use crate::codec::{Codec, CodecConfig, Kind};
use crate::track::Track;
use crate::way::{Conversion, Way, webrtc_way};

/// Why nothing is made from a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmade {
    /// In words that go on with "the stream's video".
    pub why: Arc<str>,
    /// It is tried again in a while, without anybody having changed anything.
    pub for_now: bool,
}

/// One track in a catalogue.
#[derive(Clone, Debug)]
pub struct TrackInfo {
    /// Its name within the stream.
    pub id: TrackId,
    /// The codec and its configuration.
    pub config: CodecConfig,
    /// Counts the changes of `config`, from 1. A unit names the generation it needs.
    pub generation: u32,
    /// Pictures were seen to be shown in another order than they are decoded in: B-frames.
    pub reorders: bool,
    /// `None` for a track the source sent; the track it was made from otherwise.
    pub derived_from: Option<TrackId>,
    /// Why what players need is not made from it; `None` while it is made, or nobody needs it.
    pub unmade: Option<Unmade>,
    /// The track itself.
    pub track: Arc<Track>,
}

impl TrackInfo {
    /// Audio or video.
    pub fn kind(&self) -> Kind {
        self.config.codec().kind()
    }
}

/// The tracks of a stream; every change makes a new one with a higher version.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// Counts the changes, from 0 for the empty catalogue of a new stream.
    pub version: u64,
    /// The tracks, in the order they came.
    pub tracks: Vec<TrackInfo>,
}

impl Catalogue {
    /// The track of that name.
    pub fn track(&self, id: &TrackId) -> Option<&TrackInfo> {
        self.tracks.iter().find(|info| info.id == *id)
    }

    /// The first track the source sent of that kind.
    pub fn source(&self, kind: Kind) -> Option<&TrackInfo> {
        self.tracks.iter().find(|info| info.kind() == kind && info.derived_from.is_none())
    }

    /// The track WebRTC players are sent of that kind: the source's own where it passes, else what was
    /// made from it. `None`: there is nothing of the kind, it is refused, or it is not made yet.
    pub fn for_webrtc(&self, kind: Kind) -> Option<&TrackInfo> {
        let source = self.source(kind)?;
        match webrtc_way(source) {
            Way::Pass => Some(source),
            Way::Transcode(conversion) => self.derived(conversion.codec()),
            Way::Refuse(_) => None,
        }
    }

    /// The track Opus is made from: the source's AAC, or what an ffmpeg made of it.
    pub fn opus_source(&self) -> Option<&TrackInfo> {
        let source = self.source(Kind::Audio)?;
        match webrtc_way(source) {
            Way::Transcode(Conversion::OpusInProcess) => Some(source),
            Way::Transcode(Conversion::PlainAacThenOpus) => self.derived(Codec::Aac),
            _ => None,
        }
    }

    /// The track of that codec that was made from another.
    pub fn derived(&self, codec: Codec) -> Option<&TrackInfo> {
        self.tracks.iter().find(|info| info.derived_from.is_some() && info.config.codec() == codec)
    }
}
