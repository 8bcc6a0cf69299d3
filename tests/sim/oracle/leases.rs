//! Nobody is given a stream while another node may rely on its claim of it.
//!
//! Two clocks say how long that is. By the log's own time the lease runs for [`limits::CLAIM_LEASE`] from the stamp of the
//! claim, or of its last renewal. By the world's time its owner relies on it for [`limits::CLAIM_LEASE_OF_OWNER`] from
//! before it asked, less what its clock may run too fast; that is promised whatever clocks show, for the log's time catches up
//! no faster than a lease can bear. A lease is over
//! before when it is given up, when its owner's life is over, and when the cluster is restored. (That an owner that is
//! not reached loses a stream to a contender is said along with the claim; nobody here says so.)

use std::collections::BTreeMap;

use base::{AppName, StreamId, limits};
use cluster_core::AppliedEntry;
use cluster_model::{Change, Incarnation, NodeId, Owner, RequestId};

use super::{Verdict, broken};

/// What an owner relies on by the world's clock, in microseconds: its own may run too fast by two parts in a hundred.
const RELIED_ON: u64 = limits::CLAIM_LEASE_OF_OWNER.as_micros() as u64 * 98 / 100;

struct Lease {
    owner: Owner,
    /// Until when, in milliseconds of the log's time.
    until_ms: u64,
    /// Until when its owner relies on it, by the world's time.
    relied_on_until: u64,
}

#[derive(Default)]
pub(super) struct Leases {
    held: BTreeMap<(AppName, StreamId), Lease>,
    /// The life of each node that goes on.
    lives: BTreeMap<NodeId, Incarnation>,
    /// When each request was made first.
    asked: BTreeMap<RequestId, u64>,
}

impl Leases {
    pub(super) fn proposed(&mut self, request: RequestId, at: u64) {
        self.asked.entry(request).or_insert(at);
    }

    /// To be told of each entry once, when it is applied first, at the world's time `at`.
    pub(super) fn applied(&mut self, entry: &AppliedEntry, at: u64) -> Verdict {
        let asked = entry.request.and_then(|request| self.asked.get(&request).copied()).unwrap_or_default();
        for change in &*entry.changes {
            match change {
                Change::Node { node, now } => {
                    match now.as_ref().filter(|now| now.expired_ms.is_none()) {
                        Some(now) => self.lives.insert(*node, now.incarnation),
                        None => self.lives.remove(node),
                    };
                }
                Change::Claim { app, stream, now: None } => {
                    self.held.remove(&(app.clone(), stream.clone()));
                }
                Change::Claim { app, stream, now: Some(claim) } => {
                    let owner = claim.owner;
                    self.lives.insert(owner.node, owner.incarnation);
                    let now_ms = entry.now.as_millis();
                    let until_ms = entry.now.plus(limits::CLAIM_LEASE).as_millis();
                    let lease = Lease { owner, until_ms, relied_on_until: asked.saturating_add(RELIED_ON) };
                    let Some(before) = self.held.insert((app.clone(), stream.clone()), lease) else {
                        continue;
                    };
                    let lives = self.lives.get(&before.owner.node) == Some(&before.owner.incarnation);
                    let runs = now_ms < before.until_ms || at < before.relied_on_until;
                    if before.owner != owner && lives && runs {
                        return broken(
                            "nobody is given a stream within the lease of another one",
                            format!(
                                "{stream}: {owner:?} has it at {at} us ({now_ms} ms by the log), {:?} until {} us ({} ms)",
                                before.owner, before.relied_on_until, before.until_ms
                            ),
                        );
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Claims of before are void.
    pub(super) fn restored(&mut self) {
        self.held.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use base::WallTime;
    use cluster_model::{Claim, Epoch, Revision};

    use super::*;

    const SECOND: u64 = 1_000_000;

    fn owner(node: u64) -> Owner {
        Owner { node: NodeId(node), incarnation: Incarnation(node) }
    }

    /// `node` has the stream at `at` of the world, `now_ms` of the log; it asked when `request` was proposed.
    fn entry(node: Option<u64>, now_ms: u64) -> AppliedEntry {
        let claim = |node| Claim {
            epoch: Epoch { generation: 0, n: now_ms },
            owner: owner(node),
            lease_until_ms: now_ms + 6_000,
        };
        let (app, stream) = (AppName::new("a").unwrap(), StreamId::new("c").unwrap());
        let change = Change::Claim { app, stream, now: node.map(|node| Arc::new(claim(node))) };
        AppliedEntry {
            index: 1,
            term: 1,
            revision: Revision(1),
            request: node.map(|node| RequestId::from_u128(node.into())),
            outcome: None,
            changes: [change].into(),
            repeated: false,
            now: WallTime(now_ms),
        }
    }

    fn held() -> Leases {
        let mut leases = Leases::default();
        leases.proposed(RequestId::from_u128(1), SECOND);
        leases.applied(&entry(Some(1), 1_500), 2 * SECOND).unwrap();
        leases
    }

    #[test]
    fn another_one_within_the_lease_is_seen_by_either_clock() {
        for (now_ms, at, is_seen) in
            [(7_499, 60 * SECOND, true), (7_500, 5_899_999, true), (7_500, 5_900_000, false)]
        {
            let verdict = held().applied(&entry(Some(2), now_ms), at);
            assert_eq!(verdict.is_err(), is_seen, "{now_ms} {at}");
        }
        assert!(held().applied(&entry(Some(1), 2_000), 3 * SECOND).is_ok(), "its own");
    }

    #[test]
    fn a_lease_is_over_that_was_given_up_or_whose_owners_life_is() {
        let mut given_up = held();
        given_up.applied(&entry(None, 2_000), 3 * SECOND).unwrap();
        assert!(given_up.applied(&entry(Some(2), 2_001), 3 * SECOND).is_ok());
        let mut dead = held();
        let gone = Change::Node { node: NodeId(1), now: None };
        let expired = AppliedEntry { changes: [gone].into(), ..entry(None, 2_000) };
        dead.applied(&expired, 3 * SECOND).unwrap();
        assert!(dead.applied(&entry(Some(2), 2_001), 3 * SECOND).is_ok());
        let mut restored = held();
        restored.restored();
        assert!(restored.applied(&entry(Some(2), 2_001), 3 * SECOND).is_ok());
    }
}
