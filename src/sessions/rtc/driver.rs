//! A shard's loop: socket, rings, commands and timers around the sans-I/O [`rtc::Shard`].

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use base::{Clock, ExitReason, limits};
use media::DemandGuard;
use observe::metric;
use rtc::{AddError, PlayerEvent, PlayerId, PlayerSpec, Shard};
use streams::Ending;
use tokio::sync::{mpsc, oneshot};

use super::counters::ShardMetrics;
use super::shards::{Added, Command, Join, PlayerAttachment, PlayerControl, Shared};
use super::socket::{BoundPort, ShardSocket};

/// What the loop keeps of a player beside the shard's own state.
struct Player {
    ending: Ending,
    started: Option<oneshot::Sender<()>>,
}

struct Driver {
    shard: Shard,
    socket: ShardSocket,
    port: u16,
    players: HashMap<PlayerId, Player>,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    metrics: ShardMetrics,
    /// Where the send under way goes, while the socket would not take it.
    blocked: Option<SocketAddr>,
    /// Bytes of the send under way that it has taken.
    sent: usize,
}

/// Runs a shard until the node stops.
pub(super) async fn run(
    shard: Shard,
    port: BoundPort,
    mut commands: mpsc::Receiver<Command>,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
) {
    let number = port.port();
    let socket = match ShardSocket::new(port) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(%error, port = number, "a play shard has no socket");
            return;
        }
    };
    let metrics = ShardMetrics::new(shared.index);
    let mut driver = Driver {
        shard,
        socket,
        port: number,
        players: HashMap::new(),
        shared,
        clock,
        metrics,
        blocked: None,
        sent: 0,
    };
    let bell = driver.shared.bell.clone();
    loop {
        let deadline = driver.shard.poll_timeout();
        let wait = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let blocked = driver.blocked;
        let unblocked = async {
            match blocked {
                Some(to) => driver.socket.writable(to).await,
                None => std::future::pending().await,
            }
        };
        let command = tokio::select! {
            biased;
            () = bell.rung() => None,
            _ = unblocked => { None }
            readable = driver.socket.readable() => {
                if let Err(error) = readable {
                    tracing::error!(%error, "a play shard's socket failed");
                    return;
                }
                None
            }
            command = commands.recv() => match command {
                Some(command) => Some(command),
                None => return,
            },
            () = wait => None,
        };
        // Commands that came meanwhile share the turn, so that none waits behind a busy socket.
        let more = std::iter::from_fn(|| commands.try_recv().ok()).take(limits::SHARD_COMMANDS_PER_TURN_MAX);
        driver.turn(command.into_iter().chain(more));
        // A shard that is always busy must still let the runtime look at sockets and other tasks:
        // what is awaited above may be ready every time.
        tokio::task::yield_now().await;
    }
}

/// However the loop ends, its players do not outlive it.
impl Drop for Driver {
    fn drop(&mut self) {
        for (_, player) in self.players.drain() {
            player.ending.end(ExitReason::Failed);
            metric::players("webrtc").decrement(1.0);
        }
    }
}

impl Driver {
    fn turn(&mut self, commands: impl Iterator<Item = Command>) {
        let now = self.clock.now();
        self.shard.handle_media(now);
        self.flush(now);
        for command in commands {
            self.command(command, now);
        }
        let detached = std::mem::take(&mut *self.shared.detached.lock());
        for (player, reason) in detached {
            self.shard.remove(player, reason, now);
            self.forget(player, reason);
        }
        self.receive(now);
        if self.shard.poll_timeout().is_some_and(|at| at <= now) {
            self.shard.handle_timeout(now, self.clock.wall());
        }
        self.flush(now);
        while let Some((player, event)) = self.shard.poll_event() {
            match event {
                PlayerEvent::Started => {
                    if let Some(started) =
                        self.players.get_mut(&player).and_then(|player| player.started.take())
                    {
                        // A session that is gone needs no news.
                        let _ = started.send(());
                    }
                }
                PlayerEvent::Ended(reason) => self.forget(player, reason),
            }
        }
        self.metrics.update(&self.shard.counters());
    }

    fn command(&mut self, command: Command, now: Instant) {
        match command {
            Command::Join { join, demand, reply } => {
                // Whoever asked may be gone: then the attachment is dropped, and detaches.
                let _ = reply.send(self.add(join, demand, now));
            }
            Command::Answer { player, sdp, reply } => {
                // Whoever asked may be gone; then its attachment goes too.
                let _ = reply.send(self.shard.set_answer(player, &sdp, now));
            }
            Command::Enable { player, kind, enabled } => {
                self.shard.set_enabled(player, kind, enabled, now);
            }
        }
    }

    fn add(&mut self, join: Join, demand: Option<DemandGuard>, now: Instant) -> Result<Added, AddError> {
        if self.players.len() >= self.shared.players_max {
            return Err(AddError::TooManyPlayers);
        }
        let Join { media, stream, video, audio, extra_addresses, connect_max, ending, started } = join;
        let extra_addresses = extra_addresses.into_iter().map(|ip| SocketAddr::new(ip, self.port)).collect();
        let spec =
            PlayerSpec { stream: media, stream_name: stream, audio, video, extra_addresses, connect_max };
        let (player, offer) = self.shard.add_player(spec, now)?;
        self.players.insert(player, Player { ending: ending.clone(), started: Some(started) });
        self.shared.players.store(self.players.len(), Ordering::Relaxed);
        metric::players("webrtc").increment(1.0);
        let shard = Arc::clone(&self.shared);
        let control = PlayerControl { shard: Arc::clone(&shard), player };
        Ok(Added { offer, control, attachment: PlayerAttachment { shard, player, ending, _demand: demand } })
    }

    fn forget(&mut self, player: PlayerId, reason: ExitReason) {
        if let Some(gone) = self.players.remove(&player) {
            gone.ending.end(reason);
            self.shared.players.store(self.players.len(), Ordering::Relaxed);
            metric::players("webrtc").decrement(1.0);
        }
    }

    fn receive(&mut self, now: Instant) {
        let shard = &mut self.shard;
        let received = self.socket.receive(limits::SHARD_DATAGRAMS_PER_TURN_MAX, |from, to, datagram| {
            shard.handle_datagram(from, to, datagram, now);
        });
        if let Err(error) = received {
            tracing::warn!(%error, "a play shard could not read its socket");
        }
    }

    /// Sends what the shard has to send, until it has nothing more or the socket is full.
    fn flush(&mut self, now: Instant) {
        self.blocked = None;
        while let Some(transmit) = self.shard.poll_transmit(now) {
            match self.socket.send(
                transmit.to,
                transmit.from,
                transmit.contents,
                transmit.segment_size,
                &mut self.sent,
            ) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked = Some(transmit.to);
                    return;
                }
                Err(_) => {
                    metric::shard_datagrams_dropped("not sendable").increment(1);
                }
            }
            self.sent = 0;
            self.shard.transmitted();
        }
    }
}
