//! The play shard: the players of one core, and the fan-out of tracks to them.
//!
//! This file has the state; `offering` what signalling does with it, `receive` what datagrams do,
//! `tracks` what streams do, `data` what becomes of messages, `send` what leaves, `timeout` what time does.

mod allowance;
mod channels;
mod counters;
mod data;
mod fanout;
mod lateness;
mod offering;
mod outbox;
mod pacer;
mod path;
mod play_track;
mod player;
mod receive;
mod resends;
mod send;
mod slab;
mod stamps;
mod statistics;
mod timeout;
mod timers;
mod tracks;

pub use channels::Distribution;
pub use counters::{Counters, PlayerStats};
pub use offering::{AddError, Kinds, OfferAgainError, PlayerSpec};
pub use outbox::Transmit;
pub use statistics::{ReceivedStats, SentStats, TrackStats};

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{ExitReason, MediaTime, Randomness, WallTime};
use media::{Bell, Kind, StreamMedia};

use crate::dtls::{DtlsError, DtlsServer};
use fanout::Fanout;
use outbox::{Control, Ready};
use player::{Player, Route};
use slab::{Key, Slab};
use timers::Timers;

/// Names a player; the name of one that ended is never given to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlayerId(Key);

/// One track of one player.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TrackRef {
    player: PlayerId,
    track: usize,
}

/// How a shard is set up.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// The addresses every player is offered, preferred first, with the port of the shard's socket.
    pub addresses: Vec<SocketAddr>,
    /// What the ICE names of its players begin with.
    pub ufrag_prefix: String,
    /// How late a frame may be begun for a player; later, it is dropped for some of them.
    pub late: Duration,
}

/// Why a shard could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// No certificate, or the cryptography is missing something.
    #[error(transparent)]
    Dtls(#[from] DtlsError),
}

/// What happened to a player.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayerEvent {
    /// It is connected, and media flows.
    Started,
    /// It has ended by itself and is gone. Players taken off by [`Shard::remove`] are not told of.
    Ended(ExitReason),
}

/// One stream that players of this shard play.
struct Stream {
    media: Arc<StreamMedia>,
    /// How many changes of it the fan-outs fit.
    seen: u64,
    /// How many of its messages the players were told of.
    messages_seen: u64,
    fanouts: Vec<Key>,
    players: Vec<PlayerId>,
    /// A moment on the stream's clock and when it was: the one line between both that all sender
    /// reports of the stream lie on, so that audio and video are played in step.
    anchor: Option<(MediaTime, Instant)>,
}

/// The players of one core.
pub struct Shard {
    config: ShardConfig,
    randomness: Arc<dyn Randomness>,
    bell: Bell,
    dtls: DtlsServer,
    players: Slab<Player>,
    streams: Slab<Stream>,
    fanouts: Slab<Fanout>,
    by_ufrag: HashMap<String, PlayerId>,
    by_address: HashMap<SocketAddr, PlayerId>,
    /// Players of streams that have ended, until their turn.
    ending: VecDeque<PlayerId>,
    /// DTLS of handshakes, until the caller has time for it.
    handshakes: VecDeque<(PlayerId, Route, Vec<u8>)>,
    control: Control,
    ready: Ready,
    timers: Timers,
    /// The wall clock, told once; from then on the monotonic clock is followed.
    wall: Option<(Instant, WallTime)>,
    events: VecDeque<(PlayerId, PlayerEvent)>,
    counters: Counters,
}

impl Shard {
    /// A shard without players; its rings ring `bell`. Makes a certificate.
    pub fn new(config: ShardConfig, randomness: Arc<dyn Randomness>, bell: Bell) -> Result<Self, ShardError> {
        Ok(Self {
            dtls: DtlsServer::new(Arc::clone(&randomness))?,
            config,
            randomness,
            bell,
            players: Slab::default(),
            streams: Slab::default(),
            fanouts: Slab::default(),
            by_ufrag: HashMap::new(),
            by_address: HashMap::new(),
            ending: VecDeque::new(),
            handshakes: VecDeque::new(),
            control: Control::default(),
            ready: Ready::default(),
            timers: Timers::default(),
            wall: None,
            events: VecDeque::new(),
            counters: Counters::default(),
        })
    }

    /// Stops or goes on sending one kind of media. The player sees no hole; video goes on with a
    /// replay of the group of pictures.
    pub fn set_enabled(&mut self, id: PlayerId, kind: Kind, enabled: bool, now: Instant) {
        let Some(player) = self.players.get_mut(id.0) else { return };
        for track in 0..player.tracks.len() {
            let viewer = TrackRef { player: id, track };
            let Some(state) = self.players.get_mut(id.0).and_then(|player| player.tracks.get_mut(track))
            else {
                return;
            };
            if state.kind != kind || state.enabled == enabled {
                continue;
            }
            state.enabled = enabled;
            if enabled {
                self.begin_track(viewer, now);
            } else {
                self.stop_track(viewer);
            }
        }
    }

