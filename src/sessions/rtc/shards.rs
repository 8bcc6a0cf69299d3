//! The play shards: one Arbiter, one UDP port and one [`rtc::Shard`] each.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use actix_rt::{Arbiter, ArbiterHandle};
use base::{Clock, ExitReason, Randomness, StreamId, limits};
use media::{Bell, DemandGuard, Kind, StreamMedia};
use parking_lot::Mutex;
use rtc::{AddError, AnswerError, Description, Distribution, Kinds, OfferAgainError, PlayerId, RemoteOffer};
use streams::{Attachment, Ending};
use tokio::sync::{mpsc, oneshot};

use super::busy::BusyMeter;
use super::driver;
use super::guests::GuestPort;
use super::socket::BoundPort;
use super::statistics::{Board, Clients, Viewer};
use super::tcp::{TcpPeers, prefix};

/// Why a player could not be added.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// All shards have been busy for more than the limit.
    #[error("the play shards are busy")]
    Busy,
    /// No shard is left.
    #[error("no play shard is running")]
    NoShard,
    /// [`limits::SHARD_JOINS_MAX`] joins wait already.
    #[error("{} joins wait for the play shard", limits::SHARD_JOINS_MAX)]
    QueueFull,
    /// The shard had no time for it within [`limits::SHARD_JOIN_WAIT_MAX`].
    #[error("the join waited {} s for its play shard", limits::SHARD_JOIN_WAIT_MAX.as_secs())]
    WaitedTooLong,
    /// The shard said no.
    #[error(transparent)]
    Refused(#[from] AddError),
}

impl JoinError {
    /// The name of the limit that was reached, for the metric.
    pub(super) const fn limit(&self) -> &'static str {
        match self {
            Self::Busy => "shard busy",
            Self::NoShard => "no shard",
            Self::QueueFull => "joins waiting",
            Self::WaitedTooLong => "join waited too long",
            Self::Refused(AddError::TooManyPlayers) => "players of the shard",
            Self::Refused(AddError::TooManyHandshakes) => "handshakes of the shard",
            Self::Refused(AddError::NothingToPlay) => "nothing to play",
            Self::Refused(AddError::Codec | AddError::NothingInCommon) => "codec",
        }
    }
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

