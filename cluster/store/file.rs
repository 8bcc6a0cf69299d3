//! Opening the file, and making it.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Database, DatabaseError, StorageBackend};

use crate::{StoreError, tables};

/// What redb may keep in memory: little, since readers are served from the state and never from the file.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// Opens the file, each time it is called.
pub(crate) type Opener = Box<dyn Fn() -> Result<Database, StoreError> + Send>;

/// Opens the file `path`, or makes it (readable by this user only).
pub(crate) fn of_file(path: &Path) -> Opener {
    let path = path.to_owned();
    Box::new(move || open_database(&path))
}

/// Opens the file `path`, which was made before: one that is not there is lost.
pub(crate) fn of_file_there(path: &Path) -> Opener {
    let path = path.to_owned();
    Box::new(move || open_there(&path))
}

/// Opens the file, or makes it: under another name until all of a new store is in it, so that a start
/// that was cut short, or found the disk full, leaves no half a store behind.
fn open_database(path: &Path) -> Result<Database, StoreError> {
    if path.try_exists().map_err(|source| StoreError::open(path, source))? {
        return open_there(path);
    }
    make_database(path, |database| {
        tables::prepare(database).map_err(|error| StoreError::unusable(path, error))
    })?
    .map_or_else(|| open_there(path), Ok)
}

/// Opens a file that has its name, and so was whole once. To redb an empty one is a new database; here it is one whose
/// content is lost.
fn open_there(path: &Path) -> Result<Database, StoreError> {
    let failed = |source| StoreError::open(path, source);
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() == 0 {
        return Err(StoreError::Damaged { path: path.to_owned(), what: "it is empty".to_owned() });
    }
    database_in_file(file, path)
}

/// Makes the file with what `fill` writes into it; `None`: another start was quicker.
pub(crate) fn make_database(
    path: &Path,
    fill: impl FnOnce(&Database) -> Result<(), StoreError>,
) -> Result<Option<Database>, StoreError> {
    let failed = |source| StoreError::open(path, source);
    let new = new_file(path);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(&new).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StoreError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    // Another start may have made the store since it was looked for, and this file for nothing.
    if path.try_exists().map_err(failed)? {
        let _ = std::fs::remove_file(&new);
        return Ok(None);
    }
    file.set_len(0).map_err(failed)?;
    let database = database_in_file(file, path)?;
    fill(&database)?;
    std::fs::rename(&new, path).and_then(|()| sync_folder(path)).map_err(failed)?;
    Ok(Some(database))
}

fn new_file(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

fn database_in_file(file: File, path: &Path) -> Result<Database, StoreError> {
    let backend = FileBackend::new(file).map_err(|error| refused(path, error))?;
    database_in(backend, path)
}

/// The database in a backend that stands for the file `path`.
pub(crate) fn database_in(backend: impl StorageBackend, path: &Path) -> Result<Database, StoreError> {
    Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create_with_backend(backend)
        .map_err(|error| refused(path, error))
}

/// A new file is durable once its folder is.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn refused(path: &Path, error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse { path: path.to_owned() },
        other => StoreError::unusable(path, other.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_start_that_finds_no_room_leaves_no_half_a_store() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metadata.redb");
        // What such a start leaves: a file of some length, and nothing in it.
        std::fs::write(new_file(&path), vec![0; 100_000]).unwrap();
        drop(open_database(&path).unwrap());
        assert!(path.exists() && !new_file(&path).exists());
        drop(open_database(&path).unwrap());
    }

    #[test]
    fn two_first_starts_at_once_make_one_store() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metadata.redb");
        let first = open_database(&path).unwrap();
        // The second one found no file, a moment ago.
        let again = || make_database(&path, |_| panic!("it is there"));
        assert!(again().unwrap().is_none());
        assert!(matches!(open_database(&path), Err(StoreError::InUse { .. })));
        drop(first);
        assert!(again().unwrap().is_none());
        assert!(!new_file(&path).exists());
    }

    #[test]
    fn the_file_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metadata.redb");
        drop(open_database(&path).unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_is_no_store_is_named_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metadata.redb");
        let text = "not a store ".repeat(1000);
        std::fs::write(&path, &text).unwrap();
        let error = open_database(&path).err().unwrap();
        assert!(matches!(error, StoreError::Unusable { .. }), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn an_empty_file_is_none_that_a_start_has_left_and_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metadata.redb");
        drop(open_database(&path).unwrap());
        File::create(&path).unwrap();
        let error = open_database(&path).err().unwrap();
        let told = "metadata.redb is damaged: it is empty; restore a backup";
        assert!(error.to_string().contains(told), "{error}");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    }

    #[test]
    fn a_file_that_was_made_is_not_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metadata.redb");
        let error = of_file_there(&path)().err().unwrap();
        assert!(matches!(error, StoreError::Open { .. }), "{error}");
        assert!(!path.exists() && !new_file(&path).exists());
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = open_database(Path::new("/nowhere/at/all/metadata.redb")).err().unwrap();
        let begins = "cannot open the metadata store /nowhere/at/all/metadata.redb: ";
        assert!(error.to_string().starts_with(begins), "{error}");
    }
}
