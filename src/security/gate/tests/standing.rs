//! What becomes of permits when what they rest on changes.

use std::time::Duration;

use cluster_model::{Authority, SubscriberId, TokenTerms};

use super::mechanisms::{KEY, id, now_s, subscriber, token, whole, with_token};
use super::*;
use crate::credential::{hash, jwt};
use crate::testing::TestGate;

/// What a permit is told comes within this.
const SOON: Duration = Duration::from_secs(2);

async fn becomes(permit: &Permit, wanted: PermitState) {
    let waiting = async {
        while permit.state() != wanted {
            permit.changed_from(permit.state()).await;
        }
    };
    tokio::time::timeout(SOON, waiting)
        .await
        .unwrap_or_else(|_| panic!("{:?}, not {wanted:?}", permit.state()));
}

async fn block(whole: &TestGate, kind: &str, seconds: u64) {
    let subscriber = SubscriberId::new("sub1").unwrap();
    whole.subscribers.block(&app(), &id("s"), &subscriber, kind, seconds).await.unwrap();
}

fn as_sub1(wish: Access) -> Access {
    Access { subscriber_id: Some("sub1".to_owned()), ..wish }
}

#[tokio::test]
async fn a_block_pauses_who_can_pause_and_ends_the_others() {
    let whole = whole().await;
    let pausing = whole.gate.admit(Access { can_pause: true, ..as_sub1(play("s")) }).await.unwrap();
    let other = whole.gate.admit(as_sub1(play("s"))).await.unwrap();
    let publisher = whole.gate.admit(as_sub1(publish("s"))).await.unwrap();
    let stranger = whole.gate.admit(play("s")).await.unwrap();
    block(&whole, "play", 3_600).await;
    becomes(&pausing, PermitState::Suspended).await;
    becomes(&other, PermitState::Dead(ExitReason::Blocked)).await;
    assert_eq!((publisher.state(), stranger.state()), (PermitState::Live, PermitState::Live));
    // Whoever comes now stays outside.
    assert_eq!(denial(whole.gate.admit(as_sub1(play("s"))).await), Denial::Blocked);
    drop(whole.gate.admit(as_sub1(publish("t"))).await.unwrap());

    block(&whole, "play", 0).await;
    becomes(&pausing, PermitState::Live).await;
    drop(whole.gate.admit(as_sub1(play("s"))).await.unwrap());
    block(&whole, "publish_play", 3_600).await;
    becomes(&pausing, PermitState::Suspended).await;
    becomes(&publisher, PermitState::Dead(ExitReason::Blocked)).await;
    drop(publisher);
    assert_eq!(denial(whole.gate.admit(as_sub1(publish("s"))).await), Denial::Blocked);
}

#[tokio::test]
async fn a_block_ends_by_itself() {
    let whole = whole().await;
    let pausing = whole.gate.admit(Access { can_pause: true, ..as_sub1(play("s")) }).await.unwrap();
    block(&whole, "play", 1).await;
    becomes(&pausing, PermitState::Suspended).await;
    becomes(&pausing, PermitState::Live).await;
}

#[tokio::test]
async fn who_is_blocked_in_the_room_is_blocked_in_all_of_it() {
    let whole = whole().await;
    let in_room = || Access { main_track: Some("s".to_owned()), ..as_sub1(publish("camera")) };
    let publisher = whole.gate.admit(in_room()).await.unwrap();
    block(&whole, "publish", 3_600).await;
    becomes(&publisher, PermitState::Dead(ExitReason::Blocked)).await;
    drop(publisher);
    assert_eq!(denial(whole.gate.admit(in_room()).await), Denial::Blocked);
}

/// Who names no room is in the one that is stored of the stream all the same.
#[tokio::test]
async fn a_block_of_the_stored_room_is_not_evaded_by_silence() {
    let whole = whole().await;
    register(&whole.broadcasts, "camera", json!({ "mainTrackStreamId": "s" })).await;
    let silent = || Access { can_pause: true, ..as_sub1(play("camera")) };
    let player = whole.gate.admit(silent()).await.unwrap();
    block(&whole, "play", 3_600).await;
    becomes(&player, PermitState::Suspended).await;
    assert_eq!(denial(whole.gate.admit(silent()).await), Denial::Blocked);
    let names_another = || Access { main_track: Some("another".to_owned()), ..silent() };
    assert_eq!(denial(whole.gate.admit(names_another()).await), Denial::Blocked);
    block(&whole, "play", 0).await;
    becomes(&player, PermitState::Live).await;
}

