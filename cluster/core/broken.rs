//! Faults that are put in on purpose, so that the simulator can be seen to find them.

/// What is done wrong. Compiled with the feature `broken` only, which no build that serves anybody has.
#[cfg(feature = "broken")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Broken {
    /// Acknowledges what is not on disk yet.
    AnswerBeforeFsync,
    /// A follower answers a linearizable read from what it has.
    StaleReadOnFollower,
    /// A token is spent by whoever finds it unspent in its own copy.
    SpendWithoutCheck,
    /// A claim is renewed or released whatever its epoch.
    EpochNotCompared,
    /// A stream is given to whoever claims it, though another node's lease runs.
    ClaimIgnoresLease,
    /// A retry counts as a new request.
    RequestNotDeduplicated,
    /// An entry that leaves a joint configuration is skipped because it has no data.
    EmptyConfChangeSkipped,
    /// A snapshot is installed, and the index it stands at is not.
    SnapshotWithoutIndex,
    /// A restarted node takes itself for the one before.
    IncarnationNotRaised,
    /// A watcher that comes back begins one revision late.
    WatchResumedLate,
    /// A cluster is restored under the generation of the old one: by the simulator, which is the operator.
    RestoreWithoutGeneration,
    /// What expires does so by the clock of whoever applies.
    ExpiryByLocalClock,
    /// Who was leader answers reads without asking whether it still is.
    OldLeaderServes,
}

#[cfg(feature = "broken")]
impl Broken {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::AnswerBeforeFsync,
        Self::StaleReadOnFollower,
        Self::SpendWithoutCheck,
        Self::EpochNotCompared,
        Self::ClaimIgnoresLease,
        Self::RequestNotDeduplicated,
        Self::EmptyConfChangeSkipped,
        Self::SnapshotWithoutIndex,
        Self::IncarnationNotRaised,
        Self::WatchResumedLate,
        Self::RestoreWithoutGeneration,
        Self::ExpiryByLocalClock,
        Self::OldLeaderServes,
    ];
}

/// Whether `$config` asks for the fault `$name`; never in a build without them.
#[cfg(feature = "broken")]
macro_rules! broken {
    ($config:expr, $name:ident) => {
        $config.broken == Some($crate::Broken::$name)
    };
}
#[cfg(not(feature = "broken"))]
macro_rules! broken {
    ($config:expr, $name:ident) => {
        false
    };
}
