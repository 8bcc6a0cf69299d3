//! What a user of the management pages may do (AMS's `userType`, `scope`, `appNameUserType`).

use std::collections::BTreeMap;

use cluster_model::User;

/// The scope that means the whole node.
const SYSTEM: &str = "system";
/// What of an application who is of type `USER` may change (AMS's `AuthenticationFilter`).
const USERS_PART: &[&str] = &["broadcasts", "vods"];

/// What a user may do in a scope. Each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UserType {
    /// Looks.
    ReadOnly,
    /// Also changes broadcasts and recordings.
    User,
    /// Everything.
    Admin,
}

impl UserType {
    /// AMS's word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "READ_ONLY",
            Self::User => "USER",
            Self::Admin => "ADMIN",
        }
    }

    /// Reads AMS's word.
    pub fn read(text: &str) -> Option<Self> {
        [Self::ReadOnly, Self::User, Self::Admin].into_iter().find(|kind| kind.name() == text)
    }
}

/// A user's types by scope, however they are stored: the map is what counts where there is one.
pub fn types_of(user: &User) -> BTreeMap<String, String> {
    if user.app_name_user_type.is_empty() && !user.scope.is_empty() {
        return [(user.scope.clone(), user.user_type.clone())].into();
    }
    user.app_name_user_type.clone()
}

/// What a user may do where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights(BTreeMap<String, UserType>);

impl Rights {
    /// Everything everywhere.
    pub fn all() -> Self {
        Self([(SYSTEM.to_owned(), UserType::Admin)].into())
    }

    /// Of a stored user. A type that nobody knows is worth nothing.
    pub fn of(user: &User) -> Self {
        let types = types_of(user).into_iter();
        Self(types.filter_map(|(scope, kind)| Some((scope, UserType::read(&kind)?))).collect())
    }

    /// What may be done in the whole node.
    pub fn in_system(&self) -> Option<UserType> {
        self.0.get(SYSTEM).copied()
    }

    /// What may be done in an application.
    pub fn in_app(&self, app: &str) -> Option<UserType> {
        // No application is called so, but no name may open more than it names.
        let own = self.0.get(app).filter(|_| app != SYSTEM).copied();
        own.max(self.in_system())
    }

    /// The most that may be done anywhere.
    pub fn anywhere(&self) -> Option<UserType> {
        self.0.values().max().copied()
    }

    /// Whether an application's REST may be asked. `below` is the path below `/rest/v2`.
    pub fn may_ask(&self, app: &str, reads: bool, below: &[String]) -> bool {
        match self.in_app(app) {
            None => false,
            // To look is not to get in: AMS hands tokens and codes to whoever may look, by `GET`.
            Some(UserType::ReadOnly) => reads && !lets_in(below),
            Some(UserType::User) => {
                reads || below.first().is_some_and(|part| USERS_PART.contains(&part.as_str()))
            }
            Some(UserType::Admin) => true,
        }
    }
}

/// Whether the answer of a path below `/rest/v2` has something in it by which somebody gets in.
fn lets_in(below: &[String]) -> bool {
    let below: Vec<&str> = below.iter().map(String::as_str).collect();
    matches!(
        below[..],
        ["broadcasts", _, "token" | "jwt-token" | "tokens", ..]
            | ["broadcasts", _, "subscribers", _, "totp", ..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(scope: &str, kind: &str, types: &[(&str, &str)]) -> Rights {
        let types = types.iter().map(|(app, kind)| ((*app).to_owned(), (*kind).to_owned())).collect();
        Rights::of(&User {
            scope: scope.into(),
            user_type: kind.into(),
            app_name_user_type: types,
            ..User::default()
        })
    }

    #[test]
    fn each_type_may_what_ams_lets_it() {
        let (broadcasts, others) = (["broadcasts".to_owned(), "create".to_owned()], ["version".to_owned()]);
        for (kind, reads, writes_broadcasts, writes_others) in [
            ("READ_ONLY", true, false, false),
            ("USER", true, true, false),
            ("ADMIN", true, true, true),
            ("admin", false, false, false),
            ("", false, false, false),
        ] {
            for rights in
                [user("LiveApp", kind, &[]), user("", "", &[("LiveApp", kind)]), user("system", kind, &[])]
            {
                assert_eq!(rights.may_ask("LiveApp", true, &others), reads, "{kind}");
                assert_eq!(rights.may_ask("LiveApp", false, &broadcasts), writes_broadcasts, "{kind}");
                assert_eq!(rights.may_ask("LiveApp", false, &others), writes_others, "{kind}");
            }
        }
    }

    #[test]
    fn who_only_looks_is_handed_nothing_that_lets_in() {
        let path = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
        for (below, looks) in [
            ("broadcasts/s1", true),
            ("broadcasts/token", true),
            ("broadcasts/s1/subscribers/list/0/10", true),
            ("broadcasts/s1/subscribers/anna", true),
            ("broadcasts/s1/token", false),
            ("broadcasts/s1/jwt-token", false),
            ("broadcasts/s1/tokens/list/0/10", false),
            ("broadcasts/s1/subscribers/anna/totp", false),
        ] {
            let may = |kind| user("LiveApp", kind, &[]).may_ask("LiveApp", true, &path(below));
            assert_eq!((may("READ_ONLY"), may("USER"), may("ADMIN")), (looks, true, true), "{below}");
        }
    }

    #[test]
    fn nobody_may_anything_outside_his_scope() {
        let rights = user("system", "ADMIN", &[("LiveApp", "ADMIN")]);
        assert_eq!((rights.in_system(), rights.in_app("Other")), (None, None), "the map is what counts");
        assert_eq!(rights.anywhere(), Some(UserType::Admin));
        let rights = user("", "", &[("system", "READ_ONLY"), ("LiveApp", "USER")]);
        assert_eq!(rights.in_app("LiveApp"), Some(UserType::User));
        assert_eq!(rights.in_app("Other"), Some(UserType::ReadOnly));
    }
}
