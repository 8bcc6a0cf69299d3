//! Every mechanism, alone and together: who gets in.

use cluster_model::{
    Authority, Direction as Stored, Hidden, Meta, SubscriberId, SubscriberTerms, TokenId, TokenTerms,
};

use super::*;
use crate::credential::{hash, jwt, totp};
use crate::testing::TestGate;
use crate::{Came, TotpFault};

pub(super) const KEY: &str = "zautXStXM9iW3aD3FuyPH0TdK4GHPmHq";

pub(super) async fn whole() -> TestGate {
    whole_gate(Arc::new(InMemory::new(Arc::new(SystemClock))), &[APP]).await
}

pub(super) fn id(stream: &str) -> StreamId {
    StreamId::new(stream).unwrap()
}

pub(super) fn with_token(token: &str, wish: Access) -> Access {
    Access { token: Some(Secret::new(token.to_owned())), ..wish }
}

pub(super) fn with_code(subscriber: &str, code: &str, wish: Access) -> Access {
    let subscriber_code = Some(Secret::new(code.to_owned()));
    Access { subscriber_id: Some(subscriber.to_owned()), subscriber_code, ..wish }
}

pub(super) fn now_s() -> i64 {
    i64::try_from(SystemClock.wall().as_millis() / 1_000).unwrap()
}

pub(super) async fn token(whole: &TestGate, stream: &str, direction: Direction, expire_s: i64) -> TokenId {
    let terms = TokenTerms { direction: direction.into(), expire_s, room: None };
    whole.tokens.create(&app(), &id(stream), terms).await.unwrap()
}

pub(super) async fn subscriber(
    whole: &TestGate,
    name: &str,
    secret: Option<&str>,
    direction: Option<Stored>,
) {
    let b32_secret = secret.map(|secret| Hidden::new(secret.to_owned()));
    let terms = SubscriberTerms { b32_secret, direction, ..SubscriberTerms::default() };
    whole.subscribers.put(&app(), &id("s"), &SubscriberId::new(name).unwrap(), terms).await.unwrap();
}

pub(super) async fn refused(whole: &TestGate, wish: Access) -> Option<Denial> {
    whole.gate.admit(wish).await.err()
}

/// What is asked for an administrator's eyes counts for nobody.
#[tokio::test]
async fn to_ask_what_would_be_said_counts_no_wrong_code_and_forgives_none() {
    let whole = whole().await;
    set(&whole.settings, "enableTimeTokenForPlay", json!(true)).await;
    subscriber(&whole, "play1", Some("mysecret"), None).await;
    let code = || totp::code(&totp::key_of_base32("mysecret").unwrap(), 60, SystemClock.wall());
    for _ in 0..3 * limits::GUESSES_PER_NETWORK_MAX {
        assert!(!whole.gate.explain(with_code("play1", "x", play("s"))).await.allowed);
    }
    drop(whole.gate.admit(with_code("play1", &code(), play("s"))).await.unwrap());
    for _ in 0..limits::GUESSES_PER_NETWORK_MAX - 1 {
        assert!(refused(&whole, with_code("play1", "x", play("s"))).await.is_some());
    }
    assert!(whole.gate.explain(with_code("play1", &code(), play("s"))).await.allowed);
    assert!(refused(&whole, with_code("play1", "x", play("s"))).await.is_some());
    let denied = refused(&whole, with_code("play1", &code(), play("s"))).await;
    assert_eq!(denied, Some(Denial::Totp(TotpFault::Locked)));
}

#[tokio::test]
async fn a_hash_lets_in_for_ever() {
    let whole = whole().await;
    set(&whole.settings, "hashControlPublishEnabled", json!(true)).await;
    set(&whole.settings, "hashControlPlayEnabled", json!(true)).await;
    // Nobody gets in by a secret that is none.
    for direction in [Direction::Publish, Direction::Play] {
        let blank = hash::stream_hash("s", direction, "");
        assert_eq!(refused(&whole, with_token(&blank, access(direction, "s"))).await, Some(Denial::Hash));
    }
    set(&whole.settings, "tokenHashSecret", json!("this_is_secret")).await;
    for direction in [Direction::Publish, Direction::Play] {
        let wish = || access(direction, "s");
        assert_eq!(refused(&whole, wish()).await, Some(Denial::Hash));
        let good = hash::stream_hash("s", direction, "this_is_secret");
        for _ in 0..3 {
            drop(whole.gate.admit(with_token(&good, wish())).await.unwrap());
        }
        let of_other = if direction == Direction::Publish { Direction::Play } else { Direction::Publish };
        for wrong in [
            hash::stream_hash("s", of_other, "this_is_secret"),
            hash::stream_hash("t", direction, "this_is_secret"),
            hash::stream_hash("s", direction, "other"),
            good.to_uppercase(),
            format!("{good} "),
        ] {
            assert_eq!(refused(&whole, with_token(&wrong, wish())).await, Some(Denial::Hash));
        }
    }
    // The secret before is good as long as it is said to be.
    set(&whole.settings, "tokenHashSecretPrevious", json!("older")).await;
    let older = hash::stream_hash("s", Direction::Play, "older");
    drop(whole.gate.admit(with_token(&older, play("s"))).await.unwrap());
}

