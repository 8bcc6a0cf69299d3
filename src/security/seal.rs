//! Seals: what a node lets a player carry about, so that any node of the cluster knows it again without asking anybody.
//!
//! | | stands in | for | holds |
//! |---|---|---|---|
//! | a *sealed permit* (`ps`) | the path of playlists | one player of one stream | [`limits::SEALED_PERMIT_LIFE_MAX`] at most |
//! | a *segment's signature* | the path of segments | whoever has it, the same for all | [`limits::SEGMENT_SIGNATURE_LIFE_MAX`] at most |
//!
//! Keys are derived from one secret of the application, which all nodes have, by HKDF (RFC 5869): for the application, the
//! purpose and the day. A permit opens under the key of its day and the day after, a signature's day is that of its end;
//! so two keys are live at any time and nothing has to be stored. Application and stream are not written but
//! authenticated: they stand in the path beside it.
//!
//! Pure: told the time, without I/O. What is opened here is what was sealed, no more: whether the subscriber is blocked by
//! now, or the settings have changed, is the gate's to ask.

mod text;

use base::{AppName, Randomness, Secret, SessionId, StreamId, WallTime, limits};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::{digest, hmac};
use subtle::ConstantTimeEq;

const DAY_S: u64 = 24 * 3_600;
/// How far another node's clock may be ahead.
const CLOCK_SLACK_S: u64 = 60;
const KEY_BYTES: usize = 32;
/// The form of what is sealed, and the first byte of it.
const FORM: u8 = 1;
/// Of a signature (RFC 2104 5 allows half of it).
const SIGNATURE_BYTES: usize = 16;
/// Seconds since 1970 as they are written.
const SECONDS_BYTES: usize = 5;
/// Longer names of subscribers are written as their digest.
const SUBSCRIBER_BYTES_MAX: usize = 72;

/// Why a seal is not taken. Nobody is told which of these it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It is no seal: its form is not that of one.
    #[error("this is no seal")]
    Malformed,
    /// It was made for something else, by somebody else, or was changed.
    #[error("the seal is broken")]
    Broken,
    /// Its time is over, or not yet come.
    #[error("the seal does not hold now")]
    NotNow,
}

/// A subscriber as a seal knows it.
#[derive(Clone, PartialEq, Eq)]
pub enum SealedSubscriber {
    /// By its id.
    Named(String),
    /// By a digest of its id, which is too long to be written.
    Digest([u8; 16]),
}

impl SealedSubscriber {
    /// The subscriber of that id.
    pub fn of(id: &str) -> Self {
        if id.len() <= SUBSCRIBER_BYTES_MAX {
            return Self::Named(id.to_owned());
        }
        Self::Digest(digest_of(id))
    }

    /// Whether it is the subscriber of that id.
    pub fn is(&self, id: &str) -> bool {
        *self == Self::of(id)
    }
}

impl std::fmt::Debug for SealedSubscriber {
    /// Whose it is may be a name.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealedSubscriber(***)")
    }
}

/// What a sealed permit says of its player.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedPermit {
    /// The session that was let in.
    pub session: SessionId,
    /// The subscriber, if it named one.
    pub subscriber: Option<SealedSubscriber>,
    /// A bit for each mechanism that it passed, numbered by the gate.
    pub mechanisms: u16,
    /// What its credential is known by, for revocations; zeros without one.
    pub fingerprint: [u8; 16],
    /// The version of the settings it was let in under.
    pub settings_version: u64,
    /// When it ends, to the second.
    pub expires: WallTime,
}

/// Makes and opens the seals of one application.
pub struct Seals {
    app: AppName,
    secret: Secret<Vec<u8>>,
}

impl Seals {
    /// The seals of an application under its secret; `None` of a blank secret, under which anybody could make them.
    pub fn new(app: &AppName, secret: &str) -> Option<Self> {
        let secret = Some(secret).filter(|secret| !secret.trim().is_empty())?;
        Some(Self { app: app.clone(), secret: Secret::new(secret.as_bytes().to_vec()) })
    }

