//! What a node may do while the metadata plane is away: one table, asked by whoever decides.

use std::time::Duration;

use base::limits;

/// How well a node knows what the plane knows: by the age of what it has, measured by its own clock alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Authority {
    /// The plane answers.
    Fresh,
    /// The plane is away, and was there within the lease.
    Isolated,
    /// The plane is away for longer than the lease.
    Lost,
    /// The plane never answered since this process started.
    Cold,
}

impl Authority {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Fresh, Self::Isolated, Self::Lost, Self::Cold];

    /// Of a node whose knowledge is of `age`; `None`: it has none. `lease`: [`limits::AUTHORITY_LEASE`], or as configured
    /// (`cluster.authority_lease_s`).
    pub fn of(age: Option<Duration>, lease: Duration) -> Self {
        match age {
            None => Self::Cold,
            Some(age) if age <= limits::META_FRESH_AGE_MAX => Self::Fresh,
            Some(age) if age <= lease => Self::Isolated,
            Some(_) => Self::Lost,
        }
    }
}

/// Whether a mechanism of the gate (token, TOTP, hash, JWT, webhook, block) stands before a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Guarded {
    /// One does.
    Yes,
    /// Anybody may.
    No,
}

/// What is to be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// A publisher is to be let in: its stream is claimed.
    NewPublish,
    /// A publisher is in: its claim is renewed.
    RunningPublish(Guarded),
    /// A one-time token is to be spent.
    SpendToken,
    /// A code is to be checked by a subscriber's secret, and a connection slot taken.
    Totp,
    /// A hash or a JWT is to be checked by the settings' secret.
    HashOrJwt,
    /// Lists are to be looked at: a publisher's address, a time window, blocks.
    Lists,
    /// A viewer more is to be let in where there is a limit.
    ViewerLimit,
    /// An authorisation webhook is to be asked.
    Webhook,
    /// A player is to be let in where no mechanism stands.
    OpenPlay,
    /// A player is in, by a mechanism.
    RunningPlay,
    /// A request for a playlist or segment comes with a play session.
    HlsRequest,
    /// A stream is to be fetched from the node that has it.
    EdgePull(Guarded),
    /// Something is to be stored: a revocation, a block, any write of REST.
    Write,
    /// One object is to be shown.
    ReadOne,
    /// Several are to be listed or counted: by what the node has, in any case.
    ReadMany,
    /// Connection events, statistics or lists of recordings are to be shown.
    History,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::NewPublish,
        Self::RunningPublish(Guarded::Yes),
        Self::RunningPublish(Guarded::No),
        Self::SpendToken,
        Self::Totp,
        Self::HashOrJwt,
        Self::Lists,
        Self::ViewerLimit,
        Self::Webhook,
        Self::OpenPlay,
        Self::RunningPlay,
        Self::HlsRequest,
        Self::EdgePull(Guarded::Yes),
        Self::EdgePull(Guarded::No),
        Self::Write,
        Self::ReadOne,
        Self::ReadMany,
        Self::History,
    ];
}

/// How it is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ruling {
    /// The plane decides. Without an answer in time it is refused.
    Plane,
    /// The plane is asked for [`limits::SPEND_RETRY_MAX`]; then it is refused, and what became of the token is unknown and
    /// logged.
    PlaneBriefly,
    /// This node decides, by what it has.
    Own,
    /// The same, and what is shown says how old it is.
    OwnWithAge,
    /// This node decides, by what the plane said last and what it counts itself.
    LastKnown,
    /// Somebody else is asked, who has an answer or refuses.
    Outside,
    /// It goes on.
    GoesOn,
    /// It goes on, and is shown as isolated.
    GoesOnIsolated,
    /// The database is asked.
    Database,
    /// The same, and what is shown says that it may lag.
    DatabaseMarked,
    /// It is refused.
    Refused(Refused),
    /// It ends: authority lost.
    Ends,
}

/// What a refusal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refused {
    /// AMS's `data_store_not_available`.
    DataStoreNotAvailable,
    /// What a wrong credential is told.
    NotAllowed,
    /// AMS's `Server is getting initialized.`
    Initializing,
    /// 503 with Retry-After; nothing is promised.
    Unavailable,
}

