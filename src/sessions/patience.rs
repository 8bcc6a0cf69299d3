//! How long an HTTP connection is waited for, whatever it drags out: nothing here reads HTTP.
//!
//! | what is waited for | at most |
//! |---|---|
//! | the first byte of the next request | [`limits::HTTP_IDLE_MAX`] |
//! | from there the first byte of our answer | [`limits::HTTP_REQUEST_MAX`] |
//! | the peer to take a byte of what it was sent | [`limits::HTTP_WRITE_STALL_MAX`] |
//! | the end, when it is no longer another protocol's | [`limits::HTTP_GOODBYE_MAX`] |
//!
//! A connection of another protocol has rules of its own; of these only the one on reading stays, and such a protocol may
//! have it cut.

use std::time::Instant;

use base::limits;

/// Why a connection was closed by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overdue {
    /// It asked for nothing.
    Idle,
    /// A request did not become whole in time, or we did not answer one.
    SlowRequest,
    /// It does not read.
    TooSlow,
    /// The TLS handshake did not end in time.
    SlowTls,
    /// It was over, and still there.
    Over,
}

impl Overdue {
    /// The metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::SlowRequest => "slow request",
            Self::TooSlow => "too slow",
            Self::SlowTls => "slow tls handshake",
            // As any other whose last word was said.
            Self::Over => "closed",
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Nothing came since then.
    Idle(Instant),
    /// Something came then, and nothing was said since.
    Asked(Instant),
    /// It is another protocol's.
    Upgraded,
    /// The other protocol ended then, and HTTP does not begin anew.
    Over(Instant),
    /// It is closed at once.
    Cut(Instant),
}

/// What one connection is waited for.
#[derive(Debug)]
pub struct Patience {
    phase: Phase,
    stalled: Option<Instant>,
}

impl Patience {
    /// A connection that was just accepted.
    pub const fn new(now: Instant) -> Self {
        Self { phase: Phase::Idle(now), stalled: None }
    }

    /// Bytes came.
    pub const fn came(&mut self, now: Instant) {
        if let Phase::Idle(_) = self.phase {
            self.phase = Phase::Asked(now);
        }
    }

    /// Bytes went.
    pub const fn went(&mut self, now: Instant) {
        self.stalled = None;
        if let Phase::Idle(_) | Phase::Asked(_) = self.phase {
            self.phase = Phase::Idle(now);
        }
    }

    /// Bytes would not go.
    pub fn stalls(&mut self, now: Instant) {
        self.stalled.get_or_insert(now);
    }

    /// It is another protocol from now on.
    pub const fn upgrade(&mut self) {
        self.phase = Phase::Upgraded;
    }

    /// The other protocol is over.
    pub const fn end(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Cut(_)) {
            self.phase = Phase::Over(now);
        }
    }

    /// There are no last words.
    pub const fn cut(&mut self, now: Instant) {
        self.phase = Phase::Cut(now);
    }

    /// When it will be overdue, unless something happens, and for what.
    pub fn deadline(&self) -> Option<(Instant, Overdue)> {
        match (self.phase, self.stalled) {
            (Phase::Cut(at), _) => Some((at, Overdue::Over)),
            (Phase::Over(since), _) => Some((since + limits::HTTP_GOODBYE_MAX, Overdue::Over)),
            (_, Some(since)) => Some((since + limits::HTTP_WRITE_STALL_MAX, Overdue::TooSlow)),
            (Phase::Idle(since), None) => Some((since + limits::HTTP_IDLE_MAX, Overdue::Idle)),
            (Phase::Asked(since), None) => Some((since + limits::HTTP_REQUEST_MAX, Overdue::SlowRequest)),
            (Phase::Upgraded, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base::{Clock, SystemClock};

    use super::*;

    const STEP: Duration = Duration::from_secs(1);

    #[test]
    fn dribbled_bytes_buy_no_time() {
        let start = SystemClock.now();
        let mut patience = Patience::new(start);
        assert_eq!(patience.deadline(), Some((start + limits::HTTP_IDLE_MAX, Overdue::Idle)));
        for seconds in 1..10 {
            patience.came(start + seconds * STEP);
        }
        let whole_by = start + STEP + limits::HTTP_REQUEST_MAX;
        assert_eq!(patience.deadline(), Some((whole_by, Overdue::SlowRequest)));
        patience.went(start + 10 * STEP);
        let idle_until = start + 10 * STEP + limits::HTTP_IDLE_MAX;
        assert_eq!(patience.deadline(), Some((idle_until, Overdue::Idle)));
    }

    #[test]
    fn a_stall_counts_from_its_beginning_and_ends_with_a_byte() {
        let start = SystemClock.now();
        let mut patience = Patience::new(start);
        patience.stalls(start + STEP);
        patience.stalls(start + 2 * STEP);
        let until = start + STEP + limits::HTTP_WRITE_STALL_MAX;
        assert_eq!(patience.deadline(), Some((until, Overdue::TooSlow)));
        patience.upgrade();
        assert_eq!(patience.deadline(), Some((until, Overdue::TooSlow)));
        patience.went(start + 3 * STEP);
        assert_eq!(patience.deadline(), None, "and what follows an upgrade has rules of its own");
    }

    #[test]
    fn what_another_protocol_leaves_is_soon_over_whatever_comes_or_goes() {
        let start = SystemClock.now();
        let mut patience = Patience::new(start);
        patience.upgrade();
        patience.stalls(start);
        patience.end(start + STEP);
        patience.went(start + 2 * STEP);
        patience.came(start + 3 * STEP);
        assert_eq!(patience.deadline(), Some((start + STEP + limits::HTTP_GOODBYE_MAX, Overdue::Over)));
    }
}
