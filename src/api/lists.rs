//! Lists and counts of broadcasts.

use actix_web::HttpResponse;
use base::AppName;
use cluster_model::{Matching, Order, SortKey, Which};
use sessions::Parameters;

use crate::ApiState;
use crate::age::read_many;
use crate::answer::{SimpleStat, not_found, ok};
use crate::broadcasts::shown_to;
use crate::door::Asker;

/// Sorting takes both `sort_by` and `order_by`; what `sort_by` does not know does not sort, and what is not
/// `desc` ascends (AMS).
pub(crate) fn order(query: &Parameters) -> Option<Order> {
    let by = match query.get("sort_by")? {
        "name" => SortKey::Name,
        "date" => SortKey::Date,
        "status" => SortKey::Status,
        _ => return None,
    };
    Some(Order { by, descending: query.get("order_by")? == "desc" })
}

/// An offset and a size; below 0 both are 0. `None` for what is no `int`.
pub(crate) fn page(offset: &str, size: &str) -> Option<(usize, usize)> {
    let number = |text: &str| Some(usize::try_from(text.parse::<i32>().ok()?).unwrap_or(0));
    Some((number(offset)?, number(size)?))
}

/// `GET /list/{offset}/{size}`: an array of at most 250. 404 for what is no number, as Jersey does.
pub(crate) async fn list(
    state: &ApiState,
    app: &AppName,
    asker: &Asker,
    (offset, size): (&str, &str),
    query: &str,
) -> HttpResponse {
    let Some((offset, size)) = page(offset, size) else { return not_found() };
    let query = Parameters::read(query);
    let kind = query.get("type_by").map(str::to_owned);
    let which = Which::from(Matching::new(kind, query.get("search")));
    let page = async {
        match order(&query) {
            Some(order) if size > 0 => state.broadcasts.list_sorted(app, which, order, offset, size).await,
            _ => state.broadcasts.list(app, which, offset, size).await,
        }
    };
    read_many(state, page, |page| {
        ok(&page.iter().map(|row| shown_to(asker, state, app, row)).collect::<Vec<_>>())
    })
    .await
}

/// `GET /count` and `GET /active-live-stream-count`.
pub(crate) async fn count(state: &ApiState, app: &AppName, which: Which) -> HttpResponse {
    read_many(state, state.broadcasts.count(app, which), |number| {
        ok(&SimpleStat { number: i64::try_from(number).unwrap_or(i64::MAX) })
    })
    .await
}

/// `GET /count/{search}`.
pub(crate) async fn count_matching(state: &ApiState, app: &AppName, search: &str) -> HttpResponse {
    count(state, app, Which::from(Matching::new(None, Some(search)))).await
}
