use std::fmt::Write as _;

use base::Secret;

use super::super::*;
use super::*;
use crate::ice::IceCredentials;

const OWN: [u8; 3] = [0x64, 0x00, 0x1f];
const BASELINE: &str = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
const HIGH: &str = "profile-level-id=640032;packetization-mode=1";

/// A name, an offer, the stream's own profile, and what is chosen.
type Shape<'a> = (&'a str, String, [u8; 3], &'a [(usize, u8)]);

/// One m-line as browsers write it; `codecs` are number, name, parameters.
fn line(kind: &str, mid: &str, codecs: &[(u8, &str, &str)]) -> String {
    let digest = fingerprint_text(&[0xcd; 32]);
    let numbers: String = codecs.iter().map(|(number, ..)| format!(" {number}")).collect();
    let mut text = format!(
        "m={kind} 9 UDP/TLS/RTP/SAVPF{numbers}\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:them\r\n\
         a=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 {digest}\r\na=setup:actpass\r\n\
         a=mid:{mid}\r\na=extmap:1 urn:other\r\na=extmap:5/recvonly {PLAYOUT_DELAY_URI}\r\n\
         a=recvonly\r\na=rtcp-mux\r\na=rtcp-rsize\r\n"
    );
    for (number, name, parameters) in codecs {
        write!(
            text,
            "a=rtpmap:{number} {name}\r\na=rtcp-fb:{number} nack\r\na=rtcp-fb:{number} goog-remb\r\n"
        )
        .unwrap();
        if !parameters.is_empty() {
            write!(text, "a=fmtp:{number} {parameters}\r\n").unwrap();
        }
    }
    text
}

fn offer(lines: &[String]) -> String {
    let mids: String = (0..lines.len()).map(|mid| format!(" {mid}")).collect();
    format!("v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE{mids}\r\n{}", lines.concat())
}

fn usual() -> String {
    offer(&[
        line("video", "0", &[(96, "VP8/90000", ""), (102, "H264/90000", BASELINE)]),
        line("audio", "1", &[(111, "opus/48000/2", "minptime=10")]),
    ])
}

fn agreed(text: &str, own: [u8; 3]) -> Option<Agreement> {
    let (video, audio) = (policy::h264(own), policy::opus(2));
    let wanted = [(Kind::Video, video.as_slice()), (Kind::Audio, audio.as_slice())];
    RemoteOffer::read(text).unwrap().agree(wanted.into_iter(), true)
}

/// The answer with that media and data channels, which the m-lines of those numbers bring.
fn answered(
    read: &RemoteOffer,
    lines: &[usize],
    media: &[OfferedMedia],
    data: Option<&OfferedData>,
) -> String {
    let session = Session {
        stream: "s1",
        session: 7,
        version: 1,
        credentials: &IceCredentials { ufrag: "ufrg".into(), password: Secret::new("p".repeat(32)) },
        fingerprint: &fingerprint_text(&[0xab; 32]),
        cname: "cname",
        candidates: &[Candidate::Udp("192.0.2.1:50000".parse().unwrap())],
        media,
        data,
    };
    session.answer(read, lines).sdp
}

/// M-line and payload type of what is agreed on.
fn chosen(text: &str, own: [u8; 3]) -> Vec<(usize, u8)> {
    let media = agreed(text, own).map(|agreement| agreement.media).unwrap_or_default();
    media.iter().map(|agreed| (agreed.line, agreed.codec.payload_type)).collect()
}

