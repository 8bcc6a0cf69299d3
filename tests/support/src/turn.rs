//! Tests that need the machine for themselves take turns, across test binaries.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// The right to have the machine alone; given back when dropped, or by the kernel when the process dies.
pub struct Turn {
    _lock: File,
}

impl Turn {
    /// Waits for the machine.
    ///
    /// # Errors
    /// The lock file can neither be opened nor made.
    pub async fn take() -> io::Result<Self> {
        Ok(Self { _lock: lock(&std::env::temp_dir().join("penstock-tests-turn.lock")).await? })
    }
}

/// Waits until nobody else on this machine has `path` locked; it is free again when what is returned is dropped.
pub(crate) async fn lock(path: &Path) -> io::Result<File> {
    let path = path.to_owned();
    let locked = tokio::task::spawn_blocking(move || {
        let file = lock_file(&path)?;
        file.lock()?;
        Ok(file)
    });
    locked.await.map_err(io::Error::other)?
}

/// Opens the file that is locked, whoever made it. To lock it takes no right to write, and a shared folder
/// keeps even root from opening another user's file with the wish to create it.
fn lock_file(path: &Path) -> io::Result<File> {
    loop {
        match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
        match fs::OpenOptions::new().create_new(true).write(true).open(path) {
            // Somebody else was first.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made,
        }
    }
}

/// Whether tests are to try everything they know, as the long proofs do (`TESTS_IN_FULL=1`), or what
/// is hardest.
pub fn in_full() -> bool {
    std::env::var_os("TESTS_IN_FULL").is_some_and(|value| value == "1")
}

/// Whether a row of a large matrix is left to `make prove` (`TESTS_IN_FULL=1`): `make test` runs a sample that covers
/// every column once.
pub fn left_to_the_proof(what: &str) -> bool {
    let left = !in_full();
    if left {
        note(&format!("left to make prove: {what}"));
    }
    left
}

/// Says what was measured, on the real standard error: also of a test that passes.
pub fn note(what: &str) {
    // A closed standard error leaves nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{what}");
}

/// Says that a test was not run, and why, on the real standard error: the test harness swallows what a
/// passing test prints.
pub fn skipped(what: &str, why: &str) {
    note(&format!("skipped: {what}: {why}"));
}

#[cfg(test)]
mod tests {
    use std::fs::TryLockError;

    use super::*;

    #[test]
    fn a_lock_file_of_somebody_else_is_locked_without_writing_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let made = lock_file(&path).unwrap();
        made.lock().unwrap();
        let mut found = lock_file(&path).unwrap();
        assert!(found.write(b"x").is_err(), "it was opened for writing");
        assert!(matches!(found.try_lock(), Err(TryLockError::WouldBlock)));
        drop(made);
        found.try_lock().unwrap();
    }
}
