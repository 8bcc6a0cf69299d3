//! The framing of SCTP packets (RFC 9260 3), before the crate sees them.
//!
//! The crate believes lengths inside some chunks, walks as many TSNs as a FORWARD TSN claims, keeps every
//! reset that cannot be carried out yet and answers each anew with each DATA chunk. So it is shown nothing but
//! chunks that data channels need, whole and within bounds.

use base::limits;

const HEADER_BYTES: usize = 12;
const CHUNK_HEADER_BYTES: usize = 4;
/// Chunks of one packet: what is said in many small messages goes in one.
const CHUNKS_MAX: usize = 64;
/// TSNs that one SACK may name beyond its cumulative one; we never have as many on their way.
const GAPS_SPAN_MAX: usize = 1_024;
/// Parameters of one INIT.
const PARAMETERS_MAX: usize = 32;

const DATA: u8 = 0;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const SACK: u8 = 3;
const HEARTBEAT: u8 = 4;
const ABORT: u8 = 6;
const SHUTDOWN: u8 = 7;
const SHUTDOWN_ACK: u8 = 8;
const COOKIE_ECHO: u8 = 10;
const COOKIE_ACK: u8 = 11;
const SHUTDOWN_COMPLETE: u8 = 14;
const RE_CONFIG: u8 = 130;
const FORWARD_TSN: u8 = 192;

const HEARTBEAT_INFO: u16 = 1;
const OUTGOING_RESET_REQUEST: u16 = 13;
const RESET_RESPONSE: u16 = 16;

/// What is to be known of a chunk before the crate may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// A piece of a message, not empty.
    Data { tsn: u32, stream: u16 },
    /// The peer begins an association. Alone in its packet.
    Init { tag: u32, first_tsn: u32 },
    /// The peer answers an INIT of ours. Alone in its packet.
    InitAck { tag: u32, first_tsn: u32 },
    /// What the peer has.
    Sack,
    /// A question whether we are there.
    Heartbeat,
    /// The association begins.
    CookieEcho,
    /// The association that we began begins.
    CookieAck,
    /// Streams are reset; the sequence number of the peer's request, and the last TSN that went before it.
    Reset { request: u32, last_tsn: u32 },
    /// The answer to a request of ours.
    ResetResponse,
    /// The peer gives up what it sent up to there.
    ForwardTsn { to: u32 },
    /// The association ends, in whatever manner.
    End,
}

