//! Tests that need the machine for themselves take turns, across test binaries.

use std::fs::{self, File};
use std::io::{self, Write};

/// The right to have the machine alone; given back when dropped, or by the kernel when the process dies.
pub struct Turn {
    _lock: File,
}

impl Turn {
    /// Waits for the machine.
    ///
    /// # Errors
    /// The lock file cannot be made.
    pub async fn take() -> io::Result<Self> {
        let locked = tokio::task::spawn_blocking(|| {
            let path = std::env::temp_dir().join("penstock-tests-turn.lock");
            let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
            file.lock()?;
            Ok(Self { _lock: file })
        });
        locked.await.map_err(io::Error::other)?
    }
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
