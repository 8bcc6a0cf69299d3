//! Writing our half of an agreement: an offer, or the answer to the peer's.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use base::limits;
use media::Kind;

use super::remote_offer::{RemoteMedia, RemoteOffer};
use super::{DATA, OfferedCodec, SCTP_PORT};
use crate::ice::IceCredentials;

/// Type preference of host candidates (RFC 8445 5.1.2.2).
const HOST_PREFERENCE: u32 = 126;
/// The same over TCP: below everything that datagrams reach.
const TCP_HOST_PREFERENCE: u32 = 90;
/// RTP, and with it everything, since RTCP is multiplexed.
const COMPONENT: u32 = 1;
/// What we offer the extension as; an answer may not change it (RFC 8285 6).
pub const PLAYOUT_DELAY_ID: u8 = 1;
/// The extension's name.
pub const PLAYOUT_DELAY_URI: &str = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay";

/// One m-line of ours: a track that is sent.
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
    /// The id of the `playout-delay` extension, where it is offered.
    pub playout_delay: Option<u8>,
    /// RTCP may be of reduced size (RFC 5506).
    pub reduced_size: bool,
    /// `false` when the track is gone: m-lines are never removed (RFC 8829 5.2.2). It stays on the transport, so
    /// that the track can come back.
    pub active: bool,
}

/// Our m-line of data channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedData {
    /// Names it for the life of the connection.
    pub mid: String,
    /// Which m-line it is, from 0.
    pub line: usize,
    /// `false` when the peer has refused it.
    pub active: bool,
}

/// Everything our side of one connection says.
#[derive(Clone, Debug)]
pub struct Session<'a> {
    /// The stream's name: the first part of every msid.
    pub stream: &'a str,
    /// `o=` session id, below 2^63, the same in every description of the connection.
    pub session: u64,
    /// `o=` session version, one more in every further one.
    pub version: u64,
    /// Our ICE credentials.
    pub credentials: &'a IceCredentials,
    /// Our certificate's SHA-256, in SDP's form.
    pub fingerprint: &'a str,
    /// The canonical name of all tracks: the same, so that they are played in step.
    pub cname: &'a str,
    /// The addresses we can be reached at, preferred first.
    pub candidates: &'a [Candidate],
    /// The m-lines of tracks, in the order they were first offered.
    pub media: &'a [OfferedMedia],
    /// The m-line of data channels, among those.
    pub data: Option<&'a OfferedData>,
}

/// Our half of an agreement as signalling sends it: an offer, or the answer to the peer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The text.
    pub sdp: String,
    /// From mid to track label, for AMS's `idMapping`.
    pub id_mapping: BTreeMap<String, String>,
    /// The candidates once more, for those who want them trickled: m-line index, mid, candidate line.
    pub candidates: Vec<(usize, String, String)>,
}

/// One of our addresses, and how it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidate {
    /// By datagrams.
    Udp(SocketAddr),
    /// By connections that the peer makes (RFC 6544, passive).
    Tcp(SocketAddr),
}

/// The candidate line of the `index`-th of our addresses, without `a=` (RFC 8839 5.1, RFC 6544 4.5).
pub fn candidate(index: usize, candidate: Candidate) -> String {
    let (Candidate::Udp(address) | Candidate::Tcp(address)) = candidate;
    let (transport, preference, kind) = match candidate {
        Candidate::Udp(_) => ("udp", HOST_PREFERENCE, ""),
        Candidate::Tcp(_) => ("tcp", TCP_HOST_PREFERENCE, " tcptype passive"),
    };
    let local_preference = u32::from(u16::MAX - u16::try_from(index).unwrap_or(u16::MAX));
    let priority = preference << 24 | local_preference << 8 | (256 - COMPONENT);
    let (foundation, ip, port) = (index + 1, address.ip().to_canonical(), address.port());
    format!("candidate:{foundation} {COMPONENT} {transport} {priority} {ip} {port} typ host{kind}")
}

/// Whose turn it was to offer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Offers,
    Answers,
}

