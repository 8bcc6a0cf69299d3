//! What a node may decide by itself it decides by what is not older than the table says.

use cluster_core::NodeId;
use cluster_model::{Authority, Operation, State, rule};

use super::ages::Ages;
use super::{Verdict, broken};

/// How often each operation was asked for in each state of authority.
#[derive(Default)]
pub(super) struct Authorities {
    cells: [[u64; Authority::ALL.len()]; Operation::ALL.len()],
}

impl Authorities {
    /// Asks `node`, which has `state` and says `authority`, for every operation at `now`. `lag_max` in microseconds is
    /// how old what it has may be while it is fresh, and while it is isolated.
    pub(super) fn asks(
        &mut self,
        (node, state): (NodeId, Option<&State>),
        authority: Authority,
        (now, lag_max): (u64, [u64; 2]),
        ages: &Ages,
    ) -> Verdict {
        let lag = state.map(|state| ages.lag(now, state.revision()));
        for (operation, row) in Operation::ALL.into_iter().zip(&mut self.cells) {
            if let Some(cell) = row.get_mut(authority as usize) {
                *cell += 1;
            }
            if !rule(operation, authority).is_by_own_knowledge() {
                continue;
            }
            let most = match authority {
                Authority::Fresh => lag_max[0],
                Authority::Isolated => lag_max[1],
                // What anybody may have is no secret, however old.
                Authority::Lost | Authority::Cold => continue,
            };
            if lag.is_none_or(|lag| lag > most) {
                return broken(
                    "what a node decides alone it decides by what it knows",
                    format!("node {node} is {authority:?} and decides {operation:?}, {lag:?} us behind"),
                );
            }
        }
        if state.is_none() && authority != Authority::Cold {
            return broken("who has nothing is cold", format!("node {node} is {authority:?}"));
        }
        Ok(())
    }

    /// Each cell and how often it was visited.
    pub(super) fn cells(&self) -> impl Iterator<Item = (String, u64)> {
        Operation::ALL.into_iter().zip(&self.cells).flat_map(|(operation, row)| {
            let named = move |(authority, count): (Authority, &u64)| {
                (format!("cell: {operation:?}, {authority:?}"), *count)
            };
            Authority::ALL.into_iter().zip(row).map(named)
        })
    }
}