/// How `operation` is decided by a node of `authority`.
pub const fn rule(operation: Operation, authority: Authority) -> Ruling {
    use Authority::{Cold, Fresh, Isolated, Lost};
    use Operation as Op;
    use Ruling as R;
    const DENY: Ruling = Ruling::Refused(Refused::NotAllowed);
    const STORE: Ruling = Ruling::Refused(Refused::DataStoreNotAvailable);
    const BUSY: Ruling = Ruling::Refused(Refused::Unavailable);
    match (operation, authority) {
        (Op::NewPublish | Op::SpendToken | Op::Totp | Op::EdgePull(_) | Op::Write | Op::ReadOne, Fresh)
        | (Op::RunningPublish(_), Fresh) => R::Plane,

        (Op::NewPublish, Isolated | Lost | Cold) => STORE,

        (Op::RunningPublish(_), Isolated) | (Op::RunningPublish(Guarded::No), Lost | Cold) => {
            R::GoesOnIsolated
        }
        (Op::RunningPublish(Guarded::Yes), Lost | Cold) => R::Ends,

        (Op::SpendToken, Isolated) => R::PlaneBriefly,
        (Op::Totp, Isolated) | (Op::SpendToken | Op::Totp, Lost | Cold) => DENY,

        (Op::HashOrJwt | Op::Lists | Op::HlsRequest, Fresh | Isolated) => R::Own,
        (Op::HashOrJwt | Op::Lists | Op::HlsRequest, Lost | Cold) => DENY,

        (Op::ViewerLimit, Fresh) => R::Own,
        (Op::ViewerLimit, Isolated) => R::LastKnown,
        (Op::ViewerLimit, Lost | Cold) => DENY,

        (Op::Webhook, Fresh | Isolated) => R::Outside,
        (Op::Webhook, Lost | Cold) => DENY,

        (Op::OpenPlay, Fresh | Isolated | Lost) => R::Own,
        (Op::OpenPlay, Cold) => R::Refused(Refused::Initializing),

        (Op::RunningPlay, Fresh | Isolated) => R::GoesOn,
        (Op::RunningPlay, Lost | Cold) => R::Ends,

        (Op::EdgePull(_), Isolated) | (Op::EdgePull(Guarded::No), Lost | Cold) => R::LastKnown,
        (Op::EdgePull(Guarded::Yes), Lost | Cold) => DENY,

        (Op::Write, Isolated | Lost | Cold) | (Op::ReadOne | Op::ReadMany, Lost | Cold) => BUSY,
        (Op::ReadOne, Isolated) | (Op::ReadMany, Fresh | Isolated) => R::OwnWithAge,

        (Op::History, Fresh) => R::Database,
        (Op::History, Isolated | Lost | Cold) => R::DatabaseMarked,
    }
}

impl Ruling {
    /// Whether somebody may be let in, or shown something, by what this node has: it must then be no older than it says.
    pub const fn is_by_own_knowledge(self) -> bool {
        matches!(self, Self::Own | Self::OwnWithAge | Self::LastKnown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the design, as it stands there.
    #[test]
    fn every_cell_is_as_the_table_says() {
        use Operation as Op;
        use Refused::{DataStoreNotAvailable, Initializing, NotAllowed, Unavailable};
        use Ruling as R;
        let (deny, busy) = (R::Refused(NotAllowed), R::Refused(Unavailable));
        let store = R::Refused(DataStoreNotAvailable);
        let table = [
            (Op::NewPublish, [R::Plane, store, store, store]),
            (Op::RunningPublish(Guarded::Yes), [R::Plane, R::GoesOnIsolated, R::Ends, R::Ends]),
            (
                Op::RunningPublish(Guarded::No),
                [R::Plane, R::GoesOnIsolated, R::GoesOnIsolated, R::GoesOnIsolated],
            ),
            (Op::SpendToken, [R::Plane, R::PlaneBriefly, deny, deny]),
            (Op::Totp, [R::Plane, deny, deny, deny]),
            (Op::HashOrJwt, [R::Own, R::Own, deny, deny]),
            (Op::Lists, [R::Own, R::Own, deny, deny]),
            (Op::ViewerLimit, [R::Own, R::LastKnown, deny, deny]),
            (Op::Webhook, [R::Outside, R::Outside, deny, deny]),
            (Op::OpenPlay, [R::Own, R::Own, R::Own, R::Refused(Initializing)]),
            (Op::RunningPlay, [R::GoesOn, R::GoesOn, R::Ends, R::Ends]),
            (Op::HlsRequest, [R::Own, R::Own, deny, deny]),
            (Op::EdgePull(Guarded::Yes), [R::Plane, R::LastKnown, deny, deny]),
            (Op::EdgePull(Guarded::No), [R::Plane, R::LastKnown, R::LastKnown, R::LastKnown]),
            (Op::Write, [R::Plane, busy, busy, busy]),
            (Op::ReadOne, [R::Plane, R::OwnWithAge, busy, busy]),
            // Lists come from caches and say their age; what is too old for one object is too old for a list of them.
            (Op::ReadMany, [R::OwnWithAge, R::OwnWithAge, busy, busy]),
            (Op::History, [R::Database, R::DatabaseMarked, R::DatabaseMarked, R::DatabaseMarked]),
        ];
        assert_eq!(table.map(|(operation, _)| operation), Operation::ALL);
        for (operation, rulings) in table {
            assert_eq!(Authority::ALL.map(|authority| rule(operation, authority)), rulings, "{operation:?}");
        }
    }

    #[test]
    fn authority_goes_by_age() {
        let (second, lease) = (Duration::from_secs(1), Duration::from_secs(300));
        let of = |seconds: u32| Authority::of(Some(second * seconds), lease);
        assert_eq!([of(0), of(2), of(3), of(300), of(301)].map(|it| it as u8), [0, 0, 1, 1, 2]);
        assert_eq!(Authority::of(None, lease), Authority::Cold);
    }
}
