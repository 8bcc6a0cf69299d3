//! What stands between the tags of each video codec and units.

use std::sync::Arc;

use bytes::Bytes;
use media::h264::{Framing, H264Config, LengthSize, to_unit_payload};
use media::{
    Av1Config, Codec, CodecConfig, HevcConfig, ParameterError, Vp9Config, av1_unit, hevc_unit, vp9_key_frame,
};

/// Why a tag gave nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error(transparent)]
    H264(#[from] media::h264::H264Error),
    #[error(transparent)]
    Aac(#[from] media::AacError),
    #[error(transparent)]
    Parameters(#[from] ParameterError),
    #[error("a picture came before its parameter sets")]
    NoPictureConfig,
    #[error("sound came before its configuration")]
    NoSoundConfig,
    #[error("{} is no codec of this kind", .0.label())]
    Kind(Codec),
}

/// The parts of a coded picture.
#[derive(Debug, Default)]
pub(super) struct Picture {
    /// A configuration that it begins with; told only when it is new.
    pub(super) config: Option<CodecConfig>,
    /// The unit's payload, and whether a reader may start here. Nothing where the tag only had
    /// parameter sets.
    pub(super) unit: Option<(Bytes, bool)>,
}

/// Follows the configuration of the one video track, whatever its codec.
///
/// Parameter sets come in the sequence header and in band; a stream without a sequence header begins
/// with its first in-band sets, except for HEVC, which needs one.
#[derive(Debug, Default)]
pub(super) enum Pictures {
    #[default]
    None,
    H264 {
        config: Option<Arc<H264Config>>,
        length_size: LengthSize,
    },
    Hevc {
        config: Arc<HevcConfig>,
        length_size: LengthSize,
    },
    Av1 {
        config: Option<Arc<Av1Config>>,
        /// What the last record said: it often differs from what comes in band, which counts.
        record: Option<Av1Config>,
    },
    Vp9 {
        config: Option<Vp9Config>,
    },
}

impl Pictures {
    /// Takes a sequence header; the configuration when it is new.
    pub(super) fn header(&mut self, codec: Codec, record: &[u8]) -> Result<Option<CodecConfig>, Broken> {
        // ffmpeg sends an empty one when it copies a stream whose sets are in band only.
        if record.is_empty() {
            return Ok(None);
        }
        self.turn_to(codec);
        match codec {
            Codec::H264 => {
                let (read, size) = H264Config::from_avcc(record)?;
                let Self::H264 { config, length_size } = self else { return Ok(None) };
                *length_size = size;
                // Encoders repeat their record; it must not undo sets that came in band since.
                if config.as_deref().is_some_and(|held| holds(held, &read)) {
                    return Ok(None);
                }
                Ok(Some(CodecConfig::H264(keep(config, read))))
            }
            Codec::Hevc => {
                let (read, length_size) = HevcConfig::from_record(record)?;
                if matches!(self, Self::Hevc { config, .. } if **config == read) {
                    return Ok(None);
                }
                let config = Arc::new(read);
                *self = Self::Hevc { config: Arc::clone(&config), length_size };
                Ok(Some(CodecConfig::Hevc(config)))
            }
            Codec::Av1 => {
                let read = Av1Config::from_record(record)?;
                let Self::Av1 { record, .. } = self else { return Ok(None) };
                if *record == read {
                    return Ok(None);
                }
                record.clone_from(&read);
                Ok(read.and_then(|read| self.new_av1(read)))
            }
            // Its key frames say what players want to know.
            Codec::Vp9 => Ok(None),
            Codec::Vp8 | Codec::Aac | Codec::Opus => Err(Broken::Kind(codec)),
        }
    }

    /// Takes what an encoder sent for one picture.
    pub(super) fn picture(&mut self, codec: Codec, payload: &Bytes) -> Result<Picture, Broken> {
        self.turn_to(codec);
        match self {
            Self::H264 { config, length_size } => h264(config, *length_size, payload),
            Self::Hevc { length_size, .. } => {
                let (payload, key) = hevc_unit(payload, *length_size)?;
                let unit = (!payload.is_empty()).then_some((payload, key));
                Ok(Picture { config: None, unit })
            }
            Self::Av1 { .. } => {
                let unit = av1_unit(payload)?;
                let config = unit.config.and_then(|read| self.new_av1(read));
                if matches!(self, Self::Av1 { config: None, .. }) {
                    return Err(Broken::NoPictureConfig);
                }
                let unit = (!unit.payload.is_empty()).then_some((unit.payload, unit.key));
                Ok(Picture { config, unit })
            }
            Self::Vp9 { config: held } => {
                let read = vp9_key_frame(payload)?;
                let key = read.is_some();
                let changed = read.filter(|read| held.as_ref() != Some(read));
                *held = read.or(*held);
                if held.is_none() {
                    return Err(Broken::NoPictureConfig);
                }
                Ok(Picture { config: changed.map(CodecConfig::Vp9), unit: Some((payload.clone(), key)) })
            }
            Self::None => Err(Broken::NoPictureConfig),
        }
    }

    /// Forgets a codec the encoder does not use any more.
    fn turn_to(&mut self, codec: Codec) {
        *self = match (codec, &self) {
            (Codec::H264, Self::H264 { .. })
            | (Codec::Hevc, Self::Hevc { .. })
            | (Codec::Av1, Self::Av1 { .. })
            | (Codec::Vp9, Self::Vp9 { .. }) => return,
            (Codec::H264, _) => Self::H264 { config: None, length_size: LengthSize::Four },
            (Codec::Av1, _) => Self::Av1 { config: None, record: None },
            (Codec::Vp9, _) => Self::Vp9 { config: None },
            (Codec::Hevc | Codec::Vp8 | Codec::Aac | Codec::Opus, _) => Self::None,
        };
    }

    fn new_av1(&mut self, read: Av1Config) -> Option<CodecConfig> {
        let Self::Av1 { config: held, .. } = self else { return None };
        (held.as_deref() != Some(&read)).then(|| CodecConfig::Av1(keep(held, read)))
    }
}

fn h264(
    config: &mut Option<Arc<H264Config>>,
    length_size: LengthSize,
    payload: &Bytes,
) -> Result<Picture, Broken> {
    let unit = to_unit_payload(payload, Framing::Length(length_size))?;
    let mut changed = None;
    if !unit.parameter_sets.is_empty() {
        changed = match config.as_deref() {
            Some(held) => held.with_in_band(&unit.parameter_sets)?,
            None => {
                let sets = unit.parameter_sets;
                Some(H264Config::from_parameter_sets(sets.sps, sets.pps)?)
            }
        };
    }
    let changed = changed.map(|changed| CodecConfig::H264(keep(config, changed)));
    if config.is_none() {
        return Err(Broken::NoPictureConfig);
    }
    let unit = (!unit.payload.is_empty()).then_some((unit.payload, unit.idr));
    Ok(Picture { config: changed, unit })
}

fn keep<T>(held: &mut Option<Arc<T>>, read: T) -> Arc<T> {
    let read = Arc::new(read);
    *held = Some(Arc::clone(&read));
    read
}

/// Whether every parameter set of `other` is held already, unchanged.
fn holds(held: &H264Config, other: &H264Config) -> bool {
    other.sps.iter().all(|set| held.sps.contains(set)) && other.pps.iter().all(|set| held.pps.contains(set))
}
