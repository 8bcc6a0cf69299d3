//! Thirty ordinary viewers play while others attack, one way after the other: key frames asked for without
//! end, packets asked for that came, silence, handshakes that are never finished, strangers' checks, reports
//! sent again. Each costs a bounded amount, and the ordinary viewers miss nothing.
//!
//! In full (`TESTS_IN_FULL=1`, as the long proofs do) ten thousand handshakes are begun.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base::{Clock, SystemClock, limits};
use load_tests::{
    Counts, FPS, Hostile, Identity, Opening, Publisher, Recording, RecordingOptions, Refused, Summary, Swarm,
    SwarmOptions, TrackKind, machine,
};
use test_support::{Load, Node, NodeOptions, Turn, in_full, note};
use tokio::task::LocalSet;
use tokio::time::sleep;

const PATIENCE: Duration = Duration::from_secs(20);
const STREAM: &str = "stream1";
/// Bits per second of the picture.
const BITRATE: u32 = 1_000_000;
const VIEWERS: usize = 30;
/// How long each attack lasts.
const ATTACK: Duration = Duration::from_secs(3);
/// Handshakes begun.
const HANDSHAKES: usize = 1_000;
const HANDSHAKES_IN_FULL: usize = 10_000;
const MIB: f64 = 1024.0 * 1024.0;

/// What may be spent on one attack.
struct Bounds {
    /// The node's time per second beyond what it takes without the attack, as a share of one core. Debug builds
    /// need about three times what release builds do.
    cpu: f64,
    /// Growth of its memory meanwhile.
    memory_mib: f64,
}

/// A node with its stream and its ordinary viewers.
struct Scene {
    node: Node,
    viewers: Swarm,
    url: String,
    identity: Arc<Identity>,
    /// The node's time per second without an attack.
    quiet_cpu: f64,
    /// Whole frames of all viewers, and frames due to them, in all windows so far.
    frames: (f64, f64),
}

/// What was measured while something went on.
struct Seen {
    summary: Summary,
    /// The node's time per second.
    cpu: f64,
    memory_growth_mib: f64,
    /// How metrics grew; those that did not are left out.
    grown: BTreeMap<String, f64>,
    load: test_support::LoadReport,
}

impl Seen {
    /// How much a metric grew, over the label values that hold `label`.
    fn grown(&self, name: &str, label: &str) -> f64 {
        let wanted = self.grown.iter().filter(|(line, _)| line.starts_with(name) && line.contains(label));
        wanted.map(|(_, grown)| grown).sum()
    }
}

impl Scene {
    async fn set(node: Node, encoder: &Publisher) -> Result<Self> {
        let url = node.signalling_url("LiveApp");
        let identity = Arc::new(Identity::new()?);
        let options = SwarmOptions {
            opening: Opening { count: VIEWERS, turn: 0 },
            ledger: Some(Arc::clone(encoder.ledger())),
            ..SwarmOptions::new(url.clone(), STREAM, VIEWERS)
        };
        let viewers = Swarm::start(options, Arc::clone(&identity));
        ensure!(viewers.live(PATIENCE).await, "the viewers did not come to the live frames");
        let mut scene = Self { node, viewers, url, identity, quiet_cpu: 0.0, frames: (0.0, 0.0) };
        let quiet = scene.watch(sleep(ATTACK)).await?.1;
        scene.undisturbed("nothing", &quiet)?;
        scene.quiet_cpu = quiet.cpu;
        Ok(scene)
    }

    /// Measures while `what` goes on.
    async fn watch<T>(&mut self, what: impl Future<Output = T>) -> Result<(T, Seen)> {
        let load = Load::watch();
        let (before, usage_before) = (self.node.metrics().await?, machine::usage(self.node.pid())?);
        let began = SystemClock.now();
        let (came, summary) = self.viewers.measure(what).await;
        self.frames.0 += summary.video.frames as f64;
        self.frames.1 += summary.frames_due * VIEWERS as f64;
        let seconds = (SystemClock.now() - began).as_secs_f64();
        let usage = machine::usage(self.node.pid())?;
        let after = self.node.metrics().await?;
        let grown = after.into_iter().filter_map(|(line, value)| {
            let grown = value - before.get(&line).copied().unwrap_or(0.0);
            (grown != 0.0).then_some((line, grown))
        });
        let seen = Seen {
            summary,
            cpu: usage.cpu_since(&usage_before).as_secs_f64() / seconds,
            memory_growth_mib: (usage.resident_bytes as f64 - usage_before.resident_bytes as f64) / MIB,
            grown: grown.collect(),
            load: load.report(),
        };
        Ok((came, seen))
    }

