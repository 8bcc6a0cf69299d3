//! With the faults off everything must come to rest.

use super::World;
use crate::oracle::{Violation, broken};
use crate::process::Process;

impl World {
    /// What must be so at the end: one leader, all members equal and fresh, nothing half done.
    pub(super) fn check_rest(&self) -> Result<(), Violation> {
        let promise = "without faults everything comes to rest";
        let Some(leader) = self.leader() else { return broken(promise, "nobody leads") };
        let Some(status) =
            self.nodes.get(&leader).and_then(Process::replica).map(cluster_core::Replica::status)
        else {
            return broken(promise, "nobody leads");
        };
        let members = &status.members;
        if members.is_joint() || !members.learners.is_empty() {
            let leads = self.nodes.keys().copied().collect::<Vec<_>>();
            return broken(promise, format!("the membership is {members:?}, of {leads:?}; {status:?}"));
        }
        if let Some(goal) = self.faults.goal() {
            return broken(promise, format!("{goal:?} was not reached, the members are {members:?}"));
        }
        let leading = self.nodes.get(&leader).and_then(Process::replica).map(|replica| replica.state());
        for process in self.nodes.values() {
            let node = process.node;
            if let Some(replica) = process.replica() {
                if !members.contains(node) {
                    return broken(promise, format!("node {node} is no member and goes on"));
                }
                let own = replica.status();
                if own.applied + 8 < status.applied {
                    return broken(
                        promise,
                        format!("node {node} is at {}, the leader: {status:?}, {own:?}", own.applied),
                    );
                }
                if own.applied == status.applied && Some(replica.state()) != leading {
                    return broken(promise, format!("node {node} differs from the leader"));
                }
                if replica.authority(process.now(self.now)) != cluster_core::Authority::Fresh {
                    return broken(
                        promise,
                        format!(
                            "node {node} is not fresh: {:?}, {own:?}, {status:?}",
                            replica.age(process.now(self.now))
                        ),
                    );
                }
            } else if process.core.is_none() {
                return broken(promise, format!("node {node} is down"));
            } else if let Some(mirror) = process.mirror() {
                let authority = process.authority(self.now);
                if authority.is_none_or(|(_, authority)| authority != cluster_core::Authority::Fresh) {
                    return broken(promise, format!("client {node} is not fresh: {authority:?}, {status:?}"));
                }
                if mirror.revision().0 + 8 < status.revision.0 {
                    return broken(promise, format!("client {node} is at {}: {status:?}", mirror.revision()));
                }
            } else {
                return broken(promise, format!("client {node} has no copy"));
            }
        }
        // Nothing expires if time stands still.
        let now = leading.map(cluster_model::State::now).unwrap_or_default().as_millis();
        if let Some(real_ms) = self.real_ms().filter(|real_ms| now + 15_000 < *real_ms) {
            return broken(promise, format!("the state's time is {now}, most clocks show {real_ms}"));
        }
        for voter in &members.voters {
            if !self.nodes.contains_key(voter) {
                return broken(promise, format!("voter {voter} does not exist"));
            }
        }
        Ok(())
    }
}
