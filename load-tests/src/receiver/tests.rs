//! Receivers in front of a real play shard, on a clock that we move.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{Clock, MediaTime, SeededRandomness, StreamId, SystemClock, TrackId, WallTime, limits};
use bytes::{BufMut, Bytes, BytesMut};
use media::h264::H264Config;
use media::{Bell, CodecConfig, MediaBudget, OpusConfig, StreamMedia, TrackWriter, Unit};
use rtc::{PlayerSpec, Shard, ShardConfig};

use super::*;

const SERVER: &str = "192.0.2.1:50000";
const PLAYER: &str = "198.51.100.7:4444";
/// A high profile SPS of 1280 x 720 and its PPS, as x264 writes them.
const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10,
    0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
];
const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

struct World {
    shard: Shard,
    receiver: Receiver,
    video: TrackWriter,
    audio: TrackWriter,
    start: Instant,
    now: Instant,
    frames: u64,
    packets_sent: u64,
    /// Whether a datagram of the shard is lost: its number, the datagram.
    lose: fn(u64, &[u8]) -> bool,
}

impl World {
    fn new(profile: Profile) -> Self {
        let now = SystemClock.now();
        let config = ShardConfig {
            addresses: vec![SERVER.parse().unwrap()],
            ufrag_prefix: String::new(),
            late: Duration::from_millis(limits::SHARD_LATE_MS_MAX.into()),
        };
        let mut shard = Shard::new(config, Arc::new(SeededRandomness::new(1)), Bell::new()).unwrap();
        let stream = StreamMedia::new(&MediaBudget::unlimited());
        let h264 =
            H264Config::from_parameter_sets(vec![Bytes::from_static(SPS)], vec![Bytes::from_static(PPS)]);
        let h264 = CodecConfig::H264(Arc::new(h264.unwrap()));
        let opus = CodecConfig::Opus(OpusConfig { channels: 2 });
        let id = |name| TrackId::new(name).unwrap();
        let video = stream.write_track(&id("video"), &h264, None).unwrap();
        let audio = stream.write_track(&id("audio"), &opus, None).unwrap();
        let spec = PlayerSpec {
            stream,
            stream_name: StreamId::new("s1").unwrap(),
            kinds: rtc::Kinds { video: true, audio: true },
            data: None,
            extra_addresses: Vec::new(),
            tcp_addresses: Vec::new(),
            connect_max: limits::PLAY_CONNECT_MAX,
        };
        let (player, offer) = shard.add_player(spec, now).unwrap();
        let identity = Arc::new(Identity::new().unwrap());
        let receiver = Receiver::new(&identity, &offer.sdp, profile, &SeededRandomness::new(2), now)
            .unwrap()
            .open_media();
        shard.set_answer(player, &receiver.answer(), now).unwrap();
        let lose = |_: u64, _: &[u8]| false;
        Self { shard, receiver, video, audio, start: now, now, frames: 0, packets_sent: 0, lose }
    }

    fn unit(&self, key: bool, generation: u32, payload: Bytes) -> Unit {
        let time = MediaTime::from_nanos((self.now - self.start).as_nanos() as i64);
        Unit { dts: time, pts: time, arrived: self.now, key, generation, payload }
    }

    fn write_frame(&mut self) {
        let key = self.frames.is_multiple_of(30);
        let mut payload = BytesMut::new();
        payload.put_u32(5_000);
        payload.put_u8(if key { 0x65 } else { 0x41 });
        payload.put_bytes(7, 4_999);
        let unit = self.unit(key, self.video.generation(), payload.freeze());
        self.video.write(unit).unwrap();
        self.frames += 1;
    }

