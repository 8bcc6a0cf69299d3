//! The recorded AAC the tests run on, and what a player hears.

use std::sync::Arc;

use base::{Clock, MediaTime, SystemClock};
use media::{AacConfig, Unit};

/// Recorded with ffmpeg's own encoder: one second of silence, with a tone of 0.5 in it.
pub(crate) struct Recording {
    file: &'static [u8],
    pub asc: [u8; 2],
    pub rate: u32,
    pub channels: usize,
    /// When each channel's tone begins and ends, in milliseconds.
    pub tones: &'static [(f64, f64)],
}

pub(crate) const MONO_44100: Recording = Recording {
    file: include_bytes!("testdata/beep-44100-mono.aac"),
    asc: [0x12, 0x08],
    rate: 44_100,
    channels: 1,
    tones: &[(500.0, 700.0)],
};
pub(crate) const STEREO_44100: Recording = Recording {
    file: include_bytes!("testdata/beeps-44100-stereo.aac"),
    asc: [0x12, 0x10],
    rate: 44_100,
    channels: 2,
    tones: &[(500.0, 700.0), (300.0, 700.0)],
};
pub(crate) const STEREO_48000: Recording = Recording {
    file: include_bytes!("testdata/beeps-48000-stereo.aac"),
    asc: [0x11, 0x90],
    rate: 48_000,
    channels: 2,
    tones: &[(500.0, 700.0), (300.0, 700.0)],
};

impl Recording {
    pub(crate) fn config(&self) -> Arc<AacConfig> {
        Arc::new(AacConfig::from_asc(&self.asc).unwrap())
    }

    /// The frames as units; the recording's time 0 is `start` on the stream's clock. The encoder's
    /// first frame is priming, and lies before that, as it does in what ffmpeg sends.
    pub(crate) fn units(&self, start: MediaTime) -> Vec<Unit> {
        let mut left = self.file;
        let mut units: Vec<Unit> = Vec::new();
        while !left.is_empty() {
            // ADTS (ISO/IEC 14496-3, 1.A.2): 7 bytes of header, 13 bits of length.
            let length =
                usize::from(left[3] & 3) << 11 | usize::from(left[4]) << 3 | usize::from(left[5] >> 5);
            let (frame, rest) = left.split_at(length);
            let samples = (i64::try_from(units.len()).unwrap() - 1) * 1024;
            let at = start + MediaTime::from_ticks(samples, self.rate);
            units.push(unit(at, &frame[7..]));
            left = rest;
        }
        units
    }
}

pub(crate) fn unit(at: MediaTime, payload: &[u8]) -> Unit {
    Unit {
        dts: at,
        pts: at,
        arrived: SystemClock.now(),
        key: true,
        generation: 1,
        payload: payload.to_vec().into(),
    }
}

/// Plays Opus packets: each channel's loudness in steps of one millisecond of the stream's clock.
/// Where no packet lies there is silence.
pub(crate) fn play(packets: &[Unit], channels: usize) -> Vec<Vec<f32>> {
    let mode = if channels == 1 { opus::Channels::Mono } else { opus::Channels::Stereo };
    let mut decoder = opus::Decoder::new(48_000, mode).unwrap();
    let mut heard: Vec<Vec<f32>> = vec![Vec::new(); channels];
    for packet in packets {
        let mut samples = vec![0.0; 960 * channels];
        assert_eq!(decoder.decode_float(&packet.payload, &mut samples, false).unwrap(), 960);
        let at = usize::try_from(packet.dts.as_ticks(48_000)).unwrap();
        for (channel, heard) in heard.iter_mut().enumerate() {
            if heard.len() < at + 960 {
                heard.resize(at + 960, 0.0);
            }
            for n in 0..960 {
                heard[at + n] = samples[n * channels + channel];
            }
        }
    }
    heard.iter().map(|samples| samples.chunks(48).map(loudness).collect()).collect()
}

fn loudness(samples: &[f32]) -> f32 {
    samples.iter().map(|sample| sample.abs()).fold(0.0, f32::max)
}

/// When the loudness first and last is over half of the tone's, in milliseconds.
pub(crate) fn tone(loudness: &[f32]) -> (f64, f64) {
    let loud = |level: &&f32| **level > 0.25;
    let first = loudness.iter().position(|level| loud(&level)).unwrap();
    let last = loudness.iter().rposition(|level| loud(&level)).unwrap();
    (f64::from(u32::try_from(first).unwrap()), f64::from(u32::try_from(last + 1).unwrap()))
}
