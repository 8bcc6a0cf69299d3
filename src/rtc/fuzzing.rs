//! Entry points for fuzzers: every reader that a stranger's bytes reach. None may panic.

use media::Kind;

use crate::dtls::HelloReader;
use crate::sdp::{self, OfferedMedia};

/// The demultiplexer and the STUN responder.
pub fn stun(data: &[u8]) {
    if let crate::Datagram::Stun { .. } = crate::demux(data) {
        let Ok(provider) = rtc_crypto::default_provider() else { return };
        let credentials = crate::ice::IceCredentials {
            ufrag: "ufrag".to_owned(),
            password: base::Secret::new("password".to_owned()),
        };
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
        playout_delay: kind == Kind::Video,
        active: true,
    };
    let offered = [
        media("0", Kind::Video, sdp::policy::h264([0x64, 0, 0x1f])),
        media("1", Kind::Audio, sdp::policy::opus(2)),
    ];
    let _ = sdp::read_answer(text, &offered);
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
