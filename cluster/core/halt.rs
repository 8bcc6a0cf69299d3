//! Why a replica takes no further part.

/// Why a replica stopped. It answers nothing more; what is on its disk is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// The log holds what this program does not know.
    #[error("entry {index} of the log is of a newer version ({why}): run the version the other members run")]
    UnknownEntry {
        /// Where in the log.
        index: u64,
        /// What is unknown about it.
        why: String,
    },
    /// Its state is not that of the others.
    #[error(
        "the state at entry {index} differs from that of the other members: wipe this member and let it join anew"
    )]
    Diverged {
        /// Where it was compared.
        index: u64,
    },
    /// It is no member any more.
    #[error(
        "this node was removed from the cluster: stop it. To have it in again, empty its data.folder and let it join under a new number"
    )]
    Removed,
    /// What it told the others that it had written is not on its disk.
    #[error(
        "this member's data is older than what it told the others it had (entry {told}, its log ends at {last}), as after an older copy of its disk was put back: it must not vote again. Empty its data.folder and let it join under a new number in the place of this one"
    )]
    Forgot {
        /// The entry that the leader knows it had.
        told: u64,
        /// The last one it has.
        last: u64,
    },
    /// A snapshot that was hashed cannot be read.
    #[error("a snapshot cannot be read: {0}")]
    Snapshot(String),
    /// An entry came out of its order.
    #[error("entry {found} came where {expected} was next")]
    Order {
        /// Next to be applied.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// The consensus crate refused what it must take.
    #[error("the consensus failed: {0}")]
    Consensus(String),
}
