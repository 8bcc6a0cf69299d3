//! What leaves: control first, then audio, resends, live video with messages in between, and replays, one send per
//! turn each.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base::limits;
use media::{Kind, PacketRun};

use super::fanout::{Found, Held};
use super::outbox::{Live, Transmit};
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
    /// The next send, whose datagrams are appended to `out`. It is the caller's from here on: the
    /// shard counts it as sent.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        loop {
            let sent = if let Some(control) = self.control.take(out) {
                Some(control)
            } else if let Some(viewer) = self.ready.audio.pop_front() {
                self.send_live(viewer, now, out)
            } else if let Some(viewer) = self.ready.resends.pop_front() {
                self.send_again(viewer, now, out)
            } else if let Some(live) = self.ready.pop_live() {
                match live {
                    Live::Video(viewer) => self.send_live(viewer, now, out),
                    Live::Data(player) => self.send_data(player, now, out),
                }
            } else if let Some(viewer) = self.ready.replays.pop_front() {
                self.send_replay(viewer, now, out)
            } else {
                return None;
            };
            if sent.is_some() {
                return sent;
            }
        }
    }

    /// Whether nothing is to be sent now.
    pub fn is_idle(&self) -> bool {
        self.control.is_empty() && self.ready.is_empty() && self.ending.is_empty()
    }

    fn send_live(&mut self, viewer: TrackRef, now: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        let player = self.players.get_mut(viewer.player.0)?;
        let track = player.tracks.get_mut(viewer.track)?;
        track.queued = false;
        let Position::Live { next } = track.position else {
            // A replay began while it stood here.
            self.ready.push(track, viewer);
            return None;
        };
        let (Some(route), Some(session)) = (player.nominated, &mut player.session) else { return None };
        let fanout = track.fanout.and_then(|key| self.fanouts.get_mut(key))?;
        let Held { run, read, ticks } = match fanout.find(next) {
            Found::Run(held) => held,
            Found::UpToDate => return None,
            Found::Behind => {
                player.stats.fell_behind += 1;
                self.counters.fell_behind += 1;
                track.position = Position::Waiting;
                if track.kind == Kind::Video {
                    self.start_replay(viewer, now);
                }
                return None;
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
                return None;
            }
            // Who was held up by its own pace is late for that.
            let held =
                track.held_at.is_some_and(|at| now.saturating_duration_since(at) < limits::PLAY_BACKLOG_MAX);
            let late = now.saturating_duration_since(read);
            if next == run.first_packet && !held && fanout.lateness.sheds(late, self.config.late, now) {
                player.stats.shed += 1;
                self.counters.shed += 1;
                self.start_replay(viewer, now);
                return None;
            }
        }
        if next == run.first_packet {
            track.begin_live(&run, ticks);
        }
        let first = usize::try_from(next - run.first_packet).unwrap_or(usize::MAX);
        let batch = track.seal_batch(&mut session.sealer, &run, ticks, first, PACKETS_PER_SEND, out);
        if batch.packets == 0 {
            return None;
        }
        track.pacer.spend(batch.bytes, pace, now);
        let next = next + batch.packets as u64;
        track.position = Position::Live { next };
        if next != fanout.end {
            self.ready.push(track, viewer);
        }
        self.counters.count(&batch);
        Some(Transmit::new(route, batch.segment_size))
    }

    fn send_replay(&mut self, viewer: TrackRef, now: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        let ntp = self.ntp(now);
        let player = self.players.get_mut(viewer.player.0)?;
        let track = player.tracks.get_mut(viewer.track)?;
        track.queued = false;
        let (Some(route), Some(session)) = (player.nominated, &mut player.session) else { return None };
        let fanout = track.fanout.and_then(|key| self.fanouts.get(key))?;
        let Position::Replaying(replay) = &track.position else {
            // It was stopped and went live while it stood here.
            self.ready.push(track, viewer);
            return None;
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
            return None;
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
                return None;
            }
            Step::Lost => {
                track.stamps.replay_ended(now);
                track.replay_ended = Some(now);
                track.position = Position::Waiting;
                return None;
            }
        };
        if next == run.first_packet
            && let Some(clock) = &fanout.clock
        {
            track.begin_replayed(&run, clock, now);
        }
        let first = usize::try_from(next - run.first_packet).unwrap_or(usize::MAX);
        let batch = track.seal_batch(
            &mut session.sealer,
            &run,
            run.pts.as_ticks(track.clock_rate()),
            first,
            PACKETS_PER_REPLAY_SEND,
            out,
        );
        if batch.packets == 0 {
            return None;
        }
        track.pacer.spend(batch.bytes, player.path.replay_pace(fanout.rate, since), now);
        track.position =
            Position::Replaying(Replay { next: next + batch.packets as u64, run: Some(run), began, lasts });
        self.ready.push(track, viewer);
        self.counters.count(&batch);
        Some(Transmit::new(route, batch.segment_size))
    }

    fn send_again(&mut self, viewer: TrackRef, now: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        let player = self.players.get_mut(viewer.player.0)?;
        let track = player.tracks.get_mut(viewer.track)?;
        track.resends_queued = false;
        let (Some(route), Some(session)) = (player.nominated, &mut player.session) else { return None };
        let fanout = track.fanout.and_then(|key| self.fanouts.get(key))?;
        let index = track.resends.next()?;
        if !track.resends.is_empty() {
            track.resends_queued = true;
            self.ready.resends.push_back(viewer);
        }
        track.expire_stamps(now);
        if !track.may_resend(index) {
            return None;
        }
        let packet = track.packet_at(index);
        let Some(run) = fanout.run_of(packet) else {
            self.counters.nack_misses += 1;
            self.request_replay(viewer, now);
            return None;
        };
        let start = out.len();
        if !track.seal_again(&mut session.sealer, &run, packet, out) {
            return None;
        }
        let again = Batch { packets: 1, bytes: out.len() - start, segment_size: None };
        if !track.resends.pay(again.bytes) {
            // More is missing than may be sent again: a fresh start costs less than it all.
            out.truncate(start);
            self.counters.resends_refused += 1;
            self.request_replay(viewer, now);
            return None;
        }
        track.sent.count_again(&again);
        self.counters.count(&again);
        self.counters.resent += 1;
        Some(Transmit::new(route, None))
    }
}
