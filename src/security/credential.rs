//! What credentials are, and what they are worth by themselves: pure, told the time.

pub mod hash;
pub mod jwt;
pub mod totp;

use sha2::{Digest, Sha256};

/// What a token is known by where it is not kept: half of its SHA-256, as 32 hexadecimal digits.
pub fn print_of(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
