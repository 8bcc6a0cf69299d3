//! The sequence parameter set (7.3.2.1.1) as far as this node needs it.

use base::limits;

use super::config::FrameRate;
use super::nal::unescape;
use super::{H264Error, NalType};
use crate::bits::Bits;

/// What an SPS says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sps {
    pub id: u32,
    pub profile_idc: u8,
    /// The byte behind `profile_idc`: `constraint_set0_flag` is its highest bit.
    pub constraints: u8,
    pub level_idc: u8,
    /// In pixels, after cropping.
    pub width: u32,
    pub height: u32,
    pub frame_rate: Option<FrameRate>,
    /// Pictures may be shown in another order than decoded.
    pub reorders: bool,
    /// Bits of `frame_num` in slice headers; `None` where it does not stand right behind the front (colour planes), or
    /// does not count pictures (fields).
    pub frame_number_bits: Option<u32>,
}

/// Profiles whose SPS carries `chroma_format_idc` and what follows it (7.3.2.1.1).
const HIGH_PROFILES: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

impl Sps {
    /// Reads an SPS NAL unit, header byte included.
    pub(super) fn read(nal: &[u8]) -> Result<Self, H264Error> {
        if NalType::of(nal) != NalType::Sps {
            return Err(H264Error::NotAParameterSet(nal.first().map_or(0, |header| header & 0x1f)));
        }
        let rbsp = unescape(nal.get(1..).unwrap_or_default());
        let &[profile_idc, constraints, level_idc, ..] = rbsp.as_slice() else {
            return Err(H264Error::TooShort);
        };
        let mut bits = Bits::new(rbsp.get(3..).unwrap_or_default());
        let id = ranged(bits.unsigned()?, 31, "seq_parameter_set_id")?;
        let (chroma, separate_planes) = if HIGH_PROFILES.contains(&profile_idc) {
            high_profile(&mut bits)?
        } else {
            (Chroma::YUV420, false)
        };
        let frame_number_bits = ranged(bits.unsigned()?, 12, "log2_max_frame_num_minus4")? + 4;
        let order_type = picture_order(&mut bits)?;
        let references = ranged(bits.unsigned()?, 16, "max_num_ref_frames")?;
        bits.skip(1)?; // gaps_in_frame_num_value_allowed_flag
        let (width, height, frames_only) = picture(&mut bits, chroma)?;
        let vui = if bits.flag()? { vui(&mut bits)? } else { Vui::default() };

        // Baseline has no B slices (A.2.1); intra profiles (A.2.8 to A.2.11) and a stream without
        // reference pictures have no prediction at all; `pic_order_cnt_type` 2 forbids reordering.
        let intra_only = references == 0
            || profile_idc == 44
            || (matches!(profile_idc, 100 | 110 | 122 | 244) && constraints & 0x10 != 0);
        let reorders = profile_idc != 66 && order_type != 2 && !intra_only && vui.reorder_frames != Some(0);
        Ok(Self {
            id,
            profile_idc,
            constraints,
            level_idc,
            width,
            height,
            frame_rate: vui.frame_rate,
            reorders,
            frame_number_bits: (frames_only && !separate_planes).then_some(frame_number_bits),
        })
    }
}

fn ranged(value: u32, max: u32, field: &'static str) -> Result<u32, H264Error> {
    if value <= max { Ok(value) } else { Err(H264Error::OutOfRange(field)) }
}

/// Luma pixels per chroma sample, which cropping counts in (table 6-1; 1x1 where there is none).
#[derive(Clone, Copy)]
struct Chroma {
    width: u32,
    height: u32,
}

impl Chroma {
    const YUV420: Self = Self { width: 2, height: 2 };
    const YUV422: Self = Self { width: 2, height: 1 };
    const ONE: Self = Self { width: 1, height: 1 };
}

