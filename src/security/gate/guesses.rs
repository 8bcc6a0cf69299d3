//! Who guesses a subscriber's codes has to wait.
//!
//! Wrong codes count for the subscriber and the network they come from (/24, /56), and for the subscriber alone. A network with
//! too many is locked for this subscriber, longer each time. With too many from anywhere every network that has been wrong
//! is locked: the subscriber itself, elsewhere and right, gets in. Counted by each node.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Instant;

use base::{AppName, StreamId, limits};
use parking_lot::Mutex;

type Key = (AppName, StreamId, String);

/// Wrong codes of this node.
#[derive(Default)]
pub(crate) struct Guesses(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    subscribers: BTreeMap<Key, Subscriber>,
    /// In the order in which they were first wrong: the oldest goes when there are too many.
    order: VecDeque<Key>,
}

#[derive(Default)]
struct Subscriber {
    all: Wrong,
    networks: BTreeMap<IpAddr, Wrong>,
}

#[derive(Clone, Copy, Default)]
struct Wrong {
    count: u32,
    /// The first that counts.
    since: Option<Instant>,
    locked_until: Option<Instant>,
    /// How often it was locked.
    locks: u32,
}

impl Wrong {
    fn is_locked(&self, now: Instant) -> bool {
        self.locked_until.is_some_and(|until| now < until)
    }

    fn note(&mut self, now: Instant, most: u32) {
        if self.since.is_none_or(|since| now.duration_since(since) > limits::GUESSES_COUNTED_FOR) {
            (self.count, self.since) = (0, Some(now));
            if self.locked_until.is_some_and(|until| now > until + limits::GUESS_LOCK_MAX) {
                self.locks = 0;
            }
        }
        self.count += 1;
        if self.count >= most {
            let longer = 1_u32.checked_shl(self.locks.min(16)).unwrap_or(1);
            let lock = (limits::GUESS_LOCK_MIN * longer).min(limits::GUESS_LOCK_MAX);
            self.locked_until = Some(now + lock);
            self.locks += 1;
            (self.count, self.since) = (0, None);
        }
    }
}

impl Guesses {
    /// Whether codes of `subscriber` from `network` are not even looked at.
    pub(crate) fn is_locked(
        &self,
        app: &AppName,
        stream: &StreamId,
        subscriber: &str,
        network: IpAddr,
        now: Instant,
    ) -> bool {
        let counted = self.0.lock();
        let Some(known) = counted.subscribers.get(&(app.clone(), stream.clone(), subscriber.to_owned()))
        else {
            return false;
        };
        let of_network = known.networks.get(&network);
        of_network.is_some_and(|wrong| wrong.is_locked(now) || known.all.is_locked(now))
    }

    /// A code of `subscriber` from `network` was wrong.
    pub(crate) fn wrong(
        &self,
        app: &AppName,
        stream: &StreamId,
        subscriber: &str,
        network: IpAddr,
        now: Instant,
    ) {
        let mut counted = self.0.lock();
        let key = (app.clone(), stream.clone(), subscriber.to_owned());
        if !counted.subscribers.contains_key(&key) {
            if counted.subscribers.len() >= limits::GUESSED_SUBSCRIBERS_MAX
                && let Some(oldest) = counted.order.pop_front()
            {
                counted.subscribers.remove(&oldest);
            }
            counted.order.push_back(key.clone());
        }
        let known = counted.subscribers.entry(key).or_default();
        known.all.note(now, limits::GUESSES_PER_SUBSCRIBER_MAX);
        if known.networks.len() >= limits::GUESSING_NETWORKS_MAX && !known.networks.contains_key(&network) {
            let unlocked =
                known.networks.iter().find(|(_, wrong)| !wrong.is_locked(now)).map(|(network, _)| *network);
            if let Some(other) = unlocked.or_else(|| known.networks.keys().next().copied()) {
                known.networks.remove(&other);
            }
        }
        known.networks.entry(network).or_default().note(now, limits::GUESSES_PER_NETWORK_MAX);
    }

