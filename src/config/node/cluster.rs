//! What nodes that share their metadata are told of each other, and of the database that keeps their history.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use base::{Secret, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret;

/// See [`NodeConfig::cluster`](crate::NodeConfig::cluster).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterConfig {
    /// Whether this node is one of a cluster. false: it is alone, and the rest of this section does nothing.
    pub enabled: bool,
    /// The number of this node. No number is ever given twice in a cluster, not even after its node is gone.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub node: u64,
    /// TCP port that the other nodes reach this one by. 0: any free port.
    pub port: u16,
    /// IP addresses of this machine to listen on for other nodes. Empty: all of them, IPv4 and IPv6.
    pub bind_addresses: Vec<IpAddr>,
    /// The name or IP address that other nodes reach this one by. Empty: the machine's name.
    pub address: String,
    /// The secret of the cluster, the same on all its nodes: "penstock cluster secret" makes one. Two of them, a line
    /// each, while it is changed: the first is shown to others, both are taken from them.
    #[serde(skip_serializing, deserialize_with = "secret")]
    #[schemars(with = "String")]
    pub secret: Secret,
    /// The members of the cluster as "number@name:port". Of a new cluster: all that vote, the same list on each of
    /// them. Later: whom this node asks first; the others it learns from them.
    pub members: Vec<String>,
    /// What this node is: a "member" of the cluster the list makes, one that will "join" a cluster that is there
    /// (then "penstock cluster join" lets it in), or a "client", which has no vote and keeps no data.
    pub role: ClusterRole,
    /// Members that find each other without data "wait" until "penstock cluster bootstrap" says that they are new ones, or
    /// take themselves for "new" and begin a cluster: leave that out once it has begun, or they do so again when all of
    /// them have lost their data.
    pub bootstrap: ClusterBootstrap,
    /// How long this node goes on with what it knows when no majority of the members is reached, in seconds: who is in stays,
    /// and hashes, JWTs and blocks are judged by it. Longer: where a credential is asked for nobody is let in, and who is in
    /// by one is not any more. What is revoked meanwhile this node does not learn.
    #[schemars(range(min = 10, max = 86_400))]
    pub authority_lease_s: u64,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            node: 1,
            port: 5090,
            bind_addresses: Vec::new(),
            address: String::new(),
            secret: Secret::default(),
            members: Vec::new(),
            role: ClusterRole::Member,
            bootstrap: ClusterBootstrap::Wait,
            authority_lease_s: limits::AUTHORITY_LEASE.as_secs(),
        }
    }
}

impl ClusterConfig {
    /// See [`ClusterConfig::authority_lease_s`].
    pub const fn authority_lease(&self) -> Duration {
        Duration::from_secs(self.authority_lease_s)
    }

    /// The members by number, with the address each is reached by; else what is wrong with the list.
    pub fn members_by_number(&self) -> Result<BTreeMap<u64, String>, String> {
        let mut members = BTreeMap::new();
        for member in &self.members {
            let wrong = || format!("cluster.members has {member:?}, which is not number@name:port");
            let (number, address) = member.split_once('@').ok_or_else(wrong)?;
            let number: u64 = number.trim().parse().ok().filter(|number| *number > 0).ok_or_else(wrong)?;
            let (name, port) = address.trim().rsplit_once(':').ok_or_else(wrong)?;
            let has_port = port.parse::<u16>().is_ok_and(|port| port != 0);
            if name.is_empty() || !has_port {
                return Err(wrong());
            }
            if members.insert(number, address.trim().to_owned()).is_some() {
                return Err(format!("cluster.members has number {number} twice"));
            }
        }
        Ok(members)
    }
}

/// What a node is in its cluster.
#[expect(missing_docs, reason = "the schema would no longer be a plain list of words")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClusterRole {
    Member,
    Join,
    Client,
}

/// What members without data do.
#[expect(missing_docs, reason = "the schema would no longer be a plain list of words")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClusterBootstrap {
    Wait,
    New,
}

/// See [`NodeConfig::scylla`](crate::NodeConfig::scylla).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScyllaConfig {
    /// Nodes of the database to begin with, as "name:port". Empty: there is no database.
    pub contact_points: Vec<String>,
    /// The keyspace of the tables, which are made if they are not there. Small letters, digits and _.
    #[schemars(length(min = 1))]
    pub keyspace: String,
    /// How many copies the database keeps, where the keyspace has to be made: on any of its nodes, or of those of
    /// scylla.datacenter.
    #[schemars(range(min = 1, max = 9))]
    pub replication_factor: u8,
    /// The datacenter of the database whose nodes are asked. Empty: any.
    pub datacenter: String,
    /// The database's user. Empty: it asks for none.
    pub user: String,
    /// The user's password.
    #[serde(skip_serializing, deserialize_with = "secret")]
    #[schemars(with = "String")]
    pub password: Secret,
    /// Days for which connection events and other history are kept.
    #[schemars(range(min = 1, max = 92))]
    pub history_days: u16,
}

impl Default for ScyllaConfig {
    fn default() -> Self {
        Self {
            contact_points: Vec::new(),
            keyspace: "penstock".into(),
            replication_factor: 3,
            datacenter: String::new(),
            user: String::new(),
            password: Secret::default(),
            history_days: 30,
        }
    }
}
