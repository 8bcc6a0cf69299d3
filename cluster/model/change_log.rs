//! The newest changes, kept for watchers.

use std::collections::VecDeque;
use std::sync::Arc;

use base::limits;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{Change, Filter, Revision};

/// The changes of the newest [`limits::META_WATCH_LAG_MAX`] commands, or of fewer when those are more than
/// [`limits::META_WATCH_CHANGES_MAX`]. Whoever implements [`crate::Meta`]
/// writes them here once they are durable and readable; watchers read at their own pace.
#[derive(Debug)]
pub struct ChangeLog {
    kept: Mutex<Kept>,
    newest: watch::Sender<Revision>,
}

#[derive(Debug)]
struct Kept {
    /// Changes after this revision are here.
    floor: Revision,
    entries: VecDeque<(Revision, Arc<[Change]>)>,
    /// Of all entries together.
    changes_len: usize,
}

impl ChangeLog {
    /// An empty log of a state that is at `revision`.
    pub fn new(revision: Revision) -> Arc<Self> {
        let kept = Kept { floor: revision, entries: VecDeque::new(), changes_len: 0 };
        Arc::new(Self { kept: Mutex::new(kept), newest: watch::Sender::new(revision) })
    }

    /// Adds what the command at `revision` changed and wakes the watchers. Revisions must grow.
    pub fn push(&self, revision: Revision, changes: Vec<Change>) {
        let mut kept = self.kept.lock();
        kept.changes_len += changes.len();
        kept.entries.push_back((revision, changes.into()));
        // The newest entry stays, however large: a watcher that is up to date never lists again.
        while kept.entries.len() > 1
            && (kept.entries.len() > limits::META_WATCH_LAG_MAX
                || kept.changes_len > limits::META_WATCH_CHANGES_MAX)
            && let Some((dropped, changes)) = kept.entries.pop_front()
        {
            kept.floor = dropped;
            kept.changes_len -= changes.len();
        }
        self.newest.send_replace(revision);
    }

    /// Watches from `from`.
    pub fn watch(self: &Arc<Self>, filter: Filter, from: Revision) -> Watch {
        Watch { newest: self.newest.subscribe(), log: Arc::downgrade(self), filter, seen: from }
    }
}

/// What a watcher is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// The command at `revision` changed this.
    Changed {
        /// The revision.
        revision: Revision,
        /// The changes the filter wants, never none.
        changes: Vec<Change>,
    },
    /// The watcher fell behind: it reads [`crate::Query::List`] and goes on with [`Watch::resume`] at
    /// the revision of that answer.
    Relist,
    /// The store is closed; there is nothing more to come.
    Closed,
}

/// Changes from a revision on, in order.
#[derive(Debug)]
pub struct Watch {
    log: std::sync::Weak<ChangeLog>,
    newest: watch::Receiver<Revision>,
    filter: Filter,
    seen: Revision,
}

impl Watch {
    /// Waits for the next event. Dropping the future loses nothing.
    pub async fn next(&mut self) -> WatchEvent {
        loop {
            self.newest.borrow_and_update();
            if let Some(event) = self.poll() {
                return event;
            }
            if self.newest.changed().await.is_err() {
                return WatchEvent::Closed;
            }
        }
    }

    /// Goes on after `revision`, that of the list the watcher has just read.
    pub fn resume(&mut self, revision: Revision) {
        self.seen = revision;
    }

    /// What is waiting, if anything.
    fn poll(&mut self) -> Option<WatchEvent> {
        let log = self.log.upgrade()?;
        let kept = log.kept.lock();
        if self.seen < kept.floor {
            return Some(WatchEvent::Relist);
        }
        let start = kept.entries.partition_point(|(revision, _)| *revision <= self.seen);
        for (revision, changes) in kept.entries.range(start..) {
            self.seen = *revision;
            let wanted: Vec<_> =
                changes.iter().filter(|change| self.filter.matches(change)).cloned().collect();
            if !wanted.is_empty() {
                return Some(WatchEvent::Changed { revision: *revision, changes: wanted });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_watcher_lags_behind_by_so_many_changes_and_no_more() {
        let log = ChangeLog::new(Revision::ZERO);
        let mut watch = log.watch(Filter::All, Revision::ZERO);
        let half = vec![Change::Generation(1); limits::META_WATCH_CHANGES_MAX / 2];
        log.push(Revision(1), half.clone());
        log.push(Revision(2), half.clone());
        assert!(matches!(watch.next().await, WatchEvent::Changed { revision: Revision(1), .. }));
        log.push(Revision(3), half);
        let mut late = log.watch(Filter::All, Revision::ZERO);
        assert_eq!(late.next().await, WatchEvent::Relist);
        assert!(matches!(watch.next().await, WatchEvent::Changed { revision: Revision(2), .. }));
        // One that is more than all may be is told all the same.
        log.push(Revision(4), vec![Change::Generation(1); 2 * limits::META_WATCH_CHANGES_MAX]);
        watch.resume(Revision(3));
        assert!(matches!(watch.next().await, WatchEvent::Changed { revision: Revision(4), .. }));
    }
}
