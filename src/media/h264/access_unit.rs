//! One access unit, brought into the form every [`crate::Unit`] has.

use bytes::{BufMut, Bytes, BytesMut};

use super::H264Error;
use super::nal::{LengthSize, NalType, annex_b, nals};

/// How NAL units are told apart in what a source sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// A big-endian length in front of each (RTMP, MP4).
    Length(LengthSize),
    /// Start codes (MPEG-TS, Annex B).
    AnnexB,
}

/// Parameter sets that came inside an access unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParameterSets {
    /// Sequence parameter sets, as NAL units without framing.
    pub sps: Vec<Bytes>,
    /// Picture parameter sets, as NAL units without framing.
    pub pps: Vec<Bytes>,
}

impl ParameterSets {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sps.is_empty() && self.pps.is_empty()
    }
}

/// An access unit as a [`crate::Unit`] carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessUnit {
    /// NAL units behind 4-byte lengths, without SPS, PPS and delimiters. Empty when nothing else came.
    pub payload: Bytes,
    /// It is an IDR picture: a reader may start here.
    pub idr: bool,
    /// What stood in band; see [`super::H264Config::with_in_band`].
    pub parameter_sets: ParameterSets,
}

/// Brings an access unit into a unit's form. What has that form already is shared, not copied.
///
/// NAL units of unspecified types are left out; a set forbidden bit or a length beyond the data is
/// an error.
pub fn to_unit_payload(data: &Bytes, framing: Framing) -> Result<AccessUnit, H264Error> {
    match framing {
        Framing::Length(length_size) => {
            gather(data, nals(data, length_size), length_size == LengthSize::Four)
        }
        Framing::AnnexB => gather(data, annex_b(data), false),
    }
}

fn gather<'a>(
    data: &'a Bytes,
    nals: impl Iterator<Item = Result<&'a [u8], H264Error>>,
    has_the_form: bool,
) -> Result<AccessUnit, H264Error> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut unit = AccessUnit { payload: Bytes::new(), idr: false, parameter_sets: ParameterSets::default() };
    for nal in nals {
        let nal = nal?;
        if nal.first().is_some_and(|header| header & 0x80 != 0) {
            return Err(H264Error::ForbiddenBit);
        }
        match NalType::of(nal) {
            // Copied, for a slice of the frame would keep all of it alive.
            NalType::Sps => unit.parameter_sets.sps.push(Bytes::copy_from_slice(nal)),
            NalType::Pps => unit.parameter_sets.pps.push(Bytes::copy_from_slice(nal)),
            NalType::Delimiter | NalType::Unspecified => {}
            kind => {
                unit.idr |= kind == NalType::Idr;
                kept.push(nal);
            }
        }
    }
    let size = kept.iter().map(|nal| nal.len() + 4).sum::<usize>();
    if has_the_form && size == data.len() {
        unit.payload = data.clone();
        return Ok(unit);
    }
    let mut payload = BytesMut::with_capacity(size);
    for nal in kept {
        // A NAL unit came in one message, which is far below 4 GiB.
        payload.put_u32(u32::try_from(nal.len()).unwrap_or(u32::MAX));
        payload.put_slice(nal);
    }
    unit.payload = payload.freeze();
    Ok(unit)
}
