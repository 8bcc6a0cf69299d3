//! H.264 by RFC 6184, packetization mode 1 and 0: single NAL units, STAP-A and FU-A.

use std::sync::Arc;

use base::limits;
use bytes::Bytes;

use super::reader::{Picture, Reader, Taken};
use crate::codec::CodecConfig;
use crate::h264::{H264Config, NalType, ParameterSets, frame_number};
use crate::packetize::h264::{FU_A, FU_END, FU_START, IMPORTANCE, STAP_A, parameter_set_packets};

const FORBIDDEN: u8 = 0x80;
/// `nal_ref_idc`: 0 in pictures that no other refers to.
const REFERRED_TO: u8 = 0x60;
/// Where a slice's number stands at the latest ([`frame_number`]).
const SLICE_FRONT_BYTES: usize = 40;

/// Follows the parameter sets of a stream, in whatever packets they come, and IDR slices.
#[derive(Debug, Default)]
pub(super) struct H264Reader {
    config: Option<Arc<H264Config>>,
    /// Sets that came before there were enough of them.
    early: ParameterSets,
    /// Of the picture: it has an IDR slice, these sets, and this `frame_num`.
    idr: bool,
    sets: ParameterSets,
    number: Option<u32>,
    /// Of the picture before.
    last_number: Option<u32>,
    /// There are pictures that no other refers to: `frame_num` does not count those.
    has_unreferenced: bool,
    /// A set of which fragments came.
    fragments: Option<Vec<u8>>,
}

impl Reader for H264Reader {
    /// A delimiter or a parameter set stands first (7.4.1.2.3), and so does the first slice of an IDR picture
    /// but for what can be done without.
    fn begins(&self, payload: &[u8]) -> bool {
        self.begins_key(payload) || first_nal(payload).is_some_and(|(kind, _)| kind == NalType::Delimiter)
    }

    /// Of others than key frames there are no SPS in practice.
    fn begins_key(&self, payload: &[u8]) -> bool {
        match first_nal(payload) {
            Some((NalType::Sps, _)) => true,
            Some((NalType::Idr, body)) => is_first_slice(body),
            _ => false,
        }
    }

    /// By `frame_num` (7.4.3), which pictures count that others refer to. Pictures behind a delimiter or parameter sets
    /// are not looked for.
    fn follows(&self, payload: &[u8]) -> bool {
        let slice = match payload {
            [header, fu, body @ ..] if header & !IMPORTANCE == FU_A && fu & FU_START != 0 => {
                front(header & IMPORTANCE | fu & !IMPORTANCE, body)
            }
            [header, body @ ..] => front(*header, body),
            [] => return false,
        };
        let bits = self.number_bits();
        let next = self.last_number.zip(bits).map(|(last, bits)| (last + 1) % (1 << bits));
        NalType::of(&slice) == NalType::Slice
            && !self.has_unreferenced
            && next.is_some()
            && frame_number(&slice, bits) == next
    }

    fn packet(&mut self, payload: &Bytes) -> Result<Taken, &'static str> {
        let [header, body @ ..] = &payload[..] else { return Err("an empty packet") };
        if header & FORBIDDEN != 0 {
            return Err("a NAL unit with its forbidden bit set");
        }
        match header & !IMPORTANCE {
            1..=23 => self.nal(payload)?,
            STAP_A => self.aggregate(body)?,
            FU_A => self.fragment(*header, body)?,
            // Reserved, and to be ignored (5.2).
            0 | 30 | 31 => return Ok(Taken::LeftOut),
            _ => return Err("a packet of the interleaved mode"),
        }
        Ok(Taken::Kept)
    }

    fn finish(&mut self) -> Result<Picture, &'static str> {
        self.fragments = None;
        self.last_number = self.number.take();
        let key = std::mem::take(&mut self.idr);
        let sets = std::mem::take(&mut self.sets);
        let has_its_own = !sets.sps.is_empty() && !sets.pps.is_empty();
        if !sets.is_empty() {
            self.learn(sets, key && has_its_own)?;
        }
        match &self.config {
            Some(config) if key && !has_its_own => {
                Ok(Picture { key, in_front: parameter_set_packets(config) })
            }
            None if key => Err("a key frame without parameter sets"),
            _ => Ok(Picture { key, in_front: Vec::new() }),
        }
    }

    fn config(&self) -> Option<CodecConfig> {
        self.config.clone().map(CodecConfig::H264)
    }
}

impl H264Reader {
    fn number_bits(&self) -> Option<u32> {
        self.config.as_ref()?.frame_number_bits()
    }

    /// A slice comes, or the front of one.
    fn slice(&mut self, slice: &[u8]) {
        self.idr |= NalType::of(slice) == NalType::Idr;
        self.has_unreferenced |= slice.first().is_some_and(|header| header & REFERRED_TO == 0);
        self.number = frame_number(slice, self.number_bits()).or(self.number);
    }

