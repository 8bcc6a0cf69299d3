//! What credentials are, and what they are worth by themselves: pure, told the time.

pub mod hash;
pub mod jwt;
pub mod totp;

use sha2::{Digest, Sha256};

/// What a text is known by where it must not be kept: half of its SHA-256.
pub(crate) fn half_digest(text: &str) -> [u8; 16] {
    let hash = Sha256::digest(text.as_bytes());
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    half
}

/// What a token is known by where it is not kept: half of its SHA-256, as 32 hexadecimal digits.
pub fn print_of(token: &str) -> String {
    half_digest(token).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
