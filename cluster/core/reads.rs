//! Reads that wait until this replica is known to have applied all that was committed when they were asked.
//!
//! All that wait share one question to the leader, a round. Later ones wait for the next round, since the one
//! under way may have begun before a write they must see. A question that is not answered in time is asked anew, and the
//! answer to either counts: on a way that takes longer than that, none would ever come otherwise.

use std::collections::{BTreeMap, VecDeque};

use base::limits;
use cluster_model::Query;

use crate::{Moment, NodeId, ReadId};

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// This node.
    Here(ReadId),
    /// Another one, by its number for it.
    There(NodeId, u64),
}

/// One question.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) asker: Asker,
    /// Without one, it is asked only how fresh this replica is.
    pub(crate) query: Option<Query>,
    pub(crate) deadline: Moment,
}

struct Round {
    context: Vec<u8>,
    /// When it began: what it finds is at least this fresh.
    stamp: Moment,
    /// The commit it found; to be applied before the reads are answered.
    index: Option<u64>,
    reads: Vec<Read>,
}

/// Questions and rounds.
#[derive(Default)]
pub(crate) struct Reads {
    waiting: Vec<Read>,
    rounds: VecDeque<Round>,
    count: usize,
    last: u64,
    began: Option<Moment>,
    /// The newest round that each other member had this one find the commit for.
    asked: BTreeMap<NodeId, [u64; 3]>,
}

