//! The users of the management pages: who they are, how they get in, what ends their sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base::{Clock, Randomness, Secret, limits};
use cluster_model::{Hidden, MetaError, PutWhen, User, UserName};
use parking_lot::Mutex;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use super::attempts::Attempts;
use super::logins::Logins;
use super::{Rights, password};

/// Characters of the set-up code: 119 bits.
const SET_UP_CODE_CHARS: usize = 20;

/// Why nothing was decided, or changed.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// The metadata plane did not answer.
    #[error(transparent)]
    Store(#[from] MetaError),
    /// [`limits::PASSWORDS_WAITING_MAX`] others wait for a password to be checked.
    #[error("too many passwords are being checked: try again")]
    Busy,
    /// The password is empty or too long.
    #[error("the password is empty or longer than {} bytes", limits::PASSWORD_BYTES_MAX)]
    BadPassword,
}

/// What became of a log-in.
#[derive(Debug)]
pub enum LogIn {
    /// There is a session now.
    In(LoggedIn),
    /// There is no such user, or it has another password.
    Wrong,
    /// Too many wrong passwords came by this name lately.
    Blocked,
}

/// What a password is worth.
enum Checked {
    Right(Arc<User>),
    Wrong,
    Blocked,
}

/// Somebody who showed a password.
#[derive(Clone, Debug)]
pub struct LoggedIn {
    /// The session's name, which whoever has it may use.
    pub session: Secret,
    /// The user.
    pub name: UserName,
    /// Its record.
    pub user: Arc<User>,
}

impl LoggedIn {
    /// What it may do.
    pub fn rights(&self) -> Rights {
        Rights::of(&self.user)
    }
}

/// The users, and the sessions they have on this node. One per node.
pub struct Users {
    stored: cluster_model::Users,
    logins: Mutex<Logins>,
    attempts: Mutex<Attempts>,
    checks: Semaphore,
    waiting: AtomicUsize,
    set_up_code: Secret,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
}

impl Users {
    /// Over what is stored.
    pub fn new(stored: cluster_model::Users, clock: Arc<dyn Clock>, randomness: Arc<dyn Randomness>) -> Self {
        Self {
            stored,
            logins: Mutex::default(),
            attempts: Mutex::default(),
            checks: Semaphore::new(limits::PASSWORDS_AT_ONCE_MAX),
            waiting: AtomicUsize::new(0),
            set_up_code: Secret::new(randomness.alphanumeric(SET_UP_CODE_CHARS)),
            clock,
            randomness,
        }
    }

    /// What is stored of them.
    pub const fn stored(&self) -> &cluster_model::Users {
        &self.stored
    }

    /// By which somebody on another machine may make the first user; new at each start, and worth nothing once there is
    /// a user.
    pub const fn set_up_code(&self) -> &Secret {
        &self.set_up_code
    }

    /// Whether `code` is it.
    pub fn is_set_up_code(&self, code: &str) -> bool {
        code.as_bytes().ct_eq(self.set_up_code.expose().as_bytes()).into()
    }

    /// Whether nobody can log in because there is no user yet.
    pub async fn is_none_there(&self) -> Result<bool, UserError> {
        Ok(self.stored.list().await?.is_empty())
    }

    /// Stores a user; `false` when `when` does not hold. `given` becomes its password, else it has the one of `user`. Sessions
    /// that began with another one are over with that, on every node.
    pub async fn put(
        &self,
        name: &UserName,
        when: PutWhen,
        mut user: User,
        given: Option<&str>,
    ) -> Result<bool, UserError> {
        if let Some(given) = given {
            user.password = self.store_form(given).await?;
        }
        let put = self.stored.put(name, when, user).await?;
        if put && given.is_some() {
            self.attempts.lock().forget(name.as_str());
            self.logins.lock().end_others_of(name, None);
        }
        Ok(put)
    }

    /// Removes a user and ends its sessions; `false` when there was none.
    pub async fn delete(&self, name: &UserName) -> Result<bool, UserError> {
        let deleted = self.stored.delete(name).await?;
        self.logins.lock().end_others_of(name, None);
        Ok(deleted)
    }

    /// Whether nobody gets in by this name now; of names that nobody has as well.
    pub fn is_blocked(&self, name: &str) -> bool {
        self.attempts.lock().is_blocked(name, self.clock.now())
    }

