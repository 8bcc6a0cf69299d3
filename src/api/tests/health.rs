//! Liveness, readiness, metrics.

use super::*;

#[actix_web::test]
async fn readiness_lists_what_is_missing_and_keeps_the_reasons_at_home() {
    let node = Node::new();
    for verb in [Method::GET, Method::HEAD] {
        assert_eq!(node.call(from(ELSEWHERE, verb, "/livez")).await.status(), StatusCode::OK);
    }
    let here = json_of(node.get("/readyz").await).await;
    let missing =
        json!({ "status": "not ready", "missing": [{ "component": "store", "reason": "starting" }] });
    assert_eq!(here, (StatusCode::SERVICE_UNAVAILABLE, missing));
    let elsewhere = json_of(node.call(from(ELSEWHERE, Method::GET, "/readyz")).await).await;
    let missing = json!({ "status": "not ready", "missing": [{ "component": "store" }] });
    assert_eq!(elsewhere, (StatusCode::SERVICE_UNAVAILABLE, missing));
    node.component.ready();
    assert_eq!(node.call(from(ELSEWHERE, Method::GET, "/readyz")).await.status(), StatusCode::OK);
}

#[actix_web::test]
async fn metrics_are_for_the_machine_itself_or_for_the_bearer_of_the_token() {
    let node = Node::new();
    let response = node.get("/metrics").await;
    assert_eq!(header_of(&response, "content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let (status, text) = text_of(response).await;
    assert!(status == StatusCode::OK && text.contains("penstock_plis_total 5"), "{text}");
    let elsewhere = node.call(from(ELSEWHERE, Method::GET, "/metrics")).await;
    assert_eq!(elsewhere.status(), StatusCode::FORBIDDEN);

    let node = Node::with(|state| state.metrics_token = Some(Secret::new("let-me-see".to_owned())));
    for peer in [HERE, ELSEWHERE] {
        for (authorization, expected) in [
            ("", StatusCode::UNAUTHORIZED),
            ("Bearer wrong", StatusCode::UNAUTHORIZED),
            ("Bearer ", StatusCode::UNAUTHORIZED),
            ("Basic let-me-see", StatusCode::UNAUTHORIZED),
            ("Bearer let-me-see", StatusCode::OK),
            ("bearer let-me-see", StatusCode::OK),
        ] {
            let request =
                from(peer, Method::GET, "/metrics").insert_header((header::AUTHORIZATION, authorization));
            assert_eq!(node.call(request).await.status(), expected, "{peer} {authorization:?}");
        }
    }
    let node = Node::with(|state| state.metrics_token = Some(Secret::new(String::new())));
    let request = from(ELSEWHERE, Method::GET, "/metrics").insert_header((header::AUTHORIZATION, "Bearer "));
    assert_eq!(node.call(request).await.status(), StatusCode::UNAUTHORIZED);
}
