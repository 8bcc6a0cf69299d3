//! REST v2: the door, the table, then the handler.

use actix_web::http::{Method, StatusCode};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use base::{AppName, limits};
use cluster_model::Which;
use serde_json::Value;
use sessions::Body;

use crate::body::{read_json, read_text, takes_json};
use crate::door::{Asker, OfApp};
use crate::path::Parts;
use crate::routes::{Found, Operation, Role, Scope, find};
use crate::settings::{self, Way};
use crate::{
    ApiState, admission, answer, applications, broadcasts, clients, cluster, door, history, lists,
    management, messages, publishers, statistics, subscribers, tokens, users, vods,
};

/// If `path` lies below a REST prefix: whose REST it is, and the path below the prefix.
pub(crate) fn below_prefix<'a>(state: &ApiState, path: &'a Parts) -> Option<(Owner, &'a [String])> {
    let parts = path.as_slice();
    match parts {
        [rest, below @ ..] if rest == "rest" => Some((Owner::Node, below)),
        [app, rest, below @ ..] if rest == "rest" => {
            Some((Owner::Application(state.application(app)?), below))
        }
        _ => None,
    }
}

/// Whose REST is asked.
pub(crate) enum Owner {
    Node,
    Application(AppName),
}

/// Answers a REST request; `below` is the path below `/rest`.
pub(crate) async fn serve(
    request: &HttpRequest,
    body: Body,
    state: &Data<ApiState>,
    owner: Owner,
    below: &[String],
) -> HttpResponse {
    let (scope, found) = match owner {
        Owner::Node => (Scope::Node, look_up(request, Scope::Node, below)),
        Owner::Application(_) => (Scope::Application, look_up(request, Scope::Application, below)),
    };
    // What is not in the table is for nobody to find out but those who may ask most.
    let (role, operation, app) = match &found {
        Found::Route(route, values) => (route.role, Some(route.operation), route.app_of(values)),
        _ if scope == Scope::Application => (Role::Application, None, None),
        _ => (Role::Admin, None, None),
    };
    let admitted = match &owner {
        Owner::Application(app) => door::admit_to_app(request, state, &of_app(app, below)).await,
        Owner::Node => door::admit_to_node(request, state, role, operation, app).await,
    };
    let asker = match admitted {
        Ok(asker) => asker,
        Err(refusal) => return refusal,
    };
    if operation == Some(Operation::AskApplication) {
        return ask_application(request, body, state, asker).await;
    }
    let query = request.query_string();
    carry_out(request, body, state, Asked { owner, found, asker, query }).await
}

fn look_up<'a>(request: &HttpRequest, scope: Scope, below: &'a [String]) -> Found<'a> {
    match below {
        [version, below @ ..] if version == "v2" => find(request.method(), scope, below),
        _ => Found::Nothing,
    }
}

fn of_app<'a>(app: &'a AppName, below: &'a [String]) -> OfApp<'a> {
    OfApp { app, below: below.get(1..).unwrap_or_default() }
}

/// `/rest/v2/request?_path={App}/rest/v2/...`: by which AMS's panel asks an application for its user, whatever the
/// application's own filters say of the user's address.
async fn ask_application(
    request: &HttpRequest,
    body: Body,
    state: &Data<ApiState>,
    asker: Asker,
) -> HttpResponse {
    let parameters = sessions::Parameters::read(request.query_string());
    let wanted = parameters.get("_path").unwrap_or_default();
    let (path, own_query) = wanted.split_once('?').unwrap_or((wanted, ""));
    let path = Parts::new(&format!("/{}", path.trim_start_matches('/')));
    let Some((Owner::Application(app), below)) = path.as_ref().and_then(|path| below_prefix(state, path))
    else {
        return answer::not_found();
    };
    let asker = match door::may_ask(asker, request, &of_app(&app, below)) {
        Ok(asker) => asker,
        Err(refusal) => return refusal,
    };
    let found = look_up(request, Scope::Application, below);
    let query = if own_query.is_empty() {
        request.query_string().to_owned()
    } else {
        format!("{own_query}&{}", request.query_string())
    };
    let asked = Asked { owner: Owner::Application(app), found, asker, query: &query };
    carry_out(request, body, state, asked).await
}

/// What somebody who may ask it asks.
struct Asked<'a> {
    owner: Owner,
    found: Found<'a>,
    asker: Asker,
    query: &'a str,
}

