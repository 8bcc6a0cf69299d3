//! One-time tokens, room tokens and JWTs: who has one may publish or play (AMS's section "One Time Token Control").

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use base::{AppName, Secret, StreamId};
use cluster_model::{Direction, MetaError, SpendError, TokenId, TokenTerms, read_discreetly};
use security::Direction::{Play, Publish};
use security::LiveSession;
use security::credential::jwt::{self, JwtFault};
use security::credential::{hash, print_of};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sessions::Parameters;
use utoipa::ToSchema;

use crate::ApiState;
use crate::age::read_many;
use crate::answer::{Outcome, not_found, ok, refusal, unavailable, unreadable};
use crate::lists::page;
use crate::settings;

const UNDEFINED: &str = "Define Stream ID, Token Type and Expire Date (unix time)";
const WRONG_TYPE: &str = "Invalid token type. Supported types are 'play' and 'publish'";
const NOT_SAVED: &str = "Cannot save token to the datastore";
const NO_STREAM: &str = "Stream id is not valid.";
const NO_ROOM: &str = "Room id is not valid.";
const NO_JWT: &str = "Cannot create JWT token. The problem can be ->  this is community edition or JWT stream key \
                      is not set or it's length is less than 32";

/// AMS's `Token`.
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TokenShown {
    /// The text that is shown to the gate.
    token_id: String,
    stream_id: String,
    /// Unix seconds.
    expire_date: i64,
    /// `play` or `publish`.
    #[serde(rename = "type")]
    kind: String,
    /// For all of this room, where a token is not spent and lives until it expires.
    room_id: Option<String>,
}

/// What a client says of a token it holds.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = TokenToValidate)]
#[serde(default, rename = "Token", rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TokenGiven {
    token_id: Option<String>,
    stream_id: Option<String>,
    expire_date: i64,
    #[serde(rename = "type")]
    kind: Option<String>,
    room_id: Option<String>,
}

/// The query of both ways to make a token.
struct Wanted {
    expire_s: i64,
    kind: String,
    room: Option<String>,
}

impl Wanted {
    /// A date that is no number is no path of AMS's: 404.
    fn read(query: &str) -> Result<Self, HttpResponse> {
        let query = Parameters::read(query);
        let expire_s = query.get("expireDate").map_or(Ok(0), str::parse).map_err(|_| not_found())?;
        match query.get("type").filter(|_| expire_s > 0) {
            Some(kind) => Ok(Self {
                expire_s,
                kind: kind.to_owned(),
                room: query.get("roomId").filter(|room| !room.is_empty()).map(str::to_owned),
            }),
            None => Err(refusal(StatusCode::BAD_REQUEST, UNDEFINED)),
        }
    }
}

fn direction(kind: &str) -> Option<Direction> {
    [Direction::Play, Direction::Publish].into_iter().find(|direction| direction.as_str() == kind)
}

/// `GET /{id}/token`: makes a token, which is good for one session, or with a room for all of it. The stream need not exist.
pub(crate) async fn create(state: &ApiState, app: &AppName, id: &str, query: &str) -> HttpResponse {
    let wanted = match Wanted::read(query) {
        Ok(wanted) => wanted,
        Err(refusal) => return refusal,
    };
    let bad = |why| refusal(StatusCode::BAD_REQUEST, why);
    let Some(direction) = direction(&wanted.kind) else { return bad(WRONG_TYPE) };
    let Ok(stream) = StreamId::new(id) else { return bad(NO_STREAM) };
    let Ok(room) = wanted.room.as_deref().map(StreamId::new).transpose() else { return bad(NO_ROOM) };
    let terms = TokenTerms { direction, expire_s: wanted.expire_s, room };
    match state.tokens.create(app, &stream, terms.clone()).await {
        Ok(token) => ok(&shown(&stream, &token, &terms)),
        Err(MetaError::Refused(rule)) => {
            tracing::warn!(%app, %rule, "a token could not be stored");
            bad(NOT_SAVED)
        }
        Err(error) => unavailable(&error),
    }
}

/// A JWT says no more than its stream, its type and when it expires.
const REVOKED_JWT: &str = "This very token was revoked: give another expireDate";

