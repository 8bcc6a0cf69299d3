//! A publisher's offer for the peer connection, and the connection's answer for the publisher.
//!
//! What is taken of an offer is settled here, so the connection is given no more than that, in the shape browsers have:
//! one m-line per kind that is taken, one codec in it, one transport for all. Its answer is put back among the m-lines that
//! were rejected.

use std::fmt::Write as _;

use base::Secret;
use media::Kind;

use super::TakenCodec;
use crate::ice::IceCredentials;
use crate::sdp::remote_offer::RemoteOffer;

/// Header extensions that are taken: what congestion control and bundling need. Not `video-orientation`: turned pictures
/// would have to be turned back for every output that knows no such thing.
const EXTENSIONS: [&str; 2] = [TRANSPORT_CC_URI, "urn:ietf:params:rtp-hdrext:sdes:mid"];
/// The header extension that counts all packets of a path.
pub const TRANSPORT_CC_URI: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
/// What is said of a transport.
const TRANSPORT: [&str; 4] = ["a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:", "a=setup:"];
/// Where tracks are said to belong; nobody reads it.
const MSID: &str = "publisher";

/// An SDP by its m-lines, as text.
struct Sections<'a> {
    session: Vec<&'a str>,
    media: Vec<Vec<&'a str>>,
}

impl<'a> Sections<'a> {
    fn of(text: &'a str) -> Self {
        let mut sections = Self { session: Vec::new(), media: Vec::new() };
        for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
            if line.starts_with("m=") {
                sections.media.push(Vec::new());
            }
            sections.media.last_mut().unwrap_or(&mut sections.session).push(line);
        }
        sections
    }
}

/// The first line that begins so, without its beginning.
fn value<'a>(lines: &[&'a str], beginning: &str) -> Option<&'a str> {
    lines.iter().find_map(|line| line.strip_prefix(beginning))
}

/// An offer of which some m-lines are taken.
#[derive(Clone, Debug)]
pub struct Simplified {
    /// What the peer connection is given.
    pub offer: String,
    /// The publisher wants to be the DTLS server.
    pub is_server: bool,
    /// The publisher's ICE name and password.
    pub credentials: IceCredentials,
    /// The sources (SSRCs) that it names.
    pub sources: Vec<(Kind, u32)>,
    /// Its number of the header extension [`TRANSPORT_CC_URI`].
    pub transport_cc: Option<u16>,
    /// The m-lines that are taken, by their places in the offer.
    kept: Vec<usize>,
    /// What the rejection of each m-line says.
    rejections: Vec<String>,
}

impl Simplified {
    /// Of an offer that was read ([`RemoteOffer::read_publish`]) from `text`: the m-lines of what is taken, and those of
    /// data channels if they are wanted.
    pub fn of(text: &str, offer: &RemoteOffer, taken: &[TakenCodec], with_data: bool) -> Self {
        let sections = Sections::of(text);
        let (mut kept, mut sources) = (Vec::new(), Vec::new());
        let mut out = String::with_capacity(text.len());
        let mut body = String::with_capacity(text.len());
        for (index, (lines, media)) in sections.media.iter().zip(&offer.media).enumerate() {
            let kind = media.takes.as_ref().map(|takes| takes.kind);
            let codec = kind.filter(|kind| offer.first_of(*kind) == Some(index));
            let codec = codec.and_then(|kind| taken.iter().find(|codec| codec.codec.kind() == kind));
            if codec.is_none() && !(with_data && media.data.is_some()) {
                continue;
            }
            kept.push(index);
            let mid = mid_of(&media.mid, index);
            // Writing to a string cannot fail.
            let _ = match codec {
                Some(codec) => {
                    let kind = codec.codec.kind();
                    let source = source(lines);
                    sources.extend(source.map(|source| (kind, source)));
                    write_media(&mut body, lines, codec, &mid, source)
                }
                None => write_data(&mut body, lines, &media.format, &mid),
            };
            body.push_str(&transport(&sections, &kept));
        }
        let mids: String = kept
            .iter()
            .filter_map(|at| Some(format!(" {}", mid_of(&offer.media.get(*at)?.mid, *at))))
            .collect();
        let _ = write!(out, "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE{mids}\r\n");
        out.push_str("a=msid-semantic: WMS *\r\n");
        out.push_str(&body);
        let rejections = offer.media.iter().map(|media| {
            let mid = if media.mid.is_empty() { String::new() } else { format!("a=mid:{}\r\n", media.mid) };
            let (media, protocol, format) = (&media.media, &media.protocol, &media.format);
            format!("m={media} 0 {protocol} {format}\r\nc=IN IP4 0.0.0.0\r\n{mid}a=inactive\r\n")
        });
        let is_server = out.contains("a=setup:passive\r\n");
        let said = |beginning| {
            out.lines().find_map(|line| line.strip_prefix(beginning)).unwrap_or_default().to_owned()
        };
        let credentials =
            IceCredentials { ufrag: said("a=ice-ufrag:"), password: Secret::new(said("a=ice-pwd:")) };
        let transport_cc = out.lines().find_map(|line| {
            let (id, uri) = line.strip_prefix("a=extmap:")?.split_once(' ')?;
            // A direction may stand behind it (RFC 8285 5).
            let id = id.split('/').next()?.parse().ok()?;
            (uri.split_ascii_whitespace().next() == Some(TRANSPORT_CC_URI)).then_some(id)
        });
        let rejections = rejections.collect();
        Self { offer: out, is_server, credentials, sources, transport_cc, rejections, kept }
    }

