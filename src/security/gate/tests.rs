use base::{ExitReason, PeerAddr, Secret, SessionId, SystemClock, SystemRandomness};
use cluster_model::testing::{InMemory, Unsteady};
use cluster_model::{BroadcastPatch, Heartbeat, StreamStarted};
use config::AppSettings;
use serde_json::{Value, json};

use super::*;
use crate::PermitState;
use crate::testing::{gate_over, open_gate, whole_gate};

mod mechanisms;
mod own_secrets;
mod standing;
mod tokens;

const APP: &str = "LiveApp";

fn app() -> AppName {
    AppName::new(APP).unwrap()
}

fn access(direction: Direction, stream: &str) -> Access {
    let peer = PeerAddr::new("192.0.2.7:5000".parse().unwrap());
    Access::new(app(), stream, direction, "test", peer, SessionId::random(&SystemRandomness))
}

fn publish(stream: &str) -> Access {
    access(Direction::Publish, stream)
}

fn play(stream: &str) -> Access {
    access(Direction::Play, stream)
}

fn denial(decision: Result<Permit, Denial>) -> Denial {
    decision.expect_err("a denial")
}

/// Puts one setting over AMS's defaults.
async fn set(settings: &Settings, key: &str, value: Value) {
    let (version, now) = settings.get(&app()).await.unwrap().unwrap();
    let mut document = serde_json::to_value(&*now).unwrap();
    document[key] = value;
    let wanted: AppSettings = serde_json::from_value(document).unwrap();
    settings.put(&app(), version, &wanted).await.unwrap();
}

async fn register(broadcasts: &Broadcasts, stream: &str, fields: Value) {
    let mut json = fields;
    json["streamId"] = stream.into();
    let draft = Broadcast::parse(json.to_string().as_bytes()).unwrap();
    broadcasts.create(&app(), draft, None).await.unwrap();
}

#[tokio::test]
async fn by_default_anybody_publishes_and_plays() {
    let (gate, ..) = open_gate(&[APP]).await;
    let publisher = Access {
        subscriber_id: Some("me".to_owned()),
        token: Some(Secret::new("t".to_owned())),
        ..publish("s")
    };
    let session = publisher.session;
    let permit = gate.admit(publisher).await.unwrap();
    assert_eq!((permit.app().as_str(), permit.stream().as_str()), (APP, "s"));
    assert_eq!((permit.direction(), permit.session()), (Direction::Publish, session));
    assert_eq!(permit.subscriber_id(), Some("me"));
    assert_eq!(permit.state(), PermitState::Live);
    let player = Access { subscriber_id: Some(String::new()), ..play("s") };
    assert_eq!(gate.admit(player).await.unwrap().subscriber_id(), None);
}

#[tokio::test]
async fn an_unknown_application_is_refused() {
    let (gate, ..) = open_gate(&["Other"]).await;
    assert_eq!(denial(gate.admit(publish("s")).await), Denial::UnknownApplication);
    assert_eq!(denial(gate.admit(play("s")).await), Denial::UnknownApplication);
}

#[tokio::test]
async fn an_application_that_is_taken_out_lets_nobody_stay_and_one_that_is_added_lets_in() {
    let meta = Arc::new(InMemory::new(Arc::new(SystemClock)));
    let whole = whole_gate(meta, &[APP]).await;
    let names = whole.gate.applications.clone();
    let permit = whole.gate.admit(publish("s")).await.unwrap();
    names.remove(&app());
    whole.gate.close(&app(), ExitReason::Kicked);
    assert_eq!(permit.state(), PermitState::Dead(ExitReason::Kicked));
    assert_eq!(denial(whole.gate.admit(publish("s")).await), Denial::UnknownApplication);
    assert!(whole.gate.followers.lock().is_empty());
    drop(permit);
    whole.gate.open(&app());
    names.insert(&app());
    assert_eq!(whole.gate.admit(publish("s")).await.unwrap().state(), PermitState::Live);
}

