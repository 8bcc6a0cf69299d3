//! The table of every REST route. What does not stand here does not exist: the answer is 404, after the
//! door had its say.

use actix_web::http::Method;

/// Whose route it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Below `/{App}/rest/v2`, once per application.
    Application,
    /// Below `/rest/v2`, once per node.
    Node,
}

/// What a route does; the name of its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Stores a new broadcast.
    CreateBroadcast,
    /// Ends and deletes the broadcasts named in the body.
    DeleteListedBroadcasts,
    /// Counts all broadcasts.
    CountBroadcasts,
    /// Counts the broadcasts whose id or name holds a text.
    CountMatchingBroadcasts,
    /// Counts the broadcasts that are live.
    CountLiveBroadcasts,
    /// Counts the viewers of all broadcasts.
    GetTotalStatistics,
    /// Lists broadcasts, a page at a time.
    ListBroadcasts,
    /// Ends and deletes several broadcasts.
    DeleteBroadcasts,
    /// Shows one broadcast.
    GetBroadcast,
    /// Changes fields of one broadcast.
    UpdateBroadcast,
    /// Ends and deletes one broadcast.
    DeleteBroadcast,
    /// Ends the publisher of one broadcast.
    StopBroadcast,
    /// Counts the viewers of one broadcast.
    GetStatistics,
    /// Shows how the WebRTC players of one broadcast fare.
    ListWebrtcClients,
    /// Shows what all WebRTC players were sent.
    GetWebrtcSendStatistics,
    /// Shows what comes from all WebRTC publishers.
    GetWebrtcReceiveStatistics,
    /// Lists when sessions of a stream's subscribers began and ended.
    ListConnectionEvents,
    /// Lists the live sessions of a stream on this node.
    ListSessions,
    /// Ends a session, whichever node it is on.
    KickSession,
    /// Says what the gate would, clause by clause.
    ExplainAccess,
    /// Makes a one-time token, or one for a room.
    CreateToken,
    /// Signs a JWT by which a stream is published or played.
    CreateJwtToken,
    /// Says whether a token is good, and spends it.
    ValidateToken,
    /// Voids all tokens of a stream.
    RevokeTokens,
    /// Voids one token, also a hash or JWT.
    RevokeToken,
    /// Lists the tokens of a stream.
    ListTokens,
    /// Registers a subscriber.
    AddSubscriber,
    /// Deletes all subscribers of a stream.
    DeleteSubscribers,
    /// Lists the subscribers of a stream.
    ListSubscribers,
    /// Shows one subscriber and what its sessions came to.
    GetSubscriber,
    /// Deletes one subscriber.
    DeleteSubscriber,
    /// Shows the code of a subscriber.
    GetSubscriberCode,
    /// Blocks a subscriber for a time, or no longer.
    BlockSubscriber,
    /// Lists what sessions of a stream's subscribers came to.
    ListSubscriberStatistics,
    /// Shows the renditions of a live stream.
    GetStreamInfo,
    /// Says something to the players and the publisher of a live stream.
    SendMessage,
    /// Counts the recordings.
    CountVods,
    /// Counts the recordings in whose names or ids a text stands.
    CountMatchingVods,
    /// Lists recordings, a page at a time.
    ListVods,
    /// Shows one recording.
    GetVod,
    /// Says what this server is, to who asks an application.
    GetApplicationVersion,
    /// Lists the applications.
    ListApplications,
    /// Lists the applications with what is in them.
    GetApplicationsInfo,
    /// Lists the live streams of an application.
    ListLiveStreams,
    /// Refuses to make an application, and says how it is made.
    CreateApplication,
    /// Refuses to delete an application, and says how it is deleted.
    DeleteApplication,
    /// Shows the settings of an application.
    GetSettings,
    /// Replaces the settings of an application.
    ReplaceSettings,
    /// Changes settings of an application.
    PatchSettings,
    /// Says what this server is.
    GetVersion,
    /// Says that the node answers, and its host's name.
    GetLiveness,
    /// Says whether this node is one of a cluster.
    GetClusterMode,
    /// Shows how this node stands in its cluster.
    GetClusterStatus,
    /// Counts the nodes of the cluster.
    CountNodes,
    /// Lists the nodes of the cluster.
    ListNodes,
    /// Takes a dead node off the list.
    ForgetNode,
    /// Copies all stored data.
    GetBackup,
    /// This description.
    GetOpenApi,
    /// Asks an application's REST for a user of the management pages.
    AskApplication,
    /// Makes the first user.
    AddFirstUser,
    /// Says whether there is no user yet.
    GetFirstLoginStatus,
    /// Begins a management session.
    LogIn,
    /// Ends it.
    LogOut,
    /// Says whether there is one.
    GetAuthenticationStatus,
    /// Says whether who asks is an administrator.
    GetAdminStatus,
    /// Says whether a user may not try passwords now.
    GetBlockedStatus,
    /// Lists the users.
    ListUsers,
    /// Changes the password of who asks.
    ChangePassword,
    /// Makes a user.
    AddUser,
    /// Changes a user.
    EditUser,
    /// Deletes a user.
    DeleteUser,
}

