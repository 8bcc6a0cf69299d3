//! Two publishers go on, one by RTMP and one by WebRTC, while others attack who publish by WHIP: with checks and handshakes
//! of nobody, with media that lies about itself, with data channels that want too much. All of them share a port and a
//! thread with the one by WebRTC. Each is refused or dropped, and nobody's viewers miss a frame.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use load_tests::hostile::{PICTURES, PICTURES_SSRC, Shown, rtp, sctp};
use load_tests::{
    FPS, HostilePublisher, Identity, Opening, Publisher, Recording, RecordingOptions, Swarm, SwarmOptions,
    machine,
};
use test_support::{Load, Node, NodeOptions, Turn, note};
use tokio::sync::oneshot;
use tokio::task::LocalSet;

const PATIENCE: Duration = Duration::from_secs(20);
/// Bits per second of the pictures.
const BITRATE: u32 = 500_000;
/// Of each of the two streams.
const VIEWERS: usize = 2;
/// How long each attack lasts.
const ATTACK: Duration = Duration::from_millis(500);
const MIB: f64 = 1024.0 * 1024.0;
/// Growth of the node's memory by one attack. Chunks and packets that an attacker may have waiting are bounded by less.
const MEMORY_MIB: f64 = 24.0;
/// Lines that the node logs meanwhile: of an attacker that comes, and of some before that go.
const LOG_LINES_MAX: usize = 60;
/// The longest time without a frame.
const GAP_MAX_MS: f64 = 250.0;

const GUESTS: &str = "penstock_publisher_datagrams_dropped_total";
const SHARD: &str = "penstock_shard_datagrams_dropped_total";
const DATA: &str = "penstock_data_packets_refused_total";
const MESSAGES: &str = "penstock_data_messages_dropped_total";

/// How far an attacker goes before it attacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
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
enum Counted {
    /// At least this share of what was sent, as a metric and a label.
    Most(&'static str, &'static str, f64),
    /// Something, there.
    Some(&'static str, &'static str),
    /// Nothing is: the crates drop it silently.
    Silently,
}

/// The n-th datagram of an attack.
type Make = fn(&mut HostilePublisher, u64) -> Result<Vec<u8>>;

struct Attack {
    name: &'static str,
    until: Until,
    per_second: f64,
    make: Make,
    counted: Counted,
}

const fn attack(name: &'static str, until: Until, per_second: f64, make: Make, counted: Counted) -> Attack {
    Attack { name, until, per_second, make, counted }
}

use Counted::{Most, Silently};
use Until::{Asked, Associated, Checked, Connected};

