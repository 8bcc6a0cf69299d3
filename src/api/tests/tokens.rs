//! Tokens over REST.

use super::*;

const DEFINE: &str = "Define Stream ID, Token Type and Expire Date (unix time)";
/// 2030.
const LATER: u64 = 1_893_456_000;

async fn token(node: &Node, query: &str) -> (StatusCode, Value) {
    json_of(node.get(&format!("/LiveApp/rest/v2/broadcasts/s1/token{query}")).await).await
}

async fn made(node: &Node, query: &str) -> String {
    let (status, made) = token(node, &format!("?expireDate={LATER}&{query}")).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    made["tokenId"].as_str().unwrap().to_owned()
}

async fn is_valid(node: &Node, body: Value) -> bool {
    let path = "/LiveApp/rest/v2/broadcasts/validate-token";
    let (status, result) = json_of(node.call(from(HERE, Method::POST, path).set_json(&body)).await).await;
    assert_eq!(status, StatusCode::OK, "{body}: {result}");
    result["success"].as_bool().unwrap()
}

#[actix_web::test]
async fn a_token_is_made_as_ams_makes_it() {
    let node = Node::new();
    let (status, made) = token(&node, &format!("?expireDate={LATER}&type=play")).await;
    assert_eq!(status, StatusCode::OK);
    let id = made["tokenId"].as_str().unwrap();
    assert!(id.len() >= 16);
    let expected =
        json!({ "tokenId": id, "streamId": "s1", "expireDate": LATER, "type": "play", "roomId": null });
    assert_eq!(made, expected);
    // A date that is over is taken.
    assert_eq!(token(&node, "?expireDate=1&type=publish&roomId=r").await.1["roomId"], "r");
    let define = || refused(DEFINE);
    let kinds = || refused("Invalid token type. Supported types are 'play' and 'publish'");
    for (query, message) in [
        (String::new(), define()),
        ("?type=play".to_owned(), define()),
        ("?type=play&expireDate=0".to_owned(), define()),
        ("?type=play&expireDate=-1".to_owned(), define()),
        (format!("?expireDate={LATER}"), define()),
        (format!("?expireDate={LATER}&type=Play"), kinds()),
        (format!("?expireDate={LATER}&type="), kinds()),
        (format!("?expireDate={LATER}&type=play&roomId=a/b"), refused("Room id is not valid.")),
    ] {
        assert_eq!(token(&node, &query).await, (StatusCode::BAD_REQUEST, message), "{query}");
    }
    for no_number in ["soon", "1e9", "99999999999999999999", ""] {
        let query = format!("?type=play&expireDate={no_number}");
        assert_eq!(token(&node, &query).await.0, StatusCode::NOT_FOUND, "{query}");
    }
}

#[actix_web::test]
async fn a_token_is_validated_once_listed_and_revoked() {
    let node = Node::new();
    let id = made(&node, "type=play").await;
    let body = |stream: &str, kind: &str| json!({ "tokenId": id, "streamId": stream, "type": kind });
    assert!(!is_valid(&node, body("s1", "publish")).await && !is_valid(&node, body("s2", "play")).await);
    assert!(is_valid(&node, body("s1", "play")).await);
    assert!(!is_valid(&node, body("s1", "play")).await, "it was spent");
    for nothing in [Value::Null, json!({}), json!({ "tokenId": id }), json!({ "tokenId": "" })] {
        assert!(!is_valid(&node, nothing).await);
    }

    assert_eq!(node.ask(Method::GET, "/s1/tokens/list/0/10").await, json!([]));
    let (one, two) = (made(&node, "type=play").await, made(&node, "type=publish").await);
    let list = node.ask(Method::GET, "/s1/tokens/list/0/10").await;
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(node.ask(Method::GET, "/s1/tokens/list/1/10").await.as_array().unwrap().len(), 1);
    assert_eq!(node.ask(Method::GET, "/s1/tokens/list/0/0").await, json!([]));
    assert_eq!(node.ask(Method::GET, "/s1/tokens/list/0/x").await, refused("Not Found"));

    let one = format!("/s1/tokens/{one}");
    assert_eq!(node.ask(Method::DELETE, &one).await, done(""));
    assert_eq!(node.ask(Method::DELETE, &one).await, refused("The stream has no such token"));
    assert_eq!(node.ask(Method::GET, "/s1/tokens/list/0/10").await[0]["tokenId"], two);
    assert_eq!(node.ask(Method::DELETE, "/s1/tokens").await, done(""));
    assert_eq!(node.ask(Method::DELETE, "/s1/tokens").await, refused(""), "there was none");
    assert_eq!(node.ask(Method::GET, "/s1/tokens/list/0/10").await, json!([]));
    assert!(!is_valid(&node, json!({ "tokenId": two, "streamId": "s1", "type": "publish" })).await);
}