#[tokio::test]
async fn an_application_without_settings_is_not_initialised() {
    let meta = Arc::new(InMemory::new(Arc::new(SystemClock)));
    let whole = whole_gate(meta, &[]).await;
    let gate = Gate::new(GateParts {
        applications: [app()].into_iter().collect(),
        settings: whole.settings,
        broadcasts: whole.broadcasts,
        tokens: whole.tokens,
        subscribers: whole.subscribers,
        plane: whole.placed,
        authorizer: whole.asked,
        keys: Arc::new(KeySets::new(whole.published, Arc::new(SystemClock))),
        clock: Arc::new(SystemClock),
    });
    assert_eq!(denial(gate.admit(publish("s")).await), Denial::NotInitialised);
    assert_eq!(denial(gate.admit(play("s")).await), Denial::NotInitialised);
}

#[tokio::test]
async fn a_name_that_is_no_stream_id_is_refused() {
    let (gate, ..) = open_gate(&[APP]).await;
    for direction in [Direction::Publish, Direction::Play] {
        for name in ["", "a b", "a/b", "a\n", "ä", &"x".repeat(257)] {
            let denied = denial(gate.admit(access(direction, name)).await);
            assert!(matches!(denied, Denial::InvalidStreamId(_)), "{name:?}: {denied:?}");
        }
        drop(gate.admit(access(direction, "A-b_c.9")).await.unwrap());
    }
}

#[tokio::test]
async fn with_the_switch_on_only_registered_streams_are_published() {
    let (gate, broadcasts, settings) = open_gate(&[APP]).await;
    drop(gate.admit(publish("s")).await.unwrap());
    set(&settings, "acceptOnlyStreamsInDataStore", json!(true)).await;
    assert_eq!(denial(gate.admit(publish("s")).await), Denial::Unregistered);
    // Playing is another matter.
    drop(gate.admit(play("s")).await.unwrap());
    register(&broadcasts, "s", json!({})).await;
    drop(gate.admit(publish("s")).await.unwrap());
    // Ids are case-sensitive.
    assert_eq!(denial(gate.admit(publish("S")).await), Denial::Unregistered);
    broadcasts.delete(&app(), &StreamId::new("s").unwrap()).await.unwrap();
    assert_eq!(denial(gate.admit(publish("s")).await), Denial::Unregistered);
}

#[tokio::test]
async fn of_two_publishers_of_one_stream_one_is_in() {
    let (gate, ..) = open_gate(&[APP]).await;
    let first = gate.admit(publish("s")).await.unwrap();
    assert_eq!(denial(gate.admit(publish("s")).await), Denial::AlreadyLive);
    // Others are not in its way, and it is in nobody else's.
    let _other = gate.admit(publish("t")).await.unwrap();
    let _player = gate.admit(play("s")).await.unwrap();
    drop(first);
    let _second = gate.admit(publish("s")).await.unwrap();
    assert_eq!(denial(gate.admit(publish("s")).await), Denial::AlreadyLive);
}

#[tokio::test]
async fn of_publishers_at_the_same_moment_one_wins() {
    let (gate, ..) = open_gate(&[APP]).await;
    for _ in 0..50 {
        let mut tries = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let gate = Arc::clone(&gate);
            tries.spawn(async move { gate.admit(publish("s")).await });
        }
        let decisions = tries.join_all().await;
        let winners = decisions.iter().filter(|decision| decision.is_ok()).count();
        assert_eq!(winners, 1, "{decisions:?}");
    }
}

#[tokio::test]
async fn a_stale_record_keeps_nobody_out() {
    let (gate, broadcasts, _) = open_gate(&[APP]).await;
    let stream = StreamId::new("s").unwrap();
    let started = StreamStarted { publish_type: "RTMP".to_owned(), ..StreamStarted::default() };
    broadcasts.started(&app(), &stream, started).await.unwrap();
    broadcasts.heartbeat(&app(), &stream, Heartbeat::default()).await.unwrap();
    // The record says live; the seat, which is the owner of the fact, is free.
    drop(gate.admit(publish("s")).await.unwrap());
}

#[tokio::test]
async fn outside_its_planned_dates_a_stream_is_not_published() {
    let (gate, broadcasts, _) = open_gate(&[APP]).await;
    let now = i64::try_from(SystemClock.wall().as_millis() / 1000).unwrap();
    let (past, future) = (now - 3600, now + 3600);
    for (stream, start, end, allowed) in [
        ("inside", past, future, true),
        ("early", future, future + 1, false),
        ("late", past - 1, past, false),
        ("only-end", 0, past, true),
        ("only-start", future, 0, true),
    ] {
        register(&broadcasts, stream, json!({"plannedStartDate": start, "plannedEndDate": end})).await;
        let decision = gate.admit(publish(stream)).await;
        assert_eq!(decision.as_ref().err().copied(), (!allowed).then_some(Denial::OutsideWindow), "{stream}");
        drop(gate.admit(play(stream)).await.unwrap());
    }
}

