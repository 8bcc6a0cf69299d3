//! Messages: what players say goes to their stream's ring, and what is in the ring goes to them.

use std::time::Instant;

use base::ExitReason;
use bytes::Bytes;
use media::{DataMessage, MessageError, MessageSource};

use super::allowance::Verdict;
use super::channels::{Distribution, Filled, Outcome, Said};
use super::outbox::Transmit;
use super::slab::Key;
use super::{PlayerId, Shard};

impl Shard {
    /// Takes a decrypted packet of a player's data channels.
    pub(super) fn handle_data(&mut self, id: PlayerId, packet: Bytes, now: Instant) {
        let Some(player) = self.players.get_mut(id.0) else { return };
        let ring = self.streams.get(player.stream).map(|stream| stream.media.messages());
        // Nothing is taken before the certificate was the right one.
        let channels = player.channels.as_deref_mut().filter(|_| player.session.is_some());
        let (Some(ring), Some(channels)) = (ring, channels) else {
            self.counters.data_packets_refused += 1;
            return;
        };
        if !channels.allowance.packet(now) {
            self.counters.data_packets_refused += 1;
            return;
        }
        let outcome = channels.receive(packet, player.stream_name.as_str(), ring, now);
        self.relay(id, now);
        self.after(id, outcome);
    }

    /// Does what is due to a player's data channels.
    pub(super) fn handle_data_timeout(&mut self, id: PlayerId, now: Instant) {
        let Some(player) = self.players.get_mut(id.0) else { return };
        let Some(channels) = player.channels.as_deref_mut() else { return };
        if channels.poll_timeout().is_none_or(|at| at > now) {
            return;
        }
        let Some(stream) = self.streams.get(player.stream) else { return };
        let outcome = channels.handle_timeout(player.stream_name.as_str(), stream.media.messages(), now);
        self.after(id, outcome);
    }

    /// Counts what came of a packet or a timer, and sees to what follows from it.
    fn after(&mut self, id: PlayerId, outcome: Outcome) {
        match outcome {
            Outcome::Taken => {}
            Outcome::Refused => self.counters.data_packets_refused += 1,
            Outcome::Closed(end) => {
                tracing::debug!(player = ?id, %end, "data channels closed");
                self.counters.data_closed += 1;
            }
        }
        self.line_up(id);
    }

    /// Hands what a player said to its stream, as far as it may say it.
    fn relay(&mut self, id: PlayerId, now: Instant) {
        loop {
            let Some(player) = self.players.get_mut(id.0) else { return };
            let Some(channels) = player.channels.as_deref_mut() else { return };
            self.counters.data_astray += std::mem::take(&mut channels.astray);
            let Some(Said { text, payload }) = channels.said() else { return };
            match channels.allowance.message(payload.len(), now) {
                Verdict::Granted => {}
                Verdict::Dropped => {
                    self.counters.data_over_rate += 1;
                    continue;
                }
                Verdict::Forfeited => {
                    self.counters.data_over_rate += 1;
                    self.end_and_tell(id, ExitReason::LimitExceeded, now);
                    return;
                }
            }
            if channels.is_withheld() {
                self.counters.data_while_paused += 1;
                continue;
            }
            let to_players = channels.distribution == Distribution::All;
            let to_publisher = to_players || channels.distribution == Distribution::Publisher;
            if !to_publisher {
                self.counters.data_unheard += 1;
                continue;
            }
            let from = MessageSource::Player(channels.name);
            let message = DataMessage { text, payload, from, to_players, to_publisher, came: now };
            let Some(stream) = self.streams.get(player.stream) else { return };
            match stream.media.send_message(message) {
                Ok(()) => self.counters.data_taken += 1,
                Err(MessageError::Ended) => return,
                Err(MessageError::TooLarge | MessageError::NotText) => self.counters.data_astray += 1,
            }
        }
    }

    /// Queues a player if its data channels have something to send.
    fn line_up(&mut self, id: PlayerId) {
        let Some(player) = self.players.get_mut(id.0) else { return };
        let Some(stream) = self.streams.get(player.stream) else { return };
        let Some(channels) = player.channels.as_deref_mut() else { return };
        if let Some(at) = channels.poll_timeout() {
            self.timers.wake(id, &mut player.wake, at);
        }
        if channels.wants_turn(stream.media.messages()) {
            self.ready.push_data(channels, id);
        }
    }

    /// Stops or goes on with the messages of a player, both ways. Its data channels stay.
    pub(super) fn pause_data(&mut self, id: PlayerId, paused: bool) {
        let Some(player) = self.players.get_mut(id.0) else { return };
        let Some(stream) = self.streams.get(player.stream) else { return };
        let Some(channels) = player.channels.as_deref_mut() else { return };
        if paused {
            channels.withhold();
        } else {
            channels.go_on(stream.media.messages());
        }
    }

    /// Queues the players of a stream on which something new was said.
    pub(super) fn tell_of_messages(&mut self, key: Key) {
        let Some(stream) = self.streams.get_mut(key) else { return };
        let ring = stream.media.messages();
        stream.messages_seen = ring.head();
        for id in &stream.players {
            let channels = self.players.get_mut(id.0).and_then(|player| player.channels.as_deref_mut());
            if let Some(channels) = channels.filter(|channels| channels.wants_turn(ring)) {
                self.ready.push_data(channels, *id);
            }
        }
    }

    /// The next packet of a player's data channels.
    pub(super) fn send_data(&mut self, id: PlayerId, now: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        let player = self.players.get_mut(id.0)?;
        let channels = player.channels.as_deref_mut()?;
        channels.queued = false;
        let ring = self.streams.get(player.stream)?.media.messages();
        let Filled { sent, skipped, too_large, closed } = channels.fill(ring, now);
        self.counters.data_sent += sent;
        self.counters.data_skipped += skipped;
        self.counters.data_too_large += too_large;
        self.counters.data_closed += u64::from(closed);
        let route = player.nominated.or(player.dtls_route)?;
        let sealed = channels.poll_transmit().and_then(|packet| {
            let sealed = self.dtls.write(&mut player.dtls, &packet, now)?;
            out.extend_from_slice(&sealed);
            Some(Transmit::new(route, None))
        });
        self.line_up(id);
        sealed
    }
}
