//! What waits to be sent to one node in one class.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use base::{Clock, limits};
use bytes::Bytes;
use cluster_core::Class;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use crate::figures::{Counters, Loss};

/// The largest message of a class.
pub(crate) const fn message_bytes_max(class: Class) -> usize {
    match class {
        Class::Raft => limits::CLUSTER_RAFT_BYTES_MAX,
        Class::Snapshot => limits::CLUSTER_SNAPSHOT_BYTES_MAX,
        Class::Meta => limits::CLUSTER_META_BYTES_MAX,
    }
}

/// Messages in the order they came, bounded in number, bytes and age.
///
/// When there is no room the oldest one is lost. A full queue is one of a node that does not take what it is sent: votes and
/// heartbeats from the beginning of that are answers to questions nobody asks any more, and the newest message says what is
/// true now. An entry of the log that is lost with the oldest is asked for again either way.
pub(crate) struct Queue {
    class: Class,
    waiting: Mutex<Waiting>,
    /// A message came.
    came: Notify,
    counters: Arc<Counters>,
    clock: Arc<dyn Clock>,
}

struct Waiting {
    messages: VecDeque<(Instant, Bytes)>,
    bytes: usize,
    /// When the last one came.
    last: Instant,
}

impl Queue {
    pub(crate) fn new(class: Class, counters: Arc<Counters>, clock: Arc<dyn Clock>) -> Self {
        let waiting = Waiting { messages: VecDeque::new(), bytes: 0, last: clock.now() };
        Self { class, waiting: Mutex::new(waiting), came: Notify::new(), counters, clock }
    }

    /// Adds a message; never waits.
    pub(crate) fn push(&self, message: Bytes) {
        if message.len() > message_bytes_max(self.class) {
            let (class, bytes) = (self.class, message.len());
            tracing::warn!(?class, bytes, "a message is larger than nodes take, and was not sent");
            return self.counters.lost(self.class, Loss::Large, 1);
        }
        let now = self.clock.now();
        let mut lost = 0;
        {
            let mut waiting = self.waiting.lock();
            let bytes_max = limits::CLUSTER_QUEUE_BYTES_MAX - message.len();
            while waiting.bytes > bytes_max || waiting.messages.len() >= limits::CLUSTER_QUEUE_MESSAGES_MAX {
                waiting.pop();
                lost += 1;
            }
            waiting.bytes += message.len();
            waiting.last = now;
            waiting.messages.push_back((now, message));
        }
        if lost > 0 {
            self.counters.lost(self.class, Loss::Full, lost);
        }
        self.came.notify_one();
    }

    /// The next message, once there is one. Those that waited too long are passed over.
    pub(crate) async fn next(&self) -> Bytes {
        loop {
            if let Some(message) = self.pop() {
                self.counters.sent(self.class, message.len());
                return message;
            }
            self.came.notified().await;
        }
    }

    /// Waits until there is a message, and leaves it there.
    pub(crate) async fn wait(&self) {
        while self.fresh().messages.is_empty() {
            self.came.notified().await;
        }
        // For who takes it.
        self.came.notify_one();
    }

    /// When the last message came.
    pub(crate) fn last(&self) -> Instant {
        self.waiting.lock().last
    }

    /// Messages and bytes that wait.
    #[cfg(test)]
    pub(crate) fn len(&self) -> (usize, usize) {
        let waiting = self.waiting.lock();
        (waiting.messages.len(), waiting.bytes)
    }

    fn pop(&self) -> Option<Bytes> {
        self.fresh().pop().map(|(_, message)| message)
    }

    /// What waits, without what has waited too long: that is lost here, whether a connection stands or not.
    fn fresh(&self) -> MutexGuard<'_, Waiting> {
        let (now, mut old) = (self.clock.now(), 0);
        let is_old = |came: Instant| now.saturating_duration_since(came) > limits::CLUSTER_MESSAGE_AGE_MAX;
        let mut waiting = self.waiting.lock();
        while waiting.messages.front().is_some_and(|(came, _)| is_old(*came)) {
            waiting.pop();
            old += 1;
        }
        if old > 0 {
            self.counters.lost(self.class, Loss::Old, old);
        }
        waiting
    }
}

impl Waiting {
    fn pop(&mut self) -> Option<(Instant, Bytes)> {
        let popped = self.messages.pop_front()?;
        self.bytes -= popped.1.len();
        Some(popped)
    }
}

#[cfg(test)]
mod tests {
    use base::{ManualClock, WallTime};
    use futures_util::FutureExt;

    use super::*;

    struct Bench {
        clock: Arc<ManualClock>,
        counters: Arc<Counters>,
        queue: Queue,
    }

    fn bench(class: Class) -> Bench {
        let clock = Arc::new(ManualClock::new(WallTime(0)));
        let counters = Arc::new(Counters::new(Arc::clone(&clock) as _));
        let queue = Queue::new(class, Arc::clone(&counters), Arc::clone(&clock) as _);
        Bench { clock, counters, queue }
    }

    impl Bench {
        fn next(&self) -> Option<Bytes> {
            self.queue.next().now_or_never()
        }

        fn figures(&self) -> crate::ClassFigures {
            self.counters.figures(0).classes[&self.queue.class]
        }
    }

    #[test]
    fn the_oldest_is_lost_when_there_are_too_many() {
        let bench = bench(Class::Raft);
        let count = limits::CLUSTER_QUEUE_MESSAGES_MAX + 3;
        (0..count).for_each(|n| bench.queue.push(Bytes::from(n.to_string())));
        assert_eq!(bench.queue.len().0, limits::CLUSTER_QUEUE_MESSAGES_MAX);
        assert_eq!(bench.next(), Some(Bytes::from("3")));
        assert_eq!((bench.figures().lost_full, bench.figures().sent), (3, 1));
    }

    #[test]
    fn bytes_are_bounded_and_what_is_too_large_is_not_taken() {
        let bench = bench(Class::Raft);
        for _ in 0..100 {
            bench.queue.push(Bytes::from(vec![0; limits::CLUSTER_RAFT_BYTES_MAX]));
        }
        let (messages, bytes) = bench.queue.len();
        assert!(bytes <= limits::CLUSTER_QUEUE_BYTES_MAX && messages == 10, "{messages} {bytes}");
        bench.queue.push(Bytes::from(vec![0; limits::CLUSTER_RAFT_BYTES_MAX + 1]));
        assert_eq!((bench.queue.len().0, bench.figures().lost_large), (10, 1));
    }

    #[test]
    fn what_waited_too_long_is_not_sent() {
        let bench = bench(Class::Meta);
        bench.queue.push(Bytes::from("old"));
        bench.clock.advance(limits::CLUSTER_MESSAGE_AGE_MAX);
        bench.queue.push(Bytes::from("new"));
        assert!(bench.queue.wait().now_or_never().is_some());
        bench.clock.advance(std::time::Duration::from_millis(1));
        assert_eq!(bench.next(), Some(Bytes::from("new")));
        assert_eq!((bench.next(), bench.figures().lost_old), (None, 1));
        assert!(bench.queue.wait().now_or_never().is_none());
    }

    #[test]
    fn nobody_is_called_for_what_is_too_old_to_be_sent() {
        let bench = bench(Class::Meta);
        bench.queue.push(Bytes::from("old"));
        bench.clock.advance(limits::CLUSTER_MESSAGE_AGE_MAX + std::time::Duration::from_millis(1));
        assert!(bench.queue.wait().now_or_never().is_none());
        assert_eq!((bench.queue.len(), bench.figures().lost_old), ((0, 0), 1));
    }
}
