//! What nodes say to each other. One envelope per message; the link underneath says who sent it.

use base::WallTime;
use cluster_model::{Outcome, RequestId, Revision};

use crate::{Members, NodeId};

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed message")]
pub struct WireError;

/// One message between nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// A message of the consensus, encoded.
    Raft(Vec<u8>),
    /// Wants a command proposed.
    Propose {
        /// The request.
        request: RequestId,
        /// The command, encoded.
        command: Vec<u8>,
    },
    /// What became of it.
    Answer {
        /// The request.
        request: RequestId,
        /// At which revision.
        revision: Revision,
        /// With which outcome.
        outcome: Outcome,
    },
    /// Ask somebody else.
    Elsewhere {
        /// The leader, if it is known.
        leader: Option<NodeId>,
    },
    /// Wants an answer to a query, and to know that it is fresh.
    Read {
        /// Known again in the answer.
        id: u64,
        /// The query as JSON; empty to know only how fresh the member is.
        query: Vec<u8>,
    },
    /// The answer.
    Reading {
        /// Of the question.
        id: u64,
        /// The revision the member was at.
        revision: Revision,
        /// The generation of its data.
        generation: u64,
        /// The reading as JSON; empty if nothing was asked.
        reading: Vec<u8>,
        /// Who are members, as JSON.
        members: Vec<u8>,
    },
    /// Wants what changed after a revision, when there is something.
    Watch {
        /// Seen already.
        from: Revision,
        /// The generation of what was seen: a revision of another one says nothing.
        generation: u64,
    },
    /// What changed, without a gap.
    Changes {
        /// The first one follows this revision.
        after: Revision,
        /// All up to this revision are told.
        upto: Revision,
        /// The generation of the data.
        generation: u64,
        /// The state's time there.
        now: WallTime,
        /// Revisions, the state's time at them, and their changes as JSON.
        changes: Vec<(Revision, WallTime, Vec<u8>)>,
    },
    /// What changed after the revision asked for is no longer at hand: list again.
    Behind {
        /// What was asked for.
        from: Revision,
    },
    /// Wants one chunk of a snapshot.
    Fetch {
        /// Entry the snapshot stands at.
        index: u64,
        /// Its hash.
        hash: u64,
        /// Which chunk.
        chunk: u32,
    },
    /// A chunk; without bytes: there is no such snapshot any more.
    Chunk {
        /// Entry the snapshot stands at.
        index: u64,
        /// Its hash.
        hash: u64,
        /// Which chunk.
        chunk: u32,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// A sign of life with what level of commands the node knows.
    Alive {
        /// The level.
        level: u32,
        /// What its wall clock shows.
        wall: WallTime,
    },
    /// The receiver was removed from the cluster.
    Removed,
    /// Wants the next rows of the state.
    List {
        /// Known again in the answer.
        id: u64,
        /// What the asker has so far stands at this revision; 0 when it has nothing.
        from: Revision,
        /// Of this generation.
        generation: u64,
        /// The row it has last: kind and key; `None`: from the beginning.
        behind: Option<(u8, String)>,
    },
    /// The next rows of the state.
    Listed {
        /// Of the question.
        id: u64,
        /// The rows are true at this revision.
        revision: Revision,
        /// The state's time there.
        now: WallTime,
        /// Kind, key and value.
        rows: Vec<(u8, String, Vec<u8>)>,
        /// There are no more.
        ends: bool,
    },
}

/// What a row of [`Envelope::Listed`] costs besides its key and value: its kind and two lengths.
pub(crate) const LISTED_ROW_BYTES: usize = 1 + 8 + 8;

