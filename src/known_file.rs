//! What is known of a file of settings: what it last said and looked like, and how it is replaced and remembered.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use config::AppSettings;
use sha2::{Digest, Sha256};

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

/// Puts a whole new content into the place of a file, with its rights; a new one is for the node's user alone.
pub fn replace(file: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = file.with_file_name(name);
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut written = File::options().write(true).create_new(true).mode(0o600).open(&new)?;
    if let Ok(before) = std::fs::metadata(file) {
        written.set_permissions(before.permissions())?;
    }
    let done = written.write_all(content).and_then(|()| written.sync_all());
    done.and_then(|()| std::fs::rename(&new, file)).inspect_err(|_| {
        // What is left of it is in nobody's way.
        let _ = std::fs::remove_file(&new);
    })
}
