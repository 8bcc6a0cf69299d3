//! The CQL server of the tests.

use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use penstock_cluster_scylla::{Database, Replication, ScyllaOptions};

use crate::testing::CqlServer;

/// A keyspace of a test's own.
pub fn keyspace_of(server: &CqlServer) -> ScyllaOptions {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let keyspace = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    ScyllaOptions {
        replication: Replication::Simple { factor: 1 },
        request_timeout: Duration::from_secs(10),
        ..ScyllaOptions::new(vec![server.address().to_owned()], keyspace)
    }
}

/// The server of this run, or `None`: said, and to be skipped.
pub fn server(test: &str) -> Option<&'static CqlServer> {
    static SERVER: OnceLock<Result<CqlServer, String>> = OnceLock::new();
    match SERVER.get_or_init(CqlServer::start) {
        Ok(server) => Some(server),
        Err(why) => {
            // Past the harness, which swallows what a passing test prints.
            let _ = writeln!(std::io::stderr().lock(), "skipped: {test}: no CQL server: {why}");
            None
        }
    }
}

/// A session beside those under test.
pub async fn beside(options: &ScyllaOptions) -> Database {
    Database::open(options).await.expect("the database opens")
}

/// A session that may do anything.
pub async fn raw(options: &ScyllaOptions) -> scylla::client::session::Session {
    let session = scylla::client::session_builder::SessionBuilder::new()
        .known_nodes(&options.contact_points)
        .build()
        .await
        .expect("a session");
    let _ = session.use_keyspace(&options.keyspace, false).await;
    session
}
