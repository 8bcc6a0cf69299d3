//! Typed façades of the metadata plane, one file each: thin, cheap to clone, each answer within
//! [`base::limits::META_ANSWER_MAX`] or what `within` says.

mod facts;
mod nodes;
mod streams;
mod subscribers;
mod tokens;
mod users;
mod vods;

pub use facts::{Facts, Recorded};
pub use nodes::{Nodes, Upkeep};
pub use streams::{ClaimError, Lease, Renewed, Streams};
pub use subscribers::{AcquireError, Subscribers};
pub use tokens::{SpendError, Tokens};
pub use users::Users;
pub use vods::{Vods, VodsWanted};

/// What every façade has.
macro_rules! facade {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name {
            proposer: crate::proposer::Proposer,
        }

        impl $name {
            /// Over `meta`.
            pub fn new(
                meta: std::sync::Arc<dyn crate::Meta>,
                clock: std::sync::Arc<dyn base::Clock>,
                randomness: std::sync::Arc<dyn base::Randomness>,
            ) -> Self {
                Self { proposer: crate::proposer::Proposer::new(meta, clock, randomness) }
            }

            /// The same with another time for each answer.
            pub fn within(&self, patience: std::time::Duration) -> Self {
                Self { proposer: self.proposer.within(patience) }
            }
        }
    };
}
use facade;

#[cfg(test)]
mod tests;
