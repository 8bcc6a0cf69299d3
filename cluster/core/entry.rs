//! What stands in the log.

use base::WallTime;
use cluster_model::{RequestId, StateHash};

use crate::wire::{Reader, WireError, Writer};

/// What a log entry's data is, beyond what raft itself writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// A command of the model.
    Command {
        /// Known again when it is retried.
        request: RequestId,
        /// The leader's clock.
        at: WallTime,
        /// [`cluster_model::Command::encode`].
        command: Vec<u8>,
    },
    /// What the state's hash was when entry `index` was applied.
    CheckHash {
        /// Where.
        index: u64,
        /// The hash.
        hash: StateHash,
    },
    /// From here on commands of this level may come: every voter knows them.
    Level(u32),
}

const COMMAND: u8 = 1;
const CHECK_HASH: u8 = 2;
const LEVEL: u8 = 3;

impl Payload {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        match self {
            Self::Command { request, at, command } => {
                writer.u8(COMMAND).u128(request.as_u128()).u64(at.as_millis()).bytes(command);
            }
            Self::CheckHash { index, hash } => {
                writer.u8(CHECK_HASH).u64(*index).bytes(&hash.0);
            }
            Self::Level(level) => {
                writer.u8(LEVEL).u64(u64::from(*level));
            }
        }
        writer.finish()
    }

    /// The leader's clock in what [`Self::encode`] made, where it is a command.
    pub(crate) fn stamp(bytes: &[u8]) -> Option<WallTime> {
        let mut reader = Reader::new(bytes);
        (reader.u8().ok()? == COMMAND).then_some(())?;
        reader.u128().ok()?;
        reader.u64().ok().map(WallTime)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let payload = match reader.u8()? {
            COMMAND => Self::Command {
                request: RequestId::from_u128(reader.u128()?),
                at: WallTime(reader.u64()?),
                command: reader.bytes()?.to_vec(),
            },
            CHECK_HASH => Self::CheckHash {
                index: reader.u64()?,
                hash: StateHash(reader.bytes()?.try_into().map_err(|_| WireError)?),
            },
            LEVEL => Self::Level(u32::try_from(reader.u64()?).map_err(|_| WireError)?),
            _ => return Err(WireError),
        };
        reader.end()?;
        Ok(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the names of their golden files. What a command is has files of its own.
    fn every_payload() -> [(&'static str, Payload); 3] {
        let request = RequestId::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
        let at = WallTime(1_700_000_000_000);
        [
            ("command", Payload::Command { request, at, command: b"\x01{}".to_vec() }),
            ("check_hash", Payload::CheckHash { index: 10_000, hash: StateHash([0x5a; 32]) }),
            ("level", Payload::Level(2)),
        ]
    }

    #[test]
    fn what_stands_in_the_log_has_its_golden_form_and_comes_back_from_it() {
        for (name, payload) in every_payload() {
            let kept = crate::golden::compare(&format!("log_{name}.bin"), &payload.encode());
            let stamp = matches!(payload, Payload::Command { .. }).then_some(WallTime(1_700_000_000_000));
            assert_eq!(Payload::stamp(&kept), stamp, "{name}");
            assert_eq!(Payload::decode(&kept), Ok(payload), "{name}");
        }
    }

    #[test]
    fn a_payload_that_was_cut_or_is_none_is_refused() {
        for (_, payload) in every_payload() {
            let bytes = payload.encode();
            for cut in 0..bytes.len() {
                assert_eq!(Payload::decode(&bytes[..cut]), Err(WireError), "{cut}");
            }
        }
        assert_eq!(Payload::decode(&[9, 0, 0]), Err(WireError));
    }
}
