//! Who a certificate speaks for.

use std::fmt;

use cluster_core::NodeId;

use crate::ClusterId;

/// What every name ends with. It is looked up nowhere.
const DOMAIN: &str = ".penstock.internal";
/// The name that all nodes have, and the command line has not: whoever connects asks for it.
pub(crate) const ANY_NODE: &str = "node.penstock.internal";
/// The command line's.
const ADMIN: &str = "admin.penstock.internal";
/// Stands for the cluster in the name of a node that has none yet.
const NEW: &str = "new";

/// Who is at the other end of a connection, by its certificate.
///
/// Whoever has the cluster's secret can make any certificate: the names keep nodes from being mistaken for each other, and
/// clusters too, when an address or a secret was copied; they do not keep holders of the secret from lying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerName {
    /// A node.
    Node {
        /// Its number.
        node: NodeId,
        /// Its cluster; `None`: it is of none yet.
        cluster: Option<ClusterId>,
    },
    /// The command line.
    Admin,
}

impl PeerName {
    /// Reads a name as it stands in a certificate.
    pub fn parse(text: &str) -> Option<Self> {
        if text == ADMIN {
            return Some(Self::Admin);
        }
        let (node, cluster) = text.strip_suffix(DOMAIN)?.strip_prefix('n')?.split_once('.')?;
        // As it is written below, and in no other way.
        let digits = !node.starts_with('0') && node.bytes().all(|byte| byte.is_ascii_digit());
        let node = NodeId(node.parse().ok().filter(|_| digits)?);
        let cluster = if cluster == NEW { None } else { Some(ClusterId::parse(cluster)?) };
        Some(Self::Node { node, cluster })
    }

    /// The node, if it is one.
    pub const fn node(self) -> Option<NodeId> {
        match self {
            Self::Node { node, .. } => Some(node),
            Self::Admin => None,
        }
    }

    /// Its cluster, if it is a node of one.
    pub const fn cluster(self) -> Option<ClusterId> {
        match self {
            Self::Node { cluster, .. } => cluster,
            Self::Admin => None,
        }
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node { node, cluster: Some(cluster) } => write!(f, "n{node}.{cluster}{DOMAIN}"),
            Self::Node { node, cluster: None } => write!(f, "n{node}.{NEW}{DOMAIN}"),
            Self::Admin => f.write_str(ADMIN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back_and_has_one_form() {
        let cluster = Some(ClusterId(0xab << 120));
        let names = [
            PeerName::Node { node: NodeId(7), cluster },
            PeerName::Node { node: NodeId(u64::MAX), cluster: None },
            PeerName::Admin,
        ];
        assert_eq!(names[0].to_string(), "n7.ab000000000000000000000000000000.penstock.internal");
        for name in names {
            assert_eq!(PeerName::parse(&name.to_string()), Some(name));
        }
        for text in [
            "",
            "n7",
            ANY_NODE,
            "n07.new.penstock.internal",
            "n+7.new.penstock.internal",
            "n0.new.penstock.internal",
            "n7.AB000000000000000000000000000000.penstock.internal",
            "n7.new.penstock.internal.",
            "n99999999999999999999.new.penstock.internal",
        ] {
            assert_eq!(PeerName::parse(text), None, "{text}");
        }
    }
}
