//! Key frames and configurations of each codec, in the packets that publishers send.

use super::*;
use crate::packet::Packet;

const SPS: &[u8] = &[
    0x67, 0x42, 0xc0, 0x0d, 0xd9, 0x01, 0x41, 0x9f, 0x9e, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00,
    0x03, 0x03, 0xc0, 0xf1, 0x42, 0xa4, 0x80,
];
const PPS: &[u8] = &[0x68, 0xce, 0x3c, 0x80];
const OTHER_PPS: &[u8] = &[0x68, 0xce, 0x06, 0xe2];
/// Of 640x480 where the other is of 320x180.
const LARGE_SPS: &[u8] = &[0x67, 66, 0, 30, 0b1101_1010, 0b0000_0010, 0b1000_0000, 0b1111_0100, 0b0100_0000];
const IDR: &[u8] = &[0x65, 0x88, 0x84, 0x00];
const SLICE: &[u8] = &[0x41, 0x9a, 0x21, 0x6c];
const VP9_KEY: &[u8] = &[0x82, 0x49, 0x83, 0x42, 0x00, 0x13, 0xf0, 0x0b, 0x30, 0x00];
const AV1_SEQUENCE: &[u8] = &[0x08, 0, 0, 0, 0x04, 0x3c, 0xfe, 0xcc, 0xda, 0xf9, 0, 0x40];
const AV1_KEY: &[u8] = &[0x30, 0x10, 0, 0x8d];
const AV1_INTER: &[u8] = &[0x30, 0x30, 0x03, 0x80];

/// Payloads that the readers get somewhere with.
pub(super) fn any_known_front() -> impl Strategy<Value = Vec<u8>> {
    let fronts = [
        stap(&[SPS, PPS]),
        stap(&[SPS, PPS, IDR]),
        fragments(IDR, 2)[0].clone(),
        SLICE.to_vec(),
        slice(2, true),
        fragments(&slice(3, true), 2)[0].clone(),
        [&[0x0a, 0x10, 1, 64, 0, 180][..], VP9_KEY].concat(),
        elements(0x08, &[AV1_SEQUENCE, AV1_KEY]),
    ];
    (prop::sample::select(fronts.to_vec()), 0_usize..60).prop_map(|(mut front, cut)| {
        front.truncate(cut);
        front
    })
}

fn stap(nals: &[&[u8]]) -> Vec<u8> {
    let mut payload = vec![0x78];
    for nal in nals {
        payload.extend(u16::try_from(nal.len()).unwrap().to_be_bytes());
        payload.extend_from_slice(nal);
    }
    payload
}

fn fragments(nal: &[u8], size: usize) -> Vec<Vec<u8>> {
    let last = nal[1..].chunks(size).count() - 1;
    let fragment = |(index, body): (usize, &[u8])| {
        let bits = if index == 0 { 0x80 } else { 0 } | if index == last { 0x40 } else { 0 };
        [&[nal[0] & 0xe0 | 28, nal[0] & 0x1f | bits], body].concat()
    };
    nal[1..].chunks(size).enumerate().map(fragment).collect()
}

/// An AV1 payload, each element behind its length.
fn elements(header: u8, elements: &[&[u8]]) -> Vec<u8> {
    let mut payload = vec![header];
    for element in elements {
        payload.push(element.len() as u8);
        payload.extend_from_slice(element);
    }
    payload
}

/// A source of one codec, which numbers its packets and times its frames.
struct Source {
    stand: Stand,
    sequence: u16,
    frame: u32,
    runs: Vec<Vec<Packet>>,
}

impl Source {
    fn of(codec: Codec) -> Self {
        let mut ingest = RtpIngest::new();
        ingest.format(V, RtpFormat { codec, ..VP8 });
        Self { stand: Stand(ingest), sequence: 0, frame: 0, runs: Vec::new() }
    }

