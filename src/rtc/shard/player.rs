//! One viewer: its keys, its addresses, its tracks.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{Randomness, StreamId, limits};

use super::PlayerId;
use super::channels::Channels;
use super::counters::PlayerStats;
use super::path::Path;
use super::play_track::PlayTrack;
use super::slab::Key;
use crate::dtls::{DtlsPeer, Fingerprint};
use crate::ice::IceCredentials;
use crate::sdp::{Candidate, OfferedData, OfferedMedia, Session as SdpSession, Transport};
use crate::srtp::{RtpSealer, Srtcp, SrtpKeys};

/// Round trip assumed until a report tells.
const ROUND_TRIP: Duration = Duration::from_millis(50);
/// Below this a resend is as likely to cross with the packet itself.
const ROUND_TRIP_MIN: Duration = Duration::from_millis(5);

/// Where a player is reached, and from which of our addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) to: SocketAddr,
    pub(super) from: Option<IpAddr>,
}

/// The DTLS handshake is through; what came of it waits for the answer, if that is late.
#[derive(Debug)]
pub(super) struct Handshaken {
    pub(super) fingerprint: Fingerprint,
    pub(super) keys: SrtpKeys,
}

/// The keys of a player that is being sent to.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) sealer: RtpSealer,
    pub(super) srtcp: Srtcp,
}

/// One viewer.
pub(super) struct Player {
    pub(super) stream: Key,
    pub(super) credentials: IceCredentials,
    pub(super) cname: String,
    /// The stream's name as offers have it.
    pub(super) stream_name: StreamId,
    /// Our addresses it was offered.
    pub(super) candidates: Vec<Candidate>,
    /// The number of its session in SDP, and how many descriptions it was given.
    pub(super) sdp_session: u64,
    pub(super) offers: u64,
    /// What was offered, one entry per track.
    pub(super) offered: Vec<OfferedMedia>,
    /// The newest offer has been answered.
    pub(super) answered: bool,
    /// Who the peer is, for as long as the connection lives: the first answer, or its offer, says it.
    pub(super) peer: Option<Transport>,
    pub(super) dtls: DtlsPeer,
    /// Datagrams of its handshake that wait in the shard.
    pub(super) handshakes_waiting: u8,
    pub(super) handshaken: Option<Handshaken>,
    /// The certificate was the right one.
    pub(super) session: Option<Session>,
    pub(super) started: bool,
    /// Its media is withheld.
    pub(super) paused: bool,
    /// Addresses that passed ICE, oldest first.
    pub(super) addresses: Vec<Route>,
    /// Where media goes.
    pub(super) nominated: Option<Route>,
    /// When the last authentic packet came from there.
    pub(super) nominated_heard: Instant,
    /// The address nominated since, until something made with the session's keys comes from it.
    wanted: Option<Route>,
    /// Where the last DTLS came from: a handshake may be through before an address is nominated.
    pub(super) dtls_route: Option<Route>,
    pub(super) connect_by: Instant,
    /// When the last authentic packet came.
    pub(super) heard: Instant,
    pub(super) next_report: Option<Instant>,
    /// When it will be looked at next, as the timers have it.
    pub(super) wake: Option<Instant>,
    pub(super) tracks: Vec<PlayTrack>,
    /// Its data channels, where its application has any.
    pub(super) channels: Option<Box<Channels>>,
    /// Our m-line of theirs, once it was offered one.
    pub(super) offered_data: Option<OfferedData>,
    pub(super) path: Path,
    pub(super) stats: PlayerStats,
}

impl Player {
    /// A player that is being made.
    pub(super) fn new(
        stream: Key,
        stream_name: StreamId,
        credentials: IceCredentials,
        randomness: &Arc<dyn Randomness>,
        dtls: DtlsPeer,
        connect_by: Instant,
        now: Instant,
    ) -> Self {
        Self {
            stream,
            credentials,
            cname: randomness.alphanumeric(16),
            stream_name,
            candidates: Vec::new(),
            sdp_session: randomness.next_u64() >> 1,
            offers: 0,
            offered: Vec::new(),
            answered: false,
            peer: None,
            dtls,
            handshakes_waiting: 0,
            handshaken: None,
            session: None,
            started: false,
            paused: false,
            addresses: Vec::new(),
            nominated: None,
            nominated_heard: now,
            wanted: None,
            dtls_route: None,
            connect_by,
            heard: now,
            next_report: None,
            wake: None,
            tracks: Vec::new(),
            channels: None,
            offered_data: None,
            path: Path::default(),
            stats: PlayerStats::default(),
        }
    }

