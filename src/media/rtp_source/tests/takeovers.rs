//! What the runs of a publisher are on the stream's tracks, before and behind other publishers.

use base::{MediaTime, TrackId};

use super::*;
use crate::{Cursor, MediaBudget, StreamMedia, TrackWriter, Unit, Vp9Config};

/// Writes as a session does.
struct Session {
    media: std::sync::Arc<StreamMedia>,
    ingest: RtpIngest,
    writer: Option<TrackWriter>,
}

impl Session {
    fn new(media: &std::sync::Arc<StreamMedia>) -> Self {
        media.take_over();
        let ingest = media.position().map_or_else(RtpIngest::new, RtpIngest::resuming);
        let mut session = Self { media: std::sync::Arc::clone(media), ingest, writer: None };
        session.ingest.format(V, RtpFormat { codec: Codec::Vp9, ..VP8 });
        session
    }

    fn packet(&mut self, sequence: u16, timestamp: u32, payload: &'static [u8], ms: u64) {
        let payload = Bytes::from_static(payload);
        self.ingest.packet(V, RtpPacket { sequence, timestamp, marker: true, payload }, at(ms));
        while let Some(event) = self.ingest.poll() {
            match event {
                RtpEvent::Config(config) => self.writer = self.media.write_track(&id(), &config, None),
                RtpEvent::Run { run, .. } => self.writer.as_ref().unwrap().write_run(run).unwrap(),
                RtpEvent::KeyFrameWanted => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn id() -> TrackId {
    TrackId::new("video").unwrap()
}

fn unit(at_ms: i64, key: bool, ms: u64) -> Unit {
    let at_time = MediaTime::from_millis(at_ms);
    let payload = Bytes::from_static(&[0x82, 0x49, 0x83, 0x42]);
    Unit { dts: at_time, pts: at_time, arrived: at(ms).at, key, generation: 1, payload }
}

#[test]
fn numbers_and_time_go_on_from_one_publisher_to_the_next_whatever_it_sends() {
    const KEY: &[u8] = &[0x08, 0x82, 0x49, 0x83, 0x42, 0x00, 0x13, 0xf0, 0x0b, 0x30, 0x00];
    const INTER: &[u8] = &[0x48, 0x86, 0x00];
    let media = StreamMedia::new(&MediaBudget::unlimited());
    let config = CodecConfig::Vp9(Vp9Config { profile: 0, width: 320, height: 180 });
    let encoder = media.write_track(&id(), &config, None).unwrap();
    let reader = encoder.track().read_packets();
    encoder.write(unit(0, true, 0)).unwrap();
    encoder.write(unit(33, false, 33)).unwrap();

    let mut browser = Session::new(&media);
    browser.packet(500, 7_000, INTER, 1_000);
    browser.packet(501, 10_000, KEY, 1_033);
    browser.packet(502, 13_000, INTER, 1_066);
    let mut again = Session::new(&media);
    again.packet(9, 500, KEY, 2_000);
    media.take_over();
    let encoder = media.write_track(&id(), &config, None).unwrap();
    encoder.write(unit(3_000, true, 3_000)).unwrap();

    let read = reader.packets().read(&mut Cursor(0), usize::MAX);
    let runs: Vec<_> = read.entries.iter().map(|run| (run.first_packet, run.dts.as_millis())).collect();
    assert_eq!(runs, [(0, 0), (1, 33), (2, 1_033), (3, 1_066), (4, 2_000), (5, 3_000)]);
    assert_eq!(media.catalogue().track(&id()).unwrap().generation, 1, "nothing differs");
}
