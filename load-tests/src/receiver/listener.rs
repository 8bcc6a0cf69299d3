//! A player's data channels: it takes the one the node opens and listens, or is deaf.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rtc_sctp::{
    Association, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier, StreamEvent, TransportConfig,
};
use rtc_shared::TransportProtocol;

/// The largest message that is taken.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// The answer to a channel that the node opens (RFC 8832 5.2).
const ACKNOWLEDGE: &[u8] = &[2];

/// SCTP over the player's DTLS.
pub(super) struct Listener {
    link: Option<(Endpoint, Association)>,
    deaf: bool,
    heard: Vec<Bytes>,
}

/// Packets go by DTLS: the crate is given one made-up address for both ends.
fn here() -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 5_000)
}

impl Listener {
    /// A deaf one takes nothing once it has the channel: it acknowledges no message.
    pub(super) const fn new(deaf: bool) -> Self {
        Self { link: None, deaf, heard: Vec::new() }
    }

    /// Begins, once there are keys.
    pub(super) fn connect(&mut self, now: Instant) {
        let mut endpoint =
            Endpoint::new(here(), TransportProtocol::UDP, Arc::new(EndpointConfig::new()), None);
        let config = ClientConfig::new(TransportConfig::default());
        self.link =
            endpoint.connect(now, config, here()).ok().map(|(_, association)| (endpoint, association));
    }

    pub(super) fn receive(&mut self, packet: Bytes, now: Instant) {
        let has_channel = self.has_channel();
        let Some((endpoint, association)) = &mut self.link else { return };
        if self.deaf && has_channel {
            return;
        }
        if let Some((_, DatagramEvent::AssociationEvent(event))) = endpoint.handle(now, here(), None, packet)
        {
            association.handle_event(event);
        }
        while let Some(event) = association.poll() {
            let Event::Stream(StreamEvent::Readable { id }) = event else { continue };
            let Ok(mut stream) = association.stream(id) else { continue };
            while let Ok(Some(message)) = stream.read_sctp() {
                if message.ppi == PayloadProtocolIdentifier::Dcep {
                    // What cannot be sent now is not needed: the node does not wait for it.
                    let _ = stream.write_with_ppi(now, ACKNOWLEDGE, message.ppi);
                } else if let Ok(payload) = message.to_payload(MESSAGE_BYTES_MAX) {
                    self.heard.push(payload.freeze());
                }
            }
        }
        while association.accept_stream().is_some() {}
    }

    /// Whether the node has opened its channel.
    pub(super) fn has_channel(&self) -> bool {
        self.link.as_ref().is_some_and(|(_, association)| !association.stream_ids().is_empty())
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.link.as_ref()?.1.poll_timeout()
    }

    /// What it wants to send.
    pub(super) fn packets(&mut self, now: Instant) -> Vec<Bytes> {
        let mut packets = Vec::new();
        let Some((_, association)) = &mut self.link else { return packets };
        if association.poll_timeout().is_some_and(|at| at <= now) {
            association.handle_timeout(now);
        }
        while let Some(transmit) = association.poll_transmit(now) {
            if let Payload::RawEncode(some) = transmit.message {
                packets.extend(some);
            }
        }
        packets
    }

    /// The messages that came since this was asked last.
    pub(super) fn take(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.heard)
    }
}
