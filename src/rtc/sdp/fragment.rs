//! Fragments of SDP with what a peer's ICE has found (RFC 8840 9).

use base::limits;

use super::peer::is_ufrag;
use crate::ice::IceCredentials;

/// What a fragment says. Its candidates are checked and forgotten: an ICE-lite agent sends no checks, so it needs none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The peer's ICE name that it is for.
    pub ufrag: Option<String>,
}

/// Why a fragment was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FragmentError {
    /// Larger than [`limits::SDP_BYTES_MAX`].
    #[error("the fragment has more than {} bytes", limits::SDP_BYTES_MAX)]
    TooLarge,
    /// A line is neither an m-line nor an attribute.
    #[error("the fragment is not sdp")]
    Syntax,
    /// A candidate without address or type.
    #[error("the fragment has a candidate that is none")]
    Candidate,
    /// `ice-ufrag` is too short, too long or not one.
    #[error("the fragment has no valid ice-ufrag")]
    Ufrag,
}

impl Fragment {
    /// Reads a fragment. Never panics.
    pub fn read(text: &str) -> Result<Self, FragmentError> {
        if text.len() > limits::SDP_BYTES_MAX {
            return Err(FragmentError::TooLarge);
        }
        let mut ufrag = None;
        for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
            match line.split_once('=') {
                Some(("a", attribute)) => match attribute.split_once(':') {
                    Some(("ice-ufrag", name)) if is_ufrag(name) => _ = ufrag.get_or_insert(name),
                    Some(("ice-ufrag", _)) => return Err(FragmentError::Ufrag),
                    Some(("candidate", candidate)) if !is_candidate(candidate) => {
                        return Err(FragmentError::Candidate);
                    }
                    _ => {}
                },
                Some(("m", _)) => {}
                _ => return Err(FragmentError::Syntax),
            }
        }
        Ok(Self { ufrag: ufrag.map(str::to_owned) })
    }
}

/// The fragment that tells a peer of a new ICE session (RFC 9725 4.3.3): its credentials, and where we are reached, each
/// for an m-line by its mid.
pub fn restarted(credentials: &IceCredentials, candidates: &[(String, String)]) -> String {
    let IceCredentials { ufrag, password } = credentials;
    let mut out = format!("a=ice-lite\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{}\r\n", password.expose());
    let mut of = None;
    for (mid, line) in candidates {
        if of != Some(mid) {
            of = Some(mid);
            // Its own words say nothing (RFC 8840 9).
            out += &format!("m=audio 9 RTP/AVP 0\r\na=mid:{mid}\r\n");
        }
        out += &format!("a={line}\r\n");
    }
    out + "a=end-of-candidates\r\n"
}

/// Foundation, component, transport, priority, address, port, `typ` and the type (RFC 8839 5.1).
fn is_candidate(text: &str) -> bool {
    let words: Vec<_> = text.split_ascii_whitespace().take(8).collect();
    let [_, component, _, priority, _, port, typ, _] = words.as_slice() else { return false };
    component.parse::<u16>().is_ok()
        && priority.parse::<u32>().is_ok()
        && port.parse::<u16>().is_ok()
        && *typ == "typ"
}