    /// Begins a session for who has the password.
    pub async fn log_in(&self, name: &str, given: &str) -> Result<LogIn, UserError> {
        let Ok(name) = UserName::new(name) else { return Ok(LogIn::Wrong) };
        let user = match self.check(&name, given).await? {
            Checked::Right(user) => user,
            Checked::Wrong => return Ok(LogIn::Wrong),
            Checked::Blocked => return Ok(LogIn::Blocked),
        };
        let (password, now) = (user.password.clone(), self.clock.now());
        let session = self.logins.lock().begin(name.clone(), password, &*self.randomness, now);
        Ok(LogIn::In(LoggedIn { session, name, user }))
    }

    /// A user changes its own password; `false`: the old one is wrong, or was too often. Its other sessions are over, this
    /// one goes on.
    pub async fn change_password(&self, who: &LoggedIn, old: &str, new: &str) -> Result<bool, UserError> {
        let Checked::Right(user) = self.check(&who.name, old).await? else { return Ok(false) };
        let password = self.store_form(new).await?;
        // It took a while: an administrator may have changed the user meanwhile, and that stands.
        let Some(now) = self.stored.get(&who.name).await? else { return Ok(false) };
        if now.password != user.password {
            return Ok(false);
        }
        let changed = User { password: password.clone(), ..(*now).clone() };
        if !self.stored.put(&who.name, PutWhen::Present, changed).await? {
            return Ok(false);
        }
        let mut logins = self.logins.lock();
        logins.go_on_with(who.session.expose(), &password);
        logins.end_others_of(&who.name, Some(who.session.expose()));
        Ok(true)
    }

    /// Whether the user has this password; wrong ones count.
    async fn check(&self, name: &UserName, given: &str) -> Result<Checked, UserError> {
        if self.is_blocked(name.as_str()) {
            return Ok(Checked::Blocked);
        }
        let user = self.stored.get(name).await?;
        let _turn = self.turn().await?;
        {
            // Counted before it is checked: of many at a time three are checked.
            let (mut attempts, now) = (self.attempts.lock(), self.clock.now());
            if attempts.is_blocked(name.as_str(), now) {
                return Ok(Checked::Blocked);
            }
            attempts.wrong(name.as_str(), now);
        }
        let (stored, text) = (user.as_ref().map(|user| user.password.clone()), Secret::new(given.to_owned()));
        let checking = move || password::is_right(stored.as_ref(), text.expose());
        let right = tokio::task::spawn_blocking(checking).await.map_err(|_| UserError::Busy)?;
        match user {
            Some(user) if right => {
                self.attempts.lock().forget(name.as_str());
                Ok(Checked::Right(user))
            }
            _ => Ok(Checked::Wrong),
        }
    }

    /// Whose session it is, as of now: `Ok(None)` when there is none of this name, or its user is gone or has another
    /// password than the session began with.
    pub async fn session(&self, session: &str) -> Result<Option<LoggedIn>, UserError> {
        let found = self.logins.lock().find(session, self.clock.now());
        let Some((name, password)) = found else { return Ok(None) };
        match self.stored.get(&name).await? {
            Some(user) if user.password == password => {
                Ok(Some(LoggedIn { session: Secret::new(session.to_owned()), name, user }))
            }
            _ => {
                self.logins.lock().end(session);
                Ok(None)
            }
        }
    }

    /// Ends a session.
    pub fn log_out(&self, session: &str) {
        self.logins.lock().end(session);
    }

    async fn store_form(&self, given: &str) -> Result<Hidden, UserError> {
        let _turn = self.turn().await?;
        let (salt, text) = (password::salt(&*self.randomness), Secret::new(given.to_owned()));
        let making = tokio::task::spawn_blocking(move || password::stored(text.expose(), &salt));
        making.await.map_err(|_| UserError::Busy)?.ok_or(UserError::BadPassword)
    }

