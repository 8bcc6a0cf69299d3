use std::sync::LazyLock;

use base::{Clock, SystemClock, WallTime};
use bytes::Bytes;
use proptest::prelude::*;

use super::*;

static START: LazyLock<Instant> = LazyLock::new(|| SystemClock.now());
const WAIT: Duration = Duration::from_millis(200);

fn at(ms: u64) -> Instant {
    *START + Duration::from_millis(ms)
}

struct Stand(Order);

impl Stand {
    fn new() -> Self {
        Self(Order::new(WAIT))
    }

    /// A packet that comes at a millisecond: what goes through then, with what is lost before it.
    fn comes(&mut self, sequence: u16, ms: u64) -> Vec<(u16, Before)> {
        self.brings(sequence, 0, b"x", ms)
    }

    /// As it does, with this timestamp and payload.
    fn brings(
        &mut self,
        sequence: u16,
        timestamp: u32,
        payload: &'static [u8],
        ms: u64,
    ) -> Vec<(u16, Before)> {
        let payload = Bytes::from_static(payload);
        let packet = RtpPacket { sequence, timestamp, marker: false, payload };
        self.0.insert(packet, Arrival { at: at(ms), wall: WallTime(0) });
        self.through(ms)
    }

    fn through(&mut self, ms: u64) -> Vec<(u16, Before)> {
        std::iter::from_fn(|| self.0.next(at(ms), &ByTimestamp))
            .map(|ordered| (ordered.packet.sequence, ordered.before))
            .collect()
    }
}

const NOTHING: Before = Before::Nothing;
/// The timestamps of packets in front of which nothing can be missing, and nothing is of use.
const FOLLOWS: u32 = 1;
const ANEW: u32 = 2;

struct ByTimestamp;

impl Knows for ByTimestamp {
    fn follows(&self, packet: &RtpPacket) -> bool {
        packet.timestamp == FOLLOWS
    }

    fn begins_anew(&self, packet: &RtpPacket) -> bool {
        packet.timestamp == ANEW
    }
}

#[test]
fn what_is_in_order_goes_through_at_once_over_the_end_of_the_numbers() {
    let mut stand = Stand::new();
    for step in 0..200_000_u32 {
        let sequence = (step + 65_000) as u16;
        assert_eq!(stand.comes(sequence, u64::from(step)), [(sequence, NOTHING)]);
        assert_eq!(stand.0.due(), None);
    }
    assert_eq!(stand.0.held_bytes(), 0);
}

#[test]
fn padding_that_is_lost_is_not_waited_for() {
    let mut stand = Stand::new();
    stand.comes(0, 0);
    assert_eq!(stand.brings(2, 0, b"", 1), [], "padding itself says nothing of what is missing");
    assert_eq!(
        stand.brings(4, FOLLOWS, b"x", 2),
        [(2, Before::Needless(1)), (4, Before::Needless(1))],
        "what comes behind it does"
    );
    assert_eq!(stand.0.due(), None);
    assert_eq!(stand.comes(3, 3), [], "too late, and nothing");
    // So many that the numbers of pictures may have gone round.
    assert_eq!(stand.brings(5 + 16, FOLLOWS, b"x", 4), []);
    assert_eq!(stand.brings(5 + 15, FOLLOWS, b"x", 5), [(20, Before::Needless(15)), (21, NOTHING)]);
    assert_eq!(stand.brings(22 + 300, FOLLOWS, b"x", 6), []);
    assert_eq!(stand.through(206), [(322, Before::Lost(300))]);
    // A long probe of which two packets are lost.
    let first = 323;
    for sequence in first + 1..first + 200 {
        if sequence != first + 99 {
            assert_eq!(stand.brings(sequence, 0, b"", 300), []);
        }
    }
    let through = stand.brings(first + 200, FOLLOWS, b"x", 301);
    assert_eq!((through.len(), through[0].1, through[199 - 1].1), (199, Before::Needless(1), NOTHING));
}

#[test]
fn where_all_begins_anew_nothing_in_front_is_waited_for() {
    let mut stand = Stand::new();
    stand.comes(0, 0);
    assert_eq!((stand.comes(2, 1), stand.brings(3, 0, b"", 1), stand.comes(5, 2)), (vec![], vec![], vec![]));
    assert_eq!(stand.brings(6, ANEW, b"x", 3), [(6, Before::Needless(2))]);
    assert_eq!((stand.0.held_bytes(), stand.0.due()), (0, None));
    assert_eq!(stand.comes(7, 4), [(7, NOTHING)]);
    assert_eq!(stand.brings(8, ANEW, b"x", 5), [(8, NOTHING)]);
}

#[test]
fn packets_are_put_in_order_and_come_once() {
    let mut stand = Stand::new();
    assert_eq!(stand.comes(65_534, 0), [(65_534, NOTHING)]);
    assert_eq!(stand.comes(0, 1), []);
    assert_eq!(stand.comes(1, 2), []);
    assert_eq!(stand.comes(0, 3), [], "a duplicate of one that waits");
    assert_eq!(stand.comes(65_535, 4), [(65_535, NOTHING), (0, NOTHING), (1, NOTHING)]);
    assert_eq!(stand.comes(65_535, 5), [], "a duplicate of one that went through");
    assert_eq!(stand.comes(2, 6), [(2, NOTHING)]);
}

