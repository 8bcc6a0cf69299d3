//! Many players on one thread: signalling, sockets, and what all of them saw.

mod player;
mod spread;
mod summary;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{Clock, SystemClock, SystemRandomness};
use test_support::Detour;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::link::{Identity, Profile};
use crate::source::{FPS, Ledger};

pub(crate) use player::connect_socket;
use player::{Player, play};
pub use spread::{Percentiles, Spread};
use summary::Sum;
pub use summary::Summary;

/// Frames whose first arrival is remembered: a second and more of 30 a second.
const FRAMES_REMEMBERED_MAX: usize = 64;
/// Ticks per second of the sound's clock: Opus (RFC 7587 4.1).
const SOUND_RATE: u32 = 48_000;
/// Two times less apart than half a frame at 30 a second are of one frame.
const SAME_FRAME_TICKS_MAX: u32 = 90_000 / 60;

/// What to play, and by how many.
#[derive(Clone, Debug)]
pub struct SwarmOptions {
    /// The signalling address, `ws://…`.
    pub url: String,
    /// The stream.
    pub stream: String,
    /// How many players.
    pub players: usize,
    /// How they come.
    pub pace: Pace,
    /// What they offer.
    pub profile: Profile,
    /// The relay their media goes over.
    pub detour: Option<Detour>,
    /// Which of them decrypt what they get.
    pub opening: Opening,
    /// What was sent when: with it, players that open media know how late they are.
    pub ledger: Option<Arc<Ledger>>,
    /// What they say of themselves.
    pub viewer_info: String,
    /// Who takes data channels; `None`: nobody.
    pub listening: Option<Listening>,
}

/// Players that take data channels: all, and some of them acknowledge no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// So many, the first ones that join.
    pub deaf: usize,
}

/// How players come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many begin to join in a second, and stay.
    PerSecond(f64),
    /// So many are joining at any time; each leaves when it has media, and the next one comes.
    Turns(usize),
}

/// Which players decrypt what they get: so many, at even distances over all that join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// How many.
    pub count: usize,
    /// By how many places all of them are moved, so that not every run asks the same ones.
    pub turn: usize,
}

impl SwarmOptions {
    /// Players that come 20 a second, offer what browsers offer, and read headers only.
    pub fn new(url: String, stream: &str, players: usize) -> Self {
        Self {
            url,
            stream: stream.to_owned(),
            players,
            pace: Pace::PerSecond(20.0),
            profile: Profile::Gcm,
            detour: None,
            opening: Opening { count: 0, turn: 0 },
            ledger: None,
            viewer_info: String::new(),
            listening: None,
        }
    }
}

impl Opening {
    fn holds(self, index: usize, players: usize) -> bool {
        let place = |nth| (nth * players + players / 2) / self.count + self.turn;
        self.count >= players || (0..self.count).any(|nth| place(nth) % players == index)
    }
}

/// When frames came to the first player that had them whole, newest last.
#[derive(Default)]
pub(crate) struct FirstArrivals(VecDeque<(u32, Instant)>);

impl FirstArrivals {
    /// How much later than to the first player a frame has come: the one taken at `ticks` of the node's clock,
    /// which players know but for the jitter of the publisher.
    pub(crate) fn lag(&mut self, ticks: u32, now: Instant) -> Duration {
        let distance = |frame: &(u32, Instant)| frame.0.wrapping_sub(ticks).cast_signed().unsigned_abs();
        match self.0.iter().rev().min_by_key(|frame| distance(frame)) {
            Some(frame) if distance(frame) <= SAME_FRAME_TICKS_MAX => now.saturating_duration_since(frame.1),
            _ => {
                if self.0.len() == FRAMES_REMEMBERED_MAX {
                    self.0.pop_front();
                }
                self.0.push_back((ticks, now));
                Duration::ZERO
            }
        }
    }
}

/// What the players of a thread share.
pub(crate) struct Shared {
    pub(crate) options: SwarmOptions,
    pub(crate) identity: Arc<Identity>,
    pub(crate) randomness: SystemRandomness,
    pub(crate) arrivals: RefCell<FirstArrivals>,
    /// The moment from which sound is timed, and how late the first packet of it was then.
    pub(crate) start: Instant,
    pub(crate) first_sound: Cell<Option<u32>>,
    /// When each message was said, by its number.
    pub(crate) said: RefCell<Vec<Instant>>,
    /// Where datagrams are read into, one after the other.
    pub(crate) buffer: RefCell<Vec<u8>>,
    /// Told when a player has its first media or has ended.
    pub(crate) news: Notify,
}

/// Players that join and play. Dropping it ends them all.
pub struct Swarm {
    shared: Rc<Shared>,
    players: Vec<Rc<RefCell<Player>>>,
    tasks: Rc<RefCell<JoinSet<()>>>,
}

impl Swarm {
    /// Begins to let players join. To be called within a `LocalSet`.
    pub fn start(options: SwarmOptions, identity: Arc<Identity>) -> Self {
        let players: Vec<_> =
            (0..options.players).map(|_| Rc::new(RefCell::new(Player::default()))).collect();
        let shared = Rc::new(Shared {
            identity,
            randomness: SystemRandomness,
            arrivals: RefCell::default(),
            start: SystemClock.now(),
            first_sound: Cell::new(None),
            said: RefCell::default(),
            buffer: RefCell::new(vec![0; player::BUFFER_BYTES]),
            news: Notify::new(),
            options,
        });
        let tasks = Rc::new(RefCell::new(JoinSet::new()));
        tasks.borrow_mut().spawn_local(let_join(Rc::clone(&shared), players.clone(), Rc::downgrade(&tasks)));
        Self { shared, players, tasks }
    }