#[tokio::test]
async fn the_limit_of_publishers_counts_permits() {
    let (gate, _, settings) = open_gate(&[APP]).await;
    set(&settings, "ingestingStreamLimit", json!(2)).await;
    let first = gate.admit(publish("a")).await.unwrap();
    let _second = gate.admit(publish("b")).await.unwrap();
    assert_eq!(denial(gate.admit(publish("c")).await), Denial::IngestLimit);
    // Who is live already is told so, whatever the limit.
    assert_eq!(denial(gate.admit(publish("a")).await), Denial::AlreadyLive);
    drop(first);
    let _third = gate.admit(publish("c")).await.unwrap();
    set(&settings, "ingestingStreamLimit", json!(-1)).await;
    let _fourth = gate.admit(publish("d")).await.unwrap();
}

#[tokio::test]
async fn the_limit_of_players_counts_permits_of_the_application() {
    let (gate, _, settings) = open_gate(&[APP]).await;
    set(&settings, "webRTCViewerLimit", json!(2)).await;
    let first = gate.admit(play("a")).await.unwrap();
    let _second = gate.admit(play("b")).await.unwrap();
    assert_eq!(denial(gate.admit(play("c")).await), Denial::ViewerLimit);
    drop(first);
    let _third = gate.admit(play("c")).await.unwrap();
}

#[tokio::test]
async fn the_limit_of_players_counts_permits_of_the_stream() {
    let (gate, broadcasts, _) = open_gate(&[APP]).await;
    register(&broadcasts, "a", json!({"webRTCViewerLimit": 1})).await;
    let first = gate.admit(play("a")).await.unwrap();
    assert_eq!(denial(gate.admit(play("a")).await), Denial::ViewerLimit);
    let _other = gate.admit(play("b")).await.unwrap();
    drop(first);
    let _second = gate.admit(play("a")).await.unwrap();
    let more = BroadcastPatch::parse(br#"{"webRTCViewerLimit":-1}"#).unwrap();
    broadcasts.patch(&app(), &StreamId::new("a").unwrap(), more).await.unwrap();
    let _third = gate.admit(play("a")).await.unwrap();
}

/// AMS: each way to play has its own limit, and a file that is only read has none.
#[tokio::test]
async fn who_plays_by_playlists_counts_under_their_limit_and_no_other() {
    let (gate, broadcasts, settings) = open_gate(&[APP]).await;
    set(&settings, "webRTCViewerLimit", json!(0)).await;
    register(&broadcasts, "a", json!({"webRTCViewerLimit": 0, "hlsViewerLimit": 1, "dashViewerLimit": 0}))
        .await;
    let by = |viewer: Viewer| Access { viewer, ..play("a") };
    assert_eq!(denial(gate.admit(by(Viewer::Streamed)).await), Denial::ViewerLimit);
    assert_eq!(denial(gate.admit(by(Viewer::Manifest)).await), Denial::ViewerLimit);
    let files = [gate.admit(by(Viewer::File)).await.unwrap(), gate.admit(by(Viewer::File)).await.unwrap()];
    let first = gate.admit(by(Viewer::Playlist)).await.unwrap();
    assert_eq!(denial(gate.admit(by(Viewer::Playlist)).await), Denial::ViewerLimit);
    drop(first);
    let playlist = gate.admit(by(Viewer::Playlist)).await.unwrap();
    // Nor do they take the place of others.
    set(&settings, "webRTCViewerLimit", json!(1)).await;
    let more = BroadcastPatch::parse(br#"{"webRTCViewerLimit":1}"#).unwrap();
    broadcasts.patch(&app(), &StreamId::new("a").unwrap(), more).await.unwrap();
    let streamed = gate.admit(by(Viewer::Streamed)).await.unwrap();
    assert_eq!(denial(gate.admit(by(Viewer::Streamed)).await), Denial::ViewerLimit);
    drop((files, playlist, streamed));
    assert!(gate.seats.is_empty());
}

#[tokio::test]
async fn no_seat_leaks() {
    let (gate, broadcasts, settings) = open_gate(&[APP]).await;
    set(&settings, "ingestingStreamLimit", json!(1)).await;
    set(&settings, "webRTCViewerLimit", json!(1)).await;
    register(&broadcasts, "over", json!({"plannedStartDate": 1, "plannedEndDate": 2})).await;
    for n in 0..200 {
        let stream = format!("s{n}");
        let publisher = gate.admit(publish(&stream)).await.unwrap();
        let player = gate.admit(play(&stream)).await.unwrap();
        assert!(gate.admit(publish("other")).await.is_err());
        assert!(gate.admit(play("other")).await.is_err());
        assert!(gate.admit(publish("over")).await.is_err());
        drop((publisher, player));
    }
    assert!(gate.seats.is_empty());
}

#[tokio::test]
async fn a_caller_that_gives_up_leaves_no_seat() {
    let (gate, ..) = open_gate(&[APP]).await;
    for _ in 0..50 {
        let asked = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.admit(publish("s")).await }
        });
        asked.abort();
        drop(asked.await);
    }
    assert!(gate.seats.is_empty());
}

