//! SCTP over a player's DTLS (RFC 8831, 8261), on `rtc-sctp`: one association, begun by the peer.
//!
//! What this adds to the crate: only packets that data channels need reach it; what a peer may have it hold
//! is bounded; a repeated INIT is answered as the first one was; nothing but whole messages comes out.

mod admission;
pub mod dcep;
mod guard;
mod packet;
mod window;

use std::collections::VecDeque;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use base::limits;
use bytes::Bytes;
use rtc_sctp::{
    Association, DatagramEvent, Endpoint, EndpointConfig, Event, Payload, PayloadProtocolIdentifier,
    ReliabilityType, ServerConfig, StreamEvent, TimerConfig, TransportConfig, max_payload_size_for_mtu,
};
use rtc_shared::TransportProtocol;

use admission::Admission;
pub use guard::SctpGuard;
use packet::Chunk;

/// What DTLS 1.2 puts around a record with AES-GCM: header, explicit nonce, tag.
const DTLS_BYTES: usize = 37;
/// SCTP gives up nobody: a player that is gone is noticed by its silence.
const TRIES_MAX: usize = usize::MAX;
/// What is sent of a message without content, which SCTP cannot carry (RFC 8831 6.6).
const EMPTY: &[u8] = &[0];

/// What a message is, by its payload protocol identifier (RFC 8831 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// UTF-8.
    Text,
    /// Bytes.
    Binary,
    /// Of the data channel establishment protocol.
    Control,
    /// Nothing a data channel carries.
    Other,
}

/// What an association brought.
#[derive(Debug, PartialEq, Eq)]
pub enum SctpEvent {
    /// It stands: streams may be opened.
    Connected,
    /// A whole message of the peer's.
    Message {
        /// On which stream.
        stream: u16,
        /// What it is.
        kind: MessageKind,
        /// Its content, empty where the message stands for none.
        payload: Bytes,
    },
    /// The peer closed a stream, and with it the stream is closed our way, too.
    Closed {
        /// Which one.
        stream: u16,
    },
}

/// Why an association is over. There is no second one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SctpEnd {
    /// The peer said so.
    #[error("the peer ended its association")]
    ByPeer,
    /// The peer has more unfinished than [`limits::DATA_CHUNKS_HELD_MAX`].
    #[error("more than {} pieces of messages are not whole", limits::DATA_CHUNKS_HELD_MAX)]
    TooMuchHeld,
    /// A message of the peer's is larger than [`limits::DATA_MESSAGE_BYTES_MAX`].
    #[error("a message has more than {} bytes", limits::DATA_MESSAGE_BYTES_MAX)]
    MessageTooLarge,
    /// The peer closed streams more than [`limits::DATA_RESETS_MAX`] times.
    #[error("streams were closed more than {} times", limits::DATA_RESETS_MAX)]
    TooManyResets,
    /// The peer acknowledged what was never sent, or the like.
    #[error("the peer broke the protocol")]
    Broken,
}

/// What came of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It was taken.
    Taken,
    /// It was not: malformed, out of place, or too far ahead. The peer sends again what it has to.
    Refused,
    /// With it the association is over.
    Ended(SctpEnd),
}

/// What was sent and not acknowledged, in the order it was sent.
#[derive(Debug, Default)]
struct Unacknowledged {
    /// Streams, and bytes of messages on them.
    messages: VecDeque<(u16, usize)>,
    bytes: usize,
    /// Bytes on streams that are closed: the crate does not tell when those are acknowledged.
    left: usize,
}

impl Unacknowledged {
    fn sent(&mut self, stream: u16, bytes: usize) {
        self.messages.push_back((stream, bytes));
        self.bytes += bytes;
    }

    /// So many bytes of a stream were acknowledged.
    fn released(&mut self, stream: u16, mut bytes: usize) {
        for (_, left) in self.messages.iter_mut().filter(|(of, _)| *of == stream) {
            let done = bytes.min(*left);
            *left -= done;
            bytes -= done;
            self.bytes -= done;
            if bytes == 0 {
                break;
            }
        }
        while self.messages.front().is_some_and(|(_, left)| *left == 0) {
            self.messages.pop_front();
        }
        if self.messages.is_empty() {
            self.left = 0;
        }
    }

