//! The bounded ring behind every track: one writer, any number of readers, no reader blocks it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use base::{MediaTime, limits};
use parking_lot::RwLock;

use crate::bell::{Bell, Bells};
use crate::budget::{Charge, Holder, MediaBudget};

/// What a ring needs to know of its entries.
pub trait Timed {
    /// Position on the stream's clock, never going back.
    fn dts(&self) -> MediaTime;
    /// Payload size, for the ring's byte budget.
    fn bytes(&self) -> usize;
    /// Bytes allocated for it alone, for the node's media budget: what it shares with another entry that
    /// is charged counts there.
    fn allocated(&self) -> usize;
    /// Whether a reader may start here.
    fn key(&self) -> bool;
}

/// A reader's position: the index of the entry it reads next. Holds nothing alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(pub u64);

/// What a read gave.
#[derive(Debug)]
pub struct Read<T> {
    /// The entries, oldest first, with the index of the first one.
    pub entries: Vec<Arc<T>>,
    /// Index of `entries[0]`, or of the next entry to come.
    pub first: u64,
    /// Entries that were gone before this reader came: it was slow, and now stands at the newest
    /// key entry (or, without one, at the head, waiting for the next).
    pub skipped: u64,
}

struct State<T> {
    entries: VecDeque<Arc<T>>,
    /// Index of `entries[0]`.
    first: u64,
    bytes: usize,
    charge: Charge,
    /// Indices of key entries still held, oldest first.
    keys: VecDeque<u64>,
    closed: bool,
}

/// A ring of entries in `dts` order, bounded by [`limits::RING_DURATION_MAX`],
/// [`limits::RING_BYTES_MAX`] and [`limits::RING_ENTRIES_MAX`], and with all others by the node's
/// [`MediaBudget`]; beyond them the oldest go. Indices start at 0 and never repeat.
pub struct Ring<T> {
    state: RwLock<State<T>>,
    /// Index of the next entry to be written; readable without the lock.
    head: AtomicU64,
    bells: Bells,
    budget: Arc<MediaBudget>,
}

impl<T: Timed + Send + Sync + 'static> Ring<T> {
    /// An empty ring whose entries are charged to `budget`.
    pub fn new(budget: &Arc<MediaBudget>) -> Arc<Self> {
        let ring = Arc::new(Self {
            state: RwLock::new(State {
                entries: VecDeque::new(),
                first: 0,
                bytes: 0,
                charge: Charge::new(Arc::clone(budget)),
                keys: VecDeque::new(),
                closed: false,
            }),
            head: AtomicU64::new(0),
            bells: Bells::default(),
            budget: Arc::clone(budget),
        });
        let held: Weak<dyn Holder> = Arc::<Self>::downgrade(&ring);
        budget.follow(held);
        ring
    }
}

impl<T: Timed> Ring<T> {
    /// Appends an entry, lets the oldest go beyond the bounds, and wakes the readers.
    /// Returns the entry's index.
    pub(crate) fn push(&self, entry: Arc<T>) -> u64 {
        let index = self.append(entry);
        self.ring();
        index
    }

    /// The same, and wakes nobody yet.
    pub(crate) fn append(&self, entry: Arc<T>) -> u64 {
        let index = {
            let mut state = self.state.write();
            state.charge.add(charged(&*entry));
            let index = state.first + state.entries.len() as u64;
            let newest = entry.dts();
            state.bytes += entry.bytes();
            if entry.key() {
                state.keys.push_back(index);
            }
            state.entries.push_back(entry);
            while state.entries.len() > 1 && state.over(newest) {
                state.drop_oldest();
            }
            self.head.store(index + 1, Ordering::Release);
            index
        };
        self.budget.keep();
        index
    }

    /// Wakes who waits for what was appended.
    pub(crate) fn ring(&self) {
        self.bells.ring();
    }

    /// Ends the ring: readers drain it and then see [`Ring::is_closed`].
    pub(crate) fn close(&self) {
        self.state.write().closed = true;
        self.bells.ring();
    }

    /// Whether the writer is gone for good.
    pub fn is_closed(&self) -> bool {
        self.state.read().closed
    }

    /// Index the next entry will get.
    pub fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    /// Index of the oldest entry held (equal to [`Ring::head`] when empty).
    pub fn tail(&self) -> u64 {
        self.state.read().first
    }

