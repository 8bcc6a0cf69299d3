//! Wrong passwords, counted by name: three in a row, and nobody gets in by that name for 300 s (AMS; observed on running
//! servers: the third wrong answer is a plain one, and tries while blocked do not prolong it).

use std::collections::HashMap;
use std::time::Instant;

use base::limits;

#[derive(Clone, Copy, Debug)]
struct Wrong {
    times: u32,
    last: Instant,
}

/// What is known of wrong passwords. Told the time.
#[derive(Debug, Default)]
pub struct Attempts {
    by_name: HashMap<String, Wrong>,
}

impl Attempts {
    /// Whether nobody gets in by this name now.
    pub fn is_blocked(&self, name: &str, now: Instant) -> bool {
        self.by_name
            .get(name)
            .is_some_and(|wrong| wrong.times >= limits::LOGIN_ATTEMPTS_MAX && !is_old(*wrong, now))
    }

    /// Somebody gave a wrong password, for a user that need not be there.
    pub fn wrong(&mut self, name: &str, now: Instant) {
        if !self.by_name.contains_key(name) && self.by_name.len() >= limits::LOGIN_NAMES_MAX {
            self.by_name.retain(|_, wrong| !is_old(*wrong, now));
            if self.by_name.len() >= limits::LOGIN_NAMES_MAX {
                let oldest =
                    self.by_name.iter().min_by_key(|(_, wrong)| wrong.last).map(|(name, _)| name.clone());
                oldest.map(|name| self.by_name.remove(&name));
            }
        }
        let wrong = self.by_name.entry(name.to_owned()).or_insert(Wrong { times: 0, last: now });
        if is_old(*wrong, now) {
            wrong.times = 0;
        }
        if wrong.times < limits::LOGIN_ATTEMPTS_MAX {
            wrong.times += 1;
            wrong.last = now;
        }
    }

    /// The user got in, or has a new password.
    pub fn forget(&mut self, name: &str) {
        self.by_name.remove(name);
    }
}

fn is_old(wrong: Wrong, now: Instant) -> bool {
    now.saturating_duration_since(wrong.last) >= limits::LOGIN_BLOCK
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base::{Clock, ManualClock, WallTime};

    use super::*;

    #[test]
    fn the_third_wrong_password_blocks_for_300_seconds_and_tries_meanwhile_do_not_prolong_it() {
        let clock = ManualClock::new(WallTime(0));
        let mut attempts = Attempts::default();
        for _ in 0..3 {
            assert!(!attempts.is_blocked("a", clock.now()));
            attempts.wrong("a", clock.now());
        }
        assert!(attempts.is_blocked("a", clock.now()) && !attempts.is_blocked("b", clock.now()));
        clock.advance(Duration::from_secs(299));
        attempts.wrong("a", clock.now());
        assert!(attempts.is_blocked("a", clock.now()));
        clock.advance(Duration::from_secs(1));
        assert!(!attempts.is_blocked("a", clock.now()));
        attempts.wrong("a", clock.now());
        assert!(!attempts.is_blocked("a", clock.now()), "it is counted anew");
    }

    #[test]
    fn who_gets_in_begins_anew_and_there_is_a_bound() {
        let clock = ManualClock::new(WallTime(0));
        let mut attempts = Attempts::default();
        attempts.wrong("a", clock.now());
        attempts.wrong("a", clock.now());
        attempts.forget("a");
        attempts.wrong("a", clock.now());
        assert!(!attempts.is_blocked("a", clock.now()));
        clock.advance(Duration::from_millis(1));
        for n in 0..=limits::LOGIN_NAMES_MAX {
            attempts.wrong(&n.to_string(), clock.now());
        }
        assert_eq!(attempts.by_name.len(), limits::LOGIN_NAMES_MAX);
    }
}
