//! Base64 for paths (RFC 4648 5), without padding; of all texts for the same bytes one is taken.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut group = [0; 4];
        group[1..=chunk.len()].copy_from_slice(chunk);
        let group = u32::from_be_bytes(group);
        for index in 0..=chunk.len() {
            let value = group >> (18 - 6 * index) & 0x3f;
            text.push(char::from(ALPHABET[value as usize]));
        }
    }
    text
}

/// `None` of what [`encode`] would not have written.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for chunk in text.as_bytes().chunks(4) {
        let mut group = 0;
        for (index, sign) in chunk.iter().enumerate() {
            let value = ALPHABET.iter().position(|known| known == sign)?;
            group |= u32::try_from(value).ok()? << (18 - 6 * index);
        }
        let [_, whole @ ..] = group.to_be_bytes();
        let (kept, rest) = whole.split_at_checked(chunk.len().checked_sub(1).filter(|kept| *kept > 0)?)?;
        if rest.iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend_from_slice(kept);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg"),
            (b"fo", "Zm8"),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg"),
            (&[0xfb, 0xff, 0xfe], "-__-"),
        ] {
            assert_eq!(encode(bytes), text);
            assert_eq!(decode(text).as_deref(), Some(bytes));
        }
        for other in ["Z", "Zh", "Zm9", "Zm9vY", "Zg==", "Zm 8", "+//+", "\u{e4}a"] {
            assert_eq!(decode(other), None, "{other}");
        }
    }
}
