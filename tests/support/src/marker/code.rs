//! The machine-readable part of the picture: two rows of black and white cells.
//!
//! Four cells of reference (white, black, white, black), then 72 bits, most significant first: frame
//! number (24), wall clock in ms modulo 2^32 (32), CRC-16/CCITT-FALSE over those seven bytes (16). The
//! picture is 40 cells wide; the code begins one cell from the top and the left. `measure.js` reads the
//! same layout.

/// Cells of one row of the code.
pub const CODE_CELLS: usize = 38;
/// Rows of the code.
pub const CODE_ROWS: usize = 2;

const REFERENCE: [bool; 4] = [true, false, true, false];
const BITS: usize = CODE_CELLS * CODE_ROWS - REFERENCE.len();

/// What a picture says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The frame's number, from 0, modulo 2^24 (6 days at 30 frames per second).
    pub frame: u32,
    /// The wall clock when the frame was made, in milliseconds, modulo 2^32.
    pub clock_ms: u32,
}

/// The cells of a frame, row after row; `true` is white.
pub fn cells(reading: Reading) -> [bool; CODE_CELLS * CODE_ROWS] {
    let bytes = payload(reading);
    let mut cells = [false; CODE_CELLS * CODE_ROWS];
    let (reference, bits) = cells.split_at_mut(REFERENCE.len());
    reference.copy_from_slice(&REFERENCE);
    for (index, cell) in bits.iter_mut().enumerate() {
        *cell = bytes[index / 8] & (0x80 >> (index % 8)) != 0;
    }
    cells
}

/// Reads the brightness of the cells (their middles); `None` when the checksum does not hold.
pub fn read(brightness: &[u8; CODE_CELLS * CODE_ROWS]) -> Option<Reading> {
    let (reference, bits) = brightness.split_at(REFERENCE.len());
    let white = u16::from(reference[0]) + u16::from(reference[2]);
    let black = u16::from(reference[1]) + u16::from(reference[3]);
    let threshold = (white + black) / 4;
    let mut bytes = [0u8; BITS / 8];
    for (index, &level) in bits.iter().enumerate() {
        if u16::from(level) > threshold {
            bytes[index / 8] |= 0x80 >> (index % 8);
        }
    }
    let reading = Reading {
        frame: u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]),
        clock_ms: u32::from_be_bytes([bytes[3], bytes[4], bytes[5], bytes[6]]),
    };
    (payload(reading) == bytes).then_some(reading)
}

fn payload(reading: Reading) -> [u8; BITS / 8] {
    let [_, f0, f1, f2] = reading.frame.to_be_bytes();
    let [c0, c1, c2, c3] = reading.clock_ms.to_be_bytes();
    let said = [f0, f1, f2, c0, c1, c2, c3];
    let [high, low] = crc16(&said).to_be_bytes();
    [f0, f1, f2, c0, c1, c2, c3, high, low]
}

/// CRC-16/CCITT-FALSE: polynomial 0x1021, start 0xffff.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, &byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dimmed(reading: Reading) -> [u8; CODE_CELLS * CODE_ROWS] {
        cells(reading).map(|white| if white { 190 } else { 60 })
    }

    #[test]
    fn the_checksum_is_the_published_one() {
        assert_eq!(crc16(b"123456789"), 0x29b1);
    }

    #[test]
    fn a_code_reads_back_in_a_dim_picture() {
        for reading in [
            Reading { frame: 0, clock_ms: 0 },
            Reading { frame: 0x00ff_ffff, clock_ms: u32::MAX },
            Reading { frame: 1_800, clock_ms: 0x1234_5678 },
        ] {
            assert_eq!(read(&dimmed(reading)), Some(reading));
        }
    }

    #[test]
    fn one_wrong_cell_is_noticed() {
        let sound = dimmed(Reading { frame: 77, clock_ms: 99 });
        for cell in REFERENCE.len()..sound.len() {
            let mut broken = sound;
            broken[cell] = 250 - broken[cell];
            assert_eq!(read(&broken), None, "cell {cell}");
        }
    }

    #[test]
    fn a_picture_without_a_code_is_not_read() {
        assert_eq!(read(&[0; CODE_CELLS * CODE_ROWS]), None);
        assert_eq!(read(&[128; CODE_CELLS * CODE_ROWS]), None);
    }
}
