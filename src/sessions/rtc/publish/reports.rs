//! The publisher's sender reports (RFC 3550 6.4.1), which say how its clocks lie to each other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use webrtc_core::interceptor::{Interceptor, Packet, Slot, StreamInfo, TaggedPacket};
use webrtc_core::rtcp::sender_report::SenderReport;
use webrtc_core::sansio::Protocol;
use webrtc_core::shared::error::Error;

use super::feed::Feed;

/// Passes everything on, and tells the feed of sender reports.
pub(super) struct Reports {
    feed: Arc<Mutex<Feed>>,
    read: VecDeque<TaggedPacket>,
    write: VecDeque<TaggedPacket>,
}

impl Reports {
    pub(super) const fn new(feed: Arc<Mutex<Feed>>) -> Self {
        Self { feed, read: VecDeque::new(), write: VecDeque::new() }
    }

    /// Behind everything that reads the same.
    pub(super) fn slot() -> Slot {
        Slot::from(14_000)
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for Reports {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(compound) = &packet.message.packet {
            for report in compound.iter().filter_map(|part| part.as_any().downcast_ref::<SenderReport>()) {
                self.feed.lock().report(report.ssrc, report.ntp_time, report.rtp_time);
            }
        }
        self.read.push_back(packet);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.read.pop_front()
    }

    fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        self.write.push_back(packet);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.write.pop_front()
    }
}

impl Interceptor for Reports {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}
