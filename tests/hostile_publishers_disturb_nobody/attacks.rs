//! The table of attacks, and their datagrams.

use std::time::Duration;

use anyhow::Result;
use load_tests::HostilePublisher;
use load_tests::hostile::{PICTURES, PICTURES_SSRC, rtp, sctp};

use Counted::{Most, Silently};
use Until::{Asked, Associated, Checked, Connected};

const GUESTS: &str = "penstock_publisher_datagrams_dropped_total";
const SHARD: &str = "penstock_shard_datagrams_dropped_total";
const DATA: &str = "penstock_data_packets_refused_total";
const MESSAGES: &str = "penstock_data_messages_dropped_total";

/// How long an attack lasts, unless it says otherwise.
pub const ATTACK: Duration = Duration::from_millis(500);

/// How far an attacker goes before it attacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// It was answered.
    Asked,
    /// Its address is known.
    Checked,
    /// It has keys.
    Connected,
    /// It has data channels.
    Associated,
}

/// What the node must count of an attack.
#[derive(Clone, Copy)]
pub enum Counted {
    /// At least this share of what was sent, as a metric and a label.
    Most(&'static str, &'static str, f64),
    /// Something, there.
    Some(&'static str, &'static str),
    /// Nothing is: the crates drop it silently.
    Silently,
}

/// The n-th datagram of an attack.
pub type Make = fn(&mut HostilePublisher, u64) -> Result<Vec<u8>>;

/// One attack.
pub struct Attack {
    pub name: &'static str,
    pub until: Until,
    /// Datagrams.
    pub per_second: f64,
    pub length: Duration,
    pub make: Make,
    pub counted: Counted,
}

const fn attack(name: &'static str, until: Until, per_second: f64, make: Make, counted: Counted) -> Attack {
    Attack { name, until, per_second, length: ATTACK, make, counted }
}

impl Attack {
    const fn lasting(self, length: Duration) -> Self {
        Self { length, ..self }
    }
}

