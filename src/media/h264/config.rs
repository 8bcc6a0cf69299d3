//! SPS and PPS of a track and what they say.

use base::limits;
use bytes::Bytes;

use super::H264Error;
use super::access_unit::ParameterSets;
use super::nal::{LengthSize, NalType, unescape};
use super::sps::Sps;
use crate::bits::Bits;

/// Frames per second as a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRate {
    /// Ticks per second.
    pub numerator: u64,
    /// Ticks per frame.
    pub denominator: u64,
}

impl FrameRate {
    /// From a VUI's timing, whose ticks are fields (E.2.1); `None` where it is zero.
    pub(super) fn from_field_ticks(time_scale: u32, units_in_tick: u32) -> Option<Self> {
        (time_scale > 0 && units_in_tick > 0)
            .then(|| Self { numerator: u64::from(time_scale), denominator: 2 * u64::from(units_in_tick) })
    }

    /// In frames per second.
    pub fn per_second(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "both are below 2^33")]
        let rate = self.numerator as f64 / self.denominator as f64;
        rate
    }
}

/// The parameter sets of an H.264 track, and what the first SPS says.
///
/// Equal means the same parameter sets, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct H264Config {
    /// Sequence parameter sets, as NAL units without framing. At least one.
    pub sps: Vec<Bytes>,
    /// Picture parameter sets, as NAL units without framing. At least one.
    pub pps: Vec<Bytes>,
    /// `profile_idc`: 66 Baseline, 77 Main, 100 High.
    pub profile_idc: u8,
    /// The six `constraint_setN_flag`s, set 0 in the highest bit.
    pub constraints: u8,
    /// `level_idc`: ten times the level.
    pub level_idc: u8,
    /// In pixels, after cropping.
    pub width: u32,
    /// In pixels, after cropping.
    pub height: u32,
    /// What the VUI says, if it does.
    pub frame_rate: Option<FrameRate>,
    reorders: bool,
    frame_number_bits: Option<u32>,
}

impl H264Config {
    /// Reads an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1; the body of an RTMP AVC
    /// sequence header). The second value is the framing of the NAL units that go with it.
    pub fn from_avcc(record: &[u8]) -> Result<(Self, LengthSize), H264Error> {
        let &[version, _profile, _constraints, _level, length_size, sps_count, ref sets @ ..] = record else {
            return Err(H264Error::TooShort);
        };
        if version != 1 {
            return Err(H264Error::Version(version));
        }
        let length_size = match length_size & 3 {
            0 => LengthSize::One,
            1 => LengthSize::Two,
            3 => LengthSize::Four,
            other => return Err(H264Error::LengthSize(other + 1)),
        };
        let (sps, rest) = read_sets(sets, usize::from(sps_count & 0x1f))?;
        let (&pps_count, rest) = rest.split_first().ok_or(H264Error::TooShort)?;
        // What high profiles add behind the PPS repeats the SPS.
        let (pps, _extension) = read_sets(rest, usize::from(pps_count))?;
        Ok((Self::from_parameter_sets(sps, pps)?, length_size))
    }

    /// Takes parameter sets as NAL units without framing.
    pub fn from_parameter_sets(sps: Vec<Bytes>, pps: Vec<Bytes>) -> Result<Self, H264Error> {
        let too_large = |set: &Bytes| set.len() > limits::PARAMETER_SET_BYTES_MAX;
        if sps.len() > limits::PARAMETER_SETS_MAX
            || pps.len() > limits::PARAMETER_SETS_MAX
            || sps.iter().chain(&pps).any(too_large)
            || sps.iter().chain(&pps).map(Bytes::len).sum::<usize>() > limits::PARAMETER_SETS_BYTES_MAX
        {
            return Err(H264Error::ParameterSetsTooLarge);
        }
        for set in sps.iter().skip(1) {
            Sps::read(set)?;
        }
        for set in &pps {
            pps_id(set)?;
        }
        let first = Sps::read(sps.first().ok_or(H264Error::NoSps)?)?;
        if pps.is_empty() {
            return Err(H264Error::NoPps);
        }
        let frame_number_bits = first.frame_number_bits.filter(|_| sps.len() == 1);
        Ok(Self {
            sps,
            pps,
            frame_number_bits,
            profile_idc: first.profile_idc,
            constraints: first.constraints,
            level_idc: first.level_idc,
            width: first.width,
            height: first.height,
            frame_rate: first.frame_rate,
            reorders: first.reorders,
        })
    }

