//! What credentials are, and what they are worth by themselves: pure, told the time.

pub mod hash;
pub mod jwt;
pub mod totp;

#[cfg(test)]
mod tests;
