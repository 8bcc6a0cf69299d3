//! What waits for the database: bounded, and forgotten as a whole when it is too much.

use std::collections::VecDeque;

use base::limits;
use cluster_model::Revision;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::projection::Item;

/// Items on their way to the database, oldest first. One puts, one takes; nobody who puts waits.
///
/// Beyond its limits it forgets everything and is *behind*: whoever takes lists the state and begins anew at the
/// revision of that list. What no list has is counted as lost.
#[derive(Debug)]
pub(crate) struct Outbox {
    inner: Mutex<Inner>,
    filled: Notify,
    begun: Notify,
    changes_max: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct Inner {
    /// With their bytes.
    queue: VecDeque<(Item, usize)>,
    waiting: Waiting,
    /// Of what was taken and is not done.
    in_hand: Load,
    resume_at: Option<Revision>,
}

/// Commands, changes and bytes of some items.
#[derive(Clone, Copy, Debug, Default)]
struct Load(usize, usize, usize);

/// What waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// Commands whose rows wait, those on their way included.
    pub commands: usize,
    /// Rows of them.
    pub changes: usize,
    /// Memory they take, about.
    pub bytes: usize,
    /// The newest revision that is to be written, or was; also while behind. Zero: nobody writes.
    pub newest: Revision,
    /// Whether the state must be listed.
    pub behind: bool,
    /// How often it fell behind.
    pub fell_behind: u64,
    /// Facts and events that were seen and never written, at most.
    pub lost: u64,
}

impl Default for Outbox {
    fn default() -> Self {
        Self::new(limits::OUTBOX_CHANGES_MAX, limits::OUTBOX_BYTES_MAX)
    }
}

impl Outbox {
    /// An empty one, which is behind, for so many changes and bytes.
    pub fn new(changes_max: usize, bytes_max: usize) -> Self {
        let inner = Inner {
            queue: VecDeque::new(),
            waiting: Waiting { behind: true, ..Waiting::default() },
            in_hand: Load::default(),
            resume_at: None,
        };
        Self { inner: Mutex::new(inner), filled: Notify::new(), begun: Notify::new(), changes_max, bytes_max }
    }

    /// As it was made: empty and behind. What it counted stays.
    pub fn reset(&self) {
        let inner = &mut *self.inner.lock();
        inner.queue = VecDeque::new();
        (inner.in_hand, inner.resume_at) = (Load::default(), None);
        inner.waiting.newest = Revision::ZERO;
        inner.only_in_hand();
        inner.waiting.behind = true;
    }

    /// Empty again and no longer behind: what comes next is what follows `at`. Says so to [`Outbox::resumed`].
    pub fn begin(&self, at: Revision) {
        let inner = &mut *self.inner.lock();
        inner.queue.clear();
        inner.in_hand = Load::default();
        inner.only_in_hand();
        inner.waiting.behind = false;
        inner.waiting.newest = inner.waiting.newest.max(at);
        inner.resume_at = Some(at);
        self.begun.notify_one();
    }

    /// Puts what follows. While behind it is forgotten at once.
    pub fn push(&self, item: Item) {
        let inner = &mut *self.inner.lock();
        inner.waiting.newest = inner.waiting.newest.max(item.stamp.revision);
        // What follows a revision that is about to be resumed from comes again.
        if inner.resume_at.is_some() {
            return;
        }
        if inner.waiting.behind {
            inner.waiting.lost += item.fleeting;
            return;
        }
        let (changes, bytes) = (item.writes.len(), item.bytes());
        let is_empty = inner.waiting.commands == 0;
        let is_full = inner.waiting.changes + changes > self.changes_max
            || inner.waiting.bytes + bytes > self.bytes_max;
        if is_full && !is_empty {
            inner.waiting.lost += item.fleeting;
            inner.fall_behind();
        } else {
            inner.waiting.commands += 1;
            inner.waiting.changes += changes;
            inner.waiting.bytes += bytes;
            inner.queue.push_back((item, bytes));
        }
        self.filled.notify_one();
    }

    /// What followed is no longer at hand: the state must be listed.
    pub fn fall_behind(&self) {
        let inner = &mut *self.inner.lock();
        if !inner.waiting.behind && inner.resume_at.is_none() {
            inner.fall_behind();
        }
        self.filled.notify_one();
    }

    /// Waits for [`Outbox::begin`] and says where.
    pub async fn resumed(&self) -> Revision {
        loop {
            if let Some(at) = self.inner.lock().resume_at.take() {
                return at;
            }
            self.begun.notified().await;
        }
    }

    /// Waits until there is something to take, or it is behind.
    pub async fn filled(&self) {
        loop {
            {
                let inner = self.inner.lock();
                if inner.waiting.behind || !inner.queue.is_empty() {
                    return;
                }
            }
            self.filled.notified().await;
        }
    }