    /// The answer to the publisher's own offer, from the connection's to what it was given: with these candidates, and none
    /// of the connection's own. Pictures may have `video_max` bits per second. Sound is told no bandwidth: browsers take
    /// it for what they are to send.
    pub fn answer(&self, answer: &str, candidates: &[String], video_max: Option<u32>) -> String {
        let sections = Sections::of(answer);
        let mut out = String::with_capacity(answer.len() + 80 * candidates.len());
        let is_own = |line: &&&str| line.starts_with("a=candidate:") || **line == "a=end-of-candidates";
        let mut put = |line: &str| {
            out.push_str(line);
            out.push_str("\r\n");
        };
        sections.session.iter().for_each(|line| put(line));
        for (index, rejection) in self.rejections.iter().enumerate() {
            let Some(at) = self.kept.iter().position(|kept| *kept == index) else {
                rejection.lines().for_each(&mut put);
                continue;
            };
            let lines = sections.media.get(at).map(Vec::as_slice).unwrap_or_default();
            let is_video = lines.first().is_some_and(|line| line.starts_with("m=video "));
            let cap = video_max.filter(|_| is_video);
            for line in lines.iter().filter(|line| !is_own(line)) {
                put(line);
                // Its place is behind the connection data (RFC 8866 5).
                if let Some(bits) = cap.filter(|_| line.starts_with("c=")) {
                    put(&format!("b=AS:{}", bits.div_ceil(1_000)));
                    put(&format!("b=TIAS:{bits}"));
                }
            }
            // The first carries the others.
            if at == 0 {
                candidates.iter().for_each(|line| put(&format!("a={line}")));
                put("a=end-of-candidates");
            }
        }
        out
    }

    /// Where candidates belong that are told apart from the answer: the place and the name of its first m-line that lives.
    pub fn first(&self, answer: &str) -> (usize, String) {
        let mid =
            Sections::of(answer).media.first().and_then(|lines| value(lines, "a=mid:").map(str::to_owned));
        (self.kept.first().copied().unwrap_or(0), mid.unwrap_or_default())
    }
}

/// An m-line without a name has its place for one, which the connection needs.
fn mid_of(mid: &str, index: usize) -> String {
    if mid.is_empty() { index.to_string() } else { mid.to_owned() }
}

/// What the first m-line that is taken says of its transport, or the session, or the first of all m-lines: all of it counts
/// for every one of them (RFC 9143 7.1.3).
fn transport(sections: &Sections<'_>, kept: &[usize]) -> String {
    let first = kept.first().and_then(|at| sections.media.get(*at));
    let places = first.into_iter().chain([&sections.session]).chain(sections.media.first());
    let places: Vec<_> = places.collect();
    let mut out = String::new();
    for beginning in TRANSPORT {
        let wanted = |line: &&&str| {
            line.starts_with(beginning)
                && (beginning != "a=fingerprint:" || line.to_ascii_lowercase().contains("sha-256"))
        };
        if let Some(line) = places.iter().find_map(|lines| lines.iter().find(wanted)) {
            out.push_str(line);
            out.push_str("\r\n");
        }
    }
    out
}

/// The source (SSRC) that an m-line names first.
fn source(lines: &[&str]) -> Option<u32> {
    lines.iter().find_map(|line| line.strip_prefix("a=ssrc:")?.split(' ').next()?.parse().ok())
}

fn write_media(
    out: &mut String,
    lines: &[&str],
    codec: &TakenCodec,
    mid: &str,
    source: Option<u32>,
) -> std::fmt::Result {
    let (kind, number) = (codec.codec.kind().label(), codec.payload_type);
    write!(out, "m={kind} 9 UDP/TLS/RTP/SAVPF {number}\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\n")?;
    for line in lines.iter().filter(|line| line.starts_with("a=extmap:")) {
        if EXTENSIONS.iter().any(|uri| line.split_ascii_whitespace().nth(1) == Some(uri)) {
            write!(out, "{line}\r\n")?;
        }
    }
    write!(out, "a=sendonly\r\na=rtcp-mux\r\n")?;
    if lines.contains(&"a=rtcp-rsize") {
        out.push_str("a=rtcp-rsize\r\n");
    }
    for attribute in ["rtpmap", "rtcp-fb", "fmtp"] {
        let own = format!("a={attribute}:{number} ");
        let of_all = format!("a={attribute}:* ");
        for line in lines {
            if let Some(what) = line.strip_prefix(&own).or_else(|| line.strip_prefix(&of_all)) {
                write!(out, "a={attribute}:{number} {what}\r\n")?;
            }
        }
    }
    if let Some(source) = source {
        write!(
            out,
            "a=msid:{MSID} {kind}\r\na=ssrc:{source} cname:{MSID}\r\na=ssrc:{source} msid:{MSID} {kind}\r\n"
        )?;
    }
    Ok(())
}

fn write_data(out: &mut String, lines: &[&str], format: &str, mid: &str) -> std::fmt::Result {
    write!(out, "m=application 9 UDP/DTLS/SCTP {format}\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\n")?;
    for beginning in ["a=sctp-port:", "a=sctpmap:", "a=max-message-size:"] {
        if let Some(what) = value(lines, beginning) {
            write!(out, "{beginning}{what}\r\n")?;
        }
    }
    Ok(())
}

impl RemoteOffer {
    /// The first m-line of a kind that could be taken.
    fn first_of(&self, kind: Kind) -> Option<usize> {
        self.media.iter().position(|media| media.takes.as_ref().is_some_and(|takes| takes.kind == kind))
    }
}

#[cfg(test)]
mod tests;
