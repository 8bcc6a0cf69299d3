//! The data channels of one player: what it says, and what of its stream's messages it is sent.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use base::limits;
use bytes::Bytes;
use media::{Cursor, MessageRing, PlayerName, UnfinishedMessages};

use super::allowance::Allowance;
use crate::sctp::dcep::{self, Control};
use crate::sctp::{MessageKind, Received, Sctp, SctpEnd, SctpEvent};

/// The stream of the channel that the node opens: odd, because it is the DTLS server (RFC 8832 6).
const OWN_STREAM: u16 = 1;

/// Whom the messages of players go to (AMS's `dataChannelPlayerDistribution`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// The publisher and all other players.
    All,
    /// The publisher alone.
    Publisher,
    /// Nobody.
    Nobody,
}

impl Distribution {
    /// Reads AMS's word for it: `all` or `publisher`. Any other one means nobody, as in AMS.
    pub fn read(word: &str) -> Self {
        match word.trim() {
            "all" => Self::All,
            "publisher" => Self::Publisher,
            _ => Self::Nobody,
        }
    }
}

/// Who opens the channel that messages go out on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opener {
    /// The node, as AMS's pages expect of who made the offer. A player that closes that channel gets its messages
    /// on the first of its own.
    Node,
    /// The player: who makes the offer listens on what it opens.
    Player,
}

/// A message of the player's, not yet judged.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) text: bool,
    pub(super) payload: Bytes,
}

/// What came of a packet of the player's.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It was taken; [`Channels::said`] may have something new.
    Taken,
    /// It was dropped.
    Refused,
    /// The data channels are closed; its media goes on.
    Closed(SctpEnd),
}

/// What became of messages that were due to the player.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Filled {
    /// Handed to SCTP.
    pub(super) sent: u64,
    /// Gone before it was their turn.
    pub(super) skipped: u64,
    /// Larger than the player takes.
    pub(super) too_large: u64,
    /// The player holds so much that its channels were closed.
    pub(super) closed: bool,
}

#[derive(Debug)]
enum State {
    /// The answer has not taken them, or has refused them.
    Unagreed,
    /// The player may begin, and takes messages of that size at most.
    Agreed { bytes_max: usize },
    /// It has begun.
    Begun { bytes_max: usize, sctp: Box<Sctp> },
    /// They are closed, for good; perhaps something is still to be said of that.
    Closed { last: VecDeque<Bytes> },
}

/// The data channels of one player.
#[derive(Debug)]
pub(super) struct Channels {
    pub(super) distribution: Distribution,
    pub(super) name: PlayerName,
    opener: Opener,
    state: State,
    /// Streams that are channels, and whether the node opened them.
    open: BTreeMap<u16, bool>,
    /// The next message of the stream that it has not been sent.
    cursor: Cursor,
    /// The player is paused: it is told nothing, and nothing is heard from it.
    withheld: bool,
    pub(super) allowance: Allowance,
    account: UnfinishedMessages,
    said: VecDeque<Said>,
    /// Messages that came on no channel, or are nothing a channel carries.
    pub(super) astray: u64,
    /// It stands in the queue of those with something to send.
    pub(super) queued: bool,
}

impl Channels {
    /// Channels that are not agreed on yet.
    pub(super) fn new(
        distribution: Distribution,
        opener: Opener,
        ring: &MessageRing,
        account: UnfinishedMessages,
    ) -> Self {
        Self {
            distribution,
            name: ring.name_player(),
            opener,
            state: State::Unagreed,
            open: BTreeMap::new(),
            cursor: Cursor(0),
            withheld: false,
            allowance: Allowance::new(),
            account,
            said: VecDeque::new(),
            astray: 0,
            queued: false,
        }
    }

    /// The player takes data channels, and messages of that size at most. What was agreed on before stays.
    pub(super) fn agree(&mut self, bytes_max: usize) {
        if matches!(self.state, State::Unagreed) {
            self.state = State::Agreed { bytes_max };
        }
    }

    /// From here on nothing of the ring goes to the player. The association lives, and what SCTP was handed before goes out.
    pub(super) const fn withhold(&mut self) {
        self.withheld = true;
    }

    /// The player is told what is said from here on; what was said meanwhile it missed.
    pub(super) fn go_on(&mut self, ring: &MessageRing) {
        self.withheld = false;
        self.cursor = Cursor(ring.head());
    }

    /// Whether the player is paused.
    pub(super) const fn is_withheld(&self) -> bool {
        self.withheld
    }

    /// The stream that messages go out on; one that a player opens is as good as open.
    fn outlet(&self) -> Option<u16> {
        let own = self.open.iter().find(|(_, ours)| **ours);
        own.or_else(|| self.open.iter().next()).map(|(stream, _)| *stream)
    }

    /// Takes a packet of the player's.
    pub(super) fn receive(
        &mut self,
        packet: Bytes,
        label: &str,
        ring: &MessageRing,
        now: Instant,
    ) -> Outcome {
        if let State::Agreed { bytes_max } = self.state {
            self.state = State::Begun { bytes_max, sctp: Box::new(Sctp::new()) };
        }
        let State::Begun { sctp, .. } = &mut self.state else { return Outcome::Refused };
        let received = sctp.receive(packet, now);
        let held = sctp.held_bytes();
        match received {
            Received::Ended(end) => self.close(end),
            Received::Refused => Outcome::Refused,
            Received::Taken if self.account.hold(held).is_err() => {
                // The node's memory for what is unfinished is spent, and this player has more than its part.
                sctp.close(now);
                self.close(SctpEnd::TooMuchHeld)
            }
            Received::Taken => {
                self.follow(label, ring, now);
                Outcome::Taken
            }
        }
    }