    /// Index of the newest key entry held.
    pub fn newest_key(&self) -> Option<u64> {
        self.state.read().keys.back().copied()
    }

    /// `dts` of the newest entry held.
    pub fn newest(&self) -> Option<MediaTime> {
        self.state.read().entries.back().map(|entry| entry.dts())
    }

    /// Index of the oldest entry held whose `dts` is at or after `dts`; the head if there is none.
    pub fn at_or_after(&self, dts: MediaTime) -> u64 {
        let state = self.state.read();
        state.first + state.entries.partition_point(|entry| entry.dts() < dts) as u64
    }

    /// The entry at `index`, if it is still held.
    pub fn get(&self, index: u64) -> Option<Arc<T>> {
        let state = self.state.read();
        let offset = usize::try_from(index.checked_sub(state.first)?).ok()?;
        state.entries.get(offset).cloned()
    }

    /// Finds the held entry for which `before` turns false, as `partition_point` does.
    pub fn find(&self, before: impl FnMut(&Arc<T>) -> bool) -> Option<Arc<T>> {
        let state = self.state.read();
        let mut before = before;
        let offset = state.entries.partition_point(|entry| before(entry));
        state.entries.get(offset).cloned()
    }

    /// Reads up to `max` entries and moves the cursor behind them.
    ///
    /// A cursor whose entry is gone jumps to the newest key entry, or waits at the head when the
    /// ring holds none (`Read::skipped` counts what it missed).
    pub fn read(&self, cursor: &mut Cursor, max: usize) -> Read<T> {
        if cursor.0 >= self.head() {
            return Read { entries: Vec::new(), first: cursor.0, skipped: 0 };
        }
        let state = self.state.read();
        let head = state.first + state.entries.len() as u64;
        let mut skipped = 0;
        if cursor.0 < state.first {
            let to = state.keys.back().copied().unwrap_or(head);
            skipped = to - cursor.0;
            cursor.0 = to;
        }
        let first = cursor.0;
        let offset = usize::try_from(first - state.first).unwrap_or(usize::MAX);
        let entries: Vec<_> = state.entries.iter().skip(offset).take(max).cloned().collect();
        cursor.0 += entries.len() as u64;
        Read { entries, first, skipped }
    }

    /// Hangs a bell that is rung at every push and at the close.
    pub fn hang(&self, bell: &Bell) {
        self.bells.hang(bell);
    }

    /// Takes a bell down.
    pub fn take_down(&self, bell: &Bell) {
        self.bells.take_down(bell);
    }

    /// Bytes of payload and stream time held.
    pub fn held(&self) -> (usize, std::time::Duration) {
        let state = self.state.read();
        let time = match (state.entries.front(), state.entries.back()) {
            (Some(oldest), Some(newest)) => newest.dts().since(oldest.dts()),
            _ => std::time::Duration::ZERO,
        };
        (state.bytes, time)
    }
}

impl<T: Timed> State<T> {
    fn over(&self, newest: MediaTime) -> bool {
        self.bytes > limits::RING_BYTES_MAX
            || self.entries.len() > limits::RING_ENTRIES_MAX
            || self
                .entries
                .front()
                .is_some_and(|oldest| newest.since(oldest.dts()) > limits::RING_DURATION_MAX)
    }

    fn drop_oldest(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= entry.bytes();
            self.charge.give_back(charged(&*entry));
            if self.keys.front() == Some(&self.first) {
                self.keys.pop_front();
            }
            self.first += 1;
        }
    }
}

impl<T: Timed + Send + Sync> Holder for Ring<T> {
    fn charged(&self) -> usize {
        self.state.read().charge.bytes()
    }

    /// Unlike the ring's own bounds this may let the newest entry go too.
    fn cut(&self, level: usize) -> u64 {
        let mut state = self.state.write();
        let first = state.first;
        while state.charge.bytes() > level && !state.entries.is_empty() {
            state.drop_oldest();
        }
        state.first - first
    }
}

/// What an entry costs in memory, with its place in the ring.
fn charged<T: Timed>(entry: &T) -> usize {
    // Reference counts of the entry and its payload, and what the allocator keeps of each.
    const BOOKKEEPING_BYTES: usize = 96;
    entry.allocated() + size_of::<T>() + BOOKKEEPING_BYTES
}

impl<T> std::fmt::Debug for Ring<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("head", &self.head).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
