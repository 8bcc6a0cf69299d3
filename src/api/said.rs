//! Headers that are said along with every answer, whoever made it: an application's `contentSecurityPolicyHeaderValue`, and beside
//! the node's own pages that browsers are to come back by HTTPS (AMS's root).

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use sessions::is_encrypted;

use crate::ApiState;
use crate::path::Parts;

/// For a year, as AMS says it.
const BY_HTTPS_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");

/// Says them with everything the app answers (`web::Data<ApiState>` of the app). To be wrapped around it, and around
/// [`cors`](crate::cors()), which answers some by itself.
///
/// # Errors
/// Those of the app itself.
pub async fn said_along<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let state = request.app_data::<Data<ApiState>>();
    let said = state.and_then(|state| said_of(state, request.path(), is_encrypted(request.request())));
    let mut response = next.call(request).await?;
    if let Some((name, value)) = said
        && response.status() != StatusCode::SWITCHING_PROTOCOLS
    {
        // An application's policy stands in the place of that of our pages: who sets one knows what its pages take.
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

pub(crate) fn said_of(state: &ApiState, path: &str, is_encrypted: bool) -> Option<(HeaderName, HeaderValue)> {
    let path = Parts::new(path);
    let first = path.as_ref().and_then(|path| path.as_slice().first());
    match first.and_then(|first| state.application(first)) {
        Some(app) => {
            let settings = state.settings.snapshot(&app)?;
            let policy = settings.content_security_policy().trim();
            let value = HeaderValue::from_str(policy).ok().filter(|_| !policy.is_empty())?;
            Some((header::CONTENT_SECURITY_POLICY, value))
        }
        // Browsers do not take it by a certificate that they warn about.
        None => (is_encrypted && !state.self_made_certificate)
            .then_some((header::STRICT_TRANSPORT_SECURITY, BY_HTTPS_ONLY)),
    }
}
