//! The table of every metric. A new one is one entry here; its function, its row in [`METRICS`] and
//! its line in ARCHITECTURE.md follow.

use std::fmt::Write;

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, from 0 at the start of the process.
    Counter,
    /// Goes up and down.
    Gauge,
}

impl Kind {
    /// The Prometheus name of the kind.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

/// One metric, as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The name on `/metrics`.
    pub name: &'static str,
    /// Counter or gauge.
    pub kind: Kind,
    /// What one of it is.
    pub unit: &'static str,
    /// The names of its labels, in the order of its function's arguments.
    pub labels: &'static [&'static str],
    /// What it tells, in a sentence.
    pub description: &'static str,
}

macro_rules! metrics_table {
    ($($kind:ident $function:ident($($label:ident),*) = $name:literal, $unit:literal, $description:literal;)+) => {
        /// Every metric of the node, in the order of the frame's way through it.
        pub const METRICS: &[Metric] = &[$(Metric {
            name: $name,
            kind: metrics_table!(@kind $kind),
            unit: $unit,
            labels: &[$(stringify!($label)),*],
            description: $description,
        }),+];

        /// One function per metric; its arguments are the label values.
        ///
        /// The handle it returns is cheap to move and may be kept: a hot path looks it up once. A handle
        /// taken before [`Metrics::install`](crate::Metrics::install) counts nothing.
        pub mod metric {
            use metrics::{Counter, Gauge, SharedString};
            $(
                #[doc = concat!("`", $name, "`: ", $description)]
                pub fn $function($($label: impl Into<SharedString>),*) -> metrics_table!(@type $kind) {
                    metrics::$kind!($name $(, stringify!($label) => $label.into())*)
                }
            )+
        }
    };
    (@kind counter) => { Kind::Counter };
    (@kind gauge) => { Kind::Gauge };
    (@type counter) => { Counter };
    (@type gauge) => { Gauge };
}

