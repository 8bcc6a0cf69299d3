//! The messages that go along with a stream: what its publisher, its players and REST say to one another.
//!
//! A ring as those of tracks are, and yet another one: a message has no place on the stream's clock, and
//! whoever fell behind goes on with the oldest that is left, because no message is a key to others.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use base::limits;
use bytes::Bytes;
use parking_lot::RwLock;

use crate::budget::{Charge, Holder, MediaBudget};
use crate::ring::{Cursor, Read};

/// Names a player among those that ever spoke with a stream, so that it does not get its own messages back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlayerName(u64);

/// Who sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageSource {
    /// The stream's publisher.
    Publisher,
    /// One of its players.
    Player(PlayerName),
    /// Somebody who asked by REST.
    Rest,
}

/// One message, handed on as it came. `Debug` shows no word of it.
#[derive(Clone, PartialEq, Eq)]
pub struct DataMessage {
    /// It is text, and goes out as text; else it is bytes.
    pub text: bool,
    /// Its content, which may be empty. To be an allocation of its own, not a part of a larger one.
    pub payload: Bytes,
    /// Who sent it.
    pub from: MessageSource,
    /// It is for the stream's players.
    pub to_players: bool,
    /// It is for the stream's publisher.
    pub to_publisher: bool,
    /// When it came.
    pub came: Instant,
}

impl DataMessage {
    /// Whether that player is to be sent it.
    pub fn is_for_player(&self, player: PlayerName) -> bool {
        self.to_players && self.from != MessageSource::Player(player)
    }

    /// Whether the publisher is to be sent it.
    pub fn is_for_publisher(&self) -> bool {
        self.to_publisher && self.from != MessageSource::Publisher
    }
}

impl std::fmt::Debug for DataMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataMessage")
            .field("text", &self.text)
            .field("bytes", &self.payload.len())
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Larger than [`limits::DATA_MESSAGE_BYTES_MAX`].
    #[error("a message has at most {} bytes", limits::DATA_MESSAGE_BYTES_MAX)]
    TooLarge,
    /// Said to be text, and not UTF-8.
    #[error("the text of a message is not UTF-8")]
    NotText,
    /// The stream has ended.
    #[error("the stream has ended")]
    Ended,
}

#[derive(Debug)]
struct State {
    messages: VecDeque<Arc<DataMessage>>,
    /// Index of `messages[0]`.
    first: u64,
    bytes: usize,
    charge: Charge,
    closed: bool,
}

/// The messages of one stream, bounded by [`limits::DATA_RING_MESSAGES_MAX`], [`limits::DATA_RING_BYTES_MAX`]
/// and [`limits::DATA_RING_AGE_MAX`], and with all rings by the node's [`MediaBudget`]; beyond them the oldest
/// go. Any number of writers and of readers; nobody waits. Indices start at 0 and never repeat.
#[derive(Debug)]
pub struct MessageRing {
    state: RwLock<State>,
    /// Index of the next message; readable without the lock.
    head: AtomicU64,
    budget: Arc<MediaBudget>,
    players: AtomicU64,
}

impl MessageRing {
    /// A ring without messages, which will be charged to `budget`.
    pub(crate) fn new(budget: &Arc<MediaBudget>) -> Arc<Self> {
        let ring = Arc::new(Self {
            state: RwLock::new(State {
                messages: VecDeque::new(),
                first: 0,
                bytes: 0,
                charge: Charge::new(Arc::clone(budget)),
                closed: false,
            }),
            head: AtomicU64::new(0),
            budget: Arc::clone(budget),
            players: AtomicU64::new(0),
        });
        let held: Weak<dyn Holder> = Arc::<Self>::downgrade(&ring);
        budget.follow(held);
        ring
    }

    /// A name for one more player.
    pub fn name_player(&self) -> PlayerName {
        PlayerName(self.players.fetch_add(1, Ordering::Relaxed))
    }

    /// Takes a message for all that read. Whoever calls this rings their bells.
    pub(crate) fn push(&self, message: DataMessage) -> Result<(), MessageError> {
        if message.payload.len() > limits::DATA_MESSAGE_BYTES_MAX {
            return Err(MessageError::TooLarge);
        }
        if message.text && std::str::from_utf8(&message.payload).is_err() {
            return Err(MessageError::NotText);
        }
        {
            let mut state = self.state.write();
            if state.closed {
                return Err(MessageError::Ended);
            }
            let now = message.came;
            state.charge.add(charged(&message));
            state.bytes += message.payload.len();
            state.messages.push_back(Arc::new(message));
            state.forget(now);
            self.head.store(state.first + state.messages.len() as u64, Ordering::Release);
        }
        self.budget.keep();
        Ok(())
    }

    /// Nobody says anything any more; what was said can still be read.
    pub(crate) fn close(&self) {
        self.state.write().closed = true;
    }

    /// Lets messages go that are older than [`limits::DATA_RING_AGE_MAX`]: a stream on which nothing is said
    /// any more must not keep the last things said.
    pub fn forget_old(&self, now: Instant) {
        // Most streams have none.
        if !self.state.read().messages.is_empty() {
            self.state.write().forget(now);
        }
    }

    /// Index the next message will get. One load, no lock.
    pub fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    /// Reads up to `max` messages and moves the cursor behind them. One whose messages are gone goes on with
    /// the oldest held (or, without any, waits at the head); `Read::skipped` counts what it missed.
    pub fn read(&self, cursor: &mut Cursor, max: usize) -> Read<DataMessage> {
        if cursor.0 >= self.head() {
            return Read { entries: Vec::new(), first: cursor.0, skipped: 0 };
        }
        let state = self.state.read();
        let first = cursor.0.max(state.first);
        let skipped = first - cursor.0;
        let offset = usize::try_from(first - state.first).unwrap_or(usize::MAX);
        let entries: Vec<_> = state.messages.iter().skip(offset).take(max).cloned().collect();
        cursor.0 = first + entries.len() as u64;
        Read { entries, first, skipped }
    }

    /// Messages held, and the bytes of their payloads.
    pub fn held(&self) -> (usize, usize) {
        let state = self.state.read();
        (state.messages.len(), state.bytes)
    }
}

impl State {
    /// Lets the oldest go beyond the bounds.
    fn forget(&mut self, now: Instant) {
        while self.bytes > limits::DATA_RING_BYTES_MAX
            || self.messages.len() > limits::DATA_RING_MESSAGES_MAX
            || self
                .messages
                .front()
                .is_some_and(|oldest| now.saturating_duration_since(oldest.came) > limits::DATA_RING_AGE_MAX)
        {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(message) = self.messages.pop_front() {
            self.bytes -= message.payload.len();
            self.charge.give_back(charged(&message));
            self.first += 1;
        }
    }
}

impl Holder for MessageRing {
    fn charged(&self) -> usize {
        self.state.read().charge.bytes()
    }

    fn cut(&self, level: usize) -> u64 {
        let mut state = self.state.write();
        let first = state.first;
        while state.charge.bytes() > level && !state.messages.is_empty() {
            state.drop_oldest();
        }
        state.first - first
    }
}

/// What a message costs in memory, with its place in the ring.
fn charged(message: &DataMessage) -> usize {
    // Reference counts of the message and its payload, and what the allocator keeps of each.
    const BOOKKEEPING_BYTES: usize = 96;
    message.payload.len() + size_of::<DataMessage>() + BOOKKEEPING_BYTES
}

#[cfg(test)]
mod tests;