#[test]
fn what_is_sent_is_chosen_by_the_shape_of_the_offer() {
    let sound = || line("audio", "1", &[(111, "opus/48000/2", "")]);
    let video = |codecs: &[(u8, &str, &str)]| offer(&[line("video", "0", codecs), sound()]);
    let h264 = "H264/90000";
    let odd = [
        (45, "AV1/90000", "level-idx=5"),
        (120, "VP8/90000", ""),
        (121, "rtx/90000", "apt=120"),
        (103, h264, "profile-level-id=42e01f;packetization-mode=0"),
        (105, "h264/90000", " packetization-mode=1 ; profile-level-id=42E034"),
        (104, h264, HIGH),
    ];
    let constrained_main = "profile-level-id=4d801f;packetization-mode=1";
    let application = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\na=sctp-port:5000\r\n";
    let rows: &[Shape<'_>] = &[
        ("the baseline only", video(&[(102, h264, BASELINE)]), OWN, &[(0, 102), (1, 111)]),
        ("the own profile only", video(&[(104, h264, HIGH)]), OWN, &[(0, 104), (1, 111)]),
        ("another profile only", video(&[(104, h264, HIGH)]), [0x4d, 0x40, 0x1f], &[(1, 111)]),
        (
            "another name of it",
            video(&[(104, h264, constrained_main)]),
            [0x42, 0xc0, 0x1e],
            &[(0, 104), (1, 111)],
        ),
        ("odd order, the own first", video(&odd), OWN, &[(0, 104), (1, 111)]),
        ("odd order, the baseline", video(&odd), [0x4d, 0x40, 0x1f], &[(0, 105), (1, 111)]),
        ("packets of one NAL unit only", video(&odd[3..4]), OWN, &[(1, 111)]),
        ("no audio", offer(&[line("video", "0", &[(102, h264, BASELINE)])]), OWN, &[(0, 102)]),
        (
            "VP8 and PCMU only",
            offer(&[line("video", "0", &odd[1..2]), line("audio", "1", &[(0, "PCMU/8000", "")])]),
            OWN,
            &[],
        ),
        ("a number that RTCP has", video(&[(72, h264, BASELINE)]), OWN, &[(1, 111)]),
        ("data before media", offer(&[application.to_owned(), sound()]), OWN, &[(1, 111)]),
        (
            "two of a kind",
            offer(&[line("video", "0", &odd[..2]), line("video", "1", &odd), line("video", "2", &odd)]),
            OWN,
            &[(1, 104)],
        ),
        ("one of them refused", usual().replace("m=video 9", "m=video 0"), OWN, &[(1, 111)]),
        (
            "one of them sends",
            usual().replacen("recvonly\r\na=rtcp-mux", "sendonly\r\na=rtcp-mux", 1),
            OWN,
            &[(1, 111)],
        ),
        ("both ways", usual().replace("a=recvonly", "a=sendrecv"), OWN, &[(0, 102), (1, 111)]),
    ];
    for (name, text, own, expected) in rows {
        assert_eq!(chosen(text, *own), *expected, "{name}");
    }
}

#[test]
fn other_codecs_are_taken_by_profile() {
    let theirs = [
        (98, "VP9/90000", "profile-id=2"),
        (100, "VP9/90000", ""),
        (45, "AV1/90000", "level-idx=5;tier=0"),
        (120, "VP8/90000", ""),
    ];
    let read = RemoteOffer::read(&offer(&[line("video", "0", &theirs)])).unwrap();
    let number = |encoding, parameters: &str| {
        let ours =
            OfferedCodec { payload_type: 1, encoding, parameters: parameters.to_owned(), feedback: vec![] };
        let agreement = read.agree([(Kind::Video, [ours].as_slice())].into_iter(), true);
        agreement.map(|agreement| agreement.media[0].codec.payload_type)
    };
    assert_eq!(number("VP9/90000", "profile-id=0"), Some(100));
    assert_eq!(number("VP9/90000", "profile-id=2"), Some(98));
    assert_eq!(number("VP9/90000", "profile-id=1"), None);
    assert_eq!(number("AV1/90000", "level-idx=8;profile=0;tier=0"), Some(45));
    assert_eq!(number("AV1/90000", "level-idx=8;profile=1;tier=0"), None);
    assert_eq!(number("VP8/90000", ""), Some(120));
}

#[test]
fn an_offer_is_read() {
    let agreement = agreed(&usual(), OWN).unwrap();
    assert_eq!(agreement.transport, Transport { ufrag: "them".to_owned(), fingerprint: [0xcd; 32] });
    let [video, audio] = agreement.media.as_slice() else { panic!("{agreement:?}") };
    assert_eq!((video.mid.as_str(), video.playout_delay, video.reduced_size), ("0", Some(5), true));
    assert_eq!((video.codec.parameters.as_str(), &video.codec.feedback), (BASELINE, &vec!["nack"]));
    assert!(audio.codec.parameters.contains("sprop-stereo=1"), "what is sent is ours to say");
}

#[test]
fn a_bundled_line_without_a_transport_has_that_of_the_first() {
    let text = usual();
    let (first, second) = text.split_once("m=audio").unwrap();
    let second = second.replace(" 9 UDP", " 0 UDP").replace("a=rtcp-mux", "a=rtcp-mux\r\na=bundle-only");
    let bare: String = second
        .split_inclusive("\r\n")
        .filter(|line| {
            !line.contains("a=ice-") && !line.contains("a=setup") && !line.contains("a=fingerprint")
        })
        .collect();
    assert_eq!(chosen(&format!("{first}m=audio{bare}"), OWN), [(0, 102), (1, 111)]);
}

