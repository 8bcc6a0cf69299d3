//! One-time tokens, of streams and of rooms.

use cluster_model::{TokenFault, TokenTerms};

use super::mechanisms::{KEY, id, now_s, refused, token, whole, with_token};
use super::*;
use crate::credential::jwt;
use crate::testing::whole_gate_at;

#[tokio::test]
async fn a_one_time_token_lets_one_in() {
    let whole = whole().await;
    set(&whole.settings, "publishTokenControlEnabled", json!(true)).await;
    set(&whole.settings, "playTokenControlEnabled", json!(true)).await;
    let hour = now_s() + 3_600;
    for direction in [Direction::Publish, Direction::Play] {
        let other = if direction == Direction::Publish { Direction::Play } else { Direction::Publish };
        let wish = || access(direction, "s");
        assert_eq!(refused(&whole, wish()).await, Some(Denial::TokenMissing));
        let unknown = Some(Denial::Token(TokenFault::Unknown));
        let too_long = "x".repeat(10 * 1024);
        for text in ["nobody", "a b", "\0", too_long.as_str()] {
            assert_eq!(refused(&whole, with_token(text, wish())).await, unknown, "{text:.20}");
        }
        let expired = token(&whole, "s", direction, now_s() - 1).await;
        let denied = refused(&whole, with_token(expired.as_str(), wish())).await;
        assert_eq!(denied, Some(Denial::Token(TokenFault::Expired)));
        let of_other_type = token(&whole, "s", other, hour).await;
        let denied = refused(&whole, with_token(of_other_type.as_str(), wish())).await;
        assert_eq!(denied, Some(Denial::Token(TokenFault::WrongType)));
        let of_other_stream = token(&whole, "t", direction, hour).await;
        assert_eq!(refused(&whole, with_token(of_other_stream.as_str(), wish())).await, unknown);

        let good = token(&whole, "s", direction, hour).await;
        let permit = whole.gate.admit(with_token(good.as_str(), wish())).await.unwrap();
        assert_eq!(permit.proof(), Some("one-time token"));
        drop(permit);
        let spent = Some(Denial::Token(TokenFault::Spent));
        assert_eq!(refused(&whole, with_token(good.as_str(), wish())).await, spent);
    }
    assert!(whole.gate.live.is_empty());
}

#[tokio::test]
async fn who_spent_a_token_may_show_it_again_but_not_twice_at_once() {
    let whole = whole().await;
    set(&whole.settings, "playTokenControlEnabled", json!(true)).await;
    let good = token(&whole, "s", Direction::Play, now_s() + 3_600).await;
    let presenter = SessionId::random(&SystemRandomness);
    let wish = || Access { presenter, ..with_token(good.as_str(), play("s")) };
    let first = whole.gate.admit(wish()).await.unwrap();
    assert_eq!(refused(&whole, wish()).await, Some(Denial::TokenInUse));
    drop(first);
    let _again = whole.gate.admit(wish()).await.unwrap();
}

/// A connection that is lost may be begun again by who lost it, for so long and no longer. Time stands still here but for who
/// sleeps, and the node's clock is moved by hand.
#[tokio::test(start_paused = true)]
async fn who_spent_a_token_comes_back_within_ten_seconds_of_its_end_and_nobody_else_does() {
    let clock = Arc::new(base::ManualClock::new(SystemClock.wall()));
    let whole = whole_gate_at(Arc::new(InMemory::new(clock.clone())), clock.clone(), &[APP]).await;
    set(&whole.settings, "playTokenControlEnabled", json!(true)).await;
    let good = token(&whole, "s", Direction::Play, now_s() + 7_200).await;
    let presenter = SessionId::random(&SystemRandomness);
    let wish = || Access { presenter, ..with_token(good.as_str(), play("s")) };
    let stranger = || with_token(good.as_str(), play("s"));
    let spent = Some(Denial::Token(TokenFault::Spent));
    assert_eq!(limits::TOKEN_COMES_BACK_WITHIN, std::time::Duration::from_secs(10));

    let first = whole.gate.admit(wish()).await.unwrap();
    first.has_begun();
    // However long it was there: what counts is its end, as it was looked at last.
    clock.advance(std::time::Duration::from_secs(3_600));
    // On the paused clock: the review comes and no time passes.
    tokio::time::sleep(2 * limits::PERMITS_REVIEWED_EVERY).await;
    drop(first);
    assert_eq!(refused(&whole, stranger()).await, spent);
    clock.advance(limits::TOKEN_COMES_BACK_WITHIN);
    assert_eq!(refused(&whole, stranger()).await, spent);
    let again = whole.gate.admit(wish()).await.unwrap();
    again.has_begun();
    assert_eq!(refused(&whole, wish()).await, Some(Denial::TokenInUse));
    drop(again);
    clock.advance(limits::TOKEN_COMES_BACK_WITHIN + std::time::Duration::from_millis(1));
    assert_eq!(refused(&whole, wish()).await, spent);
    assert_eq!(refused(&whole, stranger()).await, spent);
}

