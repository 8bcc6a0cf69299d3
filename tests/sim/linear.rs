//! Whether what clients saw can have happened in some order that respects real time.
//!
//! Wing and Gong's search with Lowe's memory of where it has been: an operation may come next if none that is
//! still to come had ended before it began. An operation without an answer may have happened at any time after
//! its beginning, or never.

use std::collections::HashSet;
use std::hash::Hash;

/// What one object does, one operation after the other.
pub trait Sequential {
    /// What it is.
    type State: Clone + Eq + Hash + Default;
    /// What is asked of it.
    type Call;
    /// What it answers.
    type Answer;

    /// The state after `call` if `answer` is a right one; any answer is, if there is none.
    fn step(state: &Self::State, call: &Self::Call, answer: Option<&Self::Answer>) -> Option<Self::State>;
}

/// One operation as its client saw it.
#[derive(Clone, Debug)]
pub struct Operation<C, A> {
    /// When it was asked.
    pub began: u64,
    /// When it was answered, and what; `None`: never.
    pub ended: Option<(u64, A)>,
    /// What was asked.
    pub call: C,
}

/// Operations that one history may hold, since the set of those done is a number of so many bits.
pub const OPERATIONS_MAX: usize = 128;

/// Whether `history` is linearizable. `None` if it is too long or the search takes too long to tell.
pub fn is_linearizable<S: Sequential>(history: &[Operation<S::Call, S::Answer>]) -> Option<bool> {
    if history.len() > OPERATIONS_MAX {
        return None;
    }
    let answered = history
        .iter()
        .enumerate()
        .filter(|(_, operation)| operation.ended.is_some())
        .fold(0u128, |set, (place, _)| set | 1 << place);
    let mut seen: HashSet<(u128, S::State)> = HashSet::new();
    let mut stack = vec![(0u128, S::State::default())];
    while let Some((done, state)) = stack.pop() {
        if done & answered == answered {
            return Some(true);
        }
        if seen.len() > 200_000 {
            return None;
        }
        let open = |place: usize| done & (1 << place) == 0;
        let ends = |operation: &Operation<S::Call, S::Answer>| {
            operation.ended.as_ref().map_or(u64::MAX, |(at, _)| *at)
        };
        let first_end = history
            .iter()
            .enumerate()
            .filter(|(place, _)| open(*place))
            .map(|(_, operation)| ends(operation))
            .min()
            .unwrap_or(u64::MAX);
        for (place, operation) in history.iter().enumerate() {
            if !open(place) || operation.began > first_end {
                continue;
            }
            let answer = operation.ended.as_ref().map(|(_, answer)| answer);
            if let Some(next) = S::step(&state, &operation.call, answer) {
                let next = (done | 1 << place, next);
                if seen.insert(next.clone()) {
                    stack.push(next);
                }
            }
        }
    }
    Some(false)
}
