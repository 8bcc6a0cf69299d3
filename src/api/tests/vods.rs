//! Recordings over REST.

use cluster_model::{Command, Proposal, RequestId, Vod, VodId};

use super::*;

const VODS: &str = "/LiveApp/rest/v2/vods";

/// A node on which these are recorded: id, name, stream, when.
async fn with(records: &[(&str, Option<&str>, &str, i64)]) -> Node {
    let clock = Arc::new(ManualClock::new(WallTime(1_700_000_000_000)));
    let meta = Arc::new(InMemory::new(clock.clone()));
    for (request, (id, name, stream, at)) in (0..).zip(records) {
        let record = Vod {
            vod_name: name.map(str::to_owned),
            stream_id: Some((*stream).to_owned()),
            creation_date: *at,
            kind: Some("streamVod".to_owned()),
            ..Vod::default()
        };
        let (app, vod) = (AppName::new("LiveApp").unwrap(), VodId::new(id).unwrap());
        let put = Command::PutVod { app, vod, record: Box::new(record) };
        let deadline = base::Clock::now(&*clock) + Duration::from_secs(1);
        let put = meta.propose(RequestId::from_u128(request), put, deadline).await;
        assert!(matches!(put, Proposal::Applied { .. }), "{put:?}");
    }
    Node::over(meta, clock, |_| ())
}

async fn ask(node: &Node, path: &str) -> Value {
    let (status, answer) = json_of(node.get(&format!("{VODS}{path}")).await).await;
    assert_eq!(status, StatusCode::OK, "{path}: {answer}");
    answer
}

#[actix_web::test]
async fn a_recording_is_shown_as_ams_shows_it_and_an_unknown_one_is_an_empty_record() {
    let node = with(&[("17", Some("first.mp4"), "s1", 5)]).await;
    let mut expected = json!({
        "streamName": null, "vodName": null, "streamId": null, "creationDate": 0, "startTime": 0, "duration": 0,
        "fileSize": 0, "filePath": null, "vodId": null, "type": null, "previewFilePath": null,
        "processStatus": null, "processStartTime": 0, "processEndTime": 0, "description": null,
        "metadata": null, "latitude": null, "longitude": null, "altitude": null,
    });
    for unknown in ["/18", "/%C3%BC"] {
        assert_eq!(ask(&node, unknown).await, expected, "{unknown}");
    }
    for (key, value) in [
        ("vodName", json!("first.mp4")),
        ("streamId", json!("s1")),
        ("creationDate", json!(5)),
        ("vodId", json!("17")),
        ("type", json!("streamVod")),
    ] {
        expected[key] = value;
    }
    assert_eq!(ask(&node, "/17").await, expected);
    assert_eq!(ask(&node, "/list/0/10").await, json!([expected]));
}

#[actix_web::test]
async fn lists_of_recordings_are_paged_filtered_and_sorted_as_in_ams() {
    let node =
        with(&[("c", Some("Zebra.mp4"), "s1", 1), ("a", Some("apple.mp4"), "s2", 3), ("b", None, "s1", 2)])
            .await;
    for (query, expected) in [
        ("0/10", vec!["a", "b", "c"]),
        ("1/1", vec!["b"]),
        ("-3/2", vec!["a", "b"]),
        ("0/0", vec![]),
        ("0/-1", vec![]),
        ("9/10", vec![]),
        ("0/10?streamId=s1", vec!["b", "c"]),
        ("1/10?streamId=s1", vec!["c"]),
        ("0/10?streamId=", vec!["a", "b", "c"]),
        ("0/10?streamId=no%20id", vec![]),
        ("0/10?search=ZEBRA", vec!["c"]),
        ("0/10?search=S1", vec!["b", "c"]),
        ("0/10?search=mp4&streamId=s1", vec!["c"]),
        ("0/10?sort_by=name&order_by=asc", vec!["a", "c", "b"]),
        ("0/10?sort_by=name&order_by=desc", vec!["c", "a", "b"]),
        ("0/2?sort_by=date&order_by=asc", vec!["c", "b"]),
        ("0/10?sort_by=date&order_by=desc", vec!["a", "b", "c"]),
        ("0/10?sort_by=date", vec!["a", "b", "c"]),
        ("0/10?sort_by=status&order_by=desc", vec!["a", "b", "c"]),
        ("0/10?sort_by=colour&order_by=desc", vec!["a", "b", "c"]),
    ] {
        let list = ask(&node, &format!("/list/{query}")).await;
        let ids: Vec<_> = list.as_array().unwrap().iter().map(|vod| vod["vodId"].as_str().unwrap()).collect();
        assert_eq!(ids, expected, "{query}");
    }
    for path in ["x/10", "0/y", "0/99999999999"] {
        assert_eq!(node.get(&format!("{VODS}/list/{path}")).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    for (path, number) in [("/count", 3), ("/count/", 3), ("/count/MP4", 2), ("/count/nothing", 0)] {
        assert_eq!(ask(&node, path).await, json!({ "number": number }), "{path}");
    }
    let (_, info) = json_of(node.get("/rest/v2/applications-info").await).await;
    assert_eq!(info[0]["vodCount"], 3);
}

#[actix_web::test]
async fn a_list_of_recordings_has_at_most_250() {
    let ids: Vec<_> = (0..260).map(|number| format!("v{number:03}")).collect();
    let records: Vec<_> = ids.iter().map(|id| (id.as_str(), None, "s", 0)).collect();
    let node = with(&records).await;
    for (query, count) in
        [("0/1000", 250), ("250/1000", 10), ("0/1000?search=v", 250), ("0/10?search=v259", 1)]
    {
        assert_eq!(ask(&node, &format!("/list/{query}")).await.as_array().unwrap().len(), count, "{query}");
    }
}
