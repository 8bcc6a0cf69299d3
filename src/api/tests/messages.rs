//! Messages to a live stream.

use super::*;

const PATH: &str = "/LiveApp/rest/v2/broadcasts";

async fn say(node: &Node, id: &str, body: impl Into<actix_web::web::Bytes>) -> (StatusCode, Value) {
    let request = from(HERE, Method::POST, &format!("{PATH}/{id}/data"))
        .insert_header(header::ContentType::json())
        .set_payload(body);
    json_of(node.call(request).await).await
}

async fn enable(node: &Node, enabled: bool) {
    node.set(json!({ "dataChannelEnabled": enabled })).await;
}

#[actix_web::test]
async fn a_message_is_said_as_it_stands() {
    let node = Node::new();
    enable(&node, true).await;
    for text in ["{\"eventType\":\"CHAT\"}", "not JSON at all", "\"quoted\"", "ü"] {
        assert_eq!(say(&node, "live1", text).await, (StatusCode::OK, done("")), "{text}");
    }
    assert_eq!(say(&node, "live1", &[b'a', 0xff][..]).await.1, done(""));
    let said = node.said.lock().unwrap().clone();
    assert_eq!(said, ["{\"eventType\":\"CHAT\"}", "not JSON at all", "\"quoted\"", "ü", "a\u{fffd}"]);
}

#[actix_web::test]
async fn what_cannot_be_said_is_refused_in_the_words_of_ams() {
    let node = Node::new();
    let refusal = |message| (StatusCode::OK, refused(message));
    enable(&node, false).await;
    assert_eq!(say(&node, "live1", "hi").await, refusal("Data channels are not enabled"), "not enabled");
    enable(&node, true).await;
    for nobody in ["unknown", "%C3%BC"] {
        assert_eq!(say(&node, nobody, "hi").await, refusal("Requested WebRTC stream does not exist"));
    }
    let which = "Requested WebRTC stream does not exist on this node: node 2 (10.0.0.2) has it";
    assert_eq!(say(&node, "there", "hi").await, refusal(which));
    assert_eq!(say(&node, "live1", "").await, refusal("Operation not completed"));
    let other = from(HERE, Method::POST, &format!("{PATH}/live1/data"))
        .insert_header(header::ContentType::plaintext())
        .set_payload("hi");
    assert_eq!(node.call(other).await.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(node.said.lock().unwrap().is_empty());

    let node = Node::new();
    enable(&node, false).await;
    assert_eq!(say(&node, "live1", "hi").await, refusal("Data channels are not enabled"));
    assert_eq!(say(&node, "unknown", "hi").await, refusal("Data channels are not enabled"));
}
