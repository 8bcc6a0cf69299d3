//! FLV as players are sent it: pictures and sound in one stream of bytes that has no end.
//!
//! What legacy FLV has a number for (H.264, AAC) is written as it always was, because every player reads that; the
//! rest as Enhanced RTMP v2 writes it, which newer players read.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use media::{Codec, CodecConfig, Kind, OPUS_SAMPLE_RATE};

use super::codec::CARRIED;
use super::file::{AAC, AUDIO, AVC_INTER, AVC_KEY, TAG_HEADER_BYTES, VIDEO};

/// Script data (annex E.4.4).
const SCRIPT: u8 = 18;
/// Bits of an Enhanced RTMP video header: it is one, a key frame, a frame that needs others.
const EX_KEY: u8 = 0x90;
const EX_INTER: u8 = 0xa0;
/// The SoundFormat that says that an Enhanced RTMP audio header follows.
const EX_AUDIO: u8 = 0x90;
const SEQUENCE_START: u8 = 0;
const CODED_FRAMES: u8 = 1;
/// Payloads up to this size are copied next to what stands around them; larger ones are shared.
const COPIED_BYTES_MAX: usize = 2 * 1024;
/// What is handed out at once of a larger payload: the server copies it into its own buffer.
const PIECE_BYTES: usize = 32 * 1024;

/// One access unit or audio frame, as it stands in a tag.
#[derive(Clone, Copy, Debug)]
pub struct FlvUnit<'a> {
    /// When it is decoded, in milliseconds of the stream; goes round after 49 days, as in RTMP.
    pub millis: u32,
    /// How much later it is shown, in milliseconds; written for codecs that reorder.
    pub composition_ms: i32,
    /// Decoding may begin here.
    pub key: bool,
    /// As [`media::Unit`] has it.
    pub payload: &'a Bytes,
}

/// Writes an FLV stream into pieces that share the payloads.
#[derive(Debug, Default)]
pub struct FlvStream {
    done: VecDeque<Bytes>,
    open: BytesMut,
    bytes: usize,
}

impl FlvStream {
    /// A stream that begins with the header of a file which announces those kinds.
    pub fn new(kinds: impl IntoIterator<Item = Kind>) -> Self {
        let has = kinds.into_iter().fold(0, |has, kind| {
            has | match kind {
                Kind::Video => 1,
                Kind::Audio => 4,
            }
        });
        let mut stream = Self::default();
        stream.open.put_slice(b"FLV\x01");
        stream.open.put_u8(has);
        stream.open.put_u32(9);
        stream.open.put_u32(0);
        stream.bytes = stream.open.len();
        stream
    }

    /// Bytes that wait to be taken.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The next bytes, at most some tens of KiB; `None` when there are none.
    pub fn take(&mut self) -> Option<Bytes> {
        if self.done.is_empty() {
            self.close_piece();
        }
        let piece = self.done.pop_front()?;
        self.bytes -= piece.len();
        Some(piece)
    }

    /// Writes `onMetaData` (annex E.5).
    pub fn metadata(&mut self, millis: u32, numbers: &[(&str, f64)]) {
        let mut body = Vec::new();
        body.put_u8(2);
        put_short_text(&mut body, "onMetaData");
        body.put_u8(8);
        body.put_u32(u32::try_from(numbers.len()).unwrap_or(0));
        for (name, number) in numbers {
            put_short_text(&mut body, name);
            body.put_u8(0);
            body.put_f64(*number);
        }
        body.put_slice(&[0, 0, 9]);
        self.tag(SCRIPT, millis, &body, &Bytes::new());
    }

    /// Writes what a decoder needs first. Nothing is written of VP8, which no FLV player takes.
    pub fn header(&mut self, config: &CodecConfig, millis: u32) {
        match config {
            CodecConfig::H264(h264) => {
                self.tag(VIDEO, millis, &[AVC_KEY, SEQUENCE_START, 0, 0, 0], &h264.to_avcc());
            }
            CodecConfig::Aac(aac) => self.tag(AUDIO, millis, &[AAC, SEQUENCE_START], &aac.asc),
            CodecConfig::Hevc(hevc) => {
                self.enhanced(config.codec(), millis, SEQUENCE_START, true, &hevc.record)
            }
            CodecConfig::Av1(av1) => {
                // Of depth and colours the sequence header speaks; here stands what most have: 8 bits, 4:2:0.
                let tier = u8::from(av1.high_tier) << 7;
                let mut record = vec![0x81, av1.profile << 5 | av1.level_idx & 0x1f, tier | 0x0c, 0];
                record.extend_from_slice(&av1.sequence_header);
                self.enhanced(config.codec(), millis, SEQUENCE_START, true, &record.into());
            }
            CodecConfig::Vp9(vp9) => {
                // VP Codec ISO Media File Format Binding 2.2: level unknown, 4:2:0, colours unspecified.
                let depth = if vp9.profile < 2 { 8 } else { 10 };
                let record = [1, 0, 0, 0, vp9.profile, 0, depth << 4 | 1 << 1, 2, 2, 2, 0, 0];
                self.enhanced(config.codec(), millis, SEQUENCE_START, true, &Bytes::copy_from_slice(&record));
            }
            CodecConfig::Opus(opus) => {
                // RFC 7845 5.1: no samples to skip, for a stream that is joined in its middle.
                let mut head = b"OpusHead\x01".to_vec();
                head.put_u8(opus.channels);
                head.put_u16_le(0);
                head.put_u32_le(OPUS_SAMPLE_RATE);
                head.put_slice(&[0, 0, 0]);
                self.enhanced(config.codec(), millis, SEQUENCE_START, true, &head.into());
            }
            CodecConfig::Vp8(_) => {}
        }
    }

