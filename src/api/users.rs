//! Log-in and users of the management pages, with AMS's paths, shapes and messages.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use cluster_model::{PutWhen, User, UserName};
use security::door::{LogIn, LoggedIn, Origin, UserError, UserType, types_of};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::answer::{Outcome, ok, refusal};
use crate::door::{self, Asker, set_cookie, unavailable};
use crate::{ApiState, answer};

/// The scope that means the whole node.
const SYSTEM: &str = "system";
/// By which `users/initial` is told the code that the node printed when it started.
const SET_UP_CODE: &str = "penstock-setup-code";
const BLOCKED: &str = "Too many login attempts. User is blocked for 300 secs";
const NO_USER: &str = "A user is a JSON object of texts, in which appNameUserType has types by scope";
/// AMS answers `users/initial` with it whatever came of it.
const INITIAL_ERROR_ID: i32 = -1;

/// AMS's `User`, as it is sent. Keys nobody knows are ignored. It has no `Debug`, for it holds passwords.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = UserSent)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Sent {
    email: Option<String>,
    password: Option<String>,
    new_password: Option<String>,
    user_type: Option<String>,
    scope: Option<String>,
    app_name_user_type: Option<BTreeMap<String, String>>,
    first_name: Option<String>,
    last_name: Option<String>,
    picture: Option<String>,
}

fn said(text: Option<&String>) -> &str {
    text.map_or("", String::as_str)
}

/// AMS's `User`, as it is shown: without passwords.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shown {
    email: String,
    user_type: Option<String>,
    scope: Option<String>,
    app_name_user_type: BTreeMap<String, String>,
    first_name: Option<String>,
    last_name: Option<String>,
    full_name: String,
    picture: Option<String>,
}

impl Shown {
    fn of(name: &UserName, user: &User) -> Self {
        let (first, last) = (user.first_name.clone(), user.last_name.clone());
        let full: Vec<_> = [&first, &last].into_iter().flatten().map(String::as_str).collect();
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        Self {
            email: name.as_str().to_owned(),
            user_type: some(&user.user_type),
            scope: some(&user.scope),
            app_name_user_type: types_of(user),
            full_name: full.join(" "),
            first_name: first,
            last_name: last,
            picture: user.picture.clone(),
        }
    }
}

/// Reads the body; what is absent or null is a user without anything.
fn read(body: Option<Value>) -> Result<Sent, HttpResponse> {
    match body {
        None => Ok(Sent::default()),
        // What stands in the wrong place may be a password, and is not repeated.
        Some(mut body) => {
            // As with every other body a number stands for its text: a password may be one.
            for value in body.as_object_mut().into_iter().flat_map(Map::values_mut) {
                if value.is_number() {
                    *value = value.to_string().into();
                }
            }
            serde_json::from_value(body).map_err(|_| refusal(StatusCode::BAD_REQUEST, NO_USER))
        }
    }
}

/// Refuses pages of other origins: they could log their visitor in as somebody else, or out.
fn only_own_pages(request: &HttpRequest) -> Result<(), HttpResponse> {
    match door::origin(request) {
        Origin::Foreign => {
            Err(refusal(StatusCode::FORBIDDEN, "Pages of another origin cannot log in or out"))
        }
        Origin::Own | Origin::None => Ok(()),
    }
}

type Answered = Result<HttpResponse, HttpResponse>;

/// `GET /first-login-status`: succeeds while there is no user.
pub(crate) async fn first_login(state: &ApiState) -> Answered {
    let none = state.door.users.is_none_there().await.map_err(|error| unavailable(&error))?;
    Ok(ok(&if none { Outcome::success("") } else { Outcome::failure("") }))
}

/// `POST /users/initial`: the first user, which may do everything; from the machine itself, or with the set-up code.
pub(crate) async fn add_first(request: &HttpRequest, state: &ApiState, body: Option<Value>) -> Answered {
    only_own_pages(request)?;
    let sent = read(body)?;
    let users = &state.door.users;
    let code = request.headers().get(SET_UP_CODE).and_then(|code| code.to_str().ok()).unwrap_or_default();
    let trusted =
        door::is_the_machine(request, &state.server_name).is_ok() || users.is_set_up_code(code.trim());
    if !trusted {
        let message = "The first user is made on the server's own machine, or with the set-up code it printed at start (Penstock-Setup-Code)";
        return Err(refusal(StatusCode::FORBIDDEN, message));
    }
    let failed = |message: &str| Ok(ok(&Outcome::failure(message).with_error(INITIAL_ERROR_ID)));
    if !users.is_none_there().await.map_err(|error| unavailable(&error))? {
        return failed("");
    }
    let Ok(name) = UserName::new(sent.email.as_deref().unwrap_or_default()) else {
        return failed("The e-mail is empty, too long, or holds a control character");
    };
    let user = User {
        user_type: UserType::Admin.name().to_owned(),
        scope: SYSTEM.to_owned(),
        app_name_user_type: [(SYSTEM.to_owned(), UserType::Admin.name().to_owned())].into(),
        first_name: sent.first_name,
        last_name: sent.last_name,
        picture: sent.picture,
        ..User::default()
    };
    match users.put(&name, PutWhen::NoUsers, user, Some(said(sent.password.as_ref()))).await {
        Ok(true) => {
            tracing::info!("the first user was made");
            Ok(ok(&Outcome::success("").with_error(INITIAL_ERROR_ID)))
        }
        Ok(false) => failed(""),
        Err(error @ UserError::BadPassword) => failed(&error.to_string()),
        Err(error) => Err(unavailable(&error)),
    }
}

