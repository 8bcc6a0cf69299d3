//! Snapshots: raft carries what one is, chunks carry what is in it.

use std::collections::BTreeMap;

use base::limits;
use cluster_model::{FormatError, State};
use raft::eraftpb::{Message, Snapshot, SnapshotMetadata};
use serde::{Deserialize, Serialize};

use crate::hash::Fnv;
use crate::output::Installed;
use crate::{Envelope, Members, Moment, NodeId};

/// What stands in a raft snapshot's data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    bytes: u64,
    hash: u64,
    /// Hash of each chunk.
    chunks: Vec<u64>,
    members: Members,
    level: u32,
}

/// The snapshot this node offers, and the one it fetches.
#[derive(Default)]
pub(crate) struct Snapshots {
    offer: Option<Offer>,
    /// Whom the offer was announced to, and when that one last asked for a chunk.
    sending: BTreeMap<NodeId, Moment>,
    fetch: Option<Fetch>,
    /// Fetched and not yet taken by raft.
    fetched: Option<Installed>,
}

struct Offer {
    index: u64,
    hash: u64,
    chunk_bytes: usize,
    bytes: Vec<u8>,
}

struct Fetch {
    from: NodeId,
    message: Message,
    head: Head,
    bytes: Vec<u8>,
    next: u32,
    asked: Moment,
    began: Moment,
}

/// What came of a chunk.
pub(crate) enum Fetched {
    /// Nothing is complete.
    Going,
    /// All is there: raft may be told.
    Complete(Box<Message>),
    /// It cannot be read though every hash fits.
    Unreadable(String),
}

impl Snapshots {
    /// Makes a snapshot of `state` at `index` for those who lag too far.
    pub(crate) fn make(
        &mut self,
        state: &State,
        (index, term): (u64, u64),
        members: &Members,
        level: u32,
        chunk_bytes: usize,
    ) -> Result<Snapshot, FormatError> {
        let bytes = state.snapshot()?;
        let chunks = bytes.chunks(chunk_bytes.max(1)).map(Fnv::of).collect();
        let hash = Fnv::of(&bytes);
        let head = Head { bytes: bytes.len() as u64, hash, chunks, members: members.clone(), level };
        self.offer = Some(Offer { index, hash, chunk_bytes: chunk_bytes.max(1), bytes });
        let metadata = SnapshotMetadata { conf_state: Some(members.conf_state()), index, term };
        Ok(Snapshot { data: serde_json::to_vec(&head).unwrap_or_default(), metadata: Some(metadata) })
    }

    /// Notes that the offer was announced to `to`.
    pub(crate) fn announced(&mut self, to: NodeId, now: Moment) {
        self.sending.insert(to, now);
    }

    /// Those who stopped asking for chunks: raft is to try again with them.
    pub(crate) fn stalled(&mut self, now: Moment) -> Vec<NodeId> {
        let stalled = |since: &Moment| now >= *since + limits::RAFT_SNAPSHOT_STALL_MAX;
        self.sending.extract_if(.., |_, since| stalled(since)).map(|(node, _)| node).collect()
    }

    /// Whether somebody is being sent the offer.
    pub(crate) fn is_sending(&self) -> bool {
        !self.sending.is_empty()
    }

    /// Forgets whom a leader announced to: this node leads no more.
    pub(crate) fn lead_no_more(&mut self) {
        self.sending.clear();
    }

    /// Answers who asks for a chunk.
    pub(crate) fn chunk(&mut self, to: NodeId, index: u64, hash: u64, chunk: u32, now: Moment) -> Envelope {
        let offer = self.offer.as_ref().filter(|offer| (offer.index, offer.hash) == (index, hash));
        let bytes = offer.and_then(|offer| offer.bytes.chunks(offer.chunk_bytes).nth(chunk as usize));
        if bytes.is_some()
            && let Some(since) = self.sending.get_mut(&to)
        {
            *since = now;
        }
        Envelope::Chunk { index, hash, chunk, bytes: bytes.unwrap_or_default().to_vec() }
    }

