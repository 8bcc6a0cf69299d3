//! What secrets are sealed with where they are stored: the secret of the cluster, or one that a node which is alone keeps
//! beside its data.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use base::Randomness;
use cluster_link::{ClusterSecret, Secrets};
use cluster_model::Seals;

/// The file of a node that is alone, in the form of `cluster.secret_file`.
pub(super) const FILE: &str = "sealing.secret";

/// The seals of a node that is alone. Its secret is made when there is none.
pub(super) fn alone(folder: &Path, randomness: &dyn Randomness) -> anyhow::Result<Arc<Seals>> {
    let secrets = match own(folder)? {
        Some(secrets) => secrets,
        None => make(folder, randomness)?,
    };
    of(&secrets)
}

/// The seals of a cluster's node. One that was alone before has stored what only its own secret opens.
pub(super) fn of_cluster(folder: &Path, secrets: &Secrets) -> anyhow::Result<Arc<Seals>> {
    if let Some(own) = own(folder)? {
        let (known, own) = (secrets.sealing_keys()?, own.sealing_keys()?);
        ensure!(
            own.iter().all(|key| known.contains(key)),
            "this node was alone, and what it stored is sealed with {file}: make that file the secret of the cluster on every \
             node, or write its line with \"opens \" in front into each cluster.secret_file",
            file = folder.join(FILE).display()
        );
    }
    of(secrets)
}

fn of(secrets: &Secrets) -> anyhow::Result<Arc<Seals>> {
    let keys = secrets.sealing_keys()?;
    let (first, others) = keys.split_first().context("there is no secret to seal with")?;
    Ok(Arc::new(Seals::new(first, others).context("the secret makes no key to seal with")?))
}

fn own(folder: &Path) -> anyhow::Result<Option<Secrets>> {
    let path = folder.join(FILE);
    let Some(text) = super::read_if_there(&path)? else { return Ok(None) };
    let damaged = || {
        format!(
            "{} is damaged: bring it back from a copy, it opens the secrets that are stored",
            path.display()
        )
    };
    Secrets::parse(&text).with_context(damaged).map(Some)
}

fn make(folder: &Path, randomness: &dyn Randomness) -> anyhow::Result<Secrets> {
    let path = folder.join(FILE);
    let secret = ClusterSecret::generate(randomness);
    let write = || {
        // Whole or not at all: half a secret would shut the node out of what it stores.
        let unfinished = path.with_extension("secret.new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        writeln!(
            file,
            "# Opens the secrets that are stored here. Keep a copy apart from those of the data."
        )?;
        writeln!(file, "{}", secret.text().expose())?;
        file.sync_all()?;
        std::fs::rename(&unfinished, &path)?;
        File::open(folder)?.sync_all()
    };
    if let Err(error) = write() {
        let hint = match error.kind() {
            ErrorKind::StorageFull => {
                ": no space is left on its file system, free some and start the node again"
            }
            _ => "",
        };
        return Err(error).with_context(|| format!("{} cannot be written{hint}", path.display()));
    }
    tracing::info!(file = %path.display(), "stored secrets are sealed with this file: keep a copy of it");
    Ok(Secrets::one(secret))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use base::SystemRandomness;

    use super::*;

    #[test]
    fn a_node_alone_makes_its_secret_once_and_for_itself() {
        let folder = tempfile::tempdir().unwrap();
        alone(folder.path(), &SystemRandomness).unwrap();
        let path = folder.path().join(FILE);
        let made = std::fs::read_to_string(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        alone(folder.path(), &SystemRandomness).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), made);
        std::fs::write(&path, &made[..made.len() - 10]).unwrap();
        let said = format!("{:#}", alone(folder.path(), &SystemRandomness).unwrap_err());
        assert!(said.contains("bring it back from a copy"), "{said}");
    }

    #[test]
    fn a_node_that_was_alone_joins_with_its_secret_or_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let cluster = ClusterSecret::generate(&SystemRandomness);
        let with = |more: &str| Secrets::parse(&format!("{}\n{more}", cluster.text().expose())).unwrap();
        assert!(of_cluster(folder.path(), &with("")).is_ok());
        alone(folder.path(), &SystemRandomness).unwrap();
        let said = format!("{:#}", of_cluster(folder.path(), &with("")).unwrap_err());
        assert!(said.contains("opens ") && !said.contains("secret-1:"), "{said}");
        let text = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        let own = text.lines().last().unwrap();
        assert!(of_cluster(folder.path(), &with(&format!("opens {own}"))).is_ok());
        assert!(of_cluster(folder.path(), &Secrets::parse(&text).unwrap()).is_ok());
    }
}
