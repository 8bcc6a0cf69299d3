//! Who asks REST, and whether the row of a route lets it in. What a request says is read here; what that is worth
//! `security::door` decides.

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};
use base::{AppName, Secret};
use security::door::{AppDoor, Caller, LoggedIn, NotMachine, Origin, Rights, UserError, UserType, Users};
use security::{AddressRanges, KeySets};
use std::sync::Arc;

use crate::routes::{Operation, Role};
use crate::{ApiState, answer};

/// The cookie of a management session.
const COOKIE: &str = "penstock_session";
/// The same where it came encrypted. Browsers take a cookie of such a name from encrypted answers of this very host alone (RFC
/// 6265bis, 4.1.3.2), so that nobody on the way or on another host of the domain can give one.
const SECURE_COOKIE: &str = "__Host-penstock_session";
/// AMS's header for a JWT that opens the node's own REST.
const PROXY_AUTHORIZATION: &str = "proxyauthorization";

/// What the door of a node goes by, beside its applications' settings.
pub struct Doorkeeper {
    /// The users of the management pages.
    pub users: Arc<Users>,
    /// What JWTs are checked by.
    pub keys: Arc<KeySets>,
    /// Who may ask the node's own REST at all, and from where a log-in counts; the machine itself always may. Empty: everybody,
    /// who is then asked who it is.
    pub management_allowed: AddressRanges,
    /// What a JWT in `ProxyAuthorization` is signed by; `None`: such a header says nothing.
    pub management_jwt: Option<ManagementJwt>,
}

/// What management JWTs are signed by.
pub struct ManagementJwt {
    /// The secret, where no address is given.
    pub secret: Secret,
    /// Where the keys are published; empty: nowhere.
    pub jwks_url: String,
}

/// Who was let in.
#[derive(Clone, Debug)]
pub(crate) enum Asker {
    /// Whoever: the route is for everyone, or the application's settings let this one in.
    Anyone,
    /// The machine itself.
    Machine,
    /// A user who logged in.
    User(LoggedIn),
    /// Who showed a management JWT.
    Signed,
}

impl Asker {
    /// What it may do with the node.
    pub(crate) fn rights(&self) -> Rights {
        match self {
            Self::Anyone => Rights::default(),
            Self::Machine | Self::Signed => Rights::all(),
            Self::User(user) => user.rights(),
        }
    }

    /// Whether its answers may have in them what is secret of an application: a user is told so as administrator only.
    pub(crate) fn sees_secrets_of(&self, app: &AppName) -> bool {
        self.user().is_none_or(|user| user.rights().in_app(app.as_str()) >= Some(UserType::Admin))
    }

    /// The user who logged in.
    pub(crate) fn user(&self) -> Option<&LoggedIn> {
        if let Self::User(user) = self { Some(user) } else { None }
    }
}

/// What of an application is asked for.
pub(crate) struct OfApp<'a> {
    /// The application.
    pub(crate) app: &'a AppName,
    /// The path below `/rest/v2`.
    pub(crate) below: &'a [String],
}

/// Who asks, as far as connection and headers tell; `None`: the connection is gone.
fn caller(request: &HttpRequest) -> Option<Caller<'_>> {
    let host = text(request, header::HOST.as_str());
    Some(Caller {
        peer: sessions::peer_of(request)?,
        is_forwarded: sessions::forwarding_of(request).is_any(),
        host,
        origin: origin(request),
    })
}

/// The page that a request comes from.
pub(crate) fn origin(request: &HttpRequest) -> Origin {
    let value = |name: &str| request.headers().get(name).map(header::HeaderValue::as_bytes);
    Origin::of(value("origin"), text(request, header::HOST.as_str()), value("sec-fetch-site"))
}

fn text<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

/// That the machine itself asks.
pub(crate) fn is_the_machine(request: &HttpRequest, server_name: &str) -> Result<(), NotMachine> {
    caller(request).ok_or(NotMachine::NotLoopback)?.is_the_machine(server_name)
}

/// Lets in who may ask a route of an application. `of` is what would be asked for.
pub(crate) async fn admit_to_app(
    request: &HttpRequest,
    state: &ApiState,
    of: &OfApp<'_>,
) -> Result<Asker, HttpResponse> {
    // Who logged in is asked first: in a browser on this machine a user may what the user may, and no more.
    if is_managed_from(request, state)
        && let Some(user) = session(request, state).await?
    {
        return may_ask(Asker::User(user), request, of);
    }
    let settings = state.settings.snapshot(of.app);
    let door = AppDoor { settings: settings.as_deref(), keys: &state.door.keys };
    let caller = caller(request).ok_or_else(answer::not_allowed)?;
    let authorization = text(request, header::AUTHORIZATION.as_str());
    match door.admit(&caller, authorization, &state.server_name).await {
        Ok(()) => Ok(Asker::Anyone),
        Err(refusal) => {
            tracing::debug!(?refusal, app = %of.app, verb = %request.method(), "REST request refused");
            Err(answer::refusal(StatusCode::FORBIDDEN, refusal.message()))
        }
    }
}

/// That who asks may ask an application's REST by what it may on the node.
pub(crate) fn may_ask(asker: Asker, request: &HttpRequest, of: &OfApp<'_>) -> Result<Asker, HttpResponse> {
    let may = asker.rights().may_ask(of.app.as_str(), reads(request.method()), of.below);
    if may { Ok(asker) } else { Err(not_yours()) }
}

