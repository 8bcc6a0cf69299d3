use std::net::SocketAddr;

use base::Secret;

use super::*;
use crate::ice::IceCredentials;

fn media() -> Vec<OfferedMedia> {
    vec![
        OfferedMedia {
            mid: "0".into(),
            kind: Kind::Video,
            label: track_label(Kind::Video, "s1"),
            ssrc: 11,
            codecs: policy::h264([0x64, 0x00, 0x1f]),
            playout_delay: Some(PLAYOUT_DELAY_ID),
            reduced_size: true,
            active: true,
        },
        OfferedMedia {
            mid: "1".into(),
            kind: Kind::Audio,
            label: track_label(Kind::Audio, "s1"),
            ssrc: 12,
            codecs: policy::opus(2),
            playout_delay: None,
            reduced_size: true,
            active: true,
        },
    ]
}

fn offer() -> Description {
    offer_with(None)
}

fn offer_with(data: Option<&OfferedData>) -> Description {
    let addresses: [SocketAddr; 2] =
        ["192.0.2.1:50000".parse().unwrap(), "[2001:db8::1]:50000".parse().unwrap()];
    let candidates = addresses.map(Candidate::Udp);
    Session {
        stream: "s1",
        session: 7,
        version: 2,
        credentials: &IceCredentials { ufrag: "ufrg".into(), password: Secret::new("p".repeat(32)) },
        fingerprint: &fingerprint_text(&[0xab; 32]),
        cname: "cname",
        candidates: &candidates,
        media: &media(),
        data,
    }
    .offer()
}

#[test]
fn a_connection_is_a_candidate_below_all_datagrams() {
    let address = "192.0.2.1:50000".parse().unwrap();
    assert_eq!(
        candidate(0, Candidate::Tcp(address)),
        "candidate:1 1 tcp 1526726655 192.0.2.1 50000 typ host tcptype passive"
    );
    let priority = |candidate: String| -> u32 { candidate.split(' ').nth(3).unwrap().parse().unwrap() };
    assert!(
        priority(candidate(9, Candidate::Udp(address))) > priority(candidate(0, Candidate::Tcp(address)))
    );
}

fn answer() -> String {
    let digest = fingerprint_text(&[0xcd; 32]);
    let line = |kind: &str, mid: &str, formats: &str, feedback: &str| {
        format!(
            "m={kind} 9 UDP/TLS/RTP/SAVPF {formats}\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:them\r\n\
             a=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 {digest}\r\na=setup:active\r\n\
             a=mid:{mid}\r\na=recvonly\r\na=rtcp-mux\r\n{feedback}"
        )
    };
    format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n{}{}",
        line(
            "video",
            "0",
            "97",
            "a=rtpmap:97 H264/90000\r\na=rtcp-fb:97 nack\r\na=rtcp-fb:* nack pli\r\na=extmap:1 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay\r\n"
        ),
        line("audio", "1", "111", "a=fmtp:111 minptime=10;useinbandfec=1; stereo=1\r\n"),
    )
}

#[test]
fn the_offer_names_tracks_as_ams_pages_expect() {
    let offer = offer();
    for line in [
        "a=group:BUNDLE 0 1",
        "a=ice-lite",
        "a=msid:s1 ARDAMSvs1",
        "a=msid:s1 ARDAMSas1",
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "a=sendonly",
        "a=setup:actpass",
        "a=rtcp-mux",
        "a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=64001f",
        "a=fmtp:97 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        "a=rtcp-fb:96 nack pli",
        "a=extmap:1 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:111 minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1",
        "a=candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host",
        "a=candidate:2 1 udp 2130706175 2001:db8::1 50000 typ host",
        "a=ssrc:11 cname:cname",
    ] {
        assert!(offer.sdp.lines().any(|have| have == line), "{line} is missing in\n{}", offer.sdp);
    }
    assert_eq!(
        offer.id_mapping.into_iter().collect::<Vec<_>>(),
        [("0".to_owned(), "ARDAMSvs1".to_owned()), ("1".to_owned(), "ARDAMSas1".to_owned())]
    );
    assert_eq!(offer.candidates.len(), 2);
    assert_eq!(offer.candidates[0].1, "0");
}

#[test]
fn the_offer_is_sdp_to_another_reader() {
    let mut text = std::io::Cursor::new(offer().sdp.into_bytes());
    let read = rtc_sdp::description::session::SessionDescription::unmarshal(&mut text).unwrap();
    assert_eq!(read.media_descriptions.len(), 2);
    assert_eq!(read.media_descriptions[0].codecs().len(), 2);
}

#[test]
fn a_stream_of_the_baseline_is_offered_once() {
    assert_eq!(policy::h264([0x42, 0xe0, 0x1f]).len(), 1);
}

#[test]
fn vp8_is_offered_as_it_is() {
    let config = media::CodecConfig::Vp8(media::Vp8Config { width: 320, height: 180 });
    let offered = policy::offered(&config).unwrap();
    let [vp8] = offered.as_slice() else { panic!("{offered:?}") };
    assert_eq!((vp8.encoding, vp8.parameters.as_str()), ("VP8/90000", ""));
    assert_eq!(vp8.feedback, ["nack", "nack pli", "ccm fir"]);
}

#[test]
fn an_answer_is_read() {
    let read = read_answer(&answer(), &media(), None).unwrap();
    assert_eq!((read.transport.ufrag.as_str(), read.transport.fingerprint), ("them", [0xcd; 32]));
    assert_eq!(
        read.media,
        [
            AnsweredMedia { payload_type: Some(97), nack: true, pli: true, playout_delay: true },
            AnsweredMedia { payload_type: Some(111), nack: false, pli: false, playout_delay: false },
        ]
    );
}

