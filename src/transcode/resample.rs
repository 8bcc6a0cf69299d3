//! 44.1 kHz to 48 kHz.

use std::f64::consts::PI;
use std::sync::{Arc, OnceLock};

/// 48,000 to 44,100 as a fraction in lowest terms: so many output samples ...
const UP: usize = 160;
/// ... for so many input samples.
const DOWN: usize = 147;
/// Input samples behind one output sample. 64 with the window below fall off over 3.5 kHz.
const TAPS: usize = 64;
/// Half amplitude, as a part of the input's Nyquist frequency (22.05 kHz): flat to 18.6 kHz, nothing
/// left from 22.05 kHz on. Opus itself ends at 20 kHz.
const CUTOFF: f64 = 0.92;
/// Kaiser window: 80 dB of stop band.
const BETA: f64 = 8.0;

type Kernel = [[f32; TAPS]; UP];

/// A polyphase resampler for one track. Its output sample `n` is the input at `n * 147 / 160`
/// exactly: the filter is symmetric, and its delay is taken out.
#[derive(Clone, Debug)]
pub(crate) struct Resampler {
    kernel: Arc<Kernel>,
    /// Input not used up yet, per channel. The first `TAPS / 2 - 1` samples lie before the one the next
    /// output sample begins at.
    held: Vec<Vec<f32>>,
    /// The next output sample's place behind the first held one, in parts of `UP`.
    phase: usize,
}

impl Resampler {
    pub(crate) fn new(channels: usize) -> Self {
        let silence = vec![0.0; TAPS / 2 - 1];
        Self { kernel: kernel(), held: vec![silence; channels], phase: 0 }
    }

    /// Takes input (one slice per channel, of one length) and appends to `out` what follows from it,
    /// interleaved. The newest `TAPS / 2` input samples wait for what comes behind them.
    pub(crate) fn push<T: AsRef<[f32]>>(&mut self, input: &[T], out: &mut Vec<f32>) {
        for (held, new) in self.held.iter_mut().zip(input) {
            held.extend_from_slice(new.as_ref());
        }
        let length = self.held.iter().map(Vec::len).min().unwrap_or(0);
        let mut at = 0;
        while at + TAPS <= length {
            let taps = &self.kernel[self.phase];
            for held in &self.held {
                out.push(held[at..at + TAPS].iter().zip(taps).map(|(sample, tap)| sample * tap).sum());
            }
            self.phase += DOWN;
            at += self.phase / UP;
            self.phase %= UP;
        }
        for held in &mut self.held {
            held.drain(..at.min(length));
        }
    }
}

/// The filter's 160 phases, made once per process.
fn kernel() -> Arc<Kernel> {
    static KERNEL: OnceLock<Arc<Kernel>> = OnceLock::new();
    Arc::clone(KERNEL.get_or_init(|| {
        let mut kernel = [[0.0; TAPS]; UP];
        for (phase, taps) in kernel.iter_mut().enumerate() {
            let weights: Vec<f64> = (0..TAPS).map(|tap| weight(tap, phase)).collect();
            // Every phase passes a constant unchanged, or they would hum at 300 Hz.
            let sum: f64 = weights.iter().sum();
            for (tap, weight) in taps.iter_mut().zip(weights) {
                #[expect(clippy::cast_possible_truncation, reason = "a filter weight below 1")]
                let rounded = (weight / sum) as f32;
                *tap = rounded;
            }
        }
        Arc::new(kernel)
    }))
}

#[expect(clippy::cast_precision_loss, reason = "both are below 200")]
fn weight(tap: usize, phase: usize) -> f64 {
    let distance = tap as f64 - (TAPS / 2 - 1) as f64 - phase as f64 / UP as f64;
    let x = PI * CUTOFF * distance;
    let sinc = if x.abs() < 1e-9 { 1.0 } else { x.sin() / x };
    let place = distance / (TAPS / 2) as f64;
    sinc * bessel(BETA * (1.0 - place * place).max(0.0).sqrt())
}

/// The modified Bessel function of order 0, which makes the Kaiser window.
fn bessel(x: f64) -> f64 {
    let mut sum = 1.0;
    let mut term = 1.0;
    for k in 1..40 {
        let factor = x / (2.0 * f64::from(k));
        term *= factor * factor;
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "test signals")]
    fn sine(hz: f64, rate: f64, samples: usize) -> Vec<f32> {
        (0..samples).map(|n| (2.0 * PI * hz * n as f64 / rate).sin() as f32).collect()
    }

    fn resample(input: &[f32], piece: usize) -> Vec<f32> {
        let mut resampler = Resampler::new(1);
        let mut out = Vec::new();
        for piece in input.chunks(piece) {
            resampler.push(&[piece], &mut out);
        }
        out
    }

    #[test]
    fn tones_stay_what_and_where_they_are() {
        for hz in [50.0, 1_000.0, 10_000.0, 18_000.0] {
            let got = resample(&sine(hz, 44_100.0, 44_100), 1024);
            let want = sine(hz, 48_000.0, 48_000);
            assert!(got.len() > 47_900 && got.len() <= 48_000, "{}", got.len());
            let worst = got[100..].iter().zip(&want[100..]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 0.002, "{hz} Hz: {worst}");
        }
    }

    #[test]
    fn the_pieces_do_not_matter() {
        let input = sine(440.0, 44_100.0, 5_000);
        assert_eq!(resample(&input, 5_000), resample(&input, 7));
    }

    #[test]
    fn channels_stay_apart() {
        let mut out = Vec::new();
        Resampler::new(2).push(&[vec![0.5; 500], vec![-0.25; 500]], &mut out);
        for pair in out[200..].chunks(2) {
            assert!((pair[0] - 0.5).abs() < 1e-4 && (pair[1] + 0.25).abs() < 1e-4, "{pair:?}");
        }
    }
}