#[test]
fn the_first_line_that_lives_says_who_the_peer_is() {
    let text = usual().replacen("ice-ufrag:them", "ice-ufrag:other", 1).replace("H264", "H265");
    assert_eq!(agreed(&text, OWN).unwrap().transport.ufrag, "them");
}

#[test]
fn what_is_wrong_with_an_offer_is_named() {
    let good = usual();
    let sources = "a=ssrc:1 msid:s one\r\na=ssrc:1 cname:c\r\na=ssrc:2 msid:s two\r\na=rtcp-mux";
    for (bad, why) in [
        (good.replace("setup:actpass", "setup:passive"), OfferError::Setup("passive".into())),
        (good.replace("a=setup:actpass\r\n", ""), OfferError::Setup(String::new())),
        (good.replace("sha-256", "sha-1"), OfferError::FingerprintAlgorithm),
        (good.replace("a=fingerprint:", "a=x:"), OfferError::NoFingerprint),
        (good.replace("CD:CD", "CD:C"), OfferError::NoFingerprint),
        (good.replace("a=ice-ufrag:them\r\n", ""), OfferError::NoUfrag),
        (good.replace("ice-ufrag:them", "ice-ufrag:x"), OfferError::NoUfrag),
        (good.replace("a=rtcp-mux\r\n", ""), OfferError::NoRtcpMux),
        (good.replace("BUNDLE 0 1", "BUNDLE 0"), OfferError::NotBundled),
        (good.replace("a=group:BUNDLE 0 1\r\n", ""), OfferError::NotBundled),
        (good.replace("a=rtcp-mux", sources), OfferError::PlanB),
        (good.replace("recvonly", "sendonly"), OfferError::NothingToReceive),
        (good.replace("UDP/TLS", "TCP/TLS"), OfferError::NothingToReceive),
        (good.replace("v=0", &"x".repeat(limits::SDP_BYTES_MAX)), OfferError::TooLarge),
        (format!("{good}{}", "m=audio 9 X 1\r\n".repeat(1_000)), OfferError::TooManyMedia),
        (format!("{good}{}", "\rm=audio 9 X 1\n".repeat(1_000)), OfferError::TooManyMedia),
        (good.replace("a=mid:0", "a=mid:0\u{e9}"), OfferError::Syntax("a mid is no token".into())),
    ] {
        assert_eq!(RemoteOffer::read(&bad).map(|_| ()), Err(why));
    }
    for junk in ["", "hello", "{\"sdp\": \"v=0\"}"] {
        assert!(
            matches!(RemoteOffer::read(junk), Err(OfferError::Syntax(_) | OfferError::NothingToReceive)),
            "{junk}"
        );
    }
}