    /// Withholds all media and messages from a player and hears none of its own, or goes on with them. Its connection stays, with
    /// its data channels; what was said meanwhile it is not told later. What [`Shard::set_enabled`] says
    /// holds beside it.
    pub fn set_paused(&mut self, id: PlayerId, paused: bool, now: Instant) {
        let Some(player) = self.players.get_mut(id.0).filter(|player| player.paused != paused) else {
            return;
        };
        player.paused = paused;
        let tracks = player.tracks.len();
        self.pause_data(id, paused);
        for track in 0..tracks {
            let viewer = TrackRef { player: id, track };
            if paused {
                self.stop_track(viewer);
            } else {
                self.begin_track(viewer, now);
            }
        }
    }

    /// Takes a player off: it is sent BYE and `close_notify`. Nothing happens if it is gone already.
    pub fn remove(&mut self, id: PlayerId, reason: ExitReason, now: Instant) {
        self.end(id, reason, now);
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<(PlayerId, PlayerEvent)> {
        self.events.pop_front()
    }

    /// How a player fares; `None` when it is gone.
    pub fn player_stats(&self, id: PlayerId) -> Option<PlayerStats> {
        let player = self.players.get(id.0)?;
        let mut stats = player.stats;
        // There is one track of a kind.
        for track in &player.tracks {
            match track.kind {
                Kind::Video => stats.video = track.stats(),
                Kind::Audio => stats.audio = track.stats(),
            }
        }
        Some(stats)
    }

    /// What the shard has counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Ends a player and tells the caller.
    fn end_and_tell(&mut self, id: PlayerId, reason: ExitReason, now: Instant) {
        if self.end(id, reason, now) {
            self.events.push_back((id, PlayerEvent::Ended(reason)));
        }
    }

    fn end(&mut self, id: PlayerId, reason: ExitReason, now: Instant) -> bool {
        if self.players.get(id.0).is_none() {
            return false;
        }
        // A peer that closed reads nothing any more.
        if reason != ExitReason::PeerClosed {
            self.say_goodbye(id, now);
        }
        if let Some(player) = self.players.get_mut(id.0) {
            self.dtls.stop(&mut player.dtls, now);
        }
        self.collect_dtls();
        let tracks = self.players.get(id.0).map_or(0, |player| player.tracks.len());
        for track in 0..tracks {
            self.detach_track(TrackRef { player: id, track });
        }
        let Some(mut player) = self.players.remove(id.0) else { return false };
        self.timers.forget(id, &mut player.wake);
        self.by_ufrag.remove(&player.credentials.ufrag);
        for route in &player.addresses {
            if self.by_address.get(&route.to) == Some(&id) {
                self.by_address.remove(&route.to);
            }
        }
        if let Some(stream) = self.streams.get_mut(player.stream) {
            stream.players.retain(|held| *held != id);
            if stream.players.is_empty() {
                stream.media.take_down(&self.bell);
                self.streams.remove(player.stream);
            }
        }
        self.counters.players -= 1;
        self.counters.ended += 1;
        if !player.started {
            self.counters.handshakes -= 1;
        }
        tracing::debug!(player = ?id, %reason, "player ended");
        true
    }

    /// Goes on as far as the answer, the handshake and the nomination allow.
    fn advance(&mut self, id: PlayerId, now: Instant) {
        let Some(player) = self.players.get_mut(id.0) else { return };
        let Some(peer) = &player.peer else { return };
        if let Some(handshaken) = player.handshaken.take() {
            if handshaken.fingerprint != peer.fingerprint {
                self.counters.fingerprints_wrong += 1;
                self.end_and_tell(id, ExitReason::ProtocolError, now);
                return;
            }
            let Some(session) = self.session(handshaken.keys) else {
                self.end_and_tell(id, ExitReason::Failed, now);
                return;
            };
            let Some(player) = self.players.get_mut(id.0) else { return };
            player.session = Some(session);
        }
        let Some(player) = self.players.get_mut(id.0) else { return };
        if player.session.is_none() || player.nominated.is_none() || player.started {
            return;
        }
        player.started = true;
        player.heard = now;
        player.nominated_heard = now;
        // The first sender report goes out at once, so that the tracks are played in step from the
        // first picture on.
        player.next_report = Some(now);
        self.timers.wake(id, &mut player.wake, now);
        let tracks = player.tracks.len();
        self.counters.started += 1;
        self.counters.handshakes -= 1;
        self.events.push_back((id, PlayerEvent::Started));
        for track in 0..tracks {
            self.begin_track(TrackRef { player: id, track }, now);
        }
    }
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shard").field("counters", &self.counters).finish_non_exhaustive()
    }
}
