//! Users of the management pages.

use std::sync::Arc;

use base::limits;

use super::{Changes, State, json_len};
use crate::{Change, Outcome, PutWhen, Refusal, User, UserName};

impl State {
    /// One user.
    pub fn user(&self, name: &UserName) -> Option<&Arc<User>> {
        self.users.get(name)
    }

    /// All users in byte order of their names.
    pub fn users(&self) -> impl Iterator<Item = (&UserName, &Arc<User>)> {
        self.users.iter()
    }

    pub(super) fn put_user(
        &mut self,
        name: UserName,
        when: PutWhen,
        user: User,
        changes: Changes<'_>,
    ) -> Outcome {
        let is_there = self.users.contains_key(&name);
        match when {
            PutWhen::NoUsers if !self.users.is_empty() => return Outcome::Exists,
            PutWhen::Absent if is_there => return Outcome::Exists,
            PutWhen::Present if !is_there => return Outcome::Absent,
            _ => {}
        }
        if !is_there && self.users.len() >= limits::USERS_MAX {
            return Outcome::Refused(Refusal::TooManyUsers);
        }
        if json_len(&user).is_none_or(|len| len > limits::USER_BYTES_MAX) {
            return Outcome::Refused(Refusal::TooLarge);
        }
        self.change(Change::User { name, now: Some(Arc::new(user)) }, changes);
        Outcome::Done
    }

    pub(super) fn delete_user(&mut self, name: UserName, changes: Changes<'_>) -> Outcome {
        if !self.users.contains_key(&name) {
            return Outcome::Absent;
        }
        self.change(Change::User { name, now: None }, changes);
        Outcome::Done
    }
}