    fn closed(&mut self, stream: u16) {
        let of_stream = self.messages.iter().filter(|(of, _)| *of == stream);
        let bytes: usize = of_stream.map(|(_, left)| left).sum();
        self.messages.retain(|(of, _)| *of != stream);
        self.bytes -= bytes;
        self.left += bytes;
    }
}

/// One association with one player.
pub struct Sctp {
    endpoint: Endpoint,
    association: Option<Association>,
    /// The peer's INIT by tag and first TSN, and our answer to it: both come again as they were.
    begun: Option<((u32, u32), Bytes)>,
    admission: Admission,
    connected: bool,
    unacknowledged: Unacknowledged,
    events: VecDeque<SctpEvent>,
    out: VecDeque<Bytes>,
}

impl Sctp {
    /// An association that waits for its peer.
    pub fn new() -> Self {
        let timers = TimerConfig {
            max_t3_rtx_retrans: TRIES_MAX,
            max_reconfig_retrans: TRIES_MAX,
            ..TimerConfig::default()
        };
        let transport = TransportConfig::default()
            .with_max_receive_buffer_size(limits::DATA_RECEIVE_BYTES_MAX as u32)
            .with_max_message_size(limits::DATA_MESSAGE_BYTES_MAX as u32)
            .with_max_num_inbound_streams(limits::DATA_STREAMS_MAX)
            .with_max_num_outbound_streams(limits::DATA_STREAMS_MAX)
            .with_timer_config(timers);
        let mut config = EndpointConfig::new();
        config.max_payload_size(max_payload_size_for_mtu((limits::RTP_PACKET_BYTES_MAX - DTLS_BYTES) as u32));
        let server = ServerConfig::new(transport);
        Self {
            endpoint: Endpoint::new(here(), TransportProtocol::UDP, Arc::new(config), Some(Arc::new(server))),
            association: None,
            begun: None,
            admission: Admission::new(0, limits::DATA_CHUNKS_HELD_MAX),
            connected: false,
            unacknowledged: Unacknowledged::default(),
            events: VecDeque::new(),
            out: VecDeque::new(),
        }
    }

    /// Takes a packet of the peer's, already decrypted. After an end there is nothing more to be done with it but
    /// to send what [`Sctp::poll_transmit`] still gives.
    pub fn receive(&mut self, packet: Bytes, now: Instant) -> Received {
        let Some(chunks) = packet::read(&packet) else { return Received::Refused };
        if let [Chunk::Init { tag, first_tsn }] = chunks.as_slice() {
            return self.begin((*tag, *first_tsn), packet, now);
        }
        if chunks.contains(&Chunk::End) {
            // It is gone, and wants to hear no more.
            self.association = None;
            self.out.clear();
            return Received::Ended(SctpEnd::ByPeer);
        }
        if !self.connected && chunks.first() != Some(&Chunk::CookieEcho) {
            return Received::Refused;
        }
        match self.admit(&chunks) {
            Ok(true) => {}
            Ok(false) => return Received::Refused,
            Err(end) => return self.end(end, now),
        }
        let event = self.endpoint.handle(now, here(), None, packet);
        let (Some((_, DatagramEvent::AssociationEvent(event))), Some(association)) =
            (event, &mut self.association)
        else {
            return Received::Refused;
        };
        association.handle_event(event);
        if association.is_closed() && self.connected {
            return self.end(SctpEnd::Broken, now);
        }
        match self.collect(now) {
            Some(end) => self.end(end, now),
            None => Received::Taken,
        }
    }

