//! Who guesses a subscriber's codes has to wait.
//!
//! Wrong codes count for the subscriber and the network they come from (/24, /56), and for the subscriber alone. A network with
//! too many is locked for this subscriber, longer each time. With too many from anywhere every network that has been wrong
//! is locked: the subscriber itself, elsewhere and right, gets in.
//!
//! Where codes of subscribers that nobody registered are right as well, anybody can invent one after the other. Wrong codes
//! therefore also count for the stream and the network, whosever they are, and a network with too many is locked for all
//! subscribers of the stream that are not registered.
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

/// Who shows a code.
pub(crate) struct Guesser<'a> {
    pub whose: &'a Whose,
    pub network: IpAddr,
    /// Whether there is such a subscriber.
    pub is_registered: bool,
}

/// Wrong codes, as far as this node knows.
#[derive(Default)]
pub(crate) struct Guesses(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    subscribers: Aged<Whose, Subscriber>,
    /// By stream and network, whosever the codes were.
    streams: Aged<(AppName, StreamId, IpAddr), Wrong>,
    /// What this node saw and the others do not know.
    untold: BTreeMap<(Whose, IpAddr), Seen>,
}

/// What is counted, of no more than so many: then one of the oldest goes that is not locked.
struct Aged<K, V> {
    rows: BTreeMap<K, V>,
    /// In the order in which they were first wrong.
    order: VecDeque<K>,
}

impl<K, V> Default for Aged<K, V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), order: VecDeque::new() }
    }
}

impl<K: Ord + Clone, V: Default> Aged<K, V> {
    fn row(&mut self, key: &K, most: usize, is_locked: impl Fn(&V) -> bool) -> &mut V {
        if !self.rows.contains_key(key) {
            if self.rows.len() >= most {
                self.forget_one(is_locked);
            }
            self.order.push_back(key.clone());
        }
        self.rows.entry(key.clone()).or_default()
    }

    /// Looks at so many for one that is not locked, lest many locks make every wrong code dear.
    fn forget_one(&mut self, is_locked: impl Fn(&V) -> bool) {
        for _ in 0..16 {
            match self.order.pop_front() {
                Some(locked) if self.rows.get(&locked).is_some_and(&is_locked) => {
                    self.order.push_back(locked)
                }
                Some(oldest) => {
                    self.rows.remove(&oldest);
                    return;
                }
                None => return,
            }
        }
        self.order.pop_front().map(|oldest| self.rows.remove(&oldest));
    }
}

#[derive(Default)]
struct Subscriber {
    all: Wrong,
    networks: BTreeMap<IpAddr, Wrong>,
}

impl Subscriber {
    fn is_locked(&self, now: Instant) -> bool {
        self.all.is_locked(now) || self.networks.values().any(|wrong| wrong.is_locked(now))
    }
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
    fn is_locked(&self, Guesser { whose, network, is_registered }: &Guesser<'_>, now: Instant) -> bool {
        let of_stream = || {
            let place = (whose.0.clone(), whose.1.clone(), *network);
            self.streams.rows.get(&place).is_some_and(|wrong| wrong.is_locked(now))
        };
        if !is_registered && of_stream() {
            return true;
        }
        let Some(known) = self.subscribers.rows.get(whose) else { return false };
        let of_network = known.networks.get(network);
        of_network.is_some_and(|wrong| wrong.is_locked(now) || known.all.is_locked(now))
    }

