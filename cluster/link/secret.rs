//! The one secret that nodes of a cluster share.

use std::fmt;

use base::{Randomness, Secret, limits};
use zeroize::Zeroizing;

use crate::{LinkError, authority};

/// What a secret's text begins with, and the version of what is made from it.
const PREFIX: &str = "penstock-cluster-secret-1:";
/// What stands in front of a secret that was replaced and still opens what was sealed with it.
const OPENS: &str = "opens ";
/// Random bytes of a secret, at least; as many as [`ClusterSecret::generate`] draws.
const BYTES_MIN: usize = 32;
/// Different byte values in a secret, at least. Of 32 random ones there are fewer once in 10^23 times.
const VALUES_MIN: usize = 8;

/// A secret of the cluster. Whoever has it is a node, or gives orders to one. It is never shown, and its memory is cleared.
#[derive(Clone)]
pub struct ClusterSecret(Zeroizing<Vec<u8>>);

/// The secrets a node knows: the first is the one it shows itself with, each is accepted of others.
///
/// A secret is replaced without an interruption in three rounds of restarts: `old` becomes `old, new` on every node,
/// then `new, old`, then `new` and `opens old`: what is stored may still be sealed with the old one, which is shown and
/// accepted no more.
#[derive(Clone, Debug)]
pub struct Secrets {
    first: ClusterSecret,
    second: Option<ClusterSecret>,
    replaced: Vec<ClusterSecret>,
}

/// Why there is no secret. Holds nothing of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The text is something else.
    #[error("a cluster secret begins with `{PREFIX}`; make one with `penstock cluster secret`")]
    Prefix,
    /// What follows is not hexadecimal.
    #[error("a cluster secret has only hexadecimal digits after `{PREFIX}`, an even number of them")]
    Digits,
    /// Fewer bytes than it takes.
    #[error("a cluster secret has at least {BYTES_MIN} bytes, this one has {0}: was it cut off?")]
    Short(usize),
    /// More bytes than there may be.
    #[error("a cluster secret has at most {max} bytes", max = limits::CLUSTER_SECRET_BYTES_MAX)]
    Long,
    /// Somebody made it up.
    #[error("these are no random bytes; make a cluster secret with `penstock cluster secret`")]
    NotRandom,
    /// There is not one secret, and not two.
    #[error("there must be one line with a cluster secret, or two while it is replaced; there are {0}")]
    Count(usize),
    /// More replaced ones than may be.
    #[error("there may be at most {max} lines that begin with `{OPENS}`", max = limits::CLUSTER_SECRETS_REPLACED_MAX)]
    Replaced,
}

impl ClusterSecret {
    /// A new one.
    pub fn generate(randomness: &dyn Randomness) -> Self {
        let mut bytes = Zeroizing::new(vec![0; BYTES_MIN]);
        randomness.fill(&mut bytes);
        Self(bytes)
    }

    /// Reads its text form: the prefix `penstock-cluster-secret-1:` and at least 64 hexadecimal digits.
    ///
    /// # Errors
    /// It is not one; the error does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let digits = text.trim().strip_prefix(PREFIX).ok_or(SecretError::Prefix)?.as_bytes();
        if digits.len() / 2 > limits::CLUSTER_SECRET_BYTES_MAX {
            return Err(SecretError::Long);
        }
        let (pairs, rest) = digits.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(SecretError::Digits);
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(pairs.len()));
        for [high, low] in pairs {
            bytes.push(digit(*high)? << 4 | digit(*low)?);
        }
        if bytes.len() < BYTES_MIN {
            return Err(SecretError::Short(bytes.len()));
        }
        let mut seen = [false; 256];
        bytes.iter().for_each(|byte| seen[usize::from(*byte)] = true);
        if seen.iter().filter(|seen| **seen).count() < VALUES_MIN {
            return Err(SecretError::NotRandom);
        }
        Ok(Self(bytes))
    }

    /// Its text form: one line without its end, for a file that only the node may read.
    pub fn text(&self) -> Secret {
        let mut text = PREFIX.to_owned();
        for byte in self.0.iter() {
            text.extend(
                [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])),
            );
        }
        Secret::new(text)
    }

    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

fn digit(character: u8) -> Result<u8, SecretError> {
    match character {
        b'0'..=b'9' => Ok(character - b'0'),
        b'a'..=b'f' => Ok(character - b'a' + 10),
        b'A'..=b'F' => Ok(character - b'A' + 10),
        _ => Err(SecretError::Digits),
    }
}

impl fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Secrets {
    /// One secret.
    pub const fn one(secret: ClusterSecret) -> Self {
        Self { first: secret, second: None, replaced: Vec::new() }
    }

    /// Two, while one is replaced: `shown` is the one this node shows itself with.
    pub const fn two(shown: ClusterSecret, accepted: ClusterSecret) -> Self {
        Self { first: shown, second: Some(accepted), replaced: Vec::new() }
    }

