//! RTCP: what a player's feedback says, and the reports sent to it.
//!
//! The compound packet is walked here; only the packets acted on are handed to `rtc-rtcp`.

use base::limits;
use bytes::{Bytes, BytesMut};
use rtc_rtcp::goodbye::Goodbye;
use rtc_rtcp::packet::{Packet, marshal};
use rtc_rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc_rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc_rtcp::receiver_report::ReceiverReport;
use rtc_rtcp::reception_report::ReceptionReport;
use rtc_rtcp::sender_report::SenderReport;
use rtc_rtcp::source_description::{
    SdesType, SourceDescription, SourceDescriptionChunk, SourceDescriptionItem,
};
use rtc_rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use rtc_shared::error::Error;
use rtc_shared::marshal::Unmarshal;

/// Packets of one compound that are looked at.
const PACKETS_MAX: usize = 32;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;
const GENERIC_NACK: u8 = 1;
const PICTURE_LOSS: u8 = 1;
const FULL_INTRA: u8 = 4;

/// One thing a player's RTCP says that is acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feedback {
    /// How well a track arrives.
    Report(ReceptionReport),
    /// These packets of a track did not arrive (RFC 4585 6.2.1).
    Nack {
        /// The track.
        ssrc: u32,
        /// Sequence numbers, as asked for.
        lost: Vec<u16>,
    },
    /// A key frame would help.
    KeyFrameWanted {
        /// The track.
        ssrc: u32,
        /// How it is asked for.
        request: KeyFrameRequest,
    },
}

/// How a player asks for a key frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFrameRequest {
    /// A picture is missing (PLI, RFC 4585 6.3.1).
    PictureLoss,
    /// Without a reason (FIR, RFC 5104 4.3.1).
    FullIntra,
}

/// Reads a decrypted compound packet up to the first malformed part.
pub fn read_feedback(mut compound: &[u8]) -> Vec<Feedback> {
    let mut feedback = Vec::new();
    let mut numbers = limits::NACK_PACKETS_PER_DATAGRAM_MAX;
    for _ in 0..PACKETS_MAX {
        let Some(&[first, kind, l0, l1]) = compound.first_chunk::<4>() else { break };
        let length = 4 * (usize::from(u16::from_be_bytes([l0, l1])) + 1);
        if first >> 6 != 2 {
            break;
        }
        let Some((mut packet, rest)) = compound.split_at_checked(length) else { break };
        compound = rest;
        match (kind, first & 0x1f) {
            (SENDER_REPORT, _) => {
                if let Ok(report) = SenderReport::unmarshal(&mut packet) {
                    feedback.extend(report.reports.into_iter().map(Feedback::Report));
                }
            }
            (RECEIVER_REPORT, _) => {
                if let Ok(report) = ReceiverReport::unmarshal(&mut packet) {
                    feedback.extend(report.reports.into_iter().map(Feedback::Report));
                }
            }
            (TRANSPORT_FEEDBACK, GENERIC_NACK) => {
                if let Ok(nack) = TransportLayerNack::unmarshal(&mut packet) {
                    let lost: Vec<u16> = nack.nacks.into_iter().flatten().take(numbers).collect();
                    numbers -= lost.len();
                    feedback.push(Feedback::Nack { ssrc: nack.media_ssrc, lost });
                }
            }
            (PAYLOAD_FEEDBACK, PICTURE_LOSS) => {
                if let Ok(pli) = PictureLossIndication::unmarshal(&mut packet) {
                    let request = KeyFrameRequest::PictureLoss;
                    feedback.push(Feedback::KeyFrameWanted { ssrc: pli.media_ssrc, request });
                }
            }
            (PAYLOAD_FEEDBACK, FULL_INTRA) => {
                if let Ok(fir) = FullIntraRequest::unmarshal(&mut packet) {
                    let request = KeyFrameRequest::FullIntra;
                    let wanted = fir.fir.into_iter().map(|entry| entry.ssrc);
                    feedback.extend(wanted.map(|ssrc| Feedback::KeyFrameWanted { ssrc, request }));
                }
            }
            _ => {}
        }
    }
    feedback
}

