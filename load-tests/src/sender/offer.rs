//! The offer of a publisher, as a browser writes it of one picture and one sound, each in one codec.

use std::fmt::Write as _;

use crate::link::Credentials;
use crate::receiver::TrackKind;

/// The number of a track's payload type: Chromium's.
pub(super) const fn payload_type(kind: TrackKind) -> u8 {
    match kind {
        TrackKind::Audio => 111,
        TrackKind::Video => 102,
    }
}

/// Offers sound and picture, of these sources.
pub(super) fn write(
    own: &Credentials,
    fingerprint: &str,
    [audio, video]: [u32; 2],
    profile_level_id: &str,
) -> String {
    let Credentials { ufrag, password } = own;
    let mut text = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n".to_owned();
    let tracks = [(TrackKind::Audio, "audio", audio), (TrackKind::Video, "video", video)];
    for (mid, (kind, name, ssrc)) in tracks.into_iter().enumerate() {
        let number = payload_type(kind);
        let codec = match kind {
            TrackKind::Audio => {
                format!("a=rtpmap:{number} opus/48000/2\r\na=fmtp:{number} minptime=10;useinbandfec=1\r\n")
            }
            TrackKind::Video => format!(
                "a=rtpmap:{number} H264/90000\r\na=rtcp-fb:{number} ccm fir\r\na=rtcp-fb:{number} nack\r\n\
                 a=rtcp-fb:{number} nack pli\r\na=fmtp:{number} level-asymmetry-allowed=1;packetization-mode=1;\
                 profile-level-id={profile_level_id}\r\n"
            ),
        };
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "m={name} 9 UDP/TLS/RTP/SAVPF {number}\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:{ufrag}\r\n\
             a=ice-pwd:{password}\r\na=fingerprint:sha-256 {fingerprint}\r\na=setup:actpass\r\na=mid:{mid}\r\n\
             a=sendonly\r\na=msid:camera {name}\r\na=rtcp-mux\r\na=rtcp-rsize\r\n{codec}\
             a=ssrc:{ssrc} cname:camera\r\n"
        );
    }
    text
}
