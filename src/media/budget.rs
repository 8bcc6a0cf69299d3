//! What live media may take in a node's memory.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use base::limits;
use parking_lot::Mutex;

/// What the budget can take history from: a ring.
pub(crate) trait Holder: Send + Sync {
    /// Bytes charged for it now.
    fn charged(&self) -> usize;
    /// Lets its oldest entries go until it is charged no more than `level`; how many went.
    fn cut(&self, level: usize) -> u64;
}

/// The memory of a node's live media: one budget, shared by every ring and every unfinished message.
///
/// * **Rings** are charged with what is allocated for their entries. When the sum is over the budget
///   they are cut to one level, the highest at which all fit with room to spare
///   ([`limits::MEDIA_BUDGET_ROOM_DIVISOR`]). A ring below the level loses nothing, and the level is
///   never below the budget for rings divided by their number: who floods loses their own history first.
/// * **Unfinished messages** may hold a share of it: those of publishers
///   [`limits::MEDIA_UNFINISHED_PERCENT_MAX`], those of players, and of sessions that nobody let in yet,
///   [`limits::MEDIA_STRANGERS_PERCENT_MAX`]. When a share is spent, who holds more than their part of it
///   and wants more is told so ([`BudgetSpent`]) and is to be ended: no stranger ends a publisher.
/// * **Admission**: [`MediaBudget::has_room`] is asked before a publisher is let in.
///
/// Bound: after every write the sum is within the budget; during writes it is over it by what they bring,
/// per writing thread one message, which also counts as the unit that it becomes. What readers still hold of
/// entries that went is not counted: a play shard holds what it may still have to send
/// ([`limits::PLAY_BACKLOG_MAX`]).
#[derive(Debug)]
pub struct MediaBudget {
    bytes_max: usize,
    held: AtomicUsize,
    strangers: Unfinished,
    publishers: Unfinished,
    shed: AtomicU64,
    rings: Mutex<Vec<Weak<dyn Holder>>>,
}

/// What sessions of one kind hold unfinished.
#[derive(Debug, Default)]
struct Unfinished {
    bytes: AtomicUsize,
    holders: AtomicUsize,
}

/// The share of unfinished messages is spent, and the asker holds more than its part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node's memory for unfinished messages is spent")]
pub struct BudgetSpent;

impl MediaBudget {
    /// A budget of `bytes_max` bytes.
    pub fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes_max,
            held: AtomicUsize::new(0),
            strangers: Unfinished::default(),
            publishers: Unfinished::default(),
            shed: AtomicU64::new(0),
            rings: Mutex::new(Vec::new()),
        })
    }

    /// A budget nothing reaches: for tests of other things.
    pub fn unlimited() -> Arc<Self> {
        Self::new(usize::MAX)
    }

    /// The most media may hold, in bytes.
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// What media holds now, in bytes.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Entries of rings that went before their time.
    pub fn shed(&self) -> u64 {
        self.shed.load(Ordering::Relaxed)
    }

    /// Whether another publisher may be let in: less than [`limits::MEDIA_ADMISSION_PERCENT_MAX`] is held.
    pub fn has_room(&self) -> bool {
        self.held() < percent(self.bytes_max, limits::MEDIA_ADMISSION_PERCENT_MAX)
    }

    /// The account of a session's unfinished messages; dropped, it gives back what it holds.
    pub fn unfinished(self: &Arc<Self>) -> UnfinishedMessages {
        UnfinishedMessages { charge: Charge::new(Arc::clone(self)), publishes: false }
    }

    /// Counts `ring` among those that can be cut.
    pub(crate) fn follow(&self, ring: Weak<dyn Holder>) {
        let mut rings = self.rings.lock();
        // Rings that are gone are forgotten before the list grows: it stays below twice what lives.
        if rings.len() == rings.capacity() {
            rings.retain(|held| held.strong_count() > 0);
        }
        rings.push(ring);
    }

    /// Brings the sum within the budget again, if it is over it. Not to be called with a ring locked.
    pub(crate) fn keep(&self) {
        if self.held() <= self.bytes_max {
            return;
        }
        let mut held = self.rings.lock();
        // Another thread may have done it meanwhile.
        if self.held() <= self.bytes_max {
            return;
        }
        held.retain(|ring| ring.strong_count() > 0);
        let rings: Vec<_> = held.iter().filter_map(Weak::upgrade).collect();
        let mut sizes: Vec<usize> = rings.iter().map(|ring| ring.charged()).collect();
        // With room to spare, so that all rings are looked at once in a while, not at every write.
        let target = self.bytes_max - self.bytes_max / limits::MEDIA_BUDGET_ROOM_DIVISOR;
        // Unfinished messages, and rings that are just being freed.
        let others = self.held().saturating_sub(sizes.iter().sum());
        let level = level(&mut sizes, target.saturating_sub(others));
        let shed = rings.iter().filter(|ring| ring.charged() > level).map(|ring| ring.cut(level)).sum();
        self.shed.fetch_add(shed, Ordering::Relaxed);
    }
}

