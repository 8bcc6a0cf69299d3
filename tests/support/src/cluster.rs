//! Several real penstock processes that are one cluster.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use base::{Randomness, SystemRandomness};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::cluster_client::{ClusterClient, Loss};
use crate::node::{Node, NodeError, NodeOptions, penstock};
use crate::way::Way;

/// Time for one run of the command line.
const COMMAND_MAX: Duration = Duration::from_secs(20);

/// The nodes of a cluster, each with its own loopback address for the others. Numbers begin at 1.
pub struct Cluster {
    nodes: Vec<Option<Node>>,
    plan: Plan,
}

/// What the nodes are started with.
pub struct Plan {
    binary: PathBuf,
    addresses: Vec<(Ipv4Addr, u16)>,
    secret: PathBuf,
    voters: usize,
    folder: TempDir,
    /// Beside what makes them a cluster.
    more: Vec<(&'static str, String)>,
    /// By who calls and who is called. Where there is none they call each other without a detour.
    ways: BTreeMap<(usize, usize), Way>,
}

impl Plan {
    /// Room for `count` nodes, of which the first `voters` form the cluster.
    ///
    /// # Errors
    /// No port is free, or the binary makes no secret.
    pub async fn new(binary: impl Into<PathBuf>, voters: usize, count: usize) -> Result<Self, NodeError> {
        let binary = binary.into();
        let folder = tempfile::Builder::new().prefix("penstock-cluster-").tempdir()?;
        let mut addresses = Vec::new();
        for _ in 0..count {
            addresses.push(free_address()?);
        }
        let made = penstock(&binary).args(["cluster", "secret"]).output().await?;
        if !made.status.success() {
            let said = String::from_utf8_lossy(&made.stderr).into_owned();
            return Err(std::io::Error::other(format!("`penstock cluster secret`: {said}")).into());
        }
        let secret = folder.path().join("secret");
        write_secret(&secret, &made.stdout)?;
        Ok(Self { binary, addresses, secret, voters, folder, ways: BTreeMap::new(), more: Vec::new() })
    }

    /// Sets a variable for all nodes and for the command line.
    pub fn set(&mut self, name: &'static str, value: &str) {
        self.more.push((name, value.to_owned()));
    }

    /// Has the voters reach each other over ways that can be cut.
    ///
    /// # Errors
    /// No port is free.
    pub async fn over_ways(mut self) -> Result<Self, NodeError> {
        for caller in self.voters() {
            for called in self.voters().filter(|called| *called != caller) {
                self.ways.insert((caller, called), Way::open(self.address(called)).await?);
            }
        }
        Ok(self)
    }

    /// Cuts node `number` off the others. Clients and the command line, which call by no way, still get through.
    pub fn cut_off(&self, number: usize) {
        self.ways_of(number).for_each(Way::cut);
    }

    /// The opposite.
    pub fn heal(&self, number: usize) {
        self.ways_of(number).for_each(Way::heal);
    }

    fn ways_of(&self, number: usize) -> impl Iterator<Item = &Way> {
        let is_its = move |(caller, called): (usize, usize)| caller == number || called == number;
        self.ways.iter().filter(move |(ends, _)| is_its(**ends)).map(|(_, way)| way)
    }

    /// Where node `caller` is told that node `called` is.
    fn seen_by(&self, caller: usize, called: usize) -> String {
        match self.ways.get(&(caller, called)) {
            Some(way) => way.address().to_string(),
            None => self.address(called),
        }
    }

    /// Where node `number` keeps its data.
    pub fn data_folder(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("data{number}"))
    }

    /// The file with the cluster's secret.
    pub fn secret_file(&self) -> &Path {
        &self.secret
    }

    /// The numbers of those that form the cluster.
    pub fn voters(&self) -> impl Iterator<Item = usize> + Clone + use<> {
        1..=self.voters
    }

    /// Where node `number` is reached by the others.
    pub fn address(&self, number: usize) -> String {
        let (address, port) = self.addresses[number - 1];
        format!("{address}:{port}")
    }

    /// How node `number` is started: by default a member of the list the voters make.
    ///
    /// # Errors
    /// Its data folder cannot be made.
    pub fn options(&self, number: usize) -> Result<NodeOptions, NodeError> {
        let data = self.data_folder(number);
        std::fs::create_dir_all(&data)?;
        let options = NodeOptions::new(&self.binary).data_folder(data);
        Ok(self
            .environment(number)
            .into_iter()
            .fold(options, |options, (name, value)| options.environment(name, &value)))
    }

