//! Hash tokens: whoever knows the secret may let anybody in, for ever (AMS, section "Hash-Based Token" of its guide).

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::Direction;

/// The lower-case hexadecimal SHA-256 of stream, `publish` or `play`, and secret, one behind the other.
pub fn stream_hash(stream: &str, direction: Direction, secret: &str) -> String {
    let mut hash = Sha256::new();
    for part in [stream, direction.label(), secret] {
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether `token` is that hash. A blank secret lets nobody in, for its hashes are anybody's to make.
pub fn is_stream_hash(token: &str, stream: &str, direction: Direction, secret: &str) -> bool {
    let right = stream_hash(stream, direction, secret);
    !secret.trim().is_empty() && bool::from(token.as_bytes().ct_eq(right.as_bytes()))
}
