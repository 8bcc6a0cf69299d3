use std::cell::RefCell;
use std::collections::BTreeSet;

use base::{Clock, ExitReason, SeededRandomness, SystemClock, TrackId};
use media::{Bell, CodecConfig, MediaBudget, OpusConfig, StreamMedia, TrackWriter};
use rtc::{Kinds, PlayerSpec, Shard, ShardConfig};

use super::*;

const WALL: WallTime = WallTime(1_000);
const TURN: Duration = Duration::from_millis(1);

/// A sampler with players that are sent something at every turn; names come from a real shard.
struct Stand {
    shard: Shard,
    media: Arc<StreamMedia>,
    _writer: Option<TrackWriter>,
    sampler: Sampler,
    board: Board,
    now: Instant,
    /// What a player has been sent.
    sent: SentStats,
    sampled: RefCell<Vec<PlayerId>>,
}

impl Stand {
    fn new() -> Self {
        let now = SystemClock.now();
        let config = ShardConfig {
            addresses: vec!["192.0.2.1:5".parse().unwrap()],
            ufrag_prefix: String::new(),
            late: TURN,
        };
        let media = StreamMedia::new(&MediaBudget::unlimited());
        let opus = CodecConfig::Opus(OpusConfig { channels: 2 });
        Self {
            shard: Shard::new(config, Arc::new(SeededRandomness::new(1)), Bell::new()).unwrap(),
            _writer: media.write_track(&TrackId::new("audio").unwrap(), &opus, None),
            media,
            sampler: Sampler::new(now),
            board: Board::default(),
            now,
            sent: SentStats::default(),
            sampled: RefCell::default(),
        }
    }

    fn add(&mut self, number: i32, stream: &str) -> (PlayerId, Ending) {
        let stream = StreamId::new(stream).unwrap();
        let spec = PlayerSpec {
            stream: Arc::clone(&self.media),
            stream_name: stream.clone(),
            kinds: Kinds { video: false, audio: true },
            data: None,
            extra_addresses: Vec::new(),
            tcp_addresses: Vec::new(),
            connect_max: Duration::from_secs(600),
        };
        let (player, _) = self.shard.add_player(spec, self.now).unwrap();
        let ending = Ending::new();
        let viewer = Viewer {
            app: app(),
            stream,
            peer: PeerAddr::new("192.0.2.7:9".parse().unwrap()),
            protocol: PlayProtocol::WebSocket,
            info: format!("viewer {number}"),
            number,
            ending: ending.clone(),
        };
        self.sampler.add(player, Arc::new(viewer));
        (player, ending)
    }

    fn start(&mut self, number: i32, stream: &str) -> (PlayerId, Ending) {
        let (player, ending) = self.add(number, stream);
        self.sampler.started(player, self.now);
        (player, ending)
    }

    fn turn(&mut self) {
        self.now += TURN;
        self.sent.packets += 1;
        self.sent.bytes += 100;
        self.sent.frames = self.sent.packets / 20;
        let audio = TrackStats { sent: self.sent, ..TrackStats::default() };
        let stats = PlayerStats { audio, ..PlayerStats::default() };
        let asked = |player| {
            self.sampled.borrow_mut().push(player);
            Some(stats)
        };
        self.sampler.turn(&self.board, asked, self.now, || WALL);
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.turn();
        }
    }

    fn clients(&self) -> Clients {
        Clients::read(std::iter::once(&self.board))
    }

    fn of(&self, stream: &str) -> Vec<ClientFigures> {
        self.clients().of(&app(), &StreamId::new(stream).unwrap(), 0, 100)
    }
}

