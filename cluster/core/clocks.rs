//! The cluster's time: what a leader stamps commands with.
//!
//! A state's time never goes back, and leases and tokens end by it; so no single wall clock may drive it. Members tell
//! each other what theirs show. A leader stamps with the median of the voters' clocks, guessed low while some are not
//! known: of three voters one may be wrong by any amount and moves nothing. Between two looks, and while too few clocks are
//! known, time goes on by a monotonic clock: the leader's since it stamped last, and before that, the one of whoever leads now
//! since the newest stamp came to it. What is ahead of the median (its clocks went back) goes on at half speed until they meet,
//! what lags (nobody led, and then too few clocks were known) at a tenth more: so however clocks jump, a lease of 6 s is never
//! over for others while its owner relies on it for 5 s. Only where that hurts no lease time is set right at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base::{WallTime, limits};

use crate::{Moment, NodeId, Now};

/// What members' wall clocks showed, and the newest time that was given.
pub(crate) struct Clocks {
    /// By member: when it was heard, by this node's monotonic clock, and what it said.
    heard: BTreeMap<NodeId, (Moment, WallTime)>,
    /// The time that stands last in the log, since the epoch, and since when it does here.
    newest: (Moment, Duration),
    /// Whether this node gave time since it leads.
    given: bool,
}

/// What time it is for whom.
#[derive(Clone, Copy)]
pub(crate) struct Leader<'a> {
    /// Who leads.
    pub(crate) node: NodeId,
    /// Its clocks.
    pub(crate) now: Now,
    /// Since when it leads.
    pub(crate) since: Moment,
    /// Whom it leads.
    pub(crate) voters: &'a [&'a BTreeSet<NodeId>],
}

impl Clocks {
    /// Begins at `now` with a state whose time is `state`.
    pub(crate) fn new(now: Moment, state: WallTime) -> Self {
        Self { heard: BTreeMap::new(), newest: (now, Duration::from_millis(state.as_millis())), given: false }
    }

    /// `node`, a member, says what its clock shows.
    pub(crate) fn hear(&mut self, node: NodeId, now: Moment, wall: WallTime) {
        self.heard.insert(node, (now, wall));
        self.heard.retain(|_, (at, _)| now.saturating_sub(*at) <= limits::CLUSTER_CLOCK_KEPT);
    }

    /// Another leadership begins.
    pub(crate) fn begin(&mut self) {
        self.given = false;
    }

    /// Another leader gave time `at`, it came here at `now`. What this node knew to be later counts no more: what it gave then
    /// never came into the log, and leases go by what did.
    pub(crate) fn note(&mut self, now: Moment, at: WallTime) {
        self.newest = (now, Duration::from_millis(at.as_millis()));
    }