impl Operation {
    /// Whether it is about users and their sessions.
    pub(crate) fn is_of_users(self) -> bool {
        matches!(
            self,
            Self::AddFirstUser
                | Self::GetFirstLoginStatus
                | Self::LogIn
                | Self::LogOut
                | Self::GetAuthenticationStatus
                | Self::GetAdminStatus
                | Self::GetBlockedStatus
                | Self::ListUsers
                | Self::ChangePassword
                | Self::AddUser
                | Self::EditUser
                | Self::DeleteUser
        )
    }
}

/// Who may ask. The machine itself may ask everything of the node; users of the management pages what their type says,
/// where their scope reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Whoever reaches the port.
    Everyone,
    /// Whom the application's IP filter and JWT filter let in; and its users, as far as their type goes.
    Application,
    /// Users of every type; of a path that names an application, its own.
    Reader,
    /// Administrators; of a path that names an application (`{app}`), also its own.
    Admin,
    /// The machine itself, and nobody else.
    Machine,
}

impl Role {
    /// Its word in `schemas/routes.json`.
    const fn label(self) -> &'static str {
        match self {
            Self::Everyone => "everyone",
            Self::Application => "application",
            Self::Reader => "reader",
            Self::Admin => "admin",
            Self::Machine => "machine",
        }
    }
}

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The verb. `HEAD` is answered wherever `GET` is.
    pub verb: Method,
    /// The path below the scope's prefix; `{name}` stands for one part.
    pub path: &'static str,
    /// What it does.
    pub operation: Operation,
    /// Whose it is.
    pub scope: Scope,
    /// Who may ask.
    pub role: Role,
}

impl Route {
    /// The application that a path names, of the values that stood where it has `{name}`. None where there is to be one, or no
    /// more: whoever may manage it may not do that.
    pub(crate) fn app_of<'a>(&self, values: &[&'a str]) -> Option<&'a str> {
        if matches!(self.operation, Operation::CreateApplication | Operation::DeleteApplication) {
            return None;
        }
        let mut names = self.path.split('/').filter(|part| part.starts_with('{'));
        values.get(names.position(|name| name == "{app}")?).copied()
    }

    /// The whole path; `{app}` stands for the application.
    pub fn full_path(&self) -> String {
        match self.scope {
            Scope::Application => format!("/{{app}}/rest/v2{}", self.path),
            Scope::Node => format!("/rest/v2{}", self.path),
        }
    }
}

const fn application(verb: Method, path: &'static str, operation: Operation) -> Route {
    Route { verb, path, operation, scope: Scope::Application, role: Role::Application }
}

const fn node(verb: Method, path: &'static str, operation: Operation, role: Role) -> Route {
    Route { verb, path, operation, scope: Scope::Node, role }
}