    /// Nobody ordinary missed anything.
    fn undisturbed(&self, name: &str, seen: &Seen) -> Result<()> {
        let Seen { summary, load, .. } = seen;
        note(&format!(
            "{name}: frames {:.2} % (worst {:.2} %), {} lost, gap {:.0} ms, node {:.0} % of a core ({:+.0}), memory {:+.1} MiB; {load}",
            summary.frames_share * 100.0,
            summary.frames_share_worst.unwrap_or(0.0) * 100.0,
            summary.video.lost + summary.audio.lost,
            summary.gap_ms.map_or(0.0, |gap| gap.max),
            seen.cpu * 100.0,
            (seen.cpu - self.quiet_cpu) * 100.0,
            seen.memory_growth_mib,
        ));
        ensure!(summary.ended.is_empty(), "{name}: {summary:?}");
        ensure!(summary.video.lost + summary.audio.lost == 0, "{name}: {summary:?}");
        ensure!(summary.video.broken_frames == 0, "{name}: {summary:?}");
        // A frame may fall on either side of each edge of the window.
        let edges = 2.0 / summary.frames_due;
        let worst = summary.frames_share_worst.unwrap_or(0.0);
        ensure!(worst >= 0.995 - edges || load.excuse().is_some(), "{name}: {summary:?} ({load})");
        Ok(())
    }

    /// Has `attack` run on a thread of its own.
    fn attacked_by<T, F>(
        &self,
        attack: impl FnOnce(Target) -> F + Send + 'static,
    ) -> Result<tokio::task::JoinHandle<Result<T>>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>>,
    {
        let target = Target { url: self.url.clone(), identity: Arc::clone(&self.identity) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(tokio::task::spawn_blocking(move || LocalSet::new().block_on(&runtime, attack(target))))
    }

    /// Has `attack` run on a thread of its own and holds the node to `bounds` and the viewers to have missed
    /// nothing.
    async fn under<T, F>(
        &mut self,
        name: &str,
        bounds: &Bounds,
        attack: impl FnOnce(Target) -> F + Send + 'static,
    ) -> Result<(T, Seen)>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>>,
    {
        let attacking = self.attacked_by(attack)?;
        let (came, seen) = self.watch(attacking).await?;
        self.undisturbed(name, &seen)?;
        let came = came?.with_context(|| format!("{name}: the attack failed"))?;
        let cpu = seen.cpu - self.quiet_cpu;
        ensure!(cpu <= bounds.cpu, "{name}: {:.0} % of a core", cpu * 100.0);
        let memory = seen.memory_growth_mib;
        ensure!(memory <= bounds.memory_mib, "{name}: memory grew by {memory} MiB");
        Ok((came, seen))
    }
}

/// What is attacked.
struct Target {
    url: String,
    identity: Arc<Identity>,
}

impl Target {
    async fn connect(&self) -> Result<Hostile> {
        Hostile::connect(&self.url, STREAM, &self.identity).await
    }

