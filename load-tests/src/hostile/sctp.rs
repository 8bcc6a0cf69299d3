//! SCTP written by hand (RFC 9260), because no library says what a hostile publisher says.

use std::collections::VecDeque;

use anyhow::{Context, ensure};
use bytes::Bytes;
use crc32c::crc32c;

/// Kinds of chunks.
pub mod kind {
    /// A piece of a message.
    pub const DATA: u8 = 0;
    /// The beginning of an association.
    pub const INIT: u8 = 1;
    /// What has come.
    pub const SACK: u8 = 3;
    /// A state cookie comes back.
    pub const COOKIE_ECHO: u8 = 10;
    /// All up to there is given up.
    pub const FORWARD_TSN: u8 = 192;
}

const INIT_ACK: u8 = 2;
const COOKIE_ACK: u8 = 11;
const STATE_COOKIE: u16 = 7;
const HEADER_BYTES: usize = 12;

/// The first number of what a hostile publisher sends.
pub const FIRST_TSN: u32 = 1_000;
/// A message that opens a data channel (RFC 8832 5.1): reliable, without a name.
pub const OPEN: [u8; 12] = [3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// What [`OPEN`] is called (RFC 8832 8.1), and text (RFC 8831 8).
pub const CONTROL: u32 = 50;
/// See [`CONTROL`].
pub const TEXT: u32 = 51;

/// A chunk as it is on the wire, with its true length.
pub fn chunk(kind: u8, flags: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 4).unwrap_or(u16::MAX).to_be_bytes();
    let mut chunk = [&[kind, flags][..], &length, body].concat();
    chunk.resize(chunk.len().next_multiple_of(4), 0);
    chunk
}

/// A piece of a message; `flags`: 2 begins it, 1 ends it, 4 is out of order.
pub fn data(flags: u8, tsn: u32, (stream, number): (u16, u16), what: u32, piece: &[u8]) -> Vec<u8> {
    let (stream, number) = (stream.to_be_bytes(), number.to_be_bytes());
    chunk(kind::DATA, flags, &[&tsn.to_be_bytes()[..], &stream, &number, &what.to_be_bytes(), piece].concat())
}

/// An INIT that offers what browsers offer, FORWARD TSN among it.
pub fn init(tag: u32, first_tsn: u32) -> Vec<u8> {
    let fixed = [&tag.to_be_bytes()[..], &[0, 2, 0, 0, 0, 64, 0, 64], &first_tsn.to_be_bytes()].concat();
    chunk(kind::INIT, 0, &[&fixed[..], &[0xc0, 0, 0, 4, 0x80, 8, 0, 6, 130, 192, 0, 0]].concat())
}

/// A packet of these chunks, with its checksum.
pub fn packet(tag: u32, chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut packet = [&[0x13, 0x88, 0x13, 0x88][..], &tag.to_be_bytes(), &[0; 4]].concat();
    packet.extend(chunks.concat());
    let sum = crc32c(&packet).to_le_bytes();
    packet.splice(8..HEADER_BYTES, sum);
    packet
}

/// The next step of an association that a packet of the node's leads to.
pub(super) enum Step {
    /// This is to be sent.
    Say(Vec<u8>),
    /// It stands.
    Stands,
    /// Nothing.
    Nothing,
}

/// How far an association is.
#[derive(Debug, Default)]
pub(super) struct Association {
    /// The node's tag, once it is known.
    pub(super) tag: Option<u32>,
    pub(super) stands: bool,
    /// Packets of the node's, to be looked at.
    pub(super) came: VecDeque<Bytes>,
}

impl Association {
    /// Takes a packet of the node's.
    pub(super) fn take(&mut self, packet: &[u8]) -> anyhow::Result<Step> {
        let chunk = packet.get(HEADER_BYTES..).context("no chunk")?;
        match chunk.first() {
            Some(&INIT_ACK) if self.tag.is_none() => {
                let tag = chunk.get(4..).and_then(<[u8]>::first_chunk).context("no tag")?;
                let tag = u32::from_be_bytes(*tag);
                self.tag = Some(tag);
                let cookie = cookie(chunk.get(20..).unwrap_or_default()).context("no cookie")?;
                Ok(Step::Say(self::packet(tag, &[self::chunk(kind::COOKIE_ECHO, 0, cookie)])))
            }
            Some(&COOKIE_ACK) => {
                ensure!(self.tag.is_some(), "a cookie that nobody sent");
                self.stands = true;
                Ok(Step::Stands)
            }
            _ => Ok(Step::Nothing),
        }
    }
}

fn cookie(mut parameters: &[u8]) -> Option<&[u8]> {
    loop {
        let [k0, k1, l0, l1] = *parameters.first_chunk()?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        if u16::from_be_bytes([k0, k1]) == STATE_COOKIE {
            return parameters.get(4..length);
        }
        parameters = parameters.get(length.next_multiple_of(4)..)?;
    }
}