/// The ten seconds are for who lost a connection.
#[tokio::test]
async fn who_is_kicked_does_not_come_back_by_the_same_token_nor_does_a_publisher() {
    let whole = whole().await;
    set(&whole.settings, "playTokenControlEnabled", json!(true)).await;
    set(&whole.settings, "publishTokenControlEnabled", json!(true)).await;
    let spent = Some(Denial::Token(TokenFault::Spent));
    for (direction, is_kicked) in [(Direction::Play, true), (Direction::Publish, false)] {
        let good = token(&whole, "s", direction, now_s() + 3_600).await;
        let presenter = SessionId::random(&SystemRandomness);
        let wish = || Access { presenter, ..with_token(good.as_str(), access(direction, "s")) };
        let permit = whole.gate.admit(wish()).await.unwrap();
        permit.has_begun();
        if is_kicked {
            whole.gate.kick(&app(), &id("s"), Some(permit.session())).await.unwrap();
            assert_eq!(permit.died().await, ExitReason::Kicked);
        }
        drop(permit);
        assert_eq!(refused(&whole, wish()).await, spent, "{direction}");
    }
}

/// Also where it opens several streams, and all are asked for in the same moment.
#[tokio::test]
async fn of_many_sessions_by_one_token_at_once_one_is_in() {
    let whole = whole().await;
    set(&whole.settings, "playTokenControlEnabled", json!(true)).await;
    for member in ["a", "b", "c", "d"] {
        register(&whole.broadcasts, member, json!({"mainTrackStreamId": "room"})).await;
    }
    for _ in 0..20 {
        let once = token(&whole, "room", Direction::Play, now_s() + 3_600).await;
        let presenter = SessionId::random(&SystemRandomness);
        let mut asking = tokio::task::JoinSet::new();
        for member in ["a", "b", "c", "d"] {
            let wish = with_token(once.as_str(), play(member));
            let wish = Access { presenter, main_track: Some("room".to_owned()), ..wish };
            let gate = Arc::clone(&whole.gate);
            asking.spawn(async move { gate.admit(wish).await });
        }
        let decisions = asking.join_all().await;
        let admitted = decisions.iter().filter(|decision| decision.is_ok()).count();
        assert_eq!(admitted, 1, "{decisions:?}");
        let refused = decisions.iter().filter_map(|decision| decision.as_ref().err());
        assert!(refused.into_iter().all(|denial| *denial == Denial::TokenInUse), "{decisions:?}");
    }
    assert!(whole.gate.live.is_empty());
}

#[tokio::test]
async fn no_token_is_spent_where_there_is_no_seat() {
    let whole = whole().await;
    set(&whole.settings, "playTokenControlEnabled", json!(true)).await;
    set(&whole.settings, "publishTokenControlEnabled", json!(true)).await;
    set(&whole.settings, "webRTCViewerLimit", json!(0)).await;
    let hour = now_s() + 3_600;
    let good = token(&whole, "s", Direction::Play, hour).await;
    assert_eq!(refused(&whole, with_token(good.as_str(), play("s"))).await, Some(Denial::ViewerLimit));
    set(&whole.settings, "webRTCViewerLimit", json!(-1)).await;
    let _in = whole.gate.admit(with_token(good.as_str(), play("s"))).await.unwrap();

    let [first, second] = [
        token(&whole, "s", Direction::Publish, hour).await,
        token(&whole, "s", Direction::Publish, hour).await,
    ];
    let publisher = whole.gate.admit(with_token(first.as_str(), publish("s"))).await.unwrap();
    let denied = refused(&whole, with_token(second.as_str(), publish("s"))).await;
    assert_eq!(denied, Some(Denial::AlreadyLive));
    drop(publisher);
    let _next = whole.gate.admit(with_token(second.as_str(), publish("s"))).await.unwrap();
}

