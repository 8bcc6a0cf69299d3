//! Publishers' offers of every shape that browsers and encoders make, and of shapes that none should: each is answered with
//! what the node takes of it, or refused by name; and none of them disturbs the socket it came over.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base::limits;
use serde_json::{Value, json};
use test_support::offer::{
    self, H264, OPUS, OfferedCodec, SdpMedia, VP8, offered_data, offered_media, publish_offer,
};
use test_support::{Node, NodeOptions, Signalling};

const PATIENCE: Duration = Duration::from_secs(10);

const SDP: &str = "notSetRemoteDescription";
const CODEC: &str = "no_codec_enabled_in_the_server";

/// What becomes of an offer.
enum Outcome {
    /// Each of its m-lines is taken as this; empty: it is rejected.
    Taken(&'static [&'static str]),
    /// The publisher is told this.
    Refused(&'static str),
}

use Outcome::{Refused, Taken};

/// A shape in words, the offer, and what becomes of it.
type Row = (&'static str, String, Outcome);

const H264_HIGH: OfferedCodec<'_> =
    (104, "H264/90000", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640c1f");
const VP9: OfferedCodec<'_> = (98, "VP9/90000", "profile-id=0");
const AV1: OfferedCodec<'_> = (45, "AV1/90000", "level-idx=5;profile=0;tier=0");
const HEVC: OfferedCodec<'_> = (49, "H265/90000", "level-id=93;profile-id=1;tier-flag=0;tx-mode=SRST");

fn picture(codecs: &[OfferedCodec<'_>]) -> String {
    publish_offer(&[offered_media("video", "0", codecs)])
}

/// Sound, then a picture, as the SDK has them.
fn both(codecs: &[OfferedCodec<'_>]) -> String {
    publish_offer(&[offered_media("audio", "0", &[OPUS]), offered_media("video", "1", codecs)])
}

/// The usual one, changed.
fn bent(from: &str, to: &str) -> String {
    let usual = both(&[H264]);
    assert!(usual.contains(from), "the offer has no {from:?}");
    usual.replace(from, to)
}

/// The usual one without the lines that begin so.
fn without(beginning: &str) -> String {
    both(&[H264]).split_inclusive("\r\n").filter(|line| !line.starts_with(beginning)).collect()
}

/// All that is said of the transport is said once, for the session, as libdatachannel does it.
fn said_once() -> String {
    let of_transport = |line: &&str| {
        ["a=ice-", "a=fingerprint", "a=setup"].iter().any(|beginning| line.starts_with(beginning))
    };
    let usual = both(&[H264]);
    let (session, media) = usual.split_once("m=").unwrap_or_default();
    let transport: String = picture(&[H264]).split_inclusive("\r\n").filter(of_transport).collect();
    let media: String = media.split_inclusive("\r\n").filter(|line| !of_transport(line)).collect();
    format!("{session}{transport}m={media}")
}

/// As ffmpeg offers a picture without sound: its group names both all the same.
fn picture_of_ffmpeg() -> String {
    let offer = offer::ffmpeg();
    let (session, media) = offer.split_once("m=audio").unwrap_or_default();
    let (_, video) = media.split_once("m=video").unwrap_or_default();
    format!("{session}m=video{video}")
}

/// A certificate that is named in more ways than one.
fn three_hashes() -> String {
    let (short, long) = (["AB"; 48].join(":"), ["EF"; 64].join(":"));
    both(&[H264])
        .replace("a=fingerprint:", &format!("a=fingerprint:sha-384 {short}\r\na=fingerprint:"))
        .replace("a=setup:", &format!("a=fingerprint:sha-512 {long}\r\na=setup:"))
}

/// Three layers of one picture.
fn simulcast() -> String {
    let layers = "a=rid:h send\r\na=rid:m send\r\na=rid:l send\r\na=simulcast:send h;m;l\r\na=rtcp-mux";
    both(&[H264]).replace("a=rtcp-mux", layers)
}

/// Legacy offers: all tracks of a kind in one m-line.
fn plan_b(tracks: u32) -> String {
    let sources: String =
        (0..tracks).map(|track| format!("a=ssrc:{track} msid:camera track{track}\r\n")).collect();
    let named = picture(&[H264]).replace("a=mid:0", "a=mid:video").replace("BUNDLE 0", "BUNDLE video");
    let own = |line: &&str| !line.starts_with("a=ssrc");
    named.split_inclusive("\r\n").filter(own).collect::<String>() + &sources
}

fn candidates(lines: &str) -> String {
    both(&[H264]).replace("a=sendonly", &format!("{lines}\r\na=sendonly"))
}

fn what_is_taken() -> Vec<Row> {
    let second = offered_media("video", "2", &[H264]);
    let cameras =
        publish_offer(&[offered_media("audio", "0", &[OPUS]), offered_media("video", "1", &[H264]), second]);
    let odd = [AV1, VP9, (99, "rtx/90000", "apt=98"), (118, "ulpfec/90000", ""), VP8, H264, HEVC];
    let sounds = |codecs: &[OfferedCodec<'_>]| {
        publish_offer(&[offered_media("audio", "0", codecs), offered_media("video", "1", &[H264])])
    };
    let tcp = "a=candidate:1 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active";
    let hidden = "a=candidate:1 1 udp 2113937151 5f3e1d5c-7e3b-4d3c-9d2f-0a1b2c3d4e5f.local 50000 typ host";
    let bundled = bent("m=video 9", "m=video 0").replace("a=mid:1", "a=mid:1\r\na=bundle-only");
    let other_names = both(&[H264]);
    let other_names = other_names
        .rsplit_once("ice-ufrag:them")
        .map(|(before, after)| format!("{before}ice-ufrag:others{after}"));
    vec![
        ("as chromium offers", offer::chromium(), Taken(&["opus", "H264", "webrtc-datachannel"])),
        ("42e01f only", both(&[H264]), Taken(&["opus", "H264"])),
        ("42c01f only", bent("42e01f", "42c01f"), Taken(&["opus", "H264"])),
        ("640c1f only", both(&[H264_HIGH]), Taken(&["opus", "H264"])),
        ("640c1f, then 42e01f", both(&[H264_HIGH, H264]), Taken(&["opus", "H264"])),
        ("no audio", picture(&[H264]), Taken(&["H264"])),
        ("no video", publish_offer(&[offered_media("audio", "0", &[OPUS])]), Taken(&["opus"])),
        (
            "a data channel first",
            publish_offer(&[offered_data("0"), offered_media("video", "1", &[H264])]),
            Taken(&["webrtc-datachannel", "H264"]),
        ),
        ("VP9 and AV1 only", both(&[VP9, AV1]), Taken(&["opus", "VP9"])),
        ("every codec in odd order", both(&odd), Taken(&["opus", "H264"])),
        ("sound that nobody plays", sounds(&[(0, "PCMU/8000", "")]), Taken(&["", "H264"])),
        ("red before opus", sounds(&[(63, "red/48000/2", "111/111"), OPUS]), Taken(&["opus", "H264"])),
        ("two cameras", cameras, Taken(&["opus", "H264", ""])),
        ("an m-line that was given up", bent("m=audio 9", "m=audio 0"), Taken(&["", "H264"])),
        ("a bundled m-line without a port", bundled, Taken(&["opus", "H264"])),
        ("three layers", simulcast(), Taken(&["opus", "H264"])),
        ("plan b with one track", plan_b(1), Taken(&["H264"])),
        ("all said for the session", said_once(), Taken(&["opus", "H264"])),
        ("an ice name for each m-line", other_names.unwrap_or_default(), Taken(&["opus", "H264"])),
        ("both directions", bent("a=sendonly", "a=sendrecv"), Taken(&["opus", "H264"])),
        ("no direction", without("a=sendonly"), Taken(&["opus", "H264"])),
        ("ice over tcp alone", candidates(tcp), Taken(&["opus", "H264"])),
        ("hidden addresses", candidates(hidden), Taken(&["opus", "H264"])),
        ("a dtls client", bent("setup:actpass", "setup:active"), Taken(&["opus", "H264"])),
        ("as ffmpeg offers", offer::ffmpeg(), Taken(&["opus", "H264"])),
        ("as ffmpeg offers a picture alone", picture_of_ffmpeg(), Taken(&["H264"])),
        ("as aiortc offers", offer::aiortc(), Taken(&["opus", "H264"])),
        ("three hashes of one certificate", three_hashes(), Taken(&["opus", "H264"])),
        ("no header extensions", without("a=extmap"), Taken(&["opus", "H264"])),
        ("no feedback", without("a=rtcp-fb"), Taken(&["opus", "H264"])),
        ("no sources", without("a=ssrc"), Taken(&["opus", "H264"])),
    ]
}

fn what_is_refused() -> Vec<Row> {
    let many = both(&[H264]) + &"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n".repeat(1_000);
    let large = both(&[H264]) + &format!("a=x:{}\r\n", "x".repeat(limits::SDP_BYTES_MAX));
    vec![
        ("VP8 only", both(&[VP8]), Refused(CODEC)),
        ("HEVC only", both(&[HEVC]), Refused(CODEC)),
        (
            "sound that nobody plays and no picture",
            publish_offer(&[offered_media("audio", "0", &[(8, "PCMA/8000", "")])]),
            Refused(CODEC),
        ),
        ("plan b with two tracks", plan_b(2), Refused(SDP)),
        ("1,000 m-lines", many, Refused(SDP)),
        ("too large", large, Refused(SDP)),
        ("nothing at all", String::new(), Refused(SDP)),
        ("no sdp", "hello".to_owned(), Refused(SDP)),
        ("no m-line", publish_offer(&[]), Refused(SDP)),
        ("a data channel alone", publish_offer(&[offered_data("0")]), Refused(SDP)),
        ("a viewer's offer", bent("a=sendonly", "a=recvonly"), Refused(SDP)),
        ("no ice name", without("a=ice-ufrag"), Refused(SDP)),
        ("a short ice name", bent("ice-ufrag:them", "ice-ufrag:x"), Refused(SDP)),
        ("no fingerprint", without("a=fingerprint"), Refused(SDP)),
        ("half a fingerprint", bent("CD:CD", "CD:C"), Refused(SDP)),
        ("a weak fingerprint", bent("sha-256", "sha-1"), Refused(SDP)),
        ("no setup", without("a=setup"), Refused(SDP)),
        ("a setup that is none", bent("setup:actpass", "setup:holdconn"), Refused(SDP)),
        ("no rtcp-mux", without("a=rtcp-mux"), Refused(SDP)),
        ("not bundled", without("a=group"), Refused(SDP)),
        ("half bundled", bent("BUNDLE 0 1", "BUNDLE 0"), Refused(SDP)),
        ("in the clear", bent("UDP/TLS/RTP/SAVPF", "RTP/AVP"), Refused(SDP)),
    ]
}

/// Whether an answer is one to this offer: m-line by m-line what JSEP (RFC 9429 5.3) wants of it, and nothing that was not
/// offered.
fn is_an_answer(offer: &[SdpMedia], answer: &[SdpMedia]) -> Result<()> {
    ensure!(offer.len() == answer.len(), "{} m-lines for {}", answer.len(), offer.len());
    for (asked, given) in offer.iter().zip(answer) {
        ensure!(asked.kind == given.kind, "{} for {}", given.kind, asked.kind);
        ensure!(asked.attribute("mid") == given.attribute("mid"), "another mid: {given:?}");
        let (mid, group) =
            (given.attribute("mid").unwrap_or_default(), given.attribute("group").unwrap_or_default());
        let is_bundled = group.split(' ').skip(1).any(|name| name == mid);
        ensure!(is_bundled != given.codec().is_empty(), "what lives is bundled, and nothing else: {given:?}");
        if given.codec().is_empty() {
            continue;
        }
        let is_long = |name, length| given.attribute(name).is_some_and(|text| text.len() >= length);
        ensure!(is_long("ice-ufrag", 4) && is_long("ice-pwd", 22), "no ice names: {given:?}");
        let proves = |line: &String| line.starts_with("fingerprint:sha-256 ");
        ensure!(given.attributes.iter().any(proves), "no fingerprint: {given:?}");
        let role = match asked.attribute("setup") {
            Some("passive") => "active",
            Some("active") => "passive",
            _ => given
                .attribute("setup")
                .filter(|role| ["active", "passive"].contains(role))
                .unwrap_or("a role"),
        };
        ensure!(given.attribute("setup") == Some(role), "{role} is wanted: {given:?}");
        if given.kind == "application" {
            continue;
        }
        ensure!(
            given.says("recvonly") && given.says("rtcp-mux"),
            "another direction or rtcp apart: {given:?}"
        );
        for format in &given.formats {
            let (theirs, ours) = (asked.encoding(format), given.encoding(format));
            ensure!(
                ours.is_some() && theirs.map(str::to_lowercase) == ours.map(str::to_lowercase),
                "{format}: {given:?}"
            );
        }
        for extension in given.attributes.iter().filter_map(|line| line.strip_prefix("extmap:")) {
            ensure!(asked.attributes.contains(&format!("extmap:{extension}")), "{extension} was not offered");
            // Turned pictures would have to be turned back for every output that knows no such thing.
            ensure!(!extension.contains("video-orientation"), "{extension}");
        }
    }
    Ok(())
}

/// What a publisher of `stream` is told of its offer: the answer, or the error.
async fn offered(socket: &mut Signalling, stream: &str, sdp: &str) -> Result<Value> {
    socket.send(&json!({ "command": "publish", "streamId": stream })).await?;
    let start = socket.receive_until(|told| told["streamId"] == stream).await?;
    ensure!(start["command"] == "start", "{start}");
    socket
        .send(&json!({ "command": "takeConfiguration", "streamId": stream, "type": "offer", "sdp": sdp }))
        .await?;
    let is_it = |told: &Value| {
        told["streamId"] == stream && (told["command"] == "takeConfiguration" || told["command"] == "error")
    };
    let told = socket.receive_until(is_it).await?;
    socket.send(&json!({ "command": "stop", "streamId": stream })).await?;
    Ok(told)
}

async fn check(socket: &mut Signalling, stream: &str, sdp: &str, outcome: &Outcome) -> Result<()> {
    let told = offered(socket, stream, sdp).await?;
    match outcome {
        Refused(definition) => {
            ensure!(told["command"] == "error" && told["definition"] == *definition, "{told}")
        }
        Taken(codecs) => {
            ensure!(told["type"] == "answer", "{told}");
            let answer = SdpMedia::read(told["sdp"].as_str().context("no sdp")?)?;
            let taken: Vec<_> = answer.iter().map(SdpMedia::codec).collect();
            ensure!(taken == *codecs, "taken are {taken:?}, not {codecs:?}: {told}");
            is_an_answer(&SdpMedia::read(sdp)?, &answer)?;
        }
    }
    Ok(())
}

/// Tries every row and tells of all that failed; then an offer as the usual browser makes it.
async fn try_all(options: NodeOptions, rows: Vec<Row>, afterwards: Outcome) -> Result<()> {
    let node = Node::start(options).await?;
    let mut socket = Signalling::open(&node.signalling_url("LiveApp")).await?;
    let mut wrong = Vec::new();
    let count = rows.len();
    let rows = rows.into_iter().chain([("afterwards", offer::chromium(), afterwards)]);
    for (index, (name, sdp, outcome)) in rows.enumerate() {
        if let Err(error) = check(&mut socket, &format!("shape{index}"), &sdp, &outcome).await {
            wrong.push(format!("{name}: {error:#}"));
            // Where a socket was closed, the next shape has one of its own.
            socket = Signalling::open(&node.signalling_url("LiveApp")).await?;
        }
    }
    if !wrong.is_empty() {
        bail!("{} of {count} shapes:\n{}", wrong.len(), wrong.join("\n"));
    }
    ensure!(node.panics().is_empty(), "{:?}", node.panics());
    node.until_metric("penstock_publishers", &[], PATIENCE, |publishers| publishers == 0.0).await?;
    Ok(())
}

fn options() -> NodeOptions {
    NodeOptions::new(env!("CARGO_BIN_EXE_penstock"))
}

const USUAL: Outcome = Taken(&["opus", "H264", "webrtc-datachannel"]);

#[tokio::test(flavor = "multi_thread")]
async fn are_taken_for_what_they_are() -> Result<()> {
    try_all(options(), what_is_taken(), USUAL).await
}

#[tokio::test(flavor = "multi_thread")]
async fn are_refused_by_name() -> Result<()> {
    try_all(options(), what_is_refused(), USUAL).await
}

/// What a publisher may send is the application's choice.
#[tokio::test(flavor = "multi_thread")]
async fn are_taken_by_the_settings() -> Result<()> {
    let set = |h264, vp8| {
        let options = options().setting("LiveApp", "settings.h264Enabled", h264);
        options.setting("LiveApp", "settings.vp8Enabled", vp8)
    };
    let vp8 = |outcome| ("VP8 only", both(&[VP8]), outcome);
    let h264 = |outcome| ("H.264 only", both(&[H264]), outcome);
    try_all(set("true", "true"), vec![vp8(Taken(&["opus", "VP8"])), h264(Taken(&["opus", "H264"]))], USUAL)
        .await?;
    let vp8_alone = Taken(&["opus", "VP8", "webrtc-datachannel"]);
    try_all(set("false", "true"), vec![vp8(Taken(&["opus", "VP8"])), h264(Refused(CODEC))], vp8_alone)
        .await?;
    // AV1 and VP9 have no setting: what a browser has beside them goes without.
    let neither = Taken(&["opus", "AV1", "webrtc-datachannel"]);
    try_all(set("false", "false"), vec![vp8(Refused(CODEC)), h264(Refused(CODEC))], neither).await
}
