//! The SDP of publishers, as text that a test can bend: offers as programs made them, offers as browsers write them, and
//! what was answered.

use std::fmt::Write as _;

use anyhow::{Context, ensure};

/// A payload type's number, its name with the clock rate, and its parameters; none: empty.
pub type OfferedCodec<'a> = (u8, &'a str, &'a str);

/// H.264 as every browser has it: Constrained Baseline.
pub const H264_BASELINE: &str = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
/// VP8, in an offer.
pub const VP8: OfferedCodec<'_> = (96, "VP8/90000", "");
/// H.264, in an offer.
pub const H264: OfferedCodec<'_> = (102, "H264/90000", H264_BASELINE);
/// Sound, in an offer.
pub const OPUS: OfferedCodec<'_> = (111, "opus/48000/2", "minptime=10;useinbandfec=1");

/// What Chromium 156 offered for a page that publishes a camera and a microphone and opens a data channel, as pages of
/// the AMS SDK do.
pub fn chromium() -> String {
    recorded(include_str!("../offers/chromium-156.sdp"))
}

/// What the whip muxer of ffmpeg 9 offered: it wants to be the DTLS server.
pub fn ffmpeg() -> String {
    recorded(include_str!("../offers/ffmpeg-9.sdp"))
}

/// What aiortc 1.16 offered.
pub fn aiortc() -> String {
    recorded(include_str!("../offers/aiortc-1.16.sdp"))
}

/// With the line ends of SDP, which its file has not.
fn recorded(text: &str) -> String {
    text.replace('\n', "\r\n")
}

/// An m-line of a publisher as browsers write it. Whoever bends it finds in it `ice-ufrag:them`, `setup:actpass`,
/// `sendonly`, `rtcp-mux` and a fingerprint of `CD`.
pub fn offered_media(kind: &str, mid: &str, codecs: &[OfferedCodec<'_>]) -> String {
    let numbers: String = codecs.iter().map(|(number, ..)| format!(" {number}")).collect();
    let digest = ["CD"; 32].join(":");
    let mut text = format!(
        "m={kind} 9 UDP/TLS/RTP/SAVPF{numbers}\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
         a=ice-ufrag:them\r\na=ice-pwd:0123456789012345678901\r\na=ice-options:trickle\r\n\
         a=fingerprint:sha-256 {digest}\r\na=setup:actpass\r\na=mid:{mid}\r\n\
         a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n\
         a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=extmap:13 urn:3gpp:video-orientation\r\n\
         a=sendonly\r\na=msid:camera {kind}\r\na=rtcp-mux\r\na=rtcp-rsize\r\n"
    );
    for (number, name, parameters) in codecs {
        // A `String` can always be written to.
        let _ = write!(text, "a=rtpmap:{number} {name}\r\n");
        for feedback in ["goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"] {
            let _ = write!(text, "a=rtcp-fb:{number} {feedback}\r\n");
        }
        if !parameters.is_empty() {
            let _ = write!(text, "a=fmtp:{number} {parameters}\r\n");
        }
    }
    let source = if kind == "audio" { 1_001 } else { 2_002 };
    let _ = write!(text, "a=ssrc:{source} cname:camera\r\na=ssrc:{source} msid:camera {kind}\r\n");
    text
}

/// The m-line of a data channel, bundled with the others.
pub fn offered_data(mid: &str) -> String {
    let digest = ["CD"; 32].join(":");
    format!(
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:them\r\n\
         a=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 {digest}\r\na=setup:actpass\r\na=mid:{mid}\r\n\
         a=sctp-port:5000\r\na=max-message-size:262144\r\n"
    )
}

/// An offer of these m-lines, all bundled; their mids are 0, 1 and so on.
pub fn publish_offer(media: &[String]) -> String {
    let mids: String = (0..media.len()).map(|mid| format!(" {mid}")).collect();
    format!(
        "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE{mids}\r\n\
         a=extmap-allow-mixed\r\na=msid-semantic: WMS camera\r\n{}",
        media.concat()
    )
}

/// An m-line of an SDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SdpMedia {
    /// `audio`, `video`, `application`.
    pub kind: String,
    /// 0: rejected, unless it is bundled with another one and says so.
    pub port: u16,
    /// Numbers of payload types, in their order.
    pub formats: Vec<String>,
    /// Lines below it without their `a=`; what is said for the session stands first.
    pub attributes: Vec<String>,
}

