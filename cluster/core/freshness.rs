//! How old what a node knows may be, by its own clock alone.

use std::time::Duration;

use cluster_model::Authority;

use crate::Moment;

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

    /// The newest stamp that was answered.
    pub(crate) const fn newest(&self) -> Option<Moment> {
        self.newest
    }

    /// How old what this node knows is at most; `None` while nobody ever answered.
    pub(crate) fn age(&self, now: Moment) -> Option<Duration> {
        self.newest.map(|newest| now.saturating_sub(newest))
    }

    /// What the node may decide by itself.
    pub(crate) fn authority(&self, now: Moment, lease: Duration) -> Authority {
        Authority::of(self.age(now), lease)
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
