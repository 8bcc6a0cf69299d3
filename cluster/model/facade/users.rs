//! The façade for users of the management pages.

use std::sync::Arc;

use crate::{Answer, Command, Consistency, MetaError, Outcome, PutWhen, Query, User, UserName};

super::facade! {
    /// Users of the management pages.
    Users
}

impl Users {
    /// Stores a user if the condition holds; `false` when it does not, and nothing was changed.
    pub async fn put(&self, name: &UserName, when: PutWhen, user: User) -> Result<bool, MetaError> {
        let command = Command::PutUser { name: name.clone(), when, user: Box::new(user) };
        match self.proposer.propose(command).await? {
            (_, Outcome::Done) => Ok(true),
            (_, Outcome::Exists | Outcome::Absent) => Ok(false),
            _ => Err(MetaError::WrongAnswer),
        }
    }

    /// Removes a user; `false` when there was none.
    pub async fn delete(&self, name: &UserName) -> Result<bool, MetaError> {
        self.proposer.done_or_absent(Command::DeleteUser { name: name.clone() }).await
    }

    /// One user, as of now.
    pub async fn get(&self, name: &UserName) -> Result<Option<Arc<User>>, MetaError> {
        match self.proposer.read(Query::User(name.clone()), Consistency::Linearizable).await? {
            (_, Answer::User(user)) => Ok(user),
            _ => Err(MetaError::WrongAnswer),
        }
    }

    /// All users in byte order of their names, as of now: whether there is any decides who may make the first.
    pub async fn list(&self) -> Result<Vec<(UserName, Arc<User>)>, MetaError> {
        match self.proposer.read(Query::Users, Consistency::Linearizable).await? {
            (_, Answer::Users(users)) => Ok(users),
            _ => Err(MetaError::WrongAnswer),
        }
    }
}
