//! What leaves the shard, and who is next.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use base::limits;
use media::Kind;

use super::channels::Channels;
use super::play_track::{PlayTrack, Position};
use super::player::Route;
use super::slab::Key;
use super::{PlayerId, TrackRef};

/// Sends of a stream before the next stream's: some 0.1 ms.
const SENDS_PER_TURN: usize = 8;

/// Sends of live pictures before one of data, while both wait.
const SENDS_BEFORE_DATA: usize = 3;

/// How to send what was appended to the caller's buffer: a datagram, or several of one size for a
/// segmented send (the last may be shorter).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub to: SocketAddr,
    /// From which of our addresses, where several could be taken.
    pub from: Option<IpAddr>,
    /// Size of all datagrams but the last, when there are several.
    pub segment_size: Option<usize>,
}

impl Transmit {
    pub(super) const fn new(route: Route, segment_size: Option<usize>) -> Self {
        Self { to: route.to, from: route.from, segment_size }
    }
}

/// Who is next of those that share a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Live {
    /// A track's picture.
    Video(TrackRef),
    /// A player's data channels.
    Data(PlayerId),
}

/// Which tracks and players have something to send, by urgency.
#[derive(Debug, Default)]
pub(super) struct Ready {
    pub(super) audio: VecDeque<TrackRef>,
    pub(super) resends: VecDeque<TrackRef>,
    pub(super) video: FairQueue,
    pub(super) data: VecDeque<PlayerId>,
    /// Pictures' sends since the last of data.
    before_data: usize,
    pub(super) replays: VecDeque<TrackRef>,
}

/// Tracks by the stream they are of: streams take turns of some sends each, so that a large picture for
/// many keeps nobody of another stream waiting. Not of one: sends of one frame go into one system call.
#[derive(Debug, Default)]
pub(super) struct FairQueue {
    /// By the place of the fan-out. What a fan-out leaves behind is for its successor to skip.
    queues: Vec<VecDeque<TrackRef>>,
    turns: VecDeque<usize>,
    /// Sends that the first of them has had.
    served: usize,
}

impl FairQueue {
    fn push(&mut self, fanout: Key, viewer: TrackRef) {
        let place = fanout.slot();
        if self.queues.len() <= place {
            self.queues.resize_with(place + 1, VecDeque::new);
        }
        if let Some(queue) = self.queues.get_mut(place) {
            if queue.is_empty() {
                self.turns.push_back(place);
            }
            queue.push_back(viewer);
        }
    }

    /// The next of the stream whose turn it is.
    pub(super) fn pop(&mut self) -> Option<TrackRef> {
        let place = *self.turns.front()?;
        let queue = self.queues.get_mut(place)?;
        let viewer = queue.pop_front();
        self.served += 1;
        if queue.is_empty() || self.served >= SENDS_PER_TURN {
            self.turns.pop_front();
            self.served = 0;
            if !queue.is_empty() {
                self.turns.push_back(place);
            }
        }
        viewer
    }
}

impl Ready {
    /// Queues a track by what it sends next, if it does not stand in a queue.
    pub(super) fn push(&mut self, track: &mut PlayTrack, viewer: TrackRef) {
        track.paced_until = None;
        let Some(fanout) = track.fanout else { return };
        if matches!(track.position, Position::Stopped | Position::Waiting)
            || std::mem::replace(&mut track.queued, true)
        {
            return;
        }
        match (&track.position, track.kind) {
            (Position::Replaying(_), _) => self.replays.push_back(viewer),
            (_, Kind::Audio) => self.audio.push_back(viewer),
            (_, Kind::Video) => self.video.push(fanout, viewer),
        }
    }

    /// Queues a player whose data channels have something to send, if it does not stand in the queue.
    pub(super) fn push_data(&mut self, channels: &mut Channels, player: PlayerId) {
        if !std::mem::replace(&mut channels.queued, true) {
            self.data.push_back(player);
        }
    }

    /// Who is next of live pictures and data: neither keeps the other waiting, and pictures have most of it.
    pub(super) fn pop_live(&mut self) -> Option<Live> {
        let data_is_due = self.before_data >= SENDS_BEFORE_DATA && !self.data.is_empty();
        if let Some(viewer) = (!data_is_due).then(|| self.video.pop()).flatten() {
            self.before_data += 1;
            return Some(Live::Video(viewer));
        }
        self.before_data = 0;
        self.data.pop_front().map(Live::Data)
    }

    /// Whether nobody has anything to send.
    pub(super) fn is_empty(&self) -> bool {
        self.audio.is_empty()
            && self.resends.is_empty()
            && self.video.turns.is_empty()
            && self.data.is_empty()
            && self.replays.is_empty()
    }
}

/// The small datagrams that wait before all media: STUN answers, DTLS flights, RTCP.
#[derive(Debug, Default)]
pub(super) struct Control(VecDeque<(Route, Vec<u8>)>);

impl Control {
    /// Queues a datagram. `false` when the queue is full: it is dropped.
    pub(super) fn push(&mut self, route: Route, bytes: Vec<u8>) -> bool {
        let fits = self.0.len() < limits::SHARD_CONTROL_DATAGRAMS_MAX;
        if fits {
            self.0.push_back((route, bytes));
        }
        fits
    }

    /// Takes the next, appending it to `out`.
    pub(super) fn take(&mut self, out: &mut Vec<u8>) -> Option<Transmit> {
        let (route, bytes) = self.0.pop_front()?;
        out.extend_from_slice(&bytes);
        Some(Transmit::new(route, None))
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_take_turns_and_players_of_a_stream_too() {
        let mut queue = FairQueue::default();
        let key = |slot: u64| Key::from_number(slot << 32);
        let viewer = |slot| TrackRef { player: PlayerId(key(slot)), track: 0 };
        for player in 0..20 {
            queue.push(key(0), viewer(player));
        }
        queue.push(key(3), viewer(30));
        queue.push(key(3), viewer(31));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        let expected: Vec<_> = (0..8).chain(30..32).chain(8..20).map(viewer).collect();
        assert_eq!(order, expected);
        assert!(queue.turns.is_empty());
    }
}
