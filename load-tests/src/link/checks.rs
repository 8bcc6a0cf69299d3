//! Connectivity checks of the controlling side towards a lite agent (RFC 8445 7.2, 2.5).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use base::Randomness;
use rtc_crypto::RTCCryptoProvider;
use rtc_stun::attributes::{
    ATTR_ICE_CONTROLLING, ATTR_PRIORITY, ATTR_USE_CANDIDATE, ATTR_USERNAME, RawAttribute,
};
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{BINDING_REQUEST, BINDING_SUCCESS, Message, Setter, TransactionId};
use rtc_stun::textattrs::TextAttribute;

/// Between two checks until the pair is nominated, as Chromium does.
const RETRY: Duration = Duration::from_millis(48);
/// Between two checks of consent afterwards, as Chromium does.
const CONSENT: Duration = Duration::from_millis(2_500);
/// Checks whose answers are waited for.
const PENDING_MAX: usize = 8;
/// A peer-reflexive candidate's type preference (RFC 8445 5.1.2.1).
const PRIORITY: u32 = 110 << 24 | 0xffff << 8 | 255;

struct Pending {
    transaction: [u8; 12],
    nominates: bool,
}

/// The checks of one pair.
pub(crate) struct Checks {
    provider: Arc<dyn RTCCryptoProvider>,
    name: String,
    password: String,
    /// Tie breaker and first half of every transaction id.
    tie_breaker: u64,
    sent: u32,
    pending: VecDeque<Pending>,
    answered: bool,
    nominated: bool,
    next_at: Instant,
}

impl Checks {
    pub(crate) fn new(
        provider: Arc<dyn RTCCryptoProvider>,
        (remote_ufrag, local_ufrag): (&str, &str),
        password: &str,
        randomness: &dyn Randomness,
        now: Instant,
    ) -> Self {
        Self {
            provider,
            name: format!("{remote_ufrag}:{local_ufrag}"),
            password: password.to_owned(),
            tie_breaker: randomness.next_u64(),
            sent: 0,
            pending: VecDeque::new(),
            answered: false,
            nominated: false,
            next_at: now,
        }
    }

    /// Whether the path was seen to work.
    pub(crate) const fn answered(&self) -> bool {
        self.answered
    }

    pub(crate) const fn next_at(&self) -> Instant {
        self.next_at
    }

    /// The check that is due.
    pub(crate) fn poll(&mut self, now: Instant) -> anyhow::Result<Option<Vec<u8>>> {
        if now < self.next_at {
            return Ok(None);
        }
        self.next_at = now + if self.nominated { CONSENT } else { RETRY };
        self.sent += 1;
        let mut transaction = [0; 12];
        transaction[..8].copy_from_slice(&self.tie_breaker.to_be_bytes());
        transaction[8..].copy_from_slice(&self.sent.to_be_bytes());
        // Regular nomination: only a pair that has answered is nominated.
        let nominates = self.answered;
        if self.pending.len() == PENDING_MAX {
            self.pending.pop_front();
        }
        self.pending.push_back(Pending { transaction, nominates });
        let attribute = |typ, value: Vec<u8>| RawAttribute { typ, length: 0, value };
        let mut setters: Vec<Box<dyn Setter + '_>> = vec![
            Box::new(BINDING_REQUEST),
            Box::new(TransactionId(transaction)),
            Box::new(TextAttribute { attr: ATTR_USERNAME, text: self.name.clone() }),
            Box::new(attribute(ATTR_ICE_CONTROLLING, self.tie_breaker.to_be_bytes().to_vec())),
            Box::new(attribute(ATTR_PRIORITY, PRIORITY.to_be_bytes().to_vec())),
        ];
        if nominates {
            setters.push(Box::new(attribute(ATTR_USE_CANDIDATE, Vec::new())));
        }
        setters.push(Box::new(MessageIntegrity::new_short_term_integrity_with_provider(
            self.password.clone(),
            self.provider.crypto(),
        )));
        setters.push(Box::new(FINGERPRINT));
        let mut message = Message::new();
        message.build(&setters).context("a check could not be written")?;
        Ok(Some(message.raw))
    }

    /// Takes an answer; one that is not to a check of ours, or not authentic, counts for nothing.
    pub(crate) fn handle(&mut self, datagram: &[u8], now: Instant) {
        let mut message = Message::new();
        message.raw = datagram.to_vec();
        if message.decode().is_err() || message.typ != BINDING_SUCCESS {
            return;
        }
        let Some(at) = self.pending.iter().position(|p| p.transaction == message.transaction_id.0) else {
            return;
        };
        if MessageIntegrity::check(&mut message, self.password.as_bytes(), self.provider.crypto()).is_err() {
            return;
        }
        if let Some(pending) = self.pending.remove(at)
            && pending.nominates
            && !self.nominated
        {
            self.nominated = true;
            self.next_at = now + CONSENT;
        }
        if !self.answered {
            self.answered = true;
            self.next_at = now;
        }
    }
}
