//! Secrets as they are stored: sealed, so that who reads a disk, a backup or the database reads none.
//!
//! What is sealed is settings as a whole, the secrets of subscribers, the passwords of cameras, where streams are pushed to, and
//! URLs that carry a secret. It is done by the façades, before anything is
//! proposed, and undone behind what is read: the log, the state, snapshots, copies, messages between nodes and the
//! projection hold only what is sealed. Keys are of whoever starts the node; every node of a cluster has the same.
//!
//! The form is `sealed:1:` and base64 (RFC 4648 5, no padding) of: 4 bytes that say which key, 12 of nonce, and what
//! AES-256-GCM made of the text. What it belongs to is authenticated beside it, so that what is sealed for one
//! subscriber opens for no other.

use std::fmt;

use base::Randomness;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::FormatError;

/// What every sealed text begins with, whatever its form; no secret in clear does, since it is base32.
const SEALED: &str = "sealed:";
/// What one of this form begins with.
const PREFIX: &str = "sealed:1:";
const NAME_BYTES: usize = 4;

/// Whether a text is sealed, or looks as if.
pub(crate) fn is_sealed(text: &str) -> bool {
    text.starts_with(SEALED)
}

/// A key for [`Seals`].
pub type SealingKey = Zeroizing<[u8; 32]>;

/// The keys of a node: it seals with the first, and opens with each.
pub struct Seals {
    first: Key,
    others: Vec<Key>,
}

struct Key {
    name: [u8; NAME_BYTES],
    key: LessSafeKey,
}

impl fmt::Debug for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seals({} keys)", self.others.len() + 1)
    }
}

impl Key {
    fn new(bytes: &SealingKey) -> Option<Self> {
        let mut name = [0; NAME_BYTES];
        let digest = Sha256::new().chain(b"the name of a sealing key").chain(**bytes).finalize();
        name.copy_from_slice(digest.get(..NAME_BYTES)?);
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &**bytes).ok()?);
        Some(Self { name, key })
    }
}

impl Seals {
    /// Those of `first`, with which it seals, and `others`, with which it only opens. `None`: a key is none.
    pub fn new<'a>(first: &SealingKey, others: impl IntoIterator<Item = &'a SealingKey>) -> Option<Self> {
        let others = others.into_iter().map(Key::new).collect::<Option<_>>()?;
        Some(Self { first: Key::new(first)?, others })
    }

    /// Seals a text that belongs to `owner`.
    ///
    /// # Errors
    /// It is too large for the cipher: 64 GiB.
    pub(crate) fn seal(
        &self,
        owner: &str,
        text: &[u8],
        randomness: &dyn Randomness,
    ) -> Result<String, FormatError> {
        let mut nonce = [0; NONCE_LEN];
        randomness.fill(&mut nonce);
        let mut body = text.to_vec();
        self.first
            .key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(owner), &mut body)
            .map_err(|_| FormatError::Malformed("too large to be sealed".to_owned()))?;
        let sealed = [&self.first.name[..], &nonce[..], &body].concat();
        Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// What `text` was before it was sealed for `owner`; `None`: it is not sealed.
    ///
    /// # Errors
    /// It was sealed with another key ([`FormatError::Sealed`]), for somebody else, in a form that this program does not
    /// know, or was changed.
    pub(crate) fn open(&self, owner: &str, text: &str) -> Result<Option<Zeroizing<Vec<u8>>>, FormatError> {
        if !is_sealed(text) {
            return Ok(None);
        }
        let broken = || FormatError::Malformed(format!("what is sealed for {owner} was changed or cut off"));
        // Taken for one in clear, what a newer program sealed would be a secret by itself.
        let sealed = text.strip_prefix(PREFIX).ok_or_else(broken)?;
        let sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| broken())?;
        let (name, sealed) = sealed.split_first_chunk::<NAME_BYTES>().ok_or_else(broken)?;
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(broken)?;
        let key = std::iter::once(&self.first).chain(&self.others).find(|key| key.name == *name);
        let key = key.ok_or_else(|| FormatError::Sealed { key: hex(name), own: hex(&self.first.name) })?;
        let mut body = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let len = key.key.open_in_place(nonce, Aad::from(owner), &mut body).map_err(|_| broken())?.len();
        body.truncate(len);
        Ok(Some(body))
    }

    /// The same for what was text.
    pub(crate) fn open_text(&self, owner: &str, text: &str) -> Result<Option<String>, FormatError> {
        let Some(opened) = self.open(owner, text)? else { return Ok(None) };
        let opened = str::from_utf8(&opened).map_err(|error| FormatError::Malformed(error.to_string()))?;
        Ok(Some(opened.to_owned()))
    }

    /// Whether `text` was sealed with the key that is used now.
    pub(crate) fn is_sealed_now(&self, text: &str) -> bool {
        let named = text.strip_prefix(PREFIX).and_then(|sealed| URL_SAFE_NO_PAD.decode(sealed).ok());
        named.is_some_and(|sealed| sealed.starts_with(&self.first.name))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use base::SeededRandomness;

    use super::*;

    fn key(of: u8) -> SealingKey {
        Zeroizing::new([of; 32])
    }

    #[test]
    fn what_is_sealed_shows_nothing_and_opens_for_its_owner_only() {
        let seals = Seals::new(&key(1), []).unwrap();
        let randomness = SeededRandomness::new(1);
        let sealed = seals.seal("LiveApp", b"hunter2", &randomness).unwrap();
        assert!(sealed.starts_with("sealed:1:") && !sealed.contains("hunter2"), "{sealed}");
        assert_ne!(sealed, seals.seal("LiveApp", b"hunter2", &randomness).unwrap());
        assert_eq!(seals.open("LiveApp", &sealed).unwrap().as_deref(), Some(&b"hunter2".to_vec()));
        assert!(seals.open("OtherApp", &sealed).is_err());
        assert_eq!(seals.open("LiveApp", "hunter2"), Ok(None));
        assert!(seals.open("LiveApp", &sealed.replace(":1:", ":2:")).is_err());
        for end in [9, 20, sealed.len() - 2] {
            assert!(seals.open("LiveApp", &sealed[..end]).is_err(), "{end}");
        }
        let changed = sealed.replace(&sealed[30..32], "__");
        assert!(seals.open("LiveApp", &changed).is_err());
    }

    #[test]
    fn a_key_that_was_replaced_opens_and_seals_no_more() {
        let randomness = SeededRandomness::new(1);
        let old = Seals::new(&key(1), []).unwrap();
        let (both, new) = (Seals::new(&key(2), [&key(1)]).unwrap(), Seals::new(&key(2), []).unwrap());
        let before = old.seal("a", b"text", &randomness).unwrap();
        let after = both.seal("a", b"text", &randomness).unwrap();
        assert!(old.is_sealed_now(&before) && !both.is_sealed_now(&before) && both.is_sealed_now(&after));
        for sealed in [&before, &after] {
            assert_eq!(both.open("a", sealed).unwrap().as_deref(), Some(&b"text".to_vec()));
        }
        assert!(new.open("a", &after).is_ok());
        let said = new.open("a", &before).unwrap_err();
        assert!(matches!(&said, FormatError::Sealed { key, own } if key != own), "{said}");
        assert_eq!(format!("{both:?}"), "Seals(2 keys)");
    }
}
