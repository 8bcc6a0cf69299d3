//! A disk of a few MiB that can be filled to the last byte: a tmpfs of its own.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A tmpfs. Dropping it takes it away with what is on it.
pub struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts one.
    ///
    /// # Errors
    /// Not root, or a system that lets nobody mount: the text says which.
    pub fn new(mib: u32) -> io::Result<Self> {
        let disk = Self { folder: tempfile::Builder::new().prefix("penstock-disk-").tempdir()? };
        let size = format!("size={mib}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(disk.folder.path())
            .output()
            .map_err(|error| io::Error::new(error.kind(), format!("mount: {error}")))?;
        if !mounted.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&mounted.stderr).trim().to_owned()));
        }
        Ok(disk)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn ballast(&self) -> PathBuf {
        self.folder.path().join("ballast")
    }

    /// Leaves not a byte free.
    ///
    /// # Errors
    /// The disk fails in another way than by being full.
    pub fn fill(&self) -> io::Result<()> {
        let mut ballast = File::options().create(true).append(true).open(self.ballast())?;
        for block in [64 * 1024, 512, 1] {
            loop {
                match ballast.write_all(&vec![0x5a; block]) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Gives back what [`fill`](Self::fill) took.
    ///
    /// # Errors
    /// It was not filled.
    pub fn free(&self) -> io::Result<()> {
        fs::remove_file(self.ballast())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that is just ending may still hold a file on it.
        let _ = Command::new("umount").arg("-l").arg(self.folder.path()).output();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::skipped;

    #[test]
    fn it_is_full_when_filled_and_has_room_when_freed() {
        let disk = match SmallDisk::new(1) {
            Ok(disk) => disk,
            Err(error) => return skipped("small_disk", &error.to_string()),
        };
        let file = disk.path().join("file");
        disk.fill().unwrap();
        assert_eq!(fs::write(&file, b"x").unwrap_err().kind(), io::ErrorKind::StorageFull);
        disk.free().unwrap();
        fs::write(&file, b"x").unwrap();
    }
}
