//! A shard's plain counters as metrics.

use metrics::{Counter, Gauge};
use observe::metric;
use rtc::Counters;

/// Reads one number of a shard.
type Read = fn(&Counters) -> u64;

/// The metric handles of one shard, and what was told so far.
pub(super) struct ShardMetrics {
    players: Gauge,
    busy: Gauge,
    sends: Counter,
    told: Counters,
    rows: Vec<(Counter, Read)>,
}

impl ShardMetrics {
    /// Metrics of the shard of that number.
    pub(super) fn new(shard: usize) -> Self {
        let dropped = |reason: &'static str| metric::shard_datagrams_dropped(reason);
        let unsaid = |reason: &'static str| metric::data_messages_dropped(reason);
        Self {
            players: metric::shard_players(shard.to_string()),
            busy: metric::shard_busy(shard.to_string()),
            sends: metric::shard_sends(),
            told: Counters::default(),
            rows: vec![
                (metric::shard_packets_sent(), |c| c.packets),
                (metric::shard_bytes_sent(), |c| c.bytes),
                (dropped("unknown"), |c| c.datagrams_unknown),
                (dropped("address did not pass ICE"), |c| c.datagrams_strange),
                (dropped("STUN of nobody"), |c| c.stun_unknown),
                (dropped("address held by another player"), |c| c.addresses_held),
                (dropped("STUN not authentic"), |c| c.stun_rejected),
                (dropped("DTLS failed"), |c| c.dtls_failed),
                (dropped("wrong fingerprint"), |c| c.fingerprints_wrong),
                (dropped("SRTP not authentic"), |c| c.srtp_rejected),
                (dropped("send queue full"), |c| c.control_dropped),
                (dropped("handshakes waiting"), |c| c.handshakes_dropped),
                (metric::shard_sheds(), |c| c.shed),
                (metric::nacks("in vain"), |c| c.resends_in_vain),
                (metric::nacks("resent"), |c| c.resent),
                (metric::nacks("not held"), |c| c.nack_misses),
                (metric::nacks("over the share"), |c| c.resends_refused),
                (metric::plis(), |c| c.key_frame_requests),
                (metric::replays(), |c| c.replays),
                (metric::ring_skips(), |c| c.fell_behind + c.shard_fell_behind),
                (metric::data_messages("player"), |c| c.data_taken),
                (metric::data_messages_sent(), |c| c.data_sent),
                (unsaid("the player was slow"), |c| c.data_skipped),
                (unsaid("larger than the player takes"), |c| c.data_too_large),
                (unsaid("over the rate"), |c| c.data_over_rate),
                (unsaid("on no channel"), |c| c.data_astray),
                (unsaid("for nobody"), |c| c.data_unheard),
                (unsaid("the player was paused"), |c| c.data_while_paused),
                (metric::data_packets_refused(), |c| c.data_packets_refused),
                (metric::data_channels_closed(), |c| c.data_closed),
            ],
        }
    }

    /// Tells how busy the shard is.
    pub(super) fn busy(&self, share: f64) {
        self.busy.set(share);
    }

    /// Tells of send calls that were made.
    pub(super) fn sends(&self, count: u64) {
        self.sends.increment(count);
    }

    /// Tells what is new.
    pub(super) fn update(&mut self, counters: &Counters) {
        if *counters == self.told {
            return;
        }
        for (counter, read) in &self.rows {
            counter.increment(read(counters) - read(&self.told));
        }
        self.players.set(counters.players as f64);
        self.told = *counters;
    }
}
