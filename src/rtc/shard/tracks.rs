//! Streams and their tracks: which players follow which, and what a change of the catalogue does.

use std::sync::Arc;
use std::time::Instant;

use base::{ExitReason, limits};
use media::{Catalogue, Codec, Kind, StreamMedia, Track};

use super::fanout::Fanout;
use super::play_track::{Position, Replay};
use super::slab::Key;
use super::{PlayerId, Shard, Stream, TrackRef};

/// The track that is sent as `codec` now; `None`: it is not there yet, not any more, or as something else.
fn resolve(catalogue: &Catalogue, codec: Codec) -> Option<Arc<Track>> {
    let info = catalogue.for_webrtc(codec.kind()).filter(|info| info.config.codec() == codec);
    info.map(|info| Arc::clone(&info.track))
}

impl Shard {
    /// Reads what the rings have that is new, and acts on streams that changed or on which something was said. To be
    /// called when the bell rang, before sending.
    pub fn handle_media(&mut self, now: Instant) {
        let changed: Vec<Key> = self
            .streams
            .iter()
            .filter(|(_, stream)| stream.media.changes() != stream.seen)
            .map(|(key, _)| key)
            .collect();
        for key in changed {
            self.follow(key, now);
        }
        let spoken: Vec<Key> = self
            .streams
            .iter()
            .filter(|(_, stream)| stream.media.messages().head() != stream.messages_seen)
            .map(|(key, _)| key)
            .collect();
        for key in spoken {
            self.tell_of_messages(key);
        }
        for _ in 0..limits::SHARD_ENDS_PER_TURN_MAX {
            let Some(player) = self.ending.pop_front() else { break };
            self.end_and_tell(player, ExitReason::StreamEnded, now);
        }
        let news: Vec<Key> =
            self.fanouts.iter().filter(|(_, fanout)| fanout.has_news()).map(|(key, _)| key).collect();
        for key in news {
            self.read_fanout(key, now);
        }
    }

    /// The state of a stream, made when its first player comes.
    pub(super) fn stream_of(&mut self, media: &Arc<StreamMedia>, seen: u64) -> Key {
        if let Some((key, _)) = self.streams.iter().find(|(_, stream)| Arc::ptr_eq(&stream.media, media)) {
            return key;
        }
        media.hang(&self.bell);
        self.streams.insert(Stream {
            media: Arc::clone(media),
            seen,
            messages_seen: media.messages().head(),
            fanouts: Vec::new(),
            players: Vec::new(),
            anchor: None,
        })
    }