/// Why a player was not made a further offer.
#[derive(Debug, thiserror::Error)]
pub(super) enum OfferError {
    /// The shard has too much to do, or is gone.
    #[error("the play shard is overloaded")]
    Overloaded,
    /// The shard said no.
    #[error(transparent)]
    Refused(#[from] OfferAgainError),
}

/// A player to be added.
pub struct Join {
    /// What it plays.
    pub media: Arc<StreamMedia>,
    /// The stream's name, for track labels.
    pub stream: StreamId,
    /// What of it.
    pub kinds: Kinds,
    /// Whom its messages go to; `None`: it gets no data channels.
    pub data: Option<Distribution>,
    /// The player's own offer; `None`: it is made one.
    pub offer: Option<RemoteOffer>,
    /// Has made for it what the source does not send, while it plays.
    pub demand: DemandGuard,
    /// Addresses offered to this player beside the shard's own.
    pub extra_addresses: Vec<IpAddr>,
    /// Where it is taken by TCP.
    pub tcp_addresses: Vec<SocketAddr>,
    /// Time from the offer to connected.
    pub connect_max: Duration,
    /// The player's end, both ways.
    pub ending: Ending,
    /// Told when media begins to flow.
    pub started: oneshot::Sender<()>,
    /// Who it is, for statistics.
    pub viewer: Arc<Viewer>,
}

/// A player that was added. Whoever lets go of it takes the player off.
pub(super) struct Added {
    pub description: Description,
    pub control: PlayerControl,
    pub attachment: PlayerAttachment,
}

/// A player on its way to the shard.
pub(super) struct Joining {
    pub join: Join,
    pub reply: oneshot::Sender<Result<Added, AddError>>,
    pub place: Place,
}

/// A place on a shard, from when its player is let in until it is gone: those that come together are not all let in by
/// one reading of the meter, and nobody is counted twice while it comes.
pub(super) struct Place(Arc<Shared>);

impl Place {
    fn take(shared: &Arc<Shared>) -> Self {
        shared.places_taken.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(shared))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.places_taken.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) enum Command {
    Answer { player: PlayerId, sdp: String, reply: oneshot::Sender<Result<(), AnswerError>> },
    Enable { player: PlayerId, kind: Kind, enabled: bool },
    Offer { player: PlayerId, kinds: Kinds, reply: oneshot::Sender<Result<Description, OfferAgainError>> },
}

/// What waits for a shard. Joins cost most and have a queue of their own, so that they hold up nobody
/// who plays.
pub(super) struct Queues {
    pub commands: mpsc::Receiver<Command>,
    pub joins: mpsc::Receiver<Joining>,
}

/// What the shard's loop and its handles share.
pub(super) struct Shared {
    pub index: usize,
    pub commands: mpsc::Sender<Command>,
    pub joins: mpsc::Sender<Joining>,
    pub busy: Mutex<BusyMeter>,
    /// Players whose attachment was dropped: an end is never a queued message. Not longer than
    /// the shard has players.
    pub detached: Mutex<Vec<(PlayerId, ExitReason)>>,
    /// Players whose permit was suspended, or is live again: the newest wish of each. Not longer than the shard has
    /// players.
    pub pauses: Mutex<BTreeMap<PlayerId, bool>>,
    /// How its players fare.
    pub board: Board,
    pub bell: Bell,
    /// By players, and by those that were let in and are not there yet.
    places_taken: AtomicUsize,
    pub players_max: usize,
    /// Who shares its port.
    pub guests: Arc<GuestPort>,
    /// Who comes by TCP.
    pub tcp: Arc<TcpPeers>,
    arbiter: ArbiterHandle,
}

impl Shared {
    /// Gives the loop an offer or an answer to deal with; `None`: it had no place for it in time, or is gone. A
    /// change of a large stream concerns all its players at once, and each has one of either at the most.
    async fn take(&self, command: Command) -> Option<()> {
        let sent = tokio::time::timeout(limits::OFFER_ANSWER_MAX, self.commands.send(command));
        sent.await.ok()?.ok()
    }
}

/// The shards of the node.
#[derive(Clone)]
pub struct Shards {
    shards: Arc<Vec<Arc<Shared>>>,
    /// Share of its time a shard may be busy when a player is let in; `None`: any.
    busy_max: Option<f64>,
    /// Players that asked for a number so far.
    numbered: Arc<AtomicU32>,
    clock: Arc<dyn Clock>,
}

/// Why the shards could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A shard could not be made.
    #[error(transparent)]
    Shard(#[from] rtc::ShardError),
    /// A port cannot be shared.
    #[error("a media port cannot be shared: {0}")]
    Port(#[from] std::io::Error),
}

/// How shards are set up.
pub struct ShardsConfig {
    /// One bound port per shard.
    pub ports: Vec<BoundPort>,
    /// Addresses offered to every player; the port is the shard's.
    pub addresses: Vec<IpAddr>,
    /// Players one shard may have.
    pub players_per_shard_max: usize,
    /// Percent of its time a shard may be busy when a player is let in; 100: any.
    pub busy_percent_max: u8,
    /// How late a frame may be begun for a player.
    pub late: Duration,
}

impl Shards {
    /// Starts an Arbiter per port.
    pub fn start(
        config: ShardsConfig,
        clock: &Arc<dyn Clock>,
        randomness: &Arc<dyn Randomness>,
    ) -> Result<Self, StartError> {
        let mut shards = Vec::new();
        for (index, port) in config.ports.into_iter().enumerate() {
            let arbiter = Arbiter::new();
            let (commands, of_commands) = mpsc::channel(limits::SHARD_COMMANDS_MAX);
            let (joins, of_joins) = mpsc::channel(limits::SHARD_JOINS_MAX);
            let queues = Queues { commands: of_commands, joins: of_joins };
            let bell = Bell::new();
            let tcp = TcpPeers::new(bell.clone());
            let guests = GuestPort::new(index, port.sender()?, Arc::clone(&tcp), port.port());
            let shared = Arc::new(Shared {
                index,
                commands,
                joins,
                busy: Mutex::new(BusyMeter::new(clock.now())),
                detached: Mutex::new(Vec::new()),
                pauses: Mutex::default(),
                board: Board::default(),
                bell,
                places_taken: AtomicUsize::new(0),
                players_max: config.players_per_shard_max,
                guests,
                tcp,
                arbiter: arbiter.handle(),
            });
            let addresses: Vec<SocketAddr> =
                config.addresses.iter().map(|ip| SocketAddr::new(*ip, port.port())).collect();
            let settings = rtc::ShardConfig { addresses, ufrag_prefix: prefix(index), late: config.late };
            let shard = rtc::Shard::new(settings, Arc::clone(randomness), shared.bell.clone())?;
            let of_loop = Arc::clone(&shared);
            let clock = Arc::clone(clock);
            // The loop keeps headers for the kernel that stay on the thread that made them.
            arbiter.spawn_fn(move || {
                actix_rt::spawn(driver::run(shard, port, queues, of_loop, clock));
            });
            shards.push(shared);
        }
        let busy_max = (config.busy_percent_max < 100).then(|| f64::from(config.busy_percent_max) / 100.0);
        let numbered = Arc::default();
        Ok(Self { shards: Arc::new(shards), busy_max, numbered, clock: Arc::clone(clock) })
    }

    /// How the players of all shards fare, as last sampled.
    pub fn clients(&self) -> Clients {
        Clients::read(self.shards.iter().map(|shard| &shard.board))
    }

    /// A number for the next player, above 0; after 2^31 they begin anew.
    pub(super) fn number(&self) -> i32 {
        let number = self.numbered.fetch_add(1, Ordering::Relaxed) % i32::MAX.unsigned_abs();
        i32::try_from(number + 1).unwrap_or(i32::MAX)
    }

    /// The TCP connections of a shard's peers; `None`: there is no such shard.
    pub(super) fn tcp_peers(&self, shard: usize) -> Option<Arc<TcpPeers>> {
        self.shards.get(shard).map(|shard| Arc::clone(&shard.tcp))
    }

    /// The port that the next guest shares: the one with the fewest.
    pub(super) fn port_for_guest(&self) -> Option<Arc<GuestPort>> {
        let ports = self.shards.iter().filter(|shard| !shard.commands.is_closed()).map(|shard| &shard.guests);
        ports.min_by_key(|port| port.count()).cloned()
    }

    /// Where the next player goes: of the shards that have time for one more, the one with the fewest.
    pub fn admit(&self) -> Result<ShardHandle, JoinError> {
        let now = self.clock.now();
        let mut refusal = JoinError::NoShard;
        let mut best: Option<(usize, &Arc<Shared>)> = None;
        for shard in self.shards.iter().filter(|shard| !shard.commands.is_closed()) {
            let players = shard.places_taken.load(Ordering::Relaxed);
            let is_busy =
                || self.busy_max.is_some_and(|max| shard.busy.lock().projected(players + 1, now) > max);
            if players >= shard.players_max {
                refusal = JoinError::Refused(AddError::TooManyPlayers);
            } else if is_busy() {
                refusal = JoinError::Busy;
            } else if best.is_none_or(|(fewest, _)| players < fewest) {
                best = Some((players, shard));
            }
        }
        best.map(|(_, shard)| ShardHandle { place: Place::take(shard) }).ok_or(refusal)
    }
}

/// A place on one shard, for adding a player.
pub struct ShardHandle {
    place: Place,
}

impl ShardHandle {
    /// Where this shard's players have their actors.
    pub fn arbiter(&self) -> ArbiterHandle {
        self.place.0.arbiter.clone()
    }

    /// Adds a player: its offer or answer, the hand on it, and what keeps it (dropped, the player goes).
    pub async fn join(self, join: Join) -> Result<(Description, PlayerControl, PlayerAttachment), JoinError> {
        let (reply, answer) = oneshot::channel();
        let joins = self.place.0.joins.clone();
        joins.try_send(Joining { join, reply, place: self.place }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => JoinError::QueueFull,
            mpsc::error::TrySendError::Closed(_) => JoinError::NoShard,
        })?;
        let added = tokio::time::timeout(limits::SHARD_JOIN_WAIT_MAX, answer)
            .await
            .map_err(|_| JoinError::WaitedTooLong)?
            .map_err(|_| JoinError::NoShard)?;
        let Added { description, control, attachment } = added?;
        Ok((description, control, attachment))
    }
}

/// The signalling session's hand on a player.
#[derive(Clone)]
pub struct PlayerControl {
    pub(super) shard: Arc<Shared>,
    pub(super) player: PlayerId,
}

impl PlayerControl {
    /// Has the shard offer the player again what its stream has now.
    pub(super) async fn offer_again(&self, kinds: Kinds) -> Result<Description, OfferError> {
        let (reply, offer) = oneshot::channel();
        let command = Command::Offer { player: self.player, kinds, reply };
        self.shard.take(command).await.ok_or(OfferError::Overloaded)?;
        Ok(offer.await.map_err(|_| OfferError::Overloaded)??)
    }

    /// Gives the player's answer to the shard.
    pub async fn answer(&self, sdp: String) -> Result<(), TakeAnswerError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Answer { player: self.player, sdp, reply };
        self.shard.take(command).await.ok_or(TakeAnswerError::Overloaded)?;
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
}

impl Attachment for PlayerAttachment {
    fn pause(&mut self, paused: bool) {
        self.shard.pauses.lock().insert(self.player, paused);
        self.shard.bell.ring();
    }
}

impl Drop for PlayerAttachment {
    fn drop(&mut self) {
        let reason = self.ending.reason().unwrap_or(ExitReason::Failed);
        self.shard.detached.lock().push((self.player, reason));
        self.shard.bell.ring();
    }
}