/// A block of the room is lifted alone: that of the stream stands.
#[tokio::test]
async fn who_is_blocked_twice_waits_for_both() {
    let whole = whole().await;
    let subscriber = SubscriberId::new("sub1").unwrap();
    let set = async |stream: &str, seconds| {
        whole.subscribers.block(&app(), &id(stream), &subscriber, "play", seconds).await.unwrap();
    };
    let in_room = Access { main_track: Some("room".to_owned()), can_pause: true, ..as_sub1(play("s")) };
    let player = whole.gate.admit(in_room).await.unwrap();
    set("s", 3_600).await;
    becomes(&player, PermitState::Suspended).await;
    set("room", 3_600).await;
    set("room", 0).await;
    // What follows a change was told of it: another player is told of the next one.
    let other = whole.gate.admit(Access { can_pause: true, ..as_sub1(play("t")) }).await.unwrap();
    set("t", 3_600).await;
    becomes(&other, PermitState::Suspended).await;
    assert_eq!(player.state(), PermitState::Suspended);
    set("s", 0).await;
    becomes(&player, PermitState::Live).await;
}

#[tokio::test]
async fn a_revoked_token_ends_its_session_and_no_other() {
    let whole = whole().await;
    set(&whole.settings, "playTokenControlEnabled", json!(true)).await;
    let mut permits = Vec::new();
    for _ in 0..3 {
        let token = token(&whole, "s", Direction::Play, now_s() + 60).await;
        let permit = whole.gate.admit(with_token(token.as_str(), play("s"))).await.unwrap();
        permits.push((token, permit));
    }
    assert!(whole.tokens.revoke(&app(), &id("s"), &permits[0].0).await.unwrap());
    becomes(&permits[0].1, PermitState::Dead(ExitReason::Revoked)).await;
    assert_eq!(permits[1].1.state(), PermitState::Live);
    assert!(whole.tokens.revoke_all(&app(), &id("s")).await.unwrap());
    for (_, permit) in &permits[1..] {
        becomes(permit, PermitState::Dead(ExitReason::Revoked)).await;
    }
}

