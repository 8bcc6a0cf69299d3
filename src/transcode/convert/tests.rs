use base::limits;

use super::*;
use crate::testing::{MONO_44100, Recording, STEREO_44100, STEREO_48000, play, tone, unit};

const START: MediaTime = MediaTime::from_millis(1_000);

fn converter(recording: &Recording) -> AacToOpus {
    AacToOpus::new(&recording.config()).unwrap()
}

fn convert<'a>(recording: &Recording, units: impl IntoIterator<Item = &'a Unit>) -> Vec<Unit> {
    let mut converter = converter(recording);
    units.into_iter().flat_map(|unit| converter.convert(unit).unwrap()).collect()
}

fn heard_at(recording: &Recording, packets: &[Unit], shift_ms: f64) {
    let heard = play(packets, recording.channels);
    for (loudness, (from, to)) in heard.iter().zip(recording.tones) {
        let (first, last) = tone(loudness);
        let start = 1_000.0 + shift_ms;
        assert!((first - start - from).abs() <= 5.0, "begins at {first}, not {}", start + from);
        assert!((last - start - to).abs() <= 5.0, "ends at {last}, not {}", start + to);
    }
}

#[test]
fn a_sound_is_heard_where_it_was() {
    for recording in [MONO_44100, STEREO_44100, STEREO_48000] {
        let packets = convert(&recording, &recording.units(START));
        assert!((48..=52).contains(&packets.len()), "{}", packets.len());
        heard_at(&recording, &packets, 0.0);
    }
}

#[test]
fn packets_follow_each_other_every_20_ms() {
    let packets = convert(&MONO_44100, &MONO_44100.units(START));
    for pair in packets.windows(2) {
        assert_eq!(pair[1].dts - pair[0].dts, MediaTime::from_millis(20));
        assert_eq!((pair[1].pts, pair[1].key), (pair[1].dts, true));
    }
    assert!(packets.iter().all(|packet| (1..=PACKET_BYTES_MAX).contains(&packet.payload.len())));
}

#[test]
fn nothing_lies_before_the_beginning_of_the_stream() {
    let packets = convert(&STEREO_48000, STEREO_48000.units(MediaTime::ZERO).iter().skip(1));
    assert_eq!(packets[0].dts, MediaTime::from_nanos(13_500_000), "20 ms less the look-ahead of 6.5 ms");
}

#[test]
fn lost_frames_become_silence_and_move_nothing() {
    for recording in [MONO_44100, STEREO_48000] {
        let units = recording.units(START);
        // Two frames are 46 ms at most; lost before the tone.
        let packets = convert(&recording, units[..3].iter().chain(&units[5..]));
        for pair in packets.windows(2) {
            assert_eq!(pair[1].dts - pair[0].dts, MediaTime::from_millis(20));
        }
        heard_at(&recording, &packets, 0.0);
    }
}

#[test]
fn after_a_long_gap_the_times_begin_anew() {
    let recording = STEREO_44100;
    for gap_ms in [100, 700, 3_333] {
        let mut units = recording.units(START);
        for unit in &mut units[10..] {
            unit.dts = unit.dts + MediaTime::from_millis(gap_ms);
        }
        let packets = convert(&recording, &units);
        let steps: Vec<_> = packets.windows(2).map(|pair| (pair[1].dts - pair[0].dts).as_millis()).collect();
        assert_eq!(steps.iter().filter(|step| **step != 20).count(), 1, "{steps:?}");
        assert!(packets.len() < 56, "no silence is made of it: {}", packets.len());
        heard_at(&recording, &packets, gap_ms as f64);
    }
}

#[test]
fn units_before_their_time_lose_what_overlaps() {
    let recording = MONO_44100;
    let mut units = recording.units(START);
    // The source's clock steps back by 100 ms: four frames and a part lie where others were.
    for unit in &mut units[8..] {
        unit.dts = unit.dts - MediaTime::from_millis(100);
    }
    let packets = convert(&recording, &units);
    for pair in packets.windows(2) {
        assert_eq!(pair[1].dts - pair[0].dts, MediaTime::from_millis(20));
    }
    heard_at(&recording, &packets, -100.0);
}

#[test]
fn a_broken_frame_is_skipped() {
    let recording = STEREO_48000;
    let units = recording.units(START);
    let mut converter = converter(&recording);
    let mut packets = Vec::new();
    let mut errors = 0;
    for (number, given) in units.iter().enumerate() {
        let broken = match number {
            5 => Some(unit(given.dts, &[])),
            8 => Some(unit(given.dts, &[0x21, 0xff, 0xff, 0xff, 0xff, 0xff])),
            9 => Some(unit(given.dts, &vec![0; limits::AAC_FRAME_BYTES_MAX + 1])),
            _ => None,
        };
        match converter.convert(broken.as_ref().unwrap_or(given)) {
            Ok(new) => packets.extend(new),
            Err(_) => errors += 1,
        }
    }
    assert!(errors >= 2, "{errors}");
    heard_at(&recording, &packets, 0.0);
}

#[test]
fn other_kinds_of_aac_are_refused_by_name() {
    let why = |asc: &[u8]| AacToOpus::new(&AacConfig::from_asc(asc).unwrap()).unwrap_err().to_string();
    assert_eq!(
        why(&[0x2b, 0x92, 0x08, 0x00]),
        "HE-AAC with 2 channels at 22050 Hz is not decoded in process"
    );
    assert!(why(&[0x12, 0x30]).starts_with("AAC-LC with 6 channels"));
}
