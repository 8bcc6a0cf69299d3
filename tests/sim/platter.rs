//! A member's disk with a real store on it: what the simulator's own disk does, the store must do too.

use base::SeededRandomness;
use cluster_core::{Persist, Saved};
use cluster_store::MemberStore;
use cluster_store::testing::CrashingDisk;

use crate::oracle::{Violation, broken};
use crate::rng::Rng;

/// The file of one member.
pub struct RealStore {
    disk: CrashingDisk,
    /// `None` after a failed write, until the power comes back.
    store: Option<MemberStore>,
}

const PROMISE: &str = "a store has after a crash what was synced";

impl RealStore {
    /// A store that begins with `saved`.
    pub fn with(saved: &Saved) -> Result<Self, Violation> {
        let disk = CrashingDisk::new();
        match disk.open(|_| saved.clone()) {
            Ok((store, _)) => Ok(Self { disk, store: Some(store) }),
            Err(error) => broken(PROMISE, format!("a store cannot be made: {error}")),
        }
    }

    /// Writes `batch` in one transaction.
    pub fn write(&mut self, batch: &[Persist]) -> Result<(), Violation> {
        let Some(store) = self.store.as_mut().filter(|_| !batch.is_empty()) else { return Ok(()) };
        store.write(batch).or_else(|error| broken(PROMISE, format!("a write fails: {error}")))
    }

    /// The power goes, perhaps in the middle of writing `writing`, and comes back. Gives how many of `pending` are there,
    /// which follow on `durable`.
    pub fn crash(
        &mut self,
        (durable, pending): (&Saved, &[Persist]),
        writing: &[Persist],
        rng: &mut Rng,
    ) -> Result<usize, Violation> {
        if let Some(store) = self.store.as_mut().filter(|_| !writing.is_empty()) {
            self.disk.goes_dark_after(rng.below(12));
            // Whether it came through is looked at when the power is back.
            let _ = store.write(writing);
        }
        self.disk.goes_dark();
        self.store = None;
        self.disk.comes_back(&SeededRandomness::new(rng.number()));
        let (store, found) = match self.disk.open(|_| Saved::default()) {
            Ok(opened) => opened,
            Err(error) => return broken(PROMISE, format!("the store cannot be opened: {error}")),
        };
        self.store = Some(store);
        let mut expected = durable.clone();
        for kept in 0..=pending.len() {
            if expected == found {
                return Ok(kept);
            }
            if let Some(persist) = pending.get(kept) {
                expected.write(persist.clone());
            }
        }
        broken(PROMISE, format!("it has {}, {} at least was synced", summary(&found), summary(durable)))
    }
}

fn summary(saved: &Saved) -> String {
    let last = saved.entries.last().map(|entry| entry.index);
    format!("boot {}, {:?}, log to {last:?}, applied {}", saved.boot, saved.vote, saved.applied)
}
