//! A node that is no member has at a revision what the members have there, to the last row, and does not go back as long
//! as it lives.

use std::collections::BTreeMap;

use cluster_core::NodeId;
use cluster_model::{Revision, State, StateHash};

use super::applied::Applied;
use super::{Verdict, broken};

#[derive(Default)]
pub(super) struct Mirrors {
    /// What each node was last seen with.
    last: BTreeMap<NodeId, (Revision, StateHash)>,
    /// In which life of it, and how far it was: generation and revision.
    newest: BTreeMap<NodeId, (u64, (u64, Revision))>,
}

impl Mirrors {
    pub(super) fn has(&mut self, (node, life): (NodeId, u64), state: &State, applied: &Applied) -> Verdict {
        let at = (state.generation(), state.revision());
        if let Some((of, newest)) = self.newest.insert(node, (life, at))
            && of == life
            && at < newest
        {
            return broken(
                "a client never goes back",
                format!("node {node} was at {newest:?} and is at {at:?}"),
            );
        }
        let seen = (state.revision(), state.hash());
        if self.last.insert(node, seen) == Some(seen) {
            return Ok(());
        }
        match applied.hash(seen.0) {
            Some(right) if right == seen.1 => Ok(()),
            right => broken(
                "a client has what the members have",
                format!("node {node} at {}, of which the members have {right:?}", seen.0),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use base::WallTime;
    use cluster_model::Change;

    use super::*;

    #[test]
    fn a_copy_that_goes_back_is_seen_unless_another_life_has_it() {
        let (mut mirrors, applied) = (Mirrors::default(), Applied::default());
        let mut goes_back = |life, generation, revision| {
            let mut state = State::default();
            state.absorb(Revision(revision), WallTime(1), &[Change::Generation(generation)]);
            let verdict = mirrors.has((NodeId(1), life), &state, &applied);
            verdict.is_err_and(|violation| violation.promise == "a client never goes back")
        };
        assert!(!goes_back(1, 0, 5) && !goes_back(1, 0, 7) && goes_back(1, 0, 6));
        assert!(!goes_back(1, 1, 2) && goes_back(1, 0, 9));
        assert!(!goes_back(2, 0, 3));
    }
}