    fn nal(&mut self, nal: &[u8]) -> Result<(), &'static str> {
        let sets = match NalType::of(nal) {
            NalType::Idr | NalType::Slice => {
                self.slice(nal);
                return Ok(());
            }
            NalType::Sps => &mut self.sets.sps,
            NalType::Pps => &mut self.sets.pps,
            _ => return Ok(()),
        };
        if sets.len() >= limits::PARAMETER_SETS_MAX || nal.len() > limits::PARAMETER_SET_BYTES_MAX {
            return Err("too many or too large parameter sets");
        }
        // Copied, for a slice would keep all of the datagram alive.
        sets.push(Bytes::copy_from_slice(nal));
        Ok(())
    }

    /// 5.7.1: NAL units, each behind its size.
    fn aggregate(&mut self, body: &[u8]) -> Result<(), &'static str> {
        let mut left = body;
        while let Some((size, behind)) = left.split_first_chunk::<2>() {
            let size = usize::from(u16::from_be_bytes(*size));
            let (nal, behind) = behind.split_at_checked(size).ok_or("a NAL unit beyond its packet")?;
            self.nal(nal)?;
            left = behind;
        }
        if left.is_empty() { Ok(()) } else { Err("a NAL unit beyond its packet") }
    }

    /// 5.8. Only parameter sets are put together.
    fn fragment(&mut self, indicator: u8, body: &[u8]) -> Result<(), &'static str> {
        let [fu, body @ ..] = body else { return Err("a fragment without its header") };
        let header = indicator & IMPORTANCE | fu & !IMPORTANCE;
        match kind(header) {
            NalType::Idr | NalType::Slice if fu & FU_START != 0 => self.slice(&front(header, body)),
            NalType::Idr => self.idr = true,
            NalType::Sps | NalType::Pps => {
                if fu & FU_START != 0 {
                    self.fragments = Some(vec![header]);
                }
                let Some(set) = &mut self.fragments else { return Ok(()) };
                if set.len() + body.len() > limits::PARAMETER_SET_BYTES_MAX {
                    return Err("too many or too large parameter sets");
                }
                set.extend_from_slice(body);
                if fu & FU_END != 0
                    && let Some(set) = self.fragments.take()
                {
                    self.nal(&set)?;
                }
            }
            NalType::Unspecified => return Err("fragments of no NAL unit"),
            _ => {}
        }
        Ok(())
    }

    /// Takes parameter sets. All that a key frame needs it may bring along: what was known before is forgotten.
    fn learn(&mut self, sets: ParameterSets, complete: bool) -> Result<(), &'static str> {
        const BROKEN: &str = "parameter sets that cannot be read";
        let learned = match &self.config {
            Some(held) if !complete => held.with_in_band(&sets).map_err(|_| BROKEN)?,
            _ if complete => Some(H264Config::from_parameter_sets(sets.sps, sets.pps).map_err(|_| BROKEN)?),
            _ => {
                add(&mut self.early.sps, sets.sps);
                add(&mut self.early.pps, sets.pps);
                if self.early.sps.is_empty() || self.early.pps.is_empty() {
                    return Ok(());
                }
                let sets = std::mem::take(&mut self.early);
                Some(H264Config::from_parameter_sets(sets.sps, sets.pps).map_err(|_| BROKEN)?)
            }
        };
        if let Some(learned) = learned.filter(|learned| self.config.as_deref() != Some(learned)) {
            self.config = Some(Arc::new(learned));
        }
        Ok(())
    }
}

/// Adds what is not there yet; the oldest go beyond what a configuration can have.
fn add(held: &mut Vec<Bytes>, sets: Vec<Bytes>) {
    for set in sets {
        if !held.contains(&set) {
            held.push(set);
        }
    }
    let beyond = held.len().saturating_sub(limits::PARAMETER_SETS_MAX);
    held.drain(..beyond);
}

/// The type in a NAL unit's or a fragment's header.
fn kind(header: u8) -> NalType {
    NalType::of(&[header])
}

/// The type of a payload's first NAL unit, and what stands behind its header, as far as the payload has it.
fn first_nal(payload: &[u8]) -> Option<(NalType, &[u8])> {
    let (header, body) = match payload {
        [header, _, _, first, body @ ..] if header & !IMPORTANCE == STAP_A => (first, body),
        [header, fu, body @ ..] if header & !IMPORTANCE == FU_A && fu & FU_START != 0 => (fu, body),
        [header, body @ ..] => (header, body),
        [] => return None,
    };
    Some((kind(*header), body))
}

/// As much of a NAL unit as says which picture it is of.
fn front(header: u8, body: &[u8]) -> Vec<u8> {
    [&[header], &body[..body.len().min(SLICE_FRONT_BYTES)]].concat()
}

/// `first_mb_in_slice` is 0 (7.3.3), which is coded as a single 1.
fn is_first_slice(body: &[u8]) -> bool {
    body.first().is_some_and(|first| first & 0x80 != 0)
}