/// `GET /{id}/jwt-token`: signs a token, which is stored nowhere and good until it expires. As in AMS the type is put in as it
/// is, and the stream may be any. Where JWTs are checked by keys that somebody else has, none is signed here.
pub(crate) fn create_jwt(state: &ApiState, app: &AppName, id: &str, query: &str) -> HttpResponse {
    let wanted = match Wanted::read(query) {
        Ok(wanted) => wanted,
        Err(refusal) => return refusal,
    };
    let settings = state.settings.snapshot(app);
    let ours = settings.as_ref().filter(|settings| settings.jwt_stream_jwks_url().trim().is_empty());
    let secret = ours.map_or("", |settings| settings.jwt_stream_secret().expose());
    let signed = jwt::stream_token(secret, id, &wanted.kind, wanted.expire_s);
    let is_revoked =
        |token: &String| settings.as_ref().is_some_and(|settings| settings.is_revoked(&print_of(token)));
    match signed {
        // The same words give the same token.
        Some(token_id) if is_revoked(&token_id) => refusal(StatusCode::BAD_REQUEST, REVOKED_JWT),
        Some(token_id) => ok(&TokenShown {
            token_id,
            stream_id: id.to_owned(),
            expire_date: wanted.expire_s,
            kind: wanted.kind,
            room_id: wanted.room,
        }),
        None => refusal(StatusCode::BAD_REQUEST, NO_JWT),
    }
}

/// `POST /validate-token`: whether a token would let somebody in. It is spent thereby, unless the request names a room; then it may
/// be of any stream of the room, or made for the room as a stream. AMS then takes one of any stream at all: who asks for a room with
/// a token of somewhere else is told the truth here.
pub(crate) async fn validate(state: &ApiState, app: &AppName, body: Option<Value>) -> HttpResponse {
    let given: TokenGiven = match body.map_or_else(|| Ok(TokenGiven::default()), read_discreetly) {
        Ok(given) => given,
        Err(why) => return unreadable(&why),
    };
    match is_good(state, app, &given).await {
        Ok(true) => ok(&Outcome::success("")),
        Ok(false) => ok(&Outcome::failure("")),
        Err(error) => unavailable(&error),
    }
}

