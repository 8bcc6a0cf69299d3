//! Codes of subscribers: TOTP (RFC 6238) with HMAC-SHA1 and six digits, by secrets as AMS has them.

use base::{Secret, WallTime};
use subtle::ConstantTimeEq;
use totp_rs::{Algorithm, Builder, Totp};

use crate::Direction;

/// Letters in a group of Base32, whole groups of which a secret is made.
const GROUP: usize = 8;

/// The bytes of a code's key.
pub type Key = Secret<Vec<u8>>;

/// The key of a subscriber's `b32Secret`: Base32 (RFC 4648) without padding, of any case, in whole groups of eight.
/// `None`: it is none.
pub fn key_of_base32(text: &str) -> Option<Key> {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || (b'2'..=b'7').contains(&byte);
    if text.is_empty() || !text.len().is_multiple_of(GROUP) || !text.bytes().all(is_letter) {
        return None;
    }
    let key = totp_rs::Secret::try_from_base32(text.to_ascii_uppercase()).ok()?;
    Some(Secret::new(key.as_bytes().to_vec()))
}

/// The key of a subscriber without a secret of its own: derived from the application's, padded with `X` to whole groups.
/// `None`: the application has none.
pub fn derived_key(secret: &str, subscriber: &str, stream: &str, direction: Direction) -> Option<Key> {
    if secret.trim().is_empty() {
        return None;
    }
    let mut text = format!("{secret}{subscriber}{stream}{}", direction.label());
    while !text.len().is_multiple_of(GROUP) {
        text.push('X');
    }
    Some(Secret::new(text.into_bytes()))
}

/// The code at a time. `period_s`: how long each is the one; 0 counts as 1.
pub fn code(key: &Key, period_s: u32, at: WallTime) -> String {
    generator(key, period_s).generate(seconds(at)).to_string()
}

/// The step whose code `shown` is, if that is the step of now or the one before: a code lives for a period after it was
/// made, at least.
pub fn step_of(key: &Key, period_s: u32, shown: &str, at: WallTime) -> Option<u64> {
    let (generator, period) = (generator(key, period_s), u64::from(period_s.max(1)));
    let now = seconds(at) / period;
    let mut found = None;
    // Both are looked at whatever the first says, so that time tells nothing.
    for step in [now.checked_sub(1), Some(now)].into_iter().flatten() {
        let right = generator.generate(step.saturating_mul(period)).to_string();
        if bool::from(shown.as_bytes().ct_eq(right.as_bytes())) {
            found = Some(step);
        }
    }
    found
}

fn generator(key: &Key, period_s: u32) -> Totp {
    // AMS's secrets are shorter than the RFC wants them, so the crate must not look.
    Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(6)
        .with_step_duration(u64::from(period_s.max(1)))
        .with_secret(key.expose().clone())
        .build_noncompliant()
}

const fn seconds(at: WallTime) -> u64 {
    at.as_millis() / 1_000
}
