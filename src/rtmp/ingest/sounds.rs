//! What stands between the tags of each audio codec and units.

use std::sync::Arc;

use media::{AacConfig, Codec, CodecConfig, OPUS_SAMPLE_RATE, OpusConfig, opus_samples};

use super::pictures::Broken;

/// How long a frame of sound lasts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Length {
    pub(super) samples: u32,
    /// In Hz.
    pub(super) rate: u32,
}

/// Follows the configuration of the one audio track, whatever its codec. AAC needs a sequence header;
/// Opus without one begins with what its packets say.
#[derive(Debug, Default)]
pub(super) enum Sounds {
    #[default]
    None,
    Aac(Arc<AacConfig>),
    Opus(OpusConfig),
}

impl Sounds {
    /// Takes a sequence header; the configuration when it is new.
    pub(super) fn header(&mut self, codec: Codec, header: &[u8]) -> Result<Option<CodecConfig>, Broken> {
        if header.is_empty() {
            return Ok(None);
        }
        match codec {
            Codec::Aac => {
                let read = AacConfig::from_asc(header)?;
                if matches!(self, Self::Aac(held) if **held == read) {
                    return Ok(None);
                }
                let config = Arc::new(read);
                *self = Self::Aac(Arc::clone(&config));
                Ok(Some(CodecConfig::Aac(config)))
            }
            Codec::Opus => Ok(OpusConfig::from_head(header)?.and_then(|read| self.new_opus(read))),
            other => Err(Broken::Kind(other)),
        }
    }

    /// Looks at a frame: how long it lasts, and a configuration when it is new.
    pub(super) fn frame(
        &mut self,
        codec: Codec,
        frame: &[u8],
    ) -> Result<(Length, Option<CodecConfig>), Broken> {
        match (codec, &self) {
            (Codec::Aac, Self::Aac(config)) => {
                let length = Length { samples: config.samples_per_frame(), rate: config.sample_rate };
                Ok((length, None))
            }
            (Codec::Opus, _) => {
                let length = Length { samples: opus_samples(frame)?, rate: OPUS_SAMPLE_RATE };
                // The header counts, where there was one: one packet may be mono in a stereo stream.
                let new = match self {
                    Self::Opus(_) => None,
                    _ => self.new_opus(OpusConfig::from_packet(frame)?),
                };
                Ok((length, new))
            }
            _ => Err(Broken::NoSoundConfig),
        }
    }

    fn new_opus(&mut self, read: OpusConfig) -> Option<CodecConfig> {
        if matches!(self, Self::Opus(held) if *held == read) {
            return None;
        }
        *self = Self::Opus(read);
        Some(CodecConfig::Opus(read))
    }
}
