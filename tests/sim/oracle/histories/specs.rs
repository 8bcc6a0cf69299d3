//! What each kind of object does, one operation after the other.

use cluster_model::{Epoch, Outcome, Refusal, TokenFault};

use super::{Asked, Sequential, Told};

/// `next` if the answer is the one right one, or there is none.
fn if_right<T>(next: T, right: Told, answer: Option<&Told>) -> Option<T> {
    answer.is_none_or(|answer| *answer == right).then_some(next)
}

/// Settings: a version that goes up when the right one is named.
pub struct Settings;

impl Sequential for Settings {
    type State = u64;
    type Call = Asked;
    type Answer = Told;

    fn step(version: &u64, call: &Asked, answer: Option<&Told>) -> Option<u64> {
        let (next, right) = match *call {
            Asked::Put(expected) if expected == *version => {
                (version + 1, Told::Outcome(Outcome::Stored { version: version + 1 }))
            }
            Asked::Put(_) => (*version, Told::Outcome(Outcome::Conflict { version: *version })),
            Asked::Read => (*version, Told::Value(*version)),
            _ => return None,
        };
        if_right(next, right, answer)
    }
}

/// A broadcast: there or not.
pub struct Broadcast;

impl Sequential for Broadcast {
    type State = bool;
    type Call = Asked;
    type Answer = Told;

    fn step(there: &bool, call: &Asked, answer: Option<&Told>) -> Option<bool> {
        let (next, right) = match call {
            Asked::Create => (true, Told::Outcome(if *there { Outcome::Exists } else { Outcome::Done })),
            Asked::Delete => (false, Told::Outcome(if *there { Outcome::Done } else { Outcome::Absent })),
            Asked::Read => (*there, Told::Value(u64::from(*there))),
            _ => return None,
        };
        if_right(next, right, answer)
    }
}

/// A token: made once, spent once. What is spent may be forgotten, and is then unknown.
pub struct Token;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TokenState {
    #[default]
    Absent,
    Fresh,
    Spent(u64),
    Forgotten,
}

impl Sequential for Token {
    type State = TokenState;
    type Call = Asked;
    type Answer = Told;

    fn step(state: &TokenState, call: &Asked, answer: Option<&Told>) -> Option<TokenState> {
        use TokenState::{Absent, Forgotten, Fresh, Spent};
        let refused = |fault| Told::Outcome(Outcome::TokenRefused(fault));
        let unknown = refused(TokenFault::Unknown);
        match (*call, *state) {
            (Asked::Create, Absent) => if_right(Fresh, Told::Outcome(Outcome::Done), answer),
            (Asked::Create, _) => None,
            (Asked::Spend(_) | Asked::Read, Spent(_)) if answer == Some(&unknown) => Some(Forgotten),
            (Asked::Spend(_) | Asked::Read, Absent | Forgotten) => if_right(*state, unknown, answer),
            (Asked::Spend(by), Fresh) => if_right(Spent(by), Told::Outcome(Outcome::Spent), answer),
            (Asked::Spend(by), Spent(before)) if by == before => {
                if_right(*state, Told::Outcome(Outcome::Spent), answer)
            }
            (Asked::Spend(_) | Asked::Read, Spent(_)) => if_right(*state, refused(TokenFault::Spent), answer),
            (Asked::Read, Fresh) => if_right(*state, Told::Outcome(Outcome::Done), answer),
            _ => None,
        }
    }
}

/// A stream: the newest claim, and the greatest epoch ever. Leases run out, which no client sees: so for this somebody
/// else may claim at any time, but always under a greater epoch, and what names another epoch than the newest has no
/// effect. (Whether the lease had run out is looked at where time is known: `oracle/leases.rs`.)
pub struct Claim;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClaimState {
    newest: Newest,
    greatest: Epoch,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Newest {
    #[default]
    None,
    /// Of this life of a node.
    Known(Epoch, (u64, u64)),
    /// The same, claimed without an answer; this may still be its epoch if it had the stream before.
    Unknown((u64, u64), Option<Epoch>),
}

impl ClaimState {
    /// The state if the newest claim is `epoch`.
    fn with(self, epoch: Epoch) -> Option<Self> {
        match self.newest {
            Newest::Known(known, _) => (known == epoch).then_some(self),
            Newest::Unknown(owner, before) if before == Some(epoch) => {
                Some(Self { newest: Newest::Known(epoch, owner), ..self })
            }
            Newest::Unknown(owner, _) => self.claimed(epoch, owner),
            Newest::None => None,
        }
    }

