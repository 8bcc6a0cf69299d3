//! How writes are ordered, and which of them count after a restore.

use cluster_model::Revision;
use std::collections::BTreeMap;

/// Bits of a timestamp that hold the revision.
const REVISION_BITS: u32 = 40;
const REVISION_MAX: u64 = (1 << REVISION_BITS) - 1;
/// Timestamps of CQL are signed.
const GENERATION_MAX: u64 = (1 << (63 - REVISION_BITS)) - 1;

/// What a write is of: the order of stamps is that of the writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// How often the cluster's data was restored before.
    pub generation: u64,
    /// The revision that made it.
    pub revision: Revision,
}

impl Stamp {
    /// Of a revision of a generation.
    pub const fn new(generation: u64, revision: Revision) -> Self {
        Self { generation, revision }
    }

    /// The timestamp of its writes: `generation * 2^40 + revision`. Beyond 2^40 revisions or 2^23 generations, which
    /// is 34 years at 1,000 commands per second, it stands still: later writes no longer win.
    pub fn timestamp(self) -> i64 {
        let generation = self.generation.min(GENERATION_MAX) << REVISION_BITS;
        i64::try_from(generation | self.revision.0.min(REVISION_MAX)).unwrap_or(i64::MAX)
    }

    /// The reverse of [`Stamp::timestamp`]. What is below zero was written by nobody of ours, and is before everything.
    pub fn of_timestamp(timestamp: i64) -> Self {
        let bits = u64::try_from(timestamp).unwrap_or(0);
        Self { generation: bits >> REVISION_BITS, revision: Revision(bits & REVISION_MAX) }
    }
}

/// Up to which revision of which generation writes count. What a cluster goes on to write after another one was restored
/// from its archive does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lineage {
    /// The generation that counts now.
    pub generation: u64,
    /// The last revision taken over of those before.
    ended: BTreeMap<u64, Revision>,
}

impl Lineage {
    /// Of a generation that nothing was restored to yet.
    pub const fn first(generation: u64) -> Self {
        Self { generation, ended: BTreeMap::new() }
    }

    /// Reads what [`Lineage::to_text`] wrote; `None`: it is something else.
    pub fn parse(generation: u64, text: &str) -> Option<Self> {
        let mut ended = BTreeMap::new();
        for part in text.split_whitespace() {
            let (generation, revision) = part.split_once(':')?;
            ended.insert(generation.parse().ok()?, Revision(revision.parse().ok()?));
        }
        Some(Self { generation, ended })
    }

    /// As it is stored: `0:1200 1:50`.
    pub fn to_text(&self) -> String {
        let parts: Vec<_> =
            self.ended.iter().map(|(generation, revision)| format!("{generation}:{revision}")).collect();
        parts.join(" ")
    }

    /// After a restore from `stamp` to `generation`.
    #[must_use]
    pub fn restored(&self, from: Stamp, generation: u64) -> Self {
        let mut ended = self.ended.clone();
        // What was written between the copy and now, by this generation or one in between, is not taken over.
        ended.retain(|generation, _| *generation < from.generation);
        ended.insert(from.generation, from.revision);
        Self { generation, ended }
    }

    /// The last revision of `generation` that counts; `None`: none does. `u64::MAX`: every one.
    pub fn last_of(&self, generation: u64) -> Option<Revision> {
        if generation == self.generation {
            return Some(Revision(u64::MAX));
        }
        self.ended.get(&generation).copied()
    }

    /// Whether what was written under `stamp` is part of the cluster's data.
    pub fn counts(&self, stamp: Stamp) -> bool {
        self.last_of(stamp.generation).is_some_and(|last| stamp.revision <= last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_restore_beats_any_revision() {
        let stamp = |generation, revision| Stamp::new(generation, Revision(revision)).timestamp();
        assert!(stamp(1, 0) > stamp(0, REVISION_MAX) && stamp(0, 8) > stamp(0, 7) && stamp(0, 0) == 0);
        assert_eq!(Stamp::of_timestamp(stamp(3, 17)), Stamp::new(3, Revision(17)));
        assert!(stamp(u64::MAX, u64::MAX) == i64::MAX && Stamp::of_timestamp(-1) == Stamp::default());
    }

    #[test]
    fn what_a_cluster_wrote_after_it_was_taken_over_does_not_count() {
        let at = |generation, revision| Stamp::new(generation, Revision(revision));
        let lineage = Lineage::first(0).restored(at(0, 100), 1).restored(at(1, 150), 2);
        assert!(lineage.counts(at(0, 100)) && !lineage.counts(at(0, 101)));
        assert!(lineage.counts(at(1, 150)) && !lineage.counts(at(1, 151)));
        assert!(lineage.counts(at(2, 1_000_000)) && !lineage.counts(at(3, 1)));
        assert_eq!(Lineage::parse(2, &lineage.to_text()), Some(lineage.clone()));
        assert_eq!(Lineage::parse(2, "rubbish"), None);
        // Restored from what is older than the last restore: that one is void as a whole.
        let back = lineage.restored(at(0, 90), 3);
        assert!(back.counts(at(0, 90)) && !back.counts(at(0, 91)) && !back.counts(at(1, 1)));
    }
}