fn app() -> AppName {
    AppName::new("LiveApp").unwrap()
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn rates_are_those_of_the_last_second_and_totals_those_of_a_life() {
    let mut stand = Stand::new();
    stand.start(1, "s");
    stand.run(3 * SECOND + TURN);
    let shown = stand.of("s");
    assert_eq!(shown.len(), 1);
    let ClientFigures { number, info, at, audio, video, .. } = &shown[0];
    assert_eq!((*number, info.as_str(), *at, *video), (1, "viewer 1", WALL, KindFigures::default()));
    let Rates { packets, bytes, frames } = audio.rates;
    assert!((packets - 1_000.0).abs() < 2.0 && (bytes - 100_000.0).abs() < 200.0, "{audio:?}");
    assert!((frames - 50.0).abs() <= 1.0, "{audio:?}");
    assert!(audio.stats.sent.packets > 2_900, "{audio:?}");
}

#[test]
fn a_player_is_shown_once_media_flows_and_until_it_ends() {
    let mut stand = Stand::new();
    let (first, ending) = stand.add(1, "s");
    stand.start(2, "s");
    stand.start(3, "other");
    stand.run(SECOND);
    let numbers =
        |clients: Vec<ClientFigures>| clients.iter().map(|client| client.number).collect::<Vec<_>>();
    assert_eq!((numbers(stand.of("s")), numbers(stand.of("other"))), (vec![2], vec![3]));
    stand.sampler.started(first, stand.now);
    stand.run(SECOND);
    assert_eq!(numbers(stand.of("s")), [1, 2]);
    assert_eq!(numbers(stand.clients().of(&app(), &StreamId::new("s").unwrap(), 1, 1)), [2]);
    // It is gone at once, before its shard has sampled anything.
    ending.end(ExitReason::Finished);
    assert_eq!(numbers(stand.of("s")), [2]);
    let sum = stand.clients().sent(&app());
    assert_eq!((sum.at, sum.video.0), (Some(WALL), SentStats::default()));
    assert!(sum.audio.0.packets > 3_000 && (sum.audio.1.packets - 2_000.0).abs() < 4.0, "{sum:?}");
    assert_eq!(stand.clients().sent(&AppName::new("Other").unwrap()), SentFigures::default());
}

#[test]
fn a_turn_samples_some_and_a_round_everybody_once() {
    let mut stand = Stand::new();
    let players: BTreeSet<_> = (1..=200).map(|number| stand.start(number, "s").0).collect();
    stand.run(SECOND / 2);
    stand.sampled.borrow_mut().clear();
    let mut turns = 0;
    while stand.sampled.borrow().len() < 200 {
        let before = stand.sampled.borrow().len();
        stand.turn();
        let sampled = stand.sampled.borrow().len() - before;
        assert!(sampled <= limits::SHARD_SAMPLES_PER_TURN_MAX);
        turns += usize::from(sampled > 0);
        assert!(stand.sampler.due().is_some());
        // Whoever is in the middle of a round must not sleep.
        assert!(sampled == 0 || sampled < 64 || stand.sampler.due().unwrap() <= stand.now);
    }
    assert_eq!(turns, 4);
    assert_eq!(stand.sampled.borrow().iter().copied().collect::<BTreeSet<_>>(), players);
    stand.run(SECOND / 2);
    assert_eq!(stand.sampled.borrow().len(), 200, "not again within the second");
}

#[test]
fn who_comes_and_goes_in_a_round_disturbs_nobody() {
    let mut stand = Stand::new();
    let players: Vec<_> = (1..=100).map(|number| stand.start(number, "s")).collect();
    stand.turn();
    assert_eq!(stand.sampled.borrow().len(), 64);
    for (player, ending) in [&players[10], &players[63], &players[64], &players[99]] {
        ending.end(ExitReason::PeerClosed);
        stand.sampler.remove(*player);
    }
    stand.start(101, "s");
    stand.turn();
    let shown: BTreeSet<_> = stand.of("s").iter().map(|client| client.number).collect();
    assert_eq!(shown.len(), 97);
    assert!(!shown.contains(&11) && !shown.contains(&100) && shown.contains(&101));
}

#[test]
fn a_shard_without_players_keeps_nothing_and_sleeps() {
    let mut stand = Stand::new();
    assert_eq!(stand.sampler.due(), None);
    let (player, ending) = stand.start(1, "s");
    stand.run(SECOND);
    ending.end(ExitReason::Finished);
    stand.sampler.remove(player);
    assert!(stand.sampler.due().is_some(), "the last batch is taken away");
    stand.run(SECOND);
    assert_eq!(stand.sampler.due(), None);
    assert!(stand.board.newest().is_empty());
}

#[test]
fn a_late_round_moves_the_next_one() {
    let mut stand = Stand::new();
    stand.start(1, "s");
    stand.turn();
    stand.now += 10 * SECOND;
    stand.turn();
    assert_eq!(stand.sampled.borrow().len(), 2);
    assert!((stand.of("s")[0].audio.rates.packets) < 1.0, "one packet in ten seconds");
    stand.run(INTERVAL_MIN - TURN);
    assert_eq!(stand.sampled.borrow().len(), 2);
    stand.run(2 * TURN);
    assert_eq!(stand.sampled.borrow().len(), 3);
}
