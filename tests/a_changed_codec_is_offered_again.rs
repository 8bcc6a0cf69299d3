//! A stream goes on with another encoder's settings: what players have to agree on anew is offered again on the
//! connection they have; what they need not is changed under them in band.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Error, Result, ensure};
use base::{Clock, SystemClock, SystemRandomness};
use load_tests::{Identity, Profile, Receiver};
use serde_json::{Value, json};
use test_support::{
    Browser, Encoder, Load, Marker, MarkerOptions, Node, NodeOptions, Signalling, Turn, ViewerPromise, X264,
    enhanced_ffmpeg, left_to_the_proof, note, picture_size, skipped,
};
use tokio::time::sleep;

const PATIENCE: Duration = Duration::from_secs(20);

const LOW: &[&str] = &["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "30"];
const HIGH: &[&str] =
    &["-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-bf", "0", "-g", "30"];
const B_FRAMES: &[&str] = &["-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "60"];
const AT_44_1_KHZ: &[&str] = &["-c:a", "aac", "-ar", "44100", "-ac", "2"];
const AT_48_KHZ: &[&str] = &["-c:a", "aac", "-ar", "48000", "-ac", "2"];
const VP9: &[&str] =
    &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-lag-in-frames", "0", "-g", "30"];
const HEVC: &[&str] =
    &["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error", "-g", "30"];
const NONE: &[&str] = &[];

/// What an encoder sends: the picture's size, its arguments, and the sound's.
type Sends = (&'static str, &'static [&'static str], &'static [&'static str]);

/// What its players are told when another goes on with its stream.
#[derive(Debug)]
enum Told {
    /// Nothing: it changes in band.
    Nothing,
    /// An offer with these m-lines, in order: the codec offered first, and whether it is sent.
    Offer(&'static [(&'static str, bool)]),
    /// The play is over, for this reason.
    End(&'static str),
}

const ROWS: &[(&str, Sends, Sends, Told)] = &[
    ("the same again", ("320x180", LOW, AT_48_KHZ), ("320x180", LOW, AT_48_KHZ), Told::Nothing),
    ("a larger picture", ("320x180", LOW, AT_48_KHZ), ("640x360", LOW, AT_48_KHZ), Told::Nothing),
    ("another profile", ("320x180", LOW, AT_48_KHZ), ("320x180", HIGH, AT_48_KHZ), Told::Nothing),
    ("another sampling rate", ("320x180", LOW, AT_44_1_KHZ), ("320x180", LOW, AT_48_KHZ), Told::Nothing),
    (
        "sound gets its picture",
        ("320x180", NONE, AT_48_KHZ),
        ("320x180", LOW, AT_48_KHZ),
        Told::Offer(&[("opus", true), ("H264", true)]),
    ),
    (
        "a picture gets its sound",
        ("320x180", LOW, NONE),
        ("320x180", LOW, AT_48_KHZ),
        Told::Offer(&[("H264", true), ("opus", true)]),
    ),
    (
        "the picture goes",
        ("320x180", LOW, AT_48_KHZ),
        ("320x180", NONE, AT_48_KHZ),
        Told::Offer(&[("H264", false), ("opus", true)]),
    ),
    (
        "another codec",
        ("320x180", LOW, AT_48_KHZ),
        ("320x180", VP9, AT_48_KHZ),
        Told::Offer(&[("VP9", true), ("opus", true)]),
    ),
    (
        "B-frames, which are transcoded",
        ("320x180", LOW, AT_48_KHZ),
        ("320x180", B_FRAMES, AT_48_KHZ),
        Told::Nothing,
    ),
    (
        "B-frames of another size",
        ("320x180", B_FRAMES, AT_48_KHZ),
        ("640x360", B_FRAMES, AT_48_KHZ),
        Told::Nothing,
    ),
    ("B-frames no more", ("320x180", B_FRAMES, AT_48_KHZ), ("320x180", LOW, AT_48_KHZ), Told::Nothing),
    (
        "what a browser cannot show",
        ("320x180", LOW, AT_48_KHZ),
        ("320x180", HEVC, AT_48_KHZ),
        Told::End("codec changed"),
    ),
];

/// Whether only Enhanced RTMP carries it.
fn enhanced(video: &[&str]) -> bool {
    video == VP9 || video == HEVC
}

fn publish(node: &Node, stream: &str, (size, video, audio): Sends) -> Result<Encoder> {
    let url = node.rtmp_url("LiveApp", stream);
    let ffmpeg = if enhanced(video) { enhanced_ffmpeg() } else { Ok("ffmpeg".into()) };
    Ok(Encoder::start_with(&ffmpeg.map_err(Error::msg)?, &url, size, video, audio)?)
}

/// A player that has answered its offer. It need not connect: what it is told is the signalling's.
struct Player {
    socket: Signalling,
    receiver: Receiver,
    stream: String,
}

impl Player {
    async fn play(node: &Node, stream: &str, identity: &Arc<Identity>) -> Result<Self> {
        let mut socket = Signalling::open(&node.signalling_url("LiveApp")).await?;
        let answer = socket.play(stream, PATIENCE).await?;
        let offer = answer["sdp"].as_str().with_context(|| format!("no offer: {answer}"))?;
        let receiver = Receiver::new(identity, offer, Profile::Gcm, &SystemRandomness, SystemClock.now())?;
        let mut player = Self { socket, receiver, stream: stream.to_owned() };
        player.answer().await?;
        Ok(player)
    }

    async fn answer(&mut self) -> Result<()> {
        let answer = json!({
            "command": "takeConfiguration", "streamId": self.stream, "type": "answer",
            "sdp": self.receiver.answer()
        });
        self.socket.send(&answer).await?;
        let word = self.next_word().await?;
        ensure!(word.is_none(), "told {word:?} after an answer");
        Ok(())
    }

    /// What it is told beside candidates; `None`: nothing until now.
    async fn next_word(&mut self) -> Result<Option<Value>> {
        self.socket.send(&json!({ "command": "ping" })).await?;
        let mut word = None;
        loop {
            let message = self.socket.receive().await?;
            match message["command"].as_str().unwrap_or_default() {
                "pong" => return Ok(word),
                "takeCandidate" => {}
                _ => word = Some(message),
            }
        }
    }
}

/// The m-lines of an offer, in order: the codec that is offered first, and whether it is sent.
fn lines(sdp: &str) -> Vec<(&str, bool)> {
    // Data channels have an m-line of their own, which no track's change concerns.
    let sections = sdp.split("\r\nm=").skip(1).filter(|section| !section.starts_with("application"));
    sections.map(|section| (codec_of(section), section.lines().any(|line| line == "a=sendonly"))).collect()
}

fn codec_of(section: &str) -> &str {
    let rtpmap = section.lines().find_map(|line| line.strip_prefix("a=rtpmap:")).unwrap_or_default();
    rtpmap.split([' ', '/']).nth(1).unwrap_or_default()
}

async fn takeovers(node: &Node, count: f64) -> Result<()> {
    let name = "penstock_publisher_takeovers_total";
    node.until_metric(name, &["before=\"lost\""], PATIENCE, |took| took == count).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_as_much_as_it_has_to_be() -> Result<()> {
    let _turn = Turn::take().await?;
    // Nobody connects, and that takes as long as it may. Programs of the rows before go on for a while.
    let options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))
        .setting("LiveApp", "settings.webrtc.client.start.timeoutMs", "60000")
        .environment("PENSTOCK_LIMITS_VIDEO_TRANSCODERS", "8");
    let node = Node::start(options).await?;
    let identity = Arc::new(Identity::new()?);
    let mut taken = 0.0;
    for (index, (name, before, after, told)) in ROWS.iter().enumerate() {
        if let (true, Err(why)) = (enhanced(after.1), enhanced_ffmpeg()) {
            skipped(name, &why);
            continue;
        }
        let stream = format!("row-{index}");
        let first = publish(&node, &stream, *before)?;
        let mut player = Player::play(&node, &stream, &identity).await.with_context(|| (*name).to_owned())?;
        drop(first);
        let _second = publish(&node, &stream, *after)?;
        taken += 1.0;
        takeovers(&node, taken).await.with_context(|| (*name).to_owned())?;
        let word = player.told(told).await.with_context(|| format!("{name}: {told:?}"))?;
        note(&format!("{name}: {}", word.map_or("nothing", |_| "as it should be")));
    }
    Ok(())
}

impl Player {
    /// Waits for what it is to be told.
    async fn told(&mut self, told: &Told) -> Result<Option<Value>> {
        match told {
            Told::Nothing => {
                // A track may come a second late before the stream is taken as it is; nothing tells that none does.
                sleep(Duration::from_secs(2)).await;
                let word = self.next_word().await?;
                ensure!(word.is_none(), "it was told {word:?}");
                Ok(None)
            }
            Told::Offer(expected) => {
                let offer = self.socket.receive_until(|word| word["command"] != "takeCandidate").await?;
                let sdp = offer["sdp"].as_str().with_context(|| format!("no offer: {offer}"))?;
                ensure!(lines(sdp) == *expected, "{sdp}");
                let sending = expected.iter().filter(|(_, sends)| *sends).count();
                ensure!(
                    offer["idMapping"].as_object().is_some_and(|mapping| mapping.len() == sending),
                    "{offer}"
                );
                self.receiver.update(sdp)?;
                self.answer().await?;
                Ok(Some(offer))
            }
            Told::End(reason) => {
                let end = self.socket.receive_until(|word| word["definition"] == "play_finished").await?;
                ensure!(end["information"] == *reason, "{end}");
                Ok(Some(end))
            }
        }
    }
}

/// An encoder's first moments of sound come at once. Viewers who are there hear it late, and their browser shortens it
/// bit by bit.
const CATCHING_UP_MAX: Duration = Duration::from_secs(30);
const WATCHED: Duration = Duration::from_millis(8_500);
/// Less than who joins is promised: the browser keeps the buffers it had and goes on setting them right, by sound up
/// to 90 ms off and up to one picture in five shown together with the next, without a freeze.
const PROMISE: ViewerPromise = ViewerPromise {
    seen_share_min: 0.99,
    shown_share_min: 0.8,
    freeze_max_ms: 200.0,
    sound_offset_max_ms: Some(90.0),
    glass_to_glass_median_max_ms: Some(250.0),
    seconds_min: 6.0,
};

/// What a browser shows once another encoder has gone on with the stream.
async fn watch(node: &Node, browser: &Browser, promise: ViewerPromise) -> Result<()> {
    takeovers(node, 1.0).await?;
    browser
        .wait_until(
            "the new picture",
            PATIENCE,
            &format!("return document.querySelector('video').videoWidth === {}", picture_size().0),
        )
        .await?;
    browser.begin_to_measure("video", PATIENCE).await?;
    let caught_up = browser.in_step(40.0, CATCHING_UP_MAX).await?;
    note(&format!("in step after {caught_up:?}"));
    let load = Load::watch();
    let measured = browser.measure("video", PATIENCE, WATCHED).await?;
    let load = load.report();
    note(&format!("{measured:#?}\nmachine: {load}"));
    ensure!(node.metric("penstock_player_ended_total", &[]).await? == 0.0, "the player was sent away");
    ensure!(measured.video_size == picture_size(), "{:?}", measured.video_size);
    measured.judge(promise, &load).into_result()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_gets_the_picture() -> Result<()> {
    let _turn = Turn::take().await?;
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let sound = publish(&node, "stream1", ("", NONE, AT_48_KHZ))?;
    let browser = Browser::start().await?;
    browser.open(&node.http_url("/LiveApp/play.html?id=stream1")).await?;
    let heard = "return document.querySelector('video').currentTime > 1";
    browser.wait_until("sound", PATIENCE, heard).await?;
    drop(sound);
    let _marker = Marker::start(MarkerOptions::to_rtmp(node.rtmp_url("LiveApp", "stream1")))?;
    watch(&node, &browser, PROMISE).await?;
    Ok(browser.close().await?)
}

/// Somebody watches a small picture when another encoder goes on with the stream, with a larger one.
async fn a_viewer_of_a_small_picture_gets(
    video: &'static [&'static str],
    promise: ViewerPromise,
) -> Result<()> {
    let _turn = Turn::take().await?;
    let node = Node::start(NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))).await?;
    let url = node.rtmp_url("LiveApp", "stream1");
    let small = MarkerOptions { width: 320, height: 180, ..MarkerOptions::to_rtmp(url.clone()) };
    let first = Marker::start(small)?;
    let browser = Browser::start().await?;
    browser.open(&node.http_url("/LiveApp/play.html?id=stream1")).await?;
    let seen = browser.measure("video", PATIENCE, Duration::from_secs(3)).await?;
    ensure!(seen.video_size == (320, 180), "{:?}", seen.video_size);
    drop(first);
    let _second = Marker::start(MarkerOptions { video, ..MarkerOptions::to_rtmp(url) })?;
    watch(&node, &browser, promise).await?;
    Ok(browser.close().await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_gets_the_larger_picture() -> Result<()> {
    a_viewer_of_a_small_picture_gets(X264, PROMISE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_gets_pictures_that_are_transcoded() -> Result<()> {
    if left_to_the_proof("a change to pictures that are transcoded") {
        return Ok(());
    }
    let promise = ViewerPromise { glass_to_glass_median_max_ms: Some(1_000.0), ..PROMISE };
    a_viewer_of_a_small_picture_gets(B_FRAMES, promise).await
}