    /// The time now. `None` while too few clocks are known, and while it lags far and leases that others gave may run: for some
    /// seconds at most. `leases_run`: whether it matters to anybody if time jumps.
    pub(crate) fn stamp(
        &mut self,
        leader: Leader<'_>,
        leases_run: impl FnOnce() -> bool,
    ) -> Option<WallTime> {
        let Leader { now, since, voters, .. } = leader;
        let medians = voters.iter().map(|voters| self.median(leader, voters)).collect::<Option<Vec<_>>>();
        let median = medians.and_then(|medians| medians.into_iter().min());
        if median.is_none() && !self.given && now.monotonic < since + limits::CLUSTER_CLOCK_WAIT_MAX {
            return None;
        }
        let (at, newest) = self.newest;
        let elapsed = now.monotonic.saturating_sub(at);
        let mut time = newest + elapsed;
        if let Some(median) = median {
            let most = median + limits::CLUSTER_CLOCK_SLACK;
            // As fast as a lease may end for others.
            let paced = time + elapsed / 10;
            if time > most {
                time = most.max(newest + elapsed / 2);
            } else if median <= paced {
                time = time.max(median);
            } else if !leases_run() {
                time = median;
            } else if !self.given && median > paced + limits::CLUSTER_CLOCK_LAG_MAX {
                // Whoever had a lease had it from another leader. When that cannot be relied on any more, time may jump.
                if now.monotonic < since + limits::CLAIM_LEASE {
                    return None;
                }
                time = median;
            } else {
                time = paced;
            }
        }
        self.given = true;
        self.newest = (now.monotonic, time);
        Some(WallTime(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The lower median of the clocks of `voters`, or less: those that are not known count as far behind.
    fn median(&self, leader: Leader<'_>, voters: &BTreeSet<NodeId>) -> Option<Duration> {
        let Leader { node: own, now, .. } = leader;
        let shown = |node: &NodeId| {
            if *node == own {
                return Some(Duration::from_millis(now.wall.as_millis()));
            }
            let (at, wall) = self.heard.get(node)?;
            let age = now.monotonic.saturating_sub(*at);
            (age <= limits::CLUSTER_CLOCK_KEPT).then(|| Duration::from_millis(wall.as_millis()) + age)
        };
        let mut known: Vec<_> = voters.iter().filter_map(shown).collect();
        known.sort_unstable();
        let unknown = voters.len() - known.len();
        let place = voters.len().div_ceil(2).checked_sub(unknown + 1)?;
        known.get(place).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HOURS_MS: u64 = 2 * 3_600_000;

    fn voters(count: u64) -> BTreeSet<NodeId> {
        (1..=count).map(NodeId).collect()
    }

    /// The time at `monotonic` for node 1, whose wall clock shows `wall_ms` and which leads since second 1.
    fn stamp(
        clocks: &mut Clocks,
        voters: &[&BTreeSet<NodeId>],
        (monotonic, wall_ms): (Moment, u64),
        leases_run: bool,
    ) -> Option<u64> {
        let now = Now { monotonic, wall: WallTime(wall_ms) };
        let leader = Leader { node: NodeId(1), now, since: SECOND, voters };
        clocks.stamp(leader, || leases_run).map(WallTime::as_millis)
    }

    #[test]
    fn one_clock_that_is_hours_ahead_or_behind_moves_nothing() {
        let all = voters(3);
        let mut clocks = Clocks::new(Duration::ZERO, WallTime(1_000_000));
        // The leader's own is ahead, then one of the others, then one is behind.
        for (n, walls) in (0..).zip([
            [HOURS_MS, 0, 0],
            [0, HOURS_MS, 0],
            [0, 0, HOURS_MS],
            [HOURS_MS, HOURS_MS, 2 * HOURS_MS],
        ]) {
            let (at, base) = (SECOND * n, 1_000_000 + 1_000 * u64::from(n));
            for (node, off) in (2..).zip(&walls[1..]) {
                clocks.hear(NodeId(node), at, WallTime(base + off));
            }
            let given = stamp(&mut clocks, &[&all], (at, base + walls[0]), false);
            let expected = if walls[2] > HOURS_MS { base + HOURS_MS } else { base };
            assert_eq!(given, Some(expected), "{walls:?}");
        }
    }

    #[test]
    fn with_a_voter_away_the_lower_clock_counts_and_time_goes_on_all_the_same() {
        let all = voters(3);
        let mut clocks = Clocks::new(SECOND, WallTime(0));
        clocks.hear(NodeId(2), SECOND, WallTime(1_000_000));
        let mut given = |at: u32| stamp(&mut clocks, &[&all], (SECOND * at, 1_000_000 + HOURS_MS), false);
        assert_eq!(given(1), Some(1_000_000));
        // Nobody was heard for longer than counts: what was given last goes on.
        assert_eq!(given(31), Some(1_030_000));
    }

    #[test]
    fn what_is_ahead_of_the_median_goes_on_at_half_speed_until_they_meet() {
        let all = voters(1);
        let mut clocks = Clocks::new(SECOND, WallTime(0));
        let mut given = |at: u32, wall_ms| stamp(&mut clocks, &[&all], (SECOND * at, wall_ms), false);
        assert_eq!(given(1, 100_000), Some(100_000));
        // The clock goes back by ten seconds.
        assert_eq!(given(5, 94_000), Some(102_000));
        assert_eq!(given(21, 110_000), Some(111_000));
        assert_eq!(given(22, 111_000), Some(112_000));
        assert_eq!(given(23, 115_000), Some(115_000));
    }

    #[test]
    fn what_lags_goes_on_at_a_tenth_more_while_leases_run_and_jumps_when_none_does() {
        let all = voters(1);
        let mut clocks = Clocks::new(SECOND, WallTime(100_000));
        let mut given =
            |at: u32, wall_ms, leases_run| stamp(&mut clocks, &[&all], (SECOND * at, wall_ms), leases_run);
        // The clock went forward by five seconds.
        assert_eq!(given(2, 106_000, true), Some(101_100));
        assert_eq!(given(12, 116_000, true), Some(112_100));
        // However far it is ahead, once this leader gave leases.
        assert_eq!(given(22, 100_000 + HOURS_MS, true), Some(123_100));
        assert_eq!(given(23, 100_000 + HOURS_MS, false), Some(100_000 + HOURS_MS));
    }

    /// All voters were away for hours, and nodes go on that may have got leases just before.
    #[test]
    fn a_new_leader_whose_time_lags_far_gives_none_until_it_may_jump() {
        let all = voters(1);
        let mut clocks = Clocks::new(Duration::ZERO, WallTime(100_000));
        let wall_ms = 100_000 + HOURS_MS;
        assert_eq!(stamp(&mut clocks, &[&all], (SECOND, wall_ms), true), None);
        let over = SECOND + limits::CLAIM_LEASE;
        assert_eq!(stamp(&mut clocks, &[&all], (over - Duration::from_millis(1), wall_ms), true), None);
        assert_eq!(stamp(&mut clocks, &[&all], (over, wall_ms), true), Some(wall_ms));
    }

    #[test]
    fn without_a_majority_of_clocks_a_leader_waits_a_little_and_then_goes_on() {
        let all = voters(3);
        let mut clocks = Clocks::new(Duration::ZERO, WallTime(4_000));
        // From when another leader's stamp came here, not from when this one began to lead.
        clocks.note(SECOND / 4, WallTime(6_000));
        clocks.note(SECOND / 2, WallTime(5_000));
        assert_eq!(stamp(&mut clocks, &[&all], (SECOND, 9_000), true), None);
        let later = SECOND + limits::CLUSTER_CLOCK_WAIT_MAX;
        let given = stamp(&mut clocks, &[&all], (later, 9_000), true);
        assert_eq!(given, Some(5_500 + limits::CLUSTER_CLOCK_WAIT_MAX.as_millis() as u64));
    }

    #[test]
    fn in_a_joint_configuration_both_majorities_agree_on_the_time() {
        let (old, new) = (voters(3), [1, 4, 5].map(NodeId).into_iter().collect());
        let mut clocks = Clocks::new(SECOND, WallTime(0));
        for node in [2, 3] {
            clocks.hear(NodeId(node), SECOND, WallTime(1_000));
        }
        for node in [4, 5] {
            clocks.hear(NodeId(node), SECOND, WallTime(1_000 + HOURS_MS));
        }
        assert_eq!(stamp(&mut clocks, &[&new, &old], (SECOND, 1_000 + HOURS_MS), false), Some(1_000));
    }
}