/// `POST /users/authenticate`: begins a session, which the answer's cookie names.
pub(crate) async fn log_in(request: &HttpRequest, state: &ApiState, body: Option<Value>) -> Answered {
    only_own_pages(request)?;
    let sent = read(body)?;
    let (name, given) = (sent.email.as_deref().unwrap_or_default(), said(sent.password.as_ref()));
    let came_of_it = state.door.users.log_in(name, given).await.map_err(|error| unavailable(&error))?;
    match came_of_it {
        LogIn::In(who) => {
            if let Some(old) = door::session_name(request) {
                state.door.users.log_out(old);
            }
            let mut response = ok(&Outcome::success(what_it_is(&who)));
            let (header, cookie) = set_cookie(request, Some(&who.session));
            if let Ok(cookie) = cookie.parse() {
                response.headers_mut().insert(header, cookie);
            }
            Ok(response)
        }
        LogIn::Wrong => Ok(ok(&Outcome::failure(""))),
        LogIn::Blocked => Ok(ok(&Outcome::failure(BLOCKED))),
    }
}

/// `scope/type`, or for several scopes all of them as JSON.
fn what_it_is(who: &LoggedIn) -> String {
    let types = types_of(&who.user);
    match types.iter().next() {
        Some((scope, kind)) if types.len() == 1 => format!("{scope}/{kind}"),
        _ => json!(types).to_string(),
    }
}

/// `DELETE /users/logout`: ends the session.
pub(crate) fn log_out(request: &HttpRequest, state: &ApiState) -> Answered {
    only_own_pages(request)?;
    if let Some(session) = door::session_name(request) {
        state.door.users.log_out(session);
    }
    let mut response = ok(&Outcome::success(""));
    let (header, cookie) = set_cookie(request, None);
    if let Ok(cookie) = cookie.parse() {
        response.headers_mut().insert(header, cookie);
    }
    Ok(response)
}

/// `GET /authentication-status`: whether there is a session; the message is the one of the log-in.
pub(crate) async fn status(request: &HttpRequest, state: &ApiState) -> Answered {
    let who = door::session(request, state).await?;
    Ok(ok(&who.map_or_else(|| Outcome::failure(""), |who| Outcome::success(what_it_is(&who)))))
}

/// `GET /admin-status`: whether who asks may do everything.
pub(crate) fn admin_status(asker: &Asker) -> Answered {
    let admin = asker.rights().in_system() == Some(UserType::Admin);
    Ok(ok(&if admin { Outcome::success("") } else { Outcome::failure("") }))
}

/// `GET /users/{mail}/blocked`.
pub(crate) fn blocked(state: &ApiState, mail: &str) -> Answered {
    Ok(ok(&if state.door.users.is_blocked(mail) { Outcome::success("") } else { Outcome::failure("") }))
}

/// `GET /user-list`: all users, in byte order of their names.
pub(crate) async fn list(state: &ApiState) -> Answered {
    let users = state.door.users.stored().list().await.map_err(|error| answer::unavailable(&error))?;
    Ok(ok(&users.iter().map(|(name, user)| Shown::of(name, user)).collect::<Vec<_>>()))
}

/// `POST /users/password`: the user's own, which ends its other sessions.
pub(crate) async fn change_password(asker: &Asker, state: &ApiState, body: Option<Value>) -> Answered {
    let sent = read(body)?;
    let Some(who) = asker.user() else {
        return Ok(ok(&Outcome::failure("User name does not exist in context")));
    };
    let (old, new) = (said(sent.password.as_ref()), said(sent.new_password.as_ref()));
    match state.door.users.change_password(who, old, new).await {
        Ok(true) => Ok(ok(&Outcome::success(""))),
        Ok(false) => Ok(ok(&Outcome::failure("User not exist with that name and password"))),
        Err(error @ UserError::BadPassword) => Ok(ok(&Outcome::failure(error.to_string()))),
        Err(error) => Err(unavailable(&error)),
    }
}