impl Envelope {
    /// As it is sent.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        match self {
            Self::Raft(bytes) => w.u8(1).bytes(bytes),
            Self::Propose { request, command } => w.u8(2).u128(request.as_u128()).bytes(command),
            Self::Answer { request, revision, outcome } => {
                let outcome = serde_json::to_vec(outcome).unwrap_or_default();
                w.u8(3).u128(request.as_u128()).u64(revision.0).bytes(&outcome)
            }
            Self::Elsewhere { leader } => w.u8(4).u64(leader.map_or(0, |node| node.0)),
            Self::Read { id, query } => w.u8(5).u64(*id).bytes(query),
            Self::Reading { id, revision, generation, reading, members } => {
                w.u8(6).u64(*id).u64(revision.0).u64(*generation).bytes(reading).bytes(members)
            }
            Self::Watch { from, generation } => w.u8(7).u64(from.0).u64(*generation),
            Self::Changes { after, upto, generation, now, changes } => {
                w.u8(8)
                    .u64(after.0)
                    .u64(upto.0)
                    .u64(*generation)
                    .u64(now.as_millis())
                    .u64(changes.len() as u64);
                for (revision, now, changes) in changes {
                    w.u64(revision.0).u64(now.as_millis()).bytes(changes);
                }
                &mut w
            }
            Self::Behind { from } => w.u8(9).u64(from.0),
            Self::Fetch { index, hash, chunk } => w.u8(10).u64(*index).u64(*hash).u64(u64::from(*chunk)),
            Self::Chunk { index, hash, chunk, bytes } => {
                w.u8(11).u64(*index).u64(*hash).u64(u64::from(*chunk)).bytes(bytes)
            }
            Self::Alive { level, wall } => w.u8(12).u64(u64::from(*level)).u64(wall.as_millis()),
            Self::Removed => w.u8(13),
            Self::List { id, from, generation, behind } => {
                w.u8(14).u64(*id).u64(from.0).u64(*generation);
                match behind {
                    None => w.u8(0),
                    Some((kind, key)) => w.u8(*kind).bytes(key.as_bytes()),
                }
            }
            Self::Listed { id, revision, now, rows, ends } => {
                w.u8(15).u64(*id).u64(revision.0).u64(now.as_millis()).u8(u8::from(*ends));
                w.u64(rows.len() as u64);
                for (kind, key, value) in rows {
                    w.u8(*kind).bytes(key.as_bytes()).bytes(value);
                }
                &mut w
            }
        };
        w.finish()
    }

    /// Reads what was sent.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let envelope = match r.u8()? {
            1 => Self::Raft(r.bytes()?.to_vec()),
            2 => Self::Propose { request: RequestId::from_u128(r.u128()?), command: r.bytes()?.to_vec() },
            3 => Self::Answer {
                request: RequestId::from_u128(r.u128()?),
                revision: Revision(r.u64()?),
                outcome: serde_json::from_slice(r.bytes()?).map_err(|_| WireError)?,
            },
            4 => Self::Elsewhere { leader: Some(r.u64()?).filter(|node| *node != 0).map(NodeId) },
            5 => Self::Read { id: r.u64()?, query: r.bytes()?.to_vec() },
            6 => Self::Reading {
                id: r.u64()?,
                revision: Revision(r.u64()?),
                generation: r.u64()?,
                reading: r.bytes()?.to_vec(),
                members: r.bytes()?.to_vec(),
            },
            7 => Self::Watch { from: Revision(r.u64()?), generation: r.u64()? },
            8 => {
                let (after, upto) = (Revision(r.u64()?), Revision(r.u64()?));
                let (generation, now, count) = (r.u64()?, WallTime(r.u64()?), r.u64()?);
                // Read one by one: the count is the sender's word, and nothing is reserved for it.
                let mut changes = Vec::new();
                for _ in 0..count {
                    changes.push((Revision(r.u64()?), WallTime(r.u64()?), r.bytes()?.to_vec()));
                }
                Self::Changes { after, upto, generation, now, changes }
            }
            9 => Self::Behind { from: Revision(r.u64()?) },
            10 => Self::Fetch { index: r.u64()?, hash: r.u64()?, chunk: r.u32()? },
            11 => {
                Self::Chunk { index: r.u64()?, hash: r.u64()?, chunk: r.u32()?, bytes: r.bytes()?.to_vec() }
            }
            12 => Self::Alive { level: r.u32()?, wall: WallTime(r.u64()?) },
            13 => Self::Removed,
            14 => {
                let (id, from, generation) = (r.u64()?, Revision(r.u64()?), r.u64()?);
                let behind = match r.u8()? {
                    0 => None,
                    kind => Some((kind, r.text()?)),
                };
                Self::List { id, from, generation, behind }
            }
            15 => {
                let (id, revision, now) = (r.u64()?, Revision(r.u64()?), WallTime(r.u64()?));
                let ends = match r.u8()? {
                    0 => false,
                    1 => true,
                    _ => return Err(WireError),
                };
                let mut rows = Vec::new();
                for _ in 0..r.u64()? {
                    rows.push((r.u8()?, r.text()?, r.bytes()?.to_vec()));
                }
                Self::Listed { id, revision, now, rows, ends }
            }
            _ => return Err(WireError),
        };
        r.end()?;
        Ok(envelope)
    }
}

