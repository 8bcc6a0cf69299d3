//! Copies of the data: made of a running node, and brought back into an empty folder.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use base::SystemRandomness;
use cluster_link::{ClusterId, Phase};
use cluster_node::{Backup, MemberStore, NodeId};
use cluster_scylla::Database;
use cluster_scylla::archive::{self, RestoredState, Which};
use config::NodeConfig;

use super::STORE;
use super::identity::{Identity, hold};
use crate::commands::ask::Node;

/// Asks the node that runs on this data folder for a copy, and writes it to `file`, which must not be there yet.
pub fn backup(config: &NodeConfig, file: &Path) -> anyhow::Result<String> {
    let bytes = Node::of(config)?.bytes("/rest/v2/backup", "the node makes no copy")?;
    let copy = Backup::decode(&bytes).context("what the node sent is no good copy")?;
    // It holds secrets.
    let mut written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("{} cannot be made", file.display()))?;
    written
        .write_all(&bytes)
        .and_then(|()| written.sync_all())
        .with_context(|| format!("{} cannot be written", file.display()))?;
    Ok(format!(
        "{}: {} bytes, revision {} of the data. It holds tokens: keep it where only you can read it. Secrets in it are sealed with {}: keep a copy of that, and not in the same place\n",
        file.display(),
        bytes.len(),
        copy.state.revision(),
        if config.cluster.enabled { "the secret of the cluster" } else { "sealing.secret in data.folder" }
    ))
}

/// Makes the data of a node that is alone, or of the first member of a new cluster, from a copy.
pub fn restore(config: &NodeConfig, file: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let copy = Backup::decode(&bytes).with_context(|| format!("{} cannot be restored", file.display()))?;
    let folder = &config.data.folder;
    let _held = hold(folder)?;
    let revision = copy.state.revision();
    begin_with(config, copy, NewCluster::default())?;
    crate::settings_files::take_as_known(&config.data)?;
    Ok(format!(
        "{} holds the data of revision {revision} now. One-time tokens that were made before the copy are void, and no stream is live{}{}{}\n",
        folder.display(),
        if config.cluster.enabled || folder.join(super::sealing::FILE).exists() {
            ""
        } else {
            ". Put the sealing.secret of that node into the folder before you start it: it opens the secrets in the data"
        },
        begins(config),
        other_keyspace(config)
    ))
}

/// What restoring a file would come to.
pub fn what_is_in(config: &NodeConfig, file: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let copy = Backup::decode(&bytes).with_context(|| format!("{} cannot be restored", file.display()))?;
    Ok(format!(
        "this would begin a new cluster with the data of revision {}; one-time tokens made before are void{}. Nothing was done; say --yes to do it\n",
        copy.state.revision(),
        other_keyspace(config)
    ))
}

/// Makes this member the only one of a new cluster with the data it has: for when most members are lost for good.
pub fn recover(config: &NodeConfig, yes: bool) -> anyhow::Result<String> {
    let folder = &config.data.folder;
    let store = folder.join(STORE);
    ensure!(store.exists(), "{} is not there: recover on a member that has its data", store.display());
    let _held = hold(folder)?;
    let id = NodeId(config.cluster.node);
    let (opened, mut saved) = MemberStore::open_begun(&store)?;
    saved.apply_all()?;
    let last = saved.applied;
    let others: Vec<_> =
        saved.members.voters.iter().filter(|node| **node != id).map(ToString::to_string).collect();
    drop(opened);
    if !yes {
        return Ok(format!(
            "this would make node {id} the only member of a new cluster, with the data up to entry {last}, where its log ends; what members {} have beyond that is lost, they must never run again on their data, and one-time tokens made before are void{}. Run it on the member whose log ends at the highest entry. Nothing was done; say --yes to do it\n",
            others.join(", "),
            other_keyspace(config)
        ));
    }
    let kept = folder.join("metadata.redb.before-recover");
    ensure!(!kept.exists(), "{} is there from an earlier try: move it away first", kept.display());
    let new = folder.join("metadata.redb.recovered");
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("{} cannot be removed", new.display()));
        }
        _ => {}
    }
    let copy = Backup { applied: last, level: saved.level, members: saved.members, state: saved.state };
    MemberStore::restore(&new, copy, [id], None)?;
    // At every moment the folder has a whole store. That of before under the new cluster's id reaches nobody; the new one under
    // the id of before would be a second leader there.
    std::fs::hard_link(&store, &kept).with_context(|| format!("{} cannot be made", kept.display()))?;
    belong_to(config, None)?;
    std::fs::rename(&new, &store)
        .and_then(|()| File::open(folder)?.sync_all())
        .with_context(|| format!("{} cannot be renamed", new.display()))?;
    Ok(format!(
        "node {id} is the only member of a new cluster; its data before is kept as {}{}{}\n",
        kept.display(),
        begins(config),
        other_keyspace(config)
    ))
}