/// Lets in who may ask a route of the node. `app` is the application that its path names.
pub(crate) async fn admit_to_node(
    request: &HttpRequest,
    state: &ApiState,
    role: Role,
    operation: Option<Operation>,
    app: Option<&str>,
) -> Result<Asker, HttpResponse> {
    // Who balances load asks whether the node lives, and need not be an operator's address.
    if operation != Some(Operation::GetLiveness) && !is_managed_from(request, state) {
        return Err(answer::not_allowed());
    }
    if role == Role::Everyone {
        return Ok(Asker::Anyone);
    }
    if role == Role::Machine {
        return is_the_machine(request, &state.server_name).map(|()| Asker::Machine).map_err(|why| {
            tracing::debug!(?why, verb = %request.method(), "REST request refused");
            answer::not_allowed()
        });
    }
    let asker = identify(request, state).await?;
    let rights = asker.rights();
    let held = match app {
        Some(app) => rights.in_app(app),
        None if role == Role::Reader => rights.anywhere(),
        None => rights.in_system(),
    };
    let needed = if role == Role::Reader { UserType::ReadOnly } else { UserType::Admin };
    if held >= Some(needed) { Ok(asker) } else { Err(not_yours()) }
}

/// Whether the node may be managed from where the request comes: from the machine itself always, so that no list shuts out its
/// own command line.
fn is_managed_from(request: &HttpRequest, state: &ApiState) -> bool {
    let allowed = &state.door.management_allowed;
    let is_listed = || {
        let address = caller(request).and_then(|caller| caller.address(&state.server_name));
        address.is_some_and(|address| allowed.contains(address))
    };
    allowed.is_empty() || is_the_machine(request, &state.server_name).is_ok() || is_listed()
}

/// Who asks the node's own REST.
async fn identify(request: &HttpRequest, state: &ApiState) -> Result<Asker, HttpResponse> {
    if let Some((jwt, token)) = state.door.management_jwt.as_ref().zip(text(request, PROXY_AUTHORIZATION)) {
        let token = security::door::bare_token(token);
        let checked = state.door.keys.check(token, jwt.secret.expose(), &jwt.jwks_url).await;
        return checked.map(|_| Asker::Signed).map_err(|why| {
            tracing::debug!(%why, "a management JWT was refused");
            answer::refusal(StatusCode::FORBIDDEN, "Invalid Server JWT Token")
        });
    }
    if let Some(user) = session(request, state).await? {
        return Ok(Asker::User(user));
    }
    if is_the_machine(request, &state.server_name).is_ok() {
        return Ok(Asker::Machine);
    }
    let known = session_name(request).is_some();
    let message = if known { "No user in this session" } else { "Not authenticated user" };
    Err(answer::refusal(StatusCode::FORBIDDEN, message))
}

/// Who logged in and asks now. To pages of other origins a session is worth nothing.
pub(crate) async fn session(
    request: &HttpRequest,
    state: &ApiState,
) -> Result<Option<LoggedIn>, HttpResponse> {
    let Some(name) = session_name(request) else { return Ok(None) };
    state.door.users.session(name).await.map_err(|error| unavailable(&error))
}

/// The session's name in the cookie of a request that no foreign page sent.
pub(crate) fn session_name(request: &HttpRequest) -> Option<&str> {
    if origin(request) == Origin::Foreign {
        return None;
    }
    let cookies = request.headers().get_all(header::COOKIE).filter_map(|cookies| cookies.to_str().ok());
    let mut pairs =
        cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let wanted = cookie_name(request);
    pairs.find(|(name, value)| *name == wanted && !value.is_empty()).map(|(_, value)| value)
}

fn cookie_name(request: &HttpRequest) -> &'static str {
    if sessions::is_encrypted(request) { SECURE_COOKIE } else { COOKIE }
}

/// The header that gives a session to the browser, or takes it away (`None`).
pub(crate) fn set_cookie(request: &HttpRequest, session: Option<&Secret>) -> (header::HeaderName, String) {
    let (value, age) = match session {
        Some(session) => (session.expose().as_str(), ""),
        None => ("", "; Max-Age=0"),
    };
    let (name, secure) =
        (cookie_name(request), if sessions::is_encrypted(request) { "; Secure" } else { "" });
    (header::SET_COOKIE, format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}"))
}

/// What AMS says when its store is away, and what we do when too many wait.
pub(crate) fn unavailable(error: &UserError) -> HttpResponse {
    match error {
        UserError::Store(cluster_model::MetaError::Refused(rule)) => {
            answer::refusal(StatusCode::BAD_REQUEST, &rule.to_string())
        }
        UserError::Store(error) => {
            tracing::warn!(%error, "users cannot be looked up");
            let message = "Database is not available. Please try again";
            answer::refusal(StatusCode::INTERNAL_SERVER_ERROR, message)
        }
        UserError::Busy => answer::refusal(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
        UserError::BadPassword => answer::refusal(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

fn not_yours() -> HttpResponse {
    let message = "Not allowed to access this resource. Contact system admin";
    answer::refusal(StatusCode::FORBIDDEN, message)
}

fn reads(verb: &Method) -> bool {
    matches!(*verb, Method::GET | Method::HEAD | Method::OPTIONS)
}