    /// Our side of its connection, with our certificate's `fingerprint`, as SDP says it.
    pub(super) fn session<'a>(&'a self, fingerprint: &'a str) -> SdpSession<'a> {
        SdpSession {
            stream: self.stream_name.as_str(),
            session: self.sdp_session,
            version: self.offers,
            credentials: &self.credentials,
            fingerprint,
            cname: &self.cname,
            candidates: &self.candidates,
            media: &self.offered,
            data: self.offered_data.as_ref(),
        }
    }

    /// When it is given up, unless something is heard.
    pub(super) fn deadline(&self) -> Instant {
        if self.started { self.heard + limits::PLAYER_SILENCE_MAX } else { self.connect_by }
    }

    /// The earliest of its timers.
    pub(super) fn next_wake(&self, dtls: Option<Instant>) -> Instant {
        let paced = self.tracks.iter().filter_map(|track| track.paced_until);
        let data = self.channels.as_deref().and_then(Channels::poll_timeout);
        paced.chain(data).chain(dtls).chain(self.next_report).fold(self.deadline(), Instant::min)
    }

    /// Whether no other player may have this address, which was its last: it was heard from lately.
    ///
    /// A player that has started holds but the one address its media goes to, and one that has not
    /// is soon gone, so that nobody can keep many addresses from others with forged sources.
    pub(super) fn holds(&self, address: SocketAddr, now: Instant) -> bool {
        let heard = if !self.started {
            self.heard
        } else if self.nominated.is_some_and(|nominated| nominated.to == address) {
            self.nominated_heard
        } else {
            return false;
        };
        now.saturating_duration_since(heard) < limits::PLAYER_ADDRESS_SILENCE_MAX
    }

    /// Acts on an authentic check. Until the player has started, media goes to the address
    /// nominated last: a browser changes it as better ones pass. Afterwards a check alone moves
    /// media only away from a silent address: anybody who has seen one can send it again from
    /// elsewhere.
    pub(super) fn checked(&mut self, route: Route, nominates: bool, now: Instant) {
        self.heard = now;
        let current = self.nominated.filter(|_| self.started).map(|nominated| nominated.to);
        let here = current == Some(route.to);
        let silent =
            now.saturating_duration_since(self.nominated_heard) >= limits::PLAYER_ADDRESS_SILENCE_MAX;
        if here {
            self.nominated_heard = now;
        }
        if nominates && (here || current.is_none() || silent) {
            self.nominate(route, now);
        } else if nominates {
            self.wanted = Some(route);
        }
    }

    /// Acts on a packet made with the session's keys. It never came before, unlike a check.
    pub(super) fn proven(&mut self, from: SocketAddr, now: Instant) {
        self.heard = now;
        if self.nominated.is_some_and(|nominated| nominated.to == from) {
            self.nominated_heard = now;
        } else if let Some(wanted) = self.wanted.filter(|wanted| wanted.to == from) {
            self.nominate(wanted, now);
        }
    }

    fn nominate(&mut self, route: Route, now: Instant) {
        self.nominated = Some(route);
        self.nominated_heard = now;
        self.wanted = None;
    }

    /// Notes an address that passed ICE; the one it displaces, if there are too many.
    pub(super) fn learn(&mut self, route: Route) -> Option<SocketAddr> {
        if let Some(known) = self.addresses.iter_mut().find(|known| known.to == route.to) {
            *known = route;
            return None;
        }
        self.addresses.push(route);
        if self.addresses.len() <= limits::PLAYER_ADDRESSES_MAX {
            return None;
        }
        let nominated = self.nominated.map(|nominated| nominated.to);
        let oldest = self.addresses.iter().position(|known| Some(known.to) != nominated)?;
        Some(self.addresses.remove(oldest).to)
    }

    /// How long a packet takes to it and back.
    pub(super) fn round_trip(&self) -> Duration {
        self.stats.round_trip.unwrap_or(ROUND_TRIP).max(ROUND_TRIP_MIN)
    }

    /// The track with that SSRC.
    pub(super) fn track_of(&self, ssrc: u32) -> Option<usize> {
        self.tracks.iter().position(|track| track.ssrc == ssrc)
    }
}

/// A number that names the player to DTLS.
pub(super) const fn peer_key(player: PlayerId) -> crate::dtls::PeerKey {
    crate::dtls::PeerKey(player.0.number())
}

/// An SSRC that no other track of the player has; zero means "none" to some receivers.
pub(super) fn ssrc(tracks: &[PlayTrack], randomness: &dyn Randomness) -> u32 {
    loop {
        let ssrc = randomness.next_u64() as u32;
        if ssrc != 0 && tracks.iter().all(|track| track.ssrc != ssrc) {
            return ssrc;
        }
    }
}
