//! The play shards: one Arbiter, one UDP port and one [`rtc::Shard`] each.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_rt::{Arbiter, ArbiterHandle};
use base::{Clock, ExitReason, Randomness, StreamId, limits};
use media::{Bell, Codec, DemandGuard, Kind, StreamMedia};
use parking_lot::Mutex;
use rtc::{AddError, AnswerError, Offer, PlayerId};
use streams::Ending;
use tokio::sync::{mpsc, oneshot};

use super::driver;
use super::socket::BoundPort;

/// Why a player could not be added.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The shard has too much to do.
    #[error("the play shard is overloaded")]
    Overloaded,
    /// The shard said no.
    #[error(transparent)]
    Refused(#[from] AddError),
}

/// Why an answer was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeAnswerError {
    /// The shard has too much to do, or is gone.
    #[error("the play shard is overloaded")]
    Overloaded,
    /// The answer is wrong.
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

/// A player to be added.
pub struct Join {
    /// What it plays.
    pub media: Arc<StreamMedia>,
    /// The stream's name, for track labels.
    pub stream: StreamId,
    /// Send video.
    pub video: bool,
    /// Send audio (as Opus).
    pub audio: bool,
    /// Addresses offered to this player beside the shard's own.
    pub extra_addresses: Vec<IpAddr>,
    /// Time from the offer to connected.
    pub connect_max: Duration,
    /// The player's end, both ways.
    pub ending: Ending,
    /// Told when media begins to flow.
    pub started: oneshot::Sender<()>,
}

/// A player that was added. Whoever lets go of it takes the player off.
pub(super) struct Added {
    pub offer: Offer,
    pub control: PlayerControl,
    pub attachment: PlayerAttachment,
}

pub(super) enum Command {
    Join { join: Join, demand: Option<DemandGuard>, reply: oneshot::Sender<Result<Added, AddError>> },
    Answer { player: PlayerId, sdp: String, reply: oneshot::Sender<Result<(), AnswerError>> },
    Enable { player: PlayerId, kind: Kind, enabled: bool },
}

/// What the shard's loop and its handles share.
pub(super) struct Shared {
    pub index: usize,
    pub commands: mpsc::Sender<Command>,
    /// Players whose attachment was dropped: an end is never a queued message. Not longer than
    /// the shard has players.
    pub detached: Mutex<Vec<(PlayerId, ExitReason)>>,
    pub bell: Bell,
    pub players: AtomicUsize,
    pub players_max: usize,
    arbiter: ArbiterHandle,
}

/// The shards of the node.
#[derive(Clone)]
pub struct Shards(Arc<Vec<Arc<Shared>>>);

/// How shards are set up.
pub struct ShardsConfig {
    /// One bound port per shard.
    pub ports: Vec<BoundPort>,
    /// Addresses offered to every player; the port is the shard's.
    pub addresses: Vec<IpAddr>,
    /// Players one shard may have.
    pub players_per_shard_max: usize,
}

impl Shards {
    /// Starts an Arbiter per port.
    pub fn start(
        config: ShardsConfig,
        clock: &Arc<dyn Clock>,
        randomness: &Arc<dyn Randomness>,
    ) -> Result<Self, rtc::ShardError> {
        let mut shards = Vec::new();
        for (index, port) in config.ports.into_iter().enumerate() {
            let arbiter = Arbiter::new();
            let (commands, queue) = mpsc::channel(limits::SHARD_COMMANDS_MAX);
            let shared = Arc::new(Shared {
                index,
                commands,
                detached: Mutex::new(Vec::new()),
                bell: Bell::new(),
                players: AtomicUsize::new(0),
                players_max: config.players_per_shard_max,
                arbiter: arbiter.handle(),
            });
            let addresses: Vec<SocketAddr> =
                config.addresses.iter().map(|ip| SocketAddr::new(*ip, port.port())).collect();
            let shard =
                rtc::Shard::new(rtc::ShardConfig { addresses }, Arc::clone(randomness), shared.bell.clone())?;
            let of_loop = Arc::clone(&shared);
            let clock = Arc::clone(clock);
            arbiter.spawn(async move { driver::run(shard, port, queue, of_loop, clock).await });
            shards.push(shared);
        }
        Ok(Self(Arc::new(shards)))
    }

    /// The shard with the fewest players: where the next one goes. `None` when all have failed.
    pub fn least_loaded(&self) -> Option<ShardHandle> {
        let alive = self.0.iter().filter(|shard| !shard.commands.is_closed());
        alive.min_by_key(|shard| shard.players.load(Ordering::Relaxed)).cloned().map(ShardHandle)
    }
}

/// One shard, for adding players.
#[derive(Clone)]
pub struct ShardHandle(Arc<Shared>);

impl ShardHandle {
    /// Where this shard's players have their actors.
    pub fn arbiter(&self) -> ArbiterHandle {
        self.0.arbiter.clone()
    }

    /// Adds a player: its offer, the hand on it, and what keeps it (dropped, the player goes).
    pub async fn join(&self, join: Join) -> Result<(Offer, PlayerControl, PlayerAttachment), JoinError> {
        if self.0.players.load(Ordering::Relaxed) >= self.0.players_max {
            return Err(JoinError::Overloaded);
        }
        let demand = join.audio.then(|| join.media.want(Codec::Opus));
        let (reply, answer) = oneshot::channel();
        let command = Command::Join { join, demand, reply };
        self.0.commands.try_send(command).map_err(|_| JoinError::Overloaded)?;
        let Added { offer, control, attachment } = answer.await.map_err(|_| JoinError::Overloaded)??;
        Ok((offer, control, attachment))
    }
}

/// The signalling session's hand on a player.
#[derive(Clone)]
pub struct PlayerControl {
    pub(super) shard: Arc<Shared>,
    pub(super) player: PlayerId,
}

impl PlayerControl {
    /// Gives the player's answer to the shard.
    pub async fn answer(&self, sdp: String) -> Result<(), TakeAnswerError> {
        let (reply, answer) = oneshot::channel();
        self.shard
            .commands
            .try_send(Command::Answer { player: self.player, sdp, reply })
            .map_err(|_| TakeAnswerError::Overloaded)?;
        Ok(answer.await.map_err(|_| TakeAnswerError::Overloaded)??)
    }

    /// Stops or goes on sending one kind of media. Lost when the shard is overloaded (`false`).
    pub fn enable(&self, kind: Kind, enabled: bool) -> bool {
        self.shard.commands.try_send(Command::Enable { player: self.player, kind, enabled }).is_ok()
    }
}

/// Keeps a player on its shard; dropped, the player is taken off.
pub struct PlayerAttachment {
    pub(super) shard: Arc<Shared>,
    pub(super) player: PlayerId,
    pub(super) ending: Ending,
    pub(super) _demand: Option<DemandGuard>,
}

impl Drop for PlayerAttachment {
    fn drop(&mut self) {
        let reason = self.ending.reason().unwrap_or(ExitReason::Failed);
        self.shard.detached.lock().push((self.player, reason));
        self.shard.bell.ring();
    }
}
