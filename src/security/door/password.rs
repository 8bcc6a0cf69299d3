//! Passwords as AMS takes them, stored as nobody can turn back.
//!
//! AMS stores MD5 of whatever it was given, and lets in who shows x with MD5(x) or MD5(MD5(x)) in store: so a user whom a
//! panel made, which sends MD5 of what people type, gets in with either. Stored here is argon2id of that MD5.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use base::{Randomness, limits};
use cluster_model::Hidden;
use md5::{Digest, Md5};

/// OWASP's least: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const SALT_BYTES: usize = 16;

fn argon() -> Option<Argon2<'static>> {
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(MEMORY_KIB, PASSES, 1, None).ok()?))
}

fn md5(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A salt for [`stored`].
pub fn salt(randomness: &dyn Randomness) -> [u8; SALT_BYTES] {
    let mut salt = [0; SALT_BYTES];
    randomness.fill(&mut salt);
    salt
}

/// The form in which a password is stored; `None`: it is empty or too long. Takes a core for some 30 ms.
pub fn stored(given: &str, salt: &[u8]) -> Option<Hidden> {
    if given.is_empty() || given.len() > limits::PASSWORD_BYTES_MAX {
        return None;
    }
    let salt = SaltString::encode_b64(salt).ok()?;
    let hash = argon()?.hash_password(md5(given).as_bytes(), &salt).ok()?;
    Some(Hidden::new(hash.to_string()))
}

/// Whether what was given is the password. Without a stored one it takes as long and is wrong, so that nobody learns who
/// is there.
pub fn is_right(stored: Option<&Hidden>, given: &str) -> bool {
    const NOBODYS: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    if given.len() > limits::PASSWORD_BYTES_MAX {
        return false;
    }
    let text = stored.map_or(NOBODYS, Hidden::expose);
    let (Ok(hash), Some(argon)) = (PasswordHash::new(text), argon()) else { return false };
    let once = md5(given);
    let twice = md5(&once);
    let fits = |text: &str| argon.verify_password(text.as_bytes(), &hash).is_ok();
    // Not "or else": both are always looked at.
    let (once, twice) = (fits(&once), fits(&twice));
    stored.is_some() && !given.is_empty() && (once | twice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_a_panel_made_gets_in_with_what_was_typed_and_with_its_md5() {
        let by_panel = stored(&md5("secret"), &[1; 16]).unwrap();
        assert!(by_panel.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(is_right(Some(&by_panel), "secret") && is_right(Some(&by_panel), &md5("secret")));
        assert!(!is_right(Some(&by_panel), "Secret") && !is_right(Some(&by_panel), &md5(&md5("secret"))));
    }

    #[test]
    fn whom_a_script_made_gets_in_with_the_plain_text_alone() {
        let plain = stored("secret", &[1; 16]).unwrap();
        assert!(is_right(Some(&plain), "secret") && !is_right(Some(&plain), &md5("secret")));
        assert_eq!(md5("secret"), "5ebe2294ecd0e0f08eab7690d2a6ee69");
    }

    #[test]
    fn nothing_is_no_password() {
        assert!(stored("", &[1; 16]).is_none() && stored(&"x".repeat(1_025), &[1; 16]).is_none());
        assert!(!is_right(None, "") && !is_right(None, "x"));
        assert!(!is_right(Some(&Hidden::new(String::new())), "") && !is_right(Some(&Hidden::default()), "x"));
    }
}
