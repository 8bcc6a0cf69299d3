//! VP8 by RFC 7741.

use bytes::Bytes;

use super::reader::{Coming, Picture, PictureId, Reader, Taken};
use crate::codec::CodecConfig;
use crate::vp8::{Vp8Config, vp8_key_frame};

/// Bits of the payload descriptor (4.2): it is extended, a partition begins, and which one.
const EXTENDED: u8 = 0x80;
const BEGINS: u8 = 0x10;
const PARTITION: u8 = 0x07;
/// Bits of its extension: what follows it.
const HAS_PICTURE_ID: u8 = 0x80;
const HAS_BASE_LAYER_INDEX: u8 = 0x40;
const HAS_LAYER_OR_KEY_INDEX: u8 = 0x30;

/// Follows the size that key frames say.
#[derive(Debug, Default)]
pub(super) struct Vp8Reader {
    config: Option<Vp8Config>,
    picture: Coming,
    /// Of the last packet.
    picture_id: Option<PictureId>,
}

impl Reader for Vp8Reader {
    fn begins(&self, payload: &[u8]) -> bool {
        payload.first().is_some_and(|first| begins(*first))
    }

    fn begins_key(&self, payload: &[u8]) -> bool {
        let frame = Descriptor::read(payload).map(|read| read.frame);
        self.begins(payload) && frame.is_some_and(|frame| matches!(vp8_key_frame(frame), Ok(Some(_))))
    }

    /// By the picture id (4.2), which counts them.
    fn follows(&self, payload: &[u8]) -> bool {
        let read = Descriptor::read(payload).and_then(|read| read.picture_id);
        self.begins(payload) && read.zip(self.picture_id).is_some_and(|(id, last)| id.follows(last))
    }

    fn packet(&mut self, payload: &Bytes) -> Result<Taken, &'static str> {
        let Descriptor { picture_id, frame } =
            Descriptor::read(payload).ok_or("a payload descriptor that is not whole")?;
        self.picture_id = picture_id;
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

/// What the payload descriptor says (4.2).
struct Descriptor<'a> {
    picture_id: Option<PictureId>,
    frame: &'a [u8],
}

impl<'a> Descriptor<'a> {
    fn read(payload: &'a [u8]) -> Option<Self> {
        let (first, mut left) = payload.split_first()?;
        let mut picture_id = None;
        if first & EXTENDED != 0 {
            let (extension, behind) = left.split_first()?;
            left = behind;
            if extension & HAS_PICTURE_ID != 0 {
                let (id, behind) = PictureId::read(left)?;
                picture_id = Some(id);
                left = behind;
            }
            if extension & HAS_BASE_LAYER_INDEX != 0 {
                left = left.get(1..)?;
            }
            if extension & HAS_LAYER_OR_KEY_INDEX != 0 {
                left = left.get(1..)?;
            }
        }
        Some(Self { picture_id, frame: left })
    }
}
