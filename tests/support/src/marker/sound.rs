//! The sound: silence, and a beep of 1 kHz that begins with every flash.

use std::time::Duration;

use super::{FLASH_LENGTH, FLASH_PERIOD};

const TONE_HZ: f64 = 1_000.0;
const LOUDNESS: f64 = 0.5;
/// A beep begins and ends within this time: soft enough not to crack, steep enough to be timed.
const SLOPE_SECONDS: f64 = 0.001;

/// Makes interleaved 16-bit samples, little endian.
pub struct Sound {
    rate: u32,
    channels: u16,
    next: u64,
    /// Samples from one beep to the next.
    period: u64,
}

impl Sound {
    /// Sound of `rate` samples per second.
    pub const fn new(rate: u32, channels: u16) -> Self {
        Self { rate, channels, next: 0, period: FLASH_PERIOD.as_secs() * rate as u64 }
    }

    /// The same with a beep every `period`, for flashes that come a little later than every 2 s.
    #[must_use]
    pub fn every(mut self, period: Duration) -> Self {
        let samples = period.as_nanos() * u128::from(self.rate);
        self.period = u64::try_from((samples + 500_000_000) / 1_000_000_000).unwrap_or(u64::MAX);
        self
    }

    /// The number of the next sample (of each channel) from the start.
    pub const fn position(&self) -> u64 {
        self.next
    }

    /// Appends the next `count` samples of each channel to `out`.
    pub fn write(&mut self, count: u64, out: &mut Vec<u8>) {
        for index in self.next..self.next + count {
            let level = (self.level(index) * f64::from(i16::MAX)) as i16;
            for _ in 0..self.channels {
                out.extend_from_slice(&level.to_le_bytes());
            }
        }
        self.next += count;
    }

    fn level(&self, index: u64) -> f64 {
        let phase = index % self.period;
        let Some(since) = phase.checked_sub(self.period / 2) else { return 0.0 };
        let seconds = since as f64 / f64::from(self.rate);
        let left = FLASH_LENGTH.as_secs_f64() - seconds;
        if left <= 0.0 {
            return 0.0;
        }
        let slope = (seconds / SLOPE_SECONDS).min(left / SLOPE_SECONDS).min(1.0);
        LOUDNESS * slope * (std::f64::consts::TAU * TONE_HZ * seconds).sin()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beep_begins_at_the_very_sample_of_the_flash() {
        for rate in [44_100, 48_000] {
            let mut sound = Sound::new(rate, 1);
            let mut bytes = Vec::new();
            sound.write(u64::from(rate) * 4, &mut bytes);
            let heard: Vec<usize> = bytes
                .chunks_exact(2)
                .enumerate()
                .filter(|(_, b)| i16::from_le_bytes([b[0], b[1]]) != 0)
                .map(|(index, _)| index)
                .collect();
            let rate = rate as usize;
            assert!((heard[0] - rate) * 1000 / rate < 1, "first beep at sample {}", heard[0]);
            let second = heard.iter().find(|&&index| index > 2 * rate).unwrap();
            assert!((second - 3 * rate) * 1000 / rate < 1, "second beep at sample {second}");
            assert!(*heard.last().unwrap() < 3 * rate + rate / 10);
        }
    }

    #[test]
    fn both_channels_say_the_same() {
        let mut sound = Sound::new(48_000, 2);
        let mut bytes = Vec::new();
        sound.write(50_000, &mut bytes);
        assert_eq!(bytes.len(), 200_000);
        assert!(bytes.chunks_exact(4).all(|sample| sample[..2] == sample[2..]));
        assert_eq!(sound.position(), 50_000);
    }
}