    /// Acts on the end of a stream and on changes of its catalogue.
    fn follow(&mut self, key: Key, now: Instant) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        stream.seen = stream.media.changes();
        if stream.media.is_closed() {
            // Nobody is sent anything more, and nobody has to be looked for in a list of all.
            self.ending.extend(&stream.players);
            for fanout in stream.fanouts.clone() {
                if let Some(fanout) = self.fanouts.get_mut(fanout) {
                    fanout.viewers = Vec::new();
                }
            }
            return;
        }
        for player in stream.players.clone() {
            self.attach_tracks(player, now);
        }
    }

    /// Brings a player's tracks to what the catalogue has.
    pub(super) fn attach_tracks(&mut self, id: PlayerId, now: Instant) {
        let Some(player) = self.players.get(id.0) else { return };
        let Some(stream) = self.streams.get(player.stream) else { return };
        let (key, catalogue) = (player.stream, stream.media.catalogue());
        let sent =
            player.tracks.iter().zip(&player.offered).map(|(track, media)| (track.codec, media.active));
        let sent: Vec<_> = sent.collect();
        for (track, (codec, active)) in sent.into_iter().enumerate() {
            let viewer = TrackRef { player: id, track };
            match resolve(&catalogue, codec).filter(|_| active) {
                Some(media) => self.attach_track(viewer, key, &media, now),
                // Nothing is sent until it is there, or until another offer says what is.
                None => self.detach_track(viewer),
            }
        }
    }

    fn attach_track(&mut self, viewer: TrackRef, stream: Key, media: &Arc<Track>, now: Instant) {
        let Some(state) =
            self.players.get(viewer.player.0).and_then(|player| player.tracks.get(viewer.track))
        else {
            return;
        };
        let rate = state.clock_rate();
        if state.fanout.and_then(|held| self.fanouts.get(held)).is_some_and(|held| held.reads(media)) {
            return;
        }
        self.detach_track(viewer);
        let Some(of) = self.streams.get_mut(stream) else { return };
        let held =
            of.fanouts.iter().find(|held| self.fanouts.get(**held).is_some_and(|held| held.reads(media)));
        let key = match held {
            Some(key) => *key,
            None => {
                let fanout = Fanout::new(stream, media, rate, &self.bell);
                if let Some(newest) = &fanout.newest {
                    of.anchor.get_or_insert((newest.pts, newest.arrived));
                }
                let key = self.fanouts.insert(fanout);
                of.fanouts.push(key);
                key
            }
        };
        if let Some(fanout) = self.fanouts.get_mut(key) {
            fanout.users += 1;
        }
        if let Some(player) = self.players.get_mut(viewer.player.0) {
            let started = player.started;
            if let Some(track) = player.tracks.get_mut(viewer.track) {
                track.fanout = Some(key);
            }
            if started {
                self.begin_track(viewer, now);
            }
        }
    }

    /// Takes a track of a player off its fan-out, and the fan-out away with its last user.
    pub(super) fn detach_track(&mut self, viewer: TrackRef) {
        self.stop_track(viewer);
        let Some(player) = self.players.get_mut(viewer.player.0) else { return };
        let Some(track) = player.tracks.get_mut(viewer.track) else { return };
        // Packet numbers of another track would lead to other packets.
        track.forget_sent();
        let Some(key) = track.fanout.take() else { return };
        let Some(fanout) = self.fanouts.get_mut(key) else { return };
        fanout.users -= 1;
        if fanout.users == 0 {
            let stream = fanout.stream;
            self.fanouts.remove(key);
            if let Some(stream) = self.streams.get_mut(stream) {
                stream.fanouts.retain(|held| *held != key);
            }
        }
    }

    /// Begins to send a track: audio with the next frame, video with the group of pictures so far.
    pub(super) fn begin_track(&mut self, viewer: TrackRef, now: Instant) {
        let Some(player) =
            self.players.get_mut(viewer.player.0).filter(|player| player.started && !player.paused)
        else {
            return;
        };
        let Some(track) = player.tracks.get_mut(viewer.track) else { return };
        if !track.enabled || track.payload_type.is_none() || !matches!(track.position, Position::Stopped) {
            return;
        }
        let Some(fanout) = track.fanout.and_then(|key| self.fanouts.get_mut(key)) else { return };
        fanout.viewers.push(viewer);
        track.position = Position::Waiting;
        if track.kind == Kind::Video {
            self.start_replay(viewer, now);
        }
    }

    /// Stops sending a track.
    pub(super) fn stop_track(&mut self, viewer: TrackRef) {
        let Some(track) =
            self.players.get_mut(viewer.player.0).and_then(|player| player.tracks.get_mut(viewer.track))
        else {
            return;
        };
        track.position = Position::Stopped;
        track.paced_until = None;
        if let Some(fanout) = track.fanout.and_then(|key| self.fanouts.get_mut(key)) {
            fanout.drop_viewer(viewer);
        }
    }

    /// Replays the group of pictures so far, or waits for a key frame where the ring has lost it.
    pub(super) fn start_replay(&mut self, viewer: TrackRef, now: Instant) {
        let Some(player) = self.players.get_mut(viewer.player.0) else { return };
        let Some(track) = player.tracks.get_mut(viewer.track) else { return };
        let Some(fanout) = track.fanout.and_then(|key| self.fanouts.get(key)) else { return };
        if matches!(track.position, Position::Stopped) {
            return;
        }
        let Some(key) = fanout.newest_key.filter(|key| fanout.run_of(*key).is_some()) else {
            track.position = Position::Waiting;
            return;
        };
        track.jump_to(key);
        let again = match &track.position {
            Position::Replaying(replay) => (replay.lasts * 2).min(limits::REPLAY_RESTART_MAX),
            _ => limits::REPLAY_RESTART_MIN,
        };
        track.position = Position::Replaying(Replay { next: key, run: None, began: now, lasts: again });
        self.ready.push(track, viewer);
        player.stats.replays += 1;
        self.counters.replays += 1;
    }

    /// A replay that a player's reports ask for: one at a time, and not right after the last. One
    /// under way begins anew only when it has lasted: packets of it are lost for good then.
    pub(super) fn request_replay(&mut self, viewer: TrackRef, now: Instant) {
        let Some(track) =
            self.players.get(viewer.player.0).and_then(|player| player.tracks.get(viewer.track))
        else {
            return;
        };
        let due = match &track.position {
            Position::Live { .. } => track.replay_ended.map(|ended| ended + limits::REPLAY_REST_MIN),
            Position::Replaying(replay) => Some(replay.began + replay.lasts),
            Position::Stopped | Position::Waiting => return,
        };
        if track.kind == Kind::Video && due.is_none_or(|due| due <= now) {
            self.start_replay(viewer, now);
        }
    }

    fn read_fanout(&mut self, key: Key, now: Instant) {
        let Some(fanout) = self.fanouts.get_mut(key) else { return };
        let (runs, missed) = fanout.read(now);
        if missed {
            self.counters.shard_fell_behind += 1;
        }
        if runs.is_empty() && !missed {
            return;
        }
        if let (Some(run), Some(stream)) = (runs.first(), self.streams.get_mut(fanout.stream)) {
            stream.anchor.get_or_insert((run.pts, run.arrived));
        }
        let count = fanout.viewers.len();
        if count == 0 {
            return;
        }
        // Somebody else is first each time.
        fanout.turn = (fanout.turn + 1) % count;
        for offset in 0..count {
            let Some(viewer) = fanout.viewers.get((fanout.turn + offset) % count) else { continue };
            let Some(track) =
                self.players.get_mut(viewer.player.0).and_then(|player| player.tracks.get_mut(viewer.track))
            else {
                continue;
            };
            if let Position::Waiting = track.position {
                let start =
                    |run: &&Arc<media::PacketRun>| run.starts_frame && (track.kind == Kind::Audio || run.key);
                if let Some(run) = runs.iter().find(start) {
                    track.jump_to(run.first_packet);
                    track.position = Position::Live { next: run.first_packet };
                }
            }
            if matches!(track.position, Position::Live { .. }) && track.paced_until.is_none() {
                self.ready.push(track, *viewer);
            }
        }
    }
}
