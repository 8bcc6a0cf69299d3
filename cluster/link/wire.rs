//! What is said, to and from the messages of `schemas/cluster/link.proto`.
//!
//! Reading is where it is decided what another node may say: numbers and texts that mean nothing are refused here.

use std::collections::BTreeMap;
use std::time::Duration;

use base::limits;
use cluster_core::{MemberProgress, NodeId};

use crate::proto::{self, order, report};
use crate::{ClusterId, Introduction, LinkReport, Order, Phase, Report, StatusReport};

/// Something that means nothing; names what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} makes no sense")]
pub struct Senseless(&'static str);

/// A hello that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Greeting {
    pub(crate) protocol: u32,
    pub(crate) cluster: ClusterId,
    pub(crate) node: NodeId,
    pub(crate) address: String,
    pub(crate) life: u64,
}

impl TryFrom<proto::Hello> for Greeting {
    type Error = Senseless;

    fn try_from(hello: proto::Hello) -> Result<Self, Senseless> {
        Ok(Self {
            protocol: hello.protocol,
            cluster: ClusterId::from_bytes(&hello.cluster).ok_or(Senseless("the cluster's id"))?,
            node: node(hello.node)?,
            address: Some(hello.address)
                .filter(|address| is_address(address))
                .ok_or(Senseless("the address"))?,
            life: hello.life,
        })
    }
}

impl From<Greeting> for proto::Hello {
    fn from(greeting: Greeting) -> Self {
        let Greeting { protocol, cluster, node, address, life } = greeting;
        Self { protocol, cluster: cluster.to_bytes().to_vec(), node: node.0, address, life }
    }
}

/// Whether a text is `host:port`, with nothing in it that would break a log line.
pub(crate) fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    text.len() <= limits::CLUSTER_ADDRESS_BYTES_MAX
        && !host.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && port.parse::<u16>().is_ok_and(|port| port != 0)
}

fn node(number: u64) -> Result<NodeId, Senseless> {
    maybe(number).ok_or(Senseless("a node's number"))
}

fn maybe(number: u64) -> Option<NodeId> {
    (number != 0).then_some(NodeId(number))
}

fn number(node: Option<NodeId>) -> u64 {
    node.map_or(0, |node| node.0)
}

fn nodes<C: FromIterator<NodeId>>(numbers: Vec<u64>) -> Result<C, Senseless> {
    if numbers.len() > limits::CLUSTER_PEERS_MAX {
        return Err(Senseless("a list of nodes"));
    }
    numbers.into_iter().map(node).collect()
}

fn cluster(bytes: &[u8]) -> Result<Option<ClusterId>, Senseless> {
    if bytes.is_empty() {
        return Ok(None);
    }
    ClusterId::from_bytes(bytes).map(Some).ok_or(Senseless("the cluster's id"))
}

fn cluster_bytes(cluster: Option<ClusterId>) -> Vec<u8> {
    cluster.map_or_else(Vec::new, |cluster| cluster.to_bytes().to_vec())
}

/// A text of another node, for a log line or a terminal: without what moves a cursor, and not too long.
pub(crate) fn tame(text: &str) -> String {
    let shown = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    shown.take(limits::CLUSTER_TEXT_CHARS_MAX).collect()
}

impl TryFrom<proto::Introduction> for Introduction {
    type Error = Senseless;

    fn try_from(said: proto::Introduction) -> Result<Self, Senseless> {
        let phase = match said.phase() {
            proto::Phase::Empty => Phase::Empty,
            proto::Phase::Prepared => Phase::Prepared,
            proto::Phase::Begun => Phase::Begun,
            proto::Phase::Joining => Phase::Joining,
            proto::Phase::Unspecified => return Err(Senseless("the phase")),
        };
        Ok(Self {
            node: maybe(said.node),
            cluster: cluster(&said.cluster)?,
            phase,
            voters: nodes(said.voters)?,
            version: tame(&said.version),
        })
    }
}

impl From<Introduction> for proto::Introduction {
    fn from(said: Introduction) -> Self {
        let phase = match said.phase {
            Phase::Empty => proto::Phase::Empty,
            Phase::Prepared => proto::Phase::Prepared,
            Phase::Begun => proto::Phase::Begun,
            Phase::Joining => proto::Phase::Joining,
        };
        Self {
            node: number(said.node),
            cluster: cluster_bytes(said.cluster),
            phase: phase.into(),
            voters: said.voters.into_iter().map(|node| node.0).collect(),
            version: said.version,
        }
    }
}