#[tokio::test]
async fn an_unsteady_metadata_plane_is_waited_for() {
    for seed in 0..3 {
        let meta = Arc::new(Unsteady::new(InMemory::new(Arc::new(SystemClock)), seed));
        let (gate, broadcasts, settings) = gate_over(meta, &[APP]).await;
        set(&settings, "acceptOnlyStreamsInDataStore", json!(true)).await;
        assert_eq!(denial(gate.admit(publish("s")).await), Denial::Unregistered);
        register(&broadcasts, "s", json!({})).await;
        drop(gate.admit(publish("s")).await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_metadata_plane_is_a_denial_in_time() {
    let meta = Arc::new(Unsteady::new(InMemory::new(Arc::new(SystemClock)), 1));
    let (gate, ..) = gate_over(Arc::clone(&meta) as _, &[APP]).await;
    meta.go_silent();
    for wish in [publish("s"), play("s")] {
        let decision = tokio::time::timeout(limits::GATE_DECISION_MAX * 2, gate.admit(wish)).await;
        assert_eq!(denial(decision.expect("a decision in time")), Denial::DataStoreNotAvailable);
    }
    assert!(gate.seats.is_empty());
}

#[tokio::test]
async fn a_permit_dies_once_and_wakes_who_waits() {
    let (gate, ..) = open_gate(&[APP]).await;
    let permit = gate.admit(play("s")).await.unwrap();
    let (life, control) = (permit.life(), permit.control());
    let waiting = tokio::spawn({
        let life = life.clone();
        async move { life.died().await }
    });
    control.suspend();
    assert_eq!(permit.changed_from(PermitState::Live).await, PermitState::Suspended);
    control.resume();
    assert_eq!(permit.state(), PermitState::Live);
    control.end(ExitReason::Blocked);
    assert_eq!(waiting.await.unwrap(), ExitReason::Blocked);
    // Death is final, and its first reason stands.
    control.resume();
    control.suspend();
    control.end(ExitReason::Kicked);
    drop(permit);
    assert_eq!(life.state(), PermitState::Dead(ExitReason::Blocked));
}

#[tokio::test]
async fn nobody_sees_a_dropped_permit_as_live() {
    let (gate, ..) = open_gate(&[APP]).await;
    let permit = gate.admit(play("s")).await.unwrap();
    let life = permit.life();
    drop(permit);
    assert_eq!(life.died().await, ExitReason::Finished);
}

#[test]
fn neither_wish_nor_permit_shows_credentials_or_addresses() {
    let wish = Access {
        token: Some(Secret::new("hunter2".to_owned())),
        subscriber_code: Some(Secret::new("471147".to_owned())),
        ..publish("s")
    };
    let shown = format!("{wish:?}");
    assert!(
        !shown.contains("hunter2") && !shown.contains("471147") && !shown.contains("192.0.2.7"),
        "{shown}"
    );
}

#[test]
fn every_state_of_a_permit_is_told_apart() {
    let dead = ExitReason::ALL.iter().map(|&reason| PermitState::Dead(reason));
    for state in [PermitState::Live, PermitState::Suspended].into_iter().chain(dead) {
        assert_eq!(PermitState::from_byte(state.to_byte()), state);
    }
}