    /// Writes a unit of that codec.
    pub fn unit(&mut self, codec: Codec, unit: FlvUnit<'_>) {
        let [high, middle, low] = signed_24(unit.composition_ms);
        match codec {
            Codec::H264 => {
                let frame = if unit.key { AVC_KEY } else { AVC_INTER };
                self.tag(VIDEO, unit.millis, &[frame, CODED_FRAMES, high, middle, low], unit.payload);
            }
            Codec::Aac => self.tag(AUDIO, unit.millis, &[AAC, CODED_FRAMES], unit.payload),
            Codec::Hevc => {
                let mut front = ex_video(codec, CODED_FRAMES, unit.key);
                front.extend_from_slice(&[high, middle, low]);
                self.tag(VIDEO, unit.millis, &front, unit.payload);
            }
            Codec::Av1 | Codec::Vp9 | Codec::Opus => {
                self.enhanced(codec, unit.millis, CODED_FRAMES, unit.key, unit.payload);
            }
            Codec::Vp8 => {}
        }
    }

    fn enhanced(&mut self, codec: Codec, millis: u32, packet_type: u8, key: bool, payload: &Bytes) {
        match codec.kind() {
            Kind::Video => self.tag(VIDEO, millis, &ex_video(codec, packet_type, key), payload),
            Kind::Audio => {
                let mut front = vec![EX_AUDIO | packet_type];
                front.extend_from_slice(four_cc(codec));
                self.tag(AUDIO, millis, &front, payload);
            }
        }
    }

    fn tag(&mut self, kind: u8, millis: u32, front: &[u8], payload: &Bytes) {
        // A unit is far below the 16 MiB a tag may have (`limits::UNIT_BYTES_MAX`).
        let bytes = u32::try_from(front.len() + payload.len()).unwrap_or(u32::MAX);
        let [t3, t2, t1, t0] = millis.to_be_bytes();
        let before = self.open.len();
        self.open.put_u8(kind);
        self.open.put_slice(&bytes.to_be_bytes()[1..]);
        self.open.put_slice(&[t2, t1, t0, t3, 0, 0, 0]);
        self.open.put_slice(front);
        self.bytes += self.open.len() - before + payload.len() + size_of::<u32>();
        if payload.len() <= COPIED_BYTES_MAX {
            self.open.put_slice(payload);
        } else {
            self.close_piece();
            let mut rest = payload.clone();
            while !rest.is_empty() {
                self.done.push_back(rest.split_to(PIECE_BYTES.min(rest.len())));
            }
        }
        self.open.put_u32(bytes.saturating_add(TAG_HEADER_BYTES as u32));
        if self.open.len() >= PIECE_BYTES {
            self.close_piece();
        }
    }

    fn close_piece(&mut self) {
        if !self.open.is_empty() {
            self.done.push_back(self.open.split().freeze());
        }
    }
}

fn ex_video(codec: Codec, packet_type: u8, key: bool) -> Vec<u8> {
    let mut front = vec![packet_type | if key { EX_KEY } else { EX_INTER }];
    front.extend_from_slice(four_cc(codec));
    front
}

fn four_cc(codec: Codec) -> &'static [u8] {
    CARRIED.iter().find(|(_, carried)| *carried == codec).map_or(b"????", |(code, _)| code.as_bytes())
}

fn put_short_text(out: &mut Vec<u8>, text: &str) {
    out.put_u16(u16::try_from(text.len()).unwrap_or(0));
    out.put_slice(text.as_bytes());
}

/// The three bytes of a signed number, cut to what they can say.
fn signed_24(number: i32) -> [u8; 3] {
    let [_, high, middle, low] = number.clamp(-0x80_0000, 0x7f_ffff).to_be_bytes();
    [high, middle, low]
}

