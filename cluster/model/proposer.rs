//! Retries with one request id, shared by the façades.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{Clock, Randomness, limits};
use tokio::time::{sleep, timeout_at};

use crate::{
    Answer, Change, Command, Consistency, Filter, Meta, MetaError, NotApplied, Outcome, Proposal, Query,
    ReadFailed, RequestId, Revision, Watch,
};

/// Pause before the first retry; doubled up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(320);

/// The metadata plane with everything a retry needs.
#[derive(Clone)]
pub(crate) struct Proposer {
    pub(crate) meta: Arc<dyn Meta>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) randomness: Arc<dyn Randomness>,
    patience: Duration,
}

impl Proposer {
    pub(crate) fn new(meta: Arc<dyn Meta>, clock: Arc<dyn Clock>, randomness: Arc<dyn Randomness>) -> Self {
        Self { meta, clock, randomness, patience: limits::META_ANSWER_MAX }
    }

    /// The same with another time for each answer.
    pub(crate) fn within(&self, patience: Duration) -> Self {
        Self { patience, ..self.clone() }
    }

    /// Proposes until the answer is certain or patience ends. Once an attempt was left without an answer,
    /// a later refusal says nothing of that attempt: the result is then `Unknown`, not `NotApplied`.
    pub(crate) async fn propose(&self, command: Command) -> Result<(Revision, Outcome), MetaError> {
        let deadline = self.clock.now() + self.patience;
        let retries = self.propose_until_certain(RequestId::random(&*self.randomness), command, deadline);
        timeout_at(deadline.into(), retries).await.unwrap_or(Err(MetaError::Unknown))
    }

    async fn propose_until_certain(
        &self,
        request: RequestId,
        command: Command,
        deadline: Instant,
    ) -> Result<(Revision, Outcome), MetaError> {
        let mut in_doubt = false;
        let mut pause = PAUSE_MIN;
        loop {
            match self.meta.propose(request, command.clone(), deadline).await {
                Proposal::Applied { outcome: Outcome::Refused(refusal), .. } => return Err(refusal.into()),
                Proposal::Applied { revision, outcome } => return Ok((revision, outcome)),
                Proposal::NotApplied(why) if !in_doubt => return Err(why.into()),
                Proposal::NotApplied(NotApplied::Busy) | Proposal::Unknown => in_doubt = true,
                Proposal::NotApplied(_) => return Err(MetaError::Unknown),
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Proposes what is either done or has nothing to be done to; says which.
    pub(crate) async fn done_or_absent(&self, command: Command) -> Result<bool, MetaError> {
        match self.propose(command).await? {
            (_, Outcome::Done) => Ok(true),
            (_, Outcome::Absent) => Ok(false),
            _ => Err(MetaError::WrongAnswer),
        }
    }

    /// Proposes a sweep until it has no more to do.
    pub(crate) async fn sweep(&self, command: Command) -> Result<(), MetaError> {
        loop {
            match self.propose(command.clone()).await? {
                (_, Outcome::Swept { more: true }) => {}
                (_, Outcome::Swept { more: false }) => return Ok(()),
                _ => return Err(MetaError::WrongAnswer),
            }
        }
    }

    /// What a watcher that fell behind needs to begin again; the watch goes on behind it. As this node has it, for of what comes
    /// to this node the watch tells: of one without a vote such a list could be larger than what nodes take from each other.
    pub(crate) async fn relist(&self, filter: Filter, watch: &mut Watch) -> Result<Vec<Change>, MetaError> {
        watch.expect_list();
        match self.read(Query::List(filter), Consistency::Local).await? {
            (revision, Answer::Listed(changes)) => {
                watch.go_on_after(revision);
                Ok(changes)
            }
            _ => Err(MetaError::WrongAnswer),
        }
    }

    /// Reads, in time even if the plane forgets the deadline.
    pub(crate) async fn read(
        &self,
        query: Query,
        consistency: Consistency,
    ) -> Result<(Revision, Answer), MetaError> {
        let deadline = self.clock.now() + self.patience;
        let reading = timeout_at(deadline.into(), self.meta.read(query, consistency, deadline))
            .await
            .map_err(|_| ReadFailed::TooLate)??;
        Ok((reading.revision, reading.answer))
    }
}

#[cfg(test)]
mod tests;