    /// Acts on what SCTP tells.
    fn follow(&mut self, label: &str, ring: &MessageRing, now: Instant) {
        let State::Begun { sctp, .. } = &mut self.state else { return };
        let was_open = !self.open.is_empty();
        while let Some(event) = sctp.poll_event() {
            match event {
                SctpEvent::Connected if self.opener == Opener::Node => {
                    let open = dcep::open(label).filter(|_| sctp.open(OWN_STREAM));
                    if open.is_some_and(|open| sctp.send(OWN_STREAM, MessageKind::Control, &open, now)) {
                        self.open.insert(OWN_STREAM, true);
                    }
                }
                SctpEvent::Connected => {}
                SctpEvent::Closed { stream } => {
                    self.open.remove(&stream);
                }
                SctpEvent::Message { stream, kind: MessageKind::Control, payload } => {
                    match dcep::read(&payload) {
                        // Its channels have even numbers (RFC 8832 6). One that is open already is told so again.
                        Some(Control::Open { unordered, kind, parameter }) if stream.is_multiple_of(2) => {
                            sctp.set_reliability(stream, unordered, kind, parameter);
                            if sctp.send(stream, MessageKind::Control, &dcep::acknowledge(), now) {
                                self.open.insert(stream, false);
                            }
                        }
                        Some(Control::Acknowledge) => {}
                        _ => self.astray += 1,
                    }
                }
                SctpEvent::Message { stream, kind, payload } => {
                    let text = kind == MessageKind::Text;
                    if kind != MessageKind::Other && self.open.contains_key(&stream) {
                        self.said.push_back(Said { text, payload });
                    } else {
                        self.astray += 1;
                    }
                }
            }
        }
        sctp.sent(now);
        if !was_open && !self.open.is_empty() {
            // It is sent what is said from here on.
            self.cursor = Cursor(ring.head());
        }
    }

    /// What the player said, in order.
    pub(super) fn said(&mut self) -> Option<Said> {
        self.said.pop_front()
    }

    /// Closes them for good; what SCTP wants to say last is sent.
    fn close(&mut self, end: SctpEnd) -> Outcome {
        let mut last = VecDeque::new();
        if let State::Begun { sctp, .. } = &mut self.state {
            last.extend(std::iter::from_fn(|| sctp.poll_transmit()));
        }
        self.state = State::Closed { last };
        self.open.clear();
        self.said.clear();
        // Giving back cannot fail.
        let _ = self.account.hold(0);
        Outcome::Closed(end)
    }

    /// Hands to SCTP what the player is to be sent, as far as there is room and its turn goes.
    pub(super) fn fill(&mut self, ring: &MessageRing, now: Instant) -> Filled {
        let mut filled = Filled::default();
        if self.withheld {
            return filled;
        }
        let Some(outlet) = self.outlet() else { return filled };
        let State::Begun { bytes_max, sctp } = &mut self.state else { return filled };
        for _ in 0..limits::DATA_MESSAGES_PER_TURN_MAX {
            if !sctp.has_room() {
                break;
            }
            let read = ring.read(&mut self.cursor, 1);
            filled.skipped += read.skipped;
            let Some(message) = read.entries.first() else { break };
            if !message.is_for_player(self.name) {
                continue;
            }
            if message.payload.len() > *bytes_max {
                filled.too_large += 1;
                continue;
            }
            let kind = if message.text { MessageKind::Text } else { MessageKind::Binary };
            if sctp.send(outlet, kind, &message.payload, now) {
                filled.sent += 1;
            }
        }
        if filled.sent > 0 {
            sctp.sent(now);
            if self.account.hold(sctp.held_bytes()).is_err() {
                sctp.close(now);
                self.close(SctpEnd::TooMuchHeld);
                filled.closed = true;
            }
        }
        filled
    }

    /// The next packet to send.
    pub(super) fn poll_transmit(&mut self) -> Option<Bytes> {
        match &mut self.state {
            State::Begun { sctp, .. } => sctp.poll_transmit(),
            State::Closed { last } => last.pop_front(),
            State::Unagreed | State::Agreed { .. } => None,
        }
    }

    /// Whether there is something to send now.
    pub(super) fn wants_turn(&self, ring: &MessageRing) -> bool {
        match &self.state {
            State::Begun { sctp, .. } => {
                let is_listening = !self.withheld && !self.open.is_empty();
                sctp.has_packets() || (is_listening && self.cursor.0 < ring.head() && sctp.has_room())
            }
            State::Closed { last } => !last.is_empty(),
            State::Unagreed | State::Agreed { .. } => false,
        }
    }

    /// When [`Channels::handle_timeout`] is wanted next.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Begun { sctp, .. } => sctp.poll_timeout(),
            _ => None,
        }
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&mut self, label: &str, ring: &MessageRing, now: Instant) -> Outcome {
        let State::Begun { sctp, .. } = &mut self.state else { return Outcome::Taken };
        match sctp.handle_timeout(now) {
            Some(end) => self.close(end),
            None => {
                self.follow(label, ring, now);
                Outcome::Taken
            }
        }
    }
}
