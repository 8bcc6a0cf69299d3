//! AAC units to Opus units, with their times.

use std::time::{Duration, Instant};

use base::MediaTime;
use bytes::Bytes;
use media::{AacConfig, Unit};
use opus::{Application, Bitrate, Channels, Encoder};

use crate::decode::Decoder;
use crate::resample::Resampler;

/// Opus's own rate; RTP counts Opus in it whatever was coded (RFC 7587 4.1).
const OPUS_RATE: u32 = 48_000;
/// 20 ms.
const FRAME_SAMPLES: usize = 960;
const FRAME: Duration = Duration::from_millis(20);
const MONO_BITS_PER_SECOND: i32 = 64_000;
const STEREO_BITS_PER_SECOND: i32 = 96_000;
/// What the encoder is told to expect; it spends bits on surviving it.
const EXPECTED_LOSS_PERCENT: i32 = 5;
/// No packet is larger, so that each fits a datagram. 96 kbit/s are 240 bytes a packet.
const PACKET_BYTES_MAX: usize = 1_000;

/// A unit this near to where it is expected follows the one before without a gap.
const GAP_MIN: Duration = Duration::from_millis(5);
/// A gap up to this becomes silence; beyond it the times begin anew. The silence of a gap is known only when the
/// gap is over, so it comes late by its length, and players take that for delay of the path: after a takeover
/// with a gap of 0.7 s Chromium's sound was 450 ms behind its picture, and 120 ms still four seconds later. A gap
/// in the times it fills by itself.
const SILENCE_MAX: Duration = Duration::from_millis(60);

