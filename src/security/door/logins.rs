//! Management sessions: who showed a password and has asked for something since.

use std::collections::HashMap;
use std::time::Instant;

use base::{Secret, limits};
use cluster_model::{Hidden, UserName};

/// Characters of a session's name: 190 bits.
const NAME_CHARS: usize = 32;

#[derive(Debug)]
struct Login {
    user: UserName,
    password: Hidden,
    began: Instant,
    used: Instant,
}

impl Login {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.used) >= limits::MANAGEMENT_SESSION_IDLE_MAX
            || now.saturating_duration_since(self.began) >= limits::MANAGEMENT_SESSION_AGE_MAX
    }
}

/// The sessions of this node. Told the time.
#[derive(Debug, Default)]
pub struct Logins {
    by_name: HashMap<String, Login>,
}

impl Logins {
    /// Begins a session of a user with the stored form of its password; returns its name, which nobody can guess.
    pub fn begin(
        &mut self,
        user: UserName,
        password: Hidden,
        randomness: &dyn base::Randomness,
        now: Instant,
    ) -> Secret {
        if self.by_name.len() >= limits::MANAGEMENT_SESSIONS_MAX {
            self.by_name.retain(|_, login| !login.is_over(now));
        }
        if self.by_name.len() >= limits::MANAGEMENT_SESSIONS_MAX {
            let oldest =
                self.by_name.iter().min_by_key(|(_, login)| login.used).map(|(name, _)| name.clone());
            oldest.map(|name| self.by_name.remove(&name));
        }
        let name = randomness.alphanumeric(NAME_CHARS);
        self.by_name.insert(name.clone(), Login { user, password, began: now, used: now });
        Secret::new(name)
    }

    /// Whose session it is, and the stored form of the password that it began with.
    pub fn find(&mut self, name: &str, now: Instant) -> Option<(UserName, Hidden)> {
        if self.by_name.get(name)?.is_over(now) {
            self.by_name.remove(name);
            return None;
        }
        let login = self.by_name.get_mut(name)?;
        login.used = now;
        Some((login.user.clone(), login.password.clone()))
    }

    /// Ends a session.
    pub fn end(&mut self, name: &str) {
        self.by_name.remove(name);
    }

    /// The session goes on though its user's password was changed: by it.
    pub fn go_on_with(&mut self, name: &str, password: &Hidden) {
        if let Some(login) = self.by_name.get_mut(name) {
            login.password = password.clone();
        }
    }

    /// Ends all sessions of a user but for the one of this name.
    pub fn end_others_of(&mut self, user: &UserName, kept: Option<&str>) {
        self.by_name.retain(|name, login| login.user != *user || Some(name.as_str()) == kept);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base::{Clock, ManualClock, SeededRandomness, WallTime};

    use super::*;

    #[test]
    fn a_session_lasts_while_it_is_used_and_not_for_ever() {
        let (clock, randomness) = (ManualClock::new(WallTime(0)), SeededRandomness::new(1));
        let mut logins = Logins::default();
        let user = UserName::new("a@b").unwrap();
        let name = logins.begin(user.clone(), Hidden::new("h".into()), &randomness, clock.now());
        let mut lasted = Duration::ZERO;
        while logins.find(name.expose(), clock.now()).is_some() {
            clock.advance(Duration::from_secs(29 * 60));
            lasted += Duration::from_secs(29 * 60);
        }
        assert!(
            lasted > Duration::from_secs(11 * 3_600) && lasted < Duration::from_secs(13 * 3_600),
            "{lasted:?}"
        );
        let name = logins.begin(user.clone(), Hidden::new("h".into()), &randomness, clock.now());
        clock.advance(Duration::from_secs(30 * 60));
        assert!(logins.find(name.expose(), clock.now()).is_none());
        assert!(logins.find("", clock.now()).is_none());
    }

    #[test]
    fn of_too_many_the_one_used_longest_ago_ends() {
        let (clock, randomness) = (ManualClock::new(WallTime(0)), SeededRandomness::new(1));
        let mut logins = Logins::default();
        let begin = |logins: &mut Logins| {
            clock.advance(Duration::from_millis(1));
            logins.begin(UserName::new("a").unwrap(), Hidden::new("h".into()), &randomness, clock.now())
        };
        let names: Vec<_> = (0..=limits::MANAGEMENT_SESSIONS_MAX).map(|_| begin(&mut logins)).collect();
        assert!(logins.find(names[0].expose(), clock.now()).is_none());
        assert!(names[1..].iter().all(|name| logins.find(name.expose(), clock.now()).is_some()));
        logins.end_others_of(&UserName::new("a").unwrap(), None);
        assert!(logins.find(names[1].expose(), clock.now()).is_none());
    }
}
