//! What comes by a publisher's connection, and what is asked of the publisher.
//!
//! Media is taken here, inside the connection, and goes no further in it: the connection hands on only sources that the
//! offer names, and not every offer does (those of simulcast never). Here they are known by what they send, and feedback is
//! made for those that are taken. Sender reports (RFC 3550 6.4.1), which say how the publisher's clocks lie to each other,
//! come to nobody else either.

use std::sync::Arc;
use std::time::Instant;

use media::RtpPacket;
use parking_lot::Mutex;
use streams::Ending;
use webrtc_core::interceptor::{AttributedPacket, Interceptor, Packet, StreamInfo, TaggedPacket};
use webrtc_core::rtcp;
use webrtc_core::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use webrtc_core::rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;
use webrtc_core::rtcp::sender_report::SenderReport;
use webrtc_core::rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use webrtc_core::sansio::Protocol;
use webrtc_core::shared::error::Error;

use super::feed::Feed;
use super::sources::Whose;

/// What is to be sent to a publisher. It leaves when its connection next does something, which is within
/// [`base::limits::PUBLISHER_NACK_INTERVAL`].
#[derive(Clone, Default)]
pub(super) struct Requests(Arc<Mutex<Vec<Box<dyn rtcp::Packet>>>>);

impl Requests {
    /// A key frame of this source.
    pub(super) fn key_frame(&self, source: u32) {
        self.put(PictureLossIndication { sender_ssrc: 0, media_ssrc: source });
    }

    /// No more than this of these sources together, in bits per second.
    pub(super) fn rate_max(&self, sources: Vec<u32>, rate_max: u32) {
        let bitrate = rate_max as f32;
        self.put(ReceiverEstimatedMaximumBitrate { sender_ssrc: 0, bitrate, ssrcs: sources });
    }

    fn put(&self, request: impl rtcp::Packet + 'static) {
        let mut requests = self.0.lock();
        // While there is no connection yet nothing takes them.
        if requests.len() < base::limits::PUBLISHER_REQUESTS_MAX {
            requests.push(Box::new(request));
        }
    }
}

/// Takes a publisher's media and sends it what is asked of it.
pub(super) struct Intake<I> {
    /// Who reports, and asks again for what is missing.
    feedback: I,
    /// How feedback is made for the sources of each payload type.
    streams: Vec<StreamInfo>,
    feed: Arc<Mutex<Feed>>,
    ending: Ending,
    requests: Requests,
}

impl<I: Interceptor> Intake<I> {
    pub(super) const fn new(
        feedback: I,
        streams: Vec<StreamInfo>,
        feed: Arc<Mutex<Feed>>,
        ending: Ending,
        requests: Requests,
    ) -> Self {
        Self { feedback, streams, feed, ending, requests }
    }

    fn count(&self, packet: &TaggedPacket) {
        let Packet::Rtcp(compound) = &packet.message.packet else { return };
        for nack in compound.iter().filter_map(|part| part.as_any().downcast_ref::<TransportLayerNack>()) {
            self.feed.lock().asked_again(nack.media_ssrc);
        }
    }

    /// Makes feedback for a source, no more for the one before.
    fn listen(&mut self, source: u32, payload_type: u8, instead_of: Option<u32>) {
        let Some(stream) = self.streams.iter().find(|stream| stream.payload_type == payload_type) else {
            return;
        };
        let of = |ssrc| StreamInfo { ssrc, ..stream.clone() };
        if let Some(before) = instead_of {
            self.feedback.unbind_remote_stream(&of(before));
        }
        self.feedback.bind_remote_stream(&of(source));
    }
}

impl<I: Interceptor> Protocol<TaggedPacket, TaggedPacket, ()> for Intake<I> {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        let mut kind = None;
        match &packet.message.packet {
            Packet::Rtp(rtp) => {
                let (source, payload_type) = (rtp.header.ssrc, rtp.header.payload_type);
                let whose = self.feed.lock().whose(source, payload_type);
                kind = match whose {
                    Whose::Known(kind) => Some(kind),
                    Whose::New { kind, instead_of } => {
                        self.listen(source, payload_type, instead_of);
                        Some(kind)
                    }
                    Whose::Nobodys => None,
                };
            }
            Packet::Rtcp(compound) => {
                let reports = compound.iter().filter_map(|part| part.as_any().downcast_ref::<SenderReport>());
                for report in reports {
                    self.feed.lock().report(report.ssrc, report.ntp_time, report.rtp_time);
                }
            }
            _ => {}
        }
        // Nobody's packets too: what arrived is told of all that comes over the path.
        self.feedback.handle_read(packet)?;
        while let Some(passed) = self.feedback.poll_read() {
            let (Packet::Rtp(rtp), Some(kind)) = (passed.message.packet, kind) else { continue };
            let taken = RtpPacket {
                sequence: rtp.header.sequence_number,
                timestamp: rtp.header.timestamp,
                marker: rtp.header.marker,
                payload: rtp.payload,
            };
            if let Err(reason) = self.feed.lock().packet(kind, taken) {
                self.ending.end(reason);
            }
        }
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        None
    }

    fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        self.feedback.handle_write(packet)
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        if let Some(packet) = self.feedback.poll_write() {
            self.count(&packet);
            return Some(packet);
        }
        let requests = std::mem::take(&mut *self.requests.0.lock());
        if requests.is_empty() {
            return None;
        }
        let (now, transport) = (self.feed.lock().now(), Default::default());
        Some(TaggedPacket { now, transport, message: AttributedPacket::new(Packet::Rtcp(requests)) })
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        self.feedback.handle_timeout(now)
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.feedback.poll_timeout()
    }

    fn close(&mut self) -> Result<(), Error> {
        self.feedback.close()
    }
}

/// The connection's own idea of what comes is not asked for.
impl<I: Interceptor> Interceptor for Intake<I> {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}