#[cfg(test)]
mod tests {
    use super::super::{AudioBody, AudioTag, TagHeader, VideoBody, VideoTag, check_file_header, tags};
    use super::*;
    use media::{AacConfig, OpusConfig, Vp8Config, Vp9Config};
    use std::sync::Arc;

    fn all(stream: &mut FlvStream) -> Bytes {
        let mut whole = Vec::new();
        while let Some(piece) = stream.take() {
            assert!(piece.len() <= PIECE_BYTES + COPIED_BYTES_MAX + 64, "{}", piece.len());
            whole.extend_from_slice(&piece);
        }
        assert_eq!(stream.bytes(), 0);
        whole.into()
    }

    fn unit(millis: u32, composition_ms: i32, payload: &Bytes) -> FlvUnit<'_> {
        FlvUnit { millis, composition_ms, key: true, payload }
    }

    #[test]
    fn what_was_written_is_read() {
        let mut stream = FlvStream::new([Kind::Video, Kind::Audio]);
        stream.metadata(0, &[("width", 640.0)]);
        stream.header(&CodecConfig::Aac(Arc::new(AacConfig::from_asc(&[0x11, 0x90]).unwrap())), 5);
        let large = Bytes::from(vec![7; 3 * PIECE_BYTES + 5]);
        stream.unit(Codec::H264, unit(0x0102_0304, -40, &large));
        stream.unit(Codec::Aac, unit(9, 0, &Bytes::from_static(b"frame")));
        let written = stream.bytes();
        let whole = all(&mut stream);
        assert_eq!(whole.len(), written);
        check_file_header(whole.first_chunk().unwrap()).unwrap();
        assert_eq!(whole[4], 5);
        let tags: Vec<_> = tags(&whole).collect();
        assert_eq!(tags.len(), 4);
        assert_eq!(tags[0].0.kind, None);
        assert_eq!(&tags[0].1[..13], b"\x02\0\x0aonMetaData");
        let config = AudioBody::SequenceHeader(Codec::Aac, Bytes::from_static(&[0x11, 0x90]));
        assert_eq!(AudioTag::parse(&tags[1].1).unwrap().body, config);
        assert_eq!(tags[2].0, TagHeader { kind: Some(Kind::Video), bytes: 98_314, millis: 0x0102_0304 });
        let picture = VideoBody::Frame { codec: Codec::H264, composition_ms: -40, payload: large };
        assert_eq!(VideoTag::parse(&tags[2].1).unwrap().body, picture);
        let sound = AudioBody::Raw(Codec::Aac, Bytes::from_static(b"frame"));
        assert_eq!(AudioTag::parse(&tags[3].1).unwrap().body, sound);
    }

    #[test]
    fn newer_codecs_are_written_as_enhanced_rtmp_has_them() {
        let payload = Bytes::from_static(&[1, 2, 3]);
        for codec in [Codec::Hevc, Codec::Av1, Codec::Vp9] {
            let mut stream = FlvStream::new([Kind::Video]);
            stream.unit(codec, unit(1, 21, &payload));
            let whole = all(&mut stream);
            let (_, body) = tags(&whole).next().unwrap();
            let composition_ms = if codec == Codec::Hevc { 21 } else { 0 };
            let frame = VideoBody::Frame { codec, composition_ms, payload: payload.clone() };
            assert_eq!(VideoTag::parse(&body).unwrap().body, frame);
        }
        let mut stream = FlvStream::new([Kind::Audio]);
        stream.header(&CodecConfig::Opus(OpusConfig { channels: 2 }), 0);
        stream.unit(Codec::Opus, unit(1, 0, &payload));
        let whole = all(&mut stream);
        let bodies: Vec<_> = tags(&whole).map(|(_, body)| AudioTag::parse(&body).unwrap().body).collect();
        let AudioBody::SequenceHeader(Codec::Opus, head) = &bodies[0] else { panic!("{bodies:?}") };
        assert_eq!(OpusConfig::from_head(head).unwrap(), Some(OpusConfig { channels: 2 }));
        assert_eq!(bodies[1], AudioBody::Raw(Codec::Opus, payload));
    }

    #[test]
    fn of_vp8_nothing_is_written_and_of_vp9_a_record() {
        let mut stream = FlvStream::new([Kind::Video]);
        let _header = stream.take();
        stream.header(&CodecConfig::Vp8(Vp8Config { width: 2, height: 2 }), 0);
        assert_eq!(stream.take(), None);
        stream.header(&CodecConfig::Vp9(Vp9Config { profile: 0, width: 2, height: 2 }), 0);
        let tag = stream.take().unwrap();
        let body = tag.slice(TAG_HEADER_BYTES..tag.len() - 4);
        assert!(matches!(VideoTag::parse(&body).unwrap().body, VideoBody::SequenceHeader(Codec::Vp9, _)));
    }
}