#[tokio::test]
async fn a_token_of_a_room_is_for_all_in_it_until_it_expires() {
    let whole = whole().await;
    set(&whole.settings, "publishTokenControlEnabled", json!(true)).await;
    set(&whole.settings, "playTokenControlEnabled", json!(true)).await;
    let room = Some(id("room"));
    let terms = TokenTerms { direction: Direction::Publish.into(), expire_s: now_s() + 3_600, room };
    let good = whole.tokens.create(&app(), &id("room"), terms).await.unwrap();
    let in_room = |wish| Access { main_track: Some("room".to_owned()), ..with_token(good.as_str(), wish) };
    let _one = whole.gate.admit(in_room(publish("a"))).await.unwrap();
    let _two = whole.gate.admit(in_room(publish("b"))).await.unwrap();
    let _player = whole.gate.admit(in_room(play("room"))).await.unwrap();
    let unknown = Some(Denial::Token(TokenFault::Unknown));
    assert_eq!(refused(&whole, with_token(good.as_str(), publish("c"))).await, unknown);
}

/// AMS's `roomId`: a token of one stream of the room opens all of it and is not spent; who names no room spends it.
#[tokio::test]
async fn a_token_of_a_stream_with_a_room_opens_every_stream_of_the_room() {
    let whole = whole().await;
    set(&whole.settings, "playTokenControlEnabled", json!(true)).await;
    for (stream, room) in [("cam1", "r1"), ("cam2", "r1"), ("cam3", "r2")] {
        register(&whole.broadcasts, stream, json!({"mainTrackStreamId": room})).await;
    }
    let make = async |direction: Direction| {
        let terms =
            TokenTerms { direction: direction.into(), expire_s: now_s() + 3_600, room: Some(id("r1")) };
        whole.tokens.create(&app(), &id("cam1"), terms).await.unwrap()
    };
    let good = make(Direction::Play).await;
    let wish = |token: &cluster_model::TokenId, stream: &str, room: &str| {
        let main_track = Some(room.to_owned()).filter(|room| !room.is_empty());
        Access { main_track, ..with_token(token.as_str(), play(stream)) }
    };
    let first = whole.gate.admit(wish(&good, "cam2", "r1")).await.unwrap();
    let second = whole.gate.admit(wish(&good, "cam2", "r1")).await.unwrap();
    drop(whole.gate.admit(wish(&good, "cam1", "r1")).await.unwrap());
    let unknown = Some(Denial::Token(TokenFault::Unknown));
    for (stream, room) in [("cam3", "r2"), ("cam3", "r1"), ("cam2", "r2"), ("cam2", ""), ("cam3", "")] {
        assert_eq!(refused(&whole, wish(&good, stream, room)).await, unknown, "{stream} in {room:?}");
    }
    assert!(whole.gate.explain(wish(&good, "cam2", "r1")).await.allowed);
    assert!(!whole.gate.explain(wish(&good, "cam3", "r1")).await.allowed);
    // A token to publish in the room also plays it, and nothing else.
    let to_publish = make(Direction::Publish).await;
    drop(whole.gate.admit(wish(&to_publish, "cam2", "r1")).await.unwrap());
    let wrong = Some(Denial::Token(TokenFault::WrongType));
    assert_eq!(refused(&whole, wish(&to_publish, "cam1", "")).await, wrong);

    // Who names no room spends it, though others are in by it; they stay.
    let alone = whole.gate.admit(wish(&good, "cam1", "")).await.unwrap();
    let spent = Some(Denial::Token(TokenFault::Spent));
    assert_eq!(refused(&whole, wish(&good, "cam1", "")).await, Some(Denial::TokenInUse));
    drop(alone);
    assert_eq!(refused(&whole, wish(&good, "cam1", "")).await, spent);
    assert_eq!(refused(&whole, wish(&good, "cam2", "r1")).await, spent);
    assert_eq!((first.state(), second.state()), (crate::PermitState::Live, crate::PermitState::Live));
}

