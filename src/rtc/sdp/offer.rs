//! Writing an offer.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use media::Kind;

use super::OfferedCodec;
use crate::ice::IceCredentials;

/// Type preference of host candidates (RFC 8445 5.1.2.2).
const HOST_PREFERENCE: u32 = 126;
/// RTP, and with it everything, since RTCP is multiplexed.
const COMPONENT: u32 = 1;
/// What we offer the extension as; an answer may not change it (RFC 8285 6).
pub const PLAYOUT_DELAY_ID: u8 = 1;
/// The extension's name.
pub const PLAYOUT_DELAY_URI: &str = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay";

/// One m-line of an offer: a track that is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedMedia {
    /// Names the m-line for the life of the connection.
    pub mid: String,
    /// Audio or video.
    pub kind: Kind,
    /// The label pages know the track by (see [`super::track_label`]).
    pub label: String,
    /// The sender's name for the track.
    pub ssrc: u32,
    /// What it can be sent as, preferred first.
    pub codecs: Vec<OfferedCodec>,
    /// Offer the `playout-delay` extension.
    pub playout_delay: bool,
    /// `false` when the track is gone: m-lines are never removed (RFC 8829 5.2.2). It stays on the transport, so
    /// that the track can come back.
    pub active: bool,
}

/// Everything an offer of one connection says.
#[derive(Clone, Debug)]
pub struct SessionOffer<'a> {
    /// The stream's name: the first part of every msid.
    pub stream: &'a str,
    /// `o=` session id, below 2^63, the same in every offer of the connection.
    pub session: u64,
    /// `o=` session version, one more in every further offer.
    pub version: u64,
    /// Our ICE credentials.
    pub credentials: &'a IceCredentials,
    /// Our certificate's SHA-256, in SDP's form.
    pub fingerprint: &'a str,
    /// The canonical name of all tracks: the same, so that they are played in step.
    pub cname: &'a str,
    /// The addresses we can be reached at, preferred first.
    pub candidates: &'a [SocketAddr],
    /// The m-lines, in the order they were first offered.
    pub media: &'a [OfferedMedia],
}

/// An offer as signalling sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The text.
    pub sdp: String,
    /// From mid to track label, for AMS's `idMapping`.
    pub id_mapping: BTreeMap<String, String>,
    /// The candidates of the offer once more, for those who want them trickled: m-line index, mid, candidate line.
    pub candidates: Vec<(usize, String, String)>,
}

/// The candidate line of the `index`-th of our addresses, without `a=` (RFC 8839 5.1).
pub fn candidate(index: usize, address: SocketAddr) -> String {
    let local_preference = u32::from(u16::MAX - u16::try_from(index).unwrap_or(u16::MAX));
    let priority = HOST_PREFERENCE << 24 | local_preference << 8 | (256 - COMPONENT);
    let (foundation, ip, port) = (index + 1, address.ip().to_canonical(), address.port());
    format!("candidate:{foundation} {COMPONENT} udp {priority} {ip} {port} typ host")
}

impl SessionOffer<'_> {
    /// Writes the offer.
    pub fn write(&self) -> Offer {
        let lines: Vec<_> = self.candidates.iter().enumerate().map(|(i, a)| candidate(i, *a)).collect();
        let mut sdp = String::with_capacity(1024 + 1024 * self.media.len());
        // Writing to a string cannot fail.
        let _ = self.write_text(&lines, &mut sdp);
        let mid = self.media.first().map(|first| first.mid.clone()).unwrap_or_default();
        Offer {
            sdp,
            id_mapping: self
                .media
                .iter()
                .filter(|m| m.active)
                .map(|m| (m.mid.clone(), m.label.clone()))
                .collect(),
            candidates: lines.into_iter().map(|line| (0, mid.clone(), line)).collect(),
        }
    }

    fn write_text(&self, candidates: &[String], out: &mut String) -> std::fmt::Result {
        write!(out, "v=0\r\no=- {} {} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n", self.session, self.version)?;
        write!(out, "a=group:BUNDLE")?;
        for media in self.media {
            write!(out, " {}", media.mid)?;
        }
        write!(out, "\r\na=ice-lite\r\na=msid-semantic: WMS {}\r\n", self.stream)?;
        for media in self.media {
            self.write_media(media, candidates, out)?;
        }
        Ok(())
    }

    fn write_media(&self, media: &OfferedMedia, candidates: &[String], out: &mut String) -> std::fmt::Result {
        write!(out, "m={} 9 UDP/TLS/RTP/SAVPF", media.kind.label())?;
        for codec in &media.codecs {
            write!(out, " {}", codec.payload_type)?;
        }
        write!(out, "\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n")?;
        // In every m-line: the first may be refused, and the next carries the transport then.
        for candidate in candidates {
            write!(out, "a={candidate}\r\n")?;
        }
        if !candidates.is_empty() {
            write!(out, "a=end-of-candidates\r\n")?;
        }
        let IceCredentials { ufrag, password } = self.credentials;
        write!(out, "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{}\r\n", password.expose())?;
        write!(
            out,
            "a=fingerprint:sha-256 {}\r\na=setup:actpass\r\na=mid:{}\r\n",
            self.fingerprint, media.mid
        )?;
        write!(out, "a={}\r\n", if media.active { "sendonly" } else { "inactive" })?;
        write!(out, "a=msid:{} {}\r\na=rtcp-mux\r\na=rtcp-rsize\r\n", self.stream, media.label)?;
        if media.playout_delay {
            write!(out, "a=extmap:{PLAYOUT_DELAY_ID} {PLAYOUT_DELAY_URI}\r\n")?;
        }
        for OfferedCodec { payload_type, encoding, parameters, feedback } in &media.codecs {
            write!(out, "a=rtpmap:{payload_type} {encoding}\r\n")?;
            for kind in *feedback {
                write!(out, "a=rtcp-fb:{payload_type} {kind}\r\n")?;
            }
            write!(out, "a=fmtp:{payload_type} {parameters}\r\n")?;
        }
        write!(out, "a=ssrc:{} cname:{}\r\n", media.ssrc, self.cname)?;
        write!(out, "a=ssrc:{} msid:{} {}\r\n", media.ssrc, self.stream, media.label)
    }
}
