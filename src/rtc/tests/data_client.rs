//! A client's end of its data channels: SCTP as browsers begin it, on the crate's other side.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rtc_sctp::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier, StreamEvent, TransportConfig, max_payload_size_for_mtu,
};
use rtc_shared::TransportProtocol;

pub use rtc_sctp::PayloadProtocolIdentifier as Ppi;

const OPEN: u8 = 3;
const ACKNOWLEDGE: u8 = 2;

/// A message as the client got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub stream: u16,
    pub text: bool,
    pub payload: Vec<u8>,
    pub at: Instant,
}

pub struct DataEnd {
    endpoint: Endpoint,
    association: (AssociationHandle, Association),
    pub connected: bool,
    /// Channels that the node opened: stream and label.
    pub opened: Vec<(u16, String)>,
    /// Channels of the client's that the node took.
    pub acknowledged: Vec<u16>,
    pub closed: Vec<u16>,
    pub heard: Vec<Heard>,
    /// It takes nothing from the network any more.
    pub deaf: bool,
    /// Packets it was sent.
    pub packets: usize,
}

fn remote() -> SocketAddr {
    "192.0.2.1:5000".parse().unwrap()
}

impl DataEnd {
    /// Begins an association.
    pub fn new(now: Instant) -> Self {
        let mut config = EndpointConfig::new();
        config.max_payload_size(max_payload_size_for_mtu(1_160));
        let mut endpoint = Endpoint::new(remote(), TransportProtocol::UDP, Arc::new(config), None);
        let transport = TransportConfig::default().with_max_receive_buffer_size(5 * 1024 * 1024);
        let association = endpoint.connect(now, ClientConfig::new(transport), remote()).unwrap();
        Self {
            endpoint,
            association,
            connected: false,
            opened: Vec::new(),
            acknowledged: Vec::new(),
            closed: Vec::new(),
            heard: Vec::new(),
            deaf: false,
            packets: 0,
        }
    }

    /// Opens a channel, in order and reliable.
    pub fn open(&mut self, stream: u16, label: &str, now: Instant) {
        let mut open = vec![OPEN, 0, 1, 0, 0, 0, 0, 0, 0, label.len() as u8, 0, 0];
        open.extend_from_slice(label.as_bytes());
        self.association.1.open_stream(stream, Ppi::Binary).unwrap();
        self.say(stream, Ppi::Dcep, &open, now);
    }

    pub fn say(&mut self, stream: u16, ppi: PayloadProtocolIdentifier, payload: &[u8], now: Instant) {
        let mut stream = self.association.1.stream(stream).unwrap();
        stream.write_with_ppi(now, payload, ppi).unwrap();
    }

    pub fn text(&mut self, stream: u16, text: &str, now: Instant) {
        self.say(stream, Ppi::String, text.as_bytes(), now);
    }

    /// Closes a channel.
    pub fn close(&mut self, stream: u16, now: Instant) {
        self.association.1.stream(stream).unwrap().close(now).unwrap();
    }

    pub fn receive(&mut self, packet: &[u8], now: Instant) {
        self.packets += 1;
        if self.deaf {
            return;
        }
        let event = self.endpoint.handle(now, remote(), None, Bytes::copy_from_slice(packet));
        if let Some((_, DatagramEvent::AssociationEvent(event))) = event {
            self.association.1.handle_event(event);
        }
        let association = &mut self.association.1;
        while let Some(event) = association.poll() {
            match event {
                Event::Connected => self.connected = true,
                Event::AssociationLost { id, .. } => self.closed.push(id),
                Event::Stream(StreamEvent::Readable { id }) => {
                    while let Ok(Some(message)) = association.stream(id).unwrap().read_sctp() {
                        let payload = message.to_payload(usize::MAX).unwrap().to_vec();
                        match message.ppi {
                            Ppi::Dcep if payload[0] == OPEN => {
                                let label = String::from_utf8(payload[12..].to_vec()).unwrap();
                                self.opened.push((id, label));
                                let mut stream = association.stream(id).unwrap();
                                // It may not be connected yet, if its last answer was lost.
                                let _ = stream.write_with_ppi(now, &[ACKNOWLEDGE], Ppi::Dcep);
                            }
                            Ppi::Dcep => self.acknowledged.push(id),
                            Ppi::Unknown => panic!("nothing the node says"),
                            ppi => {
                                let empty = matches!(ppi, Ppi::StringEmpty | Ppi::BinaryEmpty);
                                let text = matches!(ppi, Ppi::String | Ppi::StringEmpty);
                                let payload = if empty { Vec::new() } else { payload };
                                self.heard.push(Heard { stream: id, text, payload, at: now });
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        while association.accept_stream().is_some() {}
    }

    /// What it wants to send.
    pub fn packets(&mut self, now: Instant) -> Vec<Bytes> {
        let association = &mut self.association.1;
        if association.poll_timeout().is_some_and(|at| at <= now) {
            association.handle_timeout(now);
        }
        let mut packets = Vec::new();
        while let Some(transmit) = association.poll_transmit(now) {
            let Payload::RawEncode(some) = transmit.message else { panic!("a packet") };
            packets.extend(some);
        }
        packets
    }
}
