//! What the state machine promises, by kind of row.

mod broadcasts;
mod claims;
mod facts;
mod nodes;
mod replicas;
mod slots;
mod subscribers;
mod sweep;
mod tokens;
mod users_and_vods;

use super::*;
use crate::{
    BroadcastPatch, Contention, Direction, Epoch, Fingerprint, Heartbeat, Incarnation, NodeCard, Observed,
    PublishFacts, Refusal, SettingsDocument, Status, SubscriberTerms, TokenFault, TokenTerms,
};

fn app(name: &str) -> AppName {
    AppName::new(name).unwrap()
}

fn id(name: &str) -> StreamId {
    StreamId::new(name).unwrap()
}

fn create(stream: &str) -> Command {
    Command::CreateBroadcast { app: app("a"), stream: id(stream), broadcast: Box::default() }
}

fn started(stream: &str) -> Command {
    let facts = PublishFacts {
        publish_type: "RTMP".to_owned(),
        remote_ip: Some("192.0.2.7".to_owned()),
        user_agent: None,
        origin: "node".to_owned(),
        rtmp_url: "rtmp://node/a/s".to_owned(),
        name: None,
        meta_data: None,
        main_track: None,
        goes_on: false,
    };
    Command::StreamStarted { app: app("a"), stream: id(stream), facts: Box::new(facts), epoch: None }
}

fn ended(stream: &str) -> Command {
    Command::StreamEnded { app: app("a"), stream: id(stream), epoch: None }
}

fn beat(stream: &str) -> Command {
    let heartbeat = Heartbeat { webrtc_viewers: 4, width: 640, height: 360, ..Heartbeat::default() };
    Command::StreamHeartbeat { app: app("a"), stream: id(stream), heartbeat, epoch: None }
}

/// A state and the number of the next request.
#[derive(Default)]
struct Run {
    state: State,
    request: u128,
}

impl Run {
    fn at(&mut self, ms: u64, command: Command) -> Applied {
        self.request += 1;
        let request = RequestId::from_u128(self.request);
        apply(&mut self.state, Stamped { request, at: WallTime(ms), command })
    }

    /// The outcome alone.
    fn out(&mut self, ms: u64, command: Command) -> Outcome {
        self.at(ms, command).outcome
    }

    /// A node begins a life.
    fn joins(&mut self, ms: u64, node: u64) -> Owner {
        let node = NodeId(node);
        match self.out(ms, Command::NodeJoined { node, card: card(node) }) {
            Outcome::Joined { incarnation } => Owner { node, incarnation },
            other => panic!("{other:?}"),
        }
    }

    fn broadcast(&self, stream: &str) -> &Broadcast {
        self.state.broadcast(&app("a"), &id(stream)).expect("stored")
    }
}

fn card(node: NodeId) -> NodeCard {
    NodeCard { address: format!("node{node}"), ..NodeCard::default() }
}

fn session(number: u128) -> SessionId {
    SessionId::from_u128(number)
}

fn token(text: &str) -> TokenId {
    TokenId::new(text).unwrap()
}

fn subscriber(text: &str) -> SubscriberId {
    SubscriberId::new(text).unwrap()
}

fn expire(ms: u64) -> Command {
    Command::Expire { up_to: WallTime(ms) }
}

fn expires_after(duration: std::time::Duration) -> u64 {
    WallTime(0).plus(duration).as_millis()
}

const SWEPT: Outcome = Outcome::Swept { more: false };
