//! The state machine behind the port, and nothing else.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use base::Clock;
use parking_lot::Mutex;

use crate::{
    ChangeLog, Command, Consistency, Filter, Meta, NotApplied, Proposal, Query, ReadFailed, Reading,
    RequestId, Revision, Stamped, State, Watch, apply,
};

/// A `Meta` without a disk: what is applied is gone with the process.
pub struct InMemory {
    state: Mutex<State>,
    log: Arc<ChangeLog>,
    clock: Arc<dyn Clock>,
}

impl InMemory {
    /// An empty one.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { state: Mutex::default(), log: ChangeLog::new(Revision::ZERO), clock }
    }
}

#[async_trait]
impl Meta for InMemory {
    async fn propose(&self, request: RequestId, command: Command, deadline: Instant) -> Proposal {
        if self.clock.now() >= deadline {
            return Proposal::NotApplied(NotApplied::TooLate);
        }
        let mut state = self.state.lock();
        let applied = apply(&mut state, Stamped { request, at: self.clock.wall(), command });
        if !applied.repeated {
            self.log.push(applied.revision, applied.changes, self.clock.now());
        }
        Proposal::Applied { revision: applied.revision, outcome: applied.outcome }
    }

    async fn read(&self, query: Query, _: Consistency, _: Instant) -> Result<Reading, ReadFailed> {
        Ok(self.state.lock().answer(&query))
    }

    fn watch(&self, filter: Filter, from: Revision) -> Watch {
        self.log.watch(filter, from)
    }
}
