//! The newest changes, kept for watchers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use base::limits;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{Change, Filter, Revision};

/// The changes of the newest [`limits::META_WATCH_LAG_MAX`] commands, or of fewer when those are more than
/// [`limits::META_WATCH_CHANGES_MAX`] or older than [`limits::META_WATCH_AGE_MAX`]. Whoever implements [`crate::Meta`]
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
    /// Counts how often the state became another one. Its revision may be less than before: after a restore.
    era: u64,
    entries: VecDeque<Entry>,
    /// Changes of all entries together.
    changes_len: usize,
}

#[derive(Debug)]
struct Entry {
    revision: Revision,
    changes: Arc<[Change]>,
    /// When it was put here.
    at: Instant,
}

impl ChangeLog {
    /// An empty log of a state that is at `revision`.
    pub fn new(revision: Revision) -> Arc<Self> {
        let kept = Kept { floor: revision, era: 0, entries: VecDeque::new(), changes_len: 0 };
        Arc::new(Self { kept: Mutex::new(kept), newest: watch::Sender::new(revision) })
    }

    /// Adds what the command at `revision` changed, `at` now, and wakes the watchers. Revisions must grow.
    pub fn push(&self, revision: Revision, changes: Vec<Change>, at: Instant) {
        let kept = &mut *self.kept.lock();
        kept.changes_len += changes.len();
        kept.entries.push_back(Entry { revision, changes: changes.into(), at });
        // The newest entry stays, however large: a watcher that is up to date never lists again.
        while kept.entries.len() > 1
            && (kept.entries.len() > limits::META_WATCH_LAG_MAX
                || kept.changes_len > limits::META_WATCH_CHANGES_MAX
                || kept.entries.front().is_some_and(|oldest| {
                    at.saturating_duration_since(oldest.at) > limits::META_WATCH_AGE_MAX
                }))
            && let Some(dropped) = kept.entries.pop_front()
        {
            kept.floor = dropped.revision;
            kept.changes_len -= dropped.changes.len();
        }
        self.newest.send_replace(revision);
    }

    /// The state is another one, at `revision`: whoever has not seen that lists again.
    pub fn begin_anew(&self, revision: Revision) {
        let kept = &mut *self.kept.lock();
        kept.entries.clear();
        kept.era += 1;
        (kept.floor, kept.changes_len) = (revision, 0);
        self.newest.send_replace(revision);
    }

    /// Waits until readers and watchers have what was applied up to `revision`, or until there is nothing more to come.
    /// Keeps nothing alive meanwhile.
    pub fn reached(&self, revision: Revision) -> impl Future<Output = ()> + Send + use<> {
        let mut newest = self.newest.subscribe();
        async move {
            // Closed: there is nothing more to come.
            let _ = newest.wait_for(|newest| *newest >= revision).await;
        }
    }

    /// Watches from `from`.
    pub fn watch(self: &Arc<Self>, filter: Filter, from: Revision) -> Watch {
        let (newest, era) = (self.newest.subscribe(), self.kept.lock().era);
        Watch { newest, log: Arc::downgrade(self), filter, seen: from, era }
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
    era: u64,
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
        self.expect_list();
        self.go_on_after(revision);
    }

    /// A list is going to be read, for [`Self::go_on_after`]: if the log begins anew meanwhile, that list is not enough.
    pub(crate) fn expect_list(&mut self) {
        if let Some(log) = self.log.upgrade() {
            self.era = log.kept.lock().era;
        }
    }

    /// As [`Self::resume`], of a list that was expected.
    pub(crate) const fn go_on_after(&mut self, revision: Revision) {
        self.seen = revision;
    }

    /// What is waiting, if anything.
    fn poll(&mut self) -> Option<WatchEvent> {
        let log = self.log.upgrade()?;
        let kept = log.kept.lock();
        if self.seen < kept.floor || self.era != kept.era {
            return Some(WatchEvent::Relist);
        }
        let start = kept.entries.partition_point(|entry| entry.revision <= self.seen);
        for Entry { revision, changes, .. } in kept.entries.range(start..) {
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
    use std::time::Duration;

    use base::{Clock, SystemClock};

    use super::*;

    #[tokio::test]
    async fn what_is_old_is_listed_again() {
        let log = ChangeLog::new(Revision::ZERO);
        let now = SystemClock.now();
        let changes = || vec![Change::Settings { app: base::AppName::new("a").unwrap(), now: None }];
        log.push(Revision(1), changes(), now);
        let mut behind = log.watch(Filter::Settings, Revision::ZERO);
        let mut seen = log.watch(Filter::Settings, Revision(1));
        log.push(Revision(2), changes(), now + limits::META_WATCH_AGE_MAX);
        assert_eq!(log.kept.lock().entries.len(), 2);
        log.push(Revision(3), changes(), now + limits::META_WATCH_AGE_MAX + Duration::from_millis(1));
        assert_eq!(log.kept.lock().entries.len(), 2);
        assert_eq!(behind.next().await, WatchEvent::Relist);
        assert!(matches!(seen.next().await, WatchEvent::Changed { revision: Revision(2), .. }));
    }

    #[tokio::test]
    async fn who_waits_for_a_revision_is_told_when_it_is_reached_or_never_will_be() {
        let log = ChangeLog::new(Revision(1));
        log.reached(Revision(1)).await;
        let waiting = |revision| tokio::spawn(log.reached(revision));
        let (changed, anew, never) = (waiting(Revision(2)), waiting(Revision(9)), waiting(Revision(10)));
        log.push(Revision(2), vec![], SystemClock.now());
        changed.await.unwrap();
        log.begin_anew(Revision(9));
        anew.await.unwrap();
        assert!(!never.is_finished());
        drop(log);
        never.await.unwrap();
    }

    #[tokio::test]
    async fn a_state_of_before_is_listed_again_though_it_was_ahead() {
        let log = ChangeLog::new(Revision(9));
        let mut watch = log.watch(Filter::Settings, Revision(9));
        log.begin_anew(Revision(4));
        assert_eq!(watch.next().await, WatchEvent::Relist);
        watch.resume(Revision(4));
        let change = Change::Settings { app: base::AppName::new("a").unwrap(), now: None };
        log.push(Revision(5), vec![change], SystemClock.now());
        assert!(matches!(watch.next().await, WatchEvent::Changed { revision: Revision(5), .. }));
    }

    #[tokio::test]
    async fn a_watcher_lags_behind_by_so_many_changes_and_no_more() {
        let log = ChangeLog::new(Revision::ZERO);
        let mut watch = log.watch(Filter::All, Revision::ZERO);
        let half = vec![Change::Generation(1); limits::META_WATCH_CHANGES_MAX / 2];
        let now = SystemClock.now();
        log.push(Revision(1), half.clone(), now);
        log.push(Revision(2), half.clone(), now);
        assert!(matches!(watch.next().await, WatchEvent::Changed { revision: Revision(1), .. }));
        log.push(Revision(3), half, now);
        let mut late = log.watch(Filter::All, Revision::ZERO);
        assert_eq!(late.next().await, WatchEvent::Relist);
        assert!(matches!(watch.next().await, WatchEvent::Changed { revision: Revision(2), .. }));
        // One that is more than all may be is told all the same.
        log.push(Revision(4), vec![Change::Generation(1); 2 * limits::META_WATCH_CHANGES_MAX], now);
        watch.resume(Revision(3));
        assert!(matches!(watch.next().await, WatchEvent::Changed { revision: Revision(4), .. }));
    }
}
