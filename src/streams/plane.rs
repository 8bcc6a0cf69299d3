//! What this node is in the metadata plane: its life there, the streams it has claimed, and what it reports of
//! sessions.

mod claims;
mod facts;
mod life;
mod who;

pub use claims::{BeginError, Claims};
pub use facts::FactLog;
pub use life::Life;
pub(crate) use who::{Attendance, Who};
