//! AAC-LC frames to samples.

use base::limits;
use media::AacConfig;
use symphonia::core::audio::GenericAudioBufferRef;
use symphonia::core::codecs::audio::well_known::CODEC_ID_AAC;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};
use symphonia::default::codecs::AacDecoder;

use crate::ConvertError;

/// Decodes the frames of one track, in order.
pub(crate) struct Decoder {
    decoder: AacDecoder,
    channels: usize,
    /// The newest frame, one vector per channel.
    samples: Vec<Vec<f32>>,
}

impl Decoder {
    pub(crate) fn new(config: &AacConfig) -> Result<Self, ConvertError> {
        let mut parameters = AudioCodecParameters::new();
        parameters.for_codec(CODEC_ID_AAC).with_extra_data(plain_config(config).into());
        let decoder = AacDecoder::try_new(&parameters, &AudioDecoderOptions::default())?;
        Ok(Self { decoder, channels: usize::from(config.channels), samples: Vec::new() })
    }

    /// Decodes one frame: one slice of samples, in -1 to 1, per channel.
    pub(crate) fn decode(&mut self, frame: &[u8]) -> Result<&[Vec<f32>], ConvertError> {
        if frame.len() > limits::AAC_FRAME_BYTES_MAX {
            return Err(ConvertError::TooLarge(frame.len()));
        }
        let packet = PacketRef::new(0, Timestamp::from(0), Duration::from(0_u32), frame);
        let decoded: GenericAudioBufferRef<'_> = self.decoder.decode_ref(&packet)?;
        if decoded.num_planes() != self.channels {
            return Err(ConvertError::Channels(decoded.num_planes()));
        }
        decoded.copy_to_vecs_planar(&mut self.samples);
        Ok(&self.samples)
    }

    /// Forgets the frame before: the next one does not follow it.
    pub(crate) fn reset(&mut self) {
        self.decoder.reset();
    }
}

/// The shortest AudioSpecificConfig of the supported kinds: whatever a source appended or spelled
/// out is not the decoder's business.
fn plain_config(config: &AacConfig) -> [u8; 2] {
    const LOW_COMPLEXITY: u16 = 2;
    let frequency = if config.sample_rate == 48_000 { 3 } else { 4 };
    (LOW_COMPLEXITY << 11 | frequency << 7 | u16::from(config.channels) << 3).to_be_bytes()
}
