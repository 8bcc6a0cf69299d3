//! What offers and answers of peers have in common.

use base::limits;
use rtc_sdp::description::media::MediaDescription;
use rtc_sdp::description::session::SessionDescription;

use super::read_fingerprint;
use crate::dtls::Fingerprint;

/// Bounds of RFC 8839 5.4.
const UFRAG_BYTES: std::ops::RangeInclusive<usize> = 4..=256;

/// Why it is not known which certificate a peer will show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unproven {
    /// `fingerprint` is missing or malformed.
    NoFingerprint,
    /// Only fingerprints of other hash functions than SHA-256.
    Algorithm,
}

/// How many m-lines a text has, before anything of it is read.
pub(super) fn count_media(text: &str) -> usize {
    // The reader takes either for the end of a line.
    text.split(['\r', '\n']).filter(|line| line.starts_with("m=")).count()
}

pub(super) fn value<'a>(line: &'a MediaDescription, key: &str) -> Option<&'a str> {
    line.attribute(key).flatten()
}

/// Whether the peer takes what is sent on an m-line.
pub(super) fn receives(line: &MediaDescription, session: &SessionDescription) -> bool {
    matches!(direction(line, session), "recvonly" | "sendrecv")
}

/// Whether the peer sends on an m-line.
pub(super) fn sends(line: &MediaDescription, session: &SessionDescription) -> bool {
    matches!(direction(line, session), "sendonly" | "sendrecv")
}

/// `sendrecv` is the default (RFC 8866 6.7.4); a direction of the session holds for every m-line
/// without its own.
fn direction(line: &MediaDescription, session: &SessionDescription) -> &'static str {
    const DIRECTIONS: [&str; 4] = ["recvonly", "sendrecv", "sendonly", "inactive"];
    let own = DIRECTIONS.into_iter().find(|key| line.has_attribute(key));
    own.or_else(|| DIRECTIONS.into_iter().find(|key| session.has_attribute(key))).unwrap_or("sendrecv")
}

/// The largest message that is sent to a peer, as it wishes (RFC 8841 6.1): zero is no wish.
pub(super) fn message_bytes_max(line: &MediaDescription) -> usize {
    let wished = value(line, "max-message-size").and_then(|text| text.trim().parse::<usize>().ok());
    let most = limits::DATA_MESSAGE_BYTES_MAX;
    wished.filter(|wished| *wished > 0).map_or(most, |wished| wished.min(most))
}

/// The mids of the first BUNDLE group.
fn group(session: &SessionDescription) -> Option<&str> {
    let groups = session.attributes.iter().filter(|attribute| attribute.key == "group");
    groups.filter_map(|attribute| attribute.value.as_deref()?.strip_prefix("BUNDLE ")).next()
}

pub(super) fn has_group(session: &SessionDescription) -> bool {
    group(session).is_some()
}

pub(super) fn is_bundled<'a>(session: &SessionDescription, mut mids: impl Iterator<Item = &'a str>) -> bool {
    let group = group(session).unwrap_or_default();
    mids.all(|mid| group.split_ascii_whitespace().any(|member| member == mid))
}

pub(super) fn is_ufrag(text: &str) -> bool {
    UFRAG_BYTES.contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_' | b'='))
}

pub(super) fn fingerprint(
    line: &MediaDescription,
    session: &SessionDescription,
) -> Result<Fingerprint, Unproven> {
    let own = line.attributes.iter().filter(|attribute| attribute.key == "fingerprint");
    let common = session.attributes.iter().filter(|attribute| attribute.key == "fingerprint");
    let mut algorithms =
        own.chain(common).filter_map(|attribute| attribute.value.as_deref()?.split_once(' ')).peekable();
    algorithms.peek().ok_or(Unproven::NoFingerprint)?;
    let (_, digest) = algorithms
        .find(|(algorithm, _)| algorithm.eq_ignore_ascii_case("sha-256"))
        .ok_or(Unproven::Algorithm)?;
    read_fingerprint(digest.trim()).ok_or(Unproven::NoFingerprint)
}
