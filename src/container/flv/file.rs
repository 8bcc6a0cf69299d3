//! FLV as a stream of bytes: the file header, and tags with their times (annex E.2 to E.4.1).

use bytes::{Buf, BufMut, Bytes};
use media::h264::H264Config;
use media::{AacConfig, Kind};

/// Bytes of the file header with the size of the tag before the first, which is none.
pub const FILE_HEADER_BYTES: usize = 13;
/// Bytes of a tag's header.
pub const TAG_HEADER_BYTES: usize = 11;
/// Bytes behind each tag: its size.
pub const TAG_TRAILER_BYTES: usize = 4;

pub(super) const AUDIO: u8 = 8;
pub(super) const VIDEO: u8 = 9;
/// Codec 7, AVC; frame type in the upper half.
pub(super) const AVC_KEY: u8 = 0x17;
pub(super) const AVC_INTER: u8 = 0x27;
/// Codec 10, AAC; the other bits are fixed for it.
pub(super) const AAC: u8 = 0xaf;

/// Why bytes are no FLV.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no FLV")]
pub struct NotFlv;

/// Checks a file's header.
pub fn check_file_header(header: &[u8; FILE_HEADER_BYTES]) -> Result<(), NotFlv> {
    // A longer header than the one of version 1 has never been.
    if header.starts_with(b"FLV\x01") && header[5..9] == 9_u32.to_be_bytes() { Ok(()) } else { Err(NotFlv) }
}

/// The header of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagHeader {
    /// What the body is of; `None` for scripts and what nobody has given out.
    pub kind: Option<Kind>,
    /// Bytes of the body, at most 16 MiB.
    pub bytes: u32,
    /// When it is to be decoded, in milliseconds of the file's clock.
    pub millis: u32,
}

impl TagHeader {
    /// Reads a tag's header.
    pub const fn read(header: &[u8; TAG_HEADER_BYTES]) -> Self {
        let [kind, s2, s1, s0, t2, t1, t0, t3, ..] = *header;
        let kind = match kind & 0x1f {
            AUDIO => Some(Kind::Audio),
            VIDEO => Some(Kind::Video),
            _ => None,
        };
        Self {
            kind,
            bytes: u32::from_be_bytes([0, s2, s1, s0]),
            millis: u32::from_be_bytes([t3, t2, t1, t0]),
        }
    }
}

/// The tags of a file in memory, up to the first that is not whole; bodies share its memory. Its own header is
/// not looked at.
pub fn tags(file: &Bytes) -> impl Iterator<Item = (TagHeader, Bytes)> {
    let mut rest = file.slice(FILE_HEADER_BYTES.min(file.len())..);
    std::iter::from_fn(move || {
        let header = TagHeader::read(rest.first_chunk()?);
        let end = TAG_HEADER_BYTES + header.bytes as usize;
        if end > rest.len() {
            return None;
        }
        let body = rest.split_to(end).slice(TAG_HEADER_BYTES..);
        rest.advance(TAG_TRAILER_BYTES.min(rest.len()));
        Some((header, body))
    })
}

/// Writes a file that has one kind of media.
#[derive(Clone, Copy, Debug)]
pub struct FlvWriter(Kind);

impl FlvWriter {
    /// Writes the file's header.
    pub fn new(kind: Kind, out: &mut Vec<u8>) -> Self {
        let has = match kind {
            Kind::Video => 1,
            Kind::Audio => 4,
        };
        out.put_slice(b"FLV\x01");
        out.put_u8(has);
        out.put_u32(9);
        out.put_u32(0);
        Self(kind)
    }

    /// The kind it writes.
    pub const fn kind(self) -> Kind {
        self.0
    }

    /// Writes what a decoder of H.264 needs first.
    pub fn h264_header(self, config: &H264Config, millis: u32, out: &mut Vec<u8>) {
        self.tag(millis, &[AVC_KEY, 0, 0, 0, 0], &config.to_avcc(), out);
    }

    /// Writes a picture (NAL units behind lengths of 4 bytes) that is shown `composition_ms` after it is decoded.
    pub fn h264(self, millis: u32, composition_ms: u32, key: bool, payload: &Bytes, out: &mut Vec<u8>) {
        let [_, high, middle, low] = composition_ms.min(0x7f_ffff).to_be_bytes();
        let frame = if key { AVC_KEY } else { AVC_INTER };
        self.tag(millis, &[frame, 1, high, middle, low], payload, out);
    }

    /// Writes what a decoder of AAC needs first.
    pub fn aac_header(self, config: &AacConfig, millis: u32, out: &mut Vec<u8>) {
        self.tag(millis, &[AAC, 0], &config.asc, out);
    }