    /// Seals a permit for a stream: at most [`limits::SEALED_PERMIT_CHARS_MAX`] characters that may stand in a path. One that
    /// would last longer than [`limits::SEALED_PERMIT_LIFE_MAX`] from now on ends then.
    ///
    /// # Errors
    /// [`SealError::NotNow`]: it is over already.
    pub fn seal(
        &self,
        stream: &StreamId,
        permit: &SealedPermit,
        now: WallTime,
        randomness: &dyn Randomness,
    ) -> Result<Secret<String>, SealError> {
        let now_s = seconds(now);
        let expires_s = seconds(permit.expires).min(now_s + limits::SEALED_PERMIT_LIFE_MAX.as_secs());
        if expires_s <= now_s {
            return Err(SealError::NotNow);
        }
        let mut body = write(permit, expires_s);
        let day = now_s / DAY_S;
        let mut nonce = [0; NONCE_LEN];
        randomness.fill(&mut nonce);
        let mut out = vec![FORM];
        out.push(short_day(day));
        out.extend_from_slice(&nonce);
        let key = self.aead(day)?;
        let about = self.about(stream);
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&about), &mut body)
            .map_err(|_| SealError::Malformed)?;
        out.append(&mut body);
        Ok(Secret::new(text::encode(&out)))
    }

    /// Opens a permit that was sealed for that stream of this application.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn open(&self, stream: &StreamId, sealed: &str, now: WallTime) -> Result<SealedPermit, SealError> {
        if sealed.len() > limits::SEALED_PERMIT_CHARS_MAX {
            return Err(SealError::Malformed);
        }
        let bytes = text::decode(sealed).ok_or(SealError::Malformed)?;
        let (&[form, day], rest) = bytes.split_first_chunk().ok_or(SealError::Malformed)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Malformed)?;
        if form != FORM {
            return Err(SealError::Malformed);
        }
        let now_s = seconds(now);
        let day = live_days(now_s).find(|live| short_day(*live) == day).ok_or(SealError::NotNow)?;
        let key = self.aead(day)?;
        let mut body = body.to_vec();
        let about = self.about(stream);
        let opened = key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(&about), &mut body)
            .map_err(|_| SealError::Broken)?;
        let permit = read(opened).ok_or(SealError::Malformed)?;
        if seconds(permit.expires) <= now_s {
            return Err(SealError::NotNow);
        }
        Ok(permit)
    }

    /// Signs the path of a file of a stream until then, to the second: the same for every viewer.
    pub fn sign(&self, stream: &StreamId, file: &str, until: WallTime) -> String {
        let until_s = seconds(until);
        let mut out = written_seconds(until_s).to_vec();
        out.extend_from_slice(&self.signature(stream, file, until_s));
        text::encode(&out)
    }

    /// Checks what [`Seals::sign`] gave for that file.
    ///
    /// # Errors
    /// See [`SealError`]. A signature that lasts longer than [`limits::SEGMENT_SIGNATURE_LIFE_MAX`] does not hold yet.
    pub fn verify(
        &self,
        stream: &StreamId,
        file: &str,
        signature: &str,
        now: WallTime,
    ) -> Result<(), SealError> {
        const CHARS: usize = ((SECONDS_BYTES + SIGNATURE_BYTES) * 4).div_ceil(3);
        if signature.len() != CHARS {
            return Err(SealError::Malformed);
        }
        let bytes = text::decode(signature).ok_or(SealError::Malformed)?;
        let (until, signature) = bytes.split_first_chunk::<SECONDS_BYTES>().ok_or(SealError::Malformed)?;
        let until_s = read_seconds(*until);
        if !bool::from(self.signature(stream, file, until_s).ct_eq(signature)) {
            return Err(SealError::Broken);
        }
        let now_s = seconds(now);
        let latest = now_s + limits::SEGMENT_SIGNATURE_LIFE_MAX.as_secs() + CLOCK_SLACK_S;
        if now_s < until_s && until_s <= latest { Ok(()) } else { Err(SealError::NotNow) }
    }

    fn signature(&self, stream: &StreamId, file: &str, until_s: u64) -> [u8; SIGNATURE_BYTES] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.key("segment", until_s / DAY_S));
        let mut context = hmac::Context::with_key(&key);
        // The stream's id has no NUL in it, so no two pairs are signed alike.
        for part in [stream.as_str().as_bytes(), b"\0", file.as_bytes(), b"\0", &until_s.to_be_bytes()] {
            context.update(part);
        }
        let whole = context.sign();
        whole.as_ref().first_chunk().copied().unwrap_or_default()
    }

    fn aead(&self, day: u64) -> Result<LessSafeKey, SealError> {
        let key =
            UnboundKey::new(&AES_256_GCM, &self.key("permit", day)).map_err(|_| SealError::Malformed)?;
        Ok(LessSafeKey::new(key))
    }

    fn key(&self, purpose: &str, day: u64) -> [u8; KEY_BYTES] {
        let day = day.to_be_bytes();
        let about: [&[u8]; 5] = [purpose.as_bytes(), b"\0", self.app.as_str().as_bytes(), b"\0", &day];
        let mut key = [0; KEY_BYTES];
        let derived = Salt::new(HKDF_SHA256, b"penstock seals 1").extract(self.secret.expose());
        // A key is far shorter than what HKDF can give.
        if let Ok(material) = derived.expand(&about, KeyLength) {
            let _filled = material.fill(&mut key);
        }
        key
    }

    /// What a permit is sealed for.
    fn about(&self, stream: &StreamId) -> Vec<u8> {
        [&[FORM], self.app.as_str().as_bytes(), b"\0", stream.as_str().as_bytes()].concat()
    }
}

