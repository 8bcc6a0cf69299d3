//! Which of a publisher's sources are taken.

use std::time::Instant;

use base::limits;
use media::Kind;
use rtc::sdp::TakenCodec;

/// The sources (SSRCs) of one publisher: one of each kind is taken.
///
/// Who names them in the offer means those. Else it is the first that sends what was agreed on, until it falls silent:
/// encoders that begin anew may do so under another name. Of several layers of one picture that is the first to come.
#[derive(Debug)]
pub(super) struct Sources(Vec<Expected>);

/// A kind of media that comes.
#[derive(Debug)]
struct Expected {
    kind: Kind,
    payload_type: u8,
    /// What the offer calls its source.
    named: Option<u32>,
    heard: Option<Heard>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    source: u32,
    at: Instant,
}

/// Whose a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Of the source of this kind.
    Known(Kind),
    /// Of the source of this kind from now on.
    New {
        kind: Kind,
        /// The one that was before.
        instead_of: Option<u32>,
    },
    /// Of none that is taken.
    Nobodys,
}

impl Sources {
    /// Those of what is `taken`, by the names the offer gave.
    pub(super) fn new(taken: &[TakenCodec], named: &[(Kind, u32)]) -> Self {
        let expected = taken.iter().map(|codec| {
            let kind = codec.codec.kind();
            let named = named.iter().find(|(of, _)| *of == kind).map(|(_, source)| *source);
            Expected { kind, payload_type: codec.payload_type, named, heard: None }
        });
        Self(expected.collect())
    }

    /// A packet came.
    pub(super) fn whose(&mut self, source: u32, payload_type: u8, now: Instant) -> Whose {
        let mut fitting = self.0.iter_mut().filter(|expected| {
            expected.payload_type == payload_type && expected.named.is_none_or(|named| named == source)
        });
        let Some(expected) = fitting.next() else { return Whose::Nobodys };
        let before = expected.heard;
        let is_silent =
            |held: Heard| now.saturating_duration_since(held.at) >= limits::PUBLISHER_SOURCE_SILENCE_MAX;
        if before.is_some_and(|held| held.source != source && !is_silent(held)) {
            return Whose::Nobodys;
        }
        expected.heard = Some(Heard { source, at: now });
        match before {
            Some(held) if held.source == source => Whose::Known(expected.kind),
            _ => Whose::New { kind: expected.kind, instead_of: before.map(|held| held.source) },
        }
    }

    /// The kind of a source that is taken.
    pub(super) fn kind_of(&self, source: u32) -> Option<Kind> {
        let is_it = |expected: &&Expected| expected.heard.is_some_and(|heard| heard.source == source);
        self.0.iter().find(is_it).map(|expected| expected.kind)
    }

    /// The source of a kind, once it was heard.
    pub(super) fn of_kind(&self, kind: Kind) -> Option<u32> {
        let expected = self.0.iter().find(|expected| expected.kind == kind)?;
        expected.heard.map(|heard| heard.source)
    }

    /// All that were heard.
    pub(super) fn heard(&self) -> impl Iterator<Item = u32> {
        self.0.iter().filter_map(|expected| expected.heard).map(|heard| heard.source)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base::{Clock, SystemClock};
    use media::Codec;

    use super::*;

    fn taken(payload_types: [u8; 2]) -> Vec<TakenCodec> {
        let codecs = [(Codec::H264, payload_types[0]), (Codec::Opus, payload_types[1])];
        let taken = codecs.map(|(codec, payload_type)| TakenCodec {
            codec,
            clock_rate: 90_000,
            channels: 0,
            payload_type,
            parameters: String::new(),
        });
        taken.to_vec()
    }

    fn new(kind: Kind) -> Whose {
        Whose::New { kind, instead_of: None }
    }

    #[test]
    fn who_names_its_sources_means_those() {
        // One number for both: their names tell them apart.
        let mut sources = Sources::new(&taken([96, 96]), &[(Kind::Audio, 2), (Kind::Video, 1)]);
        let now = SystemClock.now();
        assert_eq!(sources.whose(2, 96, now), new(Kind::Audio));
        assert_eq!(sources.whose(1, 96, now), new(Kind::Video));
        assert_eq!(sources.whose(1, 96, now), Whose::Known(Kind::Video));
        assert_eq!(sources.whose(3, 96, now), Whose::Nobodys);
        assert_eq!(sources.whose(1, 97, now), Whose::Nobodys, "a codec that was not agreed on");
        assert_eq!((sources.kind_of(1), sources.kind_of(3)), (Some(Kind::Video), None));
        assert_eq!(sources.heard().collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn who_does_not_is_known_by_what_comes() {
        let mut sources = Sources::new(&taken([96, 111]), &[]);
        let now = SystemClock.now();
        assert_eq!(sources.of_kind(Kind::Video), None);
        assert_eq!(sources.whose(7, 111, now), new(Kind::Audio));
        assert_eq!(sources.whose(5, 96, now), new(Kind::Video));
        // Another layer of the picture.
        assert_eq!(sources.whose(6, 96, now), Whose::Nobodys);
        assert_eq!(sources.of_kind(Kind::Video), Some(5));
    }

    #[test]
    fn another_takes_the_place_of_a_silent_one() {
        let mut sources = Sources::new(&taken([96, 111]), &[]);
        let now = SystemClock.now();
        sources.whose(5, 96, now);
        let later = now + limits::PUBLISHER_SOURCE_SILENCE_MAX;
        assert_eq!(sources.whose(6, 96, later - Duration::from_millis(1)), Whose::Nobodys);
        assert_eq!(sources.whose(6, 96, later), Whose::New { kind: Kind::Video, instead_of: Some(5) });
        assert_eq!(sources.whose(5, 96, later), Whose::Nobodys);
    }
}