/// One m-line of ours.
#[derive(Clone, Copy)]
enum Line<'a> {
    Media(&'a OfferedMedia),
    Data(&'a OfferedData),
}

impl Session<'_> {
    /// Writes an offer.
    pub fn offer(&self) -> Description {
        let mut lines: Vec<_> = self.media.iter().map(Line::Media).collect();
        if let Some(data) = self.data {
            lines.insert(data.line.min(lines.len()), Line::Data(data));
        }
        self.describe(|candidates, out| {
            self.write_session(Some(&bundle(&lines)), out)?;
            lines.iter().try_for_each(|line| self.write_line(*line, Role::Offers, candidates, out))
        })
    }

    /// Writes the answer to an offer: our m-lines stand where [`lines`](crate::sdp::AgreedMedia::line) say, the
    /// others are rejected (RFC 3264 6).
    pub fn answer(&self, to: &RemoteOffer, lines: &[usize]) -> Description {
        let ours = |line: usize| {
            let media = lines.iter().position(|ours| *ours == line).and_then(|at| self.media.get(at));
            let data = || self.data.filter(|data| data.line == line).map(Line::Data);
            media.map(Line::Media).or_else(data)
        };
        let taken: Vec<_> = (0..to.media.len()).filter_map(ours).collect();
        self.describe(|candidates, out| {
            self.write_session(to.bundled.then(|| bundle(&taken)).as_deref(), out)?;
            to.media.iter().enumerate().try_for_each(|(line, theirs)| match ours(line) {
                Some(line) => self.write_line(line, Role::Answers, candidates, out),
                None => write_rejection(theirs, out),
            })
        })
    }

    fn describe(&self, write: impl FnOnce(&[String], &mut String) -> std::fmt::Result) -> Description {
        let lines: Vec<_> = self.candidates.iter().enumerate().map(|(i, a)| candidate(i, *a)).collect();
        let mut sdp = String::with_capacity(1024 + 1024 * self.media.len());
        // Writing to a string cannot fail.
        let _ = write(&lines, &mut sdp);
        let mid = self.media.first().map(|first| first.mid.clone()).unwrap_or_default();
        let sent = self.media.iter().filter(|media| media.active);
        Description {
            sdp,
            id_mapping: sent.map(|media| (media.mid.clone(), media.label.clone())).collect(),
            candidates: lines.into_iter().map(|line| (0, mid.clone(), line)).collect(),
        }
    }

    fn write_session(&self, bundle: Option<&[&str]>, out: &mut String) -> std::fmt::Result {
        write!(out, "v=0\r\no=- {} {} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n", self.session, self.version)?;
        if let Some(bundle) = bundle {
            write!(out, "a=group:BUNDLE {}\r\n", bundle.join(" "))?;
        }
        write!(out, "a=ice-lite\r\na=msid-semantic: WMS {}\r\n", self.stream)
    }

    fn write_line(
        &self,
        line: Line<'_>,
        role: Role,
        candidates: &[String],
        out: &mut String,
    ) -> std::fmt::Result {
        match line {
            Line::Media(media) => self.write_media(media, role, candidates, out),
            Line::Data(data) => self.write_data(data, role, candidates, out),
        }
    }

    fn write_data(
        &self,
        data: &OfferedData,
        role: Role,
        candidates: &[String],
        out: &mut String,
    ) -> std::fmt::Result {
        let (media, protocol, format) = DATA;
        if !data.active {
            write!(out, "m={media} 0 {protocol} {format}\r\nc=IN IP4 0.0.0.0\r\n")?;
            return write_mid(&data.mid, out);
        }
        write!(out, "m={media} 9 {protocol} {format}\r\nc=IN IP4 0.0.0.0\r\n")?;
        self.write_transport(role, candidates, out)?;
        write_mid(&data.mid, out)?;
        write!(out, "a=sctp-port:{SCTP_PORT}\r\na=max-message-size:{}\r\n", limits::DATA_MESSAGE_BYTES_MAX)
    }

    fn write_transport(&self, role: Role, candidates: &[String], out: &mut String) -> std::fmt::Result {
        // In every m-line: the first may be refused, and the next carries the transport then.
        for candidate in candidates {
            write!(out, "a={candidate}\r\n")?;
        }
        if !candidates.is_empty() {
            write!(out, "a=end-of-candidates\r\n")?;
        }
        let IceCredentials { ufrag, password } = self.credentials;
        write!(out, "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{}\r\n", password.expose())?;
        let setup = if role == Role::Offers { "actpass" } else { "passive" };
        write!(out, "a=fingerprint:sha-256 {}\r\na=setup:{setup}\r\n", self.fingerprint)
    }

    fn write_media(
        &self,
        media: &OfferedMedia,
        role: Role,
        candidates: &[String],
        out: &mut String,
    ) -> std::fmt::Result {
        write!(out, "m={} 9 UDP/TLS/RTP/SAVPF", media.kind.label())?;
        for codec in &media.codecs {
            write!(out, " {}", codec.payload_type)?;
        }
        write!(out, "\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n")?;
        self.write_transport(role, candidates, out)?;
        write_mid(&media.mid, out)?;
        write!(out, "a={}\r\n", if media.active { "sendonly" } else { "inactive" })?;
        write!(out, "a=msid:{} {}\r\na=rtcp-mux\r\n", self.stream, media.label)?;
        if media.reduced_size {
            write!(out, "a=rtcp-rsize\r\n")?;
        }
        if let Some(id) = media.playout_delay {
            write!(out, "a=extmap:{id} {PLAYOUT_DELAY_URI}\r\n")?;
        }
        for OfferedCodec { payload_type, encoding, parameters, feedback } in &media.codecs {
            write!(out, "a=rtpmap:{payload_type} {encoding}\r\n")?;
            for kind in feedback {
                write!(out, "a=rtcp-fb:{payload_type} {kind}\r\n")?;
            }
            if !parameters.is_empty() {
                write!(out, "a=fmtp:{payload_type} {parameters}\r\n")?;
            }
        }
        write!(out, "a=ssrc:{} cname:{}\r\n", media.ssrc, self.cname)?;
        write!(out, "a=ssrc:{} msid:{} {}\r\n", media.ssrc, self.stream, media.label)
    }
}

/// The mids of m-lines that share the transport.
fn bundle<'a>(lines: &[Line<'a>]) -> Vec<&'a str> {
    let taken = lines.iter().filter_map(|line| match line {
        Line::Media(media) => Some(media.mid.as_str()),
        Line::Data(data) => data.active.then_some(data.mid.as_str()),
    });
    taken.collect()
}

fn write_rejection(theirs: &RemoteMedia, out: &mut String) -> std::fmt::Result {
    let RemoteMedia { media, protocol, format, mid, .. } = theirs;
    write!(out, "m={media} 0 {protocol} {format}\r\nc=IN IP4 0.0.0.0\r\n")?;
    write_mid(mid, out)?;
    write!(out, "a=inactive\r\n")
}

fn write_mid(mid: &str, out: &mut String) -> std::fmt::Result {
    if mid.is_empty() { Ok(()) } else { write!(out, "a=mid:{mid}\r\n") }
}
