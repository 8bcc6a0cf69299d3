//! Proposals made on this node until they are answered.

use std::collections::{BTreeMap, BTreeSet};

use base::limits;
use cluster_model::{NotApplied, Proposal, RequestId};

use crate::Moment;

struct Pending {
    command: Vec<u8>,
    deadline: Moment,
    next_try: Moment,
    /// It may be in somebody's log, now or later: that it was not applied cannot be said any more.
    sent: bool,
}

/// What waits for an answer. Retried until the deadline, always under the same request. All that is asked of it costs
/// what is due, not what waits.
pub(crate) struct Proposals {
    pending: BTreeMap<RequestId, Pending>,
    /// When each is to be tried (again).
    tries: BTreeSet<(Moment, RequestId)>,
    deadlines: BTreeSet<(Moment, RequestId)>,
    max: usize,
}

impl Default for Proposals {
    fn default() -> Self {
        Self {
            pending: BTreeMap::new(),
            tries: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            max: limits::META_COMMANDS_MAX,
        }
    }
}

impl Proposals {
    /// Takes a proposal, unless there are too many.
    pub(crate) fn add(
        &mut self,
        request: RequestId,
        command: Vec<u8>,
        now: Moment,
        deadline: Moment,
    ) -> Result<(), NotApplied> {
        if deadline <= now {
            return Err(NotApplied::TooLate);
        }
        if let Some(pending) = self.pending.get_mut(&request) {
            if pending.deadline < deadline {
                self.deadlines.remove(&(pending.deadline, request));
                self.deadlines.insert((deadline, request));
                pending.deadline = deadline;
            }
            return Ok(());
        }
        if self.pending.len() >= self.max {
            return Err(NotApplied::Busy);
        }
        self.tries.insert((now, request));
        self.deadlines.insert((deadline, request));
        self.pending.insert(request, Pending { command, deadline, next_try: now, sent: false });
        Ok(())
    }

    /// Those whose time to be tried (again) has come, the first one first. They stay so until they are
    /// [`Proposals::sent`].
    pub(crate) fn due(&self, now: Moment) -> impl Iterator<Item = (RequestId, &Vec<u8>)> {
        let due = self.tries.iter().take_while(move |(at, _)| *at <= now);
        due.filter_map(|(_, request)| Some((*request, &self.pending.get(request)?.command)))
    }

    /// The first of them.
    pub(crate) fn next_due(&self, now: Moment) -> Option<(RequestId, Vec<u8>)> {
        self.due(now).next().map(|(request, command)| (request, command.clone()))
    }

    /// Whether something was handed on and not answered in time.
    pub(crate) fn any_overdue(&self, now: Moment) -> bool {
        let mut due = self.tries.iter().take_while(|(at, _)| *at <= now);
        due.any(|(_, request)| self.pending.get(request).is_some_and(|pending| pending.sent))
    }

    /// Notes that `request` was handed on, and is to be tried again later.
    pub(crate) fn sent(&mut self, request: RequestId, now: Moment) {
        if let Some(pending) = self.pending.get_mut(&request) {
            self.tries.remove(&(pending.next_try, request));
            pending.sent = true;
            pending.next_try = now + limits::META_RETRY_AFTER;
            self.tries.insert((pending.next_try, request));
        }
    }

    /// Notes that all may be tried at once: there is another leader.
    pub(crate) fn hurry(&mut self, now: Moment) {
        self.tries.clear();
        for (request, pending) in &mut self.pending {
            pending.next_try = now;
            self.tries.insert((now, *request));
        }
    }

    /// Whether `request` waited here; it does no more.
    pub(crate) fn answered(&mut self, request: RequestId) -> bool {
        self.remove(request).is_some()
    }

    fn remove(&mut self, request: RequestId) -> Option<Pending> {
        let pending = self.pending.remove(&request)?;
        self.tries.remove(&(pending.next_try, request));
        self.deadlines.remove(&(pending.deadline, request));
        Some(pending)
    }

    /// Those whose deadline passed, and what can be said of them.
    pub(crate) fn expired(&mut self, now: Moment) -> Vec<(RequestId, Proposal)> {
        let late: Vec<_> =
            self.deadlines.iter().take_while(|(deadline, _)| *deadline <= now).copied().collect();
        let late = late.into_iter().filter_map(|(_, request)| Some((request, self.remove(request)?.sent)));
        late.map(|(request, sent)| (request, unanswered(sent, NotApplied::TooLate))).collect()
    }

    /// All of them, for a core that stops.
    pub(crate) fn closed(&mut self) -> Vec<(RequestId, Proposal)> {
        let all = std::mem::take(self).pending;
        all.into_iter()
            .map(|(request, pending)| (request, unanswered(pending.sent, NotApplied::Closed)))
            .collect()
    }
}