    fn claimed(self, epoch: Epoch, owner: (u64, u64)) -> Option<Self> {
        (epoch > self.greatest).then_some(Self { newest: Newest::Known(epoch, owner), greatest: epoch })
    }
}

impl Sequential for Claim {
    type State = ClaimState;
    type Call = Asked;
    type Answer = Told;

    fn step(state: &ClaimState, call: &Asked, answer: Option<&Told>) -> Option<ClaimState> {
        let state = *state;
        let refused = matches!(answer, Some(Told::Outcome(Outcome::Refused(_))));
        match (*call, answer) {
            (Asked::Claim(node, life), Some(Told::Outcome(Outcome::Claimed { epoch }))) => {
                let own = match state.newest {
                    Newest::Known(known, owner) => known == *epoch && owner == (node, life),
                    Newest::Unknown(owner, before) => before == Some(*epoch) && owner == (node, life),
                    Newest::None => false,
                };
                if own { state.with(*epoch) } else { state.claimed(*epoch, (node, life)) }
            }
            (Asked::Claim(..), Some(Told::Outcome(Outcome::Held { epoch, .. }))) => state.with(*epoch),
            (Asked::Claim(node, life), None) => {
                // Its own claim goes on, unless it was swept meanwhile.
                let before = match state.newest {
                    Newest::Known(known, owner) if owner == (node, life) => Some(known),
                    Newest::Unknown(owner, before) if owner == (node, life) => before,
                    _ => None,
                };
                Some(ClaimState { newest: Newest::Unknown((node, life), before), ..state })
            }
            (Asked::Renew(epoch), Some(Told::Outcome(Outcome::Renewed { superseded: 0 }))) => {
                state.with(epoch)
            }
            // It may have been swept.
            (Asked::Renew(_), Some(Told::Outcome(Outcome::Renewed { superseded: 1 })) | None) => Some(state),
            (Asked::Release(epoch), Some(Told::Outcome(Outcome::Done))) => {
                state.with(epoch).map(|state| ClaimState { newest: Newest::None, ..state })
            }
            (Asked::Release(epoch), None) => match state.newest {
                Newest::Known(known, _) if known == epoch => {
                    Some(ClaimState { newest: Newest::None, ..state })
                }
                _ => Some(state),
            },
            (Asked::Read, Some(Told::Claim(Some(epoch)))) => state.with(*epoch),
            (Asked::Read, _) => Some(state),
            (Asked::Claim(..) | Asked::Renew(_) | Asked::Release(_), _) if refused => Some(state),
            _ => None,
        }
    }
}

/// A subscriber that may have one connection.
pub struct Slot;

impl Sequential for Slot {
    type State = Option<u64>;
    type Call = Asked;
    type Answer = Told;

    fn step(held: &Option<u64>, call: &Asked, answer: Option<&Told>) -> Option<Option<u64>> {
        if answer == Some(&Told::Outcome(Outcome::Refused(Refusal::NotJoined))) {
            return Some(*held);
        }
        let done = Told::Outcome(Outcome::Done);
        match *call {
            Asked::Acquire(session) if held.is_none_or(|by| by == session) => {
                if_right(Some(session), done, answer)
            }
            Asked::Acquire(_) => if_right(*held, Told::Outcome(Outcome::SlotsTaken { limit: 1 }), answer),
            Asked::GiveBack(session) if *held == Some(session) => if_right(None, done, answer),
            Asked::GiveBack(_) => if_right(*held, Told::Outcome(Outcome::Absent), answer),
            _ => None,
        }
    }
}

/// A subscriber: blocked or not.
pub struct Block;

impl Sequential for Block {
    type State = bool;
    type Call = Asked;
    type Answer = Told;

    fn step(blocked: &bool, call: &Asked, answer: Option<&Told>) -> Option<bool> {
        match *call {
            Asked::Block(block) => if_right(block, Told::Outcome(Outcome::Done), answer),
            Asked::Read => if_right(*blocked, Told::Value(u64::from(*blocked)), answer),
            _ => None,
        }
    }
}

/// Facts of one life: each batch in its turn, once.
pub struct Facts;

impl Sequential for Facts {
    type State = u64;
    type Call = Asked;
    type Answer = Told;

    fn step(last: &u64, call: &Asked, answer: Option<&Told>) -> Option<u64> {
        if answer == Some(&Told::Outcome(Outcome::Refused(Refusal::NotJoined))) {
            return Some(*last);
        }
        let Asked::Record(sequence) = *call else { return None };
        let (next, right) = if sequence <= *last {
            (*last, Outcome::Done)
        } else if sequence == last + 1 {
            (sequence, Outcome::Done)
        } else {
            (*last, Outcome::OutOfOrder { last: *last })
        };
        if_right(next, Told::Outcome(right), answer)
    }
}
