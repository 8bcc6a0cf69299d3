use super::super::{PublishCodecs, publish_codec};
use super::*;

const PRINT: &str =
    "CD:CD:CD:CD:CD:CD:CD:CD:CD:CD:CD:CD:CD:CD:CD:CD:CD:CD:CD:CD:CD:CD:CD:CD:CD:CD:CD:CD:CD:CD:CD:CD";
const ALL: PublishCodecs = PublishCodecs { h264: true, vp8: true };

fn line(kind: &str, mid: &str, codecs: &str, more: &str) -> String {
    let numbers: String = codecs
        .lines()
        .filter_map(|codec| Some(format!(" {}", codec.strip_prefix("a=rtpmap:")?.split(' ').next()?)))
        .collect();
    format!(
        "m={kind} 9 UDP/TLS/RTP/SAVPF{numbers}\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:them{mid}\r\n\
         a=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 {PRINT}\r\na=setup:actpass\r\na=mid:{mid}\r\n\
         a=extmap:3 {}\r\na=extmap:13 urn:3gpp:video-orientation\r\na=rtcp-mux\r\n{codecs}\r\n{more}",
        EXTENSIONS[0]
    )
}

fn offer(lines: &[String]) -> String {
    let mids: String = (0..lines.len()).map(|mid| format!(" {mid}")).collect();
    format!("v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE{mids}\r\n{}", lines.concat())
}

fn simplified(text: &str) -> Simplified {
    let offer = RemoteOffer::read_publish(text).unwrap();
    let taken = [Kind::Video, Kind::Audio].into_iter().filter_map(|kind| publish_codec(&offer, kind, ALL));
    Simplified::of(text, &offer, &taken.collect::<Vec<_>>(), true)
}

const OPUS: &str = "a=rtpmap:111 opus/48000/2";
const H264: &str = "a=rtpmap:96 VP8/90000\r\na=rtpmap:102 H264/90000\r\na=rtcp-fb:* nack\r\na=fmtp:102 packetization-mode=1;profile-level-id=42e01f";

#[test]
fn the_connection_is_given_what_is_taken_and_no_more() {
    let text = offer(&[
        line("video", "0", H264, "a=ssrc:7 cname:x\r\na=ssrc:7 msid:a b\r\n"),
        line("video", "1", H264, ""),
        line("audio", "2", OPUS, ""),
    ]);
    let given = simplified(&text);
    assert!(!given.is_server);
    assert!(given.offer.contains("a=group:BUNDLE 0 2\r\n"), "{}", given.offer);
    assert!(given.offer.contains("m=video 9 UDP/TLS/RTP/SAVPF 102\r\n"));
    assert!(
        given.offer.contains("a=rtcp-fb:102 nack\r\n")
            && given.offer.contains("a=ssrc:7 msid:publisher video")
    );
    assert!(!given.offer.contains("VP8") && !given.offer.contains("orientation"));
    // One transport for all.
    assert_eq!(given.offer.matches("a=ice-ufrag:them0").count(), 2);

    let answer = given.answer(
        "v=0\r\na=group:BUNDLE 0 2\r\nm=video 9 P 102\r\na=mid:0\r\na=candidate:own\r\nm=audio 9 P 111\r\na=mid:2\r\n",
        &["candidate:1".to_owned()],
        None,
    );
    assert_eq!(
        answer,
        "v=0\r\na=group:BUNDLE 0 2\r\nm=video 9 P 102\r\na=mid:0\r\na=candidate:1\r\na=end-of-candidates\r\n\
         m=video 0 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=inactive\r\n\
         m=audio 9 P 111\r\na=mid:2\r\n"
    );
    assert_eq!(given.first(&answer), (0, "0".to_owned()));
}

#[test]
fn a_limit_is_told_where_pictures_are() {
    let given = simplified(&offer(&[line("audio", "0", OPUS, ""), line("video", "1", H264, "")]));
    let own = "v=0\r\nm=audio 9 P 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\nm=video 9 P 102\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\n";
    assert_eq!(
        given.answer(own, &[], Some(400_500)),
        "v=0\r\nm=audio 9 P 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=end-of-candidates\r\n\
         m=video 9 P 102\r\nc=IN IP4 0.0.0.0\r\nb=AS:401\r\nb=TIAS:400500\r\na=mid:1\r\n"
    );
    assert!(!given.answer(own, &[], None).contains("b="));
}

#[test]
fn who_wants_to_be_the_server_is_let() {
    let text = offer(&[line("video", "0", H264, "")]).replace("actpass", "passive");
    assert!(simplified(&text).is_server);
    assert!(RemoteOffer::read(&text).is_err(), "players are not");
}

#[test]
fn h264_is_taken_first_and_vp8_where_it_may_be() {
    let offer = RemoteOffer::read_publish(&offer(&[line("video", "0", H264, "")])).unwrap();
    let taken = |h264, vp8| {
        publish_codec(&offer, Kind::Video, PublishCodecs { h264, vp8 }).map(|codec| codec.payload_type)
    };
    assert_eq!((taken(true, true), taken(false, true), taken(false, false)), (Some(102), Some(96), None));
}
