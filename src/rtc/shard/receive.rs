//! What a datagram does: ICE checks, DTLS and what comes through it, and the player's reports.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use base::{ExitReason, limits};
use rtc_rtcp::reception_report::ReceptionReport;

use super::player::{Handshaken, Route, Session};
use super::resends::Asked;
use super::slab::Key;
use super::{PlayerId, Shard, TrackRef};
use crate::demux::{Datagram, demux, is_rtcp};
use crate::dtls::{DtlsError, DtlsProgress};
use crate::ice::answer_check;
use crate::rtcp::{Feedback, KeyFrameRequest, read_feedback};
use crate::srtp::{Profile, RtpSealer, Srtcp, SrtpKeys};

/// Packets asked for a third time at once: no accident.
const RESENDS_IN_VAIN: u32 = 8;
/// A report that claims more is not believed.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(10);

/// The round trip that a report tells (RFC 3550 6.4.1), if it answers a sender report.
fn round_trip(report: &ReceptionReport, ntp: u64) -> Option<Duration> {
    let units = ((ntp >> 16) as u32).wrapping_sub(report.last_sender_report).wrapping_sub(report.delay);
    let took = Duration::from_micros((u64::from(units) * 1_000_000) >> 16);
    (report.last_sender_report != 0 && took <= ROUND_TRIP_MAX).then_some(took)
}

impl Shard {
    /// Takes a datagram that came `from` there to our address `to`, where the socket knows it.
    pub fn handle_datagram(
        &mut self,
        from: SocketAddr,
        to: Option<IpAddr>,
        datagram: &mut [u8],
        now: Instant,
    ) {
        if datagram.len() > limits::SHARD_DATAGRAM_BYTES_MAX {
            self.counters.datagrams_unknown += 1;
            return;
        }
        let route = Route { to: from, from: to };
        match demux(datagram) {
            Datagram::Stun { local_ufrag: Some(ufrag) } => match self.by_ufrag.get(ufrag) {
                Some(&id) => self.handle_check(id, route, datagram, now),
                None => self.counters.stun_unknown += 1,
            },
            Datagram::Stun { local_ufrag: None } => self.counters.stun_unknown += 1,
            Datagram::Dtls => match self.by_address.get(&from) {
                Some(&id) => self.sort_dtls(id, route, datagram, now),
                None => self.counters.datagrams_strange += 1,
            },
            Datagram::SrtpOrSrtcp => match self.by_address.get(&from) {
                Some(&id) => self.handle_srtcp(id, from, datagram, now),
                None => self.counters.datagrams_strange += 1,
            },
            Datagram::Other => self.counters.datagrams_unknown += 1,
        }
    }

    fn handle_check(&mut self, id: PlayerId, route: Route, datagram: &[u8], now: Instant) {
        let holder = self.by_address.get(&route.to).filter(|holder| **holder != id);
        let held = holder
            .and_then(|holder| self.players.get(holder.0))
            .is_some_and(|holder| holder.holds(route.to, now));
        let Some(player) = self.players.get_mut(id.0) else { return };
        let remote = player.peer.as_ref().map(|peer| peer.ufrag.as_str());
        let check = match answer_check(datagram, route.to, &player.credentials, remote, self.dtls.crypto()) {
            Ok(check) => check,
            Err(error) => {
                tracing::trace!(player = ?id, %error, "stun dropped");
                self.counters.stun_rejected += 1;
                return;
            }
        };
        if held {
            // Its source is forged, or soon free.
            self.counters.addresses_held += 1;
            return;
        }
        player.checked(route, check.nominated, now);
        if let Some(displaced) = player.learn(route)
            && self.by_address.get(&displaced) == Some(&id)
        {
            self.by_address.remove(&displaced);
        }
        self.by_address.insert(route.to, id);
        self.push_control(route, check.reply);
        self.advance(id, now);
    }

    /// The key exchange costs as much as half a second of media: it waits for
    /// [`Shard::handle_handshake`]. What comes after it is cheap.
    fn sort_dtls(&mut self, id: PlayerId, route: Route, datagram: &[u8], now: Instant) {
        let Some(player) = self.players.get_mut(id.0) else { return };
        if player.dtls.is_established() {
            self.handle_dtls(id, route, datagram, now);
        } else if player.handshakes_waiting < limits::PLAYER_HANDSHAKE_DATAGRAMS_MAX {
            // Each player has room of its own: nobody keeps others from theirs.
            player.handshakes_waiting += 1;
            self.handshakes.push_back((id, route, datagram.to_vec()));
        } else {
            self.counters.handshakes_dropped += 1;
        }
    }

    /// Takes one step of one handshake, about a millisecond of work; `false` when none waits.
    pub fn handle_handshake(&mut self, now: Instant) -> bool {
        while let Some((id, route, datagram)) = self.handshakes.pop_front() {
            // Those of players that are gone cost nothing.
            if let Some(player) = self.players.get_mut(id.0) {
                player.handshakes_waiting -= 1;
                self.handle_dtls(id, route, &datagram, now);
                return true;
            }
        }
        false
    }

    /// Whether a step of a handshake waits.
    pub fn wants_handshake(&self) -> bool {
        !self.handshakes.is_empty()
    }

