//! What leaves: control first, then audio, resends, live video and replays, one send per turn each.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base::limits;
use media::{Kind, PacketRun};

use super::fanout::{Found, Held};
use super::outbox::Transmit;
use super::pacer::time_of;
use super::play_track::{Batch, Position, Replay};
use super::{Shard, TrackRef};

/// Packets of one player in one send.
const PACKETS_PER_SEND: usize = 16;
/// Packets of a replay in one send: at 10 Mbit/s they take 4 ms.
const PACKETS_PER_REPLAY_SEND: usize = 4;
/// How much of its pace a replay may make good when it was served late.
const REPLAY_SLACK: Duration = Duration::from_millis(5);

/// What a replay does next.
enum Step {
    Send(Arc<PacketRun>),
    CaughtUp,
    /// The ring has lost the rest.
    Lost,
}

impl Shard {
    /// The next send. The same one comes again until [`Shard::transmitted`] says that it is done.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit<'_>> {
        while !self.outbox.is_busy() {
            if self.outbox.take_control() {
            } else if let Some(viewer) = self.ready.audio.pop_front() {
                self.send_live(viewer, now);
            } else if let Some(viewer) = self.ready.resends.pop_front() {
                self.send_again(viewer, now);
            } else if let Some(viewer) = self.ready.video.pop() {
                self.send_live(viewer, now);
            } else if let Some(viewer) = self.ready.replays.pop_front() {
                self.send_replay(viewer, now);
            } else {
                return None;
            }
        }
        self.outbox.current()
    }

    /// Whether nothing is to be sent now.
    pub fn is_idle(&self) -> bool {
        !self.outbox.has_any() && self.ready.is_empty() && self.ending.is_empty()
    }

    /// The send last polled is done: taken by the socket, or given up.
    pub fn transmitted(&mut self) {
        self.outbox.done();
    }

    fn send_live(&mut self, viewer: TrackRef, now: Instant) {
        let Some(player) = self.players.get_mut(viewer.player.0) else { return };
        let Some(track) = player.tracks.get_mut(viewer.track) else { return };
        track.queued = false;
        let Position::Live { next } = track.position else {
            // A replay began while it stood here.
            self.ready.push(track, viewer);
            return;
        };
        let (Some(route), Some(session)) = (player.nominated, &mut player.session) else { return };
        let Some(fanout) = track.fanout.and_then(|key| self.fanouts.get_mut(key)) else { return };
        let Held { run, read, ticks } = match fanout.find(next) {
            Found::Run(held) => held,
            Found::UpToDate => return,
            Found::Behind => {
                player.stats.fell_behind += 1;
                self.counters.fell_behind += 1;
                track.position = Position::Waiting;
                if track.kind == Kind::Video {
                    self.start_replay(viewer, now);
                }
                return;
            }
        };
        // Behind a hole of the source the numbers go on as the source has them.
        let next = next.max(run.first_packet);
        let pace = player.path.live_pace(fanout.rate);
        if track.kind == Kind::Video {
            let ready = track.pacer.ready_at(time_of(limits::PACE_BURST_BYTES, pace));
            if let Some(at) = ready.filter(|at| *at > now) {
                track.paced_until = Some(at);
                track.held_at = Some(now);
                self.timers.wake(viewer.player, &mut player.wake, at);
                return;
            }
            // Who was held up by its own pace is late for that.
            let held =
                track.held_at.is_some_and(|at| now.saturating_duration_since(at) < limits::PLAY_BACKLOG_MAX);
            let late = now.saturating_duration_since(read);
            if next == run.first_packet && !held && fanout.lateness.sheds(late, self.config.late, now) {
                player.stats.shed += 1;
                self.counters.shed += 1;
                self.start_replay(viewer, now);
                return;
            }
        }
        if next == run.first_packet {
            track.begin_live(&run, ticks);
        }
        let first = usize::try_from(next - run.first_packet).unwrap_or(usize::MAX);
        self.outbox.buffer.clear();
        let batch = track.seal_batch(
            &mut session.sealer,
            &run,
            ticks,
            first,
            PACKETS_PER_SEND,
            &mut self.outbox.buffer,
        );
        if batch.packets == 0 {
            return;
        }
        track.pacer.spend(batch.bytes, pace, now);
        let next = next + batch.packets as u64;
        track.position = Position::Live { next };
        if next != fanout.end {
            self.ready.push(track, viewer);
        }
        player.stats.count(&batch);
        self.counters.count(&batch);
        self.outbox.set_current(route, batch.segment_size);
    }

    fn send_replay(&mut self, viewer: TrackRef, now: Instant) {
        let ntp = self.ntp(now);
        let Some(player) = self.players.get_mut(viewer.player.0) else { return };
        let Some(track) = player.tracks.get_mut(viewer.track) else { return };
        track.queued = false;
        let (Some(route), Some(session)) = (player.nominated, &mut player.session) else { return };
        let Some(fanout) = track.fanout.and_then(|key| self.fanouts.get(key)) else { return };
        let Position::Replaying(replay) = &track.position else {
            // It was stopped and went live while it stood here.
            self.ready.push(track, viewer);
            return;
        };
        let (next, began, lasts, under_way) = (replay.next, replay.began, replay.lasts, replay.run.clone());
        let since = now.saturating_duration_since(began);
        if let Some(ntp) = ntp.filter(|_| player.path.wants_probe(since)) {
            player.path.probed(ntp);
            player.next_report = Some(now);
            self.timers.wake(viewer.player, &mut player.wake, now);
        }
        if let Some(at) = track.pacer.ready_at(REPLAY_SLACK).filter(|at| *at > now) {
            track.paced_until = Some(at);
            self.timers.wake(viewer.player, &mut player.wake, at);
            return;
        }
        let (next, step) = match under_way.filter(|run| next < run.end_packet()) {
            Some(run) => (next, Step::Send(run)),
            None => {
                // Between two frames: a newer key frame makes the rest of this group needless.
                let newer = fanout.newest_key.filter(|key| *key > next);
                if let Some(key) = newer {
                    track.jump_to(key);
                }
                let next = newer.unwrap_or(next);
                match fanout.run_of(next) {
                    _ if next == fanout.end => (next, Step::CaughtUp),
                    Some(run) => (next, Step::Send(run)),
                    None => (next, Step::Lost),
                }
            }
        };
        let run = match step {
            Step::Send(run) => run,
            Step::CaughtUp => {
                track.stamps.replay_ended(now);
                track.replay_ended = Some(now);
                track.position = Position::Live { next };
                return;
            }
            Step::Lost => {
                track.stamps.replay_ended(now);
                track.replay_ended = Some(now);
                track.position = Position::Waiting;
                return;
            }
        };
        if next == run.first_packet
            && let Some(clock) = &fanout.clock
        {
            track.begin_replayed(&run, clock, now);
        }
        let first = usize::try_from(next - run.first_packet).unwrap_or(usize::MAX);
        self.outbox.buffer.clear();
        let batch = track.seal_batch(
            &mut session.sealer,
            &run,
            run.pts.as_ticks(track.clock_rate()),
            first,
            PACKETS_PER_REPLAY_SEND,
            &mut self.outbox.buffer,
        );
        if batch.packets == 0 {
            return;
        }
        track.pacer.spend(batch.bytes, player.path.replay_pace(fanout.rate, since), now);
        track.position =
            Position::Replaying(Replay { next: next + batch.packets as u64, run: Some(run), began, lasts });
        self.ready.push(track, viewer);
        player.stats.count(&batch);
        self.counters.count(&batch);
        self.outbox.set_current(route, batch.segment_size);
    }

    fn send_again(&mut self, viewer: TrackRef, now: Instant) {
        let Some(player) = self.players.get_mut(viewer.player.0) else { return };
        let Some(track) = player.tracks.get_mut(viewer.track) else { return };
        track.resends_queued = false;
        let (Some(route), Some(session)) = (player.nominated, &mut player.session) else { return };
        let Some(fanout) = track.fanout.and_then(|key| self.fanouts.get(key)) else { return };
        let Some(index) = track.resends.next() else { return };
        if !track.resends.is_empty() {
            track.resends_queued = true;
            self.ready.resends.push_back(viewer);
        }
        track.expire_stamps(now);
        if !track.may_resend(index) {
            return;
        }
        let packet = track.packet_at(index);
        let Some(run) = fanout.run_of(packet) else {
            self.counters.nack_misses += 1;
            self.request_replay(viewer, now);
            return;
        };
        self.outbox.buffer.clear();
        if !track.seal_again(&mut session.sealer, &run, packet, &mut self.outbox.buffer) {
            return;
        }
        let again = Batch { packets: 1, bytes: self.outbox.buffer.len(), segment_size: None };
        if !track.resends.pay(again.bytes) {
            // More is missing than may be sent again: a fresh start costs less than it all.
            self.counters.resends_refused += 1;
            self.request_replay(viewer, now);
            return;
        }
        player.stats.count(&again);
        player.stats.resent += 1;
        self.counters.count(&again);
        self.counters.resent += 1;
        self.outbox.set_current(route, None);
    }
}
