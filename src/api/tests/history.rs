//! The past over REST.

use base::SessionId;
use cluster_model::{Connection, ConnectionEvent, Direction, MetaError, NodeCard, NodeId, SubscriberId};

use super::*;
use crate::{EventsPage, History};

/// Whoever is asked for came and went once; on node 1, which is known, and of what is older nothing is at hand.
pub(super) struct Twice;

#[async_trait]
impl History for Twice {
    async fn events(
        &self,
        _: &AppName,
        stream: &StreamId,
        subscriber: Option<SubscriberId>,
        offset: usize,
        size: usize,
    ) -> Result<EventsPage, MetaError> {
        let session = SessionId::from_u128(7);
        let connection = Connection {
            direction: Direction::Play,
            protocol: "webrtc".to_owned(),
            peer: Some("192.0.2.1".to_owned()),
            proof: Some("jwt".to_owned()),
        };
        let came = ConnectionEvent {
            at_ms: 1_700_000_000_000,
            node: NodeId(1),
            session,
            connection: Some(connection),
            ended: None,
        };
        let went =
            ConnectionEvent { at_ms: 1_700_000_005_000, ended: Some("kicked".to_owned()), ..came.clone() };
        let rows = [came, went].into_iter().map(|event| (subscriber.clone(), event));
        Ok(EventsPage { rows: rows.skip(offset).take(size).collect(), partial: stream.as_str() == "old" })
    }
}

#[actix_web::test]
async fn events_are_shown_as_ams_shows_them_and_marked_when_they_are_not_all() {
    let node = Node::new();
    node.state
        .nodes
        .join(NodeId(1), NodeCard { address: "10.0.0.1".to_owned(), ..NodeCard::default() })
        .await
        .unwrap();
    let events = node.ask(Method::GET, "/s1/connection-events/0/10?subscriberId=anna").await;
    let came = json!({
        "timestamp": 1_700_000_000_000_u64, "eventType": "connected", "instanceIP": "10.0.0.1", "type": "play",
        "eventProtocol": "webrtc", "streamId": "s1", "subscriberId": "anna",
        "session": SessionId::from_u128(7).to_string(), "peer": "192.0.2.1", "proof": "jwt",
    });
    assert_eq!(events[0], came);
    assert_eq!(
        (&events[1]["eventType"], &events[1]["exitReason"], &events[1]["peer"]),
        (&json!("disconnected"), &json!("kicked"), &json!("192.0.2.1"))
    );
    assert_eq!(node.ask(Method::GET, "/s1/connection-events/1/1").await.as_array().unwrap().len(), 1);
    assert_eq!(node.ask(Method::GET, "/s1/connection-events/0/0").await, json!([]));
    let partial = async |id| {
        let path = format!("/LiveApp/rest/v2/broadcasts/{id}/connection-events/0/10");
        node.get(&path).await.headers().contains_key("penstock-partial")
    };
    assert!(partial("old").await && !partial("s1").await);
}