    fn handle_dtls(&mut self, id: PlayerId, route: Route, datagram: &[u8], now: Instant) {
        let Some(player) = self.players.get_mut(id.0) else { return };
        player.dtls_route = Some(route);
        let progress = self.dtls.read(&mut player.dtls, datagram, now);
        if let Some(at) = self.dtls.poll_timeout(&player.dtls) {
            self.timers.wake(id, &mut player.wake, at);
        }
        self.collect_dtls();
        let data = self.dtls.take_data();
        match progress {
            Ok(DtlsProgress::Nothing) => {}
            Ok(DtlsProgress::Handshaken { fingerprint, keys }) => {
                match keys.profile() {
                    Profile::Gcm => self.counters.profile_gcm += 1,
                    Profile::Cm => self.counters.profile_cm += 1,
                }
                if let Some(player) = self.players.get_mut(id.0) {
                    player.handshaken = Some(Handshaken { fingerprint, keys });
                }
                self.advance(id, now);
            }
            Ok(DtlsProgress::PeerClosed) => self.end_and_tell(id, ExitReason::PeerClosed, now),
            Err(error) => {
                tracing::debug!(player = ?id, %error, "dtls failed");
                self.counters.dtls_failed += 1;
                let reason = match error {
                    DtlsError::TooLarge => ExitReason::LimitExceeded,
                    _ => ExitReason::ProtocolError,
                };
                self.end_and_tell(id, reason, now);
            }
        }
        for packet in data {
            // It was made with the keys, and DTLS takes nothing twice.
            if let Some(player) = self.players.get_mut(id.0).filter(|player| player.session.is_some()) {
                player.proven(route.to, now);
            }
            self.handle_data(id, packet.freeze(), now);
        }
    }

    /// Sends what DTLS wants to send to where the peers' DTLS comes from.
    pub(super) fn collect_dtls(&mut self) {
        while let Some((key, bytes)) = self.dtls.poll_transmit() {
            let player = self.players.get(Key::from_number(key.0));
            if let Some(route) = player.and_then(|player| player.dtls_route) {
                self.push_control(route, bytes.to_vec());
            }
        }
    }

    pub(super) fn push_control(&mut self, route: Route, bytes: Vec<u8>) {
        if !self.control.push(route, bytes) {
            self.counters.control_dropped += 1;
        }
    }

    /// Derives the session keys; `None` when the cryptography refuses.
    pub(super) fn session(&self, keys: SrtpKeys) -> Option<Session> {
        let sealer = RtpSealer::new(&keys, self.dtls.crypto()).ok()?;
        Some(Session { sealer, srtcp: Srtcp::new(keys, self.dtls.crypto()).ok()? })
    }

    fn handle_srtcp(&mut self, id: PlayerId, from: SocketAddr, datagram: &[u8], now: Instant) {
        let Some(player) = self.players.get_mut(id.0) else { return };
        let opened = match &mut player.session {
            Some(session) if is_rtcp(datagram) => session.srtcp.open(datagram, self.dtls.crypto()).ok(),
            _ => None,
        };
        let Some(compound) = opened else {
            self.counters.srtp_rejected += 1;
            return;
        };
        player.proven(from, now);
        for feedback in read_feedback(&compound) {
            self.handle_feedback(id, feedback, now);
        }
    }

    fn handle_feedback(&mut self, id: PlayerId, feedback: Feedback, now: Instant) {
        let ntp = self.ntp(now);
        let Some(player) = self.players.get_mut(id.0) else { return };
        match feedback {
            Feedback::Report(report) => {
                let Some(track) = player.track_of(report.ssrc).and_then(|index| player.tracks.get_mut(index))
                else {
                    return;
                };
                let loss = track.take_report(&report, now);
                let round_trip = ntp.and_then(|ntp| round_trip(&report, ntp));
                player.stats.round_trip = round_trip.or(player.stats.round_trip);
                player.path.report(report.last_sender_report, round_trip, loss, now);
            }
            Feedback::Nack { ssrc, lost } => {
                let Some(track) = player.track_of(ssrc) else { return };
                let round_trip = player.round_trip();
                self.counters.nacks += lost.len() as u64;
                let Some(state) = player.tracks.get_mut(track) else { return };
                state.sent.nacks += 1;
                state.expire_stamps(now);
                let (mut fresh, mut last, mut in_vain) = (0, 0, false);
                for sequence_number in lost {
                    let Some(index) = state.sent_index(sequence_number) else { continue };
                    match state.resends.ask(index, round_trip, now) {
                        Asked::First => fresh += 1,
                        Asked::Last => last += 1,
                        Asked::InVain => in_vain = true,
                        Asked::Again | Asked::NotNow => {}
                    }
                }
                // So many that did not come twice will not come the third time.
                in_vain |= last >= RESENDS_IN_VAIN;
                let viewer = TrackRef { player: id, track };
                if !state.resends.is_empty() && !state.resends_queued {
                    state.resends_queued = true;
                    self.ready.resends.push_back(viewer);
                }
                player.path.lost(fresh, now);
                if in_vain {
                    self.counters.resends_in_vain += 1;
                    self.request_replay(viewer, now);
                }
            }
            Feedback::KeyFrameWanted { ssrc, request } => {
                let Some(track) = player.track_of(ssrc) else { return };
                if let Some(state) = player.tracks.get_mut(track) {
                    match request {
                        KeyFrameRequest::PictureLoss => state.sent.plis += 1,
                        KeyFrameRequest::FullIntra => state.sent.firs += 1,
                    }
                }
                self.counters.key_frame_requests += 1;
                self.request_replay(TrackRef { player: id, track }, now);
            }
        }
    }
}
