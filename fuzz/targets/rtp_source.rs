//! A publisher's RTP packets.

use std::time::Duration;

use base::{Clock, MediaTime, SystemClock, TrackId, WallTime, limits};
use bytes::Bytes;
use media::h264::{LengthSize, nals};
use media::{
    Arrival, Codec, CodecConfig, Cursor, FrameReader, Kind, MediaBudget, RtpEvent, RtpFormat, RtpIngest,
    RtpPacket, StreamMedia, TrackWriter,
};

const AUDIO: u8 = 0x01;
const MARKER: u8 = 0x02;
const REPORT: u8 = 0x04;
const RESTART: u8 = 0x08;

/// The first byte names the codec of pictures; then packets follow. Each is a byte of flags, whose upper half is how
/// much later it comes in units of 20 ms, a sequence number, a timestamp, and a payload behind a byte of length.
///
/// What is handed out can be written to tracks and played: pictures begin with a key frame and have no hole in their
/// numbers, nothing goes back in time, and what is held is bounded. Frames that are made of them have a unit's form.
pub fn rtp_source(data: &[u8]) {
    let Some((codec, mut left)) = data.split_first() else { return };
    let codec = [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1][usize::from(codec % 4)];
    let start = SystemClock.now();
    let mut passed = Duration::ZERO;
    let mut ingest = RtpIngest::new();
    let mut tracks = Tracks::new();
    let video = RtpFormat { codec, clock_rate: 90_000, channels: 0 };
    let audio = RtpFormat { codec: Codec::Opus, clock_rate: 48_000, channels: 2 };
    ingest.format(Kind::Video, video);
    ingest.format(Kind::Audio, audio);
    while let Some((&[flags, s0, s1, t0, t1, t2, t3, length], behind)) = left.split_first_chunk::<8>() {
        let (payload, behind) = behind.split_at(usize::from(length).min(behind.len()));
        left = behind;
        passed += Duration::from_millis(20 * u64::from(flags >> 4));
        let arrival = Arrival { at: start + passed, wall: WallTime(0).plus(passed) };
        let (kind, format) = if flags & AUDIO != 0 { (Kind::Audio, audio) } else { (Kind::Video, video) };
        let timestamp = u32::from_be_bytes([t0, t1, t2, t3]);
        if flags & RESTART != 0 {
            ingest.format(kind, format);
            tracks.picture_began &= kind != Kind::Video;
        }
        if flags & REPORT != 0 {
            let ntp = payload.iter().fold(0, |ntp, byte| ntp << 8 | u64::from(*byte));
            ingest.sender_report(kind, ntp, timestamp, arrival);
        } else {
            let payload = Bytes::copy_from_slice(payload);
            let packet = RtpPacket {
                sequence: u16::from_be_bytes([s0, s1]),
                timestamp,
                marker: flags & MARKER != 0,
                payload,
            };
            ingest.packet(kind, packet, arrival);
        }
        ingest.handle_timeout(arrival.at);
        assert!(ingest.poll_timeout().is_none_or(|due| due > arrival.at));
        assert!(ingest.held_bytes() <= 512 * data.len());
        while let Some(event) = ingest.poll() {
            tracks.take(event);
        }
    }
}

/// Where it all goes.
struct Tracks {
    media: std::sync::Arc<StreamMedia>,
    budget: std::sync::Arc<MediaBudget>,
    writers: [Option<TrackWriter>; 2],
    /// Frames are made of the packets.
    readers: [Option<(FrameReader, Cursor)>; 2],
    next_packet: [u64; 2],
    newest: [MediaTime; 2],
    picture_began: bool,
}

impl Tracks {
    fn new() -> Self {
        let budget = MediaBudget::new(1024 * 1024);
        let media = StreamMedia::new(&budget);
        let before = MediaTime::from_millis(-1);
        Self {
            media,
            budget,
            writers: [None, None],
            readers: [None, None],
            next_packet: [0; 2],
            newest: [before; 2],
            picture_began: false,
        }
    }

    fn take(&mut self, event: RtpEvent) {
        match event {
            RtpEvent::Config(config) => {
                let kind = config.codec().kind();
                assert!(config.picture_size().is_none_or(|(width, height)| width > 0 && height > 0));
                let id = TrackId::new(kind.label()).expect("a name");
                let writer = self.media.write_track(&id, &config, None);
                self.readers[of(kind)] = writer.as_ref().map(|writer| {
                    let reader = writer.track().read_frames();
                    let head = reader.frames().head();
                    (reader, Cursor(head))
                });
                self.writers[of(kind)] = writer;
            }
            RtpEvent::Run { kind, run } => {
                let hole = run.first_packet - self.next_packet[of(kind)];
                assert!(hole == 0 || kind == Kind::Audio && hole <= limits::RTP_HOLE_PACKETS_MAX);
                assert!(run.dts > self.newest[of(kind)] && run.pts == run.dts);
                assert!(!run.packets.is_empty());
                assert!(
                    run.packets.iter().all(|packet| packet.payload.len() <= limits::RTP_PAYLOAD_BYTES_MAX)
                );
                if kind == Kind::Video {
                    assert!(run.key || self.picture_began);
                    assert_eq!(run.packets.iter().filter(|packet| packet.marker).count(), 1);
                    self.picture_began = true;
                }
                (self.next_packet[of(kind)], self.newest[of(kind)]) = (run.end_packet(), run.dts);
                let writer = self.writers[of(kind)].as_ref().expect("a configuration came first");
                writer.write_run(run).expect("it is the only writer, and frames are bounded");
                self.look_at_frames(kind);
                assert!(self.budget.held() <= self.budget.bytes_max());
            }
            RtpEvent::KeyFrameWanted => self.picture_began = false,
            RtpEvent::Lost { packets, .. } => assert!(packets > 0),
            RtpEvent::Clock(_) => {}
            RtpEvent::Broken { why, .. } => assert!(!why.is_empty()),
        }
    }

    fn look_at_frames(&mut self, kind: Kind) {
        let Some((reader, cursor)) = &mut self.readers[of(kind)] else { return };
        let is_h264 = matches!(reader.track().config(), CodecConfig::H264(_));
        for unit in reader.frames().read(cursor, usize::MAX).entries {
            assert!(!unit.payload.is_empty());
            assert!(!is_h264 || nals(&unit.payload, LengthSize::Four).all(|nal| nal.is_ok()));
        }
    }
}

const fn of(kind: Kind) -> usize {
    match kind {
        Kind::Video => 0,
        Kind::Audio => 1,
    }
}