/// Every route. Of two paths that fit, the earlier row is meant: fixed parts stand before `{id}`, as
/// Jersey prefers them in AMS. Liveness is for everyone, as in AMS: who balances load asks it.
pub const ROUTES: &[Route] = &[
    application(Method::POST, "/broadcasts/create", Operation::CreateBroadcast),
    application(Method::DELETE, "/broadcasts/bulk", Operation::DeleteListedBroadcasts),
    application(Method::GET, "/broadcasts/count", Operation::CountBroadcasts),
    application(Method::GET, "/broadcasts/count/{search}", Operation::CountMatchingBroadcasts),
    application(Method::GET, "/broadcasts/active-live-stream-count", Operation::CountLiveBroadcasts),
    application(Method::GET, "/broadcasts/total-broadcast-statistics", Operation::GetTotalStatistics),
    application(Method::GET, "/broadcasts/webrtc-send-low-level-stats", Operation::GetWebrtcSendStatistics),
    application(
        Method::GET,
        "/broadcasts/webrtc-receive-low-level-stats",
        Operation::GetWebrtcReceiveStatistics,
    ),
    application(Method::GET, "/broadcasts/list/{offset}/{size}", Operation::ListBroadcasts),
    application(Method::POST, "/broadcasts/validate-token", Operation::ValidateToken),
    application(Method::DELETE, "/broadcasts", Operation::DeleteBroadcasts),
    application(Method::GET, "/broadcasts/{id}", Operation::GetBroadcast),
    application(Method::PUT, "/broadcasts/{id}", Operation::UpdateBroadcast),
    application(Method::DELETE, "/broadcasts/{id}", Operation::DeleteBroadcast),
    application(Method::POST, "/broadcasts/{id}/stop", Operation::StopBroadcast),
    application(Method::GET, "/broadcasts/{id}/broadcast-statistics", Operation::GetStatistics),
    application(
        Method::GET,
        "/broadcasts/{id}/webrtc-client-stats/{offset}/{size}",
        Operation::ListWebrtcClients,
    ),
    application(
        Method::GET,
        "/broadcasts/{id}/connection-events/{offset}/{size}",
        Operation::ListConnectionEvents,
    ),
    application(Method::GET, "/broadcasts/{id}/sessions/{offset}/{size}", Operation::ListSessions),
    application(Method::DELETE, "/broadcasts/{id}/sessions/{session}", Operation::KickSession),
    application(Method::GET, "/broadcasts/{id}/token", Operation::CreateToken),
    application(Method::GET, "/broadcasts/{id}/jwt-token", Operation::CreateJwtToken),
    application(Method::DELETE, "/broadcasts/{id}/tokens", Operation::RevokeTokens),
    application(Method::GET, "/broadcasts/{id}/tokens/list/{offset}/{size}", Operation::ListTokens),
    application(Method::DELETE, "/broadcasts/{id}/tokens/{token}", Operation::RevokeToken),
    application(Method::POST, "/broadcasts/{id}/subscribers", Operation::AddSubscriber),
    application(Method::DELETE, "/broadcasts/{id}/subscribers", Operation::DeleteSubscribers),
    application(Method::GET, "/broadcasts/{id}/subscribers/list/{offset}/{size}", Operation::ListSubscribers),
    application(Method::GET, "/broadcasts/{id}/subscribers/{subscriber}", Operation::GetSubscriber),
    application(Method::DELETE, "/broadcasts/{id}/subscribers/{subscriber}", Operation::DeleteSubscriber),
    application(Method::GET, "/broadcasts/{id}/subscribers/{subscriber}/totp", Operation::GetSubscriberCode),
    application(
        Method::PUT,
        "/broadcasts/{id}/subscribers/{subscriber}/block/{seconds}/{type}",
        Operation::BlockSubscriber,
    ),
    application(
        Method::GET,
        "/broadcasts/{id}/subscriber-stats/list/{offset}/{size}",
        Operation::ListSubscriberStatistics,
    ),
    application(Method::GET, "/broadcasts/{id}/stream-info", Operation::GetStreamInfo),
    application(Method::POST, "/broadcasts/{id}/data", Operation::SendMessage),
    application(Method::GET, "/vods/count", Operation::CountVods),
    application(Method::GET, "/vods/count/{search}", Operation::CountMatchingVods),
    application(Method::GET, "/vods/list/{offset}/{size}", Operation::ListVods),
    application(Method::GET, "/vods/{id}", Operation::GetVod),
    application(Method::GET, "/version", Operation::GetApplicationVersion),
    node(Method::GET, "/applications", Operation::ListApplications, Role::Reader),
    node(Method::GET, "/applications-info", Operation::GetApplicationsInfo, Role::Reader),
    node(Method::GET, "/applications/live-streams/{app}", Operation::ListLiveStreams, Role::Reader),
    node(Method::GET, "/applications/settings/{app}", Operation::GetSettings, Role::Reader),
    node(Method::POST, "/applications/settings/{app}", Operation::ReplaceSettings, Role::Admin),
    node(Method::PATCH, "/applications/settings/{app}", Operation::PatchSettings, Role::Admin),
    node(Method::POST, "/applications/{app}/explain", Operation::ExplainAccess, Role::Admin),
    node(Method::POST, "/applications/{app}", Operation::CreateApplication, Role::Admin),
    node(Method::DELETE, "/applications/{app}", Operation::DeleteApplication, Role::Admin),
    node(Method::GET, "/version", Operation::GetVersion, Role::Reader),
    node(Method::GET, "/liveness", Operation::GetLiveness, Role::Everyone),
    node(Method::GET, "/cluster-mode-status", Operation::GetClusterMode, Role::Reader),
    node(Method::GET, "/cluster/status", Operation::GetClusterStatus, Role::Reader),
    node(Method::GET, "/cluster/node-count", Operation::CountNodes, Role::Reader),
    node(Method::GET, "/cluster/nodes/{offset}/{size}", Operation::ListNodes, Role::Reader),
    node(Method::DELETE, "/cluster/node/{id}", Operation::ForgetNode, Role::Admin),
    node(Method::GET, "/backup", Operation::GetBackup, Role::Machine),
    node(Method::GET, "/openapi.json", Operation::GetOpenApi, Role::Reader),
    node(Method::GET, "/request", Operation::AskApplication, Role::Reader),
    node(Method::POST, "/request", Operation::AskApplication, Role::Reader),
    node(Method::PUT, "/request", Operation::AskApplication, Role::Reader),
    node(Method::DELETE, "/request", Operation::AskApplication, Role::Reader),
    node(Method::POST, "/users/initial", Operation::AddFirstUser, Role::Everyone),
    node(Method::GET, "/first-login-status", Operation::GetFirstLoginStatus, Role::Everyone),
    node(Method::POST, "/users/authenticate", Operation::LogIn, Role::Everyone),
    node(Method::DELETE, "/users/logout", Operation::LogOut, Role::Everyone),
    node(Method::GET, "/authentication-status", Operation::GetAuthenticationStatus, Role::Everyone),
    node(Method::GET, "/admin-status", Operation::GetAdminStatus, Role::Reader),
    node(Method::POST, "/users/password", Operation::ChangePassword, Role::Reader),
    node(Method::GET, "/users/{mail}/blocked", Operation::GetBlockedStatus, Role::Everyone),
    node(Method::GET, "/user-list", Operation::ListUsers, Role::Reader),
    node(Method::POST, "/users", Operation::AddUser, Role::Admin),
    node(Method::PUT, "/users", Operation::EditUser, Role::Admin),
    node(Method::DELETE, "/users/{username}", Operation::DeleteUser, Role::Admin),
];

