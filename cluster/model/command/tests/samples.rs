//! One of every command, row and fact, with all that they may hold.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;

pub(super) fn app() -> AppName {
    AppName::new("LiveApp").unwrap()
}

pub(super) fn stream() -> StreamId {
    StreamId::new("stream1").unwrap()
}

pub(super) fn full_broadcast() -> Broadcast {
    Broadcast {
        stream_id: Some("stream1".to_owned()),
        status: Status::Broadcasting,
        name: Some("Näme".to_owned()),
        speed: Ratio::from_millionths(1_030_000),
        end_point_list: Some(vec![Endpoint {
            endpoint_url: Some("rtmp://host/app/key".to_owned()),
            ..Endpoint::default()
        }]),
        encoder_settings_list: Some(vec![EncoderSettings { height: 480, ..EncoderSettings::default() }]),
        ..Broadcast::default()
    }
}

pub(super) fn document() -> SettingsDocument {
    let fields =
        json!({"acceptOnlyStreamsInDataStore": true, "webRTCViewerLimit": -1, "listenerHookURL": ""});
    SettingsDocument(fields.as_object().unwrap().clone())
}

pub(super) fn token() -> TokenId {
    TokenId::new("47114711").unwrap()
}

pub(super) fn terms() -> TokenTerms {
    TokenTerms { direction: Direction::Publish, expire_s: 1_893_456_000, room: Some(stream()) }
}

pub(super) fn session() -> SessionId {
    SessionId::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10)
}

pub(super) fn subscriber() -> SubscriberId {
    SubscriberId::new("Jürgen 1").unwrap()
}

pub(super) fn full_terms() -> SubscriberTerms {
    SubscriberTerms {
        name: Some("Jürgen".to_owned()),
        b32_secret: Some(Hidden::new("mysecret".to_owned())),
        direction: Some(Direction::Play),
        concurrent_connections_limit: 2,
        totp_period_s: Some(60),
    }
}

pub(super) fn owner() -> Owner {
    Owner { node: NodeId(3), incarnation: Incarnation(17) }
}

pub(super) fn epoch() -> Epoch {
    Epoch { generation: 1, n: 42 }
}

pub(super) fn card() -> NodeCard {
    NodeCard { address: "node3".to_owned(), relay: "node3:4300".to_owned(), version: "0.1.0".to_owned() }
}

pub(super) fn user_name() -> UserName {
    UserName::new("jane@example.org").unwrap()
}

pub(super) fn full_user() -> User {
    User {
        password: Hidden::new("$argon2id$v=19$canary".to_owned()),
        user_type: "ADMIN".to_owned(),
        scope: "system".to_owned(),
        app_name_user_type: BTreeMap::from([("LiveApp".to_owned(), "READ_ONLY".to_owned())]),
        first_name: Some("Jane".to_owned()),
        last_name: None,
        picture: None,
    }
}

pub(super) fn vod_id() -> VodId {
    VodId::new("vod1").unwrap()
}

pub(super) fn full_vod() -> Vod {
    Vod {
        vod_id: Some("vod1".to_owned()),
        stream_id: Some("stream1".to_owned()),
        file_path: Some("streams/stream1.mp4".to_owned()),
        file_size: 1 << 40,
        kind: Some("streamVod".to_owned()),
        ..Vod::default()
    }
}

pub(super) fn connection() -> Connection {
    Connection {
        direction: Direction::Play,
        protocol: "webrtc".to_owned(),
        peer: Some("192.0.2.7".to_owned()),
        proof: Some("totp".to_owned()),
    }
}

pub(super) fn figures() -> Figures {
    Figures { duration_ms: 30_000, bytes: 1 << 20, video_bytes: 1_000_000, audio_bytes: 48_576 }
}

pub(super) fn every_fact() -> Vec<Fact> {
    let fact = |what| Fact {
        app: app(),
        stream: stream(),
        subscriber: Some(subscriber()),
        session: session(),
        at: WallTime(1_700_000_000_000),
        what,
    };
    vec![
        fact(FactKind::Connected(connection())),
        fact(FactKind::Summary(figures())),
        fact(FactKind::Disconnected { reason: "finished".to_owned(), figures: figures() }),
        Fact { subscriber: None, ..fact(FactKind::Summary(figures())) },
    ]
}