/// All of them.
pub const ATTACKS: &[Attack] = &[
    attack(
        "checks without integrity",
        Asked,
        5_000.0,
        |me, n| Ok(check(me.name(), n, false)),
        Most(GUESTS, "not proven", 0.5),
    ),
    attack(
        "checks with a wrong integrity",
        Asked,
        5_000.0,
        |me, n| Ok(check(me.name(), n, true)),
        Most(GUESTS, "not proven", 0.5),
    ),
    attack(
        "checks in nobody's name",
        Asked,
        5_000.0,
        |_, n| Ok(check("nobody", n, true)),
        Most(SHARD, "STUN", 0.5),
    ),
    attack("a hello of an unknown address", Asked, 1_000.0, |_, n| Ok(hello(n)), Counted::Some(SHARD, "")),
    attack("garbage like DTLS before it", Checked, 2_000.0, |_, n| Ok(like_dtls(n)), Silently),
    attack("hellos without end", Checked, 1_000.0, |_, n| Ok(hello(n)), Silently),
    attack("garbage like DTLS after it", Connected, 2_000.0, |_, n| Ok(like_dtls(n)), Silently),
    attack("alerts in the clear", Connected, 1_000.0, |_, n| Ok(alert(n)), Silently),
    attack("padding beyond the packet", Connected, 2_000.0, |me, n| odd_rtp(me, n, 0xa0, &[9; 40]), Silently),
    attack("nothing but padding", Connected, 2_000.0, |me, n| odd_rtp(me, n, 0xa0, &[0; 40]), Silently),
    attack(
        "sources beyond the packet",
        Connected,
        2_000.0,
        |_, n| Ok(lying_rtp(n, 0x8f, &[1; 20])),
        Silently,
    ),
    attack(
        "an extension beyond the packet",
        Connected,
        2_000.0,
        |_, n| Ok(lying_rtp(n, 0x90, &[0xbe, 0xde, 0xff, 0xff, 1, 2, 3, 4])),
        Silently,
    ),
    attack(
        "elements beyond the extension",
        Connected,
        2_000.0,
        |_, n| Ok(lying_rtp(n, 0x90, &[0xbe, 0xde, 0, 1, 0x4f, 1, 2, 3, 0x65, 1, 2])),
        Silently,
    ),
    attack(
        "types that were never offered",
        Connected,
        2_000.0,
        |me, n| me.seal_rtp(&rtp(77, n as u16, 0, 5, &[1; 100])),
        Silently,
    ),
    attack(
        "ever new sources",
        Connected,
        2_000.0,
        |me, n| me.seal_rtp(&rtp(PICTURES, 1, 0, 10_000 + n as u32, &[0x65; 100])),
        Most(GUESTS, "sources", 0.5),
    ),
    attack(
        "everything three times",
        Connected,
        1_000.0,
        |me, n| {
            let sealed = me.seal_rtp(&rtp(PICTURES, n as u16, 0, PICTURES_SSRC, &[0x65; 100]))?;
            me.send(&sealed);
            me.send(&sealed);
            Ok(sealed)
        },
        Silently,
    ),
    attack(
        "numbers at random",
        Connected,
        2_000.0,
        |me, n| {
            me.seal_rtp(&rtp(PICTURES, jumps(n) as u16, jumps(n + 1) as u32, PICTURES_SSRC, &[0x65; 900]))
        },
        Silently,
    ),
    attack(
        "pictures in the clear",
        Connected,
        2_000.0,
        |_, n| Ok(rtp(PICTURES, n as u16, 0, PICTURES_SSRC, &[0x65; 900])),
        Silently,
    ),
    attack("empty ones", Connected, 2_000.0, |_, n| Ok(vec![0x80; (n % 13) as usize]), Silently),
    attack(
        "too large ones",
        Connected,
        500.0,
        |_, _| Ok(rtp(PICTURES, 1, 0, PICTURES_SSRC, &[0x65; 9_000])),
        Silently,
    ),
    attack("RTCP in the clear", Connected, 2_000.0, |_, n| Ok(rtcp(n)), Silently),
    attack("RTCP with lengths that lie", Connected, 2_000.0, |me, n| me.seal_rtcp(&rtcp(n)), Silently),
    attack("goodbyes without end", Connected, 2_000.0, |me, n| me.seal_rtcp(&goodbye(n)), Silently),
    attack(
        "packets of another association",
        Associated,
        1_000.0,
        |me, n| {
            let tag = me.tag() ^ 1;
            say(me, tag, &[text(sctp::FIRST_TSN + n as u32)])
        },
        Silently,
    ),
    attack("chunks with lengths that lie", Associated, 1_000.0, lying_chunk, Most(DATA, "", 0.9)),
    attack(
        "INITs without end",
        Associated,
        1_000.0,
        |me, n| say(me, 0, &[sctp::init(7 + n as u32, n as u32)]),
        Most(DATA, "", 0.9),
    ),
    attack("numbers given up far ahead", Associated, 50.0, |me, _| give_up(me, 1 << 30), Most(DATA, "", 0.9)),
    attack(
        "numbers given up at the border",
        Associated,
        50.0,
        |me, n| give_up(me, (1 << 31) - 2 - n as u32),
        Most(DATA, "", 0.9),
    ),
    attack("numbers far ahead", Associated, 1_000.0, far_ahead, Most(DATA, "", 0.9)),
    attack("a message without end", Associated, 1_000.0, endless, Counted::Some(DATA, "")),
    attack("messages that are too large", Associated, 500.0, too_large, Silently),
    attack("channels without end", Associated, 1_000.0, open, Counted::Some(DATA, "")),
    // Twice what a publisher may send in this time, and no faster than its thread can take it.
    attack("messages without end", Associated, 1_000.0, flood, Counted::Some(MESSAGES, "publisher's rate"))
        .lasting(Duration::from_secs(2)),
];