    /// A whole frame of these payloads.
    fn frame(&mut self, payloads: &[Vec<u8>]) -> Vec<String> {
        for (index, payload) in payloads.iter().enumerate() {
            let packet = RtpPacket {
                sequence: self.sequence,
                timestamp: self.frame * 3_000,
                marker: index + 1 == payloads.len(),
                payload: payload.clone().into(),
            };
            self.stand.0.packet(V, packet, at(u64::from(self.frame) * 33));
            self.sequence = self.sequence.wrapping_add(1);
        }
        self.frame += 1;
        let mut told = Vec::new();
        while let Some(event) = self.stand.0.poll() {
            if let RtpEvent::Run { run, .. } = &event {
                self.runs.push(run.packets.clone());
            }
            let line = line(event);
            // Where it lies is told elsewhere.
            told.push(line.split(" at ").next().unwrap().to_owned());
        }
        told
    }

    fn payloads(&self) -> Vec<Vec<u8>> {
        self.runs.last().unwrap().iter().map(|packet| packet.payload.to_vec()).collect()
    }
}

#[test]
fn h264_with_its_parameter_sets_in_any_packets() {
    let frames: &[&[Vec<u8>]] = &[
        &[stap(&[SPS, PPS]), IDR.to_vec()],
        &[stap(&[SPS, PPS, IDR])],
        &[SPS.to_vec(), PPS.to_vec(), IDR.to_vec()],
        &[&[stap(&[&[0x09, 0x10], SPS, PPS])][..], &fragments(IDR, 1)].concat(),
        &[fragments(SPS, 10), fragments(PPS, 2), fragments(IDR, 2)].concat(),
    ];
    for frame in frames {
        let mut source = Source::of(Codec::H264);
        let last = frame.len() - 1;
        assert_eq!(source.frame(frame), ["h264 320x180".to_owned(), format!("video 0-{last} key")]);
        assert_eq!(source.payloads(), *frame, "as it came");
        assert_eq!(source.frame(&[SLICE.to_vec()]), [format!("video {0}-{0}", frame.len())]);
        assert_eq!(source.frame(frame).len(), 1, "nothing new");
    }
}

#[test]
fn an_h264_key_frame_without_parameter_sets_gets_the_known_ones_in_front() {
    let mut source = Source::of(Codec::H264);
    // They come ahead of the picture, one by one.
    assert_eq!(source.frame(&[SPS.to_vec()]), ["key frame wanted"]);
    assert_eq!(
        source.frame(&[IDR.to_vec()]),
        ["video broken: a key frame without parameter sets", "key frame wanted"]
    );
    assert_eq!(source.frame(&[PPS.to_vec()]), [""; 0]);
    assert_eq!(source.frame(&fragments(IDR, 2)), ["h264 320x180", "video 0-2 key"]);
    assert_eq!(source.payloads()[0], stap(&[SPS, PPS]));
    assert_eq!(source.payloads()[1..], fragments(IDR, 2));
    let markers: Vec<_> = source.runs[0].iter().map(|packet| packet.marker).collect();
    assert_eq!(markers, [false, false, true]);
    assert_eq!(source.frame(&[SLICE.to_vec()]), ["video 3-3"]);
    // One with a part of them too: what it brings counts.
    assert_eq!(source.frame(&[OTHER_PPS.to_vec(), IDR.to_vec()]), ["h264 320x180", "video 4-6 key"]);
    assert!(source.payloads()[0].ends_with(OTHER_PPS));
}

#[test]
fn an_h264_configuration_that_differs_comes_before_its_key_frame() {
    let mut source = Source::of(Codec::H264);
    source.frame(&[stap(&[SPS, PPS, IDR])]);
    assert_eq!(source.frame(&[stap(&[LARGE_SPS, PPS, IDR])]), ["h264 640x480", "video 1-1 key"]);
    // Of a frame that is lost they count all the same, with the next that is shown.
    let lost = source.sequence + 1;
    source.stand.packet(V, source.sequence, 9_000, false, &stap(&[SPS, PPS]), 99);
    source.sequence = lost + 1;
    source.frame = 4;
    assert_eq!(source.frame(&[SLICE.to_vec()]), [""; 0]);
    assert_eq!(source.stand.passes(700), ["video lost 1", "key frame wanted"]);
    source.frame = 22;
    assert_eq!(source.frame(&[IDR.to_vec()]), ["h264 320x180", "video 2-3 key"]);
}

