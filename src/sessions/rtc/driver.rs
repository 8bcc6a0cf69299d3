//! A shard's loop: socket, rings, commands and timers around the sans-I/O [`rtc::Shard`].

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{Clock, ExitReason, limits};
use media::DemandGuard;
use observe::metric;
use rtc::{AddError, PlayerEvent, PlayerId, PlayerSpec, Shard};
use streams::Ending;
use tokio::sync::oneshot;

use super::batch::SendBatch;
use super::counters::ShardMetrics;
use super::shards::{Added, Command, Join, Joining, Place, PlayerAttachment, PlayerControl, Queues, Shared};
use super::socket::{BoundPort, ShardSocket};
use super::statistics::{Sampler, carried};
use super::tcp::is_tcp;

/// Between two words on how busy a shard is.
const TOLD_INTERVAL: Duration = Duration::from_secs(1);

/// What the loop keeps of a player beside the shard's own state.
struct Player {
    ending: Ending,
    started: Option<oneshot::Sender<()>>,
    /// Has its stream made into what it can be sent.
    _demand: DemandGuard,
    place: Place,
}

struct Driver {
    shard: Shard,
    socket: ShardSocket,
    port: u16,
    players: HashMap<PlayerId, Player>,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    metrics: ShardMetrics,
    sampler: Sampler,
    /// Sends on their way; none is left between turns unless the socket would not take it.
    batch: SendBatch,
    /// Where the next of them goes, while it would not.
    blocked: Option<SocketAddr>,
    /// A join that has come and waits for its step.
    joining: Option<Joining>,
    /// Before this, joins wait as long as media does: they have had their share.
    joins_rest_until: Instant,
    /// When the busy share and the log were told last, and how many players had been taken off live
    /// frames for being late then.
    told: Instant,
    shed_told: u64,
    /// Whether the next step of joining is a handshake's.
    handshake_next: bool,
    /// When the last turn was over.
    turned: Instant,
}