pub(super) fn every_row() -> Vec<(&'static str, Change)> {
    let (a, s) = (app, stream);
    let claim = Claim { epoch: epoch(), owner: owner(), lease_until_ms: 1_700_000_006_000 };
    let spent = Spent { session: session(), fingerprint: Fingerprint(0xfe), at_ms: 1_700_000_000_000 };
    let token_row = Token { terms: terms(), made_at: Revision(7), generation: 1, spent: Some(spent) };
    let block = Some(Block { kind: "play".to_owned(), until_ms: 1_700_000_060_000 });
    let subscriber_row = Subscriber { terms: full_terms(), registered_ms: 1_700_000_000_000, block };
    let node = Node { card: card(), incarnation: Incarnation(17), joined_ms: 1, expired_ms: Some(2) };
    let session_row = Session { connection: connection(), since_ms: 1_700_000_000_000, figures: figures() };
    let event = ConnectionEvent {
        at_ms: 1_700_000_000_000,
        node: NodeId(3),
        session: session(),
        connection: Some(connection()),
        ended: Some("finished".to_owned()),
    };
    let history = History { ended: 1, figures: figures(), first: 2, next: 9, touched_ms: 1_700_000_000_000 };
    let record = SettingsRecord { version: 4, document: document() };
    vec![
        ("generation", Change::Generation(2)),
        ("settings", Change::Settings { app: a(), now: Some(Arc::new(record)) }),
        ("broadcast", Change::Broadcast { app: a(), stream: s(), now: Some(Arc::new(full_broadcast())) }),
        ("token", Change::Token { app: a(), stream: s(), token: token(), now: Some(Arc::new(token_row)) }),
        ("tokens_revoked", Change::TokensRevoked { app: a(), stream: s(), before: Some(Revision(9)) }),
        (
            "subscriber",
            Change::Subscriber {
                app: a(),
                stream: s(),
                subscriber: subscriber(),
                now: Some(Arc::new(subscriber_row)),
            },
        ),
        (
            "slot",
            Change::Slot {
                app: a(),
                stream: s(),
                subscriber: subscriber(),
                session: session(),
                now: Some(Arc::new(Slot { owner: owner(), since_ms: 1_700_000_000_000 })),
            },
        ),
        ("claim", Change::Claim { app: a(), stream: s(), now: Some(Arc::new(claim)) }),
        ("node", Change::Node { node: NodeId(3), now: Some(Arc::new(node)) }),
        (
            "life",
            Change::Life { owner: owner(), now: Some(Arc::new(Life { sequence: 5, ended_ms: Some(2) })) },
        ),
        ("user", Change::User { name: user_name(), now: Some(Arc::new(full_user())) }),
        ("vod", Change::Vod { app: a(), vod: vod_id(), now: Some(Arc::new(full_vod())) }),
        (
            "session",
            Change::Session {
                app: a(),
                stream: s(),
                subscriber: subscriber(),
                session: session(),
                owner: owner(),
                now: Some(Arc::new(session_row)),
            },
        ),
        (
            "history",
            Change::History { app: a(), stream: s(), subscriber: subscriber(), now: Some(Arc::new(history)) },
        ),
        (
            "event",
            Change::Event {
                app: a(),
                stream: s(),
                subscriber: subscriber(),
                number: 8,
                now: Some(Arc::new(event)),
            },
        ),
    ]
}

