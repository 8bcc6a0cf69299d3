//! Records of recordings, as AMS's `/vods` shows them.

use actix_web::HttpResponse;
use base::{AppName, StreamId};
use cluster_model::{Vod, VodId, VodsWanted};
use sessions::Parameters;

use crate::ApiState;
use crate::age::{read_one, read_past, with_age};
use crate::answer::{SimpleStat, not_found, ok, unavailable};
use crate::lists::{order, page};

/// `GET /{id}`: an id nobody knows is a record of nothing, with 200 (AMS).
pub(crate) async fn get(state: &ApiState, app: &AppName, id: &str) -> HttpResponse {
    let Ok(id) = VodId::new(id) else { return ok(&Vod::default()) };
    match read_one(state, state.vods.get(app, &id), state.vods.get_local(app, &id)).await {
        (Ok(Some(vod)), age) => with_age(ok(&*vod), age),
        (Ok(None), age) => with_age(ok(&Vod::default()), age),
        (Err(error), _) => unavailable(&error),
    }
}

/// `GET /list/{offset}/{size}`: an array of at most 250, in byte order of the ids unless it is sorted.
pub(crate) async fn list(
    state: &ApiState,
    app: &AppName,
    (offset, size): (&str, &str),
    query: &str,
) -> HttpResponse {
    let Some((offset, size)) = page(offset, size) else { return not_found() };
    let query = Parameters::read(query);
    let stream = query.get("streamId").filter(|id| !id.is_empty());
    // A text that can be no stream's id is of no recording.
    let Ok(stream) = stream.map(StreamId::new).transpose() else { return ok(&Vec::<Vod>::new()) };
    let wanted = VodsWanted::new(stream, query.get("search"));
    read_past(state, state.vods.list(app, &wanted, order(&query), offset, size), |page| ok(&page)).await
}

/// `GET /count` and `GET /count/{search}`.
pub(crate) async fn count(state: &ApiState, app: &AppName, search: Option<&str>) -> HttpResponse {
    let wanted = VodsWanted::new(None, search);
    read_past(state, state.vods.count(app, &wanted), |number| {
        ok(&SimpleStat { number: i64::try_from(number).unwrap_or(i64::MAX) })
    })
    .await
}