#[test]
fn refused_and_silent_tracks_are_not_sent() {
    let refused = answer().replace("m=audio 9", "m=audio 0");
    assert_eq!(read_answer(&refused, &media(), None).unwrap().media[1].payload_type, None);
    let silent = answer().replace("a=mid:0\r\na=recvonly", "a=mid:0\r\na=inactive");
    assert_eq!(read_answer(&silent, &media(), None).unwrap().media[0].payload_type, None);
}

#[test]
fn what_is_wrong_with_an_answer_is_named() {
    let good = answer();
    for (bad, why) in [
        (good.replace("setup:active", "setup:passive"), AnswerError::Setup("passive".into())),
        (good.replace("setup:active", "setup:actpass"), AnswerError::Setup("actpass".into())),
        (good.replace("a=setup:active\r\n", ""), AnswerError::Setup(String::new())),
        (good.replace("sha-256", "sha-1"), AnswerError::FingerprintAlgorithm),
        (good.replace("a=fingerprint:", "a=x:"), AnswerError::NoFingerprint),
        (good.replace("CD:CD", "CD:C"), AnswerError::NoFingerprint),
        (good.replace("ice-ufrag:them", "ice-ufrag:x"), AnswerError::NoUfrag),
        (good.replace("a=rtcp-mux\r\n", ""), AnswerError::NoRtcpMux),
        (good.replace("BUNDLE 0 1", "BUNDLE 0"), AnswerError::NotBundled),
        (good.replace("SAVPF 97", "SAVPF 120"), AnswerError::NoCommonCodec(0)),
        (good.replace("recvonly", "sendonly"), AnswerError::NothingAccepted),
        (good.replace("mid:0", "mid:7"), AnswerError::MediaMismatch),
        (good.replace("m=audio", "m=video"), AnswerError::MediaMismatch),
        (good.replace("v=0", &"x".repeat(base::limits::SDP_BYTES_MAX)), AnswerError::TooLarge),
        (format!("{good}{}", "m=audio 9 X 1\r\n".repeat(100)), AnswerError::TooManyMedia),
    ] {
        assert_eq!(read_answer(&bad, &media(), None), Err(why));
    }
    assert!(matches!(read_answer("", &media(), None), Err(AnswerError::Syntax(_))));
}

fn data(line: usize, active: bool) -> OfferedData {
    OfferedData { mid: "data".into(), line, active }
}

#[test]
fn data_channels_stand_where_they_were_first_offered() {
    let application = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel";
    let kinds = |offer: &Description| -> Vec<String> {
        let lines = offer.sdp.lines().filter_map(|line| line.strip_prefix("m="));
        lines.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
    };
    let last = offer_with(Some(&data(2, true)));
    assert_eq!(kinds(&last), ["video", "audio", "application"]);
    let (_, section) = last.sdp.split_once(application).unwrap();
    for line in
        ["a=mid:data", "a=sctp-port:5000", "a=max-message-size:65536", "a=setup:actpass", "a=ice-ufrag:ufrg"]
    {
        assert!(section.lines().any(|have| have == line), "{line} is missing in\n{}", last.sdp);
    }
    assert!(last.sdp.contains("a=group:BUNDLE 0 1 data\r\n"), "{}", last.sdp);
    assert_eq!(last.id_mapping.len(), 2, "pages take every entry for a track");
    // A track that came later.
    assert_eq!(kinds(&offer_with(Some(&data(1, true)))), ["video", "application", "audio"]);
    let refused = offer_with(Some(&data(2, false)));
    assert!(
        refused.sdp.contains("m=application 0 ") && refused.sdp.contains("BUNDLE 0 1\r\n"),
        "{}",
        refused.sdp
    );
}

#[test]
fn an_answer_takes_data_channels_or_does_not() {
    let line = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:data\r\n\
                a=sctp-port:5000\r\na=max-message-size:262144\r\n";
    let good = format!("{}{line}", answer().replace("BUNDLE 0 1", "BUNDLE 0 1 data"));
    let read = |text: &str| read_answer(text, &media(), Some(&data(2, true)));
    assert_eq!(read(&good).unwrap().data, Some(base::limits::DATA_MESSAGE_BYTES_MAX));
    assert_eq!(read(&good.replace(":262144", ":1000")).unwrap().data, Some(1_000));
    assert_eq!(
        read(&good.replace(":262144", ":0")).unwrap().data,
        Some(base::limits::DATA_MESSAGE_BYTES_MAX)
    );
    assert_eq!(read(&good.replace("m=application 9", "m=application 0")).unwrap().data, None);
    assert_eq!(read(&answer()), Err(AnswerError::MediaMismatch));
    assert_eq!(read(&good.replace("mid:data", "mid:other")), Err(AnswerError::MediaMismatch));
    assert_eq!(read(&good.replace("BUNDLE 0 1 data", "BUNDLE 0 1")), Err(AnswerError::NotBundled));
    assert_eq!(read_answer(&good, &media(), None), Err(AnswerError::MediaMismatch));
    // Nobody plays messages alone.
    let alone = good.replace("m=video 9", "m=video 0").replace("m=audio 9", "m=audio 0");
    assert_eq!(read(&alone), Err(AnswerError::NothingAccepted));
    for end in 0..good.len() {
        let _ = read(&good[..end]);
    }
}

#[test]
fn every_cut_of_an_answer_is_survived() {
    let good = answer();
    for end in 0..good.len() {
        let _ = read_answer(&good[..end], &media(), None);
    }
}
