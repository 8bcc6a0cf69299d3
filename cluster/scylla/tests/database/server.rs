//! The CQL server of the tests.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use penstock_cluster_scylla::{Database, Replication, ScyllaOptions};
use tempfile::TempDir;

/// A server that runs.
pub struct Server {
    pub address: String,
    folder: PathBuf,
    _owned: TempDir,
}

impl Server {
    /// Starts one. It ends with this process.
    pub fn start() -> Result<Self, String> {
        let owned = tempfile::tempdir().map_err(|error| error.to_string())?;
        let folder = owned.path().join("server");
        let address = script(&["start", "--owner", &std::process::id().to_string()], &folder)?;
        Ok(Self { address, folder, _owned: owned })
    }

    /// Ends it as a crash does.
    pub fn kill(&self) {
        script(&["stop", "--kill"], &self.folder).expect("the server is killed");
    }

    /// Starts it again where it was.
    pub fn start_again(&self) {
        let port = self.address.rsplit(':').next().expect("a port");
        let owner = std::process::id().to_string();
        let address = script(&["start", "--port", port, "--owner", &owner], &self.folder).expect("a server");
        assert_eq!(address, self.address);
    }

    /// A keyspace of its own.
    pub fn options(&self) -> ScyllaOptions {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let keyspace = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        ScyllaOptions {
            replication: Replication::Simple { factor: 1 },
            request_timeout: Duration::from_secs(10),
            ..ScyllaOptions::new(vec![self.address.clone()], keyspace)
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = script(&["stop", "--kill"], &self.folder);
    }
}

/// The server of this run, or `None`: said, and to be skipped.
pub fn server(test: &str) -> Option<&'static Server> {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    match SERVER.get_or_init(Server::start) {
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

fn script(args: &[&str], folder: &Path) -> Result<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/cassandra");
    let output =
        Command::new(path).args(args).arg("--dir").arg(folder).output().map_err(|e| e.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if !output.status.success() {
        return Err(text(&output.stderr));
    }
    let said = text(&output.stdout);
    Ok(said.split_whitespace().nth(1).unwrap_or_default().to_owned())
}
