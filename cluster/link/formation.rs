//! How a cluster comes into being: once, and only when all who are to vote first are there, empty and of one mind.
//!
//! Somebody has to want it: nodes that are empty may have been members that lost their data, all of them.
//!
//! The one with the smallest number goes first. When it has seen every other one empty it draws the cluster's id and
//! writes it down (`prepared`); the others write it down when they see that. When it has seen that all have, it begins,
//! and the others begin when they see somebody who has. So whoever is empty while somebody has begun had written it down
//! and lost it since: it was wiped, and must not vote again under its number, because nobody knows how it voted.

use std::collections::{BTreeMap, BTreeSet};

use cluster_core::NodeId;

use crate::{ClusterId, Phase};

/// How far a node is with forming its cluster, as it says and as it stands on its disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How far.
    pub phase: Phase,
    /// With which cluster; `None` while it is empty.
    pub cluster: Option<ClusterId>,
    /// Who are to vote first.
    pub voters: BTreeSet<NodeId>,
}

/// What a node does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It looks again in a moment.
    Wait(Waiting),
    /// It writes down that it agrees to this cluster, and is `prepared` once that is on its disk.
    Prepare(ClusterId),
    /// It writes down that the cluster has begun, and takes part in it from then on.
    Begin(ClusterId),
    /// It was a member of the cluster and has lost its data: it must come back under another number.
    Wiped(ClusterId),
}

/// What a node waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// These do not answer.
    Unreachable(BTreeSet<NodeId>),
    /// This one lists others as voters.
    OtherVoters(NodeId),
    /// This one is to join a cluster that exists.
    Joining(NodeId),
    /// These have not agreed yet.
    NotPrepared(BTreeSet<NodeId>),
    /// This one goes first.
    First(NodeId),
    /// All are there and empty, and nobody has said that they are new.
    Word,
}

/// What `node`, which stands at `own`, does next. `others` are those to vote first besides it, with what they said last;
/// `None`: they do not answer. `fresh` is the id a new cluster is given; `None`: nobody has said that there is to be one.
///
/// Never to be asked of a node that has begun.
pub fn next_step(
    node: NodeId,
    own: &Standing,
    others: &BTreeMap<NodeId, Option<Standing>>,
    fresh: Option<ClusterId>,
) -> Step {
    let heard = || others.iter().filter_map(|(id, said)| Some((*id, said.as_ref()?)));
    // Before anything else: somebody has begun.
    let begun = heard().find(|(_, said)| said.phase == Phase::Begun).and_then(|(_, said)| said.cluster);
    if let Some(cluster) = begun {
        let agreed = own.phase == Phase::Prepared && own.cluster == Some(cluster);
        return if agreed { Step::Begin(cluster) } else { Step::Wiped(cluster) };
    }
    let all_empty = own.phase == Phase::Empty
        && others.values().all(|said| said.as_ref().is_some_and(|said| said.phase == Phase::Empty));
    let first = own.voters.first().copied().unwrap_or(node);
    if first != node {
        let firsts = others.get(&first).and_then(Option::as_ref);
        return match firsts {
            None => Step::Wait(Waiting::Unreachable([first].into())),
            Some(said) if said.voters != own.voters => Step::Wait(Waiting::OtherVoters(first)),
            // What was agreed to before is void: its first one has lost it, and nobody had begun.
            Some(Standing { phase: Phase::Prepared, cluster: Some(cluster), .. })
                if own.cluster != Some(*cluster) =>
            {
                Step::Prepare(*cluster)
            }
            Some(_) if all_empty && fresh.is_none() => Step::Wait(Waiting::Word),
            Some(_) => Step::Wait(Waiting::First(first)),
        };
    }
    let away: BTreeSet<_> = others.iter().filter(|(_, said)| said.is_none()).map(|(id, _)| *id).collect();
    if !away.is_empty() {
        return Step::Wait(Waiting::Unreachable(away));
    }
    if let Some((other, _)) = heard().find(|(_, said)| said.voters != own.voters) {
        return Step::Wait(Waiting::OtherVoters(other));
    }
    if let Some((other, _)) = heard().find(|(_, said)| said.phase == Phase::Joining) {
        return Step::Wait(Waiting::Joining(other));
    }
    let Some(cluster) = own.cluster.filter(|_| own.phase == Phase::Prepared) else {
        return fresh.map_or(Step::Wait(Waiting::Word), Step::Prepare);
    };
    let behind: BTreeSet<_> = heard()
        .filter(|(_, said)| said.phase != Phase::Prepared || said.cluster != Some(cluster))
        .map(|(id, _)| id)
        .collect();
    if behind.is_empty() { Step::Begin(cluster) } else { Step::Wait(Waiting::NotPrepared(behind)) }
}

impl std::fmt::Display for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |nodes: &BTreeSet<NodeId>| {
            let names: Vec<_> = nodes.iter().map(|node| format!("node {node}")).collect();
            names.join(", ")
        };
        match self {
            Self::Unreachable(nodes) => write!(f, "{} cannot be reached yet", list(nodes)),
            Self::OtherVoters(node) => {
                write!(
                    f,
                    "node {node} has another list of members: make cluster.members the same on all of them"
                )
            }
            Self::Joining(node) => {
                write!(f, "node {node} waits to join a cluster: its cluster.role is \"join\"")
            }
            Self::NotPrepared(nodes) => write!(f, "{} has not agreed yet", list(nodes)),
            Self::First(node) => write!(f, "node {node} goes first, and has not seen all of us yet"),
            Self::Word => f.write_str(
                "all members are there, and none of them has data. If they are new, run \"penstock cluster bootstrap\"; if they have lost their data, all of them, run \"penstock cluster restore\" on one",
            ),
        }
    }
}

#[cfg(test)]
mod tests;