    /// Waits until every player has media or has ended; `false` when some have not within `patience`.
    pub async fn joined(&self, patience: Duration) -> bool {
        self.all_are(Player::is_settled, patience).await
    }

    /// Waits until every player has had a frame less than 100 ms old, so that what it joined with is over, or has
    /// ended; `false` when some have not within `patience`. Only players that open media and have a ledger know.
    pub async fn live(&self, patience: Duration) -> bool {
        self.all_are(Player::is_caught_up, patience).await
    }

    /// Waits until every player has ended; `false` when some have not within `patience`.
    pub async fn gone(&self, patience: Duration) -> bool {
        self.all_are(|player| player.ended().is_some(), patience).await
    }

    async fn all_are(&self, so: impl Fn(&Player) -> bool, patience: Duration) -> bool {
        let all = async {
            loop {
                let news = self.shared.news.notified();
                if self.players.iter().all(|player| so(&player.borrow())) {
                    return;
                }
                news.await;
            }
        };
        timeout(patience, all).await.is_ok()
    }

    /// Whether every player has had media.
    pub fn has_media(&self) -> bool {
        self.players.iter().all(|player| player.borrow().join_time().is_some())
    }

    /// What all players see while `what` goes on; they go on afterwards. One measurement at a time.
    pub async fn measure<T>(&self, what: impl Future<Output = T>) -> (T, Summary) {
        let start = SystemClock.now();
        for player in &self.players {
            player.borrow_mut().open_window(start);
        }
        let came = what.await;
        let now = SystemClock.now();
        let seconds = (now - start).as_secs_f64();
        let due = f64::from(FPS) * seconds;
        let mut sum = Sum::default();
        for player in &self.players {
            sum.add(&mut player.borrow_mut(), now, due);
        }
        (came, sum.summary(self.players.len(), seconds, due))
    }

    /// Something is said now: the number that players will hear.
    pub fn say(&self, now: Instant) -> usize {
        let mut said = self.shared.said.borrow_mut();
        said.push(now);
        said.len() - 1
    }

    /// How many players have had media, and why others have ended: what [`Swarm::measure`] says of no time.
    pub async fn so_far(&self) -> Summary {
        self.measure(std::future::ready(())).await.1
    }
}

impl Drop for Swarm {
    fn drop(&mut self) {
        self.tasks.borrow_mut().abort_all();
    }
}

async fn let_join(
    shared: Rc<Shared>,
    players: Vec<Rc<RefCell<Player>>>,
    tasks: std::rc::Weak<RefCell<JoinSet<()>>>,
) {
    let start = SystemClock.now();
    let turns = match shared.options.pace {
        Pace::PerSecond(_) => None,
        Pace::Turns(count) => Some(Arc::new(Semaphore::new(count))),
    };
    for (index, player) in players.into_iter().enumerate() {
        let turn = match (&turns, shared.options.pace) {
            (Some(turns), _) => Arc::clone(turns).acquire_owned().await.ok(),
            (None, Pace::PerSecond(rate)) => {
                let due = start + Duration::from_secs_f64(index as f64 / rate);
                sleep(due.saturating_duration_since(SystemClock.now())).await;
                None
            }
            (None, Pace::Turns(_)) => return,
        };
        let Some(tasks) = tasks.upgrade() else { return };
        let shared = Rc::clone(&shared);
        tasks.borrow_mut().spawn_local(async move {
            let opens = shared.options.opening.holds(index, shared.options.players);
            let deaf = shared.options.listening.map(|listening| index < listening.deaf);
            let ended = play(&shared, &player, opens, deaf).await;
            if let Err(error) = ended {
                player.borrow_mut().end(format!("{error:#}"));
            }
            drop(turn);
            shared.news.notify_waiters();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_open_media_stand_at_even_distances_and_move() {
        let places = |count, turn, players| {
            let opening = Opening { count, turn };
            (0..players).filter(|index| opening.holds(*index, players)).collect::<Vec<usize>>()
        };
        assert_eq!(places(4, 0, 100), [12, 37, 62, 87]);
        assert_eq!(places(4, 50, 100), [12, 37, 62, 87]);
        assert_eq!(places(4, 20, 100), [7, 32, 57, 82]);
        assert_eq!(places(0, 3, 100), [] as [usize; 0]);
        assert_eq!(places(8, 0, 3), [0, 1, 2]);
        assert_eq!(places(8, 5, 10).len(), 8);
    }

    #[test]
    fn lag_is_measured_from_the_first_player_that_had_the_frame() {
        let mut arrivals = FirstArrivals::default();
        let start = SystemClock.now();
        let ms = Duration::from_millis;
        assert_eq!(arrivals.lag(u32::MAX - 5, start), Duration::ZERO);
        assert_eq!(arrivals.lag(90, start + ms(3)), ms(3), "over the wrap, a millisecond of jitter");
        assert_eq!(arrivals.lag(3_000, start + ms(33)), Duration::ZERO, "the next frame");
        assert_eq!(arrivals.lag(0, start + ms(40)), ms(40));
        assert_eq!(arrivals.lag(2_950, start + ms(43)), ms(10));
        for frame in 2..200 {
            arrivals.lag(frame * 3_000, start + ms(u64::from(frame) * 33));
        }
        assert_eq!(arrivals.0.len(), FRAMES_REMEMBERED_MAX);
    }
}