    fn wrong(&mut self, whose: &Whose, network: IpAddr, now: Instant) {
        let place = (whose.0.clone(), whose.1.clone(), network);
        let of_stream =
            self.streams.row(&place, limits::GUESSED_SUBSCRIBERS_MAX, |wrong: &Wrong| wrong.is_locked(now));
        of_stream.note(now, limits::GUESSES_PER_STREAM_MAX);
        let is_locked = |known: &Subscriber| known.is_locked(now);
        let known = self.subscribers.row(whose, limits::GUESSED_SUBSCRIBERS_MAX, is_locked);
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
        let Some(known) = self.subscribers.rows.get_mut(whose) else { return false };
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
    /// Whether codes of this one are not even looked at.
    pub(crate) fn is_locked(&self, guesser: &Guesser<'_>, now: Instant) -> bool {
        self.0.lock().is_locked(guesser, now)
    }

    /// A code is wrong; `false`: others were meanwhile, and it is not even looked at.
    pub(crate) fn wrong(&self, guesser: &Guesser<'_>, now: Instant) -> bool {
        let mut counted = self.0.lock();
        if counted.is_locked(guesser, now) {
            return false;
        }
        let (whose, network) = (guesser.whose, guesser.network);
        counted.wrong(whose, network, now);
        counted.tell(whose, network, |seen| (seen.wrong, seen.right) = (seen.wrong + 1, false));
        true
    }

    /// The subscriber's code is right: what was wrong of it from this network is forgiven.
    pub(crate) fn right(&self, guesser: &Guesser<'_>, now: Instant) {
        let (whose, network) = (guesser.whose, guesser.network);
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

    fn registered(whose: &Whose, network: IpAddr) -> Guesser<'_> {
        Guesser { whose, network, is_registered: true }
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
            self.guesses.is_locked(&registered(&whose("sub"), network(last)), self.now)
        }

        /// How many of `tries` were looked at.
        fn wrong(&self, last: u8, tries: u32) -> u32 {
            let whose = whose("sub");
            let looked_at = |_: &u32| self.guesses.wrong(&registered(&whose, network(last)), self.now);
            u32::try_from((0..tries).filter(looked_at).count()).unwrap()
        }

        fn right(&self, last: u8) {
            self.guesses.right(&registered(&whose("sub"), network(last)), self.now);
        }

        /// How many of `tries` were looked at, each of a subscriber that was just invented.
        fn invent(&self, last: u8, tries: u32) -> u32 {
            let looked_at = |n: &u32| {
                let whose = whose(&format!("invented{n}"));
                let guesser = Guesser { whose: &whose, network: network(last), is_registered: false };
                self.guesses.wrong(&guesser, self.now)
            };
            u32::try_from((0..tries).filter(looked_at).count()).unwrap()
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

    /// Who invents subscribers gets no more tries than a stream has, at whichever node; who is registered is not concerned.
    #[test]
    fn who_invents_subscribers_is_locked_for_all_that_nobody_registered() {
        let (one, two) = (Tried::new(), Tried::new());
        assert_eq!(one.invent(1, 3_000), limits::GUESSES_PER_STREAM_MAX);
        assert_eq!(one.wrong(1, 1), 1, "a registered one's is looked at");
        assert_eq!(one.invent(2, 1), 1, "and another network's");
        one.tell(&[&two]);
        assert!(two.invent(1, 3_000) < limits::GUESSES_PER_STREAM_MAX, "what was told counts");
    }

    /// However many are invented elsewhere.
    #[test]
    fn a_lock_is_not_forgotten_for_others_that_are_wrong() {
        let tried = Tried::new();
        tried.wrong(1, 20);
        for n in 0..limits::GUESSED_SUBSCRIBERS_MAX + 10 {
            tried.guesses.wrong(&registered(&whose(&format!("sub{n}")), network(1)), tried.now);
        }
        assert!(tried.is_locked(1));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let tried = Tried::new();
        let network_of = |n: usize| IpAddr::from([10, (n >> 8) as u8, n as u8, 0]);
        for n in 0..limits::GUESSED_SUBSCRIBERS_MAX + 10 {
            tried.guesses.wrong(&registered(&whose(&format!("sub{n}")), network_of(n)), tried.now);
        }
        for n in 0..limits::GUESSING_NETWORKS_MAX + 10 {
            tried.guesses.wrong(&registered(&whose("sub5000"), network_of(n)), tried.now);
        }
        assert_eq!(tried.guesses.untold().len(), limits::CODES_TOLD_MAX);
        let counted = tried.guesses.0.lock();
        let (subscribers, streams) = (&counted.subscribers, &counted.streams);
        assert_eq!(
            (subscribers.rows.len(), streams.rows.len()),
            (subscribers.order.len(), streams.order.len())
        );
        assert!(subscribers.rows.len() <= limits::GUESSED_SUBSCRIBERS_MAX);
        assert!(streams.rows.len() <= limits::GUESSED_SUBSCRIBERS_MAX);
        let networks = |known: &Subscriber| known.networks.len();
        assert!(subscribers.rows.values().all(|known| networks(known) <= limits::GUESSING_NETWORKS_MAX));
    }
}
