//! What a state is known by, kept up with every change: replicas compare themselves often, and a state may
//! have millions of rows.

use base::WallTime;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{Outcome, RequestId, Revision, RowKind};

/// Number of what is remembered of a request, where rows have their kind.
const REQUEST: u8 = 0;
const PARTS: usize = 4;
const PART_BYTES: usize = 8;

/// What two states with the same rows, requests, revision and time have in common, and no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StateHash(pub [u8; 32]);

/// The sum of the hashes of everything, whatever the order it came in. Against bugs and bad disks, not
/// against somebody who chooses rows so that sums meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Digest([u64; PARTS]);

impl Digest {
    /// A row that was `before` is `now`.
    pub fn replace<T: Serialize>(&mut self, kind: RowKind, key: &str, before: Option<&T>, now: Option<&T>) {
        self.change(kind.number(), key, before, now);
    }

    /// What was remembered of a request as `before` is `now`.
    pub fn replace_request(
        &mut self,
        request: RequestId,
        before: Option<(Revision, Outcome)>,
        now: Option<(Revision, Outcome)>,
    ) {
        self.change(REQUEST, &request.to_string(), before.as_ref(), now.as_ref());
    }

    /// With the rest of a state.
    pub fn with(self, revision: Revision, now: WallTime) -> StateHash {
        let mut hash = Sha256::new();
        hash.update(revision.0.to_le_bytes());
        hash.update(now.as_millis().to_le_bytes());
        self.0.iter().for_each(|part| hash.update(part.to_le_bytes()));
        StateHash(hash.finalize().into())
    }

    fn change<T: Serialize>(&mut self, kind: u8, key: &str, before: Option<&T>, now: Option<&T>) {
        if let Some(before) = before {
            self.0
                .iter_mut()
                .zip(parts(kind, key, before))
                .for_each(|(sum, part)| *sum = sum.wrapping_sub(part));
        }
        if let Some(now) = now {
            self.0
                .iter_mut()
                .zip(parts(kind, key, now))
                .for_each(|(sum, part)| *sum = sum.wrapping_add(part));
        }
    }
}

fn parts<T: Serialize>(kind: u8, key: &str, value: &T) -> [u64; PARTS] {
    // It cannot fail: what is stored is JSON, or it would never have been applied.
    let value = serde_json::to_vec(value).unwrap_or_default();
    let mut hash = Sha256::new();
    hash.update([kind]);
    hash.update((key.len() as u64).to_le_bytes());
    hash.update(key);
    hash.update(value);
    let hash = hash.finalize();
    let mut parts = [0; PARTS];
    for (part, bytes) in parts.iter_mut().zip(hash.as_chunks::<PART_BYTES>().0) {
        *part = u64::from_le_bytes(*bytes);
    }
    parts
}
