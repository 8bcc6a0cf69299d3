//! A state with a million subscribers and a million one-time tokens.

use base::WallTime;
use cluster_model::{Command, RequestId, Stamped, State};

use crate::rows;

/// When everything was made, milliseconds since 1970.
pub const MADE_MS: u64 = 1_700_000_000_000;
/// Of the tokens, those that are over soon afterwards, Unix seconds.
pub const EARLY_S: i64 = 1_700_003_600;

/// Applies `command` as the `n`th of its kind.
pub fn apply(state: &mut State, n: u64, at: WallTime, command: Command) -> cluster_model::Applied {
    let request = RequestId::from_u128(u128::from(n) << 64 | u128::from(state.revision().0));
    cluster_model::apply(state, Stamped { request, at, command })
}

/// `rows` subscribers and `rows` tokens, of which the first `early` are over early.
pub fn state(rows: u64, early: u64) -> State {
    let mut state = State::default();
    for n in 0..rows {
        let at = WallTime(MADE_MS + n / 100);
        apply(&mut state, n, at, rows::put_subscriber(n, None));
        let expire_s = if n < early { EARLY_S } else { rows::LATE_S };
        apply(&mut state, n, at, rows::create_token(n, expire_s));
    }
    state
}