/// Runs a shard until the node stops.
pub(super) async fn run(
    shard: Shard,
    port: BoundPort,
    mut queues: Queues,
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
    let now = clock.now();
    let mut driver = Driver {
        shard,
        socket,
        port: number,
        players: HashMap::new(),
        shared,
        clock,
        metrics,
        sampler: Sampler::new(now),
        batch: SendBatch::default(),
        blocked: None,
        joining: None,
        joins_rest_until: now,
        told: now,
        shed_told: 0,
        handshake_next: false,
        turned: now,
    };
    let bell = driver.shared.bell.clone();
    loop {
        let mut command = None;
        if driver.may_sleep() {
            let deadline = [driver.shard.poll_timeout(), driver.sampler.due()].into_iter().flatten().min();
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
            let room_for_join = driver.joining.is_none();
            tokio::select! {
                biased;
                () = bell.rung() => {}
                _ = unblocked => {}
                readable = driver.socket.readable() => {
                    if let Err(error) = readable {
                        tracing::error!(%error, "a play shard's socket failed");
                        return;
                    }
                }
                next = queues.commands.recv() => match next {
                    Some(next) => command = Some(next),
                    None => return,
                },
                next = queues.joins.recv(), if room_for_join => match next {
                    Some(next) => driver.joining = Some(next),
                    None => return,
                },
                () = wait => {}
            }
        }
        driver.turn(command, &mut queues);
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
    /// Whether no media waits, neither in the shard nor for the socket.
    fn is_idle(&self) -> bool {
        self.batch.to().is_none() && self.shard.is_idle()
    }

    /// Whether there is nothing to do before something happens.
    fn may_sleep(&self) -> bool {
        let joins = self.joining.is_some() || self.shard.wants_handshake();
        self.blocked.is_some() || (self.shard.is_idle() && !joins)
    }

    /// One turn: what is new, some sends, what has come, what is due, a step of a join. No part is
    /// long, so that sound, another stream's frame or an ICE check waits for a turn and not for a
    /// fan-out.
    fn turn(&mut self, command: Option<Command>, queues: &mut Queues) {
        let now = self.clock.now();
        // While the socket takes nothing the shard has no time for more players either.
        let waited = self.blocked.map_or(Duration::ZERO, |_| now.saturating_duration_since(self.turned));
        self.shard.handle_media(now);
        self.flush(now);
        let more = std::iter::from_fn(|| queues.commands.try_recv().ok());
        for command in command.into_iter().chain(more).take(limits::SHARD_COMMANDS_PER_TURN_MAX) {
            self.command(command, now);
        }
        self.detach(now);
        self.pause(now);
        self.receive(now);
        if self.shard.poll_timeout().is_some_and(|at| at <= now) {
            self.shard.handle_timeout(now, self.clock.wall());
        }
        let stats = |player| self.shard.player_stats(player);
        self.sampler.turn(&self.shared.board, stats, now, || self.clock.wall());
        let media = self.clock.now();
        let done = self.join_step(queues, media);
        while let Some((player, event)) = self.shard.poll_event() {
            match event {
                PlayerEvent::Started => {
                    self.sampler.started(player, now);
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
        self.turned = done;
        let spent = waited + media.saturating_duration_since(now);
        self.tell(spent, done.saturating_duration_since(media), done);
    }

    /// Tells the meter, the metrics and the log of a turn.
    fn tell(&mut self, media: Duration, joins: Duration, now: Instant) {
        let players = self.players.len();
        let counters = self.shard.counters();
        self.metrics.update(&counters);
        let mut busy = self.shared.busy.lock();
        // Those that are not connected yet get no media.
        let handshakes = usize::try_from(counters.handshakes).unwrap_or(0);
        busy.record(media, joins, players.saturating_sub(handshakes), now);
        if players > 0 && now.saturating_duration_since(self.told) < TOLD_INTERVAL {
            return;
        }
        self.told = now;
        // Without players nothing wakes the shard, and the last figure would stay.
        self.metrics.busy(if players == 0 { 0.0 } else { busy.projected(players, now) });
        if counters.shed > self.shed_told {
            tracing::warn!(
                shard = self.shared.index,
                dropped = counters.shed - self.shed_told,
                players,
                "a play shard is late and dropped frames of some players: it has too much to do"
            );
            self.shed_told = counters.shed;
        }
    }

    /// Has players pause and go on as their permits say.
    fn pause(&mut self, now: Instant) {
        let wishes = std::mem::take(&mut *self.shared.pauses.lock());
        for (player, paused) in wishes {
            self.shard.set_paused(player, paused, now);
        }
    }

    /// Takes off players whose attachment was dropped; the rest of many has the next turn.
    fn detach(&mut self, now: Instant) {
        let mut detached = self.shared.detached.lock();
        let count = detached.len().min(limits::SHARD_ENDS_PER_TURN_MAX);
        let gone: Vec<_> = detached.drain(..count).collect();
        if !detached.is_empty() {
            self.shared.bell.ring();
        }
        drop(detached);
        for (player, reason) in gone {
            if let (Some(stats), Some(held)) = (self.shard.player_stats(player), self.players.get(&player)) {
                held.ending.has_carried(carried(&stats));
            }
            self.shard.remove(player, reason, now);
            self.forget(player, reason);
        }
    }

    /// One step of a join or a handshake: when media has nothing to send, or when joins have had less
    /// than their share while it had. Returns when it was done.
    fn join_step(&mut self, queues: &mut Queues, now: Instant) -> Instant {
        if !self.is_idle() && now < self.joins_rest_until {
            return now;
        }
        // In turns, so that neither keeps the other waiting.
        self.handshake_next = !self.handshake_next;
        let first = self.handshake_next && self.shard.handle_handshake(now);
        if !(first || self.join(queues, now) || self.shard.handle_handshake(now)) {
            return now;
        }
        let done = self.clock.now();
        let rest = 100 / limits::SHARD_JOIN_SHARE_PERCENT_MAX - 1;
        self.joins_rest_until = done + done.saturating_duration_since(now) * rest;
        done
    }

    /// Adds the next player that somebody still waits for; `false` when there is none.
    fn join(&mut self, queues: &mut Queues, now: Instant) -> bool {
        while let Some(joining) = self.joining.take().or_else(|| queues.joins.try_recv().ok()) {
            let Joining { join, reply, place } = joining;
            if !reply.is_closed() {
                // Whoever asked may be gone by then: the attachment is dropped, and detaches.
                let _ = reply.send(self.add(join, place, now));
                return true;
            }
        }
        false
    }

    fn command(&mut self, command: Command, now: Instant) {
        match command {
            Command::Answer { player, sdp, reply } => {
                // Whoever asked may be gone; then its attachment goes too.
                let _ = reply.send(self.shard.set_answer(player, &sdp, now));
            }
            Command::Enable { player, kind, enabled } => {
                self.shard.set_enabled(player, kind, enabled, now);
            }
            Command::Offer { player, kinds, reply } => {
                let _ = reply.send(self.shard.offer_again(player, kinds, now));
            }
        }
    }

    fn add(&mut self, join: Join, place: Place, now: Instant) -> Result<Added, AddError> {
        if self.players.len() >= self.shared.players_max {
            return Err(AddError::TooManyPlayers);
        }
        let Join {
            media,
            stream,
            kinds,
            data,
            offer,
            demand,
            extra_addresses,
            tcp_addresses,
            connect_max,
            ending,
            started,
            viewer,
        } = join;
        let extra_addresses = extra_addresses.into_iter().map(|ip| SocketAddr::new(ip, self.port)).collect();
        let spec = PlayerSpec {
            stream: media,
            stream_name: stream,
            kinds,
            data,
            extra_addresses,
            tcp_addresses,
            connect_max,
        };
        let (player, description) = match offer {
            Some(offer) => self.shard.add_offering_player(spec, &offer, now)?,
            None => self.shard.add_player(spec, now)?,
        };
        let held = Player { ending: ending.clone(), started: Some(started), _demand: demand, place };
        self.players.insert(player, held);
        self.sampler.add(player, viewer);
        metric::players("webrtc").increment(1.0);
        let shard = Arc::clone(&self.shared);
        let control = PlayerControl { shard: Arc::clone(&shard), player };
        Ok(Added { description, control, attachment: PlayerAttachment { shard, player, ending } })
    }

    fn forget(&mut self, player: PlayerId, reason: ExitReason) {
        if let Some(Player { ending, place, .. }) = self.players.remove(&player) {
            self.sampler.remove(player);
            // Before anybody is told: whoever takes its place finds it free.
            drop(place);
            ending.end(reason);
            metric::players("webrtc").decrement(1.0);
        }
    }

    fn receive(&mut self, now: Instant) {
        let is_idle = self.is_idle();
        let (shard, guests) = (&mut self.shard, &self.shared.guests);
        let max = if is_idle {
            limits::SHARD_DATAGRAMS_PER_TURN_MAX
        } else {
            limits::SHARD_DATAGRAMS_PER_BUSY_TURN_MAX
        };
        let received = self.socket.receive(max, |from, to, datagram| {
            if !guests.take(from, to, datagram, now) {
                shard.handle_datagram(from, to, datagram, now);
            }
        });
        self.shared.tcp.receive(max, |from, datagram| {
            if !guests.take(from, None, datagram, now) {
                shard.handle_datagram(from, None, datagram, now);
            }
        });
        if let Err(error) = received {
            tracing::warn!(%error, "a play shard could not read its socket");
        }
    }

    /// Sends what the shard has to send: until it has nothing more, the socket is full, or the turn
    /// had its share.
    fn flush(&mut self, now: Instant) {
        self.blocked = None;
        let mut room = limits::SHARD_SENDS_PER_TURN_MAX;
        let mut calls = 0;
        loop {
            let Some(to) = self.batch.to() else {
                room -= self.batch.fill(&mut self.shard, now, room);
                if self.batch.to().is_none() {
                    break;
                }
                continue;
            };
            if is_tcp(to) {
                if let Some((transmit, left)) = self.batch.first() {
                    self.shared.tcp.send(to, left, transmit.segment_size);
                }
                self.batch.done(1);
                continue;
            }
            calls += 1;
            match self.socket.send(&mut self.batch) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked = Some(to);
                    break;
                }
                Err(_) => {
                    metric::shard_datagrams_dropped("not sendable").increment(1);
                    self.batch.done(1);
                }
            }
        }
        self.metrics.sends(calls);
    }
}
