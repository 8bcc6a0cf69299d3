//! Queries of requests.

use actix_web::HttpRequest;
use actix_web::http::header;
use actix_web::web::Query;
use base::{Secret, limits};
use security::{Access, Came};

/// A query. Keys nobody asks for are ignored, and of several values of one key the first counts, as in servlets.
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads what stands behind the `?` of a URL.
    pub fn read(query: &str) -> Self {
        Self(Query::from_query(query).map_or_else(|_| Vec::new(), Query::into_inner))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }
}

/// By which URL a request came, from which page.
pub(crate) fn came(request: &HttpRequest) -> Came {
    came_by(request, Parameters::read(request.query_string()))
}

/// The wish with what its request brings for the gate: credentials stand in the query, as AMS's filters read them.
pub(crate) fn with_credentials(request: &HttpRequest, wish: Access) -> Access {
    let query = Parameters::read(request.query_string());
    let find = |key| query.get(key).filter(|value| !value.is_empty()).map(str::to_owned);
    Access {
        token: find("token").map(Secret::new),
        subscriber_id: find("subscriberId"),
        subscriber_code: find("subscriberCode").map(Secret::new),
        meta_data: find("metaData"),
        came: came_by(request, query),
        ..wish
    }
}

/// What is kept of it for webhooks: nothing of a query that is longer than they are told.
fn came_by(request: &HttpRequest, Parameters(mut query): Parameters) -> Came {
    let is_kept = |text: &str| text.len() <= limits::WEBHOOK_TEXT_BYTES_MAX;
    if !is_kept(request.query_string()) {
        query.clear();
    }
    let origin = request.headers().get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    Came {
        query: query.into_iter().map(|(key, value)| (key, Secret::new(value))).collect(),
        origin: origin.filter(|origin| is_kept(origin)).map(str::to_owned),
    }
}
