//! Reading a node's offer and answering it as a browser that only receives.

use std::fmt::Write as _;

use anyhow::{Context, bail};

use crate::link::{Credentials, Remote, value};

/// The kind of an m-line of data channels.
const DATA: &str = "application";

/// Audio or video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackKind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

/// A track the offer will send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OfferedTrack {
    pub(crate) kind: TrackKind,
    pub(crate) ssrc: u32,
    /// RTP ticks per second.
    pub(crate) clock_rate: u32,
}

/// What an offer says that a receiver needs.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) remote: Remote,
    pub(crate) tracks: Vec<OfferedTrack>,
    /// Whether data channels are taken where they are offered.
    pub(crate) takes_data: bool,
    group: String,
    media: Vec<Media>,
}

#[derive(Clone, Debug)]
struct Media {
    kind: String,
    protocol: String,
    active: bool,
    payload_type: String,
    mid: String,
    /// `rtpmap`, `fmtp` and `rtcp-fb` of the payload type, and the header extensions.
    copied: Vec<String>,
}

impl Offer {
    /// Reads an offer.
    pub(crate) fn read(sdp: &str) -> anyhow::Result<Self> {
        let mut offer = Self {
            remote: Remote::read(sdp)?,
            tracks: Vec::new(),
            takes_data: false,
            group: value(sdp, "a=group:")?.to_owned(),
            media: Vec::new(),
        };
        for section in sdp.split("\r\nm=").skip(1) {
            offer.read_section(section)?;
        }
        if offer.tracks.is_empty() {
            bail!("the offer sends no track");
        }
        Ok(offer)
    }

    fn read_section(&mut self, section: &str) -> anyhow::Result<()> {
        let first = section.lines().next().unwrap_or_default();
        let [kind, port, protocol, payload_type, ..] = first.split(' ').collect::<Vec<_>>()[..] else {
            bail!("not an m-line: {first}");
        };
        let mid = value(section, "a=mid:")?.to_owned();
        let active = port != "0" && !section.lines().any(|line| line == "a=inactive");
        let own = [
            format!("a=rtpmap:{payload_type} "),
            format!("a=fmtp:{payload_type} "),
            format!("a=rtcp-fb:{payload_type} "),
        ];
        let copied: Vec<String> = section
            .lines()
            .filter(|line| line.starts_with("a=extmap:") || own.iter().any(|start| line.starts_with(start)))
            .map(str::to_owned)
            .collect();
        if active && kind != DATA {
            let track_kind = match kind {
                "audio" => TrackKind::Audio,
                "video" => TrackKind::Video,
                _ => bail!("an m-line of kind {kind}"),
            };
            let ssrc = value(section, "a=ssrc:")?.split(' ').next().unwrap_or_default();
            let rate = value(section, &own[0])?.split('/').nth(1).unwrap_or_default();
            self.tracks.push(OfferedTrack {
                kind: track_kind,
                ssrc: ssrc.parse().context("ssrc")?,
                clock_rate: rate.parse().context("clock rate")?,
            });
        }
        self.media.push(Media {
            kind: kind.to_owned(),
            protocol: protocol.to_owned(),
            active,
            payload_type: payload_type.to_owned(),
            mid,
            copied,
        });
        Ok(())
    }

    /// The answer that takes every track in its preferred codec.
    pub(crate) fn answer(&self, own: &Credentials, fingerprint: &str) -> String {
        let mut text = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n".to_owned();
        let refused = |media: &&Media| media.kind == DATA && !self.takes_data;
        let refused: Vec<_> = self.media.iter().filter(refused).map(|media| media.mid.as_str()).collect();
        let group: Vec<_> = self.group.split(' ').filter(|mid| !refused.contains(mid)).collect();
        // Writing to a string cannot fail.
        let _ = write!(text, "a=group:{}\r\n", group.join(" "));
        for Media { kind, protocol, active, payload_type, mid, copied } in &self.media {
            let active = &(*active && !refused.contains(&mid.as_str()));
            let port = if *active { 9 } else { 0 };
            let _ = write!(
                text,
                "m={kind} {port} {protocol} {payload_type}\r\nc=IN IP4 0.0.0.0\r\n\
                 a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=fingerprint:sha-256 {fingerprint}\r\na=setup:active\r\n\
                 a=mid:{mid}\r\na={}\r\na=rtcp-mux\r\na=rtcp-rsize\r\n",
                own.ufrag,
                own.password,
                if *active { "recvonly" } else { "inactive" },
            );
            copied.iter().for_each(|line| text.extend([line, "\r\n"]));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn own() -> Credentials {
        Credentials { ufrag: "x".to_owned(), password: "y".to_owned() }
    }

    const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE v d\r\na=ice-lite\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 102 103\r\na=candidate:1 1 udp 5 127.0.0.1 7000 typ host\r\n\
        a=ice-ufrag:u\r\na=ice-pwd:p\r\na=fingerprint:sha-256 AA:BB\r\na=mid:v\r\na=sendonly\r\n\
        a=rtpmap:102 H264/90000\r\na=rtcp-fb:102 nack\r\na=rtpmap:103 H264/90000\r\na=ssrc:77 cname:c\r\n\
        m=audio 0 UDP/TLS/RTP/SAVPF 111\r\na=mid:a\r\na=inactive\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:d\r\n";

    #[test]
    fn an_offer_is_read_and_its_first_codec_taken() {
        let offer = Offer::read(OFFER).unwrap();
        assert_eq!(offer.remote.server, "127.0.0.1:7000".parse::<SocketAddr>().unwrap());
        assert_eq!(offer.tracks, [OfferedTrack { kind: TrackKind::Video, ssrc: 77, clock_rate: 90_000 }]);
        let answer = offer.answer(&own(), "CC");
        assert!(answer.contains("m=video 9 UDP/TLS/RTP/SAVPF 102\r\n"), "{answer}");
        assert!(answer.contains("a=rtcp-fb:102 nack\r\n") && !answer.contains("103"), "{answer}");
        assert!(answer.contains("m=audio 0 ") && answer.contains("a=inactive\r\n"), "{answer}");
        assert!(answer.contains("m=application 0 ") && answer.contains("BUNDLE v\r\n"), "{answer}");
        let listening = Offer { takes_data: true, ..offer };
        let answer = listening.answer(&own(), "CC");
        assert!(answer.contains("m=application 9 ") && answer.contains("BUNDLE v d\r\n"), "{answer}");
    }

    #[test]
    fn an_offer_without_an_address_is_refused() {
        assert!(Offer::read(&OFFER.replace(" udp ", " tcp ")).is_err());
    }
}
