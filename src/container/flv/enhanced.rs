//! What Enhanced RTMP puts between a tag's first byte and its media: ModEx prefixes, the FourCC, and
//! several tracks in one message. Audio and video number the packet types differently.

use super::{Body, FlvError};

/// Modifiers of the packet behind them; what they say (nanoseconds of the time) is not used.
const MOD_EX: u8 = 7;
/// `AvMultitrackType`: one track with a number, several of one codec, each with a codec.
const ONE_TRACK: u8 = 0;
const MANY_TRACKS_MANY_CODECS: u8 = 2;
/// The track that receivers show who know of one only.
const FIRST_TRACK: u8 = 0;

/// What a message has of the first track.
pub(super) struct FirstTrack {
    /// `None` of a message that is about other tracks only.
    pub(super) part: Option<Part>,
    /// It has something of other tracks.
    pub(super) others: bool,
}

/// The first track's part of a message.
pub(super) struct Part {
    pub(super) packet_type: u8,
    pub(super) four_cc: [u8; 4],
    pub(super) body: Body,
}

impl Body {
    /// Reads past ModEx prefixes and returns the packet type behind them. Each prefix takes at least
    /// three bytes, so the loop ends with the body.
    pub(super) fn skip_mod_ex(&mut self, mut packet_type: u8) -> Result<u8, FlvError> {
        while packet_type == MOD_EX {
            let mut size = usize::from(self.byte()?) + 1;
            if size == 256 {
                size = usize::from(u16::from_be_bytes(self.take()?)) + 1;
            }
            let _modifier = self.part(size)?;
            packet_type = self.byte()? & 0x0f;
        }
        Ok(packet_type)
    }

    /// The first track's part, where `multitrack` is the packet type that announces several.
    pub(super) fn first_track(mut self, packet_type: u8, multitrack: u8) -> Result<FirstTrack, FlvError> {
        if packet_type != multitrack {
            let part = Part { packet_type, four_cc: self.take()?, body: self };
            return Ok(FirstTrack { part: Some(part), others: false });
        }
        let types = self.byte()?;
        let (arrangement, packet_type) = (types >> 4, types & 0x0f);
        if packet_type == multitrack || arrangement > MANY_TRACKS_MANY_CODECS {
            return Err(FlvError::BadPacketType(types));
        }
        let shared = if arrangement == MANY_TRACKS_MANY_CODECS { None } else { Some(self.take()?) };
        let mut others = false;
        while !self.is_empty() {
            let four_cc = match shared {
                Some(shared) => shared,
                None => self.take()?,
            };
            let track = self.byte()?;
            let body = if arrangement == ONE_TRACK {
                Self { bytes: std::mem::take(&mut self.bytes) }
            } else {
                let [high, middle, low] = self.take()?;
                self.part(u32::from_be_bytes([0, high, middle, low]) as usize)?
            };
            if track == FIRST_TRACK {
                let part = Part { packet_type, four_cc, body };
                return Ok(FirstTrack { part: Some(part), others: others || !self.is_empty() });
            }
            others = true;
        }
        Ok(FirstTrack { part: None, others })
    }
}
