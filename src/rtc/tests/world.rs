//! A shard, a stream with a writer, clients and the link between, on a clock that we move.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{Clock, MediaTime, SeededRandomness, StreamId, SystemClock, TrackId, WallTime, limits};
use bytes::{BufMut, Bytes, BytesMut};
use media::h264::H264Config;
use media::{Bell, CodecConfig, MediaBudget, OpusConfig, StreamMedia, TrackWriter, Unit};

use super::client::{Client, Manner};
use crate::{
    Description, Distribution, Kinds, PlayerEvent, PlayerId, PlayerSpec, Shard, ShardConfig, Transmit,
};

pub const SERVER: &str = "192.0.2.1:50000";
pub const STEP: Duration = Duration::from_millis(1);
const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10,
    0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
];
const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

pub fn h264() -> CodecConfig {
    let config =
        H264Config::from_parameter_sets(vec![Bytes::from_static(SPS)], vec![Bytes::from_static(PPS)]);
    CodecConfig::H264(Arc::new(config.unwrap()))
}

pub fn opus() -> CodecConfig {
    CodecConfig::Opus(OpusConfig { channels: 2 })
}

pub fn id(name: &str) -> TrackId {
    TrackId::new(name).unwrap()
}

/// Decides which datagrams of the server get lost: told the client and the datagram.
pub type Loss = Box<dyn FnMut(usize, &[u8]) -> bool>;

/// Does something to a datagram.
pub type Mangle = Box<dyn FnMut(&mut Vec<u8>)>;

pub struct World {
    pub shard: Shard,
    pub media: Arc<StreamMedia>,
    pub start: Instant,
    pub now: Instant,
    pub video: Option<TrackWriter>,
    pub audio: Option<TrackWriter>,
    pub clients: Vec<Client>,
    pub events: Vec<(PlayerId, PlayerEvent)>,
    /// How many sends the shard made.
    pub sends: usize,
    /// How many packets the machine is able to send in a millisecond.
    pub packets_per_step: i64,
    packets_left: i64,
    pub lose: Loss,
    /// Does something to the DTLS datagrams of clients.
    pub mangle: Mangle,
    /// Whom messages of the players that join go to; `None`: they get no data channels.
    pub data: Option<Distribution>,
    /// NAL units written to video, in order.
    pub written: Vec<Vec<u8>>,
    pub audio_written: Vec<Vec<u8>>,
    next_video: Duration,
    next_audio: Duration,
    /// Frames between key frames.
    pub gop: usize,
    pub frame_bytes: usize,
}