    /// The subscriber's codes from `network` are right: what was wrong from there is forgiven.
    pub(crate) fn right(&self, app: &AppName, stream: &StreamId, subscriber: &str, network: IpAddr) {
        let mut counted = self.0.lock();
        if let Some(known) =
            counted.subscribers.get_mut(&(app.clone(), stream.clone(), subscriber.to_owned()))
        {
            known.networks.remove(&network);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base::{Clock, SystemClock};

    use super::*;

    fn network(last: u8) -> IpAddr {
        IpAddr::from([192, 0, last, 0])
    }

    struct Tried {
        guesses: Guesses,
        now: Instant,
    }

    impl Tried {
        fn new() -> Self {
            Self { guesses: Guesses::default(), now: SystemClock.now() }
        }

        fn is_locked(&self, last: u8) -> bool {
            let (app, stream) = (AppName::new("a").unwrap(), StreamId::new("s").unwrap());
            self.guesses.is_locked(&app, &stream, "sub", network(last), self.now)
        }

        /// How many of `tries` were looked at.
        fn wrong(&self, last: u8, tries: u32) -> u32 {
            let (app, stream) = (AppName::new("a").unwrap(), StreamId::new("s").unwrap());
            let mut seen = 0;
            for _ in 0..tries {
                if !self.is_locked(last) {
                    seen += 1;
                    self.guesses.wrong(&app, &stream, "sub", network(last), self.now);
                }
            }
            seen
        }
    }

    #[test]
    fn a_network_that_guesses_is_locked_and_nobody_else() {
        let tried = Tried::new();
        assert_eq!(tried.wrong(1, 3_000), limits::GUESSES_PER_NETWORK_MAX);
        assert!(tried.is_locked(1) && !tried.is_locked(2));
    }

    #[test]
    fn a_lock_ends_and_the_next_one_is_longer() {
        let mut tried = Tried::new();
        let mut locked_for = Duration::ZERO;
        for _ in 0..12 {
            assert_eq!(tried.wrong(1, 1_000), limits::GUESSES_PER_NETWORK_MAX);
            let began = tried.now;
            while tried.is_locked(1) {
                tried.now += Duration::from_secs(1);
            }
            let lock = tried.now.duration_since(began);
            assert!(lock > locked_for || lock >= limits::GUESS_LOCK_MAX, "{lock:?} after {locked_for:?}");
            locked_for = lock;
        }
        assert!(locked_for >= limits::GUESS_LOCK_MAX);
    }

    #[test]
    fn many_networks_together_are_locked_and_the_subscriber_elsewhere_is_not() {
        let tried = Tried::new();
        let seen: u32 = (1..=60).map(|last| tried.wrong(last, 5)).sum();
        assert!(seen < limits::GUESSES_PER_SUBSCRIBER_MAX + 60, "{seen}");
        assert!(tried.is_locked(1) && tried.is_locked(60 - 1));
        assert!(!tried.is_locked(200));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let tried = Tried::new();
        let (app, stream) = (AppName::new("a").unwrap(), StreamId::new("s").unwrap());
        for n in 0..limits::GUESSED_SUBSCRIBERS_MAX + 10 {
            tried.guesses.wrong(&app, &stream, &format!("sub{n}"), network(1), tried.now);
        }
        for n in 0..limits::GUESSING_NETWORKS_MAX + 10 {
            let network = IpAddr::from([10, (n >> 8) as u8, n as u8, 0]);
            tried.guesses.wrong(&app, &stream, "sub5000", network, tried.now);
        }
        let counted = tried.guesses.0.lock();
        assert_eq!(counted.subscribers.len(), counted.order.len());
        assert!(counted.subscribers.len() <= limits::GUESSED_SUBSCRIBERS_MAX + 1);
        assert!(
            counted.subscribers.values().all(|known| known.networks.len() <= limits::GUESSING_NETWORKS_MAX)
        );
    }
}
