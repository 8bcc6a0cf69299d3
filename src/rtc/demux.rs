//! Telling apart what arrives on one UDP port (RFC 7983), before any key is used.

/// Attributes looked at before the USERNAME must have come.
const ATTRIBUTES_MAX: usize = 32;
const STUN_HEADER_BYTES: usize = 20;
const STUN_COOKIE: [u8; 4] = 0x2112_A442_u32.to_be_bytes();
const ATTRIBUTE_USERNAME: u16 = 0x0006;
const ATTRIBUTE_MESSAGE_INTEGRITY: u16 = 0x0008;

/// What a datagram is, by its first byte and, for STUN, whom it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datagram<'a> {
    /// A well-formed STUN message. Nothing in it is authenticated yet.
    Stun {
        /// The part of USERNAME before the colon: the ufrag we gave out, if this is a check (RFC 8445 7.2.2).
        local_ufrag: Option<&'a str>,
    },
    /// A DTLS record.
    Dtls,
    /// RTP or RTCP, protected by SRTP.
    SrtpOrSrtcp,
    /// Nothing we speak, or malformed.
    Other,
}

/// Says what `datagram` is. Never fails and never allocates.
pub fn demux(datagram: &[u8]) -> Datagram<'_> {
    match datagram.first() {
        Some(0..=3) => stun(datagram).unwrap_or(Datagram::Other),
        Some(20..=63) => Datagram::Dtls,
        Some(128..=191) => Datagram::SrtpOrSrtcp,
        _ => Datagram::Other,
    }
}

/// Whether an SRTP datagram holds RTCP: payload types 192 to 223 (RFC 5761 4).
pub fn is_rtcp(datagram: &[u8]) -> bool {
    matches!(datagram.get(1), Some(192..=223))
}

/// The source (SSRC) of an SRTP or SRTCP datagram, which is not encrypted (RFC 3711 3.1, 3.4).
pub fn srtp_source(datagram: &[u8]) -> Option<u32> {
    let at = if is_rtcp(datagram) { 4 } else { 8 };
    datagram.get(at..)?.first_chunk().copied().map(u32::from_be_bytes)
}

fn stun(datagram: &[u8]) -> Option<Datagram<'_>> {
    let (header, mut rest) = datagram.split_at_checked(STUN_HEADER_BYTES)?;
    let length = usize::from(u16::from_be_bytes([*header.get(2)?, *header.get(3)?]));
    if header.get(4..8)? != STUN_COOKIE || length != rest.len() || length % 4 != 0 {
        return None;
    }
    let mut local_ufrag = None;
    for _ in 0..ATTRIBUTES_MAX {
        let Some((&[t0, t1, l0, l1], after)) = rest.split_first_chunk::<4>() else { break };
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let value = after.get(..length)?;
        rest = after.get(length.next_multiple_of(4)..)?;
        match u16::from_be_bytes([t0, t1]) {
            ATTRIBUTE_USERNAME => {
                let name = std::str::from_utf8(value).ok()?;
                local_ufrag = Some(name.split_once(':').map_or(name, |(local, _)| local));
                break;
            }
            // What follows is not covered by the integrity check.
            ATTRIBUTE_MESSAGE_INTEGRITY => break,
            _ => {}
        }
    }
    Some(Datagram::Stun { local_ufrag })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (kind, value) in attributes {
            body.extend_from_slice(&kind.to_be_bytes());
            body.extend_from_slice(&(value.len() as u16).to_be_bytes());
            body.extend_from_slice(value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut datagram = vec![0, 1];
        datagram.extend_from_slice(&(body.len() as u16).to_be_bytes());
        datagram.extend_from_slice(&STUN_COOKIE);
        datagram.extend_from_slice(&[7; 12]);
        datagram.extend_from_slice(&body);
        datagram
    }

    #[test]
    fn the_first_byte_decides() {
        for (byte, expected) in [
            (4, Datagram::Other),
            (19, Datagram::Other),
            (20, Datagram::Dtls),
            (63, Datagram::Dtls),
            (64, Datagram::Other),
            (127, Datagram::Other),
            (128, Datagram::SrtpOrSrtcp),
            (191, Datagram::SrtpOrSrtcp),
            (192, Datagram::Other),
        ] {
            assert_eq!(demux(&[byte, 0, 0]), expected, "{byte}");
        }
        assert_eq!(demux(&[]), Datagram::Other);
    }

    #[test]
    fn a_check_names_the_ufrag_we_gave_out() {
        let datagram = message(&[(0x0024, &[0; 4]), (ATTRIBUTE_USERNAME, b"ours:theirs")]);
        assert_eq!(demux(&datagram), Datagram::Stun { local_ufrag: Some("ours") });
    }

    #[test]
    fn a_name_behind_the_integrity_is_not_believed() {
        let datagram = message(&[(ATTRIBUTE_MESSAGE_INTEGRITY, &[0; 20]), (ATTRIBUTE_USERNAME, b"a:b")]);
        assert_eq!(demux(&datagram), Datagram::Stun { local_ufrag: None });
    }

    #[test]
    fn lengths_that_lie_make_it_no_stun() {
        let good = message(&[(ATTRIBUTE_USERNAME, b"ours:theirs")]);
        for end in 0..good.len() {
            assert_eq!(demux(&good[..end]), Datagram::Other, "cut at {end}");
        }
        let mut long = good.clone();
        long[STUN_HEADER_BYTES + 3] = 200;
        assert_eq!(demux(&long), Datagram::Other);
    }
}