/// Gives the chroma's size, and whether the colour planes are coded by themselves.
fn high_profile(bits: &mut Bits<'_>) -> Result<(Chroma, bool), H264Error> {
    let format = ranged(bits.unsigned()?, 3, "chroma_format_idc")?;
    let separate_planes = format == 3 && bits.flag()?;
    ranged(bits.unsigned()?, 6, "bit_depth_luma_minus8")?;
    ranged(bits.unsigned()?, 6, "bit_depth_chroma_minus8")?;
    bits.skip(1)?; // qpprime_y_zero_transform_bypass_flag
    if bits.flag()? {
        for list in 0..if format == 3 { 12 } else { 8 } {
            if bits.flag()? {
                scaling_list(bits, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    let chroma = match format {
        1 => Chroma::YUV420,
        2 => Chroma::YUV422,
        _ => Chroma::ONE,
    };
    Ok((chroma, separate_planes))
}

/// Reads over a scaling list (7.3.2.1.1.1).
fn scaling_list(bits: &mut Bits<'_>, size: u32) -> Result<(), H264Error> {
    let mut last = 8_i64;
    let mut next = 8_i64;
    for _ in 0..size {
        if next != 0 {
            let delta = bits.signed()?;
            if !(-128..=127).contains(&delta) {
                return Err(H264Error::OutOfRange("delta_scale"));
            }
            next = (last + delta + 256) % 256;
        }
        last = if next == 0 { last } else { next };
    }
    Ok(())
}

/// Reads over the picture order count's fields and gives its type.
fn picture_order(bits: &mut Bits<'_>) -> Result<u32, H264Error> {
    let order_type = ranged(bits.unsigned()?, 2, "pic_order_cnt_type")?;
    match order_type {
        0 => {
            ranged(bits.unsigned()?, 12, "log2_max_pic_order_cnt_lsb_minus4")?;
        }
        1 => {
            bits.skip(1)?; // delta_pic_order_always_zero_flag
            bits.signed()?; // offset_for_non_ref_pic
            bits.signed()?; // offset_for_top_to_bottom_field
            for _ in 0..ranged(bits.unsigned()?, 255, "num_ref_frames_in_pic_order_cnt_cycle")? {
                bits.signed()?;
            }
        }
        _ => {}
    }
    Ok(order_type)
}

/// Width and height after cropping (7-19 to 7-22), and whether there are frames alone and no fields.
fn picture(bits: &mut Bits<'_>, chroma: Chroma) -> Result<(u32, u32, bool), H264Error> {
    let macroblocks_max = limits::PICTURE_SIDE_PIXELS_MAX / 16;
    let width = ranged(bits.unsigned()?, macroblocks_max - 1, "pic_width_in_mbs_minus1")? + 1;
    let map_units = ranged(bits.unsigned()?, macroblocks_max - 1, "pic_height_in_map_units_minus1")? + 1;
    let frames_only = bits.flag()?;
    if !frames_only {
        bits.skip(1)?; // mb_adaptive_frame_field_flag
    }
    bits.skip(1)?; // direct_8x8_inference_flag
    let per_map_unit = if frames_only { 1 } else { 2 };
    let height = ranged(map_units * per_map_unit, macroblocks_max, "pic_height_in_map_units_minus1")? * 16;
    let width = width * 16;
    if !bits.flag()? {
        return Ok((width, height, frames_only));
    }
    let mut side = || bits.unsigned().map(u64::from);
    let (left, right, top, bottom) = (side()?, side()?, side()?, side()?);
    let cropped = |size: u32, cut: u64, unit: u32| {
        u64::from(size)
            .checked_sub(cut * u64::from(unit))
            .and_then(|rest| u32::try_from(rest).ok())
            .filter(|rest| *rest > 0)
            .ok_or(H264Error::OutOfRange("frame_crop_offset"))
    };
    Ok((
        cropped(width, left + right, chroma.width)?,
        cropped(height, top + bottom, chroma.height * per_map_unit)?,
        frames_only,
    ))
}

#[derive(Default)]
struct Vui {
    frame_rate: Option<FrameRate>,
    reorder_frames: Option<u32>,
}

/// Reads the VUI parameters (E.1.1).
fn vui(bits: &mut Bits<'_>) -> Result<Vui, H264Error> {
    const EXTENDED_SAR: u32 = 255;
    if bits.flag()? && bits.take(8)? == EXTENDED_SAR {
        bits.skip(32)?;
    }
    if bits.flag()? {
        bits.skip(1)?; // overscan_appropriate_flag
    }
    if bits.flag()? {
        bits.skip(4)?; // video_format, video_full_range_flag
        if bits.flag()? {
            bits.skip(24)?; // colour_primaries, transfer_characteristics, matrix_coefficients
        }
    }
    if bits.flag()? {
        ranged(bits.unsigned()?, 5, "chroma_sample_loc_type_top_field")?;
        ranged(bits.unsigned()?, 5, "chroma_sample_loc_type_bottom_field")?;
    }
    let mut vui = Vui::default();
    if bits.flag()? {
        let units_in_tick = bits.take(32)?;
        let time_scale = bits.take(32)?;
        bits.skip(1)?; // fixed_frame_rate_flag
        vui.frame_rate = FrameRate::from_field_ticks(time_scale, units_in_tick);
    }
    let nal_hrd = bits.flag()?;
    if nal_hrd {
        hypothetical_decoder(bits)?;
    }
    let vcl_hrd = bits.flag()?;
    if vcl_hrd {
        hypothetical_decoder(bits)?;
    }
    if nal_hrd || vcl_hrd {
        bits.skip(1)?; // low_delay_hrd_flag
    }
    bits.skip(1)?; // pic_struct_present_flag
    if bits.flag()? {
        bits.skip(1)?; // motion_vectors_over_pic_boundaries_flag
        for _ in 0..4 {
            bits.unsigned()?; // max_bytes_per_pic_denom to log2_max_mv_length_vertical
        }
        vui.reorder_frames = Some(ranged(bits.unsigned()?, 16, "max_num_reorder_frames")?);
        ranged(bits.unsigned()?, 16, "max_dec_frame_buffering")?;
    }
    Ok(vui)
}

/// Reads over HRD parameters (E.1.2).
fn hypothetical_decoder(bits: &mut Bits<'_>) -> Result<(), H264Error> {
    let schedules = ranged(bits.unsigned()?, 31, "cpb_cnt_minus1")? + 1;
    bits.skip(8)?; // bit_rate_scale, cpb_size_scale
    for _ in 0..schedules {
        bits.unsigned()?; // bit_rate_value_minus1
        bits.unsigned()?; // cpb_size_value_minus1
        bits.skip(1)?; // cbr_flag
    }
    bits.skip(20)?; // four lengths of five bits
    Ok(())
}
