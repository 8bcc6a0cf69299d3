//! The yardstick: three members of etcd on loopback, on the same disk, by gRPC as its own clients speak it.

mod grpc;

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command as Program, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use base::{Clock, SystemClock};
use serde::Serialize;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::drive::{self, Run};
use grpc::Client;

/// Writers that wait at a time, row by row: as for ours.
const OUTSTANDING: [usize; 4] = [1, 64, 256, 1_024];
/// Connections that they share.
const CONNECTIONS: usize = 16;
const START_MAX: Duration = Duration::from_secs(30);
/// As large as one of our commands.
const VALUE_BYTES: usize = 150;

/// Writes under so many writers.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Writers that wait at a time.
    pub outstanding: usize,
    /// What came of it.
    #[serde(flatten)]
    pub run: Run,
}

/// What etcd does here.
#[derive(Debug, Serialize)]
pub struct Etcd {
    /// Its version.
    pub version: String,
    /// Row by row, on one cluster.
    pub rows: Vec<Row>,
}

/// The members, which end with this.
struct Members {
    children: Vec<Child>,
    folder: TempDir,
}

impl Drop for Members {
    fn drop(&mut self) {
        for child in &mut self.children {
            // One that has ended already is waited for all the same.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Writes into three members; `None`: there is no etcd on this machine.
///
/// # Errors
/// It does not start, or a write failed.
pub async fn etcd(folder: &Path, length: Duration) -> anyhow::Result<Option<Etcd>> {
    let Ok(version) = Program::new("etcd").arg("--version").output() else { return Ok(None) };
    let version = String::from_utf8_lossy(&version.stdout).lines().next().unwrap_or_default().to_owned();
    let (_members, clients) = start(folder)?;
    let mut connections = Vec::new();
    for client in clients.iter().cycle().take(CONNECTIONS) {
        connections.push(connect(client).await?);
    }
    let mut rows = Vec::new();
    for outstanding in OUTSTANDING {
        let write = move |client: Client, n| async move {
            client.put(format!("{outstanding}/{n}").into_bytes(), vec![b'x'; VALUE_BYTES]).await
        };
        let run = drive::closed(&connections, outstanding, length, write).await?;
        eprintln!("etcd {outstanding}: {run:?}");
        rows.push(Row { outstanding, run });
    }
    Ok(Some(Etcd { version, rows }))
}

fn start(folder: &Path) -> anyhow::Result<(Members, Vec<String>)> {
    let folder = TempDir::new_in(folder).context("no folder for etcd")?;
    let ports = free_ports(6)?;
    let (peers, clients) = ports.split_at(3);
    let url = |port: &u16| format!("http://127.0.0.1:{port}");
    let names = ["one", "two", "three"];
    let cluster: Vec<_> =
        names.iter().zip(peers).map(|(name, port)| format!("{name}={}", url(port))).collect();
    // One that does not start ends those that did.
    let mut members = Members { children: Vec::new(), folder };
    for ((name, peer), client) in names.iter().zip(peers).zip(clients) {
        let log = File::create(members.folder.path().join(format!("{name}.log")))?;
        let child = Program::new("etcd")
            .args(["--name", name, "--initial-cluster-state", "new", "--initial-cluster-token", "yardstick"])
            .args(["--initial-cluster", &cluster.join(",")])
            .args(["--listen-peer-urls", &url(peer), "--initial-advertise-peer-urls", &url(peer)])
            .args(["--listen-client-urls", &url(client), "--advertise-client-urls", &url(client)])
            .arg("--data-dir")
            .arg(members.folder.path().join(name))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("etcd cannot be started")?;
        members.children.push(child);
    }
    let addresses = clients.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    Ok((members, addresses))
}

/// Ports that nobody has at this moment.
fn free_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    Ok(listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect::<std::io::Result<_>>()?)
}

/// Connects as soon as it takes a write.
async fn connect(address: &str) -> anyhow::Result<Client> {
    let until = SystemClock.now() + START_MAX;
    loop {
        let written = async {
            let client = Client::open(address).await?;
            client.put(b"warm".to_vec(), Vec::new()).await?;
            anyhow::Ok(client)
        };
        match written.await {
            Ok(client) => return Ok(client),
            Err(error) if SystemClock.now() > until => bail!("etcd takes no write: {error:#}"),
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}