    async fn turn(&self) -> Result<tokio::sync::SemaphorePermit<'_>, UserError> {
        struct Waits<'a>(&'a AtomicUsize);
        impl Drop for Waits<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waits = Waits(&self.waiting);
        if before >= limits::PASSWORDS_WAITING_MAX {
            return Err(UserError::Busy);
        }
        self.checks.acquire().await.map_err(|_| UserError::Busy)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base::{ManualClock, SeededRandomness, WallTime};
    use cluster_model::testing::InMemory;

    use super::*;

    fn users() -> (Arc<Users>, Arc<ManualClock>) {
        let (clock, randomness) =
            (Arc::new(ManualClock::new(WallTime(1))), Arc::new(SeededRandomness::new(1)));
        let meta = Arc::new(InMemory::new(clock.clone()));
        let stored = cluster_model::Users::new(meta, clock.clone(), randomness.clone());
        (Arc::new(Users::new(stored, clock.clone(), randomness)), clock)
    }

    fn name(text: &str) -> UserName {
        UserName::new(text).unwrap()
    }

    async fn log_in(users: &Users, given: &str) -> Option<LoggedIn> {
        match users.log_in("a@b", given).await.unwrap() {
            LogIn::In(who) => Some(who),
            _ => None,
        }
    }

    #[tokio::test]
    async fn a_session_is_over_with_its_users_password_and_with_its_user() {
        let (users, _) = users();
        assert!(users.is_none_there().await.unwrap());
        assert!(users.put(&name("a@b"), PutWhen::NoUsers, User::default(), Some("one")).await.unwrap());
        assert!(!users.put(&name("c@d"), PutWhen::NoUsers, User::default(), Some("one")).await.unwrap());
        let (first, second) = (log_in(&users, "one").await.unwrap(), log_in(&users, "one").await.unwrap());
        let lives = async |who: &LoggedIn| users.session(who.session.expose()).await.unwrap().is_some();
        assert!(lives(&first).await && lives(&second).await);
        assert!(!users.change_password(&first, "wrong", "two").await.unwrap());
        assert!(users.change_password(&first, "one", "two").await.unwrap());
        assert!(lives(&first).await && !lives(&second).await);
        assert!(log_in(&users, "one").await.is_none());

        // Another node changed it: this one's sessions are over as well.
        let changed = User { password: password::stored("three", &[1; 16]).unwrap(), ..User::default() };
        users.stored().put(&name("a@b"), PutWhen::Present, changed).await.unwrap();
        assert!(!lives(&first).await);
        let third = log_in(&users, "three").await.unwrap();
        users.delete(&name("a@b")).await.unwrap();
        assert!(!lives(&third).await && log_in(&users, "three").await.is_none());
    }

    #[tokio::test]
    async fn of_many_guesses_at_a_time_three_are_checked_and_then_the_right_one_is_refused_too() {
        let (users, clock) = users();
        users.put(&name("a@b"), PutWhen::Absent, User::default(), Some("one")).await.unwrap();
        let guesses = (0..12).map(|n| {
            let users = Arc::clone(&users);
            tokio::spawn(async move { users.log_in("a@b", &n.to_string()).await.unwrap() })
        });
        let mut wrong = 0;
        for guess in guesses.collect::<Vec<_>>() {
            wrong += usize::from(matches!(guess.await.unwrap(), LogIn::Wrong));
        }
        assert_eq!(wrong, 3);
        assert!(matches!(users.log_in("a@b", "one").await.unwrap(), LogIn::Blocked));
        assert!(users.is_blocked("a@b") && !users.is_blocked("other"));
        clock.advance(Duration::from_secs(300));
        assert!(log_in(&users, "one").await.is_some());
        for _ in 0..3 {
            assert!(matches!(users.log_in("nobody", "x").await.unwrap(), LogIn::Wrong));
        }
        assert!(matches!(users.log_in("nobody", "x").await.unwrap(), LogIn::Blocked), "as in AMS");
        // An administrator who is helped from the machine itself need not wait.
        users.put(&name("a@b"), PutWhen::Present, User::default(), Some("two")).await.unwrap();
        assert!(log_in(&users, "two").await.is_some());
    }

    #[tokio::test]
    async fn the_set_up_code_is_no_other_text() {
        let (users, _) = users();
        let code = users.set_up_code().expose().clone();
        assert_eq!(code.len(), SET_UP_CODE_CHARS);
        assert!(
            users.is_set_up_code(&code) && !users.is_set_up_code("") && !users.is_set_up_code(&code[1..])
        );
        assert!(matches!(
            users.put(&name("a"), PutWhen::NoUsers, User::default(), Some("")).await,
            Err(UserError::BadPassword)
        ));
    }
}
