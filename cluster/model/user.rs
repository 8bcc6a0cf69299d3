//! Users of the management pages.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Hidden;

/// A user as it is stored (AMS's `User`).
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct User {
    /// A hash that cannot be turned back, in the form of the function that made it.
    pub password: Hidden,
    /// `ADMIN`, `READ_ONLY`, `USER`.
    pub user_type: String,
    /// `system` or an application.
    pub scope: String,
    /// Types by application.
    pub app_name_user_type: BTreeMap<String, String>,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// A picture's URL.
    pub picture: Option<String>,
}

impl fmt::Debug for User {
    /// Without names and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "User({}/{})", self.scope, self.user_type)
    }
}

/// On what a user is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PutWhen {
    /// There is no user at all: for the first one.
    NoUsers,
    /// There is none of this name.
    Absent,
    /// There is one of this name.
    Present,
    /// Whether or not there is one.
    Always,
}