/// The table as JSON, as it stands in `schemas/routes.json`.
pub fn routes_json() -> String {
    let rows: Vec<_> = ROUTES.iter().map(Route::as_json).collect();
    format!("[\n{}\n]\n", rows.join(",\n"))
}

impl Route {
    fn as_json(&self) -> String {
        let scope = match self.scope {
            Scope::Application => "application",
            Scope::Node => "node",
        };
        let role = self.role.label();
        format!(
            r#"  {{ "route": "{}", "verb": "{}", "role": "{role}", "scope": "{scope}" }}"#,
            self.full_path(),
            self.verb
        )
    }
}

/// What the table says to a verb and a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// The row, and the parts that stood where its path has `{name}`, in order.
    Route(&'static Route, Vec<&'a str>),
    /// The path exists for other verbs: the value of `Allow`.
    WrongVerb(String),
    /// No such path.
    Nothing,
}

/// Looks up `parts`, the path below the scope's prefix.
pub(crate) fn find<'a>(verb: &Method, scope: Scope, parts: &'a [String]) -> Found<'a> {
    let Some((path, values)) =
        ROUTES.iter().filter(|r| r.scope == scope).find_map(|r| Some((r.path, fit(r.path, parts)?)))
    else {
        return Found::Nothing;
    };
    let wanted = if verb == Method::HEAD { &Method::GET } else { verb };
    let mut verbs = Vec::new();
    for row in ROUTES.iter().filter(|r| r.scope == scope && r.path == path) {
        if row.verb == wanted {
            return Found::Route(row, values);
        }
        verbs.push(row.verb.as_str());
        if row.verb == Method::GET {
            verbs.push("HEAD");
        }
    }
    verbs.push("OPTIONS");
    Found::WrongVerb(verbs.join(", "))
}

