//! Which node of which cluster a data folder belongs to.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use cluster_link::{ClusterId, Phase};
use cluster_node::NodeId;
use serde::{Deserialize, Serialize};

/// The file's name.
const FILE: &str = "cluster.json";
/// The form of the file that this program writes and reads.
const FORMAT: u32 = 1;

/// The file by which a process has a data folder for itself, from before there is a store in it.
const LOCK: &str = "cluster.lock";

/// Takes a data folder, until what is returned is dropped or the process ends.
///
/// # Errors
/// Another process has it.
pub(super) fn hold(folder: &Path) -> anyhow::Result<File> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("data.folder {} cannot be made", folder.display()))?;
    let path = folder.join(LOCK);
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("{} cannot be opened", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "data.folder {} is in use by another process: a node runs on it, or waits there for its cluster. Stop it first",
            folder.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("{} cannot be locked", path.display()))
        }
    }
}

/// What a node has agreed to, on its disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) node: NodeId,
    pub(super) cluster: Option<ClusterId>,
    /// Never `Empty`: then there is no file.
    pub(super) phase: Phase,
    /// Who was to vote first.
    pub(super) voters: BTreeSet<NodeId>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: u32,
    node: NodeId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cluster: Option<String>,
    phase: WrittenPhase,
    #[serde(default)]
    voters: BTreeSet<NodeId>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenPhase {
    Prepared,
    Joining,
    Begun,
}

impl Identity {
    /// What stands in `folder`; `None`: it belongs to nobody.
    pub(super) fn load(folder: &Path) -> anyhow::Result<Option<Self>> {
        let path = folder.join(FILE);
        let Some(text) = super::read_if_there(&path)? else { return Ok(None) };
        let damaged = || {
            format!(
                "{} is damaged: restore it from a copy, or let the node join anew under another number",
                path.display()
            )
        };
        let written: Written = serde_json::from_str(&text).with_context(damaged)?;
        ensure!(
            written.format == FORMAT,
            "{} is of format {}, this program knows {FORMAT}: it is another version's",
            path.display(),
            written.format
        );
        let cluster = match &written.cluster {
            Some(text) => Some(ClusterId::parse(text).with_context(damaged)?),
            None => None,
        };
        let phase = match written.phase {
            WrittenPhase::Prepared => Phase::Prepared,
            WrittenPhase::Joining => Phase::Joining,
            WrittenPhase::Begun => Phase::Begun,
        };
        Ok(Some(Self { node: written.node, cluster, phase, voters: written.voters }))
    }

    /// Writes it, so that a crash leaves either all of it or what was there before; on disk when this returns.
    pub(super) fn store(&self, folder: &Path) -> anyhow::Result<()> {
        let written = Written {
            format: FORMAT,
            node: self.node,
            cluster: self.cluster.map(|cluster| cluster.to_string()),
            phase: match self.phase {
                Phase::Prepared | Phase::Empty => WrittenPhase::Prepared,
                Phase::Joining => WrittenPhase::Joining,
                Phase::Begun => WrittenPhase::Begun,
            },
            voters: self.voters.clone(),
        };
        let (path, new) = (folder.join(FILE), folder.join("cluster.json.new"));
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&new)?;
            file.write_all(serde_json::to_string_pretty(&written)?.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&new, &path)?;
            File::open(folder)?.sync_all()
        };
        write().with_context(|| format!("{} cannot be written", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_processs() {
        let folder = tempfile::tempdir().unwrap();
        let held = hold(folder.path()).unwrap();
        let error = hold(folder.path()).unwrap_err().to_string();
        assert!(error.contains("is in use by another process"), "{error}");
        drop(held);
        hold(folder.path()).unwrap();
    }

    /// `UPDATE_GOLDEN=1 cargo test` writes it anew: for a new format only.
    #[test]
    fn the_file_has_its_golden_form_and_comes_back_from_it() {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity {
            node: NodeId(2),
            cluster: Some(ClusterId(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10)),
            phase: Phase::Begun,
            voters: [1, 2, 3].map(NodeId).into(),
        };
        identity.store(folder.path()).unwrap();
        let written = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/golden/cluster.json");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, &written).unwrap();
        }
        let kept = std::fs::read_to_string(&golden).unwrap();
        assert_eq!(written, kept);
        std::fs::write(folder.path().join(FILE), kept).unwrap();
        assert_eq!(Identity::load(folder.path()).unwrap(), Some(identity));
    }

    #[test]
    fn what_was_written_comes_back_and_what_was_damaged_is_named() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Identity::load(folder.path()).unwrap(), None);
        let identity = Identity {
            node: NodeId(2),
            cluster: Some(ClusterId(77)),
            phase: Phase::Prepared,
            voters: [NodeId(1), NodeId(2)].into(),
        };
        identity.store(folder.path()).unwrap();
        assert_eq!(Identity::load(folder.path()).unwrap(), Some(identity.clone()));
        Identity { phase: Phase::Begun, ..identity }.store(folder.path()).unwrap();
        assert_eq!(Identity::load(folder.path()).unwrap().unwrap().phase, Phase::Begun);

        let file = folder.path().join(FILE);
        for (text, told) in [
            ("{\"format\":1,\"node\":2", "is damaged"),
            ("{\"format\":1,\"node\":2,\"cluster\":\"xyz\",\"phase\":\"begun\"}", "is damaged"),
            ("{\"format\":9,\"node\":2,\"phase\":\"begun\"}", "another version"),
        ] {
            std::fs::write(&file, text).unwrap();
            let error = format!("{:#}", Identity::load(folder.path()).unwrap_err());
            assert!(error.contains(told) && error.contains("cluster.json"), "{error}");
        }
    }
}