/// Members as they are sent.
pub(crate) fn members_to_json(members: &Members) -> Vec<u8> {
    serde_json::to_vec(members).unwrap_or_default()
}

/// Writes numbers little endian, bytes with their length in front.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(crate) fn u128(&mut self, value: u128) -> &mut Self {
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.u64(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads what [`Writer`] wrote; never past the end.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(WireError)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        self.take(N)?.try_into().map_err(|_| WireError)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        u32::try_from(self.u64()?).map_err(|_| WireError)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn u128(&mut self) -> Result<u128, WireError> {
        Ok(u128::from_le_bytes(self.array()?))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let count = usize::try_from(self.u64()?).map_err(|_| WireError)?;
        self.take(count)
    }

    fn text(&mut self) -> Result<String, WireError> {
        std::str::from_utf8(self.bytes()?).map(str::to_owned).map_err(|_| WireError)
    }

    /// Refuses what is left over.
    pub(crate) fn end(&self) -> Result<(), WireError> {
        if self.0.is_empty() { Ok(()) } else { Err(WireError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_and_a_cut_one_is_refused() {
        let all = [
            Envelope::Raft(vec![1, 2, 3]),
            Envelope::Propose { request: RequestId::from_u128(1 << 100), command: vec![4] },
            Envelope::Answer {
                request: RequestId::from_u128(5),
                revision: Revision(6),
                outcome: Outcome::Stored { version: 7 },
            },
            Envelope::Elsewhere { leader: None },
            Envelope::Elsewhere { leader: Some(NodeId(3)) },
            Envelope::Read { id: 1, query: vec![2] },
            Envelope::Reading {
                id: 1,
                revision: Revision(2),
                generation: 6,
                reading: vec![3],
                members: vec![4, 5],
            },
            Envelope::Watch { from: Revision(1), generation: 2 },
            Envelope::Changes {
                after: Revision(1),
                upto: Revision(4),
                generation: 5,
                now: WallTime(8),
                changes: vec![(Revision(2), WallTime(7), vec![1]), (Revision(4), WallTime(8), vec![])],
            },
            Envelope::Behind { from: Revision(9) },
            Envelope::Fetch { index: 1, hash: 2, chunk: 3 },
            Envelope::Chunk { index: 1, hash: 2, chunk: 3, bytes: vec![0; 40] },
            Envelope::Alive { level: 2, wall: WallTime(3) },
            Envelope::Removed,
            Envelope::List { id: 1, from: Revision(2), generation: 3, behind: None },
            Envelope::List { id: 1, from: Revision(2), generation: 3, behind: Some((4, "key".to_owned())) },
            Envelope::Listed {
                id: 1,
                revision: Revision(2),
                now: WallTime(3),
                rows: vec![(4, "key".to_owned(), vec![5]), (6, String::new(), vec![])],
                ends: true,
            },
        ];
        for envelope in all {
            let bytes = envelope.encode();
            assert_eq!(Envelope::decode(&bytes), Ok(envelope));
            for cut in 0..bytes.len() {
                assert_eq!(Envelope::decode(&bytes[..cut]), Err(WireError));
            }
            let mut longer = bytes;
            longer.push(0);
            assert_eq!(Envelope::decode(&longer), Err(WireError));
        }
    }

    #[test]
    fn a_count_that_lies_reserves_nothing() {
        let mut bytes = Envelope::Changes {
            after: Revision(0),
            upto: Revision(0),
            generation: 0,
            now: WallTime(0),
            changes: vec![],
        }
        .encode();
        let at = bytes.len() - 8;
        bytes[at..].fill(0xff);
        assert_eq!(Envelope::decode(&bytes), Err(WireError));
    }
}
