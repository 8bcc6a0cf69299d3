//! Draws the frames: code, digits, a ball, running colour bars and the flash.

use base::{Randomness, SeededRandomness};

use super::code::{self, CODE_CELLS, CODE_ROWS, Reading};
use super::font::{GLYPH_HEIGHT, GLYPH_WIDTH, glyph};
use super::{FLASH_LENGTH, FLASH_PERIOD};

/// Cells across the picture: every place below is given in cells.
const CELLS_ACROSS: usize = 40;
/// Rows of cells that the colour bars and their noise fill.
const NOISE_ROWS: usize = 5;

#[derive(Clone, Copy)]
struct Colour(u8, u8, u8);

/// Video range of BT.601, as ffmpeg takes raw yuv420p.
const BLACK: Colour = Colour(16, 128, 128);
const WHITE: Colour = Colour(235, 128, 128);
const NIGHT: Colour = Colour(32, 140, 122);
const BALL: Colour = Colour(180, 60, 150);
const FLASH_OFF: Colour = Colour(44, 128, 128);
const BARS: [Colour; 8] = [
    Colour(180, 128, 128),
    Colour(162, 44, 142),
    Colour(131, 156, 44),
    Colour(112, 72, 58),
    Colour(84, 184, 198),
    Colour(65, 100, 212),
    Colour(35, 212, 114),
    Colour(60, 128, 128),
];

/// Draws one frame after the other into a yuv420p buffer.
pub struct Picture {
    width: usize,
    height: usize,
    fps: u32,
    cell: usize,
    background: Vec<u8>,
    frame: Vec<u8>,
    /// What is added to the brightness of the bars, a different part of it each frame; empty: nothing.
    noise: Vec<u8>,
}

impl Picture {
    /// A picture of `width` (a multiple of 80, so that cells are whole and even) times `height` (even, at
    /// least 22 cells) pixels; `None` for other sizes.
    pub fn new(width: usize, height: usize, fps: u32) -> Option<Self> {
        let cell = width / CELLS_ACROSS;
        if cell == 0
            || !width.is_multiple_of(2 * CELLS_ACROSS)
            || !height.is_multiple_of(2)
            || height < 22 * cell
            || fps == 0
        {
            return None;
        }
        let mut picture = Self {
            width,
            height,
            fps,
            cell,
            background: Vec::new(),
            frame: vec![0; width * height * 3 / 2],
            noise: Vec::new(),
        };
        picture.rectangle(0, 0, width, height, NIGHT);
        picture.rectangle(0, 0, width, (CODE_ROWS + 2) * cell, BLACK);
        picture.background = picture.frame.clone();
        Some(picture)
    }

    /// The same with noise in the colour bars, up to `strength` levels of brightness: an encoder then needs
    /// the rate it may have.
    #[must_use]
    pub fn with_noise(mut self, strength: u8) -> Self {
        let mut noise = vec![0; if strength == 0 { 0 } else { 2 * NOISE_ROWS * self.cell * self.width }];
        SeededRandomness::new(1).fill(&mut noise);
        noise.iter_mut().for_each(|level| *level = (u16::from(*level) * u16::from(strength) / 255) as u8);
        self.noise = noise;
        self
    }

    /// The bytes of frame `number`, made at `wall_ms` (milliseconds since 1970).
    pub fn draw(&mut self, number: u32, wall_ms: u64) -> &[u8] {
        self.frame.copy_from_slice(&self.background);
        self.bars(number);
        self.noise(number);
        self.ball(number);
        self.digits(number, wall_ms);
        if self.flashes(number) {
            let cell = self.cell;
            self.rectangle(26 * cell, 5 * cell, 12 * cell, 8 * cell, WHITE);
        } else {
            let cell = self.cell;
            self.rectangle(26 * cell, 5 * cell, 12 * cell, 8 * cell, FLASH_OFF);
        }
        // Cut to the code's 24 and 32 bits.
        self.code(Reading { frame: number & 0x00ff_ffff, clock_ms: wall_ms as u32 });
        &self.frame
    }

    /// Whether frame `number` shows the flash.
    pub fn flashes(&self, number: u32) -> bool {
        let period = FLASH_PERIOD.as_secs() as u32 * self.fps;
        let length = (u128::from(self.fps) * FLASH_LENGTH.as_millis()).div_ceil(1000) as u32;
        let phase = number % period;
        (period / 2..period / 2 + length).contains(&phase)
    }

    /// Reads the code of a frame's luma plane; `None` without a whole code.
    pub fn read(width: usize, luma: &[u8]) -> Option<Reading> {
        let cell = width / CELLS_ACROSS;
        let mut brightness = [0; CODE_CELLS * CODE_ROWS];
        for (index, level) in brightness.iter_mut().enumerate() {
            let x = cell * (1 + index % CODE_CELLS) + cell / 2;
            let y = cell * (1 + index / CODE_CELLS) + cell / 2;
            *level = *luma.get(y * width + x)?;
        }
        code::read(&brightness)
    }

    /// Whether a frame's luma plane shows the flash.
    pub fn shows_flash(width: usize, luma: &[u8]) -> bool {
        let cell = width / CELLS_ACROSS;
        luma.get(9 * cell * width + 32 * cell).is_some_and(|&level| level > 140)
    }