/// `share` percent of `bytes`; written so that it cannot overflow.
const fn percent(bytes: usize, share: usize) -> usize {
    bytes / 100 * share
}

/// The highest level to which sizes can be cut so that they sum up to no more than `target`.
fn level(sizes: &mut [usize], target: usize) -> usize {
    sizes.sort_unstable();
    let mut left = target;
    let mut rest = sizes.len();
    for size in sizes {
        let share = left / rest;
        if *size > share {
            return share;
        }
        left -= *size;
        rest -= 1;
    }
    usize::MAX
}

/// What one holder is charged; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    budget: Arc<MediaBudget>,
    bytes: usize,
}

impl Charge {
    pub(crate) fn new(budget: Arc<MediaBudget>) -> Self {
        Self { budget, bytes: 0 }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn add(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.budget.held.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn give_back(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.budget.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.give_back(self.bytes);
    }
}

/// What a session holds of messages that are not whole yet.
#[derive(Debug)]
pub struct UnfinishedMessages {
    charge: Charge,
    publishes: bool,
}

impl UnfinishedMessages {
    /// The session was let in as a publisher: it counts among those from now on.
    pub fn let_in(&mut self) {
        let bytes = self.charge.bytes;
        // Giving back cannot fail, and what it held was within a stranger's part.
        let _ = self.hold(0);
        self.publishes = true;
        let _ = self.hold(bytes);
    }

    /// Says what the session holds now, in bytes.
    ///
    /// # Errors
    /// It grew, all sessions of its kind together hold more than their share of the budget, and this one
    /// more than its part of that: it is to be ended.
    pub fn hold(&mut self, bytes: usize) -> Result<(), BudgetSpent> {
        let before = self.charge.bytes;
        if bytes == before {
            return Ok(());
        }
        let budget = Arc::clone(&self.charge.budget);
        let (of_kind, share) = if self.publishes {
            (&budget.publishers, limits::MEDIA_UNFINISHED_PERCENT_MAX)
        } else {
            (&budget.strangers, limits::MEDIA_STRANGERS_PERCENT_MAX)
        };
        if before == 0 {
            of_kind.holders.fetch_add(1, Ordering::Relaxed);
        } else if bytes == 0 {
            of_kind.holders.fetch_sub(1, Ordering::Relaxed);
        }
        if bytes < before {
            self.charge.give_back(before - bytes);
            of_kind.bytes.fetch_sub(before - bytes, Ordering::Relaxed);
            return Ok(());
        }
        self.charge.add(bytes - before);
        let all = of_kind.bytes.fetch_add(bytes - before, Ordering::Relaxed) + (bytes - before);
        budget.keep();
        let share = percent(budget.bytes_max, share);
        let holders = of_kind.holders.load(Ordering::Relaxed).max(1);
        if all > share && bytes > share / holders { Err(BudgetSpent) } else { Ok(()) }
    }
}

impl Drop for UnfinishedMessages {
    fn drop(&mut self) {
        // Giving back cannot fail.
        let _ = self.hold(0);
    }
}

#[cfg(test)]
mod tests;
