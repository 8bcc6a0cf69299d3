//! Queries of requests.

use actix_web::web::Query;

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