metrics_table! {
    gauge rtmp_connections() = "penstock_rtmp_connections", "connections",
        "RTMP connections open now.";
    counter rtmp_connections_ended(reason) = "penstock_rtmp_connections_ended_total", "connections",
        "RTMP connections that ended, by exit reason.";
    counter rtmp_bytes_received() = "penstock_rtmp_bytes_received_total", "bytes",
        "Bytes read from RTMP connections, handshake included.";
    counter rtmp_refused(reason) = "penstock_rtmp_refused_total", "connections",
        "RTMP connections and publishes refused, by reason.";

    gauge streams() = "penstock_streams", "streams",
        "Streams that live on this node now.";
    gauge publishers() = "penstock_publishers", "publishers",
        "Publishers connected now.";
    counter publisher_ended(reason) = "penstock_publisher_ended_total", "publishers",
        "Publishers that ended, by exit reason.";
    counter publisher_takeovers(before) = "penstock_publisher_takeovers_total", "takeovers",
        "Publishers that went on with the stream of one before, by what became of that one (lost, silent, replaced).";
    counter claims_lost() = "penstock_claims_lost_total", "streams",
        "Streams that ended here because another node publishes them.";
    gauge claims_lapsed() = "penstock_claims_lapsed", "streams",
        "Streams of this node whose claim could not be renewed in time: they go on, and another node may claim them.";
    counter facts_recorded() = "penstock_facts_recorded_total", "facts",
        "Beginnings, sums and ends of sessions that the metadata plane has taken.";
    counter facts_lost() = "penstock_facts_lost_total", "facts",
        "Beginnings, sums and ends of sessions that are recorded nowhere: too many waited, or they were refused.";
    gauge players(protocol) = "penstock_players", "players",
        "Players connected now, by protocol.";
    counter player_ended(reason) = "penstock_player_ended_total", "players",
        "Players that ended, by exit reason.";
    counter gate_decisions(direction, outcome) = "penstock_gate_decisions_total", "decisions",
        "Answers of the gate, by direction (publish, play) and outcome.";
    counter admissions_refused(kind, reason) = "penstock_admissions_refused_total", "requests",
        "Publishers and players this node had no room for, by kind (publish, play) and reason.";

    gauge media_held() = "penstock_media_held_bytes", "bytes",
        "Memory of live media now: all rings, and RTMP messages that are not whole yet.";
    gauge media_budget() = "penstock_media_budget_bytes", "bytes",
        "The most memory live media may hold (limits.media_memory_mb).";
    counter media_shed() = "penstock_media_shed_total", "entries",
        "Frames, packet runs and messages that rings let go early because the media budget was spent.";
    counter units(kind) = "penstock_units_total", "units",
        "Access units and audio frames of publishers, by kind of track.";
    counter ring_skips() = "penstock_ring_skips_total", "skips",
        "Times a slow reader jumped forward to a newer key frame.";
    counter audio_jobs_dropped() = "penstock_audio_jobs_dropped_total", "jobs",
        "Audio units dropped because the transcoding pool was full.";
    gauge transcoders() = "penstock_transcoders", "transcoders",
        "Audio transcoders running now.";
    gauge children(kind) = "penstock_transcoding_programs", "programs",
        "Programs that transcode what this node cannot by itself, running now, by kind of track.";
    counter child_failures(kind) = "penstock_transcoding_program_failures_total", "failures",
        "Times such a program failed, or was not started for want of room, by kind of track.";

    gauge cluster_connections() = "penstock_cluster_connections", "connections",
        "Connections that other nodes of the cluster have to this one now.";
    counter cluster_messages(class) = "penstock_cluster_messages_total", "messages",
        "Messages sent to other nodes, by class (raft, snapshot, meta).";
    counter cluster_bytes(class) = "penstock_cluster_bytes_total", "bytes",
        "Bytes of messages sent to other nodes, by class.";
    counter cluster_messages_lost(class) = "penstock_cluster_messages_lost_total", "messages",
        "Messages to and from other nodes that were lost for want of room or of a connection, by class; they are said again.";
    counter cluster_refused(reason) = "penstock_cluster_refused_total", "connections",
        "Connections and messages at the cluster's port that were not listened to, by reason.";
    gauge projection_reachable() = "penstock_projection_reachable", "flag",
        "1 while the database below the metadata answers the node that writes to it.";
    gauge projection_lag() = "penstock_projection_lag_commands", "commands",
        "Commands whose changes are not in the database yet.";
    gauge projection_outbox() = "penstock_projection_outbox_bytes", "bytes",
        "Memory of changes that wait for the database.";
    counter projection_behind() = "penstock_projection_behind_total", "times",
        "Times so much waited for the database that it was forgotten and everything written anew.";
    counter projection_dead_letters() = "penstock_projection_dead_letters_total", "rows",
        "Rows that the database refused; they are in its table dead_letters.";
    counter projection_facts_lost() = "penstock_projection_facts_lost_total", "facts",
        "Beginnings and ends of sessions that never reached the database, at most.";

    gauge http_connections() = "penstock_http_connections", "connections",
        "HTTP and HTTPS connections open now, those that became signalling sockets included.";
    counter http_connections_ended(reason) = "penstock_http_connections_ended_total", "connections",
        "HTTP and HTTPS connections that ended, by why we closed them, or `closed`.";
    counter http_refused(reason) = "penstock_http_refused_total", "connections",
        "HTTP and HTTPS connections closed before a byte of them was read, by reason.";
    gauge signalling_sockets() = "penstock_signalling_sockets", "sockets",
        "Signalling WebSockets open now.";
    counter signalling_messages() = "penstock_signalling_messages_total", "messages",
        "Messages read from signalling WebSockets.";
    counter signalling_refused(reason) = "penstock_signalling_refused_total", "requests",
        "Signalling sockets and requests refused, by reason.";

    gauge shard_players(shard) = "penstock_shard_players", "players",
        "Players attached to a play shard now.";
    gauge shard_busy(shard) = "penstock_shard_busy_ratio", "share",
        "Share of its time that a play shard is busy with the players it has, by the last 2 s; beyond the limit players are refused.";
    counter shard_sheds() = "penstock_shard_sheds_total", "sheds",
        "Times a player was taken off the live frames because its play shard was late; it goes on with a replay.";
    counter shard_sends() = "penstock_shard_sends_total", "calls",
        "System calls that play shards send with; one carries up to 16 sends of up to 16 packets.";
    counter shard_packets_sent() = "penstock_shard_packets_sent_total", "packets",
        "RTP packets sent to WebRTC players, resent ones included.";
    counter shard_bytes_sent() = "penstock_shard_bytes_sent_total", "bytes",
        "UDP payload bytes sent to WebRTC players.";
    gauge media_tcp_connections() = "penstock_media_tcp_connections", "connections",
        "TCP connections of WebRTC media open now.";
    counter media_tcp_ended(reason) = "penstock_media_tcp_connections_ended_total", "connections",
        "TCP connections of WebRTC media that ended or were refused, by reason.";
    counter guest_datagrams_dropped(reason) = "penstock_publisher_datagrams_dropped_total", "datagrams",
        "Datagrams to or from WebRTC publishers that were dropped, by reason.";
    counter shard_datagrams_dropped(reason) = "penstock_shard_datagrams_dropped_total", "datagrams",
        "Datagrams received by play shards and dropped, by reason.";
    counter nacks(outcome) = "penstock_nacks_total", "packets",
        "Packets players asked for again, by outcome.";
    counter plis() = "penstock_plis_total", "requests",
        "Key frames players asked for.";
    counter replays() = "penstock_replays_total", "replays",
        "Groups of pictures replayed in fast motion: joins, key-frame requests, gaps.";

    counter data_messages(from) = "penstock_data_messages_total", "messages",
        "Messages taken to be handed on, by who sent them (publisher, player, REST).";
    counter data_messages_sent() = "penstock_data_messages_sent_total", "messages",
        "Messages handed to players, each counted for each of them.";
    counter data_messages_dropped(reason) = "penstock_data_messages_dropped_total", "messages",
        "Messages of players and publishers that were not handed on, and such that they were not handed, by reason.";
    counter data_packets_refused() = "penstock_data_packets_refused_total", "packets",
        "SCTP packets of players and publishers that were malformed, out of place or too many.";
    counter data_channels_closed() = "penstock_data_channels_closed_total", "players",
        "Players whose data channels were closed, by themselves or for what they did.";

    counter meta_commands(outcome) = "penstock_meta_commands_total", "commands",
        "Commands to the metadata plane, by outcome.";
    counter actor_restarts(actor) = "penstock_actor_restarts_total", "restarts",
        "Actors re-created after a panic or an unexpected end, by kind of actor.";
}

/// The table as Markdown, as it stands in ARCHITECTURE.md.
pub fn metrics_markdown() -> String {
    let mut text = String::from("| metric | kind | unit | labels | what it tells |\n|---|---|---|---|---|\n");
    for m in METRICS {
        let labels = m.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} |",
            m.name,
            m.kind.label(),
            m.unit,
            labels,
            m.description
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_prometheus_conventions() {
        let mut seen = std::collections::HashSet::new();
        for m in METRICS {
            assert!(seen.insert(m.name), "{} stands twice", m.name);
            assert!(m.name.starts_with("penstock_"), "{}", m.name);
            assert!(m.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", m.name);
            assert_eq!(m.name.ends_with("_total"), m.kind == Kind::Counter, "{}", m.name);
            assert!(m.description.ends_with('.'), "{}", m.name);
        }
    }

    #[test]
    fn the_markdown_has_a_line_per_metric() {
        let text = metrics_markdown();
        assert_eq!(text.lines().count(), METRICS.len() + 2);
        assert!(text.contains(
            "| `penstock_gate_decisions_total` | counter | decisions | `direction`, `outcome` | Answers of the gate"
        ));
    }
}
