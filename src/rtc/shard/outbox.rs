//! What leaves the shard: one send at a time, kept until the socket has taken it.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use base::limits;
use media::Kind;

use super::TrackRef;
use super::play_track::{PlayTrack, Position};
use super::player::Route;
use super::slab::Key;

/// One send: a datagram, or several of one size for a segmented send (the last may be shorter).
#[derive(Debug, PartialEq, Eq)]
pub struct Transmit<'a> {
    /// Where to.
    pub to: SocketAddr,
    /// From which of our addresses, where several could be taken.
    pub from: Option<IpAddr>,
    /// The datagrams, one behind the other.
    pub contents: &'a [u8],
    /// Size of all datagrams but the last, when there are several.
    pub segment_size: Option<usize>,
}

/// Which tracks have something to send, by urgency.
#[derive(Debug, Default)]
pub(super) struct Ready {
    pub(super) audio: VecDeque<TrackRef>,
    pub(super) resends: VecDeque<TrackRef>,
    pub(super) video: FairQueue,
    pub(super) replays: VecDeque<TrackRef>,
}

/// Tracks by the stream they are of: streams take turns, one send each, so that a large picture for
/// many keeps nobody of another stream waiting.
#[derive(Debug, Default)]
pub(super) struct FairQueue {
    /// By the place of the fan-out. What a fan-out leaves behind is for its successor to skip.
    queues: Vec<VecDeque<TrackRef>>,
    turns: VecDeque<usize>,
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
        let place = self.turns.pop_front()?;
        let queue = self.queues.get_mut(place)?;
        let viewer = queue.pop_front();
        if !queue.is_empty() {
            self.turns.push_back(place);
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

    /// Whether no track has anything to send.
    pub(super) fn is_empty(&self) -> bool {
        self.audio.is_empty()
            && self.resends.is_empty()
            && self.video.turns.is_empty()
            && self.replays.is_empty()
    }
}

#[derive(Debug)]
struct Control {
    route: Route,
    bytes: Vec<u8>,
}

/// The send under way, and the small datagrams waiting before all media.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    control: VecDeque<Control>,
    /// Contents of the send under way.
    pub(super) buffer: Vec<u8>,
    current: Option<(Route, Option<usize>)>,
}

impl Outbox {
    /// Queues a STUN answer, a DTLS flight or RTCP. `false` when the queue is full: it is dropped.
    pub(super) fn push_control(&mut self, route: Route, bytes: Vec<u8>) -> bool {
        let fits = self.control.len() < limits::SHARD_CONTROL_DATAGRAMS_MAX;
        if fits {
            self.control.push_back(Control { route, bytes });
        }
        fits
    }

    /// Makes the next control datagram the send under way, if there is one.
    pub(super) fn take_control(&mut self) -> bool {
        let Some(Control { route, bytes }) = self.control.pop_front() else { return false };
        self.buffer.clear();
        self.buffer.extend_from_slice(&bytes);
        self.current = Some((route, None));
        true
    }

    /// Makes what was sealed into the emptied buffer the send under way.
    pub(super) fn set_current(&mut self, route: Route, segment_size: Option<usize>) {
        self.current = Some((route, segment_size));
    }

    /// The send under way.
    pub(super) fn current(&self) -> Option<Transmit<'_>> {
        let (route, segment_size) = self.current?;
        Some(Transmit { to: route.to, from: route.from, contents: &self.buffer, segment_size })
    }

    /// Whether a send is under way.
    pub(super) const fn is_busy(&self) -> bool {
        self.current.is_some()
    }

    /// Whether a send is under way or a control datagram waits.
    pub(super) fn has_any(&self) -> bool {
        self.is_busy() || !self.control.is_empty()
    }

    /// The send under way is done.
    pub(super) fn done(&mut self) {
        self.current = None;
    }
}

#[cfg(test)]
mod tests {
    use super::super::PlayerId;
    use super::*;

    #[test]
    fn streams_take_turns_and_players_of_a_stream_too() {
        let mut queue = FairQueue::default();
        let key = |slot: u64| Key::from_number(slot << 32);
        let viewer = |slot| TrackRef { player: PlayerId(key(slot)), track: 0 };
        for player in 0..4 {
            queue.push(key(0), viewer(player));
        }
        queue.push(key(3), viewer(10));
        queue.push(key(3), viewer(11));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [0, 10, 1, 11, 2, 3].map(viewer));
        assert!(queue.turns.is_empty());
    }
}
