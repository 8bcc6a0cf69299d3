//! Packets of one SSRC in the order of their sequence numbers (RFC 3550 5.1).

use std::collections::BTreeMap;
use std::iter;
use std::time::{Duration, Instant};

use base::limits;

use super::RtpPacket;
use crate::clock::Arrival;
use crate::packet::DATAGRAM_BYTES;

/// Turns of the 16 bits before the first packet, so that numbers never go below zero.
const TURN: u64 = 1 << 16;
/// Of padding, how many packets may be missing: fewer than pictures have numbers, however few bits those have (H.264:
/// at least 4 bits).
const PADDING_LOST_MAX: u64 = 16;
/// Packets from the first that is missing on that are looked through for one that needs none of them.
const HOLE_LOOKED_THROUGH_MAX: u64 = 256;
/// Packets from behind, one after the other and nothing else for [`RESTART_AFTER`], are no late ones but a source
/// that numbers anew.
const RESTART_PACKETS: u32 = 16;
const RESTART_AFTER: Duration = Duration::from_secs(1);

/// What is missing in front of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing.
    Nothing,
    /// So many packets, which are not waited for any more.
    Lost(u64),
    /// So many packets, of which none is missed ([`Knows`]).
    Needless(u64),
    /// Nobody knows what: the source numbers anew.
    Unknown,
}

/// What whoever takes the packets knows of one behind a hole.
pub(super) trait Knows {
    /// Whether nothing can be missing between what was handed out last and a packet, whatever the numbers are. (Who
    /// probes a path sends padding, and no padding again that is lost.)
    fn follows(&self, packet: &RtpPacket) -> bool;

    /// Whether nothing in front of a packet is of any use any more.
    fn begins_anew(&self, packet: &RtpPacket) -> bool;
}

/// The next packet in order.
#[derive(Debug)]
pub(super) struct Ordered {
    pub(super) packet: RtpPacket,
    pub(super) arrival: Arrival,
    pub(super) before: Before,
}

#[derive(Debug)]
struct Waiting {
    packet: RtpPacket,
    arrival: Arrival,
    /// When this number or one behind it was first seen, and with that the hole in front of it.
    seen: Instant,
}

/// Packets from behind what was handed out, with nothing else between them.
#[derive(Clone, Copy, Debug)]
struct Stragglers {
    since: Instant,
    last: u16,
    in_a_row: u32,
}

/// Puts packets in order: a packet whose turn it is goes through at once, others wait behind the hole until it is
/// filled, is known to be of no account ([`Knows`]), its time is over ([`Order::new`]), or
/// [`limits::RTP_REORDER_PACKETS_MAX`] or [`limits::RTP_REORDER_BYTES_MAX`] of them wait.
#[derive(Debug)]
pub(super) struct Order {
    hole_wait: Duration,
    /// The number whose turn it is; `None` before the first packet.
    next: Option<u64>,
    /// The highest number seen.
    newest: u64,
    waiting: BTreeMap<u64, Waiting>,
    bytes: usize,
    stragglers: Option<Stragglers>,
    restarted: bool,
}

impl Order {
    /// Nothing has come yet; a hole will be waited for that long.
    pub(super) const fn new(hole_wait: Duration) -> Self {
        let waiting = BTreeMap::new();
        Self { hole_wait, next: None, newest: 0, waiting, bytes: 0, stragglers: None, restarted: false }
    }

