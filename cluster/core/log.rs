//! The log as raft reads it. All that is not compacted is in memory; its bytes are bounded by what compaction
//! leaves and by what may be uncommitted.

use std::cell::Cell;
use std::collections::VecDeque;

use prost_011::Message as _;
use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Result, Storage, StorageError};

use crate::output::{LogEntry, Vote};
use crate::saved::{Saved, SavedError};

/// The log, the vote, and the snapshot that is offered to those who lag too far.
pub(crate) struct Log {
    vote: Vote,
    conf: ConfState,
    compacted: (u64, u64),
    entries: VecDeque<Entry>,
    /// Of all entries together, as they are stored.
    bytes: u64,
    offer: Option<Snapshot>,
    /// Raft asked for a snapshot and there was none: one is to be made.
    wanted: Cell<bool>,
}

impl Log {
    pub(crate) fn new(saved: &Saved) -> std::result::Result<Self, SavedError> {
        saved.check()?;
        let mut entries = VecDeque::with_capacity(saved.entries.len());
        for stored in &saved.entries {
            let entry = Entry::decode(&*stored.bytes)
                .ok()
                .filter(|entry| (entry.index, entry.term) == (stored.index, stored.term))
                .ok_or_else(|| SavedError(format!("entry {} cannot be read", stored.index)))?;
            entries.push_back(entry);
        }
        let vote = Vote { commit: saved.vote.commit.max(saved.applied), ..saved.vote };
        Ok(Self {
            vote,
            conf: saved.members.conf_state(),
            compacted: saved.compacted,
            bytes: entries.iter().map(size).sum(),
            entries,
            offer: None,
            wanted: Cell::new(false),
        })
    }

    pub(crate) fn set_vote(&mut self, vote: &HardState) -> Vote {
        self.vote = Vote { term: vote.term, voted_for: vote.vote, commit: vote.commit };
        self.vote
    }

    /// Adds `entries`, which replace what stands there.
    pub(crate) fn append(&mut self, entries: &[Entry]) -> Vec<LogEntry> {
        if let Some(first) = entries.first() {
            let keep = first.index.saturating_sub(self.compacted.0 + 1);
            let keep = usize::try_from(keep).unwrap_or(usize::MAX).min(self.entries.len());
            let replaced: u64 = self.entries.drain(keep..).map(|entry| size(&entry)).sum();
            self.entries.extend(entries.iter().cloned());
            self.bytes = self.bytes.saturating_sub(replaced) + entries.iter().map(size).sum::<u64>();
        }
        let stored =
            |entry: &Entry| LogEntry { index: entry.index, term: entry.term, bytes: entry.encode_to_vec() };
        entries.iter().map(stored).collect()
    }

    /// Begins anew behind a snapshot.
    pub(crate) fn reset(&mut self, index: u64, term: u64) {
        self.entries.clear();
        self.bytes = 0;
        self.compacted = (index, term);
        self.offer = None;
    }

    /// Lets go what is not behind `index`. Gives what is to be stored of it.
    pub(crate) fn compact(&mut self, index: u64) -> Option<(u64, u64)> {
        if index <= self.compacted.0 {
            return None;
        }
        let term = Storage::term(self, index).ok()?;
        let gone = usize::try_from(index - self.compacted.0).ok()?;
        let gone: u64 = self.entries.drain(..gone.min(self.entries.len())).map(|entry| size(&entry)).sum();
        self.bytes = self.bytes.saturating_sub(gone);
        self.compacted = (index, term);
        // Entries behind the offered snapshot are gone: it leads nowhere.
        self.offer.take_if(|offer| offer.get_metadata().index < index);
        Some(self.compacted)
    }

    pub(crate) const fn compacted(&self) -> (u64, u64) {
        self.compacted
    }

    /// Bytes of all entries.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The first index behind which there are at most so many bytes.
    pub(crate) fn bytes_behind(&self, bytes: u64) -> u64 {
        let mut rest = self.bytes;
        let mut index = self.compacted.0;
        for entry in &self.entries {
            if rest <= bytes {
                break;
            }
            rest = rest.saturating_sub(size(entry));
            index = entry.index;
        }
        index
    }

    /// Whether raft asked for a snapshot in vain since this was last asked.
    pub(crate) fn wants_snapshot(&self) -> bool {
        self.wanted.take()
    }

    pub(crate) fn offer(&mut self, snapshot: Option<Snapshot>) {
        self.offer = snapshot;
    }

    pub(crate) fn offered(&self) -> Option<u64> {
        self.offer.as_ref().map(|offer| offer.get_metadata().index)
    }

