//! When which player wants to be looked at.

use std::collections::BTreeSet;
use std::time::Instant;

use super::PlayerId;

/// One wake-up per player, the earliest of its timers.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Instant, PlayerId)>);

impl Timers {
    /// Moves the wake-up of a player to `at` if that is earlier. `held` is the player's own note of it.
    pub(super) fn wake(&mut self, player: PlayerId, held: &mut Option<Instant>, at: Instant) {
        if held.is_none_or(|held| at < held) {
            self.forget(player, held);
            self.0.insert((at, player));
            *held = Some(at);
        }
    }

    /// Takes a player's wake-up away.
    pub(super) fn forget(&mut self, player: PlayerId, held: &mut Option<Instant>) {
        if let Some(at) = held.take() {
            self.0.remove(&(at, player));
        }
    }

    /// The next wake-up.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Takes out one player whose time has come. Its note of it is the caller's to clear.
    pub(super) fn pop(&mut self, now: Instant) -> Option<PlayerId> {
        self.0.first().filter(|(at, _)| *at <= now)?;
        self.0.pop_first().map(|(_, player)| player)
    }
}
