//! Who guesses a subscriber's codes has to wait.
//!
//! Wrong codes count for the subscriber and the network they come from (/24, /56), and for the subscriber alone. A network with
//! too many is locked for this subscriber, longer each time. With too many from anywhere every network that has been wrong
//! is locked: the subscriber itself, elsewhere and right, gets in.
//!
//! All nodes count together: each tells the others what it saw, [`limits::CODES_TOLD_EVERY`] apart, and counts what they tell
//! as if it had seen it. Between two times each counts for itself, so what can be tried from one network before it is
//! locked everywhere is [`limits::GUESSES_PER_NETWORK_MAX`] for each node, and what is told beyond that makes the lock longer.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Instant;

use base::{AppName, StreamId, limits};
use cluster_model::{CodesSeen, SubscriberId};
use parking_lot::Mutex;

/// Whose codes.
pub(crate) type Whose = (AppName, StreamId, SubscriberId);

/// Wrong codes, as far as this node knows.
#[derive(Default)]
pub(crate) struct Guesses(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    subscribers: BTreeMap<Whose, Subscriber>,
    /// In the order in which they were first wrong: the oldest goes when there are too many.
    order: VecDeque<Whose>,
    /// What this node saw and the others do not know.
    untold: BTreeMap<(Whose, IpAddr), Seen>,
}

#[derive(Default)]
struct Subscriber {
    all: Wrong,
    networks: BTreeMap<IpAddr, Wrong>,
}

#[derive(Clone, Copy, Default)]
struct Seen {
    wrong: u32,
    right: bool,
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

impl Counted {
    fn is_locked(&self, whose: &Whose, network: IpAddr, now: Instant) -> bool {
        let Some(known) = self.subscribers.get(whose) else { return false };
        let of_network = known.networks.get(&network);
        of_network.is_some_and(|wrong| wrong.is_locked(now) || known.all.is_locked(now))
    }

    fn wrong(&mut self, whose: &Whose, network: IpAddr, now: Instant) {
        if !self.subscribers.contains_key(whose) {
            if self.subscribers.len() >= limits::GUESSED_SUBSCRIBERS_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.subscribers.remove(&oldest);
            }
            self.order.push_back(whose.clone());
        }
        let known = self.subscribers.entry(whose.clone()).or_default();
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

    /// Forgives what was wrong from a network; `false`: there was nothing. A lock stands.
    fn forgive(&mut self, whose: &Whose, network: IpAddr, now: Instant) -> bool {
        let Some(known) = self.subscribers.get_mut(whose) else { return false };
        let forgiven = known.networks.get(&network).is_some_and(|wrong| !wrong.is_locked(now));
        if forgiven {
            known.networks.remove(&network);
        }
        forgiven
    }

    fn tell(&mut self, whose: &Whose, network: IpAddr, change: impl FnOnce(&mut Seen)) {
        let place = (whose.clone(), network);
        if self.untold.len() < limits::CODES_TOLD_MAX || self.untold.contains_key(&place) {
            change(self.untold.entry(place).or_default());
        }
    }
}

impl Guesses {
    /// Whether codes of a subscriber from `network` are not even looked at.
    pub(crate) fn is_locked(&self, whose: &Whose, network: IpAddr, now: Instant) -> bool {
        self.0.lock().is_locked(whose, network, now)
    }

    /// A code from `network` is wrong; `false`: others were meanwhile, and it is not even looked at.
    pub(crate) fn wrong(&self, whose: &Whose, network: IpAddr, now: Instant) -> bool {
        let mut counted = self.0.lock();
        if counted.is_locked(whose, network, now) {
            return false;
        }
        counted.wrong(whose, network, now);
        counted.tell(whose, network, |seen| (seen.wrong, seen.right) = (seen.wrong + 1, false));
        true
    }

    /// The subscriber's code from `network` is right: what was wrong from there is forgiven.
    pub(crate) fn right(&self, whose: &Whose, network: IpAddr, now: Instant) {
        let mut counted = self.0.lock();
        if counted.forgive(whose, network, now) {
            counted.tell(whose, network, |seen| seen.right = true);
        }
    }

    /// Another node saw this.
    pub(crate) fn told(&self, seen: &CodesSeen, now: Instant) {
        let whose = (seen.app.clone(), seen.stream.clone(), seen.subscriber.clone());
        let mut counted = self.0.lock();
        for _ in 0..seen.wrong.min(limits::GUESSES_PER_SUBSCRIBER_MAX) {
            counted.wrong(&whose, seen.network, now);
        }
        if seen.right {
            counted.forgive(&whose, seen.network, now);
        }
    }