#[tokio::test]
async fn a_jwt_lets_in_until_it_expires() {
    let whole = whole().await;
    set(&whole.settings, "publishJwtControlEnabled", json!(true)).await;
    set(&whole.settings, "playJwtControlEnabled", json!(true)).await;
    let good = jwt::stream_token(KEY, "s", "play", now_s() + 60).unwrap();
    let fault = |fault| Some(Denial::Jwt(fault));
    assert_eq!(refused(&whole, with_token(&good, play("s"))).await, fault(jwt::JwtFault::NoSecret));
    set(&whole.settings, "jwtStreamSecretKey", json!(KEY)).await;
    assert_eq!(refused(&whole, play("s")).await, Some(Denial::JwtMissing));
    for _ in 0..3 {
        drop(whole.gate.admit(with_token(&good, play("s"))).await.unwrap());
    }
    let expired = jwt::stream_token(KEY, "s", "play", now_s() - 1).unwrap();
    let other_stream = jwt::stream_token(KEY, "t", "play", now_s() + 60).unwrap();
    let other_key = jwt::stream_token(&KEY.to_lowercase(), "s", "play", now_s() + 60).unwrap();
    for (token, why) in [
        (&expired, jwt::JwtFault::Expired),
        (&other_stream, jwt::JwtFault::WrongStream),
        (&other_key, jwt::JwtFault::Unsigned),
        (&format!("{good}x"), jwt::JwtFault::Unsigned),
    ] {
        assert_eq!(refused(&whole, with_token(token, play("s"))).await, fault(why));
    }
    assert_eq!(refused(&whole, with_token(&good, publish("s"))).await, fault(jwt::JwtFault::WrongType));
    let any = jwt::sign(KEY, &json!({ "sub": "token" })).unwrap();
    drop(whole.gate.admit(with_token(&any, publish("s"))).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_jwt_of_a_published_key_lets_in_and_the_secret_does_no_more() {
    let whole = whole().await;
    set(&whole.settings, "playJwtControlEnabled", json!(true)).await;
    set(&whole.settings, "jwtStreamSecretKey", json!(KEY)).await;
    set(&whole.settings, "jwtStreamJwksURL", json!("https://keys.example/")).await;
    let signed = |kid: &str, claims: Value| {
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
        header.kid = Some(kid.to_owned());
        let key = jsonwebtoken::EncodingKey::from_rsa_pem(include_bytes!("../../testdata/rsa.pem")).unwrap();
        jsonwebtoken::encode(&header, &claims, &key).unwrap()
    };
    let fault = |fault| Some(Denial::Jwt(fault));
    let good = signed("one", json!({ "streamId": "s", "type": "play", "exp": now_s() + 60 }));
    assert_eq!(refused(&whole, with_token(&good, play("s"))).await, fault(jwt::JwtFault::NoKeys));
    assert_eq!(Denial::Jwt(jwt::JwtFault::NoKeys).label(), "JWT keys");
    let modulus = include_str!("../../testdata/rsa.n").trim();
    let keys = json!({ "keys": [{ "kty": "RSA", "kid": "one", "n": modulus, "e": "AQAB" }] });
    *whole.published.0.lock() = Some(keys);
    // It was looked for just now; another address was not.
    assert_eq!(refused(&whole, with_token(&good, play("s"))).await, fault(jwt::JwtFault::NoKeys));
    set(&whole.settings, "jwtStreamJwksURL", json!("https://other.example")).await;
    let permit = whole.gate.admit(with_token(&good, play("s"))).await.unwrap();
    assert_eq!(permit.proof(), Some("jwt"));
    for (token, why) in [
        (signed("two", json!({})), jwt::JwtFault::Unsigned),
        (signed("one", json!({ "exp": now_s() - 1 })), jwt::JwtFault::Expired),
        (signed("one", json!({ "nbf": now_s() + 60 })), jwt::JwtFault::NotYet),
        (signed("one", json!({ "streamId": "t" })), jwt::JwtFault::WrongStream),
        (signed("one", json!({ "type": "publish" })), jwt::JwtFault::WrongType),
        (jwt::stream_token(KEY, "s", "play", now_s() + 60).unwrap(), jwt::JwtFault::Unsigned),
    ] {
        assert_eq!(refused(&whole, with_token(&token, play("s"))).await, fault(why), "{token}");
    }
    // Of the two that is not asked for nothing rests on.
    set(&whole.settings, "jwtStreamSecretKey", json!(KEY.to_lowercase())).await;
    // Nothing happens, and on the paused clock no time passes.
    tokio::time::sleep(2 * limits::PERMITS_REVIEWED_EVERY).await;
    assert_eq!(permit.state(), PermitState::Live);
    set(&whole.settings, "jwtStreamJwksURL", json!("https://third.example")).await;
    assert_eq!(permit.died().await, ExitReason::Revoked);
}

#[tokio::test]
async fn a_subscriber_gets_in_by_its_code_once_at_a_time() {
    let whole = whole().await;
    set(&whole.settings, "enableTimeTokenForPublish", json!(true)).await;
    set(&whole.settings, "enableTimeTokenForPlay", json!(true)).await;
    subscriber(&whole, "pub1", Some("mysecret"), Some(Stored::Publish)).await;
    subscriber(&whole, "play1", Some("mysecret"), Some(Stored::Play)).await;
    let code = || totp::code(&totp::key_of_base32("mysecret").unwrap(), 60, SystemClock.wall());
    let fault = |fault| Some(Denial::Totp(fault));
    for wish in [play("s"), with_code("play1", "", play("s")), with_code("", &code(), play("s"))] {
        assert_eq!(refused(&whole, wish).await, fault(TotpFault::Missing));
    }
    assert_eq!(refused(&whole, with_code("play1", "000000", play("s"))).await, fault(TotpFault::WrongCode));
    assert_eq!(refused(&whole, with_code("play1", &code(), publish("s"))).await, fault(TotpFault::WrongType));
    assert_eq!(refused(&whole, with_code("nobody", &code(), play("s"))).await, fault(TotpFault::NoSecret));
    // Who may publish may also play; one connection each.
    let playing = whole.gate.admit(with_code("pub1", &code(), play("s"))).await.unwrap();
    let denied = refused(&whole, with_code("pub1", &code(), publish("s"))).await;
    assert_eq!(denied, Some(Denial::Connections { limit: 1 }));
    drop(playing);
    // It is given back in the background; who comes again at once waits for it.
    let mut permit = whole.gate.admit(with_code("pub1", &code(), publish("s"))).await.unwrap();
    for _ in 0..20 {
        drop(permit);
        permit = whole.gate.admit(with_code("pub1", &code(), publish("s"))).await.unwrap();
    }
    assert_eq!((permit.proof(), permit.subscriber_id()), (Some("totp"), Some("pub1")));
}

#[tokio::test]
async fn a_publisher_that_comes_back_takes_its_connection_over_with_its_seat() {
    let whole = whole().await;
    set(&whole.settings, "enableTimeTokenForPublish", json!(true)).await;
    for id in ["pub1", "pub2"] {
        subscriber(&whole, id, Some("mysecret"), Some(Stored::Publish)).await;
    }
    let code = || totp::code(&totp::key_of_base32("mysecret").unwrap(), 60, SystemClock.wall());
    let wish = |id: &str| with_code(id, &code(), publish("s"));
    let first = whole.gate.admit(wish("pub1")).await.unwrap();
    assert_eq!(refused(&whole, wish("pub1")).await, Some(Denial::AlreadyLive));
    // It fell silent, and has its connection still.
    first.give_way_when(|| true);
    let second = whole.gate.admit(wish("pub1")).await.unwrap();
    drop(first);
    set(&whole.settings, "enableTimeTokenForPlay", json!(true)).await;
    let player = || with_code("pub1", &code(), play("s"));
    assert_eq!(refused(&whole, player()).await, Some(Denial::Connections { limit: 1 }));
    // It is lost: its seat is kept, and it is no connection any more.
    second.give_way_when(|| true);
    second.connection_is_lost();
    drop(whole.gate.admit(player()).await.unwrap());
    let third = whole.gate.admit(wish("pub2")).await.unwrap();
    third.give_way_when(|| true);
    drop(second);
    let _fourth = whole.gate.admit(wish("pub1")).await.unwrap();
}

#[tokio::test]
async fn subscribers_without_a_secret_have_codes_of_the_application() {
    let whole = whole().await;
    set(&whole.settings, "enableTimeTokenForPlay", json!(true)).await;
    set(&whole.settings, "timeTokenSecretForPlay", json!("secret")).await;
    let code = |subscriber: &str, stream: &str, direction| {
        let key = totp::derived_key("secret", subscriber, stream, direction).unwrap();
        totp::code(&key, 60, SystemClock.wall())
    };
    subscriber(&whole, "known", None, None).await;
    for name in ["known", "nobody"] {
        let good = with_code(name, &code(name, "s", Direction::Play), play("s"));
        drop(whole.gate.admit(good).await.unwrap());
        for wrong in [code(name, "t", Direction::Play), code("other", "s", Direction::Play)] {
            let denied = refused(&whole, with_code(name, &wrong, play("s"))).await;
            assert_eq!(denied, Some(Denial::Totp(TotpFault::WrongCode)));
        }
    }
    set(&whole.settings, "timeTokenSubscriberOnly", json!(true)).await;
    let nobody = || with_code("nobody", &code("nobody", "s", Direction::Play), play("s"));
    assert_eq!(refused(&whole, nobody()).await, Some(Denial::Totp(TotpFault::Unregistered)));
    // A block makes a record, and nobody a subscriber.
    for seconds in [60, 0] {
        let who = SubscriberId::new("nobody").unwrap();
        whole.subscribers.block(&app(), &id("s"), &who, "play", seconds).await.unwrap();
    }
    assert_eq!(refused(&whole, nobody()).await, Some(Denial::Totp(TotpFault::Unregistered)));
    // The old switch is for both directions.
    assert_eq!(refused(&whole, publish("s")).await, Some(Denial::Totp(TotpFault::Missing)));
}

#[tokio::test]
async fn who_guesses_codes_is_locked_and_the_true_subscriber_elsewhere_is_not() {
    let whole = whole().await;
    set(&whole.settings, "enableTimeTokenForPlay", json!(true)).await;
    subscriber(&whole, "play1", Some("mysecret"), None).await;
    let right = || totp::code(&totp::key_of_base32("mysecret").unwrap(), 60, SystemClock.wall());
    let mut looked_at = 0;
    for n in 0..200 {
        match refused(&whole, with_code("play1", &format!("x{n:05}"), play("s"))).await {
            Some(Denial::Totp(TotpFault::WrongCode)) => looked_at += 1,
            denied => assert_eq!(denied, Some(Denial::Totp(TotpFault::Locked))),
        }
    }
    assert_eq!(looked_at, limits::GUESSES_PER_NETWORK_MAX);
    let denied = refused(&whole, with_code("play1", &right(), play("s"))).await;
    assert_eq!(denied, Some(Denial::Totp(TotpFault::Locked)));
    let elsewhere = PeerAddr::new("198.51.100.7:5000".parse().unwrap());
    let _in = whole
        .gate
        .admit(Access { peer: elsewhere, ..with_code("play1", &right(), play("s")) })
        .await
        .unwrap();
}

#[tokio::test]
async fn of_many_codes_at_a_time_no_more_are_looked_at_and_the_other_nodes_hear_of_it() {
    let meta: Arc<dyn Meta> = Arc::new(InMemory::new(Arc::new(SystemClock)));
    let (here, there) = (whole_gate(Arc::clone(&meta), &[APP]).await, whole_gate(meta, &[APP]).await);
    for settings in [&here.settings, &there.settings] {
        set(settings, "enableTimeTokenForPlay", json!(true)).await;
    }
    subscriber(&here, "sub", Some("mysecret"), None).await;
    let key = totp::key_of_base32("mysecret").unwrap();
    let right = || with_code("sub", &totp::code(&key, 60, SystemClock.wall()), play("s"));
    let mut guesses = tokio::task::JoinSet::new();
    for n in 0..200 {
        let (gate, guess) = (Arc::clone(&here.gate), with_code("sub", &format!("no{n}"), play("s")));
        guesses.spawn(async move { gate.admit(guess).await.err() });
    }
    let denied = guesses.join_all().await;
    let looked_at = denied.iter().filter(|denied| **denied == Some(Denial::Totp(TotpFault::WrongCode)));
    assert_eq!(looked_at.count(), limits::GUESSES_PER_NETWORK_MAX as usize);
    let locked_there = async {
        while refused(&there, with_code("sub", "guess", play("s"))).await
            != Some(Denial::Totp(TotpFault::Locked))
        {
            // Each look is a guess more; what others saw is told that often, and by no event of this gate.
            tokio::time::sleep(limits::CODES_TOLD_EVERY).await;
        }
    };
    let patience = (limits::GUESSES_PER_NETWORK_MAX - 2) * limits::CODES_TOLD_EVERY;
    tokio::time::timeout(patience, locked_there).await.expect("locked by what was tried elsewhere");
    assert_eq!(refused(&there, right()).await, Some(Denial::Totp(TotpFault::Locked)));
    let elsewhere = Access { peer: PeerAddr::new("203.0.113.9:1".parse().unwrap()), ..right() };
    drop(there.gate.admit(elsewhere).await.unwrap());
}

#[tokio::test]
async fn only_publishers_from_listed_addresses_get_in() {
    let whole = whole().await;
    for (ranges, allowed) in [
        ("192.0.2.0/24", true),
        ("10.0.0.0/8, 192.0.2.7", true),
        ("10.0.0.0/8", false),
        ("nonsense", false),
        (" ", true),
    ] {
        set(&whole.settings, "allowedPublisherCIDR", json!(ranges)).await;
        let denied = refused(&whole, publish("s")).await;
        assert_eq!(denied, (!allowed).then_some(Denial::Address), "{ranges}");
        assert_eq!(refused(&whole, play("s")).await, None, "{ranges}");
        // An address that is not known is in no range.
        let unknown = PeerAddr::unknown_behind("192.0.2.7:5000".parse().unwrap());
        let unsure = refused(&whole, Access { peer: unknown, ..publish("s") }).await;
        assert_eq!(unsure, (!ranges.trim().is_empty()).then_some(Denial::Address), "{ranges}");
    }
}

#[tokio::test]
async fn a_webhook_allows_and_is_told_who_asks() {
    let whole = whole().await;
    set(&whole.settings, "webhookAuthenticateURL", json!("http://hook/yes")).await;
    set(&whole.settings, "webhookPlayAuthUrl", json!("http://hook/no")).await;
    let pair = |key: &str, value: &str| (key.to_owned(), Secret::new(value.to_owned()));
    let came =
        Came { query: vec![pair("token", "t"), pair("x", "")], origin: Some("https://a.page".to_owned()) };
    let wish = Access {
        meta_data: Some("m".to_owned()),
        came: came.clone(),
        ..with_code("sub1", "123", with_token("t", publish("s")))
    };
    drop(whole.gate.admit(wish).await.unwrap());
    let wish = Access { came, meta_data: Some("seat 7".to_owned()), ..play("s") };
    assert_eq!(refused(&whole, wish).await, Some(Denial::Webhook));
    assert_eq!(refused(&whole, play("s")).await, Some(Denial::Webhook));
    let asked = whole.asked.questions();
    assert_eq!(
        asked[0].1,
        json!({
            "appName": APP, "streamId": "s", "name": "s", "mode": "publish", "token": "t", "subscriberId": "sub1",
            "subscriberCode": "123", "metaData": "m", "ipAddress": "192.0.2.7", "queryParams": "{token=t, x=}"
        })
    );
    assert_eq!(
        asked[1].1,
        json!({ "appName": APP, "streamId": "s", "mode": "play", "ipAddress": "192.0.2.7",
            "metaData": "seat 7", "origin": "https://a.page" })
    );
    assert_eq!(
        asked[2].1,
        json!({ "appName": APP, "streamId": "s", "mode": "play", "ipAddress": "192.0.2.7" })
    );
}

#[tokio::test]
async fn rooms_that_are_not_registered_are_not_joined_when_told_so() {
    let whole = whole().await;
    let in_room = || Access { main_track: Some("room".to_owned()), ..publish("s") };
    drop(whole.gate.admit(in_room()).await.unwrap());
    set(&whole.settings, "acceptOnlyRoomsInDataStore", json!(true)).await;
    assert_eq!(refused(&whole, in_room()).await, Some(Denial::RoomUnregistered));
    drop(whole.gate.admit(publish("s")).await.unwrap());
    register(&whole.broadcasts, "room", json!({"plannedStartDate": 1, "plannedEndDate": 2})).await;
    assert_eq!(refused(&whole, in_room()).await, Some(Denial::RoomOutsideWindow));
}

#[tokio::test]
async fn all_mechanisms_that_are_on_must_pass() {
    let whole = whole().await;
    for key in ["playTokenControlEnabled", "enableTimeTokenForPlay"] {
        set(&whole.settings, key, json!(true)).await;
    }
    subscriber(&whole, "play1", Some("mysecret"), None).await;
    let code = totp::code(&totp::key_of_base32("mysecret").unwrap(), 60, SystemClock.wall());
    let good = token(&whole, "s", Direction::Play, now_s() + 60).await;
    assert_eq!(refused(&whole, with_code("play1", &code, play("s"))).await, Some(Denial::TokenMissing));
    let denied = refused(&whole, with_token(good.as_str(), play("s"))).await;
    assert_eq!(denied, Some(Denial::Totp(TotpFault::Missing)));
    let both = with_token(good.as_str(), with_code("play1", &code, play("s")));
    let permit = whole.gate.admit(both).await.unwrap();
    assert_eq!(permit.proof(), Some("totp, one-time token"));
}

/// Of the table for a plane that is away, what the gate decides.
#[tokio::test]
async fn without_the_plane_what_the_table_says_is_decided() {
    use Authority::{Cold, Isolated, Lost};
    let whole = whole().await;
    let store = Some(Denial::DataStoreNotAvailable);
    let lost = Some(Denial::AuthorityLost);
    for authority in [Isolated, Lost, Cold] {
        whole.placed.knows(authority);
        assert_eq!(refused(&whole, publish("s")).await, store, "{authority:?}");
        let open = (authority == Cold).then_some(Denial::NotInitialised);
        assert_eq!(refused(&whole, play("s")).await, open, "{authority:?}");
    }
    whole.placed.knows(Authority::Fresh);
    set(&whole.settings, "playJwtControlEnabled", json!(true)).await;
    set(&whole.settings, "jwtStreamSecretKey", json!(KEY)).await;
    let good = jwt::stream_token(KEY, "s", "play", now_s() + 60).unwrap();
    for (authority, denied) in [(Isolated, None), (Lost, lost), (Cold, lost)] {
        whole.placed.knows(authority);
        assert_eq!(refused(&whole, with_token(&good, play("s"))).await, denied, "{authority:?}");
    }
    whole.placed.knows(Authority::Fresh);
    set(&whole.settings, "playJwtControlEnabled", json!(false)).await;
    set(&whole.settings, "enableTimeTokenForPlay", json!(true)).await;
    for authority in [Isolated, Lost, Cold] {
        whole.placed.knows(authority);
        assert_eq!(refused(&whole, with_code("play1", "1", play("s"))).await, lost, "{authority:?}");
    }
    whole.placed.knows(Authority::Fresh);
    set(&whole.settings, "enableTimeTokenForPlay", json!(false)).await;
    set(&whole.settings, "playTokenControlEnabled", json!(true)).await;
    for authority in [Lost, Cold] {
        whole.placed.knows(authority);
        assert_eq!(refused(&whole, with_token("t", play("s"))).await, lost, "{authority:?}");
    }
}

#[tokio::test]
async fn what_would_be_said_is_explained_clause_by_clause_and_nothing_is_spent() {
    let whole = whole().await;
    set(&whole.settings, "playTokenControlEnabled", json!(true)).await;
    let good = token(&whole, "s", Direction::Play, now_s() + 60).await;
    let outcomes = |explained: &Explanation| {
        explained.clauses.iter().map(|clause| (clause.name, clause.outcome)).collect::<Vec<_>>()
    };
    let explained = whole.gate.explain(with_token("wrong", play("s"))).await;
    assert_eq!(
        outcomes(&explained),
        [
            ("application, stream and metadata store", "passed"),
            ("block", "off"),
            ("registered room", "off"),
            ("subscriber's code", "off"),
            ("one-time token", "refused"),
            ("hash", "not reached"),
            ("JWT", "not reached"),
            ("authorisation webhook", "not reached"),
        ]
    );
    assert_eq!(explained.clauses[4].reason.as_deref(), Some("one-time token: the stream has no such token"));
    assert!(!explained.allowed);
    for _ in 0..2 {
        assert!(whole.gate.explain(with_token(good.as_str(), play("s"))).await.allowed);
    }
    drop(whole.gate.admit(with_token(good.as_str(), play("s"))).await.unwrap());
    assert!(!whole.gate.explain(play("bad name")).await.allowed);
}
