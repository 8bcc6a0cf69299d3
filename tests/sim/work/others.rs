//! Commands about things that no history is kept of: members must come to the same with them too.

use std::net::IpAddr;

use base::WallTime;
use cluster_model::{
    BroadcastPatch, CodesSeen, Command, Connection, Direction, Epoch, Fact, FactKind, Figures, Heartbeat,
    Incarnation, NodeId, PublishFacts, PutWhen, SubscriberTerms, User, Vod,
};

use super::names::{app, session_id, stream, subscriber, token, user, vod};
use crate::rng::Rng;

/// One of them.
pub(super) fn command(rng: &mut Rng, time: &str) -> Command {
    let name = format!("x{}.{time}", rng.below(2));
    let (app, id, who) = (app("a"), stream(&name), subscriber(&name));
    match rng.below(20) {
        0..=1 => Command::StreamStarted { app, stream: id, facts: Box::new(publisher()), epoch: None },
        2 => Command::StreamEnded { app, stream: id, epoch: None },
        3 => Command::StreamHeartbeat { app, stream: id, heartbeat: Heartbeat::default(), epoch: None },
        4 => {
            let patch = BroadcastPatch::parse(br#"{"name":"n"}"#).unwrap_or_default();
            Command::PatchBroadcast { app, stream: id, patch }
        }
        5 => Command::ResetAfterRestart,
        6 => Command::RevokeToken { app, stream: stream("other"), token: token(&name) },
        7 => Command::RevokeTokens { app, stream: stream("other") },
        8..=9 => {
            let terms = SubscriberTerms { concurrent_connections_limit: 2, ..SubscriberTerms::default() };
            Command::PutSubscriber { app, stream: stream("other"), subscriber: who, terms }
        }
        10 => Command::DeleteSubscriber { app, stream: stream("other"), subscriber: who },
        11 => Command::DeleteSubscribers { app, stream: stream("other") },
        12 => {
            let when = if rng.chance(500) { PutWhen::Absent } else { PutWhen::Always };
            Command::PutUser { name: user(&name), when, user: Box::<User>::default() }
        }
        13 => Command::DeleteUser { name: user(&name) },
        14 => Command::PutVod { app, vod: vod(&name), record: Box::<Vod>::default() },
        15 => Command::DeleteVod { app, vod: vod(&name) },
        16 if rng.chance(500) => Command::EndSession { app, stream: id, session: None },
        16 => Command::ContestStream { app, stream: id, epoch: Epoch::default() },
        17 => Command::TellCodes { node: NodeId(1), seen: vec![codes(&name, rng)] },
        18 => Command::NodeExpired { node: NodeId(9_999), incarnation: Incarnation(1) },
        _ => Command::ForgetNode { node: NodeId(9_999) },
    }
}

fn codes(name: &str, rng: &mut Rng) -> CodesSeen {
    CodesSeen {
        app: app("a"),
        stream: stream(name),
        subscriber: subscriber(name),
        network: IpAddr::from([10, 0, 0, 0]),
        wrong: rng.below(3) as u32,
        right: rng.chance(500),
    }
}

fn publisher() -> PublishFacts {
    PublishFacts {
        publish_type: "RTMP".to_owned(),
        remote_ip: None,
        user_agent: None,
        origin: "node".to_owned(),
        rtmp_url: "rtmp://node/a/x".to_owned(),
        name: None,
        meta_data: None,
        main_track: None,
        goes_on: false,
    }
}

/// A batch of facts.
pub(super) fn facts(rng: &mut Rng, at: WallTime) -> Vec<Fact> {
    let who = format!("f{}", rng.below(3));
    let session = session_id(rng.below(4));
    let connection =
        Connection { direction: Direction::Play, protocol: "webrtc".to_owned(), peer: None, proof: None };
    let figures = Figures { duration_ms: rng.below(10_000), bytes: rng.below(1 << 30), ..Figures::default() };
    let what = match rng.below(3) {
        0 => FactKind::Connected(connection),
        1 => FactKind::Summary(figures),
        _ => FactKind::Disconnected { reason: "left".to_owned(), figures },
    };
    let subscriber = Some(subscriber(&who));
    vec![Fact { app: app("a"), stream: stream("t"), subscriber, session, at, what }]
}
