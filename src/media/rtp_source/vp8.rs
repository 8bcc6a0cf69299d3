//! VP8 by RFC 7741.

use bytes::Bytes;

use super::reader::{Coming, Picture, Reader, Taken};
use crate::codec::CodecConfig;
use crate::vp8::{Vp8Config, vp8_key_frame};

/// Bits of the payload descriptor (4.2): it is extended, a partition begins, and which one.
const EXTENDED: u8 = 0x80;
const BEGINS: u8 = 0x10;
const PARTITION: u8 = 0x07;
/// Bits of its extension: what follows it, and that a picture id has two bytes.
const HAS_PICTURE_ID: u8 = 0x80;
const HAS_BASE_LAYER_INDEX: u8 = 0x40;
const HAS_LAYER_OR_KEY_INDEX: u8 = 0x30;
const LONG_PICTURE_ID: u8 = 0x80;

/// Follows the size that key frames say.
#[derive(Debug, Default)]
pub(super) struct Vp8Reader {
    config: Option<Vp8Config>,
    picture: Coming,
}

impl Reader for Vp8Reader {
    fn begins(&self, payload: &[u8]) -> bool {
        payload.first().is_some_and(|first| begins(*first))
    }

    fn packet(&mut self, payload: &Bytes) -> Result<Taken, &'static str> {
        let frame = behind_descriptor(payload).ok_or("a payload descriptor that is not whole")?;
        if self.picture.is_first()
            && self.begins(payload)
            && let Ok(Some(config)) = vp8_key_frame(frame)
        {
            self.config = Some(config);
            self.picture.key = true;
        }
        Ok(Taken::Kept)
    }

    fn finish(&mut self) -> Result<Picture, &'static str> {
        Ok(self.picture.finish())
    }

    fn config(&self) -> Option<CodecConfig> {
        self.config.map(CodecConfig::Vp8)
    }
}

/// The first partition begins, and with it the frame.
const fn begins(first: u8) -> bool {
    first & BEGINS != 0 && first & PARTITION == 0
}

fn behind_descriptor(payload: &[u8]) -> Option<&[u8]> {
    let (first, mut left) = payload.split_first()?;
    if first & EXTENDED == 0 {
        return Some(left);
    }
    let (extension, behind) = left.split_first()?;
    left = behind;
    if extension & HAS_PICTURE_ID != 0 {
        let (id, _) = left.split_first()?;
        let bytes = if id & LONG_PICTURE_ID != 0 { 2 } else { 1 };
        left = left.get(bytes..)?;
    }
    if extension & HAS_BASE_LAYER_INDEX != 0 {
        left = left.get(1..)?;
    }
    if extension & HAS_LAYER_OR_KEY_INDEX != 0 {
        left = left.get(1..)?;
    }
    Some(left)
}