    /// Takes the oldest items: of revisions up to `up_to`, no more than one batch may hold, one at least if there is any. They
    /// count until [`Outbox::done`].
    pub fn take(&self, up_to: Revision) -> Vec<Item> {
        let inner = &mut *self.inner.lock();
        let mut taken = Vec::new();
        let mut sum = 0;
        while taken.len() < limits::PROJECTION_BATCH_COMMANDS_MAX
            && let Some((item, bytes)) = inner.queue.front()
            && item.stamp.revision <= up_to
            && (taken.is_empty() || sum + bytes <= limits::PROJECTION_BATCH_BYTES_MAX)
            && let Some((item, bytes)) = inner.queue.pop_front()
        {
            sum += bytes;
            let Load(commands, changes, in_hand) = inner.in_hand;
            inner.in_hand = Load(commands + 1, changes + item.writes.len(), in_hand + bytes);
            taken.push(item);
        }
        taken
    }

    /// What was taken is written.
    pub fn done(&self) {
        let inner = &mut *self.inner.lock();
        let Load(commands, changes, bytes) = std::mem::take(&mut inner.in_hand);
        inner.waiting.commands = inner.waiting.commands.saturating_sub(commands);
        inner.waiting.changes = inner.waiting.changes.saturating_sub(changes);
        inner.waiting.bytes = inner.waiting.bytes.saturating_sub(bytes);
    }

    /// Revision of the oldest item that was not taken.
    pub fn next_revision(&self) -> Option<Revision> {
        self.inner.lock().queue.front().map(|(item, _)| item.stamp.revision)
    }

    /// What waits.
    pub fn waiting(&self) -> Waiting {
        self.inner.lock().waiting
    }
}

impl Inner {
    fn fall_behind(&mut self) {
        self.waiting.lost += self.queue.iter().map(|(item, _)| item.fleeting).sum::<u64>();
        self.waiting.fell_behind += 1;
        self.waiting.behind = true;
        self.queue.clear();
        self.only_in_hand();
    }

    fn only_in_hand(&mut self) {
        let Load(commands, changes, bytes) = self.in_hand;
        (self.waiting.commands, self.waiting.changes, self.waiting.bytes) = (commands, changes, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planned::{Deed, Write};
    use crate::{Stamp, Table};

    fn item(revision: u64, writes: usize, fleeting: u64) -> Item {
        let stamp = Stamp::new(0, Revision(revision));
        let write = Write { table: Table::Users, key: vec!["u".into()], deed: Deed::Delete, stamp };
        Item { stamp, writes: vec![write; writes], rows: Vec::new(), fleeting }
    }

    fn revisions(items: &[Item]) -> Vec<u64> {
        items.iter().map(|item| item.stamp.revision.0).collect()
    }

    #[test]
    fn beyond_its_limits_it_forgets_everything_and_counts_what_is_lost() {
        let outbox = Outbox::new(10, usize::MAX);
        outbox.begin(Revision(1));
        assert_eq!(outbox.inner.lock().resume_at.take(), Some(Revision(1)));
        outbox.push(item(2, 6, 1));
        outbox.push(item(3, 4, 0));
        assert_eq!(outbox.waiting().changes, 10);
        outbox.push(item(4, 1, 1));
        let waiting = outbox.waiting();
        assert!(waiting.behind && waiting.changes == 0 && waiting.bytes == 0, "{waiting:?}");
        outbox.push(item(5, 1, 1));
        assert_eq!((outbox.waiting().lost, outbox.waiting().fell_behind), (3, 1));
        // What is not there yet is known nevertheless.
        assert_eq!(outbox.waiting().newest, Revision(5));
        outbox.begin(Revision(9));
        assert!(!outbox.waiting().behind);
        outbox.reset();
        assert_eq!((outbox.waiting().newest, outbox.waiting().bytes), (Revision::ZERO, 0));
    }

    #[test]
    fn one_item_that_is_more_than_all_may_be_is_taken_all_the_same() {
        let outbox = Outbox::new(10, 1);
        outbox.begin(Revision(0));
        outbox.inner.lock().resume_at.take();
        outbox.push(item(1, 20, 0));
        assert!(!outbox.waiting().behind);
        assert_eq!(revisions(&outbox.take(Revision(u64::MAX))), [1]);
        // In hand it counts still.
        outbox.push(item(2, 1, 0));
        assert!(outbox.waiting().behind);
    }

    #[test]
    fn a_batch_ends_where_it_is_told_to() {
        let outbox = Outbox::default();
        outbox.begin(Revision(0));
        outbox.inner.lock().resume_at.take();
        (1..=5).for_each(|revision| outbox.push(item(revision, 1, 0)));
        assert_eq!(revisions(&outbox.take(Revision(3))), [1, 2, 3]);
        assert_eq!(outbox.next_revision(), Some(Revision(4)));
        assert_eq!(outbox.waiting().commands, 5);
        outbox.done();
        assert_eq!(outbox.waiting().commands, 2);
    }
}
