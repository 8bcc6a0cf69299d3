//! What is said along with every answer.

use actix_web::middleware::from_fn;

use super::*;
use crate::said::said_of;
use crate::said_along;

const POLICY: &str = "content-security-policy";
const OWN: &str = "frame-ancestors https://a.page";

async fn answers(node: &Node, path: &str) -> ServiceResponse {
    // The settings are there.
    drop(node.get("/").await);
    let app = App::new().wrap(from_fn(said_along)).app_data(node.state.clone()).configure(configure);
    call_service(&init_service(app).await, from(HERE, Method::GET, path).to_request())
        .await
        .map_into_boxed_body()
}

/// AMS's header is there if and only if it is set, on whatever the application answers.
#[actix_web::test]
async fn an_applications_policy_stands_on_all_that_it_answers() {
    let node = Node::new();
    let rest = "/LiveApp/rest/v2/broadcasts/count";
    for nothing in [json!({}), json!({ "contentSecurityPolicyHeaderValue": " " })] {
        node.set(nothing).await;
        assert_eq!(header_of(&answers(&node, rest).await, POLICY), "");
        // Our pages have one of their own, by which they work.
        let page = answers(&node, "/LiveApp/play.html").await;
        assert!(header_of(&page, POLICY).contains("script-src 'self'"));
    }
    node.set(json!({ "contentSecurityPolicyHeaderValue": OWN })).await;
    let paths = [
        rest,
        "/LiveApp/play.html",
        "/LiveApp/nothing.html",
        "/LiveApp/streams/s.m3u8",
        "/LiveApp/rest/v2/nothing",
    ];
    for path in paths {
        let answer = answers(&node, path).await;
        let said: Vec<_> = answer.headers().get_all(POLICY).collect();
        assert_eq!(said, [OWN], "{path}");
    }
    // The others, and the node's own pages, say what they said before.
    assert!(header_of(&answers(&node, "/").await, POLICY).contains("frame-ancestors 'none'"));
    assert!(header_of(&answers(&node, "/panel/").await, POLICY).contains("script-src 'self'"));
    assert_eq!(header_of(&answers(&node, "/WebRTCAppEE/rest/v2/broadcasts/count").await, POLICY), "");
}

#[actix_web::test]
async fn browsers_are_told_to_come_back_by_https_where_the_certificate_was_given() {
    for (self_made, encrypted, path, told) in [
        (false, true, "/", true),
        (false, true, "/panel/", true),
        (false, true, "/rest/v2/applications", true),
        (false, true, "/LiveApp/play.html", false),
        (false, false, "/", false),
        (true, true, "/", false),
    ] {
        let node = Node::with(|state| state.self_made_certificate = self_made);
        let said = said_of(&node.state, path, encrypted).map(|(name, _)| name);
        assert_eq!(said, told.then_some(header::STRICT_TRANSPORT_SECURITY), "{path} {self_made} {encrypted}");
    }
}
