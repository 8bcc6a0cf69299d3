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

    #[test]
    fn a_payload_comes_back_and_what_is_none_is_refused() {
        let all = [
            Payload::Command { request: RequestId::from_u128(7), at: WallTime(9), command: vec![1, 2] },
            Payload::CheckHash { index: 3, hash: StateHash([4; 32]) },
            Payload::Level(2),
        ];
        for payload in all {
            let bytes = payload.encode();
            assert_eq!(Payload::decode(&bytes), Ok(payload));
            for cut in 0..bytes.len() {
                assert_eq!(Payload::decode(&bytes[..cut]), Err(WireError), "{cut}");
            }
        }
        assert_eq!(Payload::decode(&[9, 0, 0]), Err(WireError));
    }
}