    fn at(&self, index: u64) -> Option<&Entry> {
        let offset = index.checked_sub(self.compacted.0 + 1)?;
        self.entries.get(usize::try_from(offset).ok()?)
    }
}

fn size(entry: &Entry) -> u64 {
    entry.encoded_len() as u64
}

impl Storage for Log {
    fn initial_state(&self) -> Result<RaftState> {
        let Vote { term, voted_for, commit } = self.vote;
        Ok(RaftState::new(HardState { term, vote: voted_for, commit }, self.conf.clone()))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> Result<Vec<Entry>> {
        if low <= self.compacted.0 {
            return Err(Error::Store(StorageError::Compacted));
        }
        let max = max_size.into().unwrap_or(u64::MAX);
        let mut found = Vec::new();
        let mut bytes = 0u64;
        for index in low..high {
            let Some(entry) = self.at(index) else {
                return Err(Error::Store(StorageError::Unavailable));
            };
            bytes = bytes.saturating_add(size(entry));
            if bytes > max && !found.is_empty() {
                break;
            }
            found.push(entry.clone());
        }
        Ok(found)
    }

    fn term(&self, index: u64) -> Result<u64> {
        if index == self.compacted.0 {
            return Ok(self.compacted.1);
        }
        if index < self.compacted.0 {
            return Err(Error::Store(StorageError::Compacted));
        }
        self.at(index).map(|entry| entry.term).ok_or(Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> Result<u64> {
        Ok(self.compacted.0 + 1)
    }

    fn last_index(&self) -> Result<u64> {
        Ok(self.compacted.0 + self.entries.len() as u64)
    }

    fn snapshot(&self, request_index: u64, to: u64) -> Result<Snapshot> {
        // One from before `to` became a member is refused by it, again and again.
        let fits = |offer: &&Snapshot| {
            let metadata = offer.get_metadata();
            let conf = metadata.get_conf_state();
            let mut members = conf
                .voters
                .iter()
                .chain(&conf.learners)
                .chain(&conf.voters_outgoing)
                .chain(&conf.learners_next);
            metadata.index >= request_index.max(self.compacted.0) && members.any(|member| *member == to)
        };
        match self.offer.as_ref().filter(fits) {
            Some(offer) => Ok(offer.clone()),
            None => {
                self.wanted.set(true);
                Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: u64, term: u64) -> Entry {
        Entry { index, term, ..Entry::default() }
    }

    fn log() -> Log {
        let mut log = Log::new(&Saved::first([crate::NodeId(1)], cluster_model::State::default())).unwrap();
        log.append(&[entry(2, 1), entry(3, 1), entry(4, 2)]);
        log
    }

    fn indices(log: &Log, low: u64, high: u64) -> Vec<u64> {
        let found = log.entries(low, high, None, GetEntriesContext::empty(false)).unwrap();
        found.iter().map(|entry| entry.index).collect()
    }

    #[test]
    fn later_entries_replace_what_stood_there() {
        let mut log = log();
        log.append(&[entry(3, 3)]);
        assert_eq!((log.last_index(), log.term(3)), (Ok(3), Ok(3)));
        assert_eq!(indices(&log, 2, 4), [2, 3]);
    }

    #[test]
    fn the_term_of_the_last_compacted_entry_is_kept() {
        let mut log = log();
        assert_eq!(log.compact(3), Some((3, 1)));
        assert_eq!((log.first_index(), log.term(3)), (Ok(4), Ok(1)));
        assert_eq!(log.term(2), Err(Error::Store(StorageError::Compacted)));
        assert_eq!(log.compact(3), None);
    }

    #[test]
    fn its_bytes_are_counted_whatever_happens_to_it() {
        let large = |index, term, bytes| Entry { data: vec![0; bytes], ..entry(index, term) };
        let counted = |log: &Log| log.entries.iter().map(size).sum::<u64>();
        let mut log = log();
        log.append(&[large(4, 3, 5_000), large(5, 3, 3_000), large(6, 3, 2_000)]);
        assert_eq!(log.bytes(), counted(&log));
        let behind = |bytes| log.bytes_behind(bytes);
        assert_eq!([behind(0), behind(2_100), behind(6_000), behind(1 << 20)], [6, 5, 4, 1]);
        log.append(&[large(5, 4, 10)]);
        assert_eq!(log.bytes(), counted(&log));
        log.compact(4);
        assert_eq!(log.bytes(), counted(&log));
        log.reset(9, 9);
        assert_eq!(log.bytes(), 0);
    }

    #[test]
    fn one_entry_is_given_however_large_it_is() {
        let found = log().entries(2, 5, Some(0), GetEntriesContext::empty(false)).unwrap();
        assert_eq!(found.len(), 1);
    }
}
