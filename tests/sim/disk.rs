//! A disk that keeps its promises and not more: what was not synced may be lost in a crash.

use std::collections::VecDeque;

use cluster_core::{Persist, Saved};

use crate::rng::Rng;

/// One member's disk.
#[derive(Debug, Default)]
pub struct Disk {
    /// What is there after any crash.
    durable: Saved,
    /// Given to be written and not yet synced, in order.
    pending: VecDeque<Persist>,
    /// When the newest of them is written.
    busy_until: u64,
    /// Full: nothing is written until there is room.
    full: bool,
    /// Those that wait for room.
    waiting: Vec<u64>,
}

impl Disk {
    /// A disk with `saved` on it.
    pub fn with(saved: Saved) -> Self {
        Self { durable: saved, ..Self::default() }
    }

    /// What is on it.
    pub const fn durable(&self) -> &Saved {
        &self.durable
    }

    /// Takes a write. Gives when it will be done, unless there is no room.
    pub fn write(&mut self, persist: Persist, now: u64, fsync: u64) -> Option<u64> {
        let (n, sync) = (persist.n, persist.sync);
        self.pending.push_back(persist);
        if self.full {
            self.waiting.push(n);
            return None;
        }
        let took = if sync { fsync } else { 0 };
        self.busy_until = self.busy_until.max(now) + took;
        Some(self.busy_until)
    }

    /// The `n`th write is done. A sync takes all before it to the platter too.
    pub fn done(&mut self, n: u64) {
        let synced = self.pending.iter().filter(|persist| persist.sync && persist.n <= n).map(|persist| persist.n);
        if let Some(synced) = synced.max() {
            while let Some(persist) = self.pending.pop_front_if(|persist| persist.n <= synced) {
                self.durable.write(persist);
            }
        }
    }

    /// There is no room any more.
    pub const fn fill(&mut self) {
        self.full = true;
    }

    /// There is room again. Gives the writes that waited and when each will be done.
    pub fn free(&mut self, now: u64, fsync: u64) -> Vec<(u64, u64)> {
        self.full = false;
        let waiting = std::mem::take(&mut self.waiting);
        let mut done = Vec::with_capacity(waiting.len());
        for n in waiting {
            self.busy_until = self.busy_until.max(now) + fsync;
            done.push((n, self.busy_until));
        }
        done
    }

    /// The power goes. Of what was not synced a part may be there, in the order it was written; a transaction
    /// that was torn counts as not written. Gives whether something was lost.
    pub fn crash(&mut self, rng: &mut Rng) -> bool {
        let kept = rng.below(self.pending.len() as u64 + 1);
        let pending = std::mem::take(&mut self.pending);
        let lost = kept < pending.len() as u64;
        for persist in pending.into_iter().take(usize::try_from(kept).unwrap_or_default()) {
            self.durable.write(persist);
        }
        self.busy_until = 0;
        self.waiting.clear();
        lost
    }
}
