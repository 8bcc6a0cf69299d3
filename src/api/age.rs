//! How old what is shown may be, and what is no longer shown: by the table of what a node may do alone.

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderName, HeaderValue};
use cluster_model::{MetaError, Operation, Ruling, rule};

use crate::ApiState;
use crate::answer::{too_old, unavailable};

/// Says that an answer is what this node knows, and how many milliseconds old that is at most.
const AGE_MS: HeaderName = HeaderName::from_static("penstock-age-ms");
/// Says of the past that the newest of it may be missing, because the metadata plane is away.
const LAGGING: HeaderName = HeaderName::from_static("penstock-lagging");

/// Milliseconds that what an answer shows is old at most; `None`: it is as of now, or nobody knows.
pub(crate) type Age = Option<u64>;

/// One object: `now` as of now, for as long as somebody says so; while the metadata plane is away `known`, which is what this
/// node has of it, and how old that may be. Not for ever.
pub(crate) async fn read_one<T>(
    state: &ApiState,
    now: impl Future<Output = Result<T, MetaError>>,
    known: impl Future<Output = Result<T, MetaError>>,
) -> (Result<T, MetaError>, Age) {
    let may_be_old = || rule(Operation::ReadOne, state.cluster.authority()) == Ruling::OwnWithAge;
    let asked = if may_be_old() { None } else { Some(now.await) };
    match asked {
        Some(Err(error)) if !may_be_old() => (Err(error), None),
        None | Some(Err(_)) => (known.await, state.cluster.place().age_ms),
        Some(known) => (known, None),
    }
}

/// A list or a count: what this node has of it, and how old that may be; not for ever.
pub(crate) async fn read_many<T>(
    state: &ApiState,
    known: impl Future<Output = Result<T, MetaError>>,
    show: impl FnOnce(T) -> HttpResponse,
) -> HttpResponse {
    if let Ruling::Refused(_) = rule(Operation::ReadMany, state.cluster.authority()) {
        return too_old();
    }
    match known.await {
        Ok(known) => with_age(show(known), state.cluster.place().age_ms),
        Err(error) => unavailable(&error),
    }
}

/// The same answer, which says how old what it shows is at most.
pub(crate) fn with_age(mut response: HttpResponse, age: Age) -> HttpResponse {
    if let Some(age) = age {
        response.headers_mut().insert(AGE_MS, age.into());
    }
    response
}

/// The same answer of the past, which says so when it may lag.
pub(crate) fn of_the_past(state: &ApiState, mut response: HttpResponse) -> HttpResponse {
    if rule(Operation::History, state.cluster.authority()) == Ruling::DatabaseMarked {
        response.headers_mut().insert(LAGGING, HeaderValue::from_static("true"));
    }
    response
}

/// What this node has of the past: shown however old it is, and marked.
pub(crate) async fn read_past<T>(
    state: &ApiState,
    known: impl Future<Output = Result<T, MetaError>>,
    show: impl FnOnce(T) -> HttpResponse,
) -> HttpResponse {
    match known.await {
        Ok(known) => of_the_past(state, with_age(show(known), state.cluster.place().age_ms)),
        Err(error) => unavailable(&error),
    }
}