    fn code(&mut self, reading: Reading) {
        let cell = self.cell;
        for (index, white) in code::cells(reading).into_iter().enumerate() {
            let x = cell * (1 + index % CODE_CELLS);
            let y = cell * (1 + index / CODE_CELLS);
            self.rectangle(x, y, cell, cell, if white { WHITE } else { BLACK });
        }
    }

    fn bars(&mut self, number: u32) {
        let (width, cell) = (self.width, self.cell);
        let bar = width / BARS.len();
        let shift = 4 * number as usize % width;
        for (index, &colour) in BARS.iter().enumerate() {
            let x = ((index * bar + shift) % width) & !1;
            let first = bar.min(width - x);
            self.rectangle(x, 17 * cell, first, 5 * cell, colour);
            self.rectangle(0, 17 * cell, bar - first, 5 * cell, colour);
        }
    }

    fn noise(&mut self, number: u32) {
        let length = self.noise.len() / 2;
        if length == 0 {
            return;
        }
        // A prime: the noise comes back after many frames only.
        let from = number as usize * 7_919 % length;
        let start = 17 * self.cell * self.width;
        for (level, more) in self.frame.iter_mut().skip(start).take(length).zip(self.noise.iter().skip(from))
        {
            *level = level.saturating_add(*more);
        }
    }

    /// A ball that crosses the left part of the picture in two seconds and comes back.
    fn ball(&mut self, number: u32) {
        let (cell, period) = (self.cell, 4 * self.fps);
        let phase = number % period;
        let way = phase.min(period - phase) as usize;
        let x = 2 * cell + 20 * cell * way / (period as usize / 2);
        // Bounces four times on its way.
        let step = (8 * phase) % (2 * period);
        let rise = step.min(2 * period - step) as usize;
        let y = 12 * cell + 3 * cell * rise / period as usize;
        let radius = cell as isize;
        for row in (-radius..radius).step_by(2) {
            let half = ((radius * radius - row * row) as f64).sqrt() as usize & !1;
            let top = y.saturating_add_signed(row) & !1;
            self.rectangle((x & !1).saturating_sub(half), top, 2 * half, 2, BALL);
        }
    }

    fn digits(&mut self, number: u32, wall_ms: u64) {
        let cell = self.cell;
        let seconds = wall_ms / 1000;
        let (h, m, s) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        self.text(2 * cell, 5 * cell, &format!("{h:02}:{m:02}:{s:02}.{:03}", wall_ms % 1000));
        self.text(2 * cell, 9 * cell, &format!("#{number:06}"));
    }

    fn text(&mut self, left: usize, top: usize, text: &str) {
        let dot = (self.cell / 3).max(2) & !1;
        for (index, character) in text.chars().enumerate() {
            let x = left + index * dot * (GLYPH_WIDTH + 1);
            for (row, bits) in glyph(character).into_iter().enumerate().take(GLYPH_HEIGHT) {
                for column in (0..GLYPH_WIDTH).filter(|column| bits & (0x10 >> column) != 0) {
                    self.rectangle(x + column * dot, top + row * dot, dot, dot, WHITE);
                }
            }
        }
    }

    /// Fills a rectangle; all numbers even, as 4:2:0 chroma wants it. What stands outside is cut off.
    fn rectangle(&mut self, x: usize, y: usize, width: usize, height: usize, colour: Colour) {
        let right = (x + width).min(self.width);
        let bottom = (y + height).min(self.height);
        if x >= right || y >= bottom {
            return;
        }
        for row in y..bottom {
            self.frame[row * self.width + x..row * self.width + right].fill(colour.0);
        }
        let (luma, half) = (self.width * self.height, self.width / 2);
        for (plane, level) in [(luma, colour.1), (luma + luma / 4, colour.2)] {
            for row in y / 2..bottom / 2 {
                self.frame[plane + row * half + x / 2..plane + row * half + right / 2].fill(level);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_says_its_number_and_its_time_in_every_size() {
        for (width, height) in [(320, 180), (640, 360), (1280, 720), (1920, 1080)] {
            let mut picture = Picture::new(width, height, 30).unwrap();
            for number in [0, 1, 29, 30, 33, 100_000] {
                let wall = 1_764_000_000_000 + u64::from(number) * 33;
                let flashes = picture.flashes(number);
                let frame = picture.draw(number, wall);
                assert_eq!(frame.len(), width * height * 3 / 2);
                assert_eq!(
                    Picture::read(width, frame),
                    Some(Reading { frame: number, clock_ms: wall as u32 })
                );
                assert_eq!(Picture::shows_flash(width, frame), flashes, "frame {number}");
            }
        }
    }

    #[test]
    fn a_flash_lasts_a_tenth_of_a_second_every_two_seconds() {
        let picture = Picture::new(1280, 720, 30).unwrap();
        let flashing: Vec<u32> = (0..130).filter(|&n| picture.flashes(n)).collect();
        assert_eq!(flashing, [30, 31, 32, 90, 91, 92]);
    }

    #[test]
    fn sizes_whose_cells_are_not_whole_are_refused() {
        assert!(Picture::new(1000, 720, 30).is_none());
        assert!(Picture::new(1280, 100, 30).is_none());
        assert!(Picture::new(0, 0, 30).is_none());
    }
}
