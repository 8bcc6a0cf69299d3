//! What is over goes, in bounded steps.

use base::{WallTime, limits};

use super::index::{Due, Owned};
use super::{Changes, State};
use crate::{Change, Outcome, Owner, row};

/// Rows that one step may change: a session, its history, its event and the one that goes for it.
pub(super) const ROWS_PER_STEP_MAX: usize = 4;

impl State {
    pub(super) fn expire(&mut self, up_to: WallTime, changes: Changes<'_>) -> Outcome {
        let more = self.sweep(up_to.min(self.now), changes);
        row::collapse(changes);
        Outcome::Swept { more }
    }

    /// Whether anything is to be swept at `up_to`.
    pub fn is_due(&self, up_to: WallTime) -> bool {
        let hangs_on_the_dead =
            self.lives.iter().filter(|(_, life)| life.ended_ms.is_some()).any(|(owner, _)| {
                matches!(self.index.first_owned_by(*owner), Some(Owned::Claim(..) | Owned::Slot(..)))
            });
        hangs_on_the_dead || self.index.first_due(up_to).is_some() || !self.revocations.is_empty()
    }

    /// Whether there is more to do.
    fn sweep(&mut self, up_to: WallTime, changes: Changes<'_>) -> bool {
        let rows_max = limits::META_SWEEP_ROWS_MAX;
        let is_full = |changes: &Vec<Change>| changes.len() + ROWS_PER_STEP_MAX > rows_max;
        // What hung on a life that is over keeps nobody out already; here its rows go.
        let dead: Vec<Owner> =
            self.lives.iter().filter(|(_, life)| life.ended_ms.is_some()).map(|(owner, _)| *owner).collect();
        for owner in dead {
            while let Some(owned) = self.index.first_owned_by(owner) {
                if is_full(changes) {
                    return true;
                }
                match owned {
                    Owned::Claim(app, stream) => self.end_claim(app, stream, changes),
                    Owned::Slot(app, stream, subscriber, session) => {
                        self.change(Change::Slot { app, stream, subscriber, session, now: None }, changes);
                    }
                    Owned::Session(..) => break,
                }
            }
        }
        while let Some(due) = self.index.first_due(up_to) {
            if is_full(changes) {
                return true;
            }
            self.end_due(due, changes);
        }
        self.sweep_revoked(changes, rows_max)
    }

    fn end_due(&mut self, due: Due, changes: Changes<'_>) {
        match due {
            Due::Token(app, stream, token) => {
                self.change(Change::Token { app, stream, token, now: None }, changes);
            }
            Due::Claim(app, stream) => self.end_claim(app, stream, changes),
            Due::Node(node) => self.change(Change::Node { node, now: None }, changes),
            // One event at a time; the history goes last.
            Due::History(app, stream, subscriber) => {
                self.shorten((app, stream, subscriber), changes);
            }
            // One session at a time; the life goes last, and with it the last chance of its facts.
            Due::Life(owner) => match self.index.first_owned_by(owner) {
                Some(Owned::Session(app, stream, subscriber, session)) => {
                    self.lose_session((app, stream, subscriber), session, owner, changes);
                }
                _ => self.change(Change::Life { owner, now: None }, changes),
            },
        }
    }

    /// Nobody has the stream any more, so nobody will say that it is over.
    fn end_claim(&mut self, app: base::AppName, stream: base::StreamId, changes: Changes<'_>) {
        if self.broadcast(&app, &stream).is_some_and(|broadcast| broadcast.status.is_live()) {
            self.end_broadcast(app.clone(), stream.clone(), changes);
        }
        self.change(Change::Claim { app, stream, now: None }, changes);
    }
}
