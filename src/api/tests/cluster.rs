//! The cluster over REST.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use cluster_model::{
    Authority, Command, Consistency, Filter, NodeCard, NodeId, Proposal, Query, ReadFailed, Reading,
    RequestId, Revision, Watch,
};

use super::*;
use crate::{Cluster, Place, Reach};

/// The place of a node that is alone.
pub(super) struct Alone;

#[async_trait]
impl Cluster for Alone {
    fn is_one(&self) -> bool {
        false
    }

    fn place(&self) -> Place {
        Place { node: NodeId(1), leader: Some(NodeId(1)), term: 1, applied: 5, lag: 0, age_ms: Some(0) }
    }

    fn authority(&self) -> Authority {
        Authority::Fresh
    }

    fn reach(&self, _: NodeId) -> Option<Reach> {
        None
    }

    async fn copy(&self) -> Result<Vec<u8>, String> {
        Ok(b"everything".to_vec())
    }
}

/// Node 1 of three, which does not reach node 3, and node 6 for so long that it is dead.
struct OneOfThree;

#[async_trait]
impl Cluster for OneOfThree {
    fn is_one(&self) -> bool {
        true
    }

    fn place(&self) -> Place {
        Place { leader: Some(NodeId(2)), lag: 3, age_ms: Some(120), ..Alone.place() }
    }

    fn authority(&self) -> Authority {
        Authority::Fresh
    }

    fn reach(&self, node: NodeId) -> Option<Reach> {
        // It has no reason to hear node 5.
        let for_ms = match node.0 {
            2 => 0,
            3 | 4 => 7_000,
            6 => 20_000,
            _ => return None,
        };
        Some(Reach { up: for_ms == 0, for_ms })
    }

    async fn copy(&self) -> Result<Vec<u8>, String> {
        Err("this node is no member of the cluster: ask one that is".to_owned())
    }
}

async fn ask(node: &Node, verb: Method, path: &str) -> (StatusCode, Value) {
    json_of(node.call(from(HERE, verb, &format!("/rest/v2{path}"))).await).await
}

#[actix_web::test]
async fn a_node_that_is_alone_says_so_and_never_fails() {
    let node = Node::new();
    let get = async |path| ask(&node, Method::GET, path).await;
    assert_eq!(get("/cluster-mode-status").await.1["success"], false);
    assert_eq!(get("/cluster/node-count").await, (StatusCode::OK, json!({ "number": -1 })));
    assert_eq!(get("/cluster/nodes/0/10").await, (StatusCode::OK, json!([])));
    assert_eq!(ask(&node, Method::DELETE, "/cluster/node/1").await.1["success"], false);
    assert_eq!(get("/cluster/status").await.1["cluster"], false);
    let copy = node.get("/rest/v2/backup").await;
    assert_eq!(copy.status(), StatusCode::OK);
    assert_eq!(&to_bytes(copy.into_body()).await.unwrap()[..], b"everything");
}

#[actix_web::test]
async fn nodes_are_listed_as_ams_lists_them_and_with_what_an_operator_asks_next() {
    let node = Node::with(|state| state.cluster = Arc::new(OneOfThree));
    let nodes = &node.state.nodes;
    let mut owners = Vec::new();
    for id in 1..=6 {
        let card = NodeCard { address: format!("10.0.0.{id}"), ..NodeCard::default() };
        owners.push(nodes.join(NodeId(id), card).await.unwrap());
    }
    nodes.expire(owners[3]).await.unwrap();
    assert_eq!(ask(&node, Method::GET, "/cluster-mode-status").await.1["success"], true);
    assert_eq!(ask(&node, Method::GET, "/cluster/node-count").await.1["number"], 6);
    node.clock.advance(Duration::from_secs(60));
    let (_, list) = ask(&node, Method::GET, "/cluster/nodes/1/5").await;
    let (joined, now) = (1_700_000_000_000_u64, 1_700_000_060_000_u64);
    let shown = |row: usize, key: &str| list[row][key].clone();
    assert_eq!((shown(0, "id"), shown(0, "ip")), (json!("2"), json!("10.0.0.2")));
    assert_eq!(
        (shown(0, "status"), shown(0, "leader"), shown(0, "heard")),
        (json!("alive"), json!(true), json!(true))
    );
    assert_eq!(shown(0, "lastUpdateTime"), json!(now));
    assert_eq!((shown(1, "status"), shown(1, "heard")), (json!("alive"), json!(false)));
    assert_eq!(shown(1, "lastUpdateTime"), json!(now - 7_000));
    assert_eq!((shown(2, "status"), shown(2, "lastUpdateTime")), (json!("dead"), json!(joined)));
    assert_eq!((shown(3, "status"), shown(3, "heard")), (json!("alive"), Value::Null));
    assert_eq!(shown(3, "lastUpdateTime"), json!(joined), "not heard here: nothing newer is known of it");
    assert_eq!((shown(4, "status"), shown(4, "lastUpdateTime")), (json!("dead"), json!(now - 20_000)));
    assert_eq!(ask(&node, Method::GET, "/cluster/nodes/x/3").await.0, StatusCode::NOT_FOUND);
    let (_, status) = ask(&node, Method::GET, "/cluster/status").await;
    assert_eq!((&status["leader"], &status["lag"], &status["ageMs"]), (&json!(2), &json!(3), &json!(120)));

    let (_, alive) = ask(&node, Method::DELETE, "/cluster/node/2").await;
    assert_eq!((&alive["success"], &alive["message"]), (&json!(false), &json!("the node is alive")));
    assert_eq!(ask(&node, Method::DELETE, "/cluster/node/4").await.1["success"], true);
    assert_eq!(ask(&node, Method::DELETE, "/cluster/node/4").await.1["success"], false);
    assert_eq!(ask(&node, Method::DELETE, "/cluster/node/four").await.1["success"], false);
    assert_eq!(ask(&node, Method::GET, "/backup").await.0, StatusCode::SERVICE_UNAVAILABLE);
}

