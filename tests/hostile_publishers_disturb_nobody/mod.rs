//! Two publishers go on, one by RTMP and one by WebRTC, while others attack who publish by WHIP: with checks and handshakes
//! of nobody, with media that lies about itself, with data channels that want too much. All of them share a port and a
//! thread with the one by WebRTC. Each is refused or dropped, and nobody's viewers miss a frame.

mod attacks;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use load_tests::hostile::Shown;
use load_tests::{
    Asking, FPS, HostilePublisher, Identity, Opening, Publisher, Recording, RecordingOptions, Swarm,
    SwarmOptions, WebRtcPublishers, machine,
};
use test_support::{Load, Node, NodeOptions, Turn, note};
use tokio::task::LocalSet;

use attacks::{ATTACK, ATTACKS, Attack, Counted, Until, alert, hello, like_dtls};

const PATIENCE: Duration = Duration::from_secs(20);
/// Bits per second of the pictures.
const BITRATE: u32 = 500_000;
/// Of each of the two streams.
const VIEWERS: usize = 2;
const MIB: f64 = 1024.0 * 1024.0;
/// Growth of the node's memory by one attack. Chunks and packets that an attacker may have waiting are bounded by less.
const MEMORY_MIB: f64 = 24.0;
/// Lines that the node logs meanwhile: of an attacker that comes, and of some before that go.
const LOG_LINES_MAX: usize = 60;
/// Of the frames of all the while.
const FRAMES_SHARE: f64 = 0.995;
/// The longest time without a frame.
const GAP_MAX_MS: f64 = 250.0;

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
    if attack.until != Until::Asked {
        me.be_checked().await?;
    }
    if matches!(attack.until, Until::Connected | Until::Associated) {
        me.shake_hands().await?;
    }
    if attack.until == Until::Associated {
        me.associate().await?;
    }
    let sent = if attack.until == Until::Asked {
        // From where nobody has checked.
        pour(&mut me, attack).await?
    } else {
        me.storm(attack.length, attack.per_second, attack.make).await?
    };
    // What nobody can have authenticated, or what is dropped for what it says, ends no connection.
    if attack.until == Until::Connected && me.ended().is_none() {
        me.associate().await.context("the connection did not outlive the attack")?;
    }
    Ok((sent, me.ended().map(str::to_owned)))
}

/// Attacks without being checked.
async fn pour(me: &mut HostilePublisher, attack: &Attack) -> Result<u64> {
    let mut turn = tokio::time::interval(Duration::from_millis(10));
    let per_turn = (attack.per_second / 100.0) as u64;
    let mut sent = 0;
    for _ in 0..attack.length.as_millis() / 10 {
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
    viewers: [(&'static str, Swarm); 2],
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
        let [(_, first), (_, second)] = &self.viewers;
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
            Counted::Most(metric, label, share) => {
                let counted = grown(metric, label);
                ensure!(
                    counted >= share * sent as f64,
                    "{name}: {counted} of {sent} were counted as {metric}"
                );
            }
            Counted::Some(metric, label) => {
                ensure!(grown(metric, label) > 0.0, "{name}: nothing was counted as {metric}");
            }
            Counted::Silently => {}
        }
        Ok(())
    }

    /// One attack after the other, with windows before and after in which there is none.
    async fn is_attacked(&self) -> Result<()> {
        // The same window as for an attack, without one.
        self.undisturbed("nothing", tokio::time::sleep(ATTACK)).await?;
        let before = machine::usage(self.node.pid())?.resident_bytes as f64;

        let (url, shown) = (self.node.http_url("/LiveApp/whip/another"), Arc::clone(&self.identity));
        let another = aside(move || another_certificate(url, shown))?;
        let (url, shown) = (self.node.http_url("/LiveApp/whip/overheard"), Arc::clone(&self.identity));
        let overheard = aside(move || an_overheard_check(url, shown))?;
        self.undisturbed("an overheard check", overheard).await?.0??;
        for (number, attack) in ATTACKS.iter().enumerate() {
            self.under(attack, number).await?;
        }
        let why = another.await??;
        note(&format!("somebody else's certificate: {why}"));

        // All is as before.
        let two = |publishers: f64| publishers == 2.0;
        self.node
            .until_metric("penstock_publishers", &[], PATIENCE, two)
            .await
            .context("attackers stayed")?;
        let timed_out = self.node.metric("penstock_publisher_ended_total", &["reason=\"timed out\""]).await?;
        note(&format!("{timed_out} attackers timed out of {}", ATTACKS.len() + 2));
        self.undisturbed("nothing, afterwards", tokio::time::sleep(ATTACK)).await?;
        let grown = (machine::usage(self.node.pid())?.resident_bytes as f64 - before) / MIB;
        note(&format!("the node has {grown:+.1} MiB more than before"));
        ensure!(grown <= 2.0 * MEMORY_MIB, "the node kept {grown} MiB of the attacks");
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
    let asking = vec![Asking::Whip(node.http_url("/LiveApp/whip/by-webrtc"))];
    let honest = WebRtcPublishers::start(&recording, asking, &identity)?;
    let pictures_are = async |count: f64| {
        node.until_metric("penstock_units_total", &["kind=\"video\""], PATIENCE, |taken| taken >= count).await
    };
    pictures_are(f64::from(FPS)).await.context("the honest publisher's pictures did not come")?;
    let mut encoder = Publisher::start(&recording, node.rtmp_address(), "LiveApp", "by-rtmp")?;
    pictures_are(5.0 * f64::from(FPS)).await?;
    let [viewers, witnesses] = [VIEWERS, 1].map(|count| {
        ["by-rtmp", "by-webrtc"].map(|stream| {
            let options = SwarmOptions {
                opening: Opening { count: 0, turn: 0 },
                ..SwarmOptions::new(node.signalling_url("LiveApp"), stream, count)
            };
            (stream, Swarm::start(options, Arc::clone(&identity)))
        })
    });
    for (stream, swarm) in viewers.iter().chain(&witnesses) {
        ensure!(swarm.joined(PATIENCE).await, "the viewers of {stream} did not join");
    }
    // What players join with is sent faster than it was made.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let scene = Scene { node, identity, viewers };
    // Windows are short, and their edges cut frames: who watches all the while misses none.
    let [(_, of_rtmp), (_, of_webrtc)] = &witnesses;
    let ((attacked, of_webrtc), of_rtmp) = of_rtmp.measure(of_webrtc.measure(scene.is_attacked())).await;
    attacked?;
    for (stream, seen) in [("by-rtmp", &of_rtmp), ("by-webrtc", &of_webrtc)] {
        note(&format!("{stream}: {:.2} % of frames in {:.0} s", seen.frames_share * 100.0, seen.seconds));
        ensure!(seen.frames_share >= FRAMES_SHARE, "{stream}: {} of its frames came", seen.frames_share);
    }
    encoder.check()?;
    honest.check()
}
