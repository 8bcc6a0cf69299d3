//! The golden files of what members have on disk. They live in `schemas/golden`.

use std::path::Path;

/// Compares `bytes` with the golden file `name`, and gives what is kept there. `UPDATE_GOLDEN=1 cargo test` writes it anew: for
/// a new form only, since a file that changes is a stored form that older nodes can no longer read.
pub(crate) fn compare(name: &str, bytes: &[u8]) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, bytes).unwrap();
    }
    let kept = std::fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(
        kept == bytes,
        "{name}\n kept: {}\n  now: {}",
        String::from_utf8_lossy(&kept),
        String::from_utf8_lossy(bytes)
    );
    kept
}
