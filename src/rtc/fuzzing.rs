//! Entry points for fuzzers: every reader that a stranger's bytes reach. None may panic.

mod data_channel;

use std::io::Cursor;

use base::Secret;
use media::Kind;
use rtc_sdp::description::session::SessionDescription;

use crate::dtls::HelloReader;
use crate::ice::IceCredentials;
use crate::sdp::{self, OfferedMedia};

pub use data_channel::data_channel;

/// The demultiplexer and the STUN responder.
pub fn stun(data: &[u8]) {
    if let crate::Datagram::Stun { .. } = crate::demux(data) {
        let Ok(provider) = rtc_crypto::default_provider() else { return };
        let credentials =
            IceCredentials { ufrag: "ufrag".to_owned(), password: Secret::new("password".to_owned()) };
        let from = std::net::SocketAddr::from(([192, 0, 2, 1], 1));
        let _ = crate::ice::answer_check(data, from, &credentials, None, provider.crypto());
    }
}

/// The reader of SDP answers.
pub fn sdp_answer(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let media = |mid: &str, kind, codecs| OfferedMedia {
        mid: mid.to_owned(),
        kind,
        label: sdp::track_label(kind, "s"),
        ssrc: 1,
        codecs,
        playout_delay: (kind == Kind::Video).then_some(sdp::PLAYOUT_DELAY_ID),
        reduced_size: true,
        active: true,
    };
    let offered = [
        media("0", Kind::Video, sdp::policy::h264([0x64, 0, 0x1f])),
        media("1", Kind::Audio, sdp::policy::opus(2)),
    ];
    let data = sdp::OfferedData { mid: "data".to_owned(), line: 2, active: true };
    let _ = sdp::read_answer(text, &offered, None);
    let _ = sdp::read_answer(text, &offered, Some(&data));
}

/// The reader of SDP offers, what is chosen from them, and the answer: what we write is SDP whatever came.
pub fn sdp_offer(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = sdp::Fragment::read(text);
    if let Ok(offer) = sdp::RemoteOffer::read_publish(text) {
        let all = sdp::PublishCodecs { h264: true, vp8: true };
        let taken = [Kind::Video, Kind::Audio].map(|kind| sdp::publish_codec(&offer, kind, all));
        let taken: Vec<_> = taken.into_iter().flatten().collect();
        let simplified = sdp::Simplified::of(text, &offer, &taken, true);
        let again = simplified.answer(&simplified.offer, &[], Some(400_000));
        let read = SessionDescription::unmarshal(&mut Cursor::new(again.as_bytes()));
        assert!(read.is_ok(), "{again}");
    }
    let Ok(offer) = sdp::RemoteOffer::read(text) else { return };
    let (video, audio) = (sdp::policy::h264([0x64, 0, 0x1f]), sdp::policy::opus(2));
    let wanted = [(Kind::Video, video.as_slice()), (Kind::Audio, audio.as_slice())];
    let Some(agreement) = offer.agree(wanted.into_iter(), true) else { return };
    let lines: Vec<_> = agreement.media.iter().map(|agreed| agreed.line).collect();
    let data =
        agreement.data.map(|agreed| sdp::OfferedData { mid: agreed.mid, line: agreed.line, active: true });
    let media: Vec<_> =
        agreement.media.into_iter().map(|agreed| agreed.offered("ARDAMSv".to_owned(), 1, None)).collect();
    let credentials = IceCredentials { ufrag: "ufrag".to_owned(), password: Secret::new("p".repeat(32)) };
    let session = sdp::Session {
        stream: "s",
        session: 1,
        version: 1,
        credentials: &credentials,
        fingerprint: "",
        cname: "c",
        candidates: &[],
        media: &media,
        data: data.as_ref(),
    };
    let lines_of = |text: &str| {
        let read = SessionDescription::unmarshal(&mut Cursor::new(text.as_bytes()));
        read.map(|session| session.media_descriptions.len())
    };
    let answered = lines_of(&session.answer(&offer, &lines).sdp);
    assert_eq!(answered.ok(), lines_of(text).ok(), "every m-line is answered");
}

/// The ClientHello reader. The input is cut into datagrams by two length bytes before each.
pub fn client_hello(mut data: &[u8]) {
    let mut reader = HelloReader::default();
    while let Some((length, rest)) = data.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (datagram, rest) = rest.split_at(length);
        data = rest;
        if !matches!(reader.push(datagram), Ok(None)) {
            return;
        }
    }
}

/// The reader of decrypted RTCP: a peer with keys may still lie.
pub fn rtcp(data: &[u8]) {
    let _ = crate::rtcp::read_feedback(data);
}
