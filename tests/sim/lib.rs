//! The metadata plane in a simulated world: real cores, a network and disks that fail, virtual clocks, clients
//! that race, and an oracle that sees everything.
//!
//! A world is made from a seed and nothing else: the same seed gives the same trace hash. Faults are on for ten
//! simulated minutes, in which only safety is asked for; then they are off, and everything must come to rest.
//!
//! Reading order: [`run`] is one seed; `world` moves messages, writes and clocks; `faults` breaks things;
//! `work` is what clients want; `oracle` has one invariant per file; `linear` tells whether a history can have
//! happened.

mod disk;
mod faults;
mod linear;
mod net;
mod oracle;
mod pace;
mod platter;
mod process;
mod report;
mod rng;
mod work;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

#[cfg(feature = "broken")]
pub use cluster_core::Broken;
pub use oracle::Violation;
pub use pace::Pace;
pub use report::{Counts, Fault, Report};

/// What a world is made of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    /// Everything follows from it.
    pub seed: u64,
    /// A fault put into the cores on purpose.
    #[cfg(feature = "broken")]
    pub broken: Option<Broken>,
}

impl Plan {
    /// The world of `seed`.
    pub fn of(seed: u64) -> Self {
        Self {
            seed,
            #[cfg(feature = "broken")]
            broken: None,
        }
    }
}

/// Runs one world to its end, or to the first promise that is not kept. A panic is one.
pub fn run(plan: Plan) -> Result<Report, Violation> {
    catch_unwind(AssertUnwindSafe(|| world::World::new(plan).run())).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Violation { promise: "nothing panics", what: text.unwrap_or_default() })
    })
}
