//! What a shard and a player count.

use std::time::Duration;

use super::play_track::Batch;
use super::statistics::TrackStats;

/// Plain numbers of one shard; all but the gauges only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Gauge: players, in whatever state.
    pub players: u64,
    /// Gauge: players that are not connected yet.
    pub handshakes: u64,
    /// Players that connected.
    pub started: u64,
    /// Players that ended, for whatever reason.
    pub ended: u64,
    /// Handshakes with AES-GCM.
    pub profile_gcm: u64,
    /// Handshakes with AES-CM and HMAC-SHA1.
    pub profile_cm: u64,
    /// Datagrams that are nothing we speak.
    pub datagrams_unknown: u64,
    /// DTLS and SRTP from addresses that did not pass ICE: dropped.
    pub datagrams_strange: u64,
    /// STUN that names no player: dropped.
    pub stun_unknown: u64,
    /// STUN that is malformed or not authentic: dropped.
    pub stun_rejected: u64,
    /// Checks from an address that another player is using: dropped.
    pub addresses_held: u64,
    /// DTLS handshakes that failed.
    pub dtls_failed: u64,
    /// Peers whose certificate was not the one of their answer.
    pub fingerprints_wrong: u64,
    /// SRTCP that is not authentic or came before, and RTP, which no player should send: dropped.
    pub srtp_rejected: u64,
    /// RTP packets sent, resends and replays included.
    pub packets: u64,
    /// Bytes of RTP packets sent, with header and tag.
    pub bytes: u64,
    /// Packets asked for again.
    pub nacks: u64,
    /// Packets sent again.
    pub resent: u64,
    /// Packets asked for again that the ring no longer holds.
    pub nack_misses: u64,
    /// Packets not sent again because resends had their share of the rate.
    pub resends_refused: u64,
    /// Key frames asked for.
    pub key_frame_requests: u64,
    /// Replays of a group of pictures begun.
    pub replays: u64,
    /// Times a player fell so far behind that frames were dropped for it.
    pub fell_behind: u64,
    /// Times a player was taken off the live frames because the shard was late, to go on with a replay.
    pub shed: u64,
    /// Times packets did not come however often they were sent again, and a replay was wanted.
    pub resends_in_vain: u64,
    /// DTLS datagrams that found the queue of handshakes full: dropped.
    pub handshakes_dropped: u64,
    /// Times the shard itself was so slow that a ring had gone on.
    pub shard_fell_behind: u64,
    /// STUN answers, DTLS flights and RTCP that found the queue full.
    pub control_dropped: u64,
    /// Messages of players that were handed on.
    pub data_taken: u64,
    /// Messages that were sent to players, each counted for each of them.
    pub data_sent: u64,
    /// Messages that players were not sent, because their stream had let go of them by their turn.
    pub data_skipped: u64,
    /// Messages that were larger than a player takes.
    pub data_too_large: u64,
    /// Messages of players beyond what one may send: dropped.
    pub data_over_rate: u64,
    /// Messages of players on no channel, of no known kind or no text though they say so: dropped.
    pub data_astray: u64,
    /// Messages of players that were for nobody.
    pub data_unheard: u64,
    /// Messages of players that were paused: dropped.
    pub data_while_paused: u64,
    /// Packets for data channels that were malformed, out of place or too many: dropped.
    pub data_packets_refused: u64,
    /// Players whose data channels were closed, by themselves or for what they did.
    pub data_closed: u64,
}

/// How a player fares.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PlayerStats {
    /// Its pictures.
    pub video: TrackStats,
    /// Its sound.
    pub audio: TrackStats,
    /// Replays of a group of pictures begun.
    pub replays: u64,
    /// Times it fell so far behind that frames were dropped for it.
    pub fell_behind: u64,
    /// Times a late shard took it off the live frames.
    pub shed: u64,
    /// Round-trip time of its last report.
    pub round_trip: Option<Duration>,
}

impl Counters {
    pub(super) fn count(&mut self, batch: &Batch) {
        self.packets += batch.packets as u64;
        self.bytes += batch.bytes as u64;
    }
}