/// It is its stream's: whoever revokes it there ends all that came by it.
#[tokio::test]
async fn revoking_a_rooms_token_ends_all_of_the_room_that_it_let_in() {
    let whole = whole().await;
    set(&whole.settings, "playTokenControlEnabled", json!(true)).await;
    register(&whole.broadcasts, "cam2", json!({"mainTrackStreamId": "r1"})).await;
    let terms =
        TokenTerms { direction: Direction::Play.into(), expire_s: now_s() + 3_600, room: Some(id("r1")) };
    let good = whole.tokens.create(&app(), &id("cam1"), terms).await.unwrap();
    let wish = || Access { main_track: Some("r1".to_owned()), ..with_token(good.as_str(), play("cam2")) };
    let (first, second) = (whole.gate.admit(wish()).await.unwrap(), whole.gate.admit(wish()).await.unwrap());
    assert!(whole.tokens.revoke(&app(), &id("cam1"), &good).await.unwrap());
    assert_eq!(first.died().await, ExitReason::Revoked);
    assert_eq!(second.died().await, ExitReason::Revoked);
    assert_eq!(refused(&whole, wish()).await, Some(Denial::Token(TokenFault::Unknown)));
}

/// Anybody can name a room: what was made for it opens the streams that are in it, and no others.
#[tokio::test]
async fn a_rooms_credential_opens_no_stream_that_only_the_peer_says_is_in_it() {
    let whole = whole().await;
    for key in ["publishTokenControlEnabled", "playTokenControlEnabled"] {
        set(&whole.settings, key, json!(true)).await;
    }
    let in_room =
        |token: &str, wish| Access { main_track: Some("room".to_owned()), ..with_token(token, wish) };
    register(&whole.broadcasts, "member", json!({"mainTrackStreamId": "room"})).await;
    register(&whole.broadcasts, "foreign", json!({"mainTrackStreamId": "elsewhere"})).await;
    register(&whole.broadcasts, "alone", json!({})).await;
    let unknown = Some(Denial::Token(TokenFault::Unknown));
    for direction in [Direction::Publish, Direction::Play] {
        let room = Some(id("room"));
        let terms = TokenTerms { direction: direction.into(), expire_s: now_s() + 3_600, room };
        let of_room = whole.tokens.create(&app(), &id("room"), terms).await.unwrap();
        let once = token(&whole, "room", direction, now_s() + 3_600).await;
        for foreign in ["foreign", "alone"] {
            for token in [&of_room, &once] {
                let denied = refused(&whole, in_room(token.as_str(), access(direction, foreign))).await;
                assert_eq!(denied, unknown, "{direction} {foreign}");
            }
        }
        drop(whole.gate.admit(in_room(of_room.as_str(), access(direction, "member"))).await.unwrap());
        // One that nobody registered begins in the room that it names; whoever plays it knows no more than it was told.
        let new = refused(&whole, in_room(of_room.as_str(), access(direction, "new"))).await;
        assert_eq!(new, if direction.is_publish() { None } else { unknown }, "{direction}");
        // A one-time token stays one, whatever room is named with it.
        let presenter = SessionId::random(&SystemRandomness);
        let by_once = || Access { presenter, ..in_room(once.as_str(), access(direction, "member")) };
        let first = whole.gate.admit(by_once()).await.unwrap();
        let again = if direction.is_publish() { Denial::AlreadyLive } else { Denial::TokenInUse };
        assert_eq!(refused(&whole, by_once()).await, Some(again));
        drop(first);
    }

    for key in ["publishTokenControlEnabled", "playTokenControlEnabled"] {
        set(&whole.settings, key, json!(false)).await;
    }
    for key in ["publishJwtControlEnabled", "playJwtControlEnabled"] {
        set(&whole.settings, key, json!(true)).await;
    }
    set(&whole.settings, "jwtStreamSecretKey", json!(KEY)).await;
    for direction in [Direction::Publish, Direction::Play] {
        let of_room = jwt::stream_token(KEY, "room", direction.label(), now_s() + 60).unwrap();
        for foreign in ["foreign", "alone"] {
            let denied = refused(&whole, in_room(&of_room, access(direction, foreign))).await;
            assert_eq!(denied, Some(Denial::Jwt(jwt::JwtFault::WrongStream)), "{direction} {foreign}");
        }
        drop(whole.gate.admit(in_room(&of_room, access(direction, "member"))).await.unwrap());
    }
}