    /// The peer's first packet makes the association; the same one again gets the same answer, and no other is
    /// heard.
    fn begin(&mut self, init: (u32, u32), packet: Bytes, now: Instant) -> Received {
        if let Some((known, answer)) = &self.begun {
            if *known != init || self.connected {
                return Received::Refused;
            }
            self.out.push_back(answer.clone());
            return Received::Taken;
        }
        let Some((_, DatagramEvent::NewAssociation(association))) =
            self.endpoint.handle(now, here(), None, packet)
        else {
            return Received::Refused;
        };
        self.association = Some(association);
        self.admission = Admission::new(init.1, limits::DATA_CHUNKS_HELD_MAX);
        self.flush(now);
        match self.out.back() {
            Some(answer) => {
                self.begun = Some((init, answer.clone()));
                Received::Taken
            }
            // The crate did not like it; the next one may be better.
            None => {
                *self = Self::new();
                Received::Refused
            }
        }
    }

    /// Whether the crate may see these chunks; an error ends the association.
    fn admit(&mut self, chunks: &[Chunk]) -> Result<bool, SctpEnd> {
        // Nobody was asked to begin.
        if chunks.iter().any(|chunk| matches!(chunk, Chunk::InitAck { .. } | Chunk::CookieAck)) {
            return Ok(false);
        }
        self.admission.admit(chunks)
    }

    /// Takes out what the crate has: events, whole messages, packets.
    fn collect(&mut self, now: Instant) -> Option<SctpEnd> {
        let association = self.association.as_mut()?;
        // Streams are known by their messages.
        while association.accept_stream().is_some() {}
        while association.poll_endpoint_event().is_some() {}
        let mut end = None;
        while let Some(event) = association.poll() {
            match event {
                Event::Connected => {
                    self.connected = true;
                    self.events.push_back(SctpEvent::Connected);
                }
                Event::AssociationLost { id, .. } => {
                    self.unacknowledged.closed(id);
                    self.events.push_back(SctpEvent::Closed { stream: id });
                }
                Event::Stream(StreamEvent::BufferedAmountReleased { id, n_bytes }) => {
                    self.unacknowledged.released(id, n_bytes);
                }
                Event::Stream(StreamEvent::Readable { id }) => {
                    let Ok(mut stream) = association.stream(id) else { continue };
                    while let Ok(Some(message)) = stream.read_sctp() {
                        self.admission.window.read(message.chunks.len());
                        let Ok(payload) = message.to_payload(limits::DATA_MESSAGE_BYTES_MAX) else {
                            end = Some(SctpEnd::MessageTooLarge);
                            continue;
                        };
                        self.events.push_back(message_event(id, message.ppi, payload.freeze()));
                    }
                }
                _ => {}
            }
        }
        self.flush(now);
        end
    }

    /// Takes out the crate's packets.
    fn flush(&mut self, now: Instant) {
        let Some(association) = &mut self.association else { return };
        while let Some(transmit) = association.poll_transmit(now) {
            let Payload::RawEncode(packets) = transmit.message else { continue };
            for packet in packets {
                if let Some((cumulative, credit)) = packet::own_sack(&packet) {
                    self.admission.window.told(cumulative, credit as usize == limits::DATA_RECEIVE_BYTES_MAX);
                }
                self.out.push_back(packet);
            }
        }
    }

    /// Ends the association and tells the peer (RFC 9260 9.1).
    fn end(&mut self, end: SctpEnd, now: Instant) -> Received {
        self.close(now);
        Received::Ended(end)
    }

    /// Ends the association; the peer is told by the next packet.
    pub fn close(&mut self, now: Instant) {
        self.out.clear();
        self.events.clear();
        if let Some(association) = &mut self.association {
            // It fails only when there is no association any more.
            let _ = association.abort();
        }
        self.flush(now);
        self.association = None;
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<SctpEvent> {
        self.events.pop_front()
    }

    /// The next packet to send.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        self.out.pop_front()
    }

    /// Whether a packet is to be sent.
    pub fn has_packets(&self) -> bool {
        !self.out.is_empty()
    }

