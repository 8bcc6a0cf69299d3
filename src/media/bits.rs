//! Bits of a header, most significant first, and the Exp-Golomb codes of H.264.

/// The header ended before its last field, or a code in it is longer than 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfBits;

/// Reads bits from the front of a slice.
#[derive(Clone, Debug)]
pub(crate) struct Bits<'a> {
    data: &'a [u8],
    /// Bits taken so far.
    position: usize,
}

impl<'a> Bits<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self { data, position: 0 }
    }

    /// Bits not taken yet.
    pub(crate) fn left(&self) -> usize {
        self.data.len() * 8 - self.position
    }

    pub(crate) fn flag(&mut self) -> Result<bool, OutOfBits> {
        let byte = self.data.get(self.position / 8).ok_or(OutOfBits)?;
        let bit = byte >> (7 - self.position % 8) & 1;
        self.position += 1;
        Ok(bit == 1)
    }

    /// The next `count` bits, at most 32.
    pub(crate) fn take(&mut self, count: u32) -> Result<u32, OutOfBits> {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u32::from(self.flag()?);
        }
        Ok(value)
    }

    pub(crate) fn skip(&mut self, count: usize) -> Result<(), OutOfBits> {
        if count > self.left() {
            return Err(OutOfBits);
        }
        self.position += count;
        Ok(())
    }

    /// `ue(v)` of H.264 9.1.
    pub(crate) fn unsigned(&mut self) -> Result<u32, OutOfBits> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return Err(OutOfBits);
            }
        }
        // At most 31 ones in front of 31 bits: the sum fits.
        Ok((1_u32 << zeros) - 1 + self.take(zeros)?)
    }

    /// `se(v)` of H.264 9.1.1.
    pub(crate) fn signed(&mut self) -> Result<i64, OutOfBits> {
        let code = i64::from(self.unsigned()?);
        Ok(if code % 2 == 1 { (code + 1) / 2 } else { -(code / 2) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golomb_codes_of_the_specification() {
        // Table 9-2: 1, 010, 011, 00100, 00101 are 0..4.
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let codes: Vec<_> = (0..5).map(|_| bits.unsigned().unwrap()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4]);
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let codes: Vec<_> = (0..5).map(|_| bits.signed().unwrap()).collect();
        assert_eq!(codes, [0, 1, -1, 2, -2]);
    }

    #[test]
    fn a_code_without_end_is_refused() {
        assert_eq!(Bits::new(&[0; 64]).unsigned(), Err(OutOfBits));
        assert_eq!(Bits::new(&[0; 3]).unsigned(), Err(OutOfBits));
        assert_eq!(Bits::new(&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]).unsigned(), Ok(u32::MAX - 1));
        assert_eq!(Bits::new(&[1]).take(9), Err(OutOfBits));
    }
}
