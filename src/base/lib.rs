//! What every room may use: ids, the names of applications, units, clock and randomness ports, named limits, redaction and
//! exit reasons.
//!
//! No I/O and no async live here. The only place that reads the machine's clock and randomness is
//! `clock.rs`; everybody else is handed a [`Clock`] or a [`Randomness`].

mod clock;
mod exit;
mod ids;
pub mod limits;
mod names;
mod redact;
mod time;

pub use clock::{Clock, ManualClock, Randomness, SeededRandomness, SystemClock, SystemRandomness};
pub use exit::ExitReason;
pub use ids::{AppName, IdError, SessionId, StreamId, TrackId};
pub use names::AppNames;
pub use redact::{PeerAddr, Secret};
pub use time::{MediaTime, WallTime};
