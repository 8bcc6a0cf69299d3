//! What goes back to the peer.

use base::limits;
use bytes::{Bytes, BytesMut};
use rml_rtmp::chunk_io::ChunkSerializer;
use rml_rtmp::messages::{MessagePayload, PeerBandwidthLimitType, RtmpMessage, UserControlEventType};
use rml_rtmp::time::RtmpTimestamp;

use crate::amf0::{Field, Writer};

/// Serializes what is to be sent and holds it until it is taken.
pub(crate) struct Outgoing {
    serializer: ChunkSerializer,
    bytes: BytesMut,
    over: bool,
}

/// Window of acknowledgements, ours and the one we ask for, in bytes.
pub(crate) const WINDOW_BYTES: u32 = 2_500_000;
/// No message we send is longer, so each is one chunk.
const CHUNK_BYTES: u32 = 4_096;

impl Outgoing {
    pub(crate) fn new() -> Self {
        Self { serializer: ChunkSerializer::new(), bytes: BytesMut::new(), over: false }
    }

    /// Bytes of the handshake, which are no chunks.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.over |= self.bytes.len() > limits::RTMP_SEND_BYTES_MAX;
    }

    /// Everything there is to send.
    pub(crate) fn take(&mut self) -> Option<Bytes> {
        (!self.bytes.is_empty()).then(|| self.bytes.split().freeze())
    }

    /// Whether more waited than [`limits::RTMP_SEND_BYTES_MAX`].
    pub(crate) const fn is_over(&self) -> bool {
        self.over
    }

    /// Forgets what waits.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The three messages that go before the answer to `connect`.
    pub(crate) fn begin(&mut self) {
        self.control(RtmpMessage::WindowAcknowledgement { size: WINDOW_BYTES });
        self.control(RtmpMessage::SetPeerBandwidth {
            size: WINDOW_BYTES,
            limit_type: PeerBandwidthLimitType::Dynamic,
        });
        match self.serializer.set_max_chunk_size(CHUNK_BYTES, RtmpTimestamp::new(0)) {
            Ok(packet) => self.raw(&packet.bytes),
            Err(_) => self.over = true,
        }
    }

    pub(crate) fn acknowledge(&mut self, total_bytes: u32) {
        self.control(RtmpMessage::Acknowledgement { sequence_number: total_bytes });
    }

    pub(crate) fn stream_begins(&mut self, stream_id: u32) {
        self.control(RtmpMessage::UserControl {
            event_type: UserControlEventType::StreamBegin,
            stream_id: Some(stream_id),
            buffer_length: None,
            timestamp: None,
        });
    }

    pub(crate) fn pong(&mut self, time: u32) {
        self.control(RtmpMessage::UserControl {
            event_type: UserControlEventType::PingResponse,
            stream_id: None,
            buffer_length: None,
            timestamp: Some(RtmpTimestamp::new(time)),
        });
    }

    /// An `onStatus` about the stream of that name.
    pub(crate) fn status(&mut self, stream_id: u32, level: &str, code: &str, text: &str, name: &str) {
        let fields: [(&str, Field<'_>); 5] = [
            ("level", level.into()),
            ("code", code.into()),
            ("description", text.into()),
            ("details", name.into()),
            ("clientid", f64::from(stream_id).into()),
        ];
        self.command(stream_id, Writer::command("onStatus", 0.0).null().object(&fields));
    }

    /// A command on that message stream.
    pub(crate) fn command(&mut self, stream_id: u32, command: Writer) {
        const AMF0_COMMAND: u8 = 20;
        self.send(&MessagePayload {
            timestamp: RtmpTimestamp::new(0),
            type_id: AMF0_COMMAND,
            message_stream_id: stream_id,
            data: command.finish().into(),
        });
    }

    fn control(&mut self, message: RtmpMessage) {
        match MessagePayload::from_rtmp_message(message, RtmpTimestamp::new(0), 0) {
            Ok(payload) => self.send(&payload),
            Err(_) => self.over = true,
        }
    }

    fn send(&mut self, payload: &MessagePayload) {
        // "Can be dropped" begins every message with a whole header, which some encoders need.
        match self.serializer.serialize(payload, false, true) {
            Ok(packet) => self.raw(&packet.bytes),
            Err(_) => self.over = true,
        }
    }
}