async fn carry_out(
    request: &HttpRequest,
    body: Body,
    state: &Data<ApiState>,
    asked: Asked<'_>,
) -> HttpResponse {
    let Asked { owner, found, asker, query } = asked;
    let (operation, values) = match found {
        Found::Route(route, values) => (route.operation, values),
        Found::WrongVerb(allow) if request.method() == Method::OPTIONS => return answer::verbs(&allow),
        Found::WrongVerb(allow) => return answer::wrong_verb(&allow),
        Found::Nothing => return answer::not_found(),
    };
    if request.query_string().len() > limits::REST_QUERY_BYTES_MAX {
        return answer::refusal(StatusCode::URI_TOO_LONG, "URI Too Long");
    }
    if !takes_json(request) {
        return answer::refusal(StatusCode::NOT_ACCEPTABLE, "Not Acceptable");
    }
    if operation == Operation::SendMessage {
        return say(request, body, state, &owner, &values).await;
    }
    let body = match operation {
        Operation::CreateBroadcast
        | Operation::UpdateBroadcast
        | Operation::DeleteListedBroadcasts
        | Operation::ExplainAccess
        | Operation::ValidateToken
        | Operation::AddSubscriber
        | Operation::ReplaceSettings
        | Operation::PatchSettings
        | Operation::AddFirstUser
        | Operation::LogIn
        | Operation::ChangePassword
        | Operation::AddUser
        | Operation::EditUser => match read_json(request, body).await {
            Ok(body) => body,
            Err(refusal) => return refusal,
        },
        _ => None,
    };
    match owner {
        Owner::Application(app) => {
            of_application(state, (&app, &asker), operation, &values, body, query).await
        }
        Owner::Node if operation.is_of_users() => {
            of_users(request, state, &asker, operation, &values, body).await
        }
        Owner::Node => of_node(request, state, &asker, operation, &values, body).await,
    }
}

async fn of_users(
    request: &HttpRequest,
    state: &ApiState,
    asker: &Asker,
    operation: Operation,
    values: &[&str],
    body: Option<Value>,
) -> HttpResponse {
    let answered = match (operation, values) {
        (Operation::AddFirstUser, []) => users::add_first(request, state, body).await,
        (Operation::GetFirstLoginStatus, []) => users::first_login(state).await,
        (Operation::LogIn, []) => users::log_in(request, state, body).await,
        (Operation::LogOut, []) => users::log_out(request, state),
        (Operation::GetAuthenticationStatus, []) => users::status(request, state).await,
        (Operation::GetAdminStatus, []) => users::admin_status(asker),
        (Operation::ChangePassword, []) => users::change_password(asker, state, body).await,
        (Operation::GetBlockedStatus, [mail]) => users::blocked(state, mail),
        (Operation::ListUsers, []) => users::list(state).await,
        (Operation::AddUser, []) => users::add(state, body).await,
        (Operation::EditUser, []) => users::edit(asker, state, body).await,
        (Operation::DeleteUser, [name]) => users::delete(asker, state, name).await,
        _ => Ok(misplaced(operation)),
    };
    answered.unwrap_or_else(|refusal| refusal)
}

/// The one operation whose body is no JSON, though it is said to be.
async fn say(
    request: &HttpRequest,
    body: Body,
    state: &ApiState,
    owner: &Owner,
    values: &[&str],
) -> HttpResponse {
    let (Owner::Application(app), [id]) = (owner, values) else { return misplaced(Operation::SendMessage) };
    match read_text(request, body).await {
        Ok(text) => messages::send(state, app, id, text).await,
        Err(refusal) => refusal,
    }
}

async fn of_application(
    state: &Data<ApiState>,
    (app, asker): (&AppName, &Asker),
    operation: Operation,
    values: &[&str],
    body: Option<Value>,
    query: &str,
) -> HttpResponse {
    match (operation, values) {
        (Operation::CreateBroadcast, []) => broadcasts::create(state, app, body, query).await,
        (Operation::GetBroadcast, [id]) => broadcasts::get(state, app, asker, id).await,
        (Operation::UpdateBroadcast, [id]) => broadcasts::update(state, app, id, body).await,
        (Operation::DeleteBroadcast, [id]) => broadcasts::delete(state, app, id, query).await,
        (Operation::DeleteBroadcasts, []) => broadcasts::delete_many(state, app, query).await,
        (Operation::DeleteListedBroadcasts, []) => broadcasts::delete_listed(state, app, body).await,
        (Operation::StopBroadcast, [id]) => broadcasts::stop(state, app, id, query).await,
        (Operation::ListBroadcasts, [offset, size]) => {
            lists::list(state, app, asker, (offset, size), query).await
        }
        (Operation::CountBroadcasts, []) => lists::count(state, app, Which::All).await,
        (Operation::CountLiveBroadcasts, []) => lists::count(state, app, Which::Live).await,
        (Operation::CountMatchingBroadcasts, [search]) => lists::count_matching(state, app, search).await,
        (Operation::GetStatistics, [id]) => statistics::of_broadcast(state, app, id).await,
        (Operation::ListWebrtcClients, [id, offset, size]) => {
            clients::of_broadcast(state, app, id, offset, size)
        }
        (Operation::GetWebrtcSendStatistics, []) => clients::of_application(state, app),
        (Operation::GetWebrtcReceiveStatistics, []) => publishers::of_application(state, app),
        (Operation::GetTotalStatistics, []) => statistics::of_application(state, app).await,
        (Operation::ListConnectionEvents, [id, offset, size]) => {
            history::events(state, app, id, offset, size, query).await
        }
        (Operation::ListSessions, [id, offset, size]) => admission::list(state, app, id, offset, size),
        (Operation::KickSession, [id, session]) => admission::kick(state, app, id, session).await,
        (Operation::CreateToken, [id]) => tokens::create(state, app, id, query).await,
        (Operation::CreateJwtToken, [id]) => tokens::create_jwt(state, app, id, query),
        (Operation::ValidateToken, []) => tokens::validate(state, app, body).await,
        (Operation::RevokeTokens, [id]) => tokens::revoke_all(state, app, id).await,
        (Operation::RevokeToken, [id, token]) => tokens::revoke(state, app, id, token).await,
        (Operation::ListTokens, [id, offset, size]) => tokens::list(state, app, id, offset, size).await,
        _ => of_subscribers(state, app, operation, values, body, query).await,
    }
}

