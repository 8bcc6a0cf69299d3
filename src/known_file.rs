//! What is known of a file of settings: what it last said and looked like, and how it is replaced and remembered.

use std::collections::BTreeMap;
use std::fs::{File, Metadata, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use config::AppSettings;
use sha2::{Digest, Sha256};

/// Its owner reads and writes it.
const OWN_USER: u32 = 0o600;

/// What is known of a file.
#[derive(Default)]
pub struct Known {
    /// Its content, as it was last taken or written, by its hash.
    pub content: Option<String>,
    /// What that said.
    pub said: Option<AppSettings>,
    /// What it looked like when it was last read.
    pub read: Option<Look>,
    /// What it looked like a moment ago, where that is something else.
    pub changing: Option<Look>,
}

/// What tells that a file was changed, without reading it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Look {
    seconds: i64,
    nanoseconds: i64,
    len: u64,
    inode: u64,
}

impl Known {
    /// Of a file that was read and taken as it is.
    pub fn taken(bytes: &[u8], said: AppSettings, look: Option<Look>) -> Self {
        Self { content: Some(hash(bytes)), said: Some(said), read: look, changing: None }
    }

    /// Whether this is the content that was last taken or written.
    pub fn has(&self, bytes: &[u8]) -> bool {
        self.content.as_deref() == Some(&hash(bytes))
    }
}

impl Look {
    /// Of the file now; `None`: there is none to be seen.
    pub fn at(file: &Path) -> Option<Self> {
        let of = |it: Metadata| Self {
            seconds: it.mtime(),
            nanoseconds: it.mtime_nsec(),
            len: it.len(),
            inode: it.ino(),
        };
        std::fs::metadata(file).ok().map(of)
    }
}

pub fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Nothing where there is nothing to be read: then every file is a new one.
pub fn remembered_in(file: &Path) -> BTreeMap<String, String> {
    std::fs::read(file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// Who may read a file that is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Who could before; a new one is for the node's user alone.
    Kept,
    /// The node's user alone: it holds a secret.
    OwnUser,
}

/// Puts a whole new content into the place of a file.
pub fn replace(file: &Path, content: &[u8], rights: Rights) -> std::io::Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = file.with_file_name(name);
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut written = File::options().write(true).create_new(true).mode(OWN_USER).open(&new)?;
    match std::fs::metadata(file) {
        Ok(before) if rights == Rights::Kept => written.set_permissions(before.permissions())?,
        // Whatever the process' mask takes from a new file's rights.
        _ => written.set_permissions(Permissions::from_mode(OWN_USER))?,
    }
    let done = written.write_all(content).and_then(|()| written.sync_all());
    done.and_then(|()| std::fs::rename(&new, file)).inspect_err(|_| {
        // What is left of it is in nobody's way.
        let _ = std::fs::remove_file(&new);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights_after(before: Option<u32>, rights: Rights) -> u32 {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("red5-web.properties");
        if let Some(mode) = before {
            std::fs::write(&file, "a").unwrap();
            std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        }
        replace(&file, b"b", rights).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"b");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_that_holds_a_secret_is_for_the_nodes_user_alone_whoever_could_read_it() {
        assert_eq!(rights_after(Some(0o644), Rights::OwnUser), 0o600);
        assert_eq!(rights_after(None, Rights::OwnUser), 0o600);
        assert_eq!(rights_after(Some(0o644), Rights::Kept), 0o644);
        assert_eq!(rights_after(None, Rights::Kept), 0o600);
    }
}