/// A binding request with a name and no integrity, or one that is none (RFC 8489 14.5).
fn check(name: &str, number: u64, integrity: bool) -> Vec<u8> {
    let name = format!("{name}:me");
    let mut attributes = vec![0, 6];
    attributes.extend(u16::try_from(name.len()).unwrap_or(0).to_be_bytes());
    attributes.extend(name.as_bytes());
    attributes.resize(attributes.len().next_multiple_of(4), 0);
    if integrity {
        attributes.extend([0, 8, 0, 20]);
        attributes.extend([0x5a; 20]);
    }
    let length = u16::try_from(attributes.len()).unwrap_or(0).to_be_bytes();
    let transaction = [&[7; 4][..], &number.to_be_bytes()].concat();
    [&[0, 1][..], &length, &[0x21, 0x12, 0xa4, 0x42], &transaction, &attributes].concat()
}

/// Numbers that jump about (Knuth's multiplier).
const fn jumps(number: u64) -> u64 {
    number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 13
}

/// A record of DTLS 1.2 (RFC 6347 4.1).
fn record(kind: u8, epoch: u16, number: u64, body: &[u8]) -> Vec<u8> {
    let number = number.to_be_bytes();
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&[kind, 254, 253][..], &epoch.to_be_bytes(), &number[2..], &length, body].concat()
}

/// The beginning of a hello, as a handshake message of which pieces are missing (RFC 6347 4.2.2).
pub fn hello(number: u64) -> Vec<u8> {
    let sequence = (number as u16 % 512).to_be_bytes();
    let header = [&[1, 0xff, 0xff, 0xff][..], &sequence, &[0, 0, 0, 0, 0, 200]].concat();
    record(22, 0, number, &[&header[..], &[254, 253], &[0x5a; 198]].concat())
}

pub fn like_dtls(number: u64) -> Vec<u8> {
    let kind = 20 + (jumps(number) % 44) as u8;
    match number % 3 {
        0 => vec![kind; (jumps(number) % 60) as usize + 1],
        1 => record(22, 1, number, &[0x5a; 60]),
        _ => [&record(kind, 0, number, &[]), &[0xff; 40][..]].concat(),
    }
}

/// An alert that nobody sealed: that it closes, or that all is over.
pub fn alert(number: u64) -> Vec<u8> {
    record(21, 0, number + 100, if number.is_multiple_of(2) { &[1, 0] } else { &[2, 40] })
}

/// An authentic packet whose first byte promises something of its payload.
fn odd_rtp(me: &mut HostilePublisher, number: u64, first: u8, payload: &[u8]) -> Result<Vec<u8>> {
    let mut plain = rtp(PICTURES, number as u16, 0, PICTURES_SSRC, payload);
    if let (Some(byte), Some(last)) = (plain.first_mut(), payload.last()) {
        *byte = first;
        // What says how much padding there is: all there is, and more.
        if first & 0x20 != 0 && *last != 0 {
            plain.extend([255]);
        }
    }
    me.seal_rtp(&plain)
}

/// A packet whose header cannot be read, so that nobody can seal it.
fn lying_rtp(number: u64, first: u8, payload: &[u8]) -> Vec<u8> {
    let mut plain = rtp(PICTURES, number as u16, 0, PICTURES_SSRC, payload);
    if let Some(byte) = plain.first_mut() {
        *byte = first;
    }
    plain
}

/// A report, a description, a goodbye, feedback, or none of them, whose length or count is wrong.
fn rtcp(number: u64) -> Vec<u8> {
    let kind = 200 + (number % 8) as u8;
    let length = (jumps(number) as u16).to_be_bytes();
    [&[0x80 | (jumps(number) as u8 & 0x3f), kind][..], &length, &PICTURES_SSRC.to_be_bytes(), &[0xff; 24]]
        .concat()
}

/// The source of pictures leaves, or another does (RFC 3550 6.6).
fn goodbye(number: u64) -> Vec<u8> {
    let source = if number.is_multiple_of(2) { PICTURES_SSRC } else { number as u32 };
    [&[0x81, 203, 0, 1][..], &source.to_be_bytes()].concat()
}

fn say(me: &mut HostilePublisher, tag: u32, chunks: &[Vec<u8>]) -> Result<Vec<u8>> {
    me.record(&sctp::packet(tag, chunks))
}

