//! The façade for claims of streams.

use std::time::Instant;

use base::{AppName, StreamId, limits};

use crate::{
    Answer, Change, ClaimShown, Command, Consistency, Contention, Epoch, Filter, HeldClaim, MetaError,
    NodeId, Outcome, Owner, Query, Refusal, Revision, Watch,
};

super::facade! {
    /// Which node publishes which stream.
    Streams
}

/// A claim as its owner may rely on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Under which epoch.
    pub epoch: Epoch,
    /// Until when by the owner's clock, counted from before it asked: before anybody else may have it.
    pub until: Instant,
}

/// What came of a renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// Until when the others hold by the owner's clock.
    pub until: Instant,
    /// Those that are no longer its own.
    pub superseded: Vec<HeldClaim>,
}

/// Why a stream could not be claimed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// Somebody else has it.
    #[error("the stream is published on node {by}")]
    Held {
        /// Which node.
        by: NodeId,
        /// Under which epoch.
        epoch: Epoch,
    },
    /// The metadata plane did not do its part.
    #[error(transparent)]
    Meta(#[from] MetaError),
}

impl Streams {
    /// Claims a stream, also one that `owner` has already. `against` is what the leader knows against the one
    /// who has it.
    pub async fn claim(
        &self,
        app: &AppName,
        stream: &StreamId,
        owner: Owner,
        against: Option<Contention>,
    ) -> Result<Lease, ClaimError> {
        let until = self.proposer.clock.now() + limits::CLAIM_LEASE_OF_OWNER;
        let command = Command::ClaimStream { app: app.clone(), stream: stream.clone(), owner, against };
        match self.proposer.propose(command).await? {
            (_, Outcome::Claimed { epoch }) => Ok(Lease { epoch, until }),
            (_, Outcome::Held { by, epoch }) => Err(ClaimError::Held { by, epoch }),
            _ => Err(MetaError::WrongAnswer.into()),
        }
    }

    /// Prolongs claims of `owner`, as many as it has.
    pub async fn renew(&self, owner: Owner, claims: &[HeldClaim]) -> Result<Renewed, MetaError> {
        let until = self.proposer.clock.now() + limits::CLAIM_LEASE_OF_OWNER;
        let mut lost = 0;
        for claims in claims.chunks(limits::CLAIMS_PER_RENEWAL_MAX) {
            let command = Command::RenewStreams { owner, claims: claims.to_vec() };
            match self.proposer.propose(command).await? {
                (_, Outcome::Renewed { superseded }) => lost += superseded,
                _ => return Err(MetaError::WrongAnswer),
            }
        }
        if lost == 0 {
            return Ok(Renewed { until, superseded: Vec::new() });
        }
        match self.proposer.read(Query::ClaimsOf(owner), Consistency::Linearizable).await? {
            (_, Answer::Claims(own)) => {
                let superseded = claims.iter().filter(|claim| !own.contains(claim)).cloned().collect();
                Ok(Renewed { until, superseded })
            }
            _ => Err(MetaError::WrongAnswer),
        }
    }

    /// Gives a stream back; `false` when it was somebody else's already, or nobody's.
    pub async fn release(&self, app: &AppName, stream: &StreamId, epoch: Epoch) -> Result<bool, MetaError> {
        self.of_the_claim(Command::ReleaseStream { app: app.clone(), stream: stream.clone(), epoch }).await
    }

    /// Tells whoever has a stream that a publisher waits for it; `false` when the claim is not the current one.
    pub async fn contest(&self, app: &AppName, stream: &StreamId, epoch: Epoch) -> Result<bool, MetaError> {
        self.of_the_claim(Command::ContestStream { app: app.clone(), stream: stream.clone(), epoch }).await
    }

    /// Tells of all that is contested from now on.
    pub fn contests(&self) -> Watch {
        self.proposer.meta.watch(Filter::Contests, Revision::ZERO)
    }

    /// For a watch of those that fell behind, which goes on: what it missed nobody tells again, and whoever waited asks anew.
    pub async fn contests_missed(&self, watch: &mut Watch) -> Result<(), MetaError> {
        self.proposer.relist(Filter::Contests, watch).await.map(|_| ())
    }

    /// Who has a stream, as of now.
    pub async fn owner(&self, app: &AppName, stream: &StreamId) -> Result<Option<ClaimShown>, MetaError> {
        self.one(app, stream, Consistency::Linearizable).await
    }

    /// Who has a stream, as this node knows it.
    pub async fn owner_local(
        &self,
        app: &AppName,
        stream: &StreamId,
    ) -> Result<Option<ClaimShown>, MetaError> {
        self.one(app, stream, Consistency::Local).await
    }

    /// Tells of one stream's claims: by the highest epoch an edge knows whom to follow.
    pub fn watch(&self, app: &AppName, stream: &StreamId, from: Revision) -> Watch {
        self.proposer.meta.watch(Filter::Claim(app.clone(), stream.clone()), from)
    }

    /// The claim, for a watch that fell behind; it goes on behind it.
    pub async fn relist(
        &self,
        app: &AppName,
        stream: &StreamId,
        watch: &mut Watch,
    ) -> Result<Vec<Change>, MetaError> {
        self.proposer.relist(Filter::Claim(app.clone(), stream.clone()), watch).await
    }

    /// What is said under a claim; `false` when that is not the current one.
    async fn of_the_claim(&self, command: Command) -> Result<bool, MetaError> {
        match self.proposer.propose(command).await {
            Ok((_, Outcome::Done)) => Ok(true),
            Err(MetaError::Refused(Refusal::Superseded)) => Ok(false),
            Ok(_) => Err(MetaError::WrongAnswer),
            Err(error) => Err(error),
        }
    }

    async fn one(
        &self,
        app: &AppName,
        stream: &StreamId,
        consistency: Consistency,
    ) -> Result<Option<ClaimShown>, MetaError> {
        let query = Query::Claim { app: app.clone(), stream: stream.clone() };
        match self.proposer.read(query, consistency).await? {
            (_, Answer::Claim(shown)) => Ok(shown),
            _ => Err(MetaError::WrongAnswer),
        }
    }
}