#[tokio::test]
async fn a_token_that_expires_ends_nothing_and_is_revoked_all_the_same() {
    let whole = whole().await;
    set(&whole.settings, "playTokenControlEnabled", json!(true)).await;
    let expire_s = now_s() + 1;
    let spent = token(&whole, "s", Direction::Play, expire_s).await;
    let by_spent = whole.gate.admit(with_token(spent.as_str(), play("s"))).await.unwrap();
    // One for many is not spent, and goes with its time.
    let terms = TokenTerms { direction: Direction::Play.into(), expire_s, room: Some(id("room")) };
    let of_room = whole.tokens.create(&app(), &id("room"), terms).await.unwrap();
    let in_room =
        Access { main_track: Some("room".to_owned()), ..with_token(of_room.as_str(), play("room")) };
    let by_room = whole.gate.admit(in_room).await.unwrap();
    let upkeep =
        cluster_model::Upkeep::new(whole.meta.clone(), Arc::new(SystemClock), Arc::new(SystemRandomness));
    let swept = async {
        while whole.tokens.fault(&app(), &id("room"), &of_room, Direction::Play.into()).await.unwrap()
            != Some(cluster_model::TokenFault::Unknown)
        {
            upkeep.sweep(SystemClock.wall()).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, swept).await.expect("a swept token");
    assert!(whole.tokens.revoke(&app(), &id("s"), &spent).await.unwrap());
    // Who watches was told of the sweep before.
    becomes(&by_spent, PermitState::Dead(ExitReason::Revoked)).await;
    assert_eq!(by_room.state(), PermitState::Live);
}

#[tokio::test]
async fn a_rotated_secret_ends_who_rested_on_it() {
    let whole = whole().await;
    set(&whole.settings, "hashControlPlayEnabled", json!(true)).await;
    set(&whole.settings, "tokenHashSecret", json!("one")).await;
    let by = |secret: &str| with_token(&hash::stream_hash("s", Direction::Play, secret), play("s"));
    let first = whole.gate.admit(by("one")).await.unwrap();
    // With the former secret kept nobody has to go.
    set(&whole.settings, "tokenHashSecretPrevious", json!("one")).await;
    set(&whole.settings, "tokenHashSecret", json!("two")).await;
    let second = whole.gate.admit(by("two")).await.unwrap();
    set(&whole.settings, "tokenHashSecretPrevious", json!("")).await;
    becomes(&first, PermitState::Dead(ExitReason::Revoked)).await;
    assert_eq!(second.state(), PermitState::Live);
    // A mechanism that is switched off or on concerns those who come.
    set(&whole.settings, "hashControlPlayEnabled", json!(false)).await;
    let open = whole.gate.admit(play("s")).await.unwrap();
    set(&whole.settings, "playJwtControlEnabled", json!(true)).await;
    set(&whole.settings, "jwtStreamSecretKey", json!(KEY)).await;
    let good = jwt::stream_token(KEY, "s", "play", now_s() + 60).unwrap();
    let by_jwt = whole.gate.admit(with_token(&good, play("s"))).await.unwrap();
    set(&whole.settings, "jwtStreamSecretKey", json!(KEY.to_lowercase())).await;
    becomes(&by_jwt, PermitState::Dead(ExitReason::Revoked)).await;
    assert_eq!((second.state(), open.state()), (PermitState::Live, PermitState::Live));
}

/// Time stands still here but for who sleeps: what is looked at every half second would be seen half a second later.
#[tokio::test(start_paused = true)]
async fn a_change_of_settings_is_felt_as_it_comes() {
    let whole = whole().await;
    set(&whole.settings, "hashControlPlayEnabled", json!(true)).await;
    set(&whole.settings, "tokenHashSecret", json!("one")).await;
    let hash = hash::stream_hash("s", Direction::Play, "one");
    let permit = whole.gate.admit(with_token(&hash, play("s"))).await.unwrap();
    set(&whole.settings, "tokenHashSecret", json!("two")).await;
    let ended = becomes(&permit, PermitState::Dead(ExitReason::Revoked));
    tokio::time::timeout(limits::PERMITS_REVIEWED_EVERY / 10, ended).await.unwrap();
}

/// Of hashes and JWTs nothing is stored but which are not good any more.
#[tokio::test]
async fn a_revoked_hash_or_jwt_ends_who_came_by_it_and_no_other() {
    let whole = whole().await;
    let revoke = async |token: &str| {
        let (version, held) = whole.settings.get(&app()).await.unwrap().unwrap();
        let after = held.with_revoked(&crate::credential::print_of(token), None, now_s()).unwrap();
        whole.settings.put(&app(), version, &after).await.unwrap();
    };
    set(&whole.settings, "hashControlPlayEnabled", json!(true)).await;
    set(&whole.settings, "tokenHashSecret", json!("one")).await;
    let hash_of = |stream: &str| hash::stream_hash(stream, Direction::Play, "one");
    let [meant, other] = ["s", "t"].map(|stream| with_token(&hash_of(stream), play(stream)));
    let (meant, other) = (whole.gate.admit(meant).await.unwrap(), whole.gate.admit(other).await.unwrap());
    revoke(&hash_of("s")).await;
    becomes(&meant, PermitState::Dead(ExitReason::Revoked)).await;
    assert_eq!(denial(whole.gate.admit(with_token(&hash_of("s"), play("s"))).await), Denial::Hash);
    assert_eq!(other.state(), PermitState::Live);
    drop(whole.gate.admit(with_token(&hash_of("t"), play("t"))).await.unwrap());

    set(&whole.settings, "hashControlPlayEnabled", json!(false)).await;
    set(&whole.settings, "playJwtControlEnabled", json!(true)).await;
    set(&whole.settings, "jwtStreamSecretKey", json!(KEY)).await;
    let [meant, other] = [60, 61].map(|more| jwt::stream_token(KEY, "s", "play", now_s() + more).unwrap());
    let by_meant = whole.gate.admit(with_token(&meant, play("s"))).await.unwrap();
    let by_other = whole.gate.admit(with_token(&other, play("s"))).await.unwrap();
    revoke(&meant).await;
    becomes(&by_meant, PermitState::Dead(ExitReason::Revoked)).await;
    let denied = denial(whole.gate.admit(with_token(&meant, play("s"))).await);
    assert_eq!(denied, Denial::Jwt(jwt::JwtFault::Revoked));
    assert_eq!(by_other.state(), PermitState::Live);
}

#[tokio::test]
async fn a_narrowed_range_ends_publishers_outside_of_it() {
    let whole = whole().await;
    set(&whole.settings, "allowedPublisherCIDR", json!("192.0.2.0/24")).await;
    let publisher = whole.gate.admit(publish("s")).await.unwrap();
    set(&whole.settings, "allowedPublisherCIDR", json!("192.0.2.0/24,10.0.0.0/8")).await;
    set(&whole.settings, "allowedPublisherCIDR", json!("10.0.0.0/8")).await;
    becomes(&publisher, PermitState::Dead(ExitReason::Revoked)).await;
}

#[tokio::test]
async fn a_jwt_ends_its_session_only_where_it_is_to() {
    let whole = whole().await;
    set(&whole.settings, "playJwtControlEnabled", json!(true)).await;
    set(&whole.settings, "jwtStreamSecretKey", json!(KEY)).await;
    let short = || jwt::stream_token(KEY, "s", "play", now_s() + 2).unwrap();
    let free = whole.gate.admit(with_token(&short(), play("s"))).await.unwrap();
    set(&whole.settings, "jwtExpiryEndsSession", json!(true)).await;
    let bound = whole.gate.admit(with_token(&short(), play("s"))).await.unwrap();
    let died = tokio::time::timeout(2 * SOON, bound.died()).await.expect("an end");
    assert_eq!((died, free.state()), (ExitReason::Expired, PermitState::Live));
}

#[tokio::test(start_paused = true)]
async fn without_the_plane_for_too_long_guarded_sessions_end() {
    let whole = whole().await;
    let open = whole.gate.admit(play("s")).await.unwrap();
    let publisher = whole.gate.admit(publish("s")).await.unwrap();
    set(&whole.settings, "hashControlPlayEnabled", json!(true)).await;
    set(&whole.settings, "tokenHashSecret", json!("one")).await;
    let token = hash::stream_hash("s", Direction::Play, "one");
    let guarded = whole.gate.admit(with_token(&token, play("s"))).await.unwrap();
    whole.placed.knows(Authority::Isolated);
    // Nothing happens, and on the paused clock no time passes.
    tokio::time::sleep(2 * limits::PERMITS_REVIEWED_EVERY).await;
    assert_eq!(guarded.state(), PermitState::Live);
    whole.placed.knows(Authority::Lost);
    becomes(&guarded, PermitState::Dead(ExitReason::AuthorityLost)).await;
    assert_eq!((open.state(), publisher.state()), (PermitState::Live, PermitState::Live));
}

#[tokio::test]
async fn live_sessions_are_listed_and_one_is_ended() {
    let whole = whole().await;
    let first = whole.gate.admit(as_sub1(play("s"))).await.unwrap();
    let second = whole.gate.admit(publish("s")).await.unwrap();
    let listed = whole.gate.sessions(&app(), &id("s"));
    let shown: Vec<_> =
        listed.iter().map(|it| (it.session, it.direction, it.subscriber.as_deref())).collect();
    assert_eq!(
        shown,
        [(first.session(), Direction::Play, Some("sub1")), (second.session(), Direction::Publish, None)]
    );
    whole.gate.kick(&app(), &id("s"), Some(first.session())).await.unwrap();
    becomes(&first, PermitState::Dead(ExitReason::Kicked)).await;
    assert_eq!(second.state(), PermitState::Live);
    whole.gate.kick(&app(), &id("s"), None).await.unwrap();
    becomes(&second, PermitState::Dead(ExitReason::Kicked)).await;
    drop((first, second));
    assert!(whole.gate.sessions(&app(), &id("s")).is_empty() && whole.gate.live.is_empty());
}

/// With many sessions at once none is missed between its admission and its entry in the list.
#[tokio::test]
async fn nobody_slips_in_beside_a_block() {
    let whole = whole().await;
    subscriber(&whole, "sub1", None, None).await;
    let gate = Arc::clone(&whole.gate);
    let coming = tokio::spawn(async move {
        let mut permits = Vec::new();
        while let Ok(permit) = gate.admit(as_sub1(play("s"))).await {
            permits.push(permit);
            tokio::task::yield_now().await;
        }
        permits
    });
    tokio::task::yield_now().await;
    block(&whole, "play", 3_600).await;
    let permits = tokio::time::timeout(SOON, coming).await.expect("a refusal").unwrap();
    for permit in &permits {
        becomes(permit, PermitState::Dead(ExitReason::Blocked)).await;
    }
}