/// The chunks of a packet from the peer; `None` when the crate must not see it.
pub(super) fn read(packet: &[u8]) -> Option<Vec<Chunk>> {
    let (header, mut rest) = packet.split_at_checked(HEADER_BYTES)?;
    let tag = u32_at(header, 4)?;
    let mut chunks = Vec::with_capacity(4);
    while !rest.is_empty() {
        let length = usize::from(u16_at(rest, 2)?);
        let chunk = rest.get(..length)?;
        chunks.push(read_chunk(chunk.first_chunk()?, chunk.get(CHUNK_HEADER_BYTES..)?)?);
        if chunks.len() > CHUNKS_MAX {
            return None;
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
    let first = chunks.first()?;
    let is_init = matches!(first, Chunk::Init { .. });
    let is_alone = is_init || matches!(first, Chunk::InitAck { .. });
    if is_init != (tag == 0) || (is_alone && chunks.len() > 1) || !is_orderly(&chunks) {
        return None;
    }
    Some(chunks)
}

/// Of what is no DATA a packet has one of each: nobody says it twice at once.
fn is_orderly(chunks: &[Chunk]) -> bool {
    let mut kinds = chunks.iter().filter(|chunk| !matches!(chunk, Chunk::Data { .. }));
    let mut seen = [false; 8];
    kinds.all(|chunk| {
        let kind: usize = match chunk {
            Chunk::Data { .. } | Chunk::Init { .. } | Chunk::InitAck { .. } => 0,
            Chunk::Sack => 1,
            Chunk::Heartbeat => 2,
            Chunk::CookieEcho | Chunk::CookieAck => 3,
            Chunk::Reset { .. } => 4,
            Chunk::ResetResponse => 5,
            Chunk::ForwardTsn { .. } => 6,
            Chunk::End => 7,
        };
        seen.get_mut(kind).is_some_and(|seen| !std::mem::replace(seen, true))
    })
}

fn read_chunk(header: &[u8; CHUNK_HEADER_BYTES], body: &[u8]) -> Option<Chunk> {
    match header[0] {
        DATA => {
            let stream = u16_at(body, 4)?;
            // A message has a byte at least (RFC 8831 6.6), and we agreed on so many streams.
            (body.len() > 12 && stream < limits::DATA_STREAMS_MAX)
                .then_some(Chunk::Data { tsn: u32_at(body, 0)?, stream })
        }
        INIT | INIT_ACK if header[1] == 0 && are_parameters(body.get(16..)?) => {
            let (tag, first_tsn) = (u32_at(body, 0)?, u32_at(body, 12)?);
            let is_init = header[0] == INIT;
            Some(if is_init { Chunk::Init { tag, first_tsn } } else { Chunk::InitAck { tag, first_tsn } })
        }
        SACK => {
            let (blocks, repeats) = (usize::from(u16_at(body, 8)?), usize::from(u16_at(body, 10)?));
            let (blocks, rest) = body.get(12..)?.split_at_checked(4 * blocks)?;
            let mut span = 0;
            for block in blocks.as_chunks::<4>().0 {
                let (start, end) = (u16_at(block, 0)?, u16_at(block, 2)?);
                span += usize::from(end.checked_sub(start)?) + 1;
            }
            (rest.len() == 4 * repeats && span <= GAPS_SPAN_MAX).then_some(Chunk::Sack)
        }
        HEARTBEAT => {
            let length = usize::from(u16_at(body, 2)?);
            (u16_at(body, 0)? == HEARTBEAT_INFO && length == body.len()).then_some(Chunk::Heartbeat)
        }
        COOKIE_ACK if body.is_empty() => Some(Chunk::CookieAck),
        COOKIE_ECHO if !body.is_empty() => Some(Chunk::CookieEcho),
        RE_CONFIG => read_reset(body),
        FORWARD_TSN => {
            let streams = body.get(4..)?;
            let is_sound =
                streams.len().is_multiple_of(4) && streams.len() <= 4 * usize::from(limits::DATA_STREAMS_MAX);
            is_sound.then_some(Chunk::ForwardTsn { to: u32_at(body, 0)? })
        }
        ABORT | SHUTDOWN | SHUTDOWN_ACK | SHUTDOWN_COMPLETE => Some(Chunk::End),
        _ => None,
    }
}

/// A request, a response, or a response with a request of the peer's own (RFC 6525 3.1).
fn read_reset(body: &[u8]) -> Option<Chunk> {
    let first = parameter(body)?;
    let rest = body.get((CHUNK_HEADER_BYTES + first.1.len()).next_multiple_of(4)..).unwrap_or_default();
    let second = if rest.is_empty() { None } else { Some(parameter(rest)?) };
    if second.is_some_and(|(_, value)| value.len() + CHUNK_HEADER_BYTES != rest.len()) {
        return None;
    }
    let mut request = None;
    for (kind, value) in std::iter::once(first).chain(second) {
        match kind {
            OUTGOING_RESET_REQUEST if request.is_none() => {
                let (streams, odd) = value.get(12..)?.as_chunks::<2>();
                let known =
                    streams.iter().all(|stream| u16::from_be_bytes(*stream) < limits::DATA_STREAMS_MAX);
                if !odd.is_empty() || !known || streams.len() > usize::from(limits::DATA_STREAMS_MAX) {
                    return None;
                }
                request = Some(Chunk::Reset { request: u32_at(value, 0)?, last_tsn: u32_at(value, 8)? });
            }
            RESET_RESPONSE if matches!(value.len(), 8 | 16) => {}
            _ => return None,
        }
    }
    Some(request.unwrap_or(Chunk::ResetResponse))
}

/// The kind and value of the parameter that `bytes` begin with.
fn parameter(bytes: &[u8]) -> Option<(u16, &[u8])> {
    Some((u16_at(bytes, 0)?, bytes.get(CHUNK_HEADER_BYTES..usize::from(u16_at(bytes, 2)?))?))
}

fn are_parameters(mut bytes: &[u8]) -> bool {
    for _ in 0..PARAMETERS_MAX {
        if bytes.is_empty() {
            return true;
        }
        let Some((_, value)) = parameter(bytes) else { return false };
        let end = CHUNK_HEADER_BYTES + value.len();
        // The last one's padding is not counted.
        bytes = bytes.get(end.next_multiple_of(4)..).unwrap_or_default();
    }
    false
}

/// What a packet of ours with a SACK says: the last TSN of the peer before the first that is missing, and the
/// bytes it may send beyond what we have.
pub(super) fn own_sack(packet: &[u8]) -> Option<(u32, u32)> {
    let chunk = packet.get(HEADER_BYTES..)?;
    if *chunk.first()? != SACK {
        return None;
    }
    Some((u32_at(chunk, 4)?, u32_at(chunk, 8)?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(tag: u32, chunks: &[(u8, &[u8])]) -> Vec<u8> {
        let mut packet = vec![0x13, 0x88, 0x13, 0x88];
        packet.extend_from_slice(&tag.to_be_bytes());
        packet.extend_from_slice(&[0; 4]);
        for (kind, body) in chunks {
            packet.extend_from_slice(&[*kind, 3]);
            packet.extend_from_slice(&(body.len() as u16 + 4).to_be_bytes());
            packet.extend_from_slice(body);
            packet.resize(packet.len().next_multiple_of(4), 0);
        }
        if chunks.first().is_some_and(|(kind, _)| *kind == INIT) {
            packet[13] = 0;
        }
        packet
    }

    const HI: [u8; 14] = [0, 0, 0, 7, 0, 2, 0, 0, 0, 0, 0, 51, b'h', b'i'];
    const NOTHING_MISSING: [u8; 12] = [0, 0, 0, 9, 0, 1, 0, 0, 0, 0, 0, 0];
    const RESET: [u8; 20] = [0, 13, 0, 18, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 0, 0];

    #[test]
    fn what_data_channels_say_is_read() {
        let both = packet(1, &[(SACK, &NOTHING_MISSING), (DATA, &HI), (DATA, &HI)]);
        let data = Chunk::Data { tsn: 7, stream: 2 };
        assert_eq!(read(&both), Some(vec![Chunk::Sack, data, data]));
        let mut init = vec![0, 0, 0, 8, 0, 1, 0, 0, 0, 64, 0, 64, 0, 0, 0, 3];
        init.extend_from_slice(&[0xc0, 0, 0, 4, 0x80, 8, 0, 6, 130, 192]);
        let read_init = read(&packet(0, &[(INIT, &init)]));
        assert_eq!(read_init, Some(vec![Chunk::Init { tag: 8, first_tsn: 3 }]));
        let reset = Chunk::Reset { request: 5, last_tsn: 9 };
        assert_eq!(read(&packet(1, &[(RE_CONFIG, &RESET[..18])])), Some(vec![reset]));
        let mut answered = RESET.to_vec();
        answered.extend_from_slice(&[0, 16, 0, 12, 0, 0, 0, 1, 0, 0, 0, 1]);
        assert_eq!(read(&packet(1, &[(RE_CONFIG, &answered)])), Some(vec![reset]));
        let forward = packet(1, &[(FORWARD_TSN, &[0, 0, 0, 9, 0, 2, 0, 1])]);
        assert_eq!(read(&forward), Some(vec![Chunk::ForwardTsn { to: 9 }]));
        assert_eq!(read(&packet(1, &[(ABORT, &[0, 1, 255, 255])])), Some(vec![Chunk::End]));
    }

    #[test]
    fn what_they_never_say_is_not_shown_to_the_crate() {
        let mut stranger = HI;
        stranger[4..6].copy_from_slice(&limits::DATA_STREAMS_MAX.to_be_bytes());
        let mut many = RESET;
        many[16] = 0xff;
        let gaps = |start: u16, end: u16| {
            let mut sack = NOTHING_MISSING.to_vec();
            sack[9] = 1;
            sack.extend_from_slice(&start.to_be_bytes());
            sack.extend_from_slice(&end.to_be_bytes());
            sack
        };
        assert!(read(&packet(1, &[(SACK, &gaps(2, 9))])).is_some());
        type Case<'a> = (&'a str, u32, &'a [(u8, &'a [u8])]);
        let bodies: &[Case<'_>] = &[
            ("an empty message", 1, &[(DATA, &HI[..12])]),
            ("a stream that was not agreed on", 1, &[(DATA, &stranger)]),
            ("nothing", 1, &[]),
            ("an error, which ends the crate's association", 1, &[(9, &[0, 1, 0, 4])]),
            ("two SACKs", 1, &[(SACK, &NOTHING_MISSING), (SACK, &NOTHING_MISSING)]),
            ("gaps without end", 1, &[(SACK, &gaps(1, 5_000))]),
            ("gaps backwards", 1, &[(SACK, &gaps(9, 2))]),
            ("blocks that are not there", 1, &[(SACK, &[0, 0, 0, 9, 0, 1, 0, 0, 0, 9, 0, 0])]),
            ("data without a tag", 0, &[(DATA, &HI)]),
            ("an INIT with a tag", 1, &[(INIT, &[0, 0, 0, 8, 0, 1, 0, 0, 0, 64, 0, 64, 0, 0, 0, 3])]),
            ("a reset of a stream that was not agreed on", 1, &[(RE_CONFIG, &many[..18])]),
            ("a stray parameter", 1, &[(RE_CONFIG, &[0, 17, 0, 4])]),
            ("a kind nobody knows", 1, &[(0x42, &[0; 8])]),
        ];
        for (what, tag, chunks) in bodies {
            assert_eq!(read(&packet(*tag, chunks)), None, "{what}");
        }
        let crowd = vec![(DATA, &HI[..]); CHUNKS_MAX + 1];
        assert_eq!(read(&packet(1, &crowd)), None);
    }

    #[test]
    fn lengths_that_lie_are_noticed() {
        let good = packet(1, &[(SACK, &NOTHING_MISSING), (DATA, &HI), (RE_CONFIG, &RESET[..18])]);
        assert!(read(&good).is_some());
        // The chunks end at these bytes.
        let ends = [28, 48];
        for end in (0..good.len()).filter(|end| !ends.contains(end)) {
            assert_eq!(read(&good[..end]), None, "cut at {end}");
        }
        for at in 0..good.len() {
            for value in [0, 1, 127, 255] {
                let mut bad = good.clone();
                bad[at] = value;
                read(&bad);
            }
        }
    }
}
