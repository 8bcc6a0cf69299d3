//! What tracks a stream has, at one moment.

use std::sync::Arc;

use base::TrackId;

use crate::codec::{CodecConfig, Kind};
use crate::track::Track;

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

    /// The first track of that codec, sent or derived.
    pub fn with_codec(&self, codec: crate::Codec) -> Option<&TrackInfo> {
        self.tracks.iter().find(|info| info.config.codec() == codec)
    }
}