pub(super) fn every_command() -> Vec<(&'static str, Command)> {
    let facts = PublishFacts {
        publish_type: "RTMP".to_owned(),
        remote_ip: Some("192.0.2.7".to_owned()),
        user_agent: None,
        origin: "node1".to_owned(),
        rtmp_url: "rtmp://node1/LiveApp/stream1".to_owned(),
        name: None,
        meta_data: None,
        main_track: None,
        goes_on: false,
    };
    let heartbeat = Heartbeat {
        bitrate_bps: 2_500_000,
        received_bytes: 1 << 40,
        duration_ms: 60_000,
        speed: Ratio::from_millionths(990_000),
        width: 1280,
        height: 720,
        webrtc_viewers: 3,
        hls_viewers: 2,
        rtmp_viewers: 1,
    };
    let patch = BroadcastPatch::parse(br#"{"name":"n","subtracksLimit":4}"#).unwrap();
    let (a, s) = (app, stream);
    vec![
        (
            "create_broadcast",
            Command::CreateBroadcast { app: a(), stream: s(), broadcast: Box::new(full_broadcast()) },
        ),
        ("patch_broadcast", Command::PatchBroadcast { app: a(), stream: s(), patch }),
        ("delete_broadcast", Command::DeleteBroadcast { app: a(), stream: s() }),
        (
            "stream_started",
            Command::StreamStarted { app: a(), stream: s(), facts: Box::new(facts), epoch: None },
        ),
        ("stream_ended", Command::StreamEnded { app: a(), stream: s(), epoch: None }),
        ("stream_heartbeat", Command::StreamHeartbeat { app: a(), stream: s(), heartbeat, epoch: None }),
        ("reset_after_restart", Command::ResetAfterRestart),
        ("put_settings", Command::PutSettings { app: a(), expected: 3, document: document() }),
        ("create_token", Command::CreateToken { app: a(), stream: s(), token: token(), terms: terms() }),
        (
            "spend_token",
            Command::SpendToken {
                app: a(),
                stream: s(),
                token: token(),
                direction: Direction::Play,
                session: session(),
                fingerprint: Fingerprint(0xfe),
                outside_room: false,
            },
        ),
        ("revoke_token", Command::RevokeToken { app: a(), stream: s(), token: token() }),
        ("revoke_tokens", Command::RevokeTokens { app: a(), stream: s() }),
        (
            "put_subscriber",
            Command::PutSubscriber { app: a(), stream: s(), subscriber: subscriber(), terms: full_terms() },
        ),
        ("delete_subscriber", Command::DeleteSubscriber { app: a(), stream: s(), subscriber: subscriber() }),
        ("delete_subscribers", Command::DeleteSubscribers { app: a(), stream: s() }),
        (
            "block_subscriber",
            Command::BlockSubscriber {
                app: a(),
                stream: s(),
                subscriber: subscriber(),
                kind: "publish_play".to_owned(),
                seconds: 60,
            },
        ),
        (
            "acquire_slot",
            Command::AcquireSlot {
                app: a(),
                stream: s(),
                subscriber: subscriber(),
                session: session(),
                owner: owner(),
            },
        ),
        (
            "release_slot",
            Command::ReleaseSlot {
                app: a(),
                stream: s(),
                subscriber: subscriber(),
                session: session(),
                owner: owner(),
            },
        ),
        (
            "claim_stream",
            Command::ClaimStream {
                app: a(),
                stream: s(),
                owner: owner(),
                against: Some(Contention {
                    epoch: epoch(),
                    observed: crate::Observed::LinkDown { for_ms: 800 },
                }),
            },
        ),
        (
            "renew_streams",
            Command::RenewStreams {
                owner: owner(),
                claims: vec![HeldClaim { app: a(), stream: s(), epoch: epoch() }],
            },
        ),
        ("release_stream", Command::ReleaseStream { app: a(), stream: s(), epoch: epoch() }),
        ("contest_stream", Command::ContestStream { app: a(), stream: s(), epoch: epoch() }),
        ("node_joined", Command::NodeJoined { node: NodeId(3), card: card() }),
        ("node_expired", Command::NodeExpired { node: NodeId(3), incarnation: Incarnation(17) }),
        ("forget_node", Command::ForgetNode { node: NodeId(3) }),
        (
            "put_user",
            Command::PutUser { name: user_name(), when: PutWhen::NoUsers, user: Box::new(full_user()) },
        ),
        ("delete_user", Command::DeleteUser { name: user_name() }),
        ("put_vod", Command::PutVod { app: a(), vod: vod_id(), record: Box::new(full_vod()) }),
        ("delete_vod", Command::DeleteVod { app: a(), vod: vod_id() }),
        ("record_facts", Command::RecordFacts { owner: owner(), sequence: 5, facts: every_fact() }),
        ("expire", Command::Expire { up_to: WallTime(1_700_000_000_000) }),
        (
            "end_session",
            Command::EndSession { app: a(), stream: s(), session: Some(base::SessionId::from_u128(7)) },
        ),
        ("tell_codes", Command::TellCodes { node: NodeId(3), seen: vec![codes_seen()] }),
        ("raise_generation", Command::RaiseGeneration { to: 2 }),
    ]
}

fn codes_seen() -> CodesSeen {
    CodesSeen {
        app: app(),
        stream: stream(),
        subscriber: SubscriberId::new("José +1").unwrap(),
        network: std::net::IpAddr::from([192, 0, 2, 0]),
        wrong: 3,
        right: false,
    }
}
