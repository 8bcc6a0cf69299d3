//! Reads small files.

use std::fs::File;
use std::io::{Error, ErrorKind, Read};
use std::path::Path;

use base::limits::SETTINGS_FILE_BYTES_MAX;

use crate::ConfigError;

/// The content of a file of settings; `hint` says what to do when it cannot be read.
pub fn read_bounded(path: &Path, hint: &'static str) -> Result<Vec<u8>, ConfigError> {
    let mut bytes = Vec::new();
    let limit = SETTINGS_FILE_BYTES_MAX as u64;
    File::open(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .and_then(|_| match bytes.len() {
            0..=SETTINGS_FILE_BYTES_MAX => Ok(bytes),
            _ => Err(Error::new(ErrorKind::FileTooLarge, format!("larger than {limit} bytes"))),
        })
        .map_err(|why| ConfigError::Unreadable { path: path.to_owned(), hint, why })
}
