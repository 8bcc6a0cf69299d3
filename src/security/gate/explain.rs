//! What the gate would say, clause by clause, for administrators.

use super::Gate;
use super::clauses::{Clause, Passed};
use crate::grounds::Grounds;
use crate::{Access, Denial, Direction};

/// How one clause was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClauseShown {
    /// The clause, in words.
    pub name: &'static str,
    /// `passed`, `refused`, `off`, `not reached`.
    pub outcome: &'static str,
    /// Why it was refused.
    pub reason: Option<String>,
}

/// What the gate would say. Nothing is spent by asking, no seat taken and no wrong code counted; an authorisation webhook is
/// asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Whether somebody with this would be let in.
    pub allowed: bool,
    /// The clauses in the order in which they are asked.
    pub clauses: Vec<ClauseShown>,
}

impl Gate {
    /// Explains what [`Gate::admit`] would say now. Seats and connections are not looked at: they change from moment to moment.
    pub async fn explain(&self, access: Access) -> Explanation {
        let access = access.without_blanks();
        let clauses: &[Clause] = match access.direction {
            Direction::Publish => &Clause::OF_PUBLISH,
            Direction::Play => &Clause::OF_PLAY,
        };
        let mut shown = Vec::new();
        let question = self.question(&access, true).await;
        let mut refused = question.as_ref().err().copied();
        shown.push(clause("application, stream and metadata store", refused.map_or(Ok(Passed::Right), Err)));
        let mut grounds = Grounds::default();
        for of in clauses {
            let Ok(question) = &question else {
                shown.push(ClauseShown { name: of.name(), outcome: "not reached", reason: None });
                continue;
            };
            if refused.is_some() {
                shown.push(ClauseShown { name: of.name(), outcome: "not reached", reason: None });
                continue;
            }
            let mut answer = self.ask(*of, question, &mut grounds).await;
            if *of == Clause::Token
                && answer == Ok(Passed::Right)
                && let Ok(Some(token)) = question.one_time_token()
                && let Some(denial) = self.token_fault(question, &token).await
            {
                answer = Err(denial);
            }
            refused = answer.err();
            shown.push(clause(of.name(), answer));
        }
        Explanation { allowed: refused.is_none(), clauses: shown }
    }
}

fn clause(name: &'static str, answer: Result<Passed, Denial>) -> ClauseShown {
    let (outcome, reason) = match answer {
        Ok(Passed::Right) => ("passed", None),
        Ok(Passed::Off) => ("off", None),
        Err(denial) => ("refused", Some(denial.to_string())),
    };
    ClauseShown { name, outcome, reason }
}