/// What comes next, in words.
fn begins(config: &NodeConfig) -> String {
    if !config.cluster.enabled {
        return String::new();
    }
    let node = config.cluster.node;
    format!(
        ". Start node {node}; empty the folders of all the others, start them with cluster.role = \"join\" under new numbers, and let them in by \"penstock cluster join\""
    )
}

/// What a cluster has to do that does not go on with what is in the database.
fn other_keyspace(config: &NodeConfig) -> String {
    if !config.cluster.enabled || config.scylla.contact_points.is_empty() {
        return String::new();
    }
    format!(
        ". The keyspace {} of the database stays the cluster's of before: give the new one another scylla.keyspace, or nothing is written there and no history read",
        config.scylla.keyspace
    )
}

/// How the data begins anew.
#[derive(Default)]
struct NewCluster {
    /// Its id; `None`: one that is drawn.
    id: Option<ClusterId>,
    /// Its generation; `None`: the one after the copy's.
    generation: Option<u64>,
}

/// Refuses a folder that belongs to a node of a cluster.
fn must_be_nobodys(folder: &Path) -> anyhow::Result<()> {
    if let Some(identity) = Identity::load(folder)? {
        bail!(
            "{} belongs to node {} of a cluster: restore into an empty folder",
            folder.display(),
            identity.node
        );
    }
    Ok(())
}

/// The beginning of a cluster of one, which is also a node that is alone.
fn begin_with(config: &NodeConfig, copy: Backup, new: NewCluster) -> anyhow::Result<()> {
    let folder = &config.data.folder;
    must_be_nobodys(folder)?;
    MemberStore::restore(folder.join(STORE), copy, [own_number(config)], new.generation)?;
    if config.cluster.enabled {
        belong_to(config, new.id)?;
    }
    Ok(())
}

/// Has the folder be that of the first member of another cluster than before: members of that one must never be taken for
/// its own.
fn belong_to(config: &NodeConfig, cluster: Option<ClusterId>) -> anyhow::Result<()> {
    let node = own_number(config);
    let cluster = Some(cluster.unwrap_or_else(|| ClusterId::random(&SystemRandomness)));
    Identity { node, cluster, phase: Phase::Begun, voters: [node].into() }.store(&config.data.folder)
}

fn own_number(config: &NodeConfig) -> NodeId {
    if config.cluster.enabled { NodeId(config.cluster.node) } else { NodeId(1) }
}

/// Makes the first member of a new cluster from the archive in the database, when all members and their data are lost.
/// The cluster of before can write nothing more that counts.
pub fn restore_from_archive(
    config: &NodeConfig,
    snapshot: Option<&str>,
    yes: bool,
) -> anyhow::Result<String> {
    let options = super::database::options(&config.scylla)
        .context("scylla.contact_points is empty: the archive is in the database")?;
    let folder = &config.data.folder;
    ensure!(
        !folder.join(STORE).exists(),
        "{} holds data already: restore into an empty folder",
        folder.display()
    );
    must_be_nobodys(folder)?;
    let _held = if yes { Some(hold(folder)?) } else { None };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let which = snapshot.map_or(Which::Newest, |id| Which::Of(id.to_owned()));
        let database = Database::open(&options).await.context("the database cannot be used")?;
        if !yes {
            let found = archive::read(&database, which).await?;
            let all = archive::list(&database).await?;
            let names: Vec<_> = all.iter().map(|snapshot| format!("{} (up to revision {})", snapshot.id, snapshot.stamp.revision)).collect();
            return Ok(format!(
                "this would begin a new cluster with {}. What the cluster of before writes from then on does not count, and one-time tokens made before are void. Snapshots there are: {}. Nothing was done; say --yes to do it\n",
                told(&found),
                names.join(", ")
            ));
        }
        let id = ClusterId::random(&SystemRandomness);
        let restored = archive::restore(&database, which, &id.to_string(), &SystemRandomness).await?;
        let what = told(&restored);
        let copy = Backup {
            applied: restored.index.0,
            level: 1,
            members: cluster_node::Members::default(),
            state: restored.state,
        };
        begin_with(config, copy, NewCluster { id: Some(id), generation: Some(restored.generation) })?;
        Ok(format!("the new cluster {id} begins with {what}{}\n", begins(config)))
    })
}

/// What was found in the archive, in words.
fn told(found: &RestoredState) -> String {
    let lost = if found.behind_gap == 0 {
        String::new()
    } else {
        format!("; {} later parts lie behind a gap and cannot be used", found.behind_gap)
    };
    format!(
        "snapshot {} and {} parts behind it, up to revision {}{lost}",
        found.snapshot.id, found.segments, found.index
    )
}
