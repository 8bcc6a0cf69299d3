//! How old what a node knows may be, by its own clock alone.

use std::time::Duration;

use base::limits;

use crate::Moment;

/// What a node may decide by itself (table 6.3 of the design).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// The plane answers.
    Fresh,
    /// The plane is away, and was there within the lease.
    Isolated,
    /// The plane is away for longer than the lease.
    Lost,
    /// The plane never answered since this process started.
    Cold,
}

/// The newest own stamp that a member answered after it had made sure of the newest commit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Freshness {
    newest: Option<Moment>,
}

impl Freshness {
    /// Takes `stamp`, which this node gave when it asked. Older ones than the newest say nothing new.
    pub(crate) fn answered(&mut self, stamp: Moment) {
        self.newest = self.newest.max(Some(stamp));
    }

    /// How old what this node knows is at most; `None` while nobody ever answered.
    pub(crate) fn age(&self, now: Moment) -> Option<Duration> {
        self.newest.map(|newest| now.saturating_sub(newest))
    }

    /// What the node may decide by itself.
    pub(crate) fn authority(&self, now: Moment, lease: Duration) -> Authority {
        match self.age(now) {
            None => Authority::Cold,
            Some(age) if age <= limits::META_FRESH_AGE_MAX => Authority::Fresh,
            Some(age) if age <= lease => Authority::Isolated,
            Some(_) => Authority::Lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authority_goes_by_the_newest_answered_stamp() {
        let (lease, second) = (Duration::from_secs(300), Duration::from_secs(1));
        let mut freshness = Freshness::default();
        assert_eq!(freshness.authority(second * 9, lease), Authority::Cold);
        freshness.answered(second * 10);
        // An answer that was long on its way makes nothing younger.
        freshness.answered(second * 4);
        assert_eq!(freshness.age(second * 11), Some(second));
        assert_eq!(freshness.authority(second * 12, lease), Authority::Fresh);
        assert_eq!(freshness.authority(second * 13, lease), Authority::Isolated);
        assert_eq!(freshness.authority(second * 310, lease), Authority::Isolated);
        assert_eq!(freshness.authority(second * 311, lease), Authority::Lost);
    }
}