impl std::fmt::Debug for Seals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seals").field("app", &self.app).finish_non_exhaustive()
    }
}

struct KeyLength;

impl KeyType for KeyLength {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

/// Today, yesterday, and tomorrow when another node may be there already.
fn live_days(now_s: u64) -> impl Iterator<Item = u64> {
    let today = now_s / DAY_S;
    let tomorrow = Some((now_s + CLOCK_SLACK_S) / DAY_S).filter(|day| *day != today);
    [Some(today), today.checked_sub(1), tomorrow].into_iter().flatten()
}

/// As much of a day's number as tells it from its neighbours.
fn short_day(day: u64) -> u8 {
    day.to_le_bytes()[0]
}

const fn seconds(time: WallTime) -> u64 {
    time.as_millis() / 1_000
}

/// Seconds in five bytes, which last for 34,000 years.
fn written_seconds(seconds: u64) -> [u8; SECONDS_BYTES] {
    let [_, _, _, bytes @ ..] = seconds.min((1 << 40) - 1).to_be_bytes();
    bytes
}

fn read_seconds(bytes: [u8; SECONDS_BYTES]) -> u64 {
    bytes.iter().fold(0, |seconds, byte| seconds << 8 | u64::from(*byte))
}

fn write(permit: &SealedPermit, expires_s: u64) -> Vec<u8> {
    let mut out = permit.session.as_u128().to_be_bytes().to_vec();
    out.extend_from_slice(&permit.mechanisms.to_be_bytes());
    out.extend_from_slice(&permit.fingerprint);
    out.extend_from_slice(&permit.settings_version.to_be_bytes());
    out.extend_from_slice(&written_seconds(expires_s));
    match &permit.subscriber {
        None => {}
        Some(SealedSubscriber::Named(id)) => {
            out.push(b'=');
            out.extend_from_slice(id.as_bytes());
        }
        Some(SealedSubscriber::Digest(digest)) => {
            out.push(b'#');
            out.extend_from_slice(digest);
        }
    }
    out
}

fn read(bytes: &[u8]) -> Option<SealedPermit> {
    let (session, bytes) = bytes.split_first_chunk()?;
    let (mechanisms, bytes) = bytes.split_first_chunk()?;
    let (fingerprint, bytes) = bytes.split_first_chunk()?;
    let (settings_version, bytes) = bytes.split_first_chunk()?;
    let (expires, bytes) = bytes.split_first_chunk()?;
    let subscriber = match bytes {
        [] => None,
        [b'=', id @ ..] => Some(SealedSubscriber::Named(std::str::from_utf8(id).ok()?.to_owned())),
        [b'#', digest @ ..] => Some(SealedSubscriber::Digest(digest.try_into().ok()?)),
        _ => return None,
    };
    Some(SealedPermit {
        session: SessionId::from_u128(u128::from_be_bytes(*session)),
        subscriber,
        mechanisms: u16::from_be_bytes(*mechanisms),
        fingerprint: *fingerprint,
        settings_version: u64::from_be_bytes(*settings_version),
        expires: WallTime(read_seconds(*expires) * 1_000),
    })
}

/// As much of a SHA-256 as makes a collision nobody's chance.
fn digest_of(id: &str) -> [u8; 16] {
    let whole = digest::digest(&digest::SHA256, id.as_bytes());
    whole.as_ref().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
