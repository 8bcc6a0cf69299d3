//! A token opens one session, whatever happened to the cluster meanwhile.

use std::collections::BTreeMap;

use cluster_model::Outcome;

use super::{Asked, Key, Told, Verdict, broken};

#[derive(Default)]
pub(super) struct Spends {
    opened: BTreeMap<String, u64>,
}

impl Spends {
    pub(super) fn told(&mut self, key: &Key, asked: Asked, told: Told) -> Verdict {
        let (Key::Token(_, token), Asked::Spend(session), Told::Outcome(Outcome::Spent)) = (key, asked, told)
        else {
            return Ok(());
        };
        let first = *self.opened.entry(token.clone()).or_insert(session);
        if first == session {
            Ok(())
        } else {
            broken("a token opens one session", format!("{token} opened {first} and {session}"))
        }
    }
}