impl Reads {
    /// Whether `node`, a member, asks under `context` for the first time. A question that comes twice must not be put to
    /// raft twice: late answers to the first would confirm the second, and with it all that was asked before that.
    pub(crate) fn is_asked_anew(&mut self, node: NodeId, context: &[u8]) -> bool {
        let mut numbers =
            context.chunks_exact(8).filter_map(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
        let (Some(asker), Some(boot), Some(number), None) =
            (numbers.next(), numbers.next(), numbers.next(), numbers.next())
        else {
            return false;
        };
        let newest = self.asked.entry(node).or_default();
        let is_newer = [asker, boot, number] > *newest;
        if is_newer {
            *newest = [asker, boot, number];
        }
        is_newer
    }

    /// Forgets what nodes asked that are not `members`.
    pub(crate) fn keep_askers(&mut self, is_member: impl Fn(NodeId) -> bool) {
        self.asked.retain(|node, _| is_member(*node));
    }

    /// Takes a question, unless there are too many.
    pub(crate) fn add(&mut self, read: Read) -> bool {
        if self.count >= limits::META_READS_MAX {
            return false;
        }
        self.count += 1;
        self.waiting.push(read);
        true
    }

    /// The context of a round that is to begin now, if any. `prefix` tells this life of this node from all
    /// others: an answer to a question of an earlier life must fit none of this one.
    pub(crate) fn begin(&mut self, now: Moment, prefix: [u64; 2]) -> Option<Vec<u8>> {
        let unanswered = self.rounds.back().filter(|round| round.index.is_none());
        if unanswered.is_some_and(|round| now < round.stamp + limits::META_READ_RETRY_AFTER) {
            return None;
        }
        // Lost, late, or there was no leader.
        let is_late = unanswered.is_some();
        let fresh_due = self.began.is_none_or(|began| now >= began + limits::META_FRESHEN_EVERY);
        if self.waiting.is_empty() && !is_late && !fresh_due {
            return None;
        }
        self.began = Some(now);
        self.last += 1;
        let context: Vec<u8> = prefix.into_iter().chain([self.last]).flat_map(u64::to_le_bytes).collect();
        let reads = std::mem::take(&mut self.waiting);
        self.rounds.push_back(Round { context: context.clone(), stamp: now, index: None, reads });
        if self.rounds.len() > limits::META_READ_ROUNDS_MAX
            && let Some(oldest) = self.rounds.pop_front()
            && let Some(next) = self.rounds.front_mut()
        {
            next.reads.splice(0..0, oldest.reads);
        }
        Some(context)
    }

    /// The leader answered the round `context` with the commit `index`.
    pub(crate) fn found(&mut self, context: &[u8], index: u64) {
        if let Some(round) = self.rounds.iter_mut().find(|round| round.context == context) {
            round.index = Some(index);
        }
    }

    /// The newest round that is complete once `applied` is applied: its stamp, and the reads to be answered. Those of earlier
    /// rounds, which were asked before it began, are among them.
    pub(crate) fn complete(&mut self, applied: u64) -> Option<(Moment, Vec<Read>)> {
        let at = self.rounds.iter().rposition(|round| round.index.is_some_and(|index| index <= applied))?;
        let stamp = self.rounds.get(at)?.stamp;
        let reads: Vec<_> = self.rounds.drain(..=at).flat_map(|round| round.reads).collect();
        self.count = self.count.saturating_sub(reads.len());
        Some((stamp, reads))
    }

    /// Those whose deadline passed.
    pub(crate) fn expired(&mut self, now: Moment) -> Vec<Read> {
        let mut late = Vec::new();
        let all = self.rounds.iter_mut().map(|round| &mut round.reads).chain([&mut self.waiting]);
        for reads in all {
            late.extend(reads.extract_if(.., |read| read.deadline <= now));
        }
        self.count = self.count.saturating_sub(late.len());
        late
    }

    /// All of them, for a core that stops.
    pub(crate) fn closed(&mut self) -> Vec<Read> {
        self.expired(Moment::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Moment = Duration::from_secs(1);

    fn read(n: u64) -> Read {
        Read { asker: Asker::Here(ReadId(n)), query: None, deadline: 100 * SECOND }
    }

    #[test]
    fn a_read_that_comes_during_a_round_waits_for_the_next_one() {
        let mut reads = Reads::default();
        reads.add(read(1));
        let first = reads.begin(SECOND, [1, 1]).unwrap();
        reads.add(read(2));
        assert_eq!(reads.begin(SECOND, [1, 1]), None);
        reads.found(&first, 7);
        let second = reads.begin(SECOND, [1, 1]).unwrap();
        reads.found(&second, 8);
        assert!(reads.complete(6).is_none());
        assert_eq!(reads.complete(7).unwrap().1[0].asker, Asker::Here(ReadId(1)));
        assert!(reads.complete(7).is_none());
        assert_eq!(reads.complete(8).unwrap().1[0].asker, Asker::Here(ReadId(2)));
    }

    #[test]
    fn a_late_round_is_asked_anew_and_either_answer_counts() {
        let again_at = SECOND + limits::META_READ_RETRY_AFTER;
        let asked_twice = || {
            let mut reads = Reads::default();
            reads.add(read(1));
            let late = reads.begin(SECOND, [1, 1]).unwrap();
            reads.add(read(2));
            let again = reads.begin(again_at, [1, 1]).unwrap();
            (reads, late, again)
        };
        // Who asked after the first had begun waits for the second.
        let (mut reads, late, again) = asked_twice();
        reads.found(&late, 1);
        let (stamp, answered) = reads.complete(10).unwrap();
        assert_eq!((stamp, answered.len()), (SECOND, 1));
        reads.found(&again, 1);
        let (stamp, answered) = reads.complete(10).unwrap();
        assert_eq!((stamp, answered.len()), (again_at, 1));
        // If the first is lost, the second answers both.
        let (mut reads, late, again) = asked_twice();
        reads.found(&again, 1);
        assert_eq!(reads.complete(10).unwrap().1.len(), 2);
        reads.found(&late, 1);
        assert!(reads.complete(10).is_none());
        assert_eq!(reads.count, 0);
    }

    #[test]
    fn a_leader_that_never_answers_is_asked_on_and_what_is_asked_stays_bounded() {
        let mut reads = Reads::default();
        reads.add(read(1));
        let mut newest = Vec::new();
        for n in 0..40 {
            newest = reads.begin(SECOND + n * limits::META_READ_RETRY_AFTER, [1, 1]).unwrap();
            assert!(reads.rounds.len() <= limits::META_READ_ROUNDS_MAX);
        }
        reads.found(&newest, 1);
        assert_eq!(reads.complete(1).unwrap().1.len(), 1);
    }
}