impl World {
    pub fn new() -> Self {
        let now = SystemClock.now();
        let config = ShardConfig {
            addresses: vec![SERVER.parse().unwrap()],
            ufrag_prefix: "07".to_owned(),
            late: Duration::from_millis(200),
        };
        let shard = Shard::new(config, Arc::new(SeededRandomness::new(1)), Bell::new()).unwrap();
        let media = StreamMedia::new(&MediaBudget::unlimited());
        let video = media.write_track(&id("video"), &h264(), None);
        let audio = media.write_track(&id("audio"), &opus(), None);
        Self {
            shard,
            media,
            start: now,
            now,
            video,
            audio,
            clients: Vec::new(),
            events: Vec::new(),
            sends: 0,
            packets_per_step: i64::MAX / 2,
            packets_left: i64::MAX / 2,
            lose: Box::new(|_, _| false),
            mangle: Box::new(|_| {}),
            data: None,
            written: Vec::new(),
            audio_written: Vec::new(),
            next_video: Duration::ZERO,
            next_audio: Duration::ZERO,
            gop: 60,
            frame_bytes: 5_000,
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    pub fn spec(&self) -> PlayerSpec {
        PlayerSpec {
            stream: Arc::clone(&self.media),
            stream_name: StreamId::new("s1").unwrap(),
            kinds: Kinds { video: true, audio: true },
            data: self.data,
            extra_addresses: Vec::new(),
            tcp_addresses: Vec::new(),
            connect_max: limits::PLAY_CONNECT_MAX,
        }
    }

    pub fn add(&mut self) -> (PlayerId, Description) {
        self.shard.add_player(self.spec(), self.now).unwrap()
    }

    /// Adds a player whose client has answered; nothing was sent yet.
    pub fn answered(&mut self, manner: Manner) -> PlayerId {
        let (player, offer) = self.add();
        let client = Client::new(&offer.sdp, SERVER.parse().unwrap(), manner);
        self.shard.set_answer(player, &client.answer(&offer.sdp), self.now).unwrap();
        self.clients.push(client);
        player
    }

    /// Adds a player and lets its client check and begin to handshake.
    pub fn join(&mut self, manner: Manner) -> PlayerId {
        let player = self.answered(manner);
        let client = self.clients.len() - 1;
        self.check(client);
        self.clients[client].connect(self.now);
        self.settle();
        player
    }

    /// Adds a player and brings it to where media flows.
    pub fn play(&mut self, manner: Manner) -> PlayerId {
        let player = self.join(manner);
        assert!(self.events.contains(&(player, PlayerEvent::Started)), "{:?}", self.events);
        player
    }

    pub fn check(&mut self, client: usize) {
        let check = self.clients[client].check(true);
        self.deliver(client, check);
    }

    pub fn deliver(&mut self, client: usize, datagram: Vec<u8>) {
        self.deliver_from(self.clients[client].address, datagram);
    }

    pub fn deliver_from(&mut self, from: SocketAddr, mut datagram: Vec<u8>) {
        self.shard.handle_datagram(
            from,
            Some(SERVER.parse::<SocketAddr>().unwrap().ip()),
            &mut datagram,
            self.now,
        );
        while self.shard.handle_handshake(self.now) {}
    }

    /// One turn of the shard's loop and of the clients', until nobody has anything to say.
    pub fn settle(&mut self) {
        for _ in 0..1_000 {
            let mut quiet = true;
            self.shard.handle_media(self.now);
            if self.shard.poll_timeout().is_some_and(|at| at <= self.now) {
                let wall = WallTime(1_700_000_000_000).plus(self.elapsed());
                self.shard.handle_timeout(self.now, wall);
            }
            let mut out = Vec::new();
            while self.packets_left > 0
                && let Some((transmit, contents)) = next_send(&mut self.shard, self.now)
            {
                let size = transmit.segment_size.unwrap_or(usize::MAX);
                assert!(size > contents.len() / 17, "at most 16 packets in a send");
                for datagram in contents.chunks(size) {
                    self.packets_left -= 1;
                    out.push((transmit.to, datagram.to_vec()));
                }
                self.sends += 1;
            }
            for (to, datagram) in out {
                quiet = false;
                let client =
                    self.clients.iter().position(|client| client.address == to).expect("a client's address");
                if !(self.lose)(client, &datagram) {
                    self.clients[client].receive(&datagram, self.now);
                }
            }
            for client in 0..self.clients.len() {
                self.clients[client].handle_timeout(self.now);
                while let Some(mut datagram) = self.clients[client].poll_dtls() {
                    quiet = false;
                    (self.mangle)(&mut datagram);
                    self.deliver(client, datagram);
                }
            }
            while let Some(event) = self.shard.poll_event() {
                self.events.push(event);
            }
            if quiet {
                return;
            }
        }
        panic!("no end of talk");
    }

    pub fn write_video(&mut self, key: bool, bytes: usize) {
        let writer = self.video.as_ref().unwrap();
        let nal = self.write_picture(writer, self.written.len(), key, bytes);
        self.written.push(nal);
    }

    /// Writes a picture to any track; its NAL unit.
    pub fn write_picture(&self, writer: &TrackWriter, number: usize, key: bool, bytes: usize) -> Vec<u8> {
        let mut nal = vec![if key { 0x65 } else { 0x41 }];
        nal.extend((1..bytes).map(|i| (i * 31 + number * 7) as u8));
        let mut payload = BytesMut::new();
        payload.put_u32(nal.len() as u32);
        payload.put_slice(&nal);
        let time = MediaTime::from_nanos(self.elapsed().as_nanos() as i64);
        let unit = Unit {
            dts: time,
            pts: time,
            arrived: self.now,
            key,
            generation: writer.generation(),
            payload: payload.freeze(),
        };
        writer.write(unit).unwrap();
        nal
    }

    pub fn write_audio(&mut self) {
        let number = self.audio_written.len();
        let packet: Vec<u8> = (0..160).map(|i| (i * 3 + number) as u8).collect();
        let time = MediaTime::from_nanos(self.elapsed().as_nanos() as i64);
        let unit = Unit {
            dts: time,
            pts: time,
            arrived: self.now,
            key: true,
            generation: 1,
            payload: packet.clone().into(),
        };
        self.audio.as_ref().unwrap().write(unit).unwrap();
        self.audio_written.push(packet);
    }

    /// Moves the clock by `time`, 1 ms at a time; the source writes 30 frames a second and 50 audio
    /// packets, and the clients check every two seconds and report twice a second.
    pub fn run(&mut self, time: Duration) {
        self.run_with(time, true);
    }

    pub fn run_with(&mut self, time: Duration, clients_live: bool) {
        let end = self.now + time;
        while self.now < end {
            self.now += STEP;
            // What was begun is finished, and missing in the next millisecond.
            self.packets_left = self.packets_left.min(0) + self.packets_per_step;
            let elapsed = self.elapsed();
            if self.video.is_some() && elapsed >= self.next_video {
                self.next_video = elapsed + Duration::from_millis(33);
                self.write_video(self.written.len().is_multiple_of(self.gop), self.frame_bytes);
            }
            if self.audio.is_some() && elapsed >= self.next_audio {
                self.next_audio = elapsed + Duration::from_millis(20);
                self.write_audio();
            }
            if clients_live && elapsed.as_millis().is_multiple_of(2000) {
                (0..self.clients.len()).for_each(|client| self.check(client));
            }
            if clients_live && elapsed.as_millis().is_multiple_of(500) {
                for client in 0..self.clients.len() {
                    if let Some(report) = self.clients[client].receiver_report(self.now) {
                        self.deliver(client, report);
                    }
                }
            }
            self.settle();
        }
    }
}

/// The next send of a shard with what it sends.
pub fn next_send(shard: &mut Shard, now: Instant) -> Option<(Transmit, Vec<u8>)> {
    let mut contents = Vec::new();
    let transmit = shard.poll_transmit(now, &mut contents)?;
    Some((transmit, contents))
}