    /// When [`Sctp::handle_timeout`] is wanted next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.association.as_ref().and_then(Association::poll_timeout)
    }

    /// Does what is due: sends again, acknowledges what waited for company. An end, where the crate gives up.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<SctpEnd> {
        let association = self.association.as_mut()?;
        association.handle_timeout(now);
        if association.is_closed() && self.connected {
            return Some(SctpEnd::Broken);
        }
        self.collect(now)
    }

    /// Makes a stream of ours, if there is none of that number.
    pub fn open(&mut self, stream: u16) -> bool {
        let Some(association) = &mut self.association else { return false };
        association.stream(stream).is_ok()
            || association.open_stream(stream, PayloadProtocolIdentifier::Binary).is_ok()
    }

    /// Sends on a stream as the peer wants it from now on.
    pub fn set_reliability(&mut self, stream: u16, unordered: bool, kind: ReliabilityType, parameter: u32) {
        if let Some(association) = &mut self.association
            && let Ok(mut stream) = association.stream(stream)
        {
            // It fails only when the stream is closed.
            let _ = stream.set_reliability_params(unordered, kind, parameter);
        }
    }

    /// Whether another message may be handed to SCTP: the peer has acknowledged enough of those before.
    pub fn has_room(&self) -> bool {
        self.association.is_some()
            && self.unacknowledged.bytes < limits::DATA_UNACKNOWLEDGED_BYTES_MAX
            && self.unacknowledged.messages.len() < limits::DATA_UNACKNOWLEDGED_MESSAGES_MAX
    }

    /// Sends a message on a stream; `false` when the stream is closed.
    pub fn send(&mut self, id: u16, kind: MessageKind, payload: &Bytes, now: Instant) -> bool {
        let Some(association) = &mut self.association else { return false };
        let Ok(mut stream) = association.stream(id) else { return false };
        let (payload, ppi) = match (kind, payload.is_empty()) {
            (MessageKind::Text, false) => (payload.clone(), PayloadProtocolIdentifier::String),
            (MessageKind::Text, true) => (EMPTY.into(), PayloadProtocolIdentifier::StringEmpty),
            (MessageKind::Binary | MessageKind::Other, false) => {
                (payload.clone(), PayloadProtocolIdentifier::Binary)
            }
            (MessageKind::Binary | MessageKind::Other, true) => {
                (EMPTY.into(), PayloadProtocolIdentifier::BinaryEmpty)
            }
            (MessageKind::Control, _) => (payload.clone(), PayloadProtocolIdentifier::Dcep),
        };
        if stream.write_chunk_with_ppi(now, &payload, ppi).is_err() {
            return false;
        }
        self.unacknowledged.sent(id, payload.len());
        true
    }

    /// Takes out what [`Sctp::send`] has made: packets as far as the path and the peer have room.
    pub fn sent(&mut self, now: Instant) {
        self.flush(now);
    }

    /// Bytes of memory it holds beyond its fixed part, at most: pieces of messages, with the packets they came in,
    /// and what is not acknowledged.
    pub fn held_bytes(&self) -> usize {
        /// What the crate keeps of a piece.
        const PIECE_BYTES: usize = 320;
        let Unacknowledged { messages, bytes, left } = &self.unacknowledged;
        let sent = bytes + left + messages.len() * PIECE_BYTES;
        self.admission.window.held() * (limits::RTP_PACKET_BYTES_MAX + PIECE_BYTES) + sent
    }
}

impl std::fmt::Debug for Sctp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sctp")
            .field("connected", &self.connected)
            .field("unacknowledged", &self.unacknowledged.bytes)
            .finish_non_exhaustive()
    }
}

/// Packets go by DTLS: the crate is given one made-up address for both ends.
fn here() -> SocketAddr {
    SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 1)
}

fn message_event(stream: u16, ppi: PayloadProtocolIdentifier, payload: Bytes) -> SctpEvent {
    let (kind, payload) = match ppi {
        PayloadProtocolIdentifier::Dcep => (MessageKind::Control, payload),
        PayloadProtocolIdentifier::String => (MessageKind::Text, payload),
        PayloadProtocolIdentifier::StringEmpty => (MessageKind::Text, Bytes::new()),
        PayloadProtocolIdentifier::Binary => (MessageKind::Binary, payload),
        PayloadProtocolIdentifier::BinaryEmpty => (MessageKind::Binary, Bytes::new()),
        _ => (MessageKind::Other, payload),
    };
    SctpEvent::Message { stream, kind, payload }
}
