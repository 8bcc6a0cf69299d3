//! AMS's `Result`, which everything HTTP answers that is no media.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::json;

/// An answer in words, in the shape REST has.
pub(crate) fn result(status: StatusCode, success: bool, message: &str) -> HttpResponse {
    HttpResponse::build(status)
        .json(json!({"success": success, "message": message, "dataId": "", "errorId": 0}))
}
