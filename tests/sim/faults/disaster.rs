//! All members are lost for good, and the operator restores a copy of what they had.

use cluster_core::{NodeId, Saved, SavedError};
use cluster_model::{Command, State};

use crate::disk::Disk;
use crate::oracle::{Violation, broken};
use crate::process::Process;
use crate::report::Fault;
use crate::work::SECOND;
use crate::world::{FAULTS_END, World};

impl World {
    /// Sometimes a copy of the data is made. Later all members are lost for good, and the cluster is restored from it.
    pub(super) fn disaster(&mut self) -> Result<(), Violation> {
        let now = self.now;
        let leading = self.leader().and_then(|leader| self.nodes.get(&leader)).and_then(Process::replica);
        let copy = leading.map(|replica| replica.state().clone());
        let Some(archive) = self.archive.take_if(|_| self.rng.chance(300) && now + 40 * SECOND < FAULTS_END)
        else {
            self.archive = copy.or(self.archive.take());
            return Ok(());
        };
        self.counts.strikes(Fault::Disaster);
        let all: Vec<_> = self.nodes.keys().copied().collect();
        for node in &all {
            self.take_down(*node);
        }
        self.nodes.retain(|_, process| !process.is_member);
        self.faults.goal = None;
        self.shared.generation += 1;
        let first = self.faults.next_node;
        self.faults.next_node += self.faults.voters;
        let voters: Vec<_> = (first..self.faults.next_node).map(NodeId).collect();
        let Ok(saved) = self.restored(&voters, archive) else {
            return broken("a copy restores a cluster", "it does not");
        };
        self.oracle.restored(&saved.state)?;
        // Before the log begins, and so not seen among what members apply.
        let raise = Command::RaiseGeneration { to: self.shared.generation };
        *self.applied.entry(raise.name()).or_default() += 1;
        for session in &mut self.sessions {
            session.forget();
        }
        for node in voters {
            let mut process = Process::new(self.config(node), true);
            process.disk = Disk::with(saved.clone());
            self.place(process);
            self.start(node)?;
        }
        for node in all {
            self.start(node)?;
        }
        for session in 0..self.sessions.len() {
            let after = self.rng.around(SECOND);
            self.think_after(session, after);
        }
        Ok(())
    }

    /// What is on the disks of `voters` when they begin with `archive`.
    fn restored(&self, voters: &[NodeId], archive: State) -> Result<Saved, SavedError> {
        #[cfg(feature = "broken")]
        if self.plan.broken == Some(crate::Broken::RestoreWithoutGeneration) {
            return Ok(Saved::first(voters.iter().copied(), archive));
        }
        Saved::restored(voters.iter().copied(), archive, self.shared.generation)
    }
}
