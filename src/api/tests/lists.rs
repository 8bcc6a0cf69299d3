//! Lists and counts.

use super::*;

#[actix_web::test]
async fn lists_are_paged_filtered_and_sorted_as_in_ams() {
    let node = Node::new();
    for (id, name, kind) in [
        ("b", json!("Zebra"), "liveStream"),
        ("a", json!("apple"), "VoD"),
        ("d", Value::Null, "liveStream"),
        ("c", json!("Mango"), "liveStream"),
    ] {
        node.clock.advance(Duration::from_secs(1));
        node.create(json!({ "streamId": id, "name": name, "type": kind })).await;
    }
    for (path, expected) in [
        ("0/10", vec!["a", "b", "c", "d"]),
        ("1/2", vec!["b", "c"]),
        ("-5/2", vec!["a", "b"]),
        ("0/0", vec![]),
        ("0/-1", vec![]),
        ("9/10", vec![]),
        ("0/10?type_by=VoD", vec!["a"]),
        ("0/10?type_by=nothing", vec![]),
        ("0/10?search=MANG", vec!["c"]),
        ("0/10?search=D", vec!["d"]),
        ("0/10?sort_by=name&order_by=asc", vec!["a", "c", "b", "d"]),
        ("1/2?sort_by=name&order_by=asc", vec!["c", "b"]),
        ("0/10?sort_by=date&order_by=desc", vec!["c", "d", "a", "b"]),
        ("0/10?sort_by=date&order_by=whatever", vec!["b", "a", "d", "c"]),
        ("0/10?sort_by=name&order_by=desc", vec!["b", "c", "a", "d"]),
        ("0/10?type_by=liveStream&search=a&sort_by=name&order_by=desc", vec!["b", "c"]),
        ("0/10?type_by=&search=", vec!["a", "b", "c", "d"]),
        ("0/10?sort_by=date", vec!["a", "b", "c", "d"]),
        ("0/10?sort_by=colour&order_by=asc", vec!["a", "b", "c", "d"]),
        ("0/1?search=a&sort_by=date&order_by=asc", vec!["b"]),
    ] {
        assert_eq!(node.ids(path).await, expected, "{path}");
    }
    for path in ["x/10", "0/y", "0/99999999999", "0/1.5"] {
        let response = node.get(&format!("/LiveApp/rest/v2/broadcasts/list/{path}")).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[actix_web::test]
async fn counts_know_everything_or_what_holds_a_text() {
    let node = Node::new();
    for (id, name) in [("one", "First"), ("two", "second ONE"), ("three", "ä ü")] {
        node.create(json!({ "streamId": id, "name": name })).await;
    }
    for (path, number) in [
        ("/count", 3),
        ("/count/", 3),
        ("/count/one", 2),
        ("/count/T", 3),
        ("/count/%C3%84", 1),
        ("/count/nothing", 0),
    ] {
        assert_eq!(node.ask(Method::GET, path).await, json!({ "number": number }), "{path}");
    }
}

#[actix_web::test]
async fn a_list_has_at_most_250_and_a_filter_sees_beyond_them() {
    let node = Node::new();
    for i in 0..260 {
        node.create(json!({ "streamId": format!("s{i:03}") })).await;
    }
    assert_eq!(node.ids("0/1000").await.len(), 250);
    assert_eq!(node.ids("250/1000").await.len(), 10);
    assert_eq!(node.ids("0/10?search=s259").await, ["s259"]);
}
