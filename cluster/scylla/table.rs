//! The tables of `schemas/scylla`.

use cluster_model::RowKind;

/// A table. What it is for, and why its key is what it is, stands in its file of `schemas/scylla`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "named as they are in the database")]
pub enum Table {
    Markers,
    Broadcasts,
    Settings,
    Tokens,
    TokenRevocations,
    Subscribers,
    Slots,
    Claims,
    Nodes,
    Lives,
    Users,
    Vods,
    Sessions,
    SubscriberSummaries,
    ConnectionEvents,
    DeadLetters,
    ArchiveSnapshots,
    ArchiveChunks,
    ArchiveSegments,
}

impl Table {
    /// Those that hold the state: a row of the state is a row of one of them.
    pub const STATE: [Self; 13] = [
        Self::Broadcasts,
        Self::Settings,
        Self::Tokens,
        Self::TokenRevocations,
        Self::Subscribers,
        Self::Slots,
        Self::Claims,
        Self::Nodes,
        Self::Lives,
        Self::Users,
        Self::Vods,
        Self::Sessions,
        Self::SubscriberSummaries,
    ];

    /// The others that are written with timestamps of ours: with these they are all tables but `cluster`.
    #[cfg(test)]
    pub(crate) const BESIDE: [Self; 6] = [
        Self::Markers,
        Self::ConnectionEvents,
        Self::DeadLetters,
        Self::ArchiveSnapshots,
        Self::ArchiveChunks,
        Self::ArchiveSegments,
    ];

    /// Its name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Markers => "markers",
            Self::Broadcasts => "broadcasts",
            Self::Settings => "settings",
            Self::Tokens => "tokens",
            Self::TokenRevocations => "token_revocations",
            Self::Subscribers => "subscribers",
            Self::Slots => "slots",
            Self::Claims => "claims",
            Self::Nodes => "nodes",
            Self::Lives => "lives",
            Self::Users => "users",
            Self::Vods => "vods",
            Self::Sessions => "sessions",
            Self::SubscriberSummaries => "subscriber_summaries",
            Self::ConnectionEvents => "connection_events",
            Self::DeadLetters => "dead_letters",
            Self::ArchiveSnapshots => "archive_snapshots",
            Self::ArchiveChunks => "archive_chunks",
            Self::ArchiveSegments => "archive_segments",
        }
    }

    /// What kind of row of the state it holds; `None`: none, or events, which are no more than what was kept of them.
    pub const fn kind(self) -> Option<RowKind> {
        match self {
            Self::Broadcasts => Some(RowKind::Broadcast),
            Self::Settings => Some(RowKind::Settings),
            Self::Tokens => Some(RowKind::Token),
            Self::TokenRevocations => Some(RowKind::TokensRevoked),
            Self::Subscribers => Some(RowKind::Subscriber),
            Self::Slots => Some(RowKind::Slot),
            Self::Claims => Some(RowKind::Claim),
            Self::Nodes => Some(RowKind::Node),
            Self::Lives => Some(RowKind::Life),
            Self::Users => Some(RowKind::User),
            Self::Vods => Some(RowKind::Vod),
            Self::Sessions => Some(RowKind::Session),
            Self::SubscriberSummaries => Some(RowKind::History),
            _ => None,
        }
    }
}