fn text(tsn: u32) -> Vec<u8> {
    sctp::data(3, tsn, (0, 0), sctp::TEXT, b"hello")
}

fn lying_chunk(me: &mut HostilePublisher, number: u64) -> Result<Vec<u8>> {
    let mut chunk = match number % 4 {
        0 => text(sctp::FIRST_TSN),
        1 => sctp::chunk(sctp::kind::SACK, 0, &[0, 0, 3, 231, 0, 2, 0, 0, 255, 255, 255, 255]),
        2 => sctp::chunk(sctp::kind::FORWARD_TSN, 0, &[0, 0]),
        _ => sctp::chunk(130, 0, &[0, 13, 255, 255, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1]),
    };
    // A SACK's length is true, what it says it has is not.
    if number.is_multiple_of(4) {
        chunk.splice(2..4, [0xff, 0xff]);
    }
    let tag = me.tag();
    say(me, tag, &[chunk])
}

fn give_up(me: &mut HostilePublisher, ahead: u32) -> Result<Vec<u8>> {
    let to = (sctp::FIRST_TSN - 1).wrapping_add(ahead).to_be_bytes();
    let tag = me.tag();
    say(me, tag, &[sctp::chunk(sctp::kind::FORWARD_TSN, 0, &to)])
}

fn far_ahead(me: &mut HostilePublisher, number: u64) -> Result<Vec<u8>> {
    let tag = me.tag();
    say(me, tag, &[text(sctp::FIRST_TSN + 100_000 + number as u32)])
}

/// A message in pieces of one byte, 60 in a packet, which never ends.
fn endless(me: &mut HostilePublisher, number: u64) -> Result<Vec<u8>> {
    let first = sctp::FIRST_TSN + number as u32 * 60;
    let begins = |tsn| if tsn == sctp::FIRST_TSN { 2 } else { 0 };
    let pieces = (first..first + 60).map(|tsn| sctp::data(begins(tsn), tsn, (0, 0), sctp::TEXT, b"x"));
    let (tag, pieces) = (me.tag(), pieces.collect::<Vec<_>>());
    say(me, tag, &pieces)
}

/// A message of 70,400 bytes after the other, in 64 pieces each.
fn too_large(me: &mut HostilePublisher, number: u64) -> Result<Vec<u8>> {
    let flags = match number % 64 {
        0 => 2,
        63 => 1,
        _ => 0,
    };
    let (tag, place) = (me.tag(), (0, (number / 64) as u16));
    say(me, tag, &[sctp::data(flags, sctp::FIRST_TSN + number as u32, place, sctp::TEXT, &[b'x'; 1_100])])
}

/// A channel on each stream there can be, in turn.
fn open(me: &mut HostilePublisher, number: u64) -> Result<Vec<u8>> {
    let tag = me.tag();
    // Those on streams that were not agreed on never come to anything, nor what is behind them.
    let chunk =
        sctp::data(3, sctp::FIRST_TSN + number as u32, (number as u16, 0), sctp::CONTROL, &sctp::OPEN);
    say(me, tag, &[chunk])
}

/// Packets that open the channel of [`flood`]: one of them comes through.
const OPENED_BY: u64 = 20;

/// Messages on one channel, as fast as they go out. What was lost on the way is given up, for it would hold up all that is
/// behind it; that is why the first packets all open the channel.
fn flood(me: &mut HostilePublisher, number: u64) -> Result<Vec<u8>> {
    let (tag, tsn) = (me.tag(), sctp::FIRST_TSN + number as u32 * 40);
    let given_up = sctp::chunk(sctp::kind::FORWARD_TSN, 0, &(tsn - 1).to_be_bytes());
    let message = |n: u32| match n {
        0 if number < OPENED_BY => sctp::data(3, tsn, (0, 0), sctp::CONTROL, &sctp::OPEN),
        n => sctp::data(7, tsn + n, (0, 0), sctp::TEXT, b"x"),
    };
    let chunks: Vec<_> = std::iter::once(given_up).chain((0..40).map(message)).collect();
    say(me, tag, &chunks)
}
