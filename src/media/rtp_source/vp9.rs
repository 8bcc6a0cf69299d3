//! VP9 by RFC 9628.

use bytes::Bytes;

use super::reader::{Coming, Picture, PictureId, Reader, Taken};
use crate::bits::{Bits, OutOfBits};
use crate::codec::CodecConfig;
use crate::parameters::side;
use crate::vp9::{Vp9Config, vp9_key_frame};

/// Follows profile and size that key frames say; of several layers the size of the largest.
#[derive(Debug, Default)]
pub(super) struct Vp9Reader {
    config: Option<Vp9Config>,
    picture: Coming,
    /// Of the last packet.
    picture_id: Option<PictureId>,
}

impl Reader for Vp9Reader {
    fn begins(&self, payload: &[u8]) -> bool {
        Descriptor::read(payload).is_ok_and(|read| read.begins_picture())
    }

    fn begins_key(&self, payload: &[u8]) -> bool {
        Descriptor::read(payload).is_ok_and(|read| read.key().is_some())
    }

    /// By the picture id (4.2), which counts them.
    fn follows(&self, payload: &[u8]) -> bool {
        Descriptor::read(payload).is_ok_and(|read| {
            let ids = read.picture_id.zip(self.picture_id);
            read.begins_picture() && ids.is_some_and(|(id, last)| id.follows(last))
        })
    }

    fn packet(&mut self, payload: &Bytes) -> Result<Taken, &'static str> {
        let read = Descriptor::read(payload).map_err(|OutOfBits| "a payload descriptor that is not whole")?;
        self.picture_id = read.picture_id;
        if self.picture.is_first()
            && let Some(config) = read.key()
        {
            let (width, height) = read.largest.unwrap_or((config.width, config.height));
            self.config = Some(Vp9Config { width, height, ..config });
            self.picture.key = true;
        }
        Ok(Taken::Kept)
    }

    fn finish(&mut self) -> Result<Picture, &'static str> {
        Ok(self.picture.finish())
    }

    fn config(&self) -> Option<CodecConfig> {
        self.config.map(CodecConfig::Vp9)
    }
}

/// What the payload descriptor says (4.2).
struct Descriptor<'a> {
    picture_id: Option<PictureId>,
    needs_others: bool,
    begins_frame: bool,
    spatial_layer: u32,
    /// Width and height of the largest layer, where the scalability structure says them.
    largest: Option<(u32, u32)>,
    frame: &'a [u8],
}

impl<'a> Descriptor<'a> {
    fn read(payload: &'a [u8]) -> Result<Self, OutOfBits> {
        let mut bits = Bits::new(payload);
        let has_picture_id = bits.flag()?;
        let needs_others = bits.flag()?;
        let has_layer = bits.flag()?;
        let flexible = bits.flag()?;
        let begins_frame = bits.flag()?;
        bits.skip(1)?; // the frame ends
        let has_structure = bits.flag()?;
        bits.skip(1)?;
        let mut picture_id = None;
        if has_picture_id {
            let (id, behind) = PictureId::read(&payload[1..]).ok_or(OutOfBits)?;
            bits.skip((payload.len() - 1 - behind.len()) * 8)?;
            picture_id = Some(id);
        }
        let mut spatial_layer = 0;
        if has_layer {
            bits.skip(4)?;
            spatial_layer = bits.take(3)?;
            bits.skip(1)?;
            if !flexible {
                bits.skip(8)?; // TL0PICIDX
            }
        }
        if flexible && needs_others {
            // At most three references, each of which says whether another follows.
            for _ in 0..3 {
                bits.skip(7)?;
                if !bits.flag()? {
                    break;
                }
            }
        }
        let largest = if has_structure { structure(&mut bits)? } else { None };
        let frame = payload.get(payload.len() - bits.left() / 8..).unwrap_or_default();
        Ok(Self { picture_id, needs_others, begins_frame, spatial_layer, largest, frame })
    }

    const fn begins_picture(&self) -> bool {
        self.begins_frame && self.spatial_layer == 0
    }

    /// What a key frame says that begins here.
    fn key(&self) -> Option<Vp9Config> {
        let may_be = self.begins_picture() && !self.needs_others;
        may_be.then(|| vp9_key_frame(self.frame).ok().flatten()).flatten()
    }
}

/// The scalability structure (4.2.1): the size of the last layer, which is the largest.
fn structure(bits: &mut Bits<'_>) -> Result<Option<(u32, u32)>, OutOfBits> {
    let layers = bits.take(3)? + 1;
    let has_sizes = bits.flag()?;
    let has_group = bits.flag()?;
    bits.skip(3)?;
    let mut largest = None;
    if has_sizes {
        for _ in 0..layers {
            let size = (bits.take(16)?, bits.take(16)?);
            largest = (side(size.0, "width").is_ok() && side(size.1, "height").is_ok()).then_some(size);
        }
    }
    if has_group {
        for _ in 0..bits.take(8)? {
            bits.skip(4)?;
            let references = bits.take(2)? as usize;
            bits.skip(2 + 8 * references)?;
        }
    }
    Ok(largest)
}