#[actix_web::test]
async fn a_request_with_a_room_spends_nothing() {
    let node = Node::new();
    let id = made(&node, "type=play&roomId=room1").await;
    let body = |room: &str| json!({ "tokenId": id, "streamId": "s1", "type": "play", "roomId": room });
    for _ in 0..3 {
        assert!(is_valid(&node, body("room1")).await);
    }
    // For whichever stream of the room, and for no other room; there its own stream has to be named.
    let of = |stream: &str, room: &str, kind: &str| json!({ "tokenId": id, "streamId": stream, "type": kind, "roomId": room });
    assert!(
        is_valid(&node, of("s2", "room1", "play")).await && is_valid(&node, of("", "room1", "play")).await
    );
    assert!(!is_valid(&node, of("s2", "room2", "play")).await);
    assert!(!is_valid(&node, of("s2", "room1", "publish")).await);
    let once = made(&node, "type=play").await;
    let body = json!({ "tokenId": once, "streamId": "s1", "type": "play", "roomId": "room1" });
    assert!(is_valid(&node, body.clone()).await && is_valid(&node, body).await);
    let body = json!({ "tokenId": once, "streamId": "s1", "type": "play", "roomId": "" });
    assert!(is_valid(&node, body.clone()).await && !is_valid(&node, body).await);
}

/// AMS: without a room a room's token is one of its stream, and gone when it was good.
#[actix_web::test]
async fn a_request_without_a_room_spends_a_rooms_token() {
    let node = Node::new();
    let id = made(&node, "type=play&roomId=room1").await;
    let body = |stream: &str| json!({ "tokenId": id, "streamId": stream, "type": "play" });
    assert!(!is_valid(&node, body("s2")).await && !is_valid(&node, body("room1")).await);
    assert!(is_valid(&node, body("s1")).await && !is_valid(&node, body("s1")).await);
    let in_room = json!({ "tokenId": id, "streamId": "s1", "type": "play", "roomId": "room1" });
    assert!(!is_valid(&node, in_room).await);
}

#[actix_web::test]
async fn a_token_whose_time_is_over_is_not_good() {
    let node = Node::new();
    let (_, made) = token(&node, "?expireDate=1700000000&type=play").await;
    let body = json!({ "tokenId": made["tokenId"], "streamId": "s1", "type": "play" });
    assert!(!is_valid(&node, body).await);
}

#[actix_web::test]
async fn a_jwt_is_that_of_the_guide() {
    let node = Node::new();
    let path = "/LiveApp/rest/v2/broadcasts/stream1/jwt-token?expireDate=4102444800&type=play";
    let none = "Cannot create JWT token. The problem can be ->  this is community edition or JWT stream key is not \
                set or it's length is less than 32";
    assert_eq!(json_of(node.get(path).await).await, (StatusCode::BAD_REQUEST, refused(none)));
    let key = "zautXStXM9iW3aD3FuyPH0TdK4GHPmHq";
    node.set(json!({ "jwtStreamSecretKey": key })).await;
    let (status, made) = json_of(node.get(path).await).await;
    assert_eq!((status, &made["streamId"]), (StatusCode::OK, &json!("stream1")));
    let claims = security::credential::jwt::verify(made["tokenId"].as_str().unwrap(), key).unwrap();
    assert_eq!((claims.text("streamId"), claims.text("type")), (Some("stream1"), Some("play")));
    assert_eq!(claims.expires_s(), Some(4_102_444_800.0));
    let no_type = path.replace("&type=play", "");
    assert_eq!(json_of(node.get(&no_type).await).await, (StatusCode::BAD_REQUEST, refused(DEFINE)));
    node.set(json!({ "jwtStreamSecretKey": key, "jwtStreamJwksURL": "https://keys.example" })).await;
    assert_eq!(json_of(node.get(path).await).await, (StatusCode::BAD_REQUEST, refused(none)));
}

#[actix_web::test]
async fn a_query_without_end_is_refused() {
    let node = Node::new();
    let query = "x".repeat(base::limits::REST_QUERY_BYTES_MAX);
    let response = node.get(&format!("/LiveApp/rest/v2/broadcasts/s1/token?type={query}")).await;
    assert_eq!(response.status(), StatusCode::URI_TOO_LONG);
}

/// Nothing is stored of hashes and JWTs but that one was revoked; whose they are has to be right.
#[actix_web::test]
async fn a_hash_and_a_jwt_are_revoked_by_themselves() {
    let node = Node::new();
    let key = "zautXStXM9iW3aD3FuyPH0TdK4GHPmHq";
    node.set(json!({ "jwtStreamSecretKey": key, "tokenHashSecret": "this_is_secret" })).await;
    let hash = security::credential::hash::stream_hash("s1", security::Direction::Play, "this_is_secret");
    let jwt = security::credential::jwt::stream_token(key, "s1", "publish", 4_102_444_800).unwrap();
    let foreign = security::credential::jwt::stream_token(key, "s2", "play", 4_102_444_800).unwrap();
    let unknown = refused("The stream has no such token");
    let other_hash = hash.replace('0', "1");
    for nobodys in [foreign.as_str(), &other_hash, "a.b.c", &"x".repeat(600)] {
        let path = format!("/s1/tokens/{nobodys}");
        assert_eq!(node.ask(Method::DELETE, &path).await, unknown, "{nobodys}");
    }
    for token in [&hash, &jwt] {
        assert_eq!(node.ask(Method::DELETE, &format!("/s1/tokens/{token}")).await, done(""));
        assert_eq!(node.ask(Method::DELETE, &format!("/s1/tokens/{token}")).await, done(""), "again");
    }
    let settings = node.state.settings.snapshot(&AppName::new("LiveApp").unwrap()).unwrap();
    for (token, is) in [(&hash, true), (&jwt, true), (&foreign, false)] {
        assert_eq!(settings.is_revoked(&security::credential::print_of(token)), is);
    }
    assert_eq!(settings.revoked().len(), 2);
}