/// Why a unit was not converted. All but [`ConvertError::Unsupported`] and the making of the codecs
/// concern one unit: it is skipped, and the next one is taken.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// AAC that is not plain ([`AacConfig::is_plain`]).
    #[error("{profile} with {channels} channels at {sample_rate} Hz is not decoded in process")]
    Unsupported {
        /// As people call it.
        profile: &'static str,
        /// Of the core.
        channels: u8,
        /// Of the core, in Hz.
        sample_rate: u32,
    },
    /// The frame is larger than any AAC frame.
    #[error("an AAC frame of {0} bytes is larger than any")]
    TooLarge(usize),
    /// The frame has another number of channels than the configuration says.
    #[error("an AAC frame has {0} channels, against its configuration")]
    Channels(usize),
    /// The frame is malformed.
    #[error("AAC decoding failed: {0}")]
    Decode(#[from] symphonia::core::errors::Error),
    /// The encoder refused.
    #[error("Opus encoding failed: {0}")]
    Encode(#[from] opus::Error),
}

/// Converts the units of one AAC track to Opus: 20 ms packets, 64 kbit/s mono or 96 kbit/s stereo,
/// in-band error correction on.
///
/// `dts` of a packet is the time of the first sample a decoder gives for it, so decoder, resampler
/// and encoder delay are taken out and sound stays where it was beside the picture.
pub struct AacToOpus {
    decoder: Decoder,
    source_rate: u32,
    channels: usize,
    /// `None` where the source is at 48 kHz already.
    resampler: Option<Resampler>,
    encoder: Encoder,
    /// What the encoder looks ahead: a decoder's output lies that much behind the input.
    lookahead: Duration,
    /// Samples at 48 kHz that don't fill a packet yet, interleaved.
    pending: Vec<f32>,
    clock: Option<Clock>,
}

/// Counts samples from the `dts` of a unit.
#[derive(Clone, Copy, Debug)]
struct Clock {
    start: MediaTime,
    /// Source samples taken since, silence included.
    taken: i64,
    /// Packets made since.
    packets: u32,
}

impl AacToOpus {
    /// A converter for the track's configuration.
    pub fn new(config: &AacConfig) -> Result<Self, ConvertError> {
        if !config.is_plain() {
            let AacConfig { channels, sample_rate, .. } = *config;
            return Err(ConvertError::Unsupported { profile: config.profile(), channels, sample_rate });
        }
        let (channels, bitrate) = match config.channels {
            1 => (Channels::Mono, MONO_BITS_PER_SECOND),
            _ => (Channels::Stereo, STEREO_BITS_PER_SECOND),
        };
        let mut encoder = Encoder::new(OPUS_RATE, channels, Application::Audio)?;
        encoder.set_bitrate(Bitrate::Bits(bitrate))?;
        encoder.set_inband_fec(true)?;
        encoder.set_packet_loss_perc(EXPECTED_LOSS_PERCENT)?;
        let lookahead = MediaTime::from_ticks(encoder.get_lookahead()?.into(), OPUS_RATE);
        let channels = usize::from(config.channels);
        Ok(Self {
            decoder: Decoder::new(config)?,
            source_rate: config.sample_rate,
            channels,
            resampler: (config.sample_rate != OPUS_RATE).then(|| Resampler::new(channels)),
            encoder,
            lookahead: lookahead.since(MediaTime::ZERO),
            pending: Vec::new(),
            clock: None,
        })
    }

    /// Converts one unit; gives the packets it fills, which may be none.
    ///
    /// A unit later than expected is preceded by silence (or, after a longer gap, begins a new count);
    /// one earlier than expected loses what lies before. After an error the next unit is taken.
    pub fn convert(&mut self, unit: &Unit) -> Result<Vec<Unit>, ConvertError> {
        let expected = self.clock.map(|clock| clock.expected(self.source_rate));
        let late = expected.map_or(Duration::ZERO, |expected| unit.dts.since(expected));
        let early = expected.map_or(Duration::ZERO, |expected| expected.since(unit.dts));
        if late > GAP_MIN {
            self.decoder.reset();
        }
        // The decoder's samples are kept apart while the converter's own state changes.
        let frame = self.decoder.decode(&unit.payload)?.to_vec();

        let mut packets = Vec::new();
        if late > SILENCE_MAX {
            self.finish(unit.arrived, &mut packets)?;
        } else if late > GAP_MIN {
            let silence = vec![0.0; samples_in(late, self.source_rate)];
            self.take(&vec![silence; self.channels]);
        }
        self.clock.get_or_insert(Clock { start: unit.dts, taken: 0, packets: 0 });
        let lost = if early > GAP_MIN { samples_in(early, self.source_rate) } else { 0 };
        let kept: Vec<&[f32]> = frame.iter().map(|channel| channel.get(lost..).unwrap_or_default()).collect();
        self.take(&kept);
        self.encode(unit.arrived, &mut packets)?;
        Ok(packets)
    }

    /// Takes samples at the source's rate, one slice per channel.
    fn take<T: AsRef<[f32]>>(&mut self, samples: &[T]) {
        let count = samples.first().map_or(0, |channel| channel.as_ref().len());
        if let Some(clock) = &mut self.clock {
            clock.taken += i64::try_from(count).unwrap_or(i64::MAX);
        }
        match &mut self.resampler {
            Some(resampler) => resampler.push(samples, &mut self.pending),
            None => {
                for at in 0..count {
                    self.pending.extend(samples.iter().filter_map(|channel| channel.as_ref().get(at)));
                }
            }
        }
    }

    /// Encodes what fills whole packets.
    fn encode(&mut self, arrived: Instant, packets: &mut Vec<Unit>) -> Result<(), ConvertError> {
        let size = FRAME_SAMPLES * self.channels;
        let mut coded = [0; PACKET_BYTES_MAX];
        let mut used = 0;
        let mut outcome = Ok(());
        for samples in self.pending.chunks_exact(size) {
            let Some(clock) = &mut self.clock else { break };
            used += size;
            let dts = clock.start.plus(FRAME * clock.packets) - MediaTime::ZERO.plus(self.lookahead);
            clock.packets += 1;
            match self.encoder.encode_float(samples, &mut coded) {
                // Of the first packet of a stream, the part before the stream's beginning is silence.
                Ok(_) if dts < MediaTime::ZERO => {}
                Ok(length) => packets.push(Unit {
                    dts,
                    pts: dts,
                    arrived,
                    key: true,
                    generation: 1,
                    payload: Bytes::copy_from_slice(coded.get(..length).unwrap_or_default()),
                }),
                Err(error) => {
                    outcome = Err(error.into());
                    break;
                }
            }
        }
        self.pending.drain(..used);
        outcome
    }

    /// Fills the last packet with silence and ends the count.
    fn finish(&mut self, arrived: Instant, packets: &mut Vec<Unit>) -> Result<(), ConvertError> {
        let end = self.clock.map(|clock| clock.expected(self.source_rate));
        let silence = vec![0.0; samples_in(FRAME * 2, self.source_rate)];
        self.take(&vec![silence; self.channels]);
        let outcome = self.encode(arrived, packets);
        // Of the silence itself nothing is sent.
        packets.retain(|packet| end.is_some_and(|end| packet.dts < end));
        self.pending.clear();
        self.resampler = self.resampler.as_ref().map(|_| Resampler::new(self.channels));
        self.clock = None;
        outcome
    }
}

impl std::fmt::Debug for AacToOpus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AacToOpus").field("clock", &self.clock).finish_non_exhaustive()
    }
}

impl Clock {
    fn expected(&self, rate: u32) -> MediaTime {
        self.start + MediaTime::from_ticks(self.taken, rate)
    }
}

/// How many samples last so long, to the nearest.
fn samples_in(time: Duration, rate: u32) -> usize {
    usize::try_from(MediaTime::ZERO.plus(time).as_ticks(rate)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
