//! The façade for facts.

use crate::{Command, Fact, MetaError, Outcome, Owner};

super::facade! {
    /// What this node reports of sessions. Whoever calls it keeps the number of the last batch and sends the
    /// next one only when that one was taken.
    Facts
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It was taken, now or before.
    Taken,
    /// Another one is next: the one behind `last`.
    OutOfOrder {
        /// The last one that was taken; 0 for none.
        last: u64,
    },
}

impl Facts {
    /// Reports a batch, at most [`base::limits::FACTS_PER_BATCH_MAX`] and
    /// [`base::limits::FACT_BATCH_BYTES_MAX`] of it. The first has number 1.
    pub async fn record(&self, owner: Owner, sequence: u64, facts: Vec<Fact>) -> Result<Recorded, MetaError> {
        match self.proposer.propose(Command::RecordFacts { owner, sequence, facts }).await? {
            (_, Outcome::Done) => Ok(Recorded::Taken),
            (_, Outcome::OutOfOrder { last }) => Ok(Recorded::OutOfOrder { last }),
            _ => Err(MetaError::WrongAnswer),
        }
    }
}