#[test]
fn every_line_is_answered_in_order() {
    let application = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\na=sctp-port:5000\r\n";
    let h264 = [(120, "VP8/90000", ""), (102, "H264/90000", BASELINE)];
    let text = offer(&[
        application.to_owned(),
        line("audio", "1", &[(0, "PCMU/8000", "")]),
        line("video", "2", &h264),
        line("audio", "3", &[(9, "G722/8000", ""), (111, "opus/48000/2", "")]),
    ]);
    let (read, agreement) = (RemoteOffer::read(&text).unwrap(), agreed(&text, OWN).unwrap());
    let lines: Vec<_> = agreement.media.iter().map(|agreed| agreed.line).collect();
    let media: Vec<_> = agreement
        .media
        .into_iter()
        .map(|agreed| {
            let extension = agreed.playout_delay.filter(|_| agreed.kind == Kind::Video);
            let label = track_label(agreed.kind, "s1");
            agreed.offered(label, 11, extension)
        })
        .collect();
    let answer = answered(&read, &lines, &media, None);
    let m_lines: Vec<_> = answer.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(
        m_lines,
        [
            "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
            "m=audio 0 UDP/TLS/RTP/SAVPF 0",
            "m=video 9 UDP/TLS/RTP/SAVPF 102",
            "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        ]
    );
    for line in [
        "a=group:BUNDLE 2 3",
        "a=ice-lite",
        "a=setup:passive",
        "a=sendonly",
        "a=mid:0",
        "a=inactive",
        "a=extmap:5 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
        "a=rtpmap:102 H264/90000",
        "a=rtcp-fb:102 nack",
        "a=rtcp-rsize",
        "a=candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host",
    ] {
        assert!(answer.lines().any(|have| have == line), "{line} is missing in\n{answer}");
    }
    assert!(
        !answer.contains("actpass") && !answer.contains("remb") && !answer.contains("nack pli"),
        "{answer}"
    );
}

/// Data channels as browsers offer them.
fn data(mid: &str) -> String {
    let sound = line("audio", mid, &[]);
    let transport = sound.lines().skip(1).filter(|line| !line.contains("rtcp") && !line.contains("extmap"));
    let transport: String = transport.map(|line| format!("{line}\r\n")).collect();
    format!(
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n{transport}a=sctp-port:5000\r\n\
         a=max-message-size:1200\r\n"
    )
}

#[test]
fn data_channels_are_taken_where_they_are_offered_on_the_transport_of_the_media() {
    let sound = line("audio", "1", &[(111, "opus/48000/2", "")]);
    let text = offer(&[data("0").replace("them", "first"), sound.clone()]);
    let agreement = agreed(&text, OWN).unwrap();
    assert_eq!(agreement.data, Some(AgreedData { line: 0, mid: "0".into(), bytes_max: 1_200 }));
    assert_eq!(agreement.transport.ufrag, "first", "the first that is taken says who the peer is");
    for (what, text) in [
        ("another transport", text.replace("BUNDLE 0 1", "BUNDLE 1")),
        ("refused by the peer itself", text.replace("m=application 9", "m=application 0")),
        ("over something else", text.replace("UDP/DTLS/SCTP", "DTLS/SCTP")),
        ("no certificate", text.replacen("a=fingerprint", "a=x", 1)),
    ] {
        let agreement = agreed(&text, OWN).unwrap();
        assert_eq!((agreement.data, agreement.transport.ufrag.as_str()), (None, "them"), "{what}");
    }
    let policy = policy::opus(2);
    let wanted = || [(Kind::Audio, policy.as_slice())].into_iter();
    let unwanted = RemoteOffer::read(&text).unwrap().agree(wanted(), false).unwrap();
    assert_eq!((unwanted.data, unwanted.transport.ufrag.as_str()), (None, "them"));

    let read = RemoteOffer::read(&offer(&[line("audio", "0", &[(0, "PCMU/8000", "")]), sound, data("2")]));
    let agreement = read.as_ref().unwrap().agree(wanted(), true).unwrap();
    let ours = agreement.data.map(|data| OfferedData { mid: data.mid, line: data.line, active: true });
    let media = agreement.media.into_iter().map(|agreed| agreed.offered("s".into(), 1, None));
    let answer = answered(&read.unwrap(), &[1], &media.collect::<Vec<_>>(), ours.as_ref());
    let m_lines: Vec<_> = answer.lines().filter(|line| line.starts_with("m=")).collect();
    let data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel";
    assert_eq!(m_lines, ["m=audio 0 UDP/TLS/RTP/SAVPF 0", "m=audio 9 UDP/TLS/RTP/SAVPF 111", data]);
    let (_, section) = answer.split_once(data).unwrap();
    for line in ["a=mid:2", "a=sctp-port:5000", "a=max-message-size:65536", "a=setup:passive"] {
        assert!(section.lines().any(|have| have == line), "{line} is missing in\n{answer}");
    }
    assert!(answer.contains("a=group:BUNDLE 1 2\r\n"), "{answer}");
}

#[test]
fn fragments_are_read() {
    let good = "a=ice-ufrag:them\r\na=ice-pwd:0123456789012345678901\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n\
                a=candidate:1 1 udp 2130706431 192.0.2.7 50000 typ host generation 0\r\na=end-of-candidates\r\n";
    assert_eq!(Fragment::read(good), Ok(Fragment { ufrag: Some("them".to_owned()) }));
    assert_eq!(Fragment::read(""), Ok(Fragment { ufrag: None }));
    for (bad, why) in [
        ("hello".to_owned(), FragmentError::Syntax),
        ("v=0".to_owned(), FragmentError::Syntax),
        (good.replace("them", "x"), FragmentError::Ufrag),
        (good.replace("50000", "500000"), FragmentError::Candidate),
        (good.replace("typ host", "host"), FragmentError::Candidate),
        ("a=".repeat(limits::SDP_BYTES_MAX), FragmentError::TooLarge),
    ] {
        assert_eq!(Fragment::read(&bad), Err(why), "{bad:.80}");
    }
}

#[test]
fn every_cut_of_an_offer_is_survived() {
    let good = usual();
    for end in 0..good.len() {
        let _ = RemoteOffer::read(&good[..end]);
        let _ = Fragment::read(&good[..end]);
    }
}