async fn is_good(state: &ApiState, app: &AppName, given: &TokenGiven) -> Result<bool, MetaError> {
    let Some(token) = given.token_id.as_deref().and_then(|id| TokenId::new(id).ok()) else {
        return Ok(false);
    };
    let Some(direction) = given.kind.as_deref().and_then(direction) else { return Ok(false) };
    let stream = given.stream_id.as_deref().and_then(|id| StreamId::new(id).ok());
    let Some(room) = given.room_id.as_deref().filter(|room| !room.is_empty()) else {
        let Some(stream) = stream else { return Ok(false) };
        return match state.tokens.consume(app, &stream, &token, direction).await {
            Ok(()) => Ok(true),
            Err(SpendError::Refused(_)) => Ok(false),
            Err(SpendError::Meta(error)) => Err(error),
        };
    };
    let room = StreamId::new(room).ok();
    let home = match &room {
        Some(room) => state.tokens.home_in_room(app, room, &token).await?,
        None => None,
    };
    for of in stream.into_iter().chain(home).chain(room) {
        if state.tokens.fault(app, &of, &token, direction).await?.is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `DELETE /{id}/tokens`: voids all tokens of a stream; none that is good is a failure (AMS).
pub(crate) async fn revoke_all(state: &ApiState, app: &AppName, id: &str) -> HttpResponse {
    let Ok(stream) = StreamId::new(id) else { return ok(&Outcome::failure("")) };
    let revoked = async {
        // Spent and void ones are there for a while yet; those of who is in are not over.
        let of_token =
            |session: LiveSession| session.proof.is_some_and(|proof| proof.contains("one-time token"));
        let any = state.gate.sessions(app, &stream).into_iter().any(of_token)
            || !state.tokens.list(app, &stream, 0, 1).await?.is_empty();
        Ok(state.tokens.revoke_all(app, &stream).await? && any)
    };
    match revoked.await {
        Ok(true) => ok(&Outcome::success("")),
        Ok(false) => ok(&Outcome::failure("")),
        Err(error) => unavailable(&error),
    }
}

/// `DELETE /{id}/tokens/{tokenId}`, which is ours: voids one. Of a hash or JWT of the stream, which are stored nowhere, the settings
/// say from then on that it is not good.
pub(crate) async fn revoke(state: &ApiState, app: &AppName, id: &str, token: &str) -> HttpResponse {
    let unknown = || ok(&Outcome::failure("The stream has no such token"));
    let Ok(stream) = StreamId::new(id) else { return unknown() };
    let revoked = match TokenId::new(token) {
        Ok(token) => state.tokens.revoke(app, &stream, &token).await,
        Err(_) => Ok(false),
    };
    match revoked {
        Ok(true) => ok(&Outcome::success("")),
        Ok(false) => match signed_until(state, app, &stream, token).await {
            Ok(until_s) => revoke_signed(state, app, token, until_s).await,
            Err(JwtFault::NoKeys) => {
                let why = "The published keys cannot be had now: whose token it is cannot be said. Ask again";
                refusal(StatusCode::SERVICE_UNAVAILABLE, why)
            }
            Err(_) => unknown(),
        },
        Err(error) => unavailable(&error),
    }
}

/// Until when a hash or JWT of the stream is good; `None`: for ever.
///
/// # Errors
/// It is none.
async fn signed_until(
    state: &ApiState,
    app: &AppName,
    stream: &StreamId,
    token: &str,
) -> Result<Option<i64>, JwtFault> {
    let settings = state.settings.snapshot(app).ok_or(JwtFault::NoSecret)?;
    let both = [Play, Publish];
    let hashes = [settings.token_hash_secret(), settings.token_hash_secret_previous()];
    let is_hash = |secret: &Secret<&str>| {
        both.iter().any(|kind| hash::is_stream_hash(token, stream.as_str(), *kind, secret.expose()))
    };
    if hashes.iter().any(is_hash) {
        return Ok(None);
    }
    let (secret, jwks_url) = (settings.jwt_stream_secret(), settings.jwt_stream_jwks_url());
    let claims = state.door.keys.signed(token, secret.expose(), jwks_url).await?;
    let is_its = both.iter().any(|kind| claims.check_stream(stream.as_str(), None, *kind).is_ok());
    if is_its {
        Ok(claims.expires_s().map(|seconds| seconds.ceil() as i64))
    } else {
        Err(JwtFault::WrongStream)
    }
}

async fn revoke_signed(state: &ApiState, app: &AppName, token: &str, until_s: Option<i64>) -> HttpResponse {
    let (print, now_s) =
        (print_of(token), i64::try_from(state.clock.wall().as_millis() / 1_000).unwrap_or(0));
    let full = "Too many hashes and JWTs of this application are revoked: replace their secret, which revokes all of them, and empty revokedTokens";
    let amended = settings::amend(state, app, |held| {
        held.with_revoked(&print, until_s, now_s).ok_or_else(|| ok(&Outcome::failure(full)))
    });
    match amended.await {
        Ok(()) => ok(&Outcome::success("")),
        Err(refusal) => refusal,
    }
}

/// `GET /{id}/tokens/list/{offset}/{size}`: those that may still be spent, at most 250.
pub(crate) async fn list(
    state: &ApiState,
    app: &AppName,
    id: &str,
    offset: &str,
    size: &str,
) -> HttpResponse {
    let Some((offset, size)) = page(offset, size) else { return not_found() };
    let Ok(stream) = StreamId::new(id) else { return ok(&Vec::<TokenShown>::new()) };
    read_many(state, state.tokens.list(app, &stream, offset, size), |page| {
        ok(&page.iter().map(|(id, token)| shown(&stream, id, &token.terms)).collect::<Vec<_>>())
    })
    .await
}

fn shown(stream: &StreamId, token: &TokenId, terms: &TokenTerms) -> TokenShown {
    TokenShown {
        token_id: token.as_str().to_owned(),
        stream_id: stream.as_str().to_owned(),
        expire_date: terms.expire_s,
        kind: terms.direction.as_str().to_owned(),
        room_id: terms.room.as_ref().map(|room| room.as_str().to_owned()),
    }
}
