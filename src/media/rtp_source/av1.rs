//! AV1 by AOMedia's RTP payload format.

use std::sync::Arc;

use bytes::Bytes;

use super::reader::{Picture, Reader, Taken};
use crate::av1::{Av1Config, is_shown_key_frame, kind, leb128, obus};
use crate::codec::CodecConfig;
use crate::packetize::av1::{GOES_ON, SEQUENCE_BEGINS, WILL_GO_ON};

/// The field of the aggregation header (4.4) that counts elements; 0: each has its length.
const COUNT_SHIFT: u8 = 4;
const COUNT: u8 = 0x03;

/// Follows the sequence headers of a stream.
#[derive(Debug, Default)]
pub(super) struct Av1Reader {
    config: Option<Arc<Av1Config>>,
    /// Of the temporal unit: a packet came, and it begins a coded video sequence.
    begun: bool,
    sequence_begins: bool,
    has_header: bool,
    /// What its first frame says; `None` where that cannot be read.
    first_frame_is_key: Option<bool>,
    has_frame: bool,
}

impl Reader for Av1Reader {
    fn begins(&self, payload: &[u8]) -> bool {
        payload.first().is_some_and(|header| begins_sequence(*header))
    }

    fn begins_key(&self, payload: &[u8]) -> bool {
        self.begins(payload)
    }

    fn packet(&mut self, payload: &Bytes) -> Result<Taken, &'static str> {
        let header = *payload.first().ok_or("an empty packet")?;
        if !std::mem::replace(&mut self.begun, true) {
            self.sequence_begins = begins_sequence(header);
        }
        // Behind the first frame there is nothing to be learned, and of other units nothing at all.
        if self.sequence_begins && !self.has_frame {
            self.elements(payload)?;
        }
        Ok(Taken::Kept)
    }

    fn finish(&mut self) -> Result<Picture, &'static str> {
        let key = self.sequence_begins && self.has_header && self.first_frame_is_key != Some(false);
        let config = self.config.take();
        *self = Self { config, ..Self::default() };
        Ok(Picture { key, in_front: Vec::new() })
    }

    fn config(&self) -> Option<CodecConfig> {
        self.config.clone().map(CodecConfig::Av1)
    }
}

impl Av1Reader {
    /// Looks at the elements that begin in a packet.
    fn elements(&mut self, payload: &[u8]) -> Result<(), &'static str> {
        const BEYOND: &str = "an element beyond its packet";
        let (header, mut left) = payload.split_first().ok_or(BEYOND)?;
        let count = usize::from(header >> COUNT_SHIFT & COUNT);
        let mut index = 0;
        while !left.is_empty() && !self.has_frame {
            index += 1;
            let element;
            if index == count {
                (element, left) = (left, &[][..]);
            } else {
                let (size, _, behind) = leb128(left).map_err(|_| BEYOND)?;
                (element, left) = behind.split_at_checked(size).ok_or(BEYOND)?;
            }
            let is_rest = index == 1 && header & GOES_ON != 0;
            let is_whole = !left.is_empty() || header & WILL_GO_ON == 0;
            if !is_rest {
                self.element(element, is_whole)?;
            }
        }
        Ok(())
    }

    fn element(&mut self, element: &[u8], is_whole: bool) -> Result<(), &'static str> {
        if element.is_empty() {
            return Ok(());
        }
        // The front of one that goes on may have a size, which it does not reach.
        let Some(Ok(obu)) = obus(element).next() else {
            return if is_whole { Err("a unit that cannot be read") } else { Ok(()) };
        };
        match obu.kind() {
            kind::SEQUENCE_HEADER if is_whole => {
                let read = Av1Config::from_obu(&obu).map_err(|_| "a sequence header that cannot be read")?;
                self.has_header = true;
                if self.config.as_deref() != Some(&read) {
                    self.config = Some(Arc::new(read));
                }
            }
            kind::FRAME | kind::FRAME_HEADER => {
                self.has_frame = true;
                self.first_frame_is_key = is_shown_key_frame(obu.body).ok();
            }
            _ => {}
        }
        Ok(())
    }
}

const fn begins_sequence(header: u8) -> bool {
    header & SEQUENCE_BEGINS != 0 && header & GOES_ON == 0
}