    /// Reads one secret or two, each on a line of its own, and after `opens` those that were replaced. Empty lines and
    /// those that begin with `#` are passed over.
    ///
    /// # Errors
    /// There are more or fewer, or one is none.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let (mut found, mut replaced) = (Vec::new(), Vec::new());
        for line in lines {
            match line.strip_prefix(OPENS) {
                Some(secret) => replaced.push(ClusterSecret::parse(secret)?),
                None => found.push(ClusterSecret::parse(line)?),
            }
        }
        if replaced.len() > limits::CLUSTER_SECRETS_REPLACED_MAX {
            return Err(SecretError::Replaced);
        }
        let (count, mut found) = (found.len(), found.into_iter());
        match (found.next(), found.next(), found.next()) {
            (Some(first), second, None) => Ok(Self { first, second, replaced }),
            _ => Err(SecretError::Count(count)),
        }
    }

    /// Keys for what is stored, each derived from a secret: the first one is to seal with, each opens.
    ///
    /// # Errors
    /// None could be derived.
    pub fn sealing_keys(&self) -> Result<Vec<Zeroizing<[u8; 32]>>, LinkError> {
        self.accepted().chain(&self.replaced).map(authority::sealing_key).collect()
    }

    /// The one this node shows itself with.
    pub(crate) const fn shown(&self) -> &ClusterSecret {
        &self.first
    }

    /// Those it accepts.
    pub(crate) fn accepted(&self) -> impl Iterator<Item = &ClusterSecret> {
        std::iter::once(&self.first).chain(&self.second)
    }
}

#[cfg(test)]
mod tests {
    use base::SeededRandomness;

    use super::*;

    fn secret(seed: u64) -> ClusterSecret {
        ClusterSecret::generate(&SeededRandomness::new(seed))
    }

    #[test]
    fn a_secret_comes_back_from_its_text_and_is_never_shown() {
        let text = secret(1).text();
        let again = ClusterSecret::parse(&format!(" {}\n", text.expose())).unwrap();
        assert_eq!(again.expose(), secret(1).expose());
        assert_eq!(
            ClusterSecret::parse(&text.expose().replace("abc", "ABC")).unwrap().expose(),
            again.expose()
        );
        let secrets = Secrets::two(again.clone(), secret(2));
        assert_eq!(
            format!("{again:?} {secrets:?}"),
            "*** Secrets { first: ***, second: Some(***), replaced: [] }"
        );
    }

    #[test]
    fn one_that_was_replaced_opens_and_is_neither_shown_nor_accepted() {
        let line = |seed| secret(seed).text().expose().to_owned();
        let key_of = |seed| Secrets::one(secret(seed)).sealing_keys().unwrap().remove(0);
        let secrets = Secrets::parse(&format!("{}\nopens {}\n", line(1), line(2))).unwrap();
        assert_eq!(secrets.accepted().map(ClusterSecret::expose).collect::<Vec<_>>(), [secret(1).expose()]);
        assert_eq!(secrets.sealing_keys().unwrap(), [key_of(1), key_of(2)]);
        assert!(matches!(Secrets::parse(&format!("opens {}", line(2))), Err(SecretError::Count(0))));
        let replaced = format!("opens {}\n", line(2)).repeat(limits::CLUSTER_SECRETS_REPLACED_MAX + 1);
        let many = Secrets::parse(&format!("{}\n{replaced}", line(1)));
        assert!(matches!(many, Err(SecretError::Replaced)), "{many:?}");
    }

    #[test]
    fn what_is_no_secret_says_why_and_repeats_nothing_of_it() {
        let said = |text: &str| ClusterSecret::parse(text).expect_err("no secret").to_string();
        let digits = "ab0123456789cdef".repeat(4);
        assert!(said(&digits).contains("begins with"));
        assert!(said(&format!("{PREFIX}{}", &digits[2..])).contains("this one has 31: was it cut off?"));
        assert!(said(&format!("{PREFIX}{}", &digits[1..])).contains("an even number"));
        assert!(said(&format!("{PREFIX}{}xy", &digits[2..])).contains("hexadecimal"));
        assert!(said(&format!("{PREFIX}{}", "00".repeat(32))).contains("no random bytes"));
        assert!(said(&format!("{PREFIX}{}", "ab".repeat(200))).contains("at most 128"));
        for text in [digits.clone(), format!("{PREFIX}{}", &digits[1..])] {
            assert!(!said(&text).contains("0123"), "{}", said(&text));
        }
    }

    #[test]
    fn there_is_one_secret_or_there_are_two() {
        let (old, new) = (secret(1).text(), secret(2).text());
        let two = format!("# replaced in May\n{}\n\n{}\n", old.expose(), new.expose());
        let read = Secrets::parse(&two).unwrap();
        assert_eq!(read.shown().expose(), secret(1).expose());
        assert_eq!(read.accepted().count(), 2);
        assert_eq!(Secrets::parse(old.expose()).unwrap().accepted().count(), 1);

        let said = |text: &str| Secrets::parse(text).expect_err("refused").to_string();
        assert!(said(&two[..two.len() - 9]).contains("this one has 28"));
        assert!(said("").contains("there are 0"));
        assert!(said(&two.repeat(2)).contains("there are 4"));
    }
}
