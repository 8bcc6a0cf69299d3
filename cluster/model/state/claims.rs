//! Claims: which node publishes a stream.

use std::sync::Arc;

use base::{AppName, StreamId, WallTime, limits};

use super::index::Owned;
use super::{Changes, State};
use crate::{Change, Claim, Contention, Epoch, HeldClaim, Outcome, Owner, Refusal};

impl State {
    /// The last claim of a stream that was not given back or swept, held or not.
    pub fn claim(&self, app: &AppName, stream: &StreamId) -> Option<&Arc<Claim>> {
        self.claims.get(app, stream)
    }

    /// Whether `claim` keeps others out at `now`: it was made in this generation, its owner lives, and its
    /// lease runs.
    pub fn is_held_at(&self, claim: &Claim, now: WallTime) -> bool {
        self.may_be_renewed(claim) && now.as_millis() < claim.lease_until_ms
    }

    /// Whether the lease of any claim runs that another node could get the stream of.
    pub fn leases_run(&self) -> bool {
        self.nodes.len() > 1 && self.claims.all().any(|(.., claim)| self.is_held_at(claim, self.now))
    }

    /// The claims of an application in byte order of their streams.
    pub fn claims(&self, app: &AppName) -> impl Iterator<Item = (&StreamId, &Arc<Claim>)> {
        self.claims.of(app)
    }

    /// What a node has claimed in one of its lives, and may renew.
    pub(crate) fn claims_of(&self, owner: Owner) -> impl Iterator<Item = HeldClaim> {
        self.index.owned_by(owner).filter_map(|owned| {
            let Owned::Claim(app, stream) = owned else { return None };
            let claim = self.claim(app, stream).filter(|claim| self.may_be_renewed(claim))?;
            Some(HeldClaim { app: app.clone(), stream: stream.clone(), epoch: claim.epoch })
        })
    }

    pub(super) fn claim_stream(
        &mut self,
        app: AppName,
        stream: StreamId,
        owner: Owner,
        against: Option<Contention>,
        changes: Changes<'_>,
    ) -> Outcome {
        if !self.is_alive(owner) {
            return Outcome::Refused(Refusal::NotJoined);
        }
        let mut epoch = Epoch { generation: self.generation, n: self.revision.0 };
        match self.claim(&app, &stream) {
            // Its own, even when lapsed: nobody else had it since.
            Some(claim) if claim.owner == owner && self.may_be_renewed(claim) => epoch = claim.epoch,
            Some(claim) if self.is_held_at(claim, self.now) && !is_lost(claim, against) => {
                return Outcome::Held { by: claim.owner.node, epoch: claim.epoch };
            }
            Some(_) => {}
            None => {
                let max = limits::CLAIMS_PER_APPLICATION_MAX;
                if let Err(full) = self.claims.room(&app, max, Refusal::TooManyClaims) {
                    return Outcome::Refused(full);
                }
            }
        }
        let now = Some(Arc::new(Claim { epoch, owner, lease_until_ms: self.lease_until_ms() }));
        self.change(Change::Claim { app, stream, now }, changes);
        Outcome::Claimed { epoch }
    }

    pub(super) fn renew(&mut self, owner: Owner, claims: Vec<HeldClaim>, changes: Changes<'_>) -> Outcome {
        if claims.len() > limits::CLAIMS_PER_RENEWAL_MAX {
            return Outcome::Refused(Refusal::TooMany);
        }
        if !self.is_alive(owner) {
            return Outcome::Refused(Refusal::NotJoined);
        }
        let lease_until_ms = self.lease_until_ms();
        let mut superseded = 0;
        for HeldClaim { app, stream, epoch } in claims {
            let current = self
                .claim(&app, &stream)
                .filter(|claim| claim.epoch == epoch && claim.owner == owner && self.may_be_renewed(claim));
            match current {
                Some(claim) => {
                    let now = Some(Arc::new(Claim { lease_until_ms, ..Claim::clone(claim) }));
                    self.change(Change::Claim { app, stream, now }, changes);
                }
                None => superseded += 1,
            }
        }
        Outcome::Renewed { superseded }
    }

    pub(super) fn release(
        &mut self,
        app: AppName,
        stream: StreamId,
        epoch: Epoch,
        changes: Changes<'_>,
    ) -> Outcome {
        if let Err(refusal) = self.check_epoch(&app, &stream, Some(epoch)) {
            return Outcome::Refused(refusal);
        }
        self.change(Change::Claim { app, stream, now: None }, changes);
        Outcome::Done
    }

    pub(super) fn contest(
        &self,
        app: AppName,
        stream: StreamId,
        epoch: Epoch,
        changes: Changes<'_>,
    ) -> Outcome {
        if let Err(refusal) = self.check_epoch(&app, &stream, Some(epoch)) {
            return Outcome::Refused(refusal);
        }
        changes.push(Change::StreamContested { app, stream, epoch });
        Outcome::Done
    }

    /// Refuses who acts under another claim than the current one. `None` acts under none.
    pub(super) fn check_epoch(
        &self,
        app: &AppName,
        stream: &StreamId,
        epoch: Option<Epoch>,
    ) -> Result<(), Refusal> {
        let current = self.claim(app, stream).map(|claim| claim.epoch);
        match epoch {
            Some(epoch) if current != Some(epoch) => Err(Refusal::Superseded),
            _ => Ok(()),
        }
    }

    /// Whether a claim still binds somebody: it was made in this generation, and its owner lives.
    pub(crate) fn may_be_renewed(&self, claim: &Claim) -> bool {
        claim.epoch.generation == self.generation && self.is_alive(claim.owner)
    }

    fn lease_until_ms(&self) -> u64 {
        self.now.plus(limits::CLAIM_LEASE).as_millis()
    }
}

/// Whether what the leader saw costs the owner this very claim.
fn is_lost(claim: &Claim, against: Option<Contention>) -> bool {
    against.is_some_and(|against| against.epoch == claim.epoch && against.observed.suffices())
}