impl SdpMedia {
    /// The m-lines of an SDP.
    ///
    /// # Errors
    /// It is none.
    pub fn read(text: &str) -> anyhow::Result<Vec<Self>> {
        ensure!(text.starts_with("v=0\r\n"), "not sdp: {text}");
        let attributes = |part: &str| -> Vec<String> {
            part.lines().filter_map(|line| line.strip_prefix("a=").map(str::to_owned)).collect()
        };
        let (session, media) = text.split_once("\r\nm=").with_context(|| format!("no m-line in {text}"))?;
        let session = attributes(session);
        let read = |part: &str| {
            let mut words = part.lines().next()?.split(' ');
            let (kind, port, _protocol) = (words.next()?, words.next()?, words.next()?);
            Some(Self {
                kind: kind.to_owned(),
                port: port.parse().ok()?,
                formats: words.map(str::to_owned).collect(),
                attributes: session.iter().cloned().chain(attributes(part)).collect(),
            })
        };
        let lines: Option<Vec<_>> = media.split("\r\nm=").map(read).collect();
        lines.with_context(|| format!("a bad m-line in {text}"))
    }

    /// The value of the last attribute of this name, which is the m-line's own if it has one.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().rev().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
    }

    /// Whether this stands there.
    pub fn says(&self, attribute: &str) -> bool {
        self.attributes.iter().any(|line| line == attribute)
    }

    /// What a payload type is, as in `H264/90000`.
    pub fn encoding(&self, format: &str) -> Option<&str> {
        let mut names =
            self.attributes.iter().filter_map(|line| line.strip_prefix("rtpmap:")?.split_once(' '));
        names.find(|(number, _)| *number == format).map(|(_, name)| name)
    }

    /// The codec that comes first, without its clock rate; a data channel's protocol; empty: it was rejected.
    pub fn codec(&self) -> &str {
        if self.port == 0 && !self.says("bundle-only") {
            return "";
        }
        let first = self.formats.first().map_or("", String::as_str);
        self.encoding(first).map_or(first, |name| name.split('/').next().unwrap_or(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_reads_back() {
        let text = publish_offer(&[
            offered_media("audio", "0", &[OPUS]),
            offered_media("video", "1", &[H264, VP8]),
            offered_data("2"),
        ]);
        let read = SdpMedia::read(&text).unwrap();
        let codecs: Vec<_> = read.iter().map(SdpMedia::codec).collect();
        assert_eq!(codecs, ["opus", "H264", "webrtc-datachannel"]);
        let [_, video, _] = read.as_slice() else { panic!("{read:?}") };
        assert_eq!(
            (video.kind.as_str(), video.port, video.formats.join(" ").as_str()),
            ("video", 9, "102 96")
        );
        assert_eq!(video.attribute("mid"), Some("1"));
        assert_eq!(video.attribute("group"), Some("BUNDLE 0 1 2"));
        assert_eq!(video.encoding("96"), Some("VP8/90000"));
        assert!(video.says("sendonly") && !video.says("recvonly"));
        let recorded = [chromium(), ffmpeg(), aiortc()].map(|text| SdpMedia::read(&text).unwrap());
        let codecs = recorded
            .map(|media| media.iter().map(|line| line.codec().to_owned()).collect::<Vec<_>>().join(" "));
        assert_eq!(codecs, ["opus VP8 webrtc-datachannel", "opus H264", "opus H264"]);
        let rejected = SdpMedia::read(&text.replace("m=video 9", "m=video 0")).unwrap();
        assert_eq!(rejected[1].codec(), "");
        assert!(SdpMedia::read("hello").is_err() && SdpMedia::read("v=0\r\ns=-\r\n").is_err());
    }
}