/// What was sent, over what is stored.
fn over(user: User, sent: &Sent) -> Result<User, &'static str> {
    let mut user = user;
    let (kind, scope, map) = (&sent.user_type, &sent.scope, &sent.app_name_user_type);
    // One of the two alone would mean it together with what nobody sees while the map counts.
    let half = kind.is_some() != scope.is_some() && map.is_none() && !user.app_name_user_type.is_empty();
    if half {
        return Err("This user has its types by application: send appNameUserType, or userType and scope");
    }
    let known = |kind: &str| UserType::read(kind).is_some();
    if let Some(kind) = &sent.user_type {
        user.user_type.clone_from(kind);
    }
    if let Some(scope) = &sent.scope {
        user.scope.clone_from(scope);
    }
    if let Some(types) = &sent.app_name_user_type {
        user.app_name_user_type.clone_from(types);
        if kind.is_none() && scope.is_none() {
            (user.user_type, user.scope) = (String::new(), String::new());
        }
    } else if sent.user_type.is_some() || sent.scope.is_some() {
        // Who sends no map means these two, whatever the map said.
        user.app_name_user_type.clear();
    }
    let types = types_of(&user);
    let is_said = user.user_type.is_empty() || known(&user.user_type);
    if types.is_empty() || !is_said || !types.values().all(|kind| known(kind)) {
        return Err(
            "userType is READ_ONLY, USER or ADMIN, with a scope, or appNameUserType has them by scope",
        );
    }
    for (new, old) in [
        (&sent.first_name, &mut user.first_name),
        (&sent.last_name, &mut user.last_name),
        (&sent.picture, &mut user.picture),
    ] {
        if new.is_some() {
            old.clone_from(new);
        }
    }
    Ok(user)
}

/// `POST /users`: another user.
pub(crate) async fn add(state: &ApiState, body: Option<Value>) -> Answered {
    let Some(body) = body else { return Ok(ok(&Outcome::failure("User object is null"))) };
    let sent = read(Some(body))?;
    let failed = |message: &str| Ok(ok(&Outcome::failure(message)));
    let Ok(name) = UserName::new(sent.email.as_deref().unwrap_or_default()) else {
        return failed("The e-mail is empty, too long, or holds a control character");
    };
    let user = match over(User { scope: SYSTEM.to_owned(), ..User::default() }, &sent) {
        Ok(user) => user,
        Err(message) => return failed(message),
    };
    match state.door.users.put(&name, PutWhen::Absent, user, Some(said(sent.password.as_ref()))).await {
        Ok(true) => Ok(ok(&Outcome::success(""))),
        Ok(false) => failed("User with the same e-mail already exists"),
        Err(error @ UserError::BadPassword) => failed(&error.to_string()),
        Err(error) => Err(unavailable(&error)),
    }
}

/// `PUT /users`: changes what was sent; a `newPassword` ends the user's sessions.
pub(crate) async fn edit(asker: &Asker, state: &ApiState, body: Option<Value>) -> Answered {
    let sent = read(body)?;
    let failed = |message: &str| Ok(ok(&Outcome::failure(message)));
    let gone = "Edited user is not found in database";
    let Ok(name) = UserName::new(sent.email.as_deref().unwrap_or_default()) else { return failed(gone) };
    if asker.user().is_some_and(|own| own.name == name) {
        return failed("User cannot edit itself");
    }
    let users = &state.door.users;
    let stored = users.stored().get(&name).await.map_err(|error| answer::unavailable(&error))?;
    let Some(stored) = stored else { return failed(gone) };
    let user = match over((*stored).clone(), &sent) {
        Ok(user) => user,
        Err(message) => return failed(message),
    };
    let given = Some(said(sent.new_password.as_ref())).filter(|given| !given.is_empty());
    match users.put(&name, PutWhen::Present, user, given).await {
        Ok(true) => Ok(ok(&Outcome::success(""))),
        Ok(false) => failed(gone),
        Err(error @ UserError::BadPassword) => failed(&error.to_string()),
        Err(error) => Err(unavailable(&error)),
    }
}

/// `DELETE /users/{username}`.
pub(crate) async fn delete(asker: &Asker, state: &ApiState, name: &str) -> Answered {
    let Ok(name) = UserName::new(name) else { return Ok(ok(&Outcome::failure(""))) };
    if asker.user().is_some_and(|own| own.name == name) {
        return Ok(ok(&Outcome::failure("You cannot delete yourself")));
    }
    let deleted = state.door.users.delete(&name).await.map_err(|error| unavailable(&error))?;
    Ok(ok(&if deleted { Outcome::success("") } else { Outcome::failure("") }))
}