const fn unanswered(sent: bool, why: NotApplied) -> Proposal {
    if sent { Proposal::Unknown } else { Proposal::NotApplied(why) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base::{Clock, SystemClock};

    use super::*;

    const SECOND: Moment = Duration::from_secs(1);

    #[test]
    fn what_was_handed_on_is_unknown_at_its_deadline_and_what_was_not_is_not_applied() {
        let mut proposals = Proposals::default();
        let (a, b) = (RequestId::from_u128(1), RequestId::from_u128(2));
        for request in [a, b] {
            proposals.add(request, vec![], SECOND, 3 * SECOND).unwrap();
        }
        proposals.sent(a, SECOND);
        assert_eq!(proposals.expired(2 * SECOND), []);
        let late = Proposal::NotApplied(NotApplied::TooLate);
        assert_eq!(proposals.expired(3 * SECOND), [(a, Proposal::Unknown), (b, late)]);
        assert!(!proposals.answered(a));
    }

    #[test]
    fn what_was_handed_on_comes_again_and_what_waits_longest_comes_first() {
        let mut proposals = Proposals::default();
        for (n, at) in [(3, 1), (1, 2), (2, 3)] {
            proposals.add(RequestId::from_u128(n), vec![], at * SECOND, 30 * SECOND).unwrap();
        }
        let due = |proposals: &Proposals, now| proposals.next_due(now).map(|(request, _)| request.as_u128());
        let all: Vec<_> = proposals.due(2 * SECOND).map(|(request, _)| request.as_u128()).collect();
        assert_eq!((all, due(&proposals, 3 * SECOND)), (vec![3, 1], Some(3)));
        proposals.sent(RequestId::from_u128(3), 3 * SECOND);
        assert!(!proposals.any_overdue(3 * SECOND));
        assert_eq!(due(&proposals, 3 * SECOND), Some(1));
        assert!(proposals.answered(RequestId::from_u128(1)) && proposals.answered(RequestId::from_u128(2)));
        assert_eq!(due(&proposals, 3 * SECOND), None);
        let later = 3 * SECOND + limits::META_RETRY_AFTER;
        assert_eq!((due(&proposals, later), proposals.any_overdue(later)), (Some(3), true));
        proposals.sent(RequestId::from_u128(3), later);
        proposals.hurry(later);
        assert_eq!(due(&proposals, later), Some(3));
        // A later deadline counts, an earlier one does not.
        proposals.add(RequestId::from_u128(3), vec![], later, 40 * SECOND).unwrap();
        proposals.add(RequestId::from_u128(3), vec![], later, 20 * SECOND).unwrap();
        assert_eq!(proposals.expired(39 * SECOND), []);
        assert_eq!(proposals.expired(40 * SECOND).len(), 1);
        assert!(proposals.tries.is_empty() && proposals.deadlines.is_empty());
    }

    #[test]
    fn more_than_may_wait_are_refused() {
        let mut proposals = Proposals::default();
        for n in 0..limits::META_COMMANDS_MAX {
            proposals.add(RequestId::from_u128(n as u128), vec![], SECOND, 3 * SECOND).unwrap();
        }
        let more = proposals.add(RequestId::from_u128(u128::MAX), vec![], SECOND, 3 * SECOND);
        assert_eq!(more, Err(NotApplied::Busy));
        // One that waits already is no more.
        assert_eq!(proposals.add(RequestId::from_u128(0), vec![], SECOND, 4 * SECOND), Ok(()));
    }

    /// Of ten that wait and of ten thousand one is taken, handed on and answered, ten thousand times.
    #[test]
    fn one_proposal_costs_the_same_however_many_wait() {
        const ROUNDS: usize = 10_000;
        let round = |proposals: &mut Proposals, n: u128| {
            let request = RequestId::from_u128(n);
            proposals.add(request, vec![0; 100], SECOND, 9 * SECOND).unwrap();
            assert_eq!(proposals.next_due(SECOND).map(|(request, _)| request), Some(request));
            proposals.sent(request, SECOND);
            assert!(!proposals.any_overdue(SECOND) && proposals.expired(SECOND).is_empty());
            assert!(proposals.answered(request));
        };
        let beside = |waiting: usize| {
            let mut proposals = Proposals { max: waiting + 1, ..Proposals::default() };
            for n in 0..waiting as u128 {
                proposals.add(RequestId::from_u128(n), vec![0; 100], SECOND, 9 * SECOND).unwrap();
                proposals.sent(RequestId::from_u128(n), SECOND);
            }
            let began = SystemClock.now();
            for n in 0..ROUNDS as u128 {
                round(&mut proposals, u128::MAX - n);
            }
            SystemClock.now().saturating_duration_since(began)
        };
        // The quickest of some, so that what else the machine does counts for neither.
        let quickest = |waiting| (0..5).map(|_| beside(waiting)).min().unwrap();
        let (few, many) = (quickest(10), quickest(10_000));
        println!("{ROUNDS} proposals beside 10 that wait: {few:?}, beside 10,000: {many:?}");
        // With a walk over all that wait it is more than a hundred times as long.
        assert!(many < 20 * few, "{few:?} and {many:?}");
    }
}