#[test]
fn h264_behind_a_hole_is_known_by_its_front() {
    type Front = (&'static str, Vec<Vec<u8>>, bool);
    let rows: Vec<Front> = vec![
        ("parameter sets", vec![stap(&[SPS, PPS]), IDR.to_vec()], true),
        ("a delimiter", vec![vec![0x09, 0x10], IDR.to_vec()], true),
        ("the first slice", vec![IDR.to_vec()], true),
        ("its first fragment", fragments(IDR, 2), true),
        ("a later slice", vec![vec![0x65, 0x40, 0x84]], false),
        ("a later fragment", fragments(IDR, 1)[1..].to_vec(), false),
    ];
    for (name, frame, is_shown) in rows {
        let mut source = Source::of(Codec::H264);
        source.frame(&[stap(&[SPS, PPS, IDR])]);
        source.sequence += 1;
        assert_eq!(source.frame(&frame), [""; 0], "{name}");
        let told = source.stand.passes(700);
        assert_eq!(told[..2], ["video lost 1", "key frame wanted"], "{name}");
        assert_eq!(told.len() == 3, is_shown, "{name}: {told:?}");
    }
}

/// The first slice of a picture that others refer to, or not, with 4 bits of `frame_num`.
fn slice(number: u8, is_referred_to: bool) -> Vec<u8> {
    let header = if is_referred_to { 0x41 } else { 0x01 };
    vec![header, 0x9a | number >> 3, number << 5 | 0x10, 0x6c]
}

#[test]
fn padding_between_pictures_that_is_lost_stops_nothing() {
    type Row = (&'static str, Codec, Vec<Vec<u8>>, Vec<Vec<u8>>, bool);
    let h264 =
        |before: Vec<u8>, behind| ("h264", Codec::H264, vec![stap(&[SPS, PPS, IDR]), before], behind, true);
    let vp8 = |descriptor: &[u8]| [descriptor, &[0x31, 2, 0]].concat();
    let vp9 = |descriptor: &[u8]| [descriptor, &[0x86, 0]].concat();
    let vp8_key = KEY.to_vec();
    let vp9_key = [&[0x8a, 0x05, 0x10, 1, 64, 0, 180], VP9_KEY].concat();
    let no = |(_, codec, before, behind, _): Row, name| (name, codec, before, behind, false);
    let rows: Vec<Row> = vec![
        h264(slice(1, true), vec![slice(2, true)]),
        h264(slice(1, true), fragments(&slice(2, true), 2)),
        h264(slice(15, true), vec![slice(0, true)]),
        no(h264(slice(1, true), vec![slice(3, true)]), "a picture is missing"),
        no(h264(slice(1, false), vec![slice(2, true)]), "frame_num does not count all pictures"),
        no(h264(slice(1, true), vec![vec![0x41, 0x40, 0x9a]]), "a later slice"),
        no(h264(slice(1, true), fragments(&slice(2, true), 1)[1..].to_vec()), "a later fragment"),
        no(
            h264(slice(15, true), vec![stap(&[SPS, PPS, IDR])]),
            "a key frame tells nothing of what was before",
        ),
        ("vp8", Codec::Vp8, vec![vp8_key.clone()], vec![vp8(&[0x90, 0x80, 2])], true),
        (
            "vp8",
            Codec::Vp8,
            vec![vp8_key.clone(), vp8(&[0x90, 0x80, 127])],
            vec![vp8(&[0x90, 0x80, 0])],
            true,
        ),
        (
            "vp8, 15 bits",
            Codec::Vp8,
            vec![vp8_key.clone(), vp8(&[0x90, 0x80, 0xff, 0xff])],
            vec![vp8(&[0x90, 0x80, 0x80, 0])],
            true,
        ),
        ("vp8, two further", Codec::Vp8, vec![vp8_key.clone()], vec![vp8(&[0x90, 0x80, 3])], false),
        ("vp8, no front", Codec::Vp8, vec![vp8_key.clone()], vec![vp8(&[0x80, 0x80, 2])], false),
        ("vp8, without ids", Codec::Vp8, vec![vp8_key], vec![vp8(&[0x10])], false),
        ("vp9", Codec::Vp9, vec![vp9_key.clone()], vec![vp9(&[0xc8, 6])], true),
        ("vp9, two further", Codec::Vp9, vec![vp9_key.clone()], vec![vp9(&[0xc8, 7])], false),
        ("vp9, an upper layer", Codec::Vp9, vec![vp9_key], vec![vp9(&[0xe8, 6, 2, 0])], false),
    ];
    for (name, codec, before, behind, goes_on) in rows {
        let mut source = Source::of(codec);
        let first = before.len();
        for frame in before {
            source.frame(&[frame]);
        }
        source.sequence += 1;
        let told = source.frame(&behind);
        if goes_on {
            let last = first + behind.len() - 1;
            assert_eq!(
                told,
                ["video lost 1".to_owned(), format!("video {first}-{last}")],
                "{name}: {behind:x?}"
            );
        } else {
            assert_eq!(told, [""; 0], "{name}: {behind:x?}");
            assert_eq!(source.stand.passes(700)[..2], ["video lost 1", "key frame wanted"], "{name}");
        }
    }
}

#[test]
fn what_is_no_h264_is_dropped() {
    for (payload, why) in [
        (vec![0xe5, 0x88], "a NAL unit with its forbidden bit set"),
        (vec![0x79, 0, 1, 2], "a packet of the interleaved mode"),
        (vec![0x78, 0, 9, 0x41], "a NAL unit beyond its packet"),
        (vec![0x78, 0, 1, 0x41, 0], "a NAL unit beyond its packet"),
        (vec![0x7c], "a fragment without its header"),
        (vec![0x7c, 0x98, 1], "fragments of no NAL unit"),
        (stap(&[PPS; 32]), "too many or too large parameter sets"),
        (stap(&[&[0x67, 0x42]]), "parameter sets that cannot be read"),
    ] {
        let mut source = Source::of(Codec::H264);
        source.frame(&[stap(&[SPS, PPS, IDR])]);
        let told = source.frame(std::slice::from_ref(&payload));
        assert_eq!(told, [format!("video broken: {why}"), "key frame wanted".to_owned()], "{payload:x?}");
        assert_eq!(source.frame(&[stap(&[SPS, PPS, IDR])]), ["video 1-1 key"]);
        // What is reserved is left out.
        assert_eq!(source.frame(&[vec![0x7e, 1], SLICE.to_vec(), vec![0x60]]), ["video 2-2"]);
        assert!(source.runs.last().unwrap()[0].marker);
    }
}

#[test]
fn vp8_key_frames_behind_every_descriptor() {
    let frame = &KEY[3..];
    for descriptor in [
        &[0x10][..],
        &[0x90, 0x00],
        &[0x90, 0x80, 0x11],
        &[0x90, 0x80, 0x91, 0x22],
        &[0x90, 0xc0, 0x91, 0x22, 0x05],
        &[0x90, 0xe0, 0x91, 0x22, 0x05, 0x40],
        &[0x90, 0x10, 0x03],
    ] {
        let mut source = Source::of(Codec::Vp8);
        let key = [descriptor, frame].concat();
        assert_eq!(source.frame(&[key.clone(), REST.to_vec()]), ["vp8 320x180", "video 0-1 key"], "{key:x?}");
        let mut large = key.clone();
        large[descriptor.len() + 6] = 0x80;
        assert_eq!(source.frame(&[large]), ["vp8 384x180", "video 2-2 key"]);
        assert_eq!(source.frame(&[INTER.to_vec()]), ["video 3-3"]);
        // Another partition, or something that is no front of a key frame, begins nothing.
        let mut second = key.clone();
        second[0] |= 1;
        assert_eq!(source.frame(&[second]), ["video 4-4"]);
        let mut broken = key;
        broken[descriptor.len() + 3] = 0;
        assert_eq!(source.frame(&[broken]), ["video 5-5"]);
    }
}

#[test]
fn vp9_key_frames_behind_every_descriptor() {
    // As our packetizer and as Chromium write it: flexible, with layers and their sizes.
    let structure: &[u8] = &[0x38, 0, 160, 0, 90, 1, 64, 0, 180, 1, 0x00];
    for (descriptor, size) in [
        (vec![0x08], "320x180"),
        (vec![0x0a, 0x10, 1, 64, 0, 180], "320x180"),
        (vec![0x88, 0x05], "320x180"),
        (vec![0x88, 0x80, 0x05], "320x180"),
        (vec![0xb8, 0x80, 0x05, 0x00], "320x180"),
        (vec![0xa8, 0x80, 0x05, 0x00, 0x07], "320x180"),
        ([&[0xba, 0x80, 0x05, 0x00], structure].concat(), "320x180"),
        (vec![0x0a, 0x10, 5, 0, 2, 208], "1280x720"),
    ] {
        let mut source = Source::of(Codec::Vp9);
        let key = [&descriptor[..], VP9_KEY].concat();
        let rest = vec![0x04, 1, 2];
        assert_eq!(
            source.frame(&[key.clone(), rest]),
            [format!("vp9 {size}"), "video 0-1 key".to_owned()],
            "{key:x?}"
        );
        // A picture that needs others, with its references, and an upper layer of one that does not.
        assert_eq!(source.frame(&[vec![0xdc, 0x80, 0x06, 0x03, 0x04, 0x86, 0]]), ["video 2-2"]);
        assert_eq!(source.frame(&[[&[0xa8, 0x07, 0x02, 0x01], VP9_KEY].concat()]), ["video 3-3"]);
        // An intra-only frame is no place to start (7.2).
        assert_eq!(source.frame(&[vec![0x08, 0x86, 0]]), ["video 4-4"]);
    }
    let mut source = Source::of(Codec::Vp9);
    let told = source.frame(&[vec![0x0a, 0x38, 0]]);
    assert_eq!(told[0], "video broken: a payload descriptor that is not whole");
}

#[test]
fn av1_key_frames_in_every_aggregation() {
    let sized = [&[0x0a, 0x0b], &AV1_SEQUENCE[1..]].concat();
    for key in [
        vec![elements(0x08, &[AV1_SEQUENCE, AV1_KEY])],
        vec![[&elements(0x28, &[AV1_SEQUENCE])[..], AV1_KEY].concat()],
        // The frame goes on in the next packet, and the header has a packet of its own.
        vec![elements(0x48, &[AV1_SEQUENCE, &AV1_KEY[..2]]), elements(0x80, &[&AV1_KEY[2..]])],
        vec![[&[0x18], AV1_SEQUENCE].concat(), [&[0x10], AV1_KEY].concat()],
        // With sizes in the units, and an empty element.
        vec![elements(0x08, &[&sized, &[]]), elements(0x00, &[AV1_KEY])],
    ] {
        let mut source = Source::of(Codec::Av1);
        let last = key.len() - 1;
        let told = source.frame(&key);
        assert_eq!(told, ["av1 320x180".to_owned(), format!("video 0-{last} key")], "{key:x?}");
        assert_eq!(source.frame(&[elements(0x00, &[AV1_INTER])]), [format!("video {0}-{0}", key.len())]);
    }
}

#[test]
fn what_only_says_to_begin_an_av1_sequence_is_no_key_frame() {
    for frame in [
        // No sequence header; a frame that needs others; one that is not shown; no beginning.
        elements(0x08, &[AV1_KEY]),
        elements(0x08, &[AV1_SEQUENCE, AV1_INTER]),
        elements(0x08, &[AV1_SEQUENCE, &[0x30, 0x00, 0, 0x8d]]),
        elements(0x00, &[AV1_SEQUENCE, AV1_KEY]),
        elements(0x88, &[AV1_SEQUENCE, AV1_KEY]),
    ] {
        let mut source = Source::of(Codec::Av1);
        assert_eq!(source.frame(&[frame]), ["key frame wanted"]);
    }
    for (frame, why) in [
        (vec![0x08, 9, 1], "an element beyond its packet"),
        (vec![0x08, 0xff], "an element beyond its packet"),
        (elements(0x08, &[&[0x88]]), "a unit that cannot be read"),
        (elements(0x08, &[&AV1_SEQUENCE[..4]]), "a sequence header that cannot be read"),
    ] {
        let mut source = Source::of(Codec::Av1);
        assert_eq!(source.frame(&[frame])[0], format!("video broken: {why}"));
    }
}