#[test]
fn a_hole_is_given_up_when_it_was_seen_long_enough_ago() {
    let mut stand = Stand::new();
    stand.comes(10, 0);
    assert_eq!(stand.comes(13, 100), []);
    assert_eq!(stand.0.due(), Some(at(300)));
    // A part of it comes, and it does not begin anew with that.
    assert_eq!(stand.comes(12, 250), []);
    assert_eq!(stand.0.due(), Some(at(300)));
    assert_eq!(stand.comes(15, 260), []);
    assert_eq!(stand.through(299), []);
    assert_eq!(stand.through(300), [(12, Before::Lost(1)), (13, NOTHING)]);
    assert_eq!(stand.0.due(), Some(at(460)), "the next one was seen later");
    assert_eq!(stand.comes(11, 310), [], "too late");
    assert_eq!(stand.comes(14, 459), [(14, NOTHING), (15, NOTHING)], "in time");
    assert_eq!((stand.0.due(), stand.0.held_bytes()), (None, 0));
    // With the next packet, where nobody looked at the clock meanwhile.
    stand.comes(17, 500);
    assert_eq!(stand.comes(18, 700), [(17, Before::Lost(1)), (18, NOTHING)]);
}

#[test]
fn what_waits_is_bounded_in_packets_and_in_bytes() {
    let mut stand = Stand::new();
    stand.comes(0, 0);
    let most = u16::try_from(limits::RTP_REORDER_PACKETS_MAX).unwrap();
    for sequence in 2..=most + 1 {
        assert_eq!(stand.comes(sequence, 1), []);
    }
    let through = stand.comes(most + 2, 1);
    assert_eq!((through.len(), through[0]), (usize::from(most) + 1, (2, Before::Lost(1))));

    let mut order = Order::new(WAIT);
    let payload = Bytes::from(vec![0; limits::RTP_PAYLOAD_BYTES_MAX]);
    let arrival = Arrival { at: at(0), wall: WallTime(0) };
    let mut held = 0;
    // Every other packet: each hole given up lets one go.
    for sequence in (0..3_200).step_by(2) {
        let packet = RtpPacket { sequence, timestamp: 0, marker: false, payload: payload.clone() };
        order.insert(packet, arrival);
        while order.next(at(0), &ByTimestamp).is_some() {}
        held = held.max(order.bytes);
    }
    let fits = limits::RTP_REORDER_BYTES_MAX - limits::RTP_PAYLOAD_BYTES_MAX..=limits::RTP_REORDER_BYTES_MAX;
    assert!(fits.contains(&held), "{held}");
}

#[test]
fn a_source_that_numbers_anew_is_followed_and_late_packets_are_not() {
    let mut stand = Stand::new();
    stand.comes(30_000, 0);
    // Resent in vain: many, but others come in between.
    for round in 0..100 {
        assert_eq!(stand.comes(20_000 + round, 20 * u64::from(round)), []);
        stand.comes(30_001 + round, 20 * u64::from(round));
    }
    // Many at once are none that numbers anew either.
    let now = 10_000;
    for sequence in 100..200 {
        assert_eq!(stand.comes(sequence, now), []);
    }
    assert_eq!(stand.comes(30_101, now), [(30_101, NOTHING)]);
    let mut through = Vec::new();
    for (step, sequence) in (200..300).enumerate() {
        through.extend(stand.comes(sequence, now + 20 * step as u64));
    }
    assert_eq!(through[..2], [(250, Before::Unknown), (251, NOTHING)], "after a second of them");
    assert_eq!(through.len(), 50);
}

proptest! {
    /// Whatever comes when: numbers rise, each packet goes through at most once, what is lost is counted
    /// exactly, and nothing is held for longer than a hole is waited for.
    #[test]
    fn order_holds(
        first: u16,
        steps in prop::collection::vec((0_u16..40, 0_u64..30, prop_oneof![8 => Just(0), 1 => Just(FOLLOWS), 1 => Just(ANEW)], any::<bool>()), 1..300),
    ) {
        let mut stand = Stand::new();
        let (mut ms, mut base) = (0, first);
        let mut next: Option<u16> = None;
        for (offset, passed, timestamp, is_padding) in steps {
            ms += passed;
            base = base.wrapping_add(1);
            let payload: &[u8] = if is_padding { b"" } else { b"x" };
            for (sequence, before) in stand.brings(base.wrapping_add(offset), timestamp, payload, ms) {
                let left_out = next.map_or(0, |next| sequence.wrapping_sub(next));
                match before {
                    Before::Nothing => prop_assert_eq!(left_out, 0),
                    Before::Lost(lost) => prop_assert_eq!(left_out, lost as u16),
                    // Of what came some may be left out as well.
                    Before::Needless(lost) => prop_assert!(lost > 0 && lost as u16 <= left_out),
                    Before::Unknown => return Err(TestCaseError::fail("numbered anew")),
                }
                next = Some(sequence.wrapping_add(1));
            }
            prop_assert!(stand.0.due().is_none_or(|due| due > at(ms) && due <= at(ms) + WAIT));
        }
        stand.through(ms + 200);
        prop_assert_eq!(stand.0.held_bytes(), 0);
    }
}