fn fit<'a>(path: &str, parts: &'a [String]) -> Option<Vec<&'a str>> {
    // Each request is held against rows until one fits: nothing is allocated for those that do not.
    let template = || path.split('/').skip(1);
    if template().count() != parts.len() {
        return None;
    }
    let mut values = Vec::new();
    for (template, part) in template().zip(parts) {
        if template.starts_with('{') {
            values.push(part.as_str());
        } else if template != part {
            return None;
        }
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(path: &str) -> Vec<String> {
        path.split('/').skip(1).map(str::to_owned).collect()
    }

    fn operation(verb: &Method, path: &str) -> Option<(Operation, Vec<String>)> {
        match find(verb, Scope::Application, &parts(path)) {
            Found::Route(row, values) => {
                Some((row.operation, values.into_iter().map(str::to_owned).collect()))
            }
            _ => None,
        }
    }

    #[test]
    fn fixed_parts_win_over_ids() {
        let path = "/broadcasts/active-live-stream-count";
        assert_eq!(operation(&Method::GET, path), Some((Operation::CountLiveBroadcasts, vec![])));
        assert_eq!(
            find(&Method::DELETE, Scope::Application, &parts(path)),
            Found::WrongVerb("GET, HEAD, OPTIONS".into())
        );
    }

    #[test]
    fn values_come_in_order_and_head_is_a_get() {
        assert_eq!(
            operation(&Method::HEAD, "/broadcasts/list/10/20"),
            Some((Operation::ListBroadcasts, vec!["10".into(), "20".into()]))
        );
    }

    #[test]
    fn what_is_not_in_the_table_does_not_exist() {
        for (scope, path) in [
            (Scope::Node, "/broadcasts/a"),
            (Scope::Application, "/applications"),
            (Scope::Application, "/"),
            (Scope::Application, "/broadcasts/list/0"),
            (Scope::Application, "/broadcasts/a/token/b"),
            (Scope::Application, "/Broadcasts/a"),
        ] {
            assert_eq!(find(&Method::GET, scope, &parts(path)), Found::Nothing, "{path}");
        }
    }

    #[test]
    fn no_row_is_hidden_by_an_earlier_one() {
        for row in ROUTES {
            let parts = parts(row.path);
            let Found::Route(found, _) = find(&row.verb, row.scope, &parts) else {
                panic!("{row:?} cannot be reached")
            };
            assert_eq!(found, row);
        }
    }
}
