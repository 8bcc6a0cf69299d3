//! Proposals made on this node until they are answered.

use std::collections::BTreeMap;

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

/// What waits for an answer. Retried until the deadline, always under the same request.
#[derive(Default)]
pub(crate) struct Proposals {
    pending: BTreeMap<RequestId, Pending>,
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
            pending.deadline = pending.deadline.max(deadline);
            return Ok(());
        }
        if self.pending.len() >= limits::META_COMMANDS_MAX {
            return Err(NotApplied::Busy);
        }
        self.pending.insert(request, Pending { command, deadline, next_try: now, sent: false });
        Ok(())
    }

    /// Those whose time to be tried (again) has come.
    pub(crate) fn due(&self, now: Moment) -> Vec<(RequestId, Vec<u8>)> {
        self.pending
            .iter()
            .filter(|(_, pending)| pending.next_try <= now)
            .map(|(request, pending)| (*request, pending.command.clone()))
            .collect()
    }

    /// Whether something was handed on and not answered in time.
    pub(crate) fn any_overdue(&self, now: Moment) -> bool {
        self.pending.values().any(|pending| pending.sent && pending.next_try <= now)
    }

    /// Notes that `request` was handed on, and is to be tried again later.
    pub(crate) fn sent(&mut self, request: RequestId, now: Moment) {
        if let Some(pending) = self.pending.get_mut(&request) {
            pending.sent = true;
            pending.next_try = now + limits::META_RETRY_AFTER;
        }
    }

    /// Notes that all may be tried at once: there is another leader.
    pub(crate) fn hurry(&mut self, now: Moment) {
        for pending in self.pending.values_mut() {
            pending.next_try = now;
        }
    }

    /// Whether `request` waited here; it does no more.
    pub(crate) fn answered(&mut self, request: RequestId) -> bool {
        self.pending.remove(&request).is_some()
    }

    /// Those whose deadline passed, and what can be said of them.
    pub(crate) fn expired(&mut self, now: Moment) -> Vec<(RequestId, Proposal)> {
        let late = self.pending.extract_if(.., |_, pending| pending.deadline <= now);
        late.map(|(request, pending)| (request, unanswered(pending.sent, NotApplied::TooLate))).collect()
    }

    /// All of them, for a core that stops.
    pub(crate) fn closed(&mut self) -> Vec<(RequestId, Proposal)> {
        let all = std::mem::take(&mut self.pending);
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
}