    fn environment(&self, number: usize) -> Vec<(&'static str, String)> {
        let (address, port) = self.addresses[number - 1];
        let members = self.voters().map(|other| format!("{other}@{}", self.seen_by(number, other)));
        // Nodes tell each other where they are reached: over ways that would be a detour around them, so it is where nobody
        // is.
        let shown = if self.ways.is_empty() { address } else { Ipv4Addr::LOCALHOST };
        let role = if number <= self.voters { "member" } else { "join" };
        let own = [
            ("PENSTOCK_CLUSTER_ENABLED", "true".to_owned()),
            ("PENSTOCK_CLUSTER_NODE", number.to_string()),
            ("PENSTOCK_CLUSTER_PORT", port.to_string()),
            ("PENSTOCK_CLUSTER_BIND_ADDRESSES", address.to_string()),
            ("PENSTOCK_CLUSTER_ADDRESS", shown.to_string()),
            ("PENSTOCK_CLUSTER_MEMBERS", members.collect::<Vec<_>>().join(",")),
            ("PENSTOCK_CLUSTER_ROLE", role.to_owned()),
            ("PENSTOCK_CLUSTER_SECRET_FILE", self.secret.display().to_string()),
            ("PENSTOCK_CLUSTER_BOOTSTRAP", "new".to_owned()),
        ];
        own.into_iter().chain(self.more.iter().cloned()).collect()
    }

    /// Runs `penstock` with the configuration of node `number`.
    ///
    /// # Errors
    /// It could not be run, or took too long.
    pub async fn command(&self, number: usize, arguments: &[&str]) -> Result<Output, NodeError> {
        let mut command = penstock(&self.binary);
        command
            .current_dir(self.folder.path())
            .args(arguments)
            .env("PENSTOCK_DATA_FOLDER", self.data_folder(number))
            .envs(self.environment(number))
            .kill_on_drop(true);
        let output = timeout(COMMAND_MAX, command.output()).await;
        Ok(output.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??)
    }
}

impl Cluster {
    /// Starts `count` nodes that form a cluster, and waits until all of them are ready.
    ///
    /// # Errors
    /// One did not start.
    pub async fn start(binary: impl Into<PathBuf>, count: usize) -> Result<Self, NodeError> {
        Self::of(Plan::new(binary, count, count + 3).await?).await
    }

    /// Starts the voters of a plan, and waits until all of them are ready.
    ///
    /// # Errors
    /// One did not start.
    pub async fn of(plan: Plan) -> Result<Self, NodeError> {
        let starting = plan.voters().map(|number| {
            let options = plan.options(number);
            async move { Node::start(options?).await }
        });
        let nodes = futures_util::future::try_join_all(starting).await?.into_iter().map(Some).collect();
        Ok(Self { nodes, plan })
    }

    /// What the nodes are started with.
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Takes part in it as node `number`, without a vote and from inside the test.
    ///
    /// # Errors
    /// No member answers, or a whole copy did not come in time.
    pub async fn client(&self, number: usize) -> anyhow::Result<ClusterClient> {
        ClusterClient::start(&self.plan, number, None).await
    }

    /// The same over a way that loses some of what members say.
    ///
    /// # Errors
    /// As [`Cluster::client`].
    pub async fn client_with(&self, number: usize, loss: &Arc<Loss>) -> anyhow::Result<ClusterClient> {
        ClusterClient::start(&self.plan, number, Some(Arc::clone(loss))).await
    }

    /// The leader's number, as those say that run and answer.
    pub async fn leader(&self) -> Option<usize> {
        for node in self.nodes.iter().flatten() {
            let Ok(answer) = node.get("/rest/v2/cluster/status").await else { continue };
            if let Some(leader) = answer.json()["leader"].as_u64() {
                return usize::try_from(leader).ok();
            }
        }
        None
    }

    /// Node `number`, which runs.
    ///
    /// # Panics
    /// It was never started.
    pub fn node(&self, number: usize) -> &Node {
        self.nodes[number - 1].as_ref().expect("a node that was started")
    }

    /// The same, to stop and start it.
    ///
    /// # Panics
    /// It was never started.
    pub fn node_mut(&mut self, number: usize) -> &mut Node {
        self.nodes[number - 1].as_mut().expect("a node that was started")
    }

    /// Kills all that run, at once and without a warning, and starts them again.
    ///
    /// # Errors
    /// One did not end, or is not ready again.
    pub async fn kill9_and_restart_all(&mut self) -> Result<(), NodeError> {
        futures_util::future::try_join_all(self.nodes.iter_mut().flatten().map(Node::kill9)).await?;
        futures_util::future::try_join_all(self.nodes.iter_mut().flatten().map(Node::restart)).await?;
        Ok(())
    }

    /// Starts node `number` with `options`.
    ///
    /// # Errors
    /// It did not start.
    pub async fn add(&mut self, number: usize, options: NodeOptions) -> Result<&Node, NodeError> {
        let node = Node::start(options).await?;
        while self.nodes.len() < number {
            self.nodes.push(None);
        }
        Ok(self.nodes[number - 1].insert(node))
    }
}

fn write_secret(path: &Path, text: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text)
}

/// A port on a loopback address that nobody else has, and not one of those that the kernel gives to whoever asks for any:
/// whoever listens on all addresses would have it on this one too.
fn free_address() -> std::io::Result<(Ipv4Addr, u16)> {
    const FIRST: u16 = 20_000;
    const PORTS: u16 = 12_000;
    let mut bytes = [0; 5];
    SystemRandomness.fill(&mut bytes);
    let [a, b, c, high, low] = bytes;
    let address = Ipv4Addr::new(127, a.clamp(1, 254), b, c.clamp(1, 254));
    let port = FIRST + u16::from_be_bytes([high, low]) % PORTS;
    TcpListener::bind((address, port))?;
    Ok((address, port))
}