const ATTACKS: &[Attack] = &[
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
        Silently,
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
    attack("messages without end", Associated, 4_000.0, flood, Counted::Some(MESSAGES, "publisher's rate")),
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
fn hello(number: u64) -> Vec<u8> {
    let sequence = (number as u16 % 512).to_be_bytes();
    let header = [&[1, 0xff, 0xff, 0xff][..], &sequence, &[0, 0, 0, 0, 0, 200]].concat();
    record(22, 0, number, &[&header[..], &[254, 253], &[0x5a; 198]].concat())
}

fn like_dtls(number: u64) -> Vec<u8> {
    let kind = 20 + (jumps(number) % 44) as u8;
    match number % 3 {
        0 => vec![kind; (jumps(number) % 60) as usize + 1],
        1 => record(22, 1, number, &[0x5a; 60]),
        _ => [&record(kind, 0, number, &[]), &[0xff; 40][..]].concat(),
    }
}

/// An alert that nobody sealed: that it closes, or that all is over.
fn alert(number: u64) -> Vec<u8> {
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

/// Messages on one channel, as fast as they go out.
fn flood(me: &mut HostilePublisher, number: u64) -> Result<Vec<u8>> {
    let (tag, tsn) = (me.tag(), sctp::FIRST_TSN + number as u32 * 40);
    let message = |n: u32| match tsn + n {
        tsn @ sctp::FIRST_TSN => sctp::data(3, tsn, (0, 0), sctp::CONTROL, &sctp::OPEN),
        tsn => sctp::data(7, tsn, (0, 0), sctp::TEXT, b"x"),
    };
    say(me, tag, &(0..40).map(message).collect::<Vec<_>>())
}

/// Has `what` run on a thread of its own.
fn aside<T, F>(what: impl FnOnce() -> F + Send + 'static) -> Result<tokio::task::JoinHandle<Result<T>>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(tokio::task::spawn_blocking(move || LocalSet::new().block_on(&runtime, what())))
}

/// Attacks; how many datagrams were sent, and whether the connection was ended.
async fn go(attack: &'static Attack, url: String, identity: Arc<Identity>) -> Result<(u64, Option<String>)> {
    let mut me = HostilePublisher::ask(&url, &identity, Shown::Itself).await?;
    if attack.until != Asked {
        me.be_checked().await?;
    }
    if matches!(attack.until, Connected | Associated) {
        me.shake_hands().await?;
    }
    if attack.until == Associated {
        me.associate().await?;
    }
    let sent = if attack.until == Asked {
        // From where nobody has checked.
        pour(&mut me, attack).await?
    } else {
        me.storm(ATTACK, attack.per_second, attack.make).await?
    };
    // What nobody can have authenticated, or what is dropped for what it says, ends no connection.
    if attack.until == Connected && me.ended().is_none() {
        me.associate().await.context("the connection did not outlive the attack")?;
    }
    Ok((sent, me.ended().map(str::to_owned)))
}

/// Attacks without being checked.
async fn pour(me: &mut HostilePublisher, attack: &Attack) -> Result<u64> {
    let mut turn = tokio::time::interval(Duration::from_millis(10));
    let per_turn = (attack.per_second / 100.0) as u64;
    let mut sent = 0;
    for _ in 0..ATTACK.as_millis() / 10 {
        turn.tick().await;
        for _ in 0..per_turn {
            let datagram = (attack.make)(me, sent)?;
            me.send(&datagram);
            sent += 1;
        }
    }
    Ok(sent)
}

struct Scene {
    node: Node,
    identity: Arc<Identity>,
    viewers: Vec<(&'static str, Swarm)>,
    /// Whole frames of all viewers, and frames due to them, in all windows so far.
    frames: Cell<(f64, f64)>,
}

impl Scene {
    /// Nobody's viewers miss anything while `what` goes on, and the node's memory stays; how metrics grew.
    async fn undisturbed<T>(
        &self,
        name: &str,
        what: impl Future<Output = T>,
    ) -> Result<(T, BTreeMap<String, f64>)> {
        let load = Load::watch();
        let logged = self.node.log_lines().len();
        let (before, usage) = (self.node.metrics().await?, machine::usage(self.node.pid())?);
        let [(_, first), (_, second)] = self.viewers.as_slice() else { anyhow::bail!("two streams") };
        let ((came, of_second), of_first) = first.measure(second.measure(what)).await;
        let used = machine::usage(self.node.pid())?;
        let load = load.report();
        let grown_mib = (used.resident_bytes as f64 - usage.resident_bytes as f64) / MIB;
        let cpu = used.cpu_since(&usage).as_secs_f64() / of_first.seconds * 100.0;
        for ((stream, _), seen) in self.viewers.iter().zip([&of_first, &of_second]) {
            let (lost, gap) = (seen.video.lost + seen.audio.lost, seen.gap_ms.map_or(0.0, |gap| gap.max));
            note(&format!(
                "{name}, {stream}: {:.1} % of frames, {lost} lost, gap {gap:.0} ms, node {cpu:.0} % of a core, memory {grown_mib:+.1} MiB; {load}",
                seen.frames_share * 100.0,
            ));
            let (frames, due) = self.frames.get();
            let due = due + seen.frames_due * VIEWERS as f64;
            self.frames.set((frames + seen.video.frames as f64, due));
            ensure!(seen.ended.is_empty(), "{name}: {stream}: {:?}", seen.ended);
            ensure!(lost == 0, "{name}: {stream} lost {lost} packets");
            ensure!(gap <= GAP_MAX_MS || load.excuse().is_some(), "{name}: {stream} stood for {gap} ms");
        }
        ensure!(grown_mib <= MEMORY_MIB, "{name}: memory grew by {grown_mib} MiB");
        let logged = self.node.log_lines().len() - logged;
        ensure!(logged <= LOG_LINES_MAX, "{name}: {logged} lines were logged");
        ensure!(self.node.panics().is_empty(), "{name}: {:?}", self.node.panics());
        let grown = self.node.metrics().await?.into_iter().map(|(line, value)| {
            let was = before.get(&line).copied().unwrap_or(0.0);
            (line, value - was)
        });
        Ok((came, grown.collect()))
    }

    /// An attack, and what the node says of it.
    async fn under(&self, attack: &'static Attack, number: usize) -> Result<()> {
        let name = attack.name;
        let url = self.node.http_url(&format!("/LiveApp/whip/hostile{number}"));
        let identity = Arc::clone(&self.identity);
        let attacking = aside(move || go(attack, url, identity))?;
        let (came, grown) = self.undisturbed(name, attacking).await?;
        let (sent, ended) = came?.with_context(|| format!("{name}: the attack failed"))?;
        let grown = |metric: &str, label: &str| -> f64 {
            let of = grown.iter().filter(|(line, _)| line.starts_with(metric) && line.contains(label));
            of.map(|(_, grown)| grown).sum()
        };
        if let Some(why) = &ended {
            note(&format!("{name}: the attacker was ended: {why}"));
        }
        match attack.counted {
            Most(metric, label, share) => {
                let counted = grown(metric, label);
                ensure!(
                    counted >= share * sent as f64,
                    "{name}: {counted} of {sent} were counted as {metric}"
                );
            }
            Counted::Some(metric, label) => {
                ensure!(grown(metric, label) > 0.0, "{name}: nothing was counted as {metric}");
            }
            Silently => {}
        }
        Ok(())
    }
}

/// Somebody else repeats a publisher's check from elsewhere, and then says there whatever ends a connection. It is not
/// ended, and is still answered where it is.
async fn an_overheard_check(url: String, identity: Arc<Identity>) -> Result<()> {
    let mut me = HostilePublisher::connect(&url, &identity).await?;
    let elsewhere = tokio::net::UdpSocket::bind(("0.0.0.0", 0)).await?;
    for number in 0..200 {
        for datagram in [me.last_check(), &alert(number), &hello(number), &like_dtls(number)] {
            elsewhere.send_to(datagram, me.server()).await?;
        }
    }
    me.associate().await.context("the connection did not outlive its copy")
}

/// A handshake with another certificate than that of the offer leads to no connection.
async fn another_certificate(url: String, identity: Arc<Identity>) -> Result<String> {
    let mut me = HostilePublisher::ask(&url, &identity, Shown::SomebodyElse).await?;
    me.be_checked().await?;
    match me.shake_hands().await {
        Ok(()) => anyhow::bail!("somebody else's certificate was taken"),
        Err(why) => Ok(format!("{why:#}")),
    }
}

#[tokio::test]
async fn honest_publishers_lose_no_frame() -> Result<()> {
    LocalSet::new().run_until(attacked()).await
}

async fn attacked() -> Result<()> {
    let _turn = Turn::take().await?;
    let recording = Arc::new(
        Recording::make(RecordingOptions { bitrate: BITRATE, ..RecordingOptions::default() }).await?,
    );
    // One shard, so that nobody is out of the attackers' way.
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock")).environment("PENSTOCK_WEBRTC_SHARDS", "1");
    let node = Node::start(options).await?;
    let identity = Arc::new(Identity::new()?);
    let (url, shown, pictures) =
        (node.http_url("/LiveApp/whip/by-webrtc"), Arc::clone(&identity), Arc::clone(&recording));
    // Its thread ends with this one's wish, or with this.
    let (stop, stopped) = oneshot::channel::<()>();
    let honest = aside(move || async move {
        let publisher = HostilePublisher::connect(&url, &shown).await?;
        tokio::select! {
            ended = publisher.publish(&pictures) => ended,
            _ = stopped => Ok(()),
        }
    })?;
    let pictures_are = async |count: f64| {
        node.until_metric("penstock_units_total", &["kind=\"video\""], PATIENCE, |taken| taken >= count).await
    };
    pictures_are(f64::from(FPS)).await.context("the honest publisher's pictures did not come")?;
    let mut encoder = Publisher::start(&recording, node.rtmp_address(), "LiveApp", "by-rtmp")?;
    pictures_are(5.0 * f64::from(FPS)).await?;
    let mut viewers = Vec::new();
    for stream in ["by-rtmp", "by-webrtc"] {
        let options = SwarmOptions {
            opening: Opening { count: 0, turn: 0 },
            ..SwarmOptions::new(node.signalling_url("LiveApp"), stream, VIEWERS)
        };
        let swarm = Swarm::start(options, Arc::clone(&identity));
        ensure!(swarm.joined(PATIENCE).await, "the viewers of {stream} did not join");
        viewers.push((stream, swarm));
    }
    // What players join with is sent faster than it was made.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let scene = Scene { node, identity, viewers, frames: Cell::default() };
    scene.undisturbed("nothing", tokio::time::sleep(ATTACK)).await?;
    let before = machine::usage(scene.node.pid())?.resident_bytes as f64;

    let (url, shown) = (scene.node.http_url("/LiveApp/whip/another"), Arc::clone(&scene.identity));
    let another = aside(move || another_certificate(url, shown))?;
    let (url, shown) = (scene.node.http_url("/LiveApp/whip/overheard"), Arc::clone(&scene.identity));
    let overheard = aside(move || an_overheard_check(url, shown))?;
    scene.undisturbed("an overheard check", overheard).await?.0??;
    for (number, attack) in ATTACKS.iter().enumerate() {
        scene.under(attack, number).await?;
    }
    let why = another.await??;
    note(&format!("somebody else's certificate: {why}"));

    // All is as before.
    let two = |publishers: f64| publishers == 2.0;
    scene.node.until_metric("penstock_publishers", &[], PATIENCE, two).await.context("attackers stayed")?;
    let timed_out = scene.node.metric("penstock_publisher_ended_total", &["reason=\"timed out\""]).await?;
    note(&format!("{timed_out} attackers timed out of {}", ATTACKS.len() + 2));
    scene.undisturbed("nothing, afterwards", tokio::time::sleep(ATTACK)).await?;
    let grown = (machine::usage(scene.node.pid())?.resident_bytes as f64 - before) / MIB;
    note(&format!("the node has {grown:+.1} MiB more than before"));
    ensure!(grown <= 2.0 * MEMORY_MIB, "the node kept {grown} MiB of the attacks");
    let (frames, due) = scene.frames.get();
    note(&format!("in all {:.2} % of frames", frames / due * 100.0));
    ensure!(frames >= 0.985 * due, "{frames} frames came of {due}");
    encoder.check()?;
    ensure!(!honest.is_finished(), "the honest publisher was ended: {:?}", honest.await);
    drop(stop);
    honest.await?
}