    /// Begins to fetch what `message` announces, or goes on with it.
    pub(crate) fn announced_here(&mut self, from: NodeId, message: Message, now: Moment) -> Option<Envelope> {
        let head: Head = serde_json::from_slice(&message.get_snapshot().data).ok()?;
        if head.bytes > limits::RAFT_SNAPSHOT_BYTES_MAX || head.chunks.is_empty() {
            return None;
        }
        let same = |fetch: &&mut Fetch| {
            fetch.from == from && fetch.head == head && fetch.message.get_snapshot() == message.get_snapshot()
        };
        match self.fetch.as_mut().filter(same) {
            Some(fetch) => fetch.message = message,
            None => {
                let bytes = Vec::new();
                self.fetch = Some(Fetch { from, message, head, bytes, next: 0, asked: now, began: now });
            }
        }
        self.ask(now).map(|(_, envelope)| envelope)
    }

    /// Asks for the next chunk again when the last question seems lost; gives up what takes too long.
    pub(crate) fn retry(&mut self, now: Moment) -> Option<(NodeId, Envelope)> {
        self.fetch.take_if(|fetch| now >= fetch.began + limits::RAFT_SNAPSHOT_FETCH_MAX);
        let asked = self.fetch.as_ref()?.asked;
        if now < asked + limits::META_RETRY_AFTER { None } else { self.ask(now) }
    }

    fn ask(&mut self, now: Moment) -> Option<(NodeId, Envelope)> {
        let fetch = self.fetch.as_mut()?;
        fetch.asked = now;
        let index = fetch.message.get_snapshot().get_metadata().index;
        Some((fetch.from, Envelope::Fetch { index, hash: fetch.head.hash, chunk: fetch.next }))
    }

    /// Takes a chunk. What does not fit its hash is asked for again by [`Snapshots::retry`].
    pub(crate) fn take(&mut self, from: NodeId, index: u64, hash: u64, chunk: u32, bytes: &[u8]) -> Fetched {
        let Some(fetch) = self.fetch.as_mut() else { return Fetched::Going };
        let metadata = fetch.message.get_snapshot().get_metadata();
        let (at, term) = (metadata.index, metadata.term);
        if (fetch.from, at, fetch.head.hash, fetch.next) != (from, index, hash, chunk) {
            return Fetched::Going;
        }
        if bytes.is_empty() {
            // The sender has another one by now, and will announce it.
            self.fetch = None;
            return Fetched::Going;
        }
        if fetch.head.chunks.get(chunk as usize) != Some(&Fnv::of(bytes)) {
            return Fetched::Going;
        }
        fetch.bytes.extend_from_slice(bytes);
        fetch.next += 1;
        fetch.asked = Moment::ZERO;
        if (fetch.next as usize) < fetch.head.chunks.len() {
            return Fetched::Going;
        }
        let Some(Fetch { message, head, bytes, .. }) = self.fetch.take() else { return Fetched::Going };
        // Each chunk fits its hash, and the state carries one of the whole.
        if bytes.len() as u64 != head.bytes {
            return Fetched::Going;
        }
        match State::restore(&bytes) {
            Ok(state) => {
                let (members, level) = (head.members, head.level);
                self.fetched = Some(Installed { index, term, members, level, state });
                Fetched::Complete(Box::new(message))
            }
            Err(error) => Fetched::Unreadable(error.to_string()),
        }
    }

    /// What was fetched for the snapshot at `index`, which raft has taken.
    pub(crate) fn installed(&mut self, index: u64) -> Option<Installed> {
        self.fetched.take().filter(|fetched| fetched.index == index)
    }

    /// Raft did not take what was fetched.
    pub(crate) fn passed_over(&mut self) {
        self.fetched = None;
    }
}