/// A node whose plane is away.
struct Away(Authority);

#[async_trait]
impl Cluster for Away {
    fn is_one(&self) -> bool {
        true
    }

    fn place(&self) -> Place {
        Place { age_ms: Some(2_345), ..Alone.place() }
    }

    fn authority(&self) -> Authority {
        self.0
    }

    fn reach(&self, _: NodeId) -> Option<Reach> {
        None
    }

    async fn copy(&self) -> Result<Vec<u8>, String> {
        Err("not now".to_owned())
    }
}

/// A plane that nobody agrees on: what was known before is all there is.
struct Silent(InMemory, AtomicBool);

#[async_trait]
impl Meta for Silent {
    async fn propose(&self, request: RequestId, command: Command, deadline: Instant) -> Proposal {
        self.0.propose(request, command, deadline).await
    }

    async fn read(&self, query: Query, how: Consistency, deadline: Instant) -> Result<Reading, ReadFailed> {
        if self.1.load(Ordering::Relaxed) && how == Consistency::Linearizable {
            return Err(ReadFailed::TooLate);
        }
        self.0.read(query, how, deadline).await
    }

    fn watch(&self, filter: Filter, from: Revision) -> Watch {
        self.0.watch(filter, from)
    }
}

#[actix_web::test]
async fn while_the_plane_is_away_one_object_is_shown_with_its_age_and_later_not_at_all() {
    use Authority::{Cold, Fresh, Isolated, Lost};
    for (authority, shown) in [(Fresh, false), (Isolated, true), (Lost, false), (Cold, false)] {
        let clock = Arc::new(ManualClock::new(WallTime(1)));
        let silent = Arc::new(Silent(InMemory::new(clock.clone()), AtomicBool::new(false)));
        let node = Node::over(silent.clone(), clock, |state| state.cluster = Arc::new(Away(authority)));
        node.create(json!({ "streamId": "live1" })).await;
        silent.1.store(true, Ordering::Relaxed);
        for (path, status) in [
            ("/broadcasts/live1", StatusCode::OK),
            ("/broadcasts/other", StatusCode::NOT_FOUND),
            ("/broadcasts/live1/broadcast-statistics", StatusCode::OK),
            ("/broadcasts/other/stream-info", StatusCode::OK),
            ("/broadcasts/live1/subscribers/anna", StatusCode::NOT_FOUND),
            ("/vods/1234", StatusCode::OK),
        ] {
            let answer = node.get(&format!("/LiveApp/rest/v2{path}")).await;
            let age = answer.headers().get("penstock-age-ms").map(|age| age.to_str().unwrap());
            let expected =
                if shown { (status, Some("2345")) } else { (StatusCode::SERVICE_UNAVAILABLE, None) };
            assert_eq!((answer.status(), age), expected, "{authority:?} {path}");
        }
    }
}

#[actix_web::test]
async fn lists_and_counts_say_their_age_and_are_not_shown_once_that_is_too_much() {
    use Authority::{Cold, Fresh, Isolated, Lost};
    const APP: &str = "/LiveApp/rest/v2/broadcasts";
    for (authority, shown) in [(Fresh, true), (Isolated, true), (Lost, false), (Cold, false)] {
        let node = Node::with(|state| state.cluster = Arc::new(Away(authority)));
        node.create(json!({ "streamId": "live1" })).await;
        let lists = [
            "/list/0/10",
            "/list/0/10?sort_by=date&order_by=asc",
            "/count",
            "/count/live",
            "/active-live-stream-count",
            "/total-broadcast-statistics",
            "/live1/tokens/list/0/10",
            "/live1/subscribers/list/0/10",
        ];
        let lists = lists.map(|path| format!("{APP}{path}"));
        for path in lists.into_iter().chain(["/rest/v2/applications/live-streams/LiveApp".to_owned()]) {
            let answer = node.get(&path).await;
            let told = (header_of(&answer, "penstock-age-ms"), header_of(&answer, "retry-after"));
            let expected = if shown {
                (StatusCode::OK, ("2345", ""))
            } else {
                (StatusCode::SERVICE_UNAVAILABLE, ("", "1"))
            };
            assert_eq!((answer.status(), told), expected, "{authority:?} {path}");
        }
        // The past is shown in any case, and so is what an operator needs just then.
        for (path, lags) in [
            (format!("{APP}/live1/connection-events/0/10"), authority != Fresh),
            (format!("{APP}/live1/subscriber-stats/list/0/10"), authority != Fresh),
            ("/LiveApp/rest/v2/vods/list/0/10".to_owned(), authority != Fresh),
            ("/LiveApp/rest/v2/vods/count".to_owned(), authority != Fresh),
            ("/rest/v2/cluster/nodes/0/10".to_owned(), false),
        ] {
            let answer = node.get(&path).await;
            let lagging = header_of(&answer, "penstock-lagging") == "true";
            assert_eq!((answer.status(), lagging), (StatusCode::OK, lags), "{authority:?} {path}");
        }
    }
}