async fn of_subscribers(
    state: &ApiState,
    app: &AppName,
    operation: Operation,
    values: &[&str],
    body: Option<Value>,
    query: &str,
) -> HttpResponse {
    match (operation, values) {
        (Operation::AddSubscriber, [id]) => subscribers::add(state, app, id, body).await,
        (Operation::DeleteSubscribers, [id]) => subscribers::delete_all(state, app, id).await,
        (Operation::ListSubscribers, [id, offset, size]) => {
            subscribers::list(state, app, id, offset, size).await
        }
        (Operation::GetSubscriber, [id, who]) => subscribers::get(state, app, id, who).await,
        (Operation::DeleteSubscriber, [id, who]) => subscribers::delete(state, app, id, who).await,
        (Operation::GetSubscriberCode, [id, who]) => subscribers::code(state, app, id, who, query).await,
        (Operation::BlockSubscriber, [id, who, seconds, kind]) => {
            subscribers::block(state, app, id, who, seconds, kind).await
        }
        (Operation::ListSubscriberStatistics, [id, offset, size]) => {
            subscribers::statistics(state, app, id, offset, size).await
        }
        (Operation::GetStreamInfo, [id]) => statistics::stream_info(state, app, id).await,
        (Operation::CountVods, []) => vods::count(state, app, None).await,
        (Operation::CountMatchingVods, [search]) => vods::count(state, app, Some(search)).await,
        (Operation::ListVods, [offset, size]) => vods::list(state, app, (offset, size), query).await,
        (Operation::GetVod, [id]) => vods::get(state, app, id).await,
        (Operation::GetApplicationVersion, []) => management::application_version(),
        _ => misplaced(operation),
    }
}

async fn of_node(
    request: &HttpRequest,
    state: &ApiState,
    asker: &Asker,
    operation: Operation,
    values: &[&str],
    body: Option<Value>,
) -> HttpResponse {
    let (query, headers) = (request.query_string(), request.headers());
    match (operation, values) {
        (Operation::ExplainAccess, [app]) => {
            admission::explain(state, app, body, sessions::peer_of(request)).await
        }
        (Operation::GetApplicationsInfo, []) => applications::info(state).await,
        (Operation::ListLiveStreams, [app]) => applications::live_streams(state, app).await,
        (Operation::CreateApplication, [app]) => applications::create(state, app).await,
        (Operation::DeleteApplication, [app]) => applications::delete(state, app, query).await,
        (Operation::GetSettings, [app]) => settings::get(state, asker, app).await,
        (Operation::ReplaceSettings, [app]) => {
            settings::change(state, app, Way::Replace, body, query, headers).await
        }
        (Operation::PatchSettings, [app]) => {
            settings::change(state, app, Way::Patch, body, query, headers).await
        }
        (Operation::ListApplications, []) => management::applications(state),
        (Operation::GetVersion, []) => management::version(),
        (Operation::GetLiveness, []) => management::liveness(state),
        (Operation::GetOpenApi, []) => management::open_api(),
        (Operation::GetClusterMode, []) => cluster::mode(state),
        (Operation::GetClusterStatus, []) => cluster::status(state),
        (Operation::CountNodes, []) => cluster::count(state).await,
        (Operation::ListNodes, [offset, size]) => cluster::list(state, offset, size).await,
        (Operation::ForgetNode, [id]) => cluster::forget(state, id).await,
        (Operation::GetBackup, []) => cluster::backup(state).await,
        _ => misplaced(operation),
    }
}

/// A mistake in the table; a test asks every row.
fn misplaced(operation: Operation) -> HttpResponse {
    tracing::error!(?operation, "the route table gives a path to an operation that cannot take it");
    answer::not_found()
}
