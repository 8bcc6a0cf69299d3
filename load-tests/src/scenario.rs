//! Situations that a node must survive, each with what is asked of it; and where its time goes.

mod bursts;
mod joins;
mod lag;
mod messages;
mod outcome;
mod overload;
mod profile;
mod publishers;
mod rejoin;
mod rest;
mod sources;

use std::path::PathBuf;

use crate::bench::{Admission, BenchOptions};
use crate::link::Profile;
use crate::machine::Cores;
use crate::swarm::Summary;

pub use bursts::{BurstsOptions, bursts};
pub use joins::{JoinsOptions, joins};
pub use lag::{LagOptions, lag};
pub use messages::{MessagesOptions, messages};
pub use outcome::{Bound, Goal, Outcome};
pub use overload::{OverloadOptions, overload};
pub use profile::{TimeProfile, profile};
pub use publishers::{PublishersOptions, publishers};
pub use rejoin::{RejoinOptions, rejoin};
pub use rest::{RestOptions, rest};
pub use sources::{SourcesOptions, sources};

/// What all of them need.
#[derive(Clone, Debug)]
pub struct Stage {
    /// The penstock program.
    pub node: PathBuf,
    /// Who runs where.
    pub cores: Cores,
    /// What players offer.
    pub profile: Profile,
    /// Joins begun per second, of players that are there before it begins.
    pub joins: f64,
    /// Further environment variables of the node.
    pub environment: Vec<(String, String)>,
}

impl Stage {
    fn bench(&self, players: usize, admission: Admission) -> BenchOptions {
        BenchOptions {
            node: self.node.clone(),
            cores: self.cores.clone(),
            players,
            admission,
            environment: self.environment.clone(),
        }
    }
}

/// What is asked whoever comes: those who were there had media and still have.
fn existing_stay(saw: &Summary, existing: usize) -> Vec<Goal> {
    let ended = saw.ended.values().sum::<usize>();
    vec![
        Goal::at_least("players that were there and had media", saw.joined as f64, existing as f64),
        Goal::at_most("players that were there and ended", ended as f64, 0.0),
    ]
}
