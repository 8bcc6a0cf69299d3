//! What a node may decide by itself it decides by what is not older than the table says.

use cluster_core::NodeId;
use cluster_model::{Authority, Operation, State, rule};

use super::ages::Ages;
use super::{Verdict, broken};

/// How often what was asked for in each state of authority.
#[derive(Default)]
pub(super) struct Authorities {
    /// By operation, of what sessions asked a node for.
    asked: [[u64; Authority::ALL.len()]; Operation::ALL.len()],
    /// Of the table alone, which is asked for every operation at a time.
    evaluated: [u64; Authority::ALL.len()],
}

impl Authorities {
    /// A session asks a node of this authority for `operation`, which is carried out.
    pub(super) fn carried_out(&mut self, operation: Operation, authority: Authority) {
        let row = Operation::ALL.iter().position(|it| *it == operation);
        let row = row.and_then(|row| self.asked.get_mut(row));
        if let Some(cell) = row.and_then(|row| row.get_mut(authority as usize)) {
            *cell += 1;
        }
    }

    /// Asks the table for every operation, as `node` would at `now`, which has `state` and says `authority`. `lag_max` in
    /// microseconds is how old what it has may be while it is fresh, and while it is isolated.
    pub(super) fn evaluated(
        &mut self,
        (node, state): (NodeId, Option<&State>),
        authority: Authority,
        (now, lag_max): (u64, [u64; 2]),
        ages: &Ages,
    ) -> Verdict {
        if let Some(count) = self.evaluated.get_mut(authority as usize) {
            *count += 1;
        }
        if state.is_none() && authority != Authority::Cold {
            return broken("who has nothing is cold", format!("node {node} is {authority:?}"));
        }
        let most = match authority {
            Authority::Fresh => lag_max[0],
            Authority::Isolated => lag_max[1],
            // What anybody may have is no secret, however old.
            Authority::Lost | Authority::Cold => return Ok(()),
        };
        let lag = state.map(|state| ages.lag(now, state.revision()));
        if lag.is_some_and(|lag| lag <= most) {
            return Ok(());
        }
        let alone = |operation: &&Operation| rule(**operation, authority).is_by_own_knowledge();
        match Operation::ALL.iter().find(alone) {
            None => Ok(()),
            Some(operation) => broken(
                "what a node decides alone it decides by what it knows",
                format!("node {node} is {authority:?} and decides {operation:?}, {lag:?} us behind"),
            ),
        }
    }

    /// How often each cell was visited by sessions, if `is_carried_out`, and by the table alone, which evaluates all.
    pub(super) fn cells(
        &self,
        is_carried_out: impl Fn(Operation) -> bool,
    ) -> impl Iterator<Item = (String, u64)> {
        let rows = Operation::ALL.into_iter().zip(&self.asked);
        let cells =
            rows.filter(move |(operation, _)| is_carried_out(*operation)).flat_map(|(operation, row)| {
                let named = move |(authority, count): (Authority, &u64)| {
                    (format!("cell: {operation:?}, {authority:?}"), *count)
                };
                Authority::ALL.into_iter().zip(row).map(named)
            });
        let evaluated = Authority::ALL.into_iter().zip(&self.evaluated);
        cells.chain(
            evaluated.map(|(authority, count)| (format!("evaluated: all cells, {authority:?}"), *count)),
        )
    }
}