/// What a sender report says of one track (RFC 3550 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// The track.
    pub ssrc: u32,
    /// Wall time in NTP format: seconds since 1900 and their 2^-32 parts.
    pub ntp: u64,
    /// The same moment on the track's RTP clock.
    pub timestamp: u32,
    /// Packets sent, wrapping.
    pub packets: u32,
    /// Payload bytes sent, wrapping.
    pub bytes: u32,
}

/// A compound of a sender report and the canonical name.
pub fn sender_report(info: &SenderInfo, cname: &str) -> Result<BytesMut, Error> {
    marshal(&[report(info), description(info.ssrc, cname)])
}

/// A compound that ends a track: sender report, canonical name, goodbye.
pub fn goodbye(info: &SenderInfo, cname: &str) -> Result<BytesMut, Error> {
    let goodbye = Goodbye { sources: vec![info.ssrc], reason: Bytes::new() };
    marshal(&[report(info), description(info.ssrc, cname), Box::new(goodbye)])
}

fn report(info: &SenderInfo) -> Box<dyn Packet> {
    Box::new(SenderReport {
        ssrc: info.ssrc,
        ntp_time: info.ntp,
        rtp_time: info.timestamp,
        packet_count: info.packets,
        octet_count: info.bytes,
        reports: Vec::new(),
        profile_extensions: Bytes::new(),
    })
}

fn description(source: u32, cname: &str) -> Box<dyn Packet> {
    let item = SourceDescriptionItem {
        sdes_type: SdesType::SdesCname,
        text: Bytes::copy_from_slice(cname.as_bytes()),
    };
    Box::new(SourceDescription { chunks: vec![SourceDescriptionChunk { source, items: vec![item] }] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtc_rtcp::payload_feedbacks::full_intra_request::FirEntry;
    use rtc_rtcp::transport_feedbacks::transport_layer_nack::NackPair;

    #[test]
    fn feedback_is_read_out_of_a_compound() {
        let report = ReceptionReport { ssrc: 1, fraction_lost: 3, ..Default::default() };
        let packets: Vec<Box<dyn Packet>> = vec![
            Box::new(ReceiverReport {
                ssrc: 9,
                reports: vec![report.clone()],
                profile_extensions: Bytes::new(),
            }),
            Box::new(TransportLayerNack {
                sender_ssrc: 9,
                media_ssrc: 1,
                nacks: vec![NackPair { packet_id: 65_535, lost_packets: 0b101 }],
            }),
            Box::new(PictureLossIndication { sender_ssrc: 9, media_ssrc: 1 }),
            Box::new(FullIntraRequest {
                sender_ssrc: 9,
                media_ssrc: 0,
                fir: vec![FirEntry { ssrc: 2, sequence_number: 1 }],
            }),
        ];
        let compound = marshal(&packets).unwrap();
        assert_eq!(
            read_feedback(&compound),
            [
                Feedback::Report(report),
                Feedback::Nack { ssrc: 1, lost: vec![65_535, 0, 2] },
                Feedback::KeyFrameWanted { ssrc: 1, request: KeyFrameRequest::PictureLoss },
                Feedback::KeyFrameWanted { ssrc: 2, request: KeyFrameRequest::FullIntra },
            ]
        );
    }

    #[test]
    fn every_prefix_and_every_flipped_bit_is_survived() {
        let info = SenderInfo { ssrc: 1, ntp: 2, timestamp: 3, packets: 4, bytes: 5 };
        let mut compound = goodbye(&info, "name").unwrap().to_vec();
        compound.extend_from_slice(&[0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 3, 0xff, 0xff]);
        compound.extend_from_slice(&[0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0]);
        assert_eq!(read_feedback(&compound).len(), 2);
        for end in 0..compound.len() {
            read_feedback(&compound[..end]);
        }
        for bit in 0..compound.len() * 8 {
            let mut flipped = compound.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            read_feedback(&flipped);
        }
    }
}
