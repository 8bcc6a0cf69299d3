//! The cluster, as AMS's REST shows it, and what an operator wants to know beyond it.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use async_trait::async_trait;
use base::limits;
use cluster_model::{Authority, MetaError, NodeId, Nodes, Refusal};
use serde::Serialize;
use utoipa::ToSchema;

use crate::age::with_age;
use crate::answer::{Outcome, SimpleStat};
use crate::lists::page;
use crate::{ApiState, answer};

/// What this node knows of the cluster by its own place in it.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// Whether it is of a cluster at all.
    fn is_one(&self) -> bool;
    /// How it stands.
    fn place(&self) -> Place;
    /// What it may decide by itself.
    fn authority(&self) -> Authority;
    /// Whether this node hears another one; `None`: it never did. Only the leader hears all of them.
    fn reach(&self, node: NodeId) -> Option<Reach>;
    /// A copy of all stored data, consistent in itself, as `penstock restore` takes it; else why there is none.
    async fn copy(&self) -> Result<Vec<u8>, String>;
}

/// How a node stands in its cluster.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    /// The node.
    pub node: NodeId,
    /// The leader it knows.
    pub leader: Option<NodeId>,
    /// The newest term it knows.
    pub term: u64,
    /// The last entry it has applied.
    pub applied: u64,
    /// How many entries it knows to be agreed on and has not applied.
    pub lag: u64,
    /// Milliseconds that what it knows is old at most; `None`: it never knew.
    pub age_ms: Option<u64>,
}

/// How a node hears another.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// It was heard lately.
    pub up: bool,
    /// Milliseconds since it was heard last.
    pub for_ms: u64,
}

/// AMS's `ClusterNode`; the keys behind `status` are ours.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClusterNode {
    id: String,
    ip: String,
    /// When the node that answers heard it last, by its own clock; of one that it has no reason to hear, when that joined; of
    /// one that was given up, when that was.
    last_update_time: u64,
    /// Empty: nodes do not tell it each other.
    memory: String,
    /// Empty: nodes do not tell it each other.
    cpu: String,
    /// AMS's spelling.
    #[serde(rename = "dbQueryAveargeTimeMs")]
    db_query_average_time_ms: i64,
    /// `dead` as well while it is silent for so long that a leader would give it up.
    status: &'static str,
    version: String,
    leader: bool,
    /// Whether the node that answers hears it; left out if it has no reason to.
    #[serde(skip_serializing_if = "Option::is_none")]
    heard: Option<bool>,
}

/// What the node that answers knows of the cluster.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClusterStatus {
    cluster: bool,
    node: u64,
    leader: Option<u64>,
    term: u64,
    applied: u64,
    lag: u64,
    age_ms: Option<u64>,
}

/// `GET /cluster-mode-status`: whether this node is one of a cluster.
pub(crate) fn mode(state: &ApiState) -> HttpResponse {
    let is_one = state.cluster.is_one();
    answer::ok(&if is_one { Outcome::success("") } else { Outcome::failure("") })
}

/// `GET /cluster/status`.
pub(crate) fn status(state: &ApiState) -> HttpResponse {
    let place = state.cluster.place();
    answer::ok(&ClusterStatus {
        cluster: state.cluster.is_one(),
        node: place.node.0,
        leader: place.leader.map(|node| node.0),
        term: place.term,
        applied: place.applied,
        lag: place.lag,
        age_ms: place.age_ms,
    })
}

/// `GET /cluster/node-count`: -1 on a node that is alone (AMS's test; its server answers 500).
pub(crate) async fn count(state: &ApiState) -> HttpResponse {
    if !state.cluster.is_one() {
        return answer::ok(&SimpleStat { number: -1 });
    }
    match state.nodes.list().await {
        Ok(nodes) => answer::ok(&SimpleStat { number: i64::try_from(nodes.len()).unwrap_or(i64::MAX) }),
        Err(error) => answer::unavailable(&error),
    }
}

/// `GET /cluster/nodes/{offset}/{size}`: none on a node that is alone.
pub(crate) async fn list(state: &ApiState, offset: &str, size: &str) -> HttpResponse {
    let Some((offset, size)) = page(offset, size) else { return answer::not_found() };
    if !state.cluster.is_one() {
        return answer::ok(&Vec::<ClusterNode>::new());
    }
    let nodes = match state.nodes.list().await {
        Ok(nodes) => nodes,
        Err(error) => return answer::unavailable(&error),
    };
    let place = state.cluster.place();
    let now = state.clock.wall().as_millis();
    let rows: Vec<_> = nodes
        .into_iter()
        .skip(offset)
        .take(size)
        .map(|(id, node)| {
            let is_here = id == place.node;
            let reach = state.cluster.reach(id);
            let heard = if is_here { Some(true) } else { reach.map(|reach| reach.up) };
            let silent_ms = if is_here { Some(0) } else { reach.map(|reach| reach.for_ms) };
            // Without a leader nobody stores that a node is dead.
            let is_silent =
                silent_ms.is_some_and(|silent| u128::from(silent) >= limits::NODE_SILENCE_MAX.as_millis());
            let heard_ms = silent_ms.map_or(node.joined_ms, |silent| now.saturating_sub(silent));
            ClusterNode {
                id: id.to_string(),
                ip: node.card.address.clone(),
                last_update_time: node.expired_ms.unwrap_or(heard_ms),
                memory: String::new(),
                cpu: String::new(),
                db_query_average_time_ms: 0,
                status: if node.expired_ms.is_some() || is_silent { "dead" } else { "alive" },
                version: node.card.version.clone(),
                leader: place.leader == Some(id),
                heard,
            }
        })
        .collect();
    // Also what is too old: it is then that somebody looks.
    with_age(answer::ok(&rows), place.age_ms)
}

/// `DELETE /cluster/node/{id}`: takes a dead node off the list.
pub(crate) async fn forget(state: &ApiState, id: &str) -> HttpResponse {
    let Ok(id) = id.parse::<u64>() else { return answer::ok(&Outcome::failure("")) };
    if !state.cluster.is_one() {
        return answer::ok(&Outcome::failure(""));
    }
    match forgotten(&state.nodes, NodeId(id)).await {
        Ok(outcome) => answer::ok(&outcome),
        Err(error) => answer::unavailable(&error),
    }
}

async fn forgotten(nodes: &Nodes, id: NodeId) -> Result<Outcome, MetaError> {
    match nodes.forget(id).await {
        Ok(true) => Ok(Outcome::success("")),
        Ok(false) => Ok(Outcome::failure("there is no such node")),
        Err(MetaError::Refused(Refusal::Alive)) => Ok(Outcome::failure("the node is alive")),
        Err(error) => Err(error),
    }
}

/// `GET /backup`: everything, secrets included, in the form that `penstock restore` takes.
pub(crate) async fn backup(state: &ApiState) -> HttpResponse {
    match state.cluster.copy().await {
        Ok(bytes) => HttpResponse::Ok()
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"penstock.backup\""))
            .content_type(header::ContentType::octet_stream())
            .body(bytes),
        Err(why) => answer::refusal(StatusCode::SERVICE_UNAVAILABLE, &why),
    }
}