    async fn ask(&self) -> Result<Result<Hostile, Refused>> {
        Hostile::ask(&self.url, STREAM, &self.identity).await
    }
}

/// Video that came to a viewer: packets and their bytes, those sent again not among them.
fn video(hostile: &mut Hostile) -> Counts {
    let mut tracks = hostile.receiver().tracks().iter();
    tracks.find(|track| track.kind == TrackKind::Video).map(|track| *track.counts()).unwrap_or_default()
}

/// The rate of what came during an attack, as a multiple of the stream's.
fn times_the_rate(came: &Counts) -> f64 {
    came.bytes as f64 * 8.0 / ATTACK.as_secs_f64() / f64::from(BITRATE)
}

/// A thousand requests for a key frame per second: answered as often as replays may be, no more.
async fn key_frames_without_end(scene: &mut Scene) -> Result<()> {
    let bounds = Bounds { cpu: 0.2, memory_mib: 8.0 };
    let attack = async |target: Target| {
        let mut hostile = target.connect().await?;
        let before = video(&mut hostile);
        let sent = hostile.storm(ATTACK, 1_000.0, |receiver| receiver.needless_key_frame_request()).await?;
        Ok((sent, video(&mut hostile).since(&before)))
    };
    let ((sent, came), seen) = scene.under("1,000 PLIs per second", &bounds, attack).await?;
    let asked = seen.grown("penstock_plis_total", "");
    ensure!(asked >= 0.95 * sent as f64, "{asked} of {sent} requests arrived");
    let replays = seen.grown("penstock_replays_total", "");
    // Its join and that of the silent one; then one after each rest, which begins when the last one has ended.
    let most = 3.0 + ATTACK.as_secs_f64() / limits::REPLAY_REST_MIN.as_secs_f64();
    ensure!((2.0..=most).contains(&replays), "{replays} replays, at most {most} are due");
    let rate = times_the_rate(&came);
    note(&format!("{replays} replays; the attacker got {rate:.1} times the stream's rate"));
    ensure!(rate <= 4.0, "the attacker got {rate} times the stream's rate");
    Ok(())
}

/// The last 500 packets asked for 200 times per second, though all of them came.
async fn packets_that_came(scene: &mut Scene) -> Result<()> {
    let bounds = Bounds { cpu: 0.2, memory_mib: 8.0 };
    let attack = async |target: Target| {
        let mut hostile = target.connect().await?;
        let before = video(&mut hostile);
        let sent = hostile.storm(ATTACK, 200.0, |receiver| receiver.needless_nack(500)).await?;
        Ok((sent, video(&mut hostile).since(&before)))
    };
    let ((sent, came), seen) = scene.under("200 NACKs of 500 packets per second", &bounds, attack).await?;
    ensure!(sent >= 500, "only {sent} were sent");
    let resent = seen.grown("penstock_nacks_total", "resent");
    let packet = came.bytes as f64 / came.packets as f64;
    let share = came.bytes as f64 * limits::NACK_SHARE_PERCENT_MAX as f64 / 100.0;
    // Packets are counted, not their bytes, and those asked for may be larger than most.
    let most = 1.25 * (share + limits::NACK_BURST_BYTES_MAX as f64) / packet;
    let rate = times_the_rate(&came);
    note(&format!(
        "{resent} packets sent again, {most:.0} may be; the attacker got {rate:.1} times the stream's rate"
    ));
    ensure!(resent > 0.0 && resent <= most, "{resent} packets were sent again, {most} may be");
    ensure!(rate <= 4.0, "the attacker got {rate} times the stream's rate");
    Ok(())
}

/// How long one who says nothing after it has begun to play stays.
async fn silence(target: Target, metrics: String) -> Result<Duration> {
    let hostile = target.connect().await?;
    let began = hostile.spoke_at().context("it never sent anything")?;
    let timed_out = || async {
        let text = test_support::request("GET", &metrics, None).await.ok()?.text();
        let line = text.lines().find(|line| line.starts_with(PLAYER_TIMED_OUT))?;
        line.rsplit_once(' ')?.1.parse::<f64>().ok().filter(|count| *count >= 1.0)
    };
    Node::eventually(PATIENCE, timed_out).await.context("the silent viewer stayed")?;
    drop(hostile);
    Ok(SystemClock.now() - began)
}

const PLAYER_TIMED_OUT: &str = "penstock_player_ended_total{reason=\"timed out\"}";

/// How a handshake is left unfinished.
#[derive(Clone, Copy)]
enum Unfinished {
    /// The offer is not answered.
    Offer,
    /// The path works, and then nothing comes.
    Path,
    /// The first flight of DTLS comes again and again.
    Hello,
}

/// Begins a handshake and leaves it there; `None` when it was refused.
async fn leave_unfinished(target: &Target, kind: Unfinished) -> Result<Result<Hostile, Refused>> {
    let mut hostile = match target.ask().await? {
        Ok(hostile) => hostile,
        refused => return Ok(refused),
    };
    if matches!(kind, Unfinished::Offer) {
        return Ok(Ok(hostile));
    }
    hostile.answer().await?;
    let hello = hostile.be_checked().await?;
    if matches!(kind, Unfinished::Hello) {
        for _ in 0..500 {
            hostile.send(&hello);
        }
    }
    Ok(Ok(hostile))
}

/// Handshakes begun and never finished: as many as one address may have, and the others refused by name.
async fn handshakes_never_finished(scene: &mut Scene, attempts: usize) -> Result<()> {
    let bounds = Bounds { cpu: 0.3, memory_mib: 32.0 };
    let attack = async move |target: Target| {
        let mut left = Vec::new();
        let mut refused: BTreeMap<String, usize> = BTreeMap::new();
        let kinds = [Unfinished::Offer, Unfinished::Path, Unfinished::Hello];
        let mut kinds = kinds.into_iter().cycle();
        let mut begun = 0;
        while begun < attempts {
            let batch = kinds.by_ref().take(30.min(attempts - begun));
            let batch: Vec<_> = batch.map(|kind| leave_unfinished(&target, kind)).collect();
            begun += batch.len();
            for came in futures_util::future::join_all(batch).await {
                match came? {
                    Ok(hostile) => left.push(hostile),
                    Err(Refused(name)) => *refused.entry(name).or_default() += 1,
                }
            }
        }
        // Those that were let in stay where they are until the node has had enough of them.
        let began = SystemClock.now();
        let names: Vec<_> = left.iter_mut().map(|hostile| hostile.is_told_the_end()).collect();
        futures_util::future::try_join_all(names).await.context("an unfinished handshake stayed")?;
        Ok((left.len(), refused, SystemClock.now() - began))
    };
    let name = format!("{attempts} unfinished handshakes");
    let ((kept, refused, last), seen) = scene.under(&name, &bounds, attack).await?;
    note(&format!("{kept} began, the last of them was ended {last:?} after it; the others: {refused:?}"));
    let most = limits::PLAY_CONNECT_MAX + Duration::from_secs(1);
    ensure!(last <= most, "the last was ended after {last:?}");
    let by_name = refused.get("highResourceUsage").copied().unwrap_or(0);
    ensure!(kept + by_name == attempts, "{kept} began and {by_name} were refused of {attempts}: {refused:?}");
    // In each time a handshake may take, as many as one address may have, and those that were ended early.
    let seconds = seen.summary.seconds;
    let ended = seen.grown("penstock_player_ended_total", "");
    let terms = 1.0 + (seconds / limits::PLAY_CONNECT_MAX.as_secs_f64()).floor();
    let most = limits::JOINS_PER_ADDRESS_MAX as f64 * terms + ended;
    ensure!(kept as f64 <= most, "{kept} began, at most {most} may");
    let counted = seen.grown("penstock_admissions_refused_total", "kind=\"play\"");
    ensure!(counted == by_name as f64, "{counted} refusals were counted");
    Ok(())
}

/// A binding request with a name and an integrity that is none (RFC 8489 14.5).
fn check(name: &str, number: u64) -> Vec<u8> {
    let mut attributes = vec![0, 6];
    attributes.extend(u16::try_from(name.len()).unwrap_or(0).to_be_bytes());
    attributes.extend(name.as_bytes());
    attributes.resize(attributes.len().next_multiple_of(4), 0);
    attributes.extend([0, 8, 0, 20]);
    attributes.extend([0x5a; 20]);
    let length = u16::try_from(attributes.len()).unwrap_or(0).to_be_bytes();
    let transaction = [&[7; 4][..], &number.to_be_bytes()].concat();
    [&[0, 1][..], &length, &[0x21, 0x12, 0xa4, 0x42], &transaction, &attributes].concat()
}

/// 20,000 checks per second: half of them name nobody, half a player, and none is authentic.
async fn strangers_checks(scene: &mut Scene) -> Result<()> {
    let bounds = Bounds { cpu: 0.4, memory_mib: 8.0 };
    let attack = async |target: Target| {
        let mut hostile = target.connect().await?;
        let name = format!("{}:me", hostile.ufrag().context("no ufrag")?);
        let checks: Vec<_> =
            (0..64).flat_map(|n| [check(&format!("nobody{n}:me"), n), check(&name, n)]).collect();
        Ok(hostile.pour(ATTACK, 20_000.0, &checks).await)
    };
    let (sent, seen) = scene.under("20,000 foreign checks per second", &bounds, attack).await?;
    let dropped = |reason: &str| seen.grown("penstock_shard_datagrams_dropped_total", reason);
    let (nobody, false_ones) = (dropped("STUN of nobody"), dropped("STUN not authentic"));
    note(&format!("{sent} sent; {nobody} of nobody and {false_ones} not authentic were dropped"));
    // A full socket buffer drops the rest before the node sees it.
    ensure!(nobody + false_ones >= 0.5 * sent as f64 || seen.load.excuse().is_some());
    ensure!(nobody > 0.0 && false_ones > 0.0);
    Ok(())
}

/// Authentic reports sent again 5,000 times per second: dropped, and nothing happens for them.
async fn reports_again(scene: &mut Scene) -> Result<()> {
    let bounds = Bounds { cpu: 0.2, memory_mib: 8.0 };
    let attack = async |target: Target| {
        let mut hostile = target.connect().await?;
        let mut recorded = Vec::new();
        hostile
            .storm(Duration::from_millis(500), 400.0, |receiver| {
                let datagram = receiver.needless_key_frame_request()?;
                recorded.push(datagram.clone());
                Ok(datagram)
            })
            .await?;
        Ok((hostile.pour(ATTACK, 5_000.0, &recorded).await, recorded.len()))
    };
    let ((sent, recorded), seen) = scene.under("5,000 replayed reports per second", &bounds, attack).await?;
    let dropped = seen.grown("penstock_shard_datagrams_dropped_total", "SRTP not authentic");
    ensure!(dropped >= 0.9 * sent as f64, "{dropped} of {sent} replayed reports were dropped");
    let asked = seen.grown("penstock_plis_total", "");
    ensure!(asked <= recorded as f64, "{asked} requests were taken, {recorded} were made");
    Ok(())
}

/// What looks like reports of ever new senders: no key fits, and each has to be tried.
async fn reports_of_ever_new_senders(scene: &mut Scene) -> Result<()> {
    let bounds = Bounds { cpu: 0.2, memory_mib: 8.0 };
    let attack = async |target: Target| {
        let mut hostile = target.connect().await?;
        let forged: Vec<_> = (0..4_096_u32)
            .map(|sender| [&[0x81, 201, 0, 7][..], &sender.to_be_bytes(), &[0x5a; 38]].concat())
            .collect();
        Ok(hostile.pour(ATTACK, 5_000.0, &forged).await)
    };
    let (sent, seen) = scene.under("5,000 forged reports per second", &bounds, attack).await?;
    let dropped = seen.grown("penstock_shard_datagrams_dropped_total", "SRTP not authentic");
    ensure!(dropped >= 0.9 * sent as f64, "{dropped} of {sent} forged reports were dropped");
    Ok(())
}

#[tokio::test]
async fn ordinary_viewers_miss_nothing() -> Result<()> {
    LocalSet::new().run_until(attacked()).await
}

async fn attacked() -> Result<()> {
    let _turn = Turn::take().await?;
    let attempts = if in_full() { HANDSHAKES_IN_FULL } else { HANDSHAKES };
    machine::raise_open_files()?;
    let recording = Arc::new(
        Recording::make(RecordingOptions { bitrate: BITRATE, ..RecordingOptions::default() }).await?,
    );
    // One shard, so that nobody is out of the attackers' way.
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock")).environment("PENSTOCK_WEBRTC_SHARDS", "1");
    let node = Node::start(options).await?;
    let mut encoder = Publisher::start(&recording, node.rtmp_address(), "LiveApp", STREAM)?;
    let (pictures, second) = ("penstock_units_total", f64::from(FPS));
    node.until_metric(pictures, &["kind=\"video\""], PATIENCE, |taken| taken >= second).await?;
    let mut scene = Scene::set(node, &encoder).await?;
    let before = machine::usage(scene.node.pid())?.resident_bytes as f64;

    let pages = scene.node.http_url("/metrics");
    let silent = scene.attacked_by(move |target| silence(target, pages))?;
    key_frames_without_end(&mut scene).await?;
    packets_that_came(&mut scene).await?;
    strangers_checks(&mut scene).await?;
    reports_again(&mut scene).await?;
    reports_of_ever_new_senders(&mut scene).await?;
    let gone_after = silent.await??;
    let (least, most) = (limits::PLAYER_SILENCE_MAX, limits::PLAYER_SILENCE_MAX + Duration::from_secs(1));
    note(&format!("the silent viewer was gone after {gone_after:?}"));
    ensure!((least..=most).contains(&gone_after), "the silent viewer was gone after {gone_after:?}");
    handshakes_never_finished(&mut scene, attempts).await?;

    // All is as before.
    encoder.check()?;
    let alone = |players: f64| players == VIEWERS as f64;
    scene.node.until_metric("penstock_shard_players", &[], PATIENCE, alone).await?;
    let (_, after) = scene.watch(sleep(ATTACK)).await?;
    scene.undisturbed("nothing, afterwards", &after)?;
    let (frames, due) = scene.frames;
    note(&format!("in all {:.2} % of frames", frames / due * 100.0));
    ensure!(frames >= 0.995 * due || after.load.excuse().is_some(), "{frames} frames came of {due}");
    let cpu = after.cpu - scene.quiet_cpu;
    ensure!(cpu <= 0.1 || after.load.excuse().is_some(), "the node takes {cpu} of a core more than before");
    let grown = (machine::usage(scene.node.pid())?.resident_bytes as f64 - before) / MIB;
    ensure!(grown <= 32.0, "the node kept {grown} MiB of the attacks");
    ensure!(scene.node.panics().is_empty(), "{:?}", scene.node.panics());
    Ok(())
}