    fn settle(&mut self) {
        let server: SocketAddr = SERVER.parse().unwrap();
        for _ in 0..100 {
            let mut quiet = true;
            self.shard.handle_media(self.now);
            while self.shard.handle_handshake(self.now) {}
            if self.shard.poll_timeout().is_some_and(|at| at <= self.now) {
                let wall = WallTime(1_700_000_000_000).plus(self.now - self.start);
                self.shard.handle_timeout(self.now, wall);
            }
            let mut contents = Vec::new();
            while let Some(transmit) = self.shard.poll_transmit(self.now, &mut contents) {
                quiet = false;
                let size = transmit.segment_size.unwrap_or(usize::MAX);
                for datagram in contents.chunks(size) {
                    self.packets_sent += 1;
                    if !(self.lose)(self.packets_sent, datagram) {
                        self.receiver.handle(datagram, self.now);
                    }
                }
                contents.clear();
            }
            if self.receiver.poll_timeout().is_some_and(|at| at <= self.now) {
                self.receiver.handle_timeout(self.now);
            }
            while let Some(mut datagram) = self.receiver.poll_transmit() {
                quiet = false;
                self.shard.handle_datagram(
                    PLAYER.parse().unwrap(),
                    Some(server.ip()),
                    &mut datagram,
                    self.now,
                );
            }
            if quiet {
                return;
            }
        }
        panic!("no end of talk");
    }

    /// Moves the clock, 1 ms at a time: a frame every 33 ms, sound every 20 ms.
    fn run(&mut self, time: Duration) {
        for _ in 0..time.as_millis() {
            self.now += Duration::from_millis(1);
            let elapsed = (self.now - self.start).as_millis();
            if elapsed.is_multiple_of(33) {
                self.write_frame();
            }
            if elapsed.is_multiple_of(20) {
                self.audio.write(self.unit(true, 1, vec![1; 160].into())).unwrap();
            }
            self.settle();
        }
    }

    fn video(&self) -> &Track {
        self.receiver.tracks().iter().find(|track| track.kind == TrackKind::Video).unwrap()
    }
}

fn plays_with(profile: Profile) {
    let mut world = World::new(profile);
    world.run(Duration::from_secs(20));
    assert_eq!(world.receiver.stage(), &Stage::Connected);
    let counts = *world.video().counts();
    assert!(counts.frames + 5 >= world.frames && counts.frames <= world.frames, "{counts:?}");
    assert_eq!((counts.missed, counts.broken_frames, counts.duplicates), (0, 0, 0));
    assert!(world.receiver.opened() > counts.packets, "sound and pictures were opened");
    let feedback = world.receiver.feedback();
    assert!((18..=20).contains(&feedback.reports) && feedback.sender_reports > 10, "{feedback:?}");
    assert_eq!((feedback.nacks, feedback.key_frames), (0, 0));
    assert!(world.receiver.first_media_at() >= world.receiver.connected_at());
}

#[test]
fn a_node_plays_to_it_for_longer_than_it_suffers_silence_with_gcm() {
    plays_with(Profile::Gcm);
}

#[test]
fn a_node_plays_to_it_for_longer_than_it_suffers_silence_with_cm() {
    plays_with(Profile::Cm);
}

#[test]
fn what_gets_lost_on_the_way_is_asked_for_and_comes() {
    let mut world = World::new(Profile::Gcm);
    world.run(Duration::from_secs(2));
    world.lose = |number, datagram| {
        number.is_multiple_of(50) && datagram[0] >= 128 && datagram[1] & 0x7f < 64
            || number.is_multiple_of(50) && datagram[0] >= 128 && datagram[1] & 0x7f > 95
    };
    world.run(Duration::from_secs(3));
    world.lose = |_, _| false;
    world.run(Duration::from_secs(1));
    let counts = *world.video().counts();
    assert!(counts.missed > 5, "{counts:?}");
    assert_eq!((counts.recovered, counts.lost, counts.broken_frames), (counts.missed, 0, 0), "{counts:?}");
    assert!(world.receiver.feedback().nacks > 0);
    assert!(counts.frames + 5 >= world.frames, "{counts:?} of {}", world.frames);
}

#[test]
fn a_certificate_that_was_not_named_ends_the_player() {
    let mut world = World::new(Profile::Gcm);
    world.receiver.link.remote.fingerprint = "00".to_owned();
    world.run(Duration::from_secs(1));
    let Stage::Closed(reason) = world.receiver.stage() else { panic!("{:?}", world.receiver.stage()) };
    assert_eq!(reason, "not the certificate of the offer");
    assert!(world.receiver.first_media_at().is_none());
}