    /// What the others are to be told, which counts as told.
    pub(crate) fn untold(&self) -> Vec<CodesSeen> {
        let untold = std::mem::take(&mut self.0.lock().untold);
        let told = untold.into_iter().map(|(((app, stream, subscriber), network), Seen { wrong, right })| {
            CodesSeen { app, stream, subscriber, network, wrong, right }
        });
        told.collect()
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

    fn whose(name: &str) -> Whose {
        (AppName::new("a").unwrap(), StreamId::new("s").unwrap(), SubscriberId::new(name).unwrap())
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
            self.guesses.is_locked(&whose("sub"), network(last), self.now)
        }

        /// How many of `tries` were looked at.
        fn wrong(&self, last: u8, tries: u32) -> u32 {
            let looked_at = |_: &u32| self.guesses.wrong(&whose("sub"), network(last), self.now);
            u32::try_from((0..tries).filter(looked_at).count()).unwrap()
        }

        fn right(&self, last: u8) {
            self.guesses.right(&whose("sub"), network(last), self.now);
        }

        fn tell(&self, others: &[&Self]) {
            for seen in self.guesses.untold() {
                others.iter().for_each(|other| other.guesses.told(&seen, other.now));
            }
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

    /// A network is locked by what was tried at all nodes, and forgiven by all.
    #[test]
    fn what_others_saw_counts_as_if_it_had_been_seen_here() {
        let (one, two, three) = (Tried::new(), Tried::new(), Tried::new());
        assert_eq!((one.wrong(1, 4), two.wrong(1, 4)), (4, 4));
        one.tell(&[&two, &three]);
        two.tell(&[&one, &three]);
        assert!(!three.is_locked(1));
        assert_eq!(three.wrong(1, 100), limits::GUESSES_PER_NETWORK_MAX - 8);
        three.tell(&[&one, &two]);
        for node in [&one, &two, &three] {
            assert!(node.is_locked(1) && !node.is_locked(2));
            assert!(node.guesses.untold().is_empty(), "what was told is not told again");
        }
        assert_eq!(one.wrong(2, 9), 9);
        one.tell(&[&two, &three]);
        two.right(2);
        two.tell(&[&one, &three]);
        for node in [&one, &two, &three] {
            assert_eq!(node.wrong(2, 9), 9, "it was forgiven");
            assert!(!node.is_locked(2));
        }
    }

    #[test]
    fn a_lock_stands_though_the_code_was_right_elsewhere() {
        let (one, two) = (Tried::new(), Tried::new());
        assert_eq!(one.wrong(1, 10), 10);
        two.wrong(1, 1);
        two.right(1);
        two.tell(&[&one]);
        assert!(one.is_locked(1));
    }

    /// Tried at all nodes in the same moment, it is each node's limit that counts, and the lock is longer for it.
    #[test]
    fn who_tries_at_all_nodes_at_once_waits_longer() {
        let (mut one, two, three) = (Tried::new(), Tried::new(), Tried::new());
        for node in [&one, &two, &three] {
            assert_eq!(node.wrong(1, 1_000), limits::GUESSES_PER_NETWORK_MAX);
        }
        two.tell(&[&one]);
        three.tell(&[&one]);
        one.now += 3 * limits::GUESS_LOCK_MIN;
        assert!(one.is_locked(1));
        one.now += limits::GUESS_LOCK_MIN;
        assert!(!one.is_locked(1));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let tried = Tried::new();
        for n in 0..limits::GUESSED_SUBSCRIBERS_MAX + 10 {
            tried.guesses.wrong(&whose(&format!("sub{n}")), network(1), tried.now);
        }
        for n in 0..limits::GUESSING_NETWORKS_MAX + 10 {
            let network = IpAddr::from([10, (n >> 8) as u8, n as u8, 0]);
            tried.guesses.wrong(&whose("sub5000"), network, tried.now);
        }
        assert_eq!(tried.guesses.untold().len(), limits::CODES_TOLD_MAX);
        let counted = tried.guesses.0.lock();
        assert_eq!(counted.subscribers.len(), counted.order.len());
        assert!(counted.subscribers.len() <= limits::GUESSED_SUBSCRIBERS_MAX + 1);
        assert!(
            counted.subscribers.values().all(|known| known.networks.len() <= limits::GUESSING_NETWORKS_MAX)
        );
    }
}