    /// Bytes held of what waits.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes + self.waiting.len() * DATAGRAM_BYTES
    }

    /// Takes a packet as it comes. What came before, or comes after its time, is dropped.
    pub(super) fn insert(&mut self, packet: RtpPacket, arrival: Arrival) {
        let first = TURN + u64::from(packet.sequence);
        let next = *self.next.get_or_insert_with(|| {
            self.newest = first;
            first
        });
        let distance = packet.sequence.wrapping_sub(self.newest as u16) as i16;
        let number = self.newest.saturating_add_signed(i64::from(distance));
        if number >= next {
            self.stragglers = None;
            self.newest = self.newest.max(number);
            self.hold(number, packet, arrival);
        } else if self.numbers_anew(packet.sequence, arrival.at) {
            // A turn further, so that nothing that came can be taken for something that comes.
            let first = (self.newest / TURN + 2) * TURN + u64::from(packet.sequence);
            let hole_wait = self.hole_wait;
            *self = Self { next: Some(first), newest: first, restarted: true, ..Self::new(hole_wait) };
            self.hold(first, packet, arrival);
        }
    }

    fn hold(&mut self, number: u64, packet: RtpPacket, arrival: Arrival) {
        if self.waiting.contains_key(&number) {
            return;
        }
        // What comes later was seen later: those in front know already.
        let behind = self.waiting.range(number..).next();
        let seen = behind.map_or(arrival.at, |(_, behind)| behind.seen);
        self.bytes += packet.payload.len();
        self.waiting.insert(number, Waiting { packet, arrival, seen });
    }

    fn numbers_anew(&mut self, sequence: u16, now: Instant) -> bool {
        let before = self.stragglers.filter(|before| before.last.wrapping_add(1) == sequence);
        let stragglers = match before {
            Some(before) => Stragglers { last: sequence, in_a_row: before.in_a_row + 1, ..before },
            None => Stragglers { since: now, last: sequence, in_a_row: 1 },
        };
        self.stragglers = Some(stragglers);
        stragglers.in_a_row >= RESTART_PACKETS
            && now.saturating_duration_since(stragglers.since) >= RESTART_AFTER
    }

    /// When the hole that is waited for is given up.
    pub(super) fn due(&self) -> Option<Instant> {
        let (_, lowest) = self.waiting.first_key_value()?;
        Some(lowest.seen + self.hole_wait)
    }

    /// The packet in front of which nothing that is missing is missed.
    fn needs_no_other(&self, next: u64, knows: &impl Knows) -> Option<u64> {
        let mut near = self.waiting.range(..next + HOLE_LOOKED_THROUGH_MAX).enumerate();
        let holds_something = |waiting: &Waiting| !waiting.packet.payload.is_empty();
        let (there, (first, waiting)) = near.by_ref().find(|(_, (_, waiting))| holds_something(waiting))?;
        let missing = first - next - there as u64;
        if missing < PADDING_LOST_MAX && knows.follows(&waiting.packet) {
            return self.waiting.first_key_value().map(|(lowest, _)| *lowest);
        }
        let (_, (anew, _)) = iter::once((there, (first, waiting)))
            .chain(near)
            .find(|(_, (_, waiting))| knows.begins_anew(&waiting.packet))?;
        Some(*anew)
    }

    /// The next packet in order, as of `now`.
    pub(super) fn next(&mut self, now: Instant, knows: &impl Knows) -> Option<Ordered> {
        let next = self.next?;
        let (&lowest, waiting) = self.waiting.first_key_value()?;
        let is_over = waiting.seen + self.hole_wait <= now
            || self.bytes > limits::RTP_REORDER_BYTES_MAX
            || self.waiting.len() > limits::RTP_REORDER_PACKETS_MAX;
        let free = if lowest > next { self.needs_no_other(next, knows) } else { None };
        if lowest > next && !is_over && free.is_none() {
            return None;
        }
        let from = free.unwrap_or(lowest);
        let mut lost = from - next;
        while let Some((number, Waiting { packet, arrival, .. })) = self.waiting.pop_first() {
            self.bytes -= packet.payload.len();
            if number < from {
                lost -= 1;
                continue;
            }
            self.next = Some(number + 1);
            let before = match lost {
                _ if std::mem::take(&mut self.restarted) => Before::Unknown,
                0 => Before::Nothing,
                lost if free.is_some() => Before::Needless(lost),
                lost => Before::Lost(lost),
            };
            return Some(Ordered { packet, arrival, before });
        }
        None
    }
}

#[cfg(test)]
mod tests;
