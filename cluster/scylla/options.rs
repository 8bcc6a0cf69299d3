//! How the database is reached.

use std::fmt;
use std::time::Duration;

use base::{Secret, limits};

/// How the database is reached and what is kept in it. Without TLS: the way to it must be a private one.
#[derive(Clone, Debug)]
pub struct ScyllaOptions {
    /// Nodes to begin with, as `host:port`.
    pub contact_points: Vec<String>,
    /// Where the tables are. Small letters, digits and `_`, at most 48 of them.
    pub keyspace: String,
    /// How the keyspace is replicated, when it has to be made. One that is there stays as it is.
    pub replication: Replication,
    /// With whom to speak; `None`: the database asks for no name.
    pub credentials: Option<Credentials>,
    /// The datacenter whose nodes are asked; `None`: any.
    pub datacenter: Option<String>,
    /// Time for one answer of the database.
    pub request_timeout: Duration,
    /// Time for a connection.
    pub connect_timeout: Duration,
    /// How long history is kept, within [`limits::HISTORY_DATABASE_KEPT_MIN`] and [`limits::HISTORY_DATABASE_KEPT_MAX`].
    pub history_kept: Duration,
}

impl ScyllaOptions {
    /// Of the nodes at `contact_points`, with the rest as it is mostly wanted.
    pub fn new(contact_points: Vec<String>, keyspace: String) -> Self {
        Self {
            contact_points,
            keyspace,
            replication: Replication::Simple { factor: 3 },
            credentials: None,
            datacenter: None,
            request_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            history_kept: Duration::from_secs(30 * 24 * 3_600),
        }
    }

    /// How long history is kept, within its limits.
    pub fn history_kept(&self) -> Duration {
        self.history_kept.clamp(limits::HISTORY_DATABASE_KEPT_MIN, limits::HISTORY_DATABASE_KEPT_MAX)
    }
}

/// A name and a password.
#[derive(Clone)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The password.
    pub password: Secret,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({:?}, ***)", self.user)
    }
}

/// How a keyspace is replicated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replication {
    /// On so many nodes, wherever they are: for one datacenter and for tests.
    Simple {
        /// Copies.
        factor: u8,
    },
    /// On so many nodes of each datacenter.
    PerDatacenter(Vec<(String, u8)>),
}

impl Replication {
    /// As CQL says it; `None`: the name of a datacenter holds what none does.
    pub(crate) fn cql(&self) -> Option<String> {
        match self {
            Self::Simple { factor } => {
                Some(format!("{{'class': 'SimpleStrategy', 'replication_factor': {factor}}}"))
            }
            Self::PerDatacenter(factors) => {
                let mut text = "{'class': 'NetworkTopologyStrategy'".to_owned();
                for (datacenter, factor) in factors {
                    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
                    if datacenter.is_empty() || !datacenter.chars().all(is_name) {
                        return None;
                    }
                    text.push_str(&format!(", '{datacenter}': {factor}"));
                }
                text.push('}');
                Some(text)
            }
        }
    }
}

/// Whether `name` may be a keyspace's: it stands in statements as it is.
pub(crate) fn is_keyspace(name: &str) -> bool {
    const BYTES_MAX: usize = 48;
    let mut bytes = name.bytes();
    name.len() <= BYTES_MAX
        && bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_options_breaks_a_statement() {
        assert!(is_keyspace("penstock_1") && !is_keyspace("") && !is_keyspace("1a") && !is_keyspace("a;b"));
        let datacenter = |name: &str| Replication::PerDatacenter(vec![(name.to_owned(), 3)]).cql();
        assert_eq!(datacenter("eu-1").unwrap(), "{'class': 'NetworkTopologyStrategy', 'eu-1': 3}");
        assert_eq!(datacenter("a'b"), None);
    }

    #[test]
    fn a_password_is_never_shown() {
        let credentials = Credentials { user: "u".to_owned(), password: Secret::new("hush".to_owned()) };
        assert!(!format!("{credentials:?}").contains("hush"));
    }
}
