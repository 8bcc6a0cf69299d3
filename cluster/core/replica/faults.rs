//! Faults put in on purpose that concern what is applied.

use cluster_model::{Applied, Command, Contention, Observed, Outcome, Proposal, RequestId, Stamped};

use super::Replica;
use crate::output::Output;

impl Replica {
    /// Applies `stamped` as the configured fault does.
    pub(super) fn apply_broken(&mut self, index: u64, mut stamped: Stamped) -> Applied {
        if broken!(self.config, EpochNotCompared) {
            self.forget_epochs(&mut stamped.command);
        }
        if broken!(self.config, ClaimIgnoresLease)
            && let Command::ClaimStream { app, stream, against, .. } = &mut stamped.command
            && let Some(epoch) = self.state.claim(app, stream).map(|claim| claim.epoch)
        {
            *against = Some(Contention { epoch, observed: Observed::LinkDown { for_ms: u64::MAX } });
        }
        if broken!(self.config, RequestNotDeduplicated) {
            let salted = stamped.request.as_u128() ^ (u128::from(index) << 64);
            stamped.request = RequestId::from_u128(salted);
        }
        if broken!(self.config, ExpiryByLocalClock) {
            stamped.at = self.now.wall;
        }
        if broken!(self.config, IncarnationNotRaised)
            && let Command::NodeJoined { node, .. } = &stamped.command
            && let Some(incarnation) = self.state.node(*node).map(|known| known.incarnation)
        {
            let (revision, outcome) = (self.state.revision().next(), Outcome::Joined { incarnation });
            self.state.absorb(revision, stamped.at, &[]);
            self.state.remember(stamped.request, revision, outcome);
            return Applied { revision, outcome, changes: Vec::new(), repeated: false };
        }
        cluster_model::apply(&mut self.state, stamped)
    }

    /// Whether linearizable reads are answered without a question to the leader.
    pub(super) fn reads_unasked(&self) -> bool {
        if self.leads() {
            broken!(self.config, OldLeaderServes)
        } else {
            broken!(self.config, StaleReadOnFollower)
        }
    }

    fn forget_epochs(&self, command: &mut Command) {
        let current = |app: &_, stream: &_| self.state.claim(app, stream).map(|claim| claim.epoch);
        match command {
            Command::ReleaseStream { app, stream, epoch } => *epoch = current(app, stream).unwrap_or(*epoch),
            Command::StreamStarted { app, stream, epoch, .. }
            | Command::StreamEnded { app, stream, epoch } => {
                *epoch = epoch.and(current(app, stream));
            }
            Command::RenewStreams { owner, claims } => {
                for claim in claims {
                    if let Some(held) = self.state.claim(&claim.app, &claim.stream) {
                        (claim.epoch, *owner) = (held.epoch, held.owner);
                    }
                }
            }
            _ => {}
        }
    }

    /// Answers a spend from what this node has, before anybody agreed to it.
    pub(super) fn spend_without_check(&mut self, request: RequestId, command: &Command) {
        if broken!(self.config, SpendWithoutCheck) && matches!(command, Command::SpendToken { .. }) {
            let stamped = Stamped { request, at: self.now.wall, command: command.clone() };
            let applied = cluster_model::apply(&mut self.state.clone(), stamped);
            let proposal = Proposal::Applied { revision: applied.revision, outcome: applied.outcome };
            self.proposals.answered(request);
            self.outputs.push_back(Output::Answer { request, proposal });
        }
    }
}
