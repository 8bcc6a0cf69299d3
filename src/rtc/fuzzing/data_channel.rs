//! Data channels as a peer with the keys reaches them: DCEP, and SCTP packets into an association that stands.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{Clock, SystemClock, limits};
use bytes::Bytes;
use crc32c::crc32c;
use rtc_sctp::{
    Association, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Payload, TransportConfig,
};
use rtc_shared::TransportProtocol;

use crate::sctp::{MessageKind, Received, Sctp, SctpEvent, dcep};

/// A packet that begins with this is given to the association as it stands, without this byte.
const RAW: u8 = 0xff;
const STEP: Duration = Duration::from_millis(150);
const PACKETS_MAX: usize = 64;

const DATA: u8 = 0;
const SACK: u8 = 3;
const RE_CONFIG: u8 = 130;
const FORWARD_TSN: u8 = 192;

/// The reader of channels' opening messages; then an association that is given packets. The input is cut into
/// packets by two length bytes before each. A packet is chunks: the header, with the right tag and checksum, is put
/// before them, and TSNs count from where those of the association began.
pub fn data_channel(mut data: &[u8]) {
    let _ = dcep::read(data);
    let mut now = SystemClock.now();
    let Some((mut sctp, peer)) = Peer::connected(now) else { return };
    // Something is on its way, for SACKs to speak of.
    let _ = sctp.open(1);
    for bytes in [1, 3_000, 40_000] {
        let _ = sctp.send(1, MessageKind::Binary, &vec![7; bytes].into(), now);
    }
    sctp.sent(now);
    for _ in 0..PACKETS_MAX {
        let Some((length, rest)) = data.split_first_chunk::<2>() else { return };
        let length =
            usize::from(u16::from_be_bytes(*length)).min(rest.len()).min(limits::SHARD_DATAGRAM_BYTES_MAX);
        let (packet, rest) = rest.split_at(length);
        data = rest;
        let packet = match packet.split_first() {
            Some((&RAW, raw)) => Bytes::copy_from_slice(raw),
            _ => peer.packet(packet),
        };
        let ended = matches!(sctp.receive(packet, now), Received::Ended(_));
        while let Some(event) = sctp.poll_event() {
            if let SctpEvent::Message { stream, payload, .. } = event {
                assert!(
                    payload.len() <= limits::DATA_MESSAGE_BYTES_MAX,
                    "a message of {} bytes",
                    payload.len()
                );
                assert!(stream < limits::DATA_STREAMS_MAX, "a message on stream {stream}");
            }
        }
        let mut packets = 0;
        while let Some(packet) = sctp.poll_transmit() {
            assert!(
                packet.len() <= limits::SHARD_DATAGRAM_BYTES_MAX * 2,
                "a packet of {} bytes",
                packet.len()
            );
            packets += 1;
        }
        assert!(packets < 200, "{packets} packets for one");
        if ended {
            return;
        }
        let most = (limits::DATA_CHUNKS_HELD_MAX + 64) * 2_000 + 100_000;
        assert!(sctp.held_bytes() < most, "{} bytes held", sctp.held_bytes());
        now += STEP;
        if sctp.handle_timeout(now).is_some() {
            return;
        }
    }
}

/// The other side of an association, by its numbers.
struct Peer {
    tag: u32,
    /// Where its TSNs and ours begin.
    theirs: u32,
    ours: u32,
}

impl Peer {
    fn connected(now: Instant) -> Option<(Sctp, Self)> {
        let here = SocketAddr::from(([192, 0, 2, 1], 5_000));
        let mut endpoint = Endpoint::new(here, TransportProtocol::UDP, Arc::new(EndpointConfig::new()), None);
        let (_, mut association) =
            endpoint.connect(now, ClientConfig::new(TransportConfig::default()), here).ok()?;
        let mut sctp = Sctp::new();
        let init = packets_of(&mut association, now).pop()?;
        sctp.receive(init.clone(), now);
        let answer = sctp.poll_transmit()?;
        let peer = Self { tag: u32_at(&answer, 16)?, theirs: u32_at(&init, 28)?, ours: u32_at(&answer, 28)? };
        let (_, DatagramEvent::AssociationEvent(event)) = endpoint.handle(now, here, None, answer)? else {
            return None;
        };
        association.handle_event(event);
        for packet in packets_of(&mut association, now) {
            sctp.receive(packet, now);
        }
        (sctp.poll_event() == Some(SctpEvent::Connected)).then_some((sctp, peer))
    }

    /// The packet of these chunks.
    fn packet(&self, chunks: &[u8]) -> Bytes {
        let mut packet = vec![0x13, 0x88, 0x13, 0x88];
        packet.extend_from_slice(&self.tag.to_be_bytes());
        packet.extend_from_slice(&[0; 4]);
        packet.extend_from_slice(chunks);
        let mut at = 12;
        while let Some(&[kind, _, high, low]) = packet.get(at..).and_then(<[u8]>::first_chunk) {
            match kind {
                DATA | FORWARD_TSN => shift(&mut packet, at + 4, self.theirs),
                SACK => shift(&mut packet, at + 4, self.ours.wrapping_sub(1)),
                RE_CONFIG => shift(&mut packet, at + 16, self.theirs),
                _ => {}
            }
            at += usize::from(u16::from_be_bytes([high, low])).next_multiple_of(4).max(4);
        }
        let checksum = crc32c(&packet).to_le_bytes();
        if let Some(place) = packet.get_mut(8..12) {
            place.copy_from_slice(&checksum);
        }
        packet.into()
    }
}

fn packets_of(association: &mut Association, now: Instant) -> Vec<Bytes> {
    let mut packets = Vec::new();
    while let Some(transmit) = association.poll_transmit(now) {
        if let Payload::RawEncode(some) = transmit.message {
            packets.extend(some);
        }
    }
    packets
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

fn shift(packet: &mut [u8], at: usize, by: u32) {
    if let Some(place) = packet.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<4>) {
        *place = u32::from_be_bytes(*place).wrapping_add(by).to_be_bytes();
    }
}