impl TryFrom<proto::Order> for Order {
    type Error = Senseless;

    fn try_from(order: proto::Order) -> Result<Self, Senseless> {
        use order::Kind;
        match order.kind.ok_or(Senseless("the order"))? {
            Kind::Status(order::Status {}) => Ok(Self::Status),
            Kind::Bootstrap(order::Bootstrap {}) => Ok(Self::Bootstrap),
            Kind::Add(add) => Ok(Self::Add { node: node(add.node)?, replaces: maybe(add.replaces) }),
            Kind::Remove(remove) => Ok(Self::Remove { node: node(remove.node)? }),
            Kind::Transfer(transfer) => Ok(Self::Transfer { to: node(transfer.to)? }),
        }
    }
}

impl From<Order> for proto::Order {
    fn from(order: Order) -> Self {
        use order::{Add, Bootstrap, Kind, Remove, Status, Transfer};
        let kind = match order {
            Order::Status => Kind::Status(Status {}),
            Order::Bootstrap => Kind::Bootstrap(Bootstrap {}),
            Order::Add { node, replaces } => Kind::Add(Add { node: node.0, replaces: number(replaces) }),
            Order::Remove { node } => Kind::Remove(Remove { node: node.0 }),
            Order::Transfer { to } => Kind::Transfer(Transfer { to: to.0 }),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<proto::Report> for Report {
    type Error = Senseless;

    fn try_from(report: proto::Report) -> Result<Self, Senseless> {
        match report.kind.ok_or(Senseless("the report"))? {
            report::Kind::Done(report::Done {}) => Ok(Self::Done),
            report::Kind::Status(status) => Ok(Self::Status(Box::new(status.try_into()?))),
        }
    }
}

impl From<Report> for proto::Report {
    fn from(report: Report) -> Self {
        let kind = match report {
            Report::Done => report::Kind::Done(report::Done {}),
            Report::Status(status) => report::Kind::Status((*status).into()),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<proto::StatusReport> for StatusReport {
    type Error = Senseless;

    fn try_from(said: proto::StatusReport) -> Result<Self, Senseless> {
        let mut progress = BTreeMap::new();
        for one in said.progress {
            let proto::status_report::Progress { node: of, matched, active, snapshot } = one;
            progress.insert(node(of)?, MemberProgress { matched, active, snapshot });
        }
        let mut links = BTreeMap::new();
        for link in said.links {
            let since = Duration::from_millis(link.since_ms);
            let error = Some(tame(&link.error)).filter(|error| !error.is_empty());
            links.insert(node(link.node)?, LinkReport { up: link.up, since, error });
        }
        Ok(Self {
            node: node(said.node)?,
            cluster: cluster(&said.cluster)?,
            term: said.term,
            leader: maybe(said.leader),
            voters: nodes(said.voters)?,
            learners: nodes(said.learners)?,
            commit: said.commit,
            applied: said.applied,
            last: said.last,
            compacted: said.compacted,
            level: said.level,
            progress,
            links,
            age: said.age_ms.map(Duration::from_millis),
        })
    }
}

impl From<StatusReport> for proto::StatusReport {
    fn from(said: StatusReport) -> Self {
        let progress =
            said.progress.into_iter().map(|(node, MemberProgress { matched, active, snapshot })| {
                proto::status_report::Progress { node: node.0, matched, active, snapshot }
            });
        let links = said.links.into_iter().map(|(node, LinkReport { up, since, error })| {
            let error = error.unwrap_or_default();
            proto::status_report::Link { node: node.0, up, since_ms: millis(since), error }
        });
        Self {
            node: said.node.0,
            cluster: cluster_bytes(said.cluster),
            term: said.term,
            leader: number(said.leader),
            voters: said.voters.into_iter().map(|node| node.0).collect(),
            learners: said.learners.into_iter().map(|node| node.0).collect(),
            commit: said.commit,
            applied: said.applied,
            last: said.last,
            compacted: said.compacted,
            level: said.level,
            progress: progress.collect(),
            links: links.collect(),
            age_ms: said.age.map(millis),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
