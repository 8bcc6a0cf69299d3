//! What leaves the shard: one send at a time, kept until the socket has taken it.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use base::limits;
use media::Kind;

use super::TrackRef;
use super::play_track::{PlayTrack, Position};
use super::player::Route;

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
    pub(super) video: VecDeque<TrackRef>,
    pub(super) replays: VecDeque<TrackRef>,
}

impl Ready {
    /// Queues a track by what it sends next, if it does not stand in a queue.
    pub(super) fn push(&mut self, track: &mut PlayTrack, viewer: TrackRef) {
        track.paced_until = None;
        let queue = match (&track.position, track.kind) {
            (Position::Live { .. }, Kind::Audio) => &mut self.audio,
            (Position::Live { .. }, Kind::Video) => &mut self.video,
            (Position::Replaying(_), _) => &mut self.replays,
            (Position::Stopped | Position::Waiting, _) => return,
        };
        if !std::mem::replace(&mut track.queued, true) {
            queue.push_back(viewer);
        }
    }

    /// Whether no track has anything to send.
    pub(super) fn is_empty(&self) -> bool {
        self.audio.is_empty() && self.resends.is_empty() && self.video.is_empty() && self.replays.is_empty()
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
