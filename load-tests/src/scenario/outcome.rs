//! What came of a scenario.

use std::fmt;

use serde_json::Value;

use crate::machine::Used;

/// On which side of a goal a figure has to be.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Not above.
    AtMost(f64),
    /// Not below.
    AtLeast(f64),
}

/// One thing asked of the node.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Goal {
    /// Of what, with its unit.
    pub what: &'static str,
    /// What it was; `None` when it could not be measured, which keeps no goal.
    pub figure: Option<f64>,
    /// What it has to be.
    pub bound: Bound,
    /// Whether it is.
    pub kept: bool,
}

impl Goal {
    /// A figure that must not be above `most`.
    pub fn at_most(what: &'static str, figure: impl Into<Option<f64>>, most: f64) -> Self {
        let figure = figure.into();
        Self { what, figure, bound: Bound::AtMost(most), kept: figure.is_some_and(|figure| figure <= most) }
    }

    /// A figure that must not be below `least`.
    pub fn at_least(what: &'static str, figure: impl Into<Option<f64>>, least: f64) -> Self {
        let figure = figure.into();
        Self {
            what,
            figure,
            bound: Bound::AtLeast(least),
            kept: figure.is_some_and(|figure| figure >= least),
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.kept { "kept  " } else { "MISSED" };
        let figure = self.figure.map_or_else(|| "not measured".to_owned(), |figure| format!("{figure:.2}"));
        let (word, bound) = match self.bound {
            Bound::AtMost(most) => ("at most", most),
            Bound::AtLeast(least) => ("at least", least),
        };
        write!(f, "{mark} {}: {figure} (goal: {word} {bound})", self.what)
    }
}

/// A scenario that was run.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Outcome {
    /// Its name.
    pub scenario: &'static str,
    /// What was asked of the node.
    pub goals: Vec<Goal>,
    /// Why a missed goal says nothing; `None` when it does.
    pub excuse: Option<String>,
    /// What node and players used.
    pub used: Used,
    /// Everything else that was measured.
    pub details: Value,
}

impl Outcome {
    /// The excuse that the machine or the players give.
    pub fn excuse_of(used: &Used) -> Option<String> {
        used.excuse().or_else(|| {
            used.players_were_the_limit()
                .then(|| format!("the players' core was the limit ({:.0} %)", used.players_cpu_percent))
        })
    }

    /// Whether the node missed a goal, and nothing else can have been the cause.
    pub fn is_missed(&self) -> bool {
        self.excuse.is_none() && self.goals.iter().any(|goal| !goal.kept)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, goals, excuse, used, details } = self;
        writeln!(f, "{scenario}")?;
        goals.iter().try_for_each(|goal| writeln!(f, "  {goal}"))?;
        writeln!(
            f,
            "  node {:.1} % (kernel {:.1}), players {:.0} %, foreign {:.1} %, over {:.1} s",
            used.server_cpu_percent,
            used.server_kernel_percent,
            used.players_cpu_percent,
            used.foreign_share * 100.0,
            used.seconds
        )?;
        for (name, value) in details.as_object().into_iter().flatten() {
            // Whole summaries are for the file, and so are lists of them.
            let is_short = match value {
                Value::Object(object) => object.len() <= 4,
                Value::Array(all) => !all.iter().any(Value::is_object),
                _ => true,
            };
            if is_short {
                writeln!(f, "  {name}: {value}")?;
            }
        }
        match (excuse, goals.iter().all(|goal| goal.kept)) {
            (None, true) => writeln!(f, "  kept"),
            (None, false) => writeln!(f, "  MISSED"),
            (Some(excuse), true) => writeln!(f, "  kept, although {excuse}"),
            (Some(excuse), false) => writeln!(f, "  INVALID: {excuse}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn outcome(goal: Goal, foreign_share: f64) -> Outcome {
        let used = Used {
            seconds: 1.0,
            server_cpu_percent: 1.0,
            server_kernel_percent: 1.0,
            server_bytes: 1,
            players_cpu_percent: 1.0,
            foreign_share,
            wake_delay_p99_ms: 0.1,
        };
        let excuse = Outcome::excuse_of(&used);
        Outcome { scenario: "s", goals: vec![goal], excuse, used, details: json!({"a": 1}) }
    }

    #[test]
    fn a_goal_is_missed_only_on_a_machine_that_was_ours() {
        let missed = Goal::at_most("ms", 21.0, 20.0);
        assert!(outcome(missed, 0.0).is_missed() && !outcome(missed, 0.5).is_missed());
        assert!(!outcome(Goal::at_least("%", 99.0, 99.0), 0.0).is_missed());
        assert!(outcome(Goal::at_least("%", None, 99.0), 0.0).is_missed(), "not measured is not kept");
        let text = outcome(missed, 0.0).to_string();
        assert!(text.contains("MISSED ms: 21.00 (goal: at most 20)") && text.contains("a: 1"), "{text}");
    }
}