    /// The configuration with parameter sets that came in band: one with the id of a held one
    /// replaces it, a new one is added (7.4.1.2.1). `None` when nothing changes.
    pub fn with_in_band(&self, sets: &ParameterSets) -> Result<Option<Self>, H264Error> {
        let mut sps = self.sps.clone();
        let mut pps = self.pps.clone();
        merge(&mut sps, &sets.sps, |set| Sps::read(set).map(|sps| sps.id))?;
        merge(&mut pps, &sets.pps, pps_id)?;
        if sps == self.sps && pps == self.pps {
            return Ok(None);
        }
        Self::from_parameter_sets(sps, pps).map(Some)
    }

    /// Writes the AVCDecoderConfigurationRecord for 4-byte NAL unit lengths.
    pub fn to_avcc(&self) -> Bytes {
        let sets = || self.sps.iter().chain(&self.pps);
        let mut record = Vec::with_capacity(7 + sets().map(|set| set.len() + 2).sum::<usize>());
        record.extend([1, self.profile_idc, self.constraints, self.level_idc, 0xff]);
        // Counts and lengths fit: `from_parameter_sets` holds them to 31 and 4,096.
        record.push(0xe0 | u8::try_from(self.sps.len()).unwrap_or(31));
        for (index, set) in sets().enumerate() {
            if index == self.sps.len() {
                record.push(u8::try_from(self.pps.len()).unwrap_or(u8::MAX));
            }
            record.extend(u16::try_from(set.len()).unwrap_or(u16::MAX).to_be_bytes());
            record.extend_from_slice(set);
        }
        record.into()
    }

    /// `profile-level-id` of RFC 6184 8.1: profile, constraints, level.
    pub fn profile_level_id(&self) -> [u8; 3] {
        [self.profile_idc, self.constraints, self.level_idc]
    }

    /// Bits of `frame_num` in slice headers (7.4.3); `None` where slices have more than one SPS to refer to, or where it
    /// does not count pictures.
    pub(crate) fn frame_number_bits(&self) -> Option<u32> {
        self.frame_number_bits
    }

    /// Whether the SPS allows pictures that are shown in another order than they are decoded.
    /// `false` is certain; `true` means that slices and composition times have to tell.
    pub fn may_have_b_frames(&self) -> bool {
        self.reorders
    }
}

fn read_sets(data: &[u8], count: usize) -> Result<(Vec<Bytes>, &[u8]), H264Error> {
    let mut sets = Vec::new();
    let mut left = data;
    for _ in 0..count {
        let (length, rest) = left.split_first_chunk::<2>().ok_or(H264Error::TooShort)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (set, rest) =
            rest.split_at_checked(length).ok_or(H264Error::NalLength { length, left: rest.len() })?;
        if length > limits::PARAMETER_SET_BYTES_MAX {
            return Err(H264Error::ParameterSetsTooLarge);
        }
        sets.push(Bytes::copy_from_slice(set));
        left = rest;
    }
    Ok((sets, left))
}

/// `pic_parameter_set_id` of a PPS NAL unit (7.3.2.2).
fn pps_id(nal: &Bytes) -> Result<u32, H264Error> {
    if NalType::of(nal) != NalType::Pps {
        return Err(H264Error::NotAParameterSet(nal.first().map_or(0, |header| header & 0x1f)));
    }
    // The id takes at most 17 bits, `seq_parameter_set_id` behind it 11.
    let front = unescape(&nal[1..nal.len().min(12)]);
    let mut bits = Bits::new(&front);
    let id = bits.unsigned()?;
    if id > 255 || bits.unsigned()? > 31 {
        return Err(H264Error::OutOfRange("pic_parameter_set_id"));
    }
    Ok(id)
}

fn merge(
    held: &mut Vec<Bytes>,
    new: &[Bytes],
    id: impl Fn(&Bytes) -> Result<u32, H264Error>,
) -> Result<(), H264Error> {
    for set in new {
        let number = id(set)?;
        match held.iter_mut().find(|old| id(old) == Ok(number)) {
            Some(old) => old.clone_from(set),
            None => held.push(set.clone()),
        }
    }
    Ok(())
}
