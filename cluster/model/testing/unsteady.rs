//! A metadata plane as it is on a bad day.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use base::{Randomness, SeededRandomness};
use parking_lot::Mutex;

use crate::{
    Command, Consistency, Filter, Meta, Proposal, Query, ReadFailed, Reading, RequestId, Revision, Watch,
};

/// Longest delay of a call.
const DELAY_MS_MAX: u64 = 4;
/// Commands that may arrive late; more are lost for good.
const LATE_MAX: usize = 16;

/// Wraps a `Meta` and, by a seed, delays calls and loses commands and answers: a proposal may be
/// answered `Unknown` though it was applied, though it never will be, or before it is applied later,
/// behind commands proposed after it.
pub struct Unsteady<M> {
    inner: M,
    dice: SeededRandomness,
    late: Mutex<Vec<(RequestId, Command, Instant)>>,
    silent: AtomicBool,
}

impl<M: Meta> Unsteady<M> {
    /// Wraps `inner`; the same seed and calls give the same faults.
    pub fn new(inner: M, seed: u64) -> Self {
        Self {
            inner,
            dice: SeededRandomness::new(seed),
            late: Mutex::default(),
            silent: AtomicBool::new(false),
        }
    }

    /// From now on no call returns, whatever its deadline.
    pub fn go_silent(&self) {
        self.silent.store(true, Ordering::Release);
    }

    async fn delay(&self) {
        if self.silent.load(Ordering::Acquire) {
            std::future::pending::<()>().await;
        }
        let delay_ms = self.dice.next_u64() % (DELAY_MS_MAX + 1);
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    }

    async fn deliver_late_ones(&self) {
        if self.dice.next_u64().is_multiple_of(2) {
            let late = std::mem::take(&mut *self.late.lock());
            for (request, command, deadline) in late {
                self.inner.propose(request, command, deadline).await;
            }
        }
    }
}

#[async_trait]
impl<M: Meta> Meta for Unsteady<M> {
    async fn propose(&self, request: RequestId, command: Command, deadline: Instant) -> Proposal {
        self.delay().await;
        self.deliver_late_ones().await;
        match self.dice.next_u64() % 8 {
            // Never arrives.
            0 | 1 => Proposal::Unknown,
            // Arrives late.
            2 => {
                let mut late = self.late.lock();
                if late.len() < LATE_MAX {
                    late.push((request, command, deadline));
                }
                Proposal::Unknown
            }
            // Arrives, the answer does not.
            3 | 4 => {
                self.inner.propose(request, command, deadline).await;
                Proposal::Unknown
            }
            _ => self.inner.propose(request, command, deadline).await,
        }
    }

    async fn read(
        &self,
        query: Query,
        consistency: Consistency,
        deadline: Instant,
    ) -> Result<Reading, ReadFailed> {
        self.delay().await;
        self.inner.read(query, consistency, deadline).await
    }

    fn watch(&self, filter: Filter, from: Revision) -> Watch {
        self.inner.watch(filter, from)
    }
}
