//! A node that is no member does not go back as long as it lives.

use std::collections::BTreeMap;

use cluster_core::NodeId;
use cluster_model::{Revision, State};

use super::{Verdict, broken};

#[derive(Default)]
pub(super) struct Forward {
    /// In which life of it each node was seen last, and how far it was: generation and revision.
    newest: BTreeMap<NodeId, (u64, (u64, Revision))>,
}

impl Forward {
    pub(super) fn has(&mut self, (node, life): (NodeId, u64), state: &State) -> Verdict {
        let at = (state.generation(), state.revision());
        match self.newest.insert(node, (life, at)) {
            Some((of, newest)) if of == life && at < newest => {
                broken("a client never goes back", format!("node {node} was at {newest:?} and is at {at:?}"))
            }
            _ => Ok(()),
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
        let mut forward = Forward::default();
        let mut goes_back = |life, generation, revision| {
            let mut state = State::default();
            state.absorb(Revision(revision), WallTime(1), &[Change::Generation(generation)]);
            forward.has((NodeId(1), life), &state).is_err()
        };
        assert!(!goes_back(1, 0, 5) && !goes_back(1, 0, 7) && goes_back(1, 0, 6));
        assert!(!goes_back(1, 1, 2) && goes_back(1, 0, 9));
        assert!(!goes_back(2, 0, 3));
    }
}
