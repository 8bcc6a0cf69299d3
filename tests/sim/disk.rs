//! A disk that keeps its promises and not more: what was not synced may be lost in a crash. In some worlds a real store
//! lies on it as well, and must come to the same.

use std::collections::VecDeque;

use cluster_core::{Persist, Saved};

use crate::oracle::Violation;
use crate::platter::RealStore;
use crate::rng::Rng;

/// One member's disk.
#[derive(Default)]
pub struct Disk {
    real: Option<RealStore>,
    /// What is there after any crash.
    durable: Saved,
    /// Given to be written and not yet synced, in order.
    pending: VecDeque<Persist>,
    /// All up to this one are being written.
    writing: Option<u64>,
    /// All up to this one are written, if perhaps not synced.
    written: u64,
    /// Full: nothing is written until there is room.
    full: bool,
}

impl Disk {
    /// A disk with `saved` on it.
    pub fn with(saved: Saved) -> Self {
        Self { durable: saved, ..Self::default() }
    }

    /// Puts a real store on it.
    pub fn make_real(&mut self) -> Result<(), Violation> {
        self.real = Some(RealStore::with(&self.durable)?);
        Ok(())
    }

    /// What is on it.
    pub const fn durable(&self) -> &Saved {
        &self.durable
    }

    /// Takes a write. Gives what [`Disk::begin`] gives.
    pub fn write(&mut self, persist: Persist, fsync: u64) -> Option<(u64, u64)> {
        self.pending.push_back(persist);
        self.begin(fsync)
    }

    /// Begins to write all that waits, with one sync, if nothing is being written and there is room. Gives up to
    /// which one and how long it takes.
    fn begin(&mut self, fsync: u64) -> Option<(u64, u64)> {
        let last = self.pending.back().map(|persist| persist.n).filter(|last| *last > self.written)?;
        if self.full || self.writing.is_some() {
            return None;
        }
        let mut group = self.pending.iter().filter(|persist| persist.n > self.written);
        let took = if group.any(|persist| persist.sync) { fsync } else { 0 };
        self.writing = Some(last);
        Some((last, took))
    }

    /// All up to the `n`th are written. A sync takes all before it to the platter too. What came meanwhile is
    /// begun, as [`Disk::begin`] says.
    pub fn done(&mut self, n: u64, fsync: u64) -> Result<Option<(u64, u64)>, Violation> {
        if let Some(real) = &mut self.real {
            let fresh = |persist: &&Persist| persist.n > self.written && persist.n <= n;
            let batch: Vec<_> = self.pending.iter().filter(fresh).cloned().collect();
            real.write(&batch)?;
        }
        let synced =
            self.pending.iter().filter(|persist| persist.sync && persist.n <= n).map(|persist| persist.n);
        if let Some(synced) = synced.max() {
            while let Some(persist) = self.pending.pop_front_if(|persist| persist.n <= synced) {
                self.durable.write(persist);
            }
        }
        self.written = n;
        self.writing = None;
        Ok(self.begin(fsync))
    }

    /// There is no room any more; what is being written still comes through.
    pub const fn fill(&mut self) {
        self.full = true;
    }

    /// There is room again. Gives what [`Disk::begin`] gives.
    pub fn free(&mut self, fsync: u64) -> Option<(u64, u64)> {
        self.full = false;
        self.begin(fsync)
    }

    /// The power goes. Of what was not synced a part may be there, in the order it was written; a transaction
    /// that was torn counts as not written. Gives whether something was lost.
    pub fn crash(&mut self, rng: &mut Rng) -> Result<bool, Violation> {
        let pending = Vec::from(std::mem::take(&mut self.pending));
        let kept = match &mut self.real {
            None => usize::try_from(rng.below(pending.len() as u64 + 1)).unwrap_or_default(),
            Some(real) => {
                let upto = self.writing.unwrap_or_default();
                let fresh = |persist: &&Persist| persist.n > self.written && persist.n <= upto;
                let writing: Vec<_> = pending.iter().filter(fresh).cloned().collect();
                real.crash((&self.durable, &pending), &writing, rng)?
            }
        };
        let lost = kept < pending.len();
        for persist in pending.into_iter().take(kept) {
            self.durable.write(persist);
        }
        self.writing = None;
        self.written = 0;
        Ok(lost)
    }
}