    /// Writes a raw AAC frame.
    pub fn aac(self, millis: u32, payload: &Bytes, out: &mut Vec<u8>) {
        self.tag(millis, &[AAC, 1], payload, out);
    }

    fn tag(self, millis: u32, front: &[u8], rest: &[u8], out: &mut Vec<u8>) {
        // A unit is far below the 16 MiB a tag may have (`limits::UNIT_BYTES_MAX`).
        let bytes = u32::try_from(front.len() + rest.len()).unwrap_or(u32::MAX);
        let [t3, t2, t1, t0] = millis.to_be_bytes();
        out.put_u8(match self.0 {
            Kind::Video => VIDEO,
            Kind::Audio => AUDIO,
        });
        out.put_slice(&bytes.to_be_bytes()[1..]);
        out.put_slice(&[t2, t1, t0, t3, 0, 0, 0]);
        out.put_slice(front);
        out.put_slice(rest);
        out.put_u32(bytes.saturating_add(TAG_HEADER_BYTES as u32));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{AudioBody, AudioTag, VideoBody, VideoTag};
    use super::*;
    use media::Codec;

    /// A file whose header is right, and whose tags end with their sizes.
    fn whole(file: Vec<u8>) -> Bytes {
        check_file_header(file.first_chunk().unwrap()).unwrap();
        let file = Bytes::from(file);
        let sizes =
            tags(&file).map(|(header, _)| header.bytes as usize + TAG_HEADER_BYTES + TAG_TRAILER_BYTES);
        assert_eq!(file.len(), FILE_HEADER_BYTES + sizes.sum::<usize>());
        let mut end = FILE_HEADER_BYTES;
        for (header, _) in tags(&file) {
            end += header.bytes as usize + TAG_HEADER_BYTES;
            let size = (header.bytes + TAG_HEADER_BYTES as u32).to_be_bytes();
            assert_eq!(file[end..end + TAG_TRAILER_BYTES], size);
            end += TAG_TRAILER_BYTES;
        }
        file
    }

    #[test]
    fn a_cut_file_gives_what_was_whole() {
        let mut out = Vec::new();
        let writer = FlvWriter::new(Kind::Audio, &mut out);
        for millis in [0, 20] {
            writer.aac(millis, &Bytes::from_static(b"frame"), &mut out);
        }
        let file = Bytes::from(out);
        let counts: Vec<_> = (0..=file.len()).map(|end| tags(&file.slice(..end)).count()).collect();
        // The size behind the last tag is not waited for.
        assert_eq!((counts[30], counts[31], counts[52], counts[53]), (0, 1, 1, 2), "{counts:?}");
    }

    #[test]
    fn what_was_written_is_read() {
        let mut out = Vec::new();
        let writer = FlvWriter::new(Kind::Video, &mut out);
        let picture = Bytes::from_static(&[0, 0, 0, 1, 0x65]);
        writer.h264(0x0102_0304, 80, true, &picture, &mut out);
        writer.h264(0x0102_0325, 0, false, &picture, &mut out);
        let tags: Vec<_> = tags(&whole(out)).collect();
        assert_eq!(tags[0].0, TagHeader { kind: Some(Kind::Video), bytes: 10, millis: 0x0102_0304 });
        let read = VideoTag::parse(&tags[0].1).unwrap();
        let frame = |composition_ms| VideoBody::Frame {
            codec: Codec::H264,
            composition_ms,
            payload: picture.clone(),
        };
        assert_eq!((read.frame_type, read.body), (super::super::FrameType::Key, frame(80)));
        assert_eq!(VideoTag::parse(&tags[1].1).unwrap().body, frame(0));
    }

    #[test]
    fn sound_too() {
        let mut out = Vec::new();
        let writer = FlvWriter::new(Kind::Audio, &mut out);
        let config = AacConfig::from_asc(&[0x11, 0x90]).unwrap();
        writer.aac_header(&config, 7, &mut out);
        writer.aac(7, &Bytes::from_static(b"frame"), &mut out);
        let bodies: Vec<_> =
            tags(&whole(out)).map(|(_, body)| AudioTag::parse(&body).unwrap().body).collect();
        let [header, raw] = [&b"\x11\x90"[..], b"frame"].map(Bytes::from_static);
        assert_eq!(bodies, [AudioBody::SequenceHeader(Codec::Aac, header), AudioBody::Raw(Codec::Aac, raw)]);
    }

    #[test]
    fn other_bytes_are_no_flv() {
        assert_eq!(check_file_header(b"FLV\x01\x05\0\0\0\x09\0\0\0\0"), Ok(()));
        assert_eq!(check_file_header(b"FLV\x02\x05\0\0\0\x09\0\0\0\0"), Err(NotFlv));
        assert_eq!(check_file_header(b"RIFF\x05\0\0\0\x09\0\0\0\0"), Err(NotFlv));
    }
}
