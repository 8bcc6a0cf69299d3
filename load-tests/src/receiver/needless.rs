//! Authentic feedback that a browser would never send, for tests of what it costs.

use anyhow::Context as _;
use rtc_rtcp::packet::Packet;
use rtc_rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc_rtcp::transport_feedbacks::transport_layer_nack::{
    TransportLayerNack, nack_pairs_from_sequence_numbers,
};

use super::{Receiver, TrackKind};

impl Receiver {
    /// An authentic request for a key frame that nobody needs, for the caller to send: what a browser
    /// would never do.
    ///
    /// # Errors
    /// It has no keys or no video yet.
    pub fn needless_key_frame_request(&mut self) -> anyhow::Result<Vec<u8>> {
        let (media_ssrc, _) = self.video()?;
        self.seal(Box::new(PictureLossIndication { sender_ssrc: self.ssrc, media_ssrc }))
    }

    /// An authentic request for the newest `count` packets of video, all of which may have come, for the
    /// caller to send.
    ///
    /// # Errors
    /// It has no keys or no video yet.
    pub fn needless_nack(&mut self, count: u16) -> anyhow::Result<Vec<u8>> {
        let (media_ssrc, newest) = self.video()?;
        let asked: Vec<u16> = (0..count).rev().map(|back| newest.wrapping_sub(back)).collect();
        let nacks = nack_pairs_from_sequence_numbers(&asked);
        self.seal(Box::new(TransportLayerNack { sender_ssrc: self.ssrc, media_ssrc, nacks }))
    }

    fn seal(&mut self, packet: Box<dyn Packet>) -> anyhow::Result<Vec<u8>> {
        self.link.keys().context("there are no keys yet")?.seal(packet)
    }

    /// The video track and its newest packet.
    fn video(&self) -> anyhow::Result<(u32, u16)> {
        let mut video = self.tracks.iter().filter(|track| track.kind == TrackKind::Video);
        video.find_map(|track| Some((track.ssrc, track.newest()?))).context("no video has come")
    }
}
