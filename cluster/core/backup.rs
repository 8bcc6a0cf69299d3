//! A copy of a member's data that lies somewhere else.
//!
//! | part | form |
//! |---|---|
//! | mark | `PENSTOCK`, 8 bytes |
//! | version | one byte |
//! | applied entry, level of commands | 8 bytes each, little endian |
//! | members | length (8 bytes, little endian), [`Members`] as JSON |
//! | state | length (8 bytes, little endian), [`State::snapshot`] |
//! | hash | SHA-256 of everything before it |

use cluster_model::{FormatError, State};
use sha2::{Digest, Sha256};

use crate::Members;
use crate::wire::{Reader, WireError, Writer};

const MARK: &[u8; 8] = b"PENSTOCK";
/// Version byte of a backup.
const BACKUP_FORMAT: u8 = 1;
const HASH_BYTES: usize = 32;

/// What a member has applied, as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Applied up to here, in the log of the cluster it is of.
    pub applied: u64,
    /// Level of commands that made it.
    pub level: u32,
    /// Who the members were.
    pub members: Members,
    /// What came of the log.
    pub state: State,
}

/// Why bytes are no backup that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// They are something else.
    #[error("this is no backup of the metadata store")]
    NoBackup,
    /// Written by another version of this program.
    #[error(
        "the backup has format {found}, this program reads format {known}: run the version that wrote it"
    )]
    UnknownVersion {
        /// Its format.
        found: u8,
        /// Ours.
        known: u8,
    },
    /// A part is missing, or a bit flipped.
    #[error("the backup is damaged: it was cut or changed since it was made")]
    Damaged,
    /// The state in it cannot be read, though nobody changed it.
    #[error("the state in the backup cannot be read: {0}")]
    State(#[from] FormatError),
}

impl From<WireError> for BackupError {
    fn from(_: WireError) -> Self {
        Self::Damaged
    }
}

impl Backup {
    /// As it is stored. Takes as long as the state is large.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        let members =
            serde_json::to_vec(&self.members).map_err(|error| FormatError::Malformed(error.to_string()))?;
        let mut writer = Writer::default();
        MARK.iter().chain([&BACKUP_FORMAT]).for_each(|byte| {
            writer.u8(*byte);
        });
        writer.u64(self.applied).u64(self.level.into()).bytes(&members).bytes(&self.state.snapshot()?);
        let mut bytes = writer.finish();
        let hash = Sha256::digest(&bytes);
        bytes.extend_from_slice(&hash);
        Ok(bytes)
    }

    /// Reads what was stored: all of it, or it is refused.
    pub fn decode(bytes: &[u8]) -> Result<Self, BackupError> {
        let rest = bytes.strip_prefix(MARK).ok_or(BackupError::NoBackup)?;
        match rest.first() {
            Some(&BACKUP_FORMAT) => {}
            Some(&found) => return Err(BackupError::UnknownVersion { found, known: BACKUP_FORMAT }),
            None => return Err(BackupError::Damaged),
        }
        let (body, hash) = bytes.split_last_chunk::<HASH_BYTES>().ok_or(BackupError::Damaged)?;
        if Sha256::digest(body)[..] != hash[..] {
            return Err(BackupError::Damaged);
        }
        let mut reader = Reader::new(body.get(MARK.len() + 1..).ok_or(BackupError::Damaged)?);
        let (applied, level) = (reader.u64()?, reader.u32()?);
        let members = serde_json::from_slice(reader.bytes()?)
            .map_err(|error| FormatError::Malformed(error.to_string()))?;
        let state = State::restore(reader.bytes()?)?;
        reader.end()?;
        Ok(Self { applied, level, members, state })
    }
}

#[cfg(test)]
mod tests {
    use base::{AppName, StreamId, WallTime};
    use cluster_model::{Command, RequestId, Stamped, apply};

    use super::*;
    use crate::NodeId;

    fn backup() -> Backup {
        let mut state = State::default();
        let (app, stream) = (AppName::new("a").unwrap(), StreamId::new("s").unwrap());
        let create = Command::CreateBroadcast { app, stream, broadcast: Box::default() };
        for (n, command) in [(1, create), (2, Command::RaiseGeneration { to: 3 })] {
            let request = RequestId::from_u128(n);
            apply(&mut state, Stamped { request, at: WallTime(1_700_000_000_000), command });
        }
        Backup { applied: 7, level: 1, members: Members::first([1, 2].map(NodeId)), state }
    }

    #[test]
    fn a_backup_has_its_golden_form_and_comes_back_from_it() {
        let golden = crate::golden::compare("backup.bin", &backup().encode().unwrap());
        assert_eq!(Backup::decode(&golden), Ok(backup()));
    }

    #[test]
    fn a_backup_that_was_cut_or_changed_is_refused() {
        let bytes = backup().encode().unwrap();
        for at in 0..bytes.len() {
            assert!(Backup::decode(&bytes[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                let error = Backup::decode(&flipped).unwrap_err();
                let expected = match at {
                    0..8 => BackupError::NoBackup,
                    8 => BackupError::UnknownVersion { found: flipped[8], known: BACKUP_FORMAT },
                    _ => BackupError::Damaged,
                };
                assert_eq!(error, expected, "{at}");
            }
        }
        assert_eq!(Backup::decode(b"something else"), Err(BackupError::NoBackup));
    }
}
