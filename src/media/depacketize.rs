//! From the packets of a whole frame back to the frame, for readers of frames of a source that sends RTP.

use bytes::{BufMut, Bytes, BytesMut};

use crate::codec::Codec;
use crate::h264::NalType;
use crate::packet::PacketRun;
use crate::packetize::h264::{FU_A, FU_END, FU_START, IMPORTANCE, STAP_A};

/// Whether frames of a codec are put together here. Of the others nobody needs them yet.
pub const fn can_depacketize(codec: Codec) -> bool {
    matches!(codec, Codec::H264 | Codec::Opus)
}

/// The frame's payload as a [`crate::Unit`] has it, which is empty where nothing is left of it; `None` where its
/// packets cannot be read, or are of another codec.
pub(crate) fn depacketize(codec: Codec, run: &PacketRun) -> Option<Bytes> {
    match codec {
        // RFC 7587: a packet is a packet.
        Codec::Opus => run.packets.first().map(|packet| packet.payload.clone()),
        Codec::H264 => h264(run),
        _ => None,
    }
}

/// RFC 6184, packetization modes 0 and 1. Parameter sets and delimiters are left out, as everywhere in units.
fn h264(run: &PacketRun) -> Option<Bytes> {
    let mut frame = Nals::default();
    for packet in &run.packets {
        let payload = &packet.payload[..];
        let [header, body @ ..] = payload else { return None };
        match header & !IMPORTANCE {
            1..=23 => frame.whole(payload),
            STAP_A => {
                let mut left = body;
                while let Some((size, behind)) = left.split_first_chunk::<2>() {
                    let (nal, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*size)))?;
                    frame.whole(nal);
                    left = behind;
                }
            }
            FU_A => {
                let [fu, body @ ..] = body else { return None };
                if fu & FU_START != 0 {
                    frame.begin(header & IMPORTANCE | fu & !IMPORTANCE);
                }
                frame.fragment(body);
                if fu & FU_END != 0 {
                    frame.end();
                }
            }
            _ => return None,
        }
    }
    Some(frame.out.freeze())
}

/// NAL units behind their lengths.
#[derive(Default)]
struct Nals {
    out: BytesMut,
    /// Where the NAL unit begins whose fragments come; `None`: between two, or of one that is left out.
    open: Option<usize>,
}

const LENGTH_BYTES: usize = 4;

impl Nals {
    fn whole(&mut self, nal: &[u8]) {
        if is_kept(nal) {
            self.out.put_u32(u32::try_from(nal.len()).unwrap_or(u32::MAX));
            self.out.put_slice(nal);
        }
    }

    fn begin(&mut self, header: u8) {
        self.open = is_kept(&[header]).then_some(self.out.len());
        if self.open.is_some() {
            self.out.put_u32(0);
            self.out.put_u8(header);
        }
    }

    fn fragment(&mut self, body: &[u8]) {
        if let Some(begin) = self.open {
            self.out.put_slice(body);
            let length = u32::try_from(self.out.len() - begin - LENGTH_BYTES).unwrap_or(u32::MAX);
            if let Some(written) = self.out.get_mut(begin..begin + LENGTH_BYTES) {
                written.copy_from_slice(&length.to_be_bytes());
            }
        }
    }

    const fn end(&mut self) {
        self.open = None;
    }
}

fn is_kept(nal: &[u8]) -> bool {
    !matches!(NalType::of(nal), NalType::Sps | NalType::Pps | NalType::Delimiter | NalType::Unspecified)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use base::{Clock, MediaTime, SystemClock};

    use super::*;
    use crate::codec::CodecConfig;
    use crate::h264::H264Config;
    use crate::packet::{Packet, Payloads};
    use crate::packetize::Packetizer;
    use crate::unit::Unit;

    fn run(payloads: &[&[u8]]) -> PacketRun {
        let packets =
            payloads.iter().map(|payload| Packet { payload: Bytes::copy_from_slice(payload), marker: false });
        PacketRun {
            first_packet: 0,
            packets: packets.collect(),
            dts: MediaTime::ZERO,
            pts: MediaTime::ZERO,
            arrived: SystemClock.now(),
            key: true,
            starts_frame: true,
            ends_frame: true,
            payloads: Payloads::Datagrams,
        }
    }

    fn config() -> CodecConfig {
        let sps: &[u8] = &[
            0x67, 0x42, 0xc0, 0x0d, 0xd9, 0x01, 0x41, 0x9f, 0x9e, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00,
            0x00, 0x03, 0x03, 0xc0, 0xf1, 0x42, 0xa4, 0x80,
        ];
        let pps = Bytes::from_static(&[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0]);
        let config = H264Config::from_parameter_sets(vec![Bytes::from_static(sps)], vec![pps]);
        CodecConfig::H264(Arc::new(config.unwrap()))
    }

    #[test]
    fn what_was_packetized_comes_back() {
        let mut payload = Vec::new();
        for (kind, length) in [(0x06_u8, 20_usize), (0x65, 5_000), (0x65, 100)] {
            payload.extend(u32::try_from(length).unwrap().to_be_bytes());
            payload.push(kind);
            payload.extend(vec![0x80 | kind; length - 1]);
        }
        let unit = Unit {
            dts: MediaTime::ZERO,
            pts: MediaTime::ZERO,
            arrived: SystemClock.now(),
            key: true,
            generation: 1,
            payload: payload.into(),
        };
        let run = Packetizer::new(&config()).packetize(&unit, 0).unwrap();
        assert!(run.packets.len() > 5);
        assert_eq!(depacketize(Codec::H264, &run), Some(unit.payload));
    }

    #[test]
    fn aggregates_are_taken_apart_and_what_is_broken_gives_nothing() {
        let frame = |payloads: &[&[u8]]| depacketize(Codec::H264, &run(payloads));
        let wanted = Some(Bytes::from_static(&[0, 0, 0, 2, 0x41, 9]));
        assert_eq!(frame(&[&[STAP_A, 0, 1, 0x67, 0, 1, 0x68, 0, 2, 0x41, 9]]), wanted);
        assert_eq!(frame(&[&[0x09, 0xf0], &[0x41, 9]]), wanted, "a delimiter is left out");
        assert_eq!(frame(&[&[STAP_A, 0, 9, 0x41]]), None);
        assert_eq!(frame(&[&[FU_A]]), None);
        assert_eq!(frame(&[&[]]), None);
        let nothing = Some(Bytes::new());
        assert_eq!(frame(&[&[FU_A, 0x01, 7]]), nothing, "a fragment without its beginning");
        assert_eq!(frame(&[&[0x67, 1]]), nothing, "nothing but a parameter set");
    }
}
