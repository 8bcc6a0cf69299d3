//! What time it is, as the core is told.

use std::time::Duration;

use base::WallTime;

/// A point on a node's own monotonic clock: since anything, as long as it is the same for one life.
pub type Moment = Duration;

/// Both clocks of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For distances and deadlines. Never goes back.
    pub monotonic: Moment,
    /// What a leader stamps commands with. May be wrong and may jump.
    pub wall: WallTime,
}
