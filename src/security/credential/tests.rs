//! Known answers: those of Ant Media Server's own guide and tests, and what must never pass.

use base::{WallTime, limits};
use serde_json::json;

use super::hash::{is_stream_hash, stream_hash};
use super::jwt::{self, JwtFault};
use super::totp::{code, derived_key, key_of_base32, step_of};
use crate::Direction::{Play, Publish};

const KEY: &str = "zautXStXM9iW3aD3FuyPH0TdK4GHPmHq";
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

const fn at(seconds: u64) -> WallTime {
    WallTime(seconds * 1_000)
}

#[test]
fn hashes_are_ams_s() {
    let publish = "f980129315cb9ed4f02b615dc089eb10f9ada6a13228f28c875fcf4969eb2077";
    let play = "71c9da1d78906394c7f202772a8d3ecfa865063a80e85864e47dcf3095b9214c";
    assert_eq!(stream_hash("stream1", Publish, "this_is_secret"), publish);
    assert_eq!(stream_hash("stream1", Play, "this_is_secret"), play);
    assert!(is_stream_hash(publish, "stream1", Publish, "this_is_secret"));
    for (token, stream, direction, secret) in [
        (publish, "stream1", Play, "this_is_secret"),
        (publish, "stream2", Publish, "this_is_secret"),
        (publish, "stream1", Publish, "this_is_secreT"),
        (&publish.to_uppercase(), "stream1", Publish, "this_is_secret"),
        (&publish[1..], "stream1", Publish, "this_is_secret"),
        ("", "stream1", Publish, "this_is_secret"),
        // Anybody can make the hash of a blank secret.
        (&stream_hash("stream1", Play, ""), "stream1", Play, ""),
        (&stream_hash("stream1", Play, " "), "stream1", Play, " "),
    ] {
        assert!(!is_stream_hash(token, stream, direction, secret), "{token} {stream} {direction} {secret}");
    }
}

#[test]
fn codes_are_ams_s() {
    let times = [0, 60, 1_111_111_109, 1_700_000_000, 2_000_000_000];
    for (secret, codes) in [
        ("mysecret", ["911199", "544402", "808913", "806136", "416447"]),
        ("6qsp6qhndryqs56zjmvs37i6gqtjsdvc", ["484844", "894526", "761267", "216877", "934062"]),
    ] {
        let key = key_of_base32(secret).unwrap();
        assert_eq!(times.map(|time| code(&key, 60, at(time))), codes, "{secret}");
    }
    assert_eq!(code(&key_of_base32("MYSECRET").unwrap(), 30, at(1_700_000_000)), "109463");
    for (secret, direction, right) in
        [("secret", Publish, "645454"), ("secret123", Publish, "145568"), ("secret", Play, "055648")]
    {
        let key = derived_key(secret, "sub1", "stream1", direction).unwrap();
        assert_eq!(code(&key, 60, at(1_700_000_000)), right, "{secret} {direction}");
    }
}

#[test]
fn keys_of_derived_codes_are_padded_as_ams_pads_them() {
    let key = |secret, direction| derived_key(secret, "sub1", "stream1", direction).unwrap();
    assert_eq!(key("secret", Publish).expose(), b"secretsub1stream1publish");
    assert_eq!(key("secret123", Publish).expose(), b"secret123sub1stream1publishXXXXX");
    assert_eq!(key("secret", Play).expose(), b"secretsub1stream1playXXX");
    assert!(derived_key("", "sub1", "stream1", Play).is_none());
    assert!(derived_key("  ", "sub1", "stream1", Play).is_none());
}

#[test]
fn what_is_no_secret_of_whole_groups_is_none() {
    for text in
        ["", "mysecre", "mysecret1", "mysecr0t", "mysecr8t", "mysecr9t", "my-ecret", "mysecre=", "mysecré"]
    {
        assert!(key_of_base32(text).is_none(), "{text}");
    }
    assert_eq!(key_of_base32("mysecret").unwrap().expose(), &[0x66, 0x24, 0x41, 0x44, 0x93]);
}

#[test]
fn a_code_is_good_in_its_step_and_in_the_next_one() {
    let key = key_of_base32("mysecret").unwrap();
    let of = |time| code(&key, 60, at(time));
    let shown = of(1_700_000_000);
    let step = 1_700_000_000 / 60;
    for (time, found) in [
        (1_700_000_000 - 60, None),
        (step * 60 - 1, None),
        (step * 60, Some(step)),
        (step * 60 + 119, Some(step)),
        (step * 60 + 120, None),
    ] {
        assert_eq!(step_of(&key, 60, &shown, at(time)), found, "{time}");
    }
    for wrong in ["", "80613", "8061360", " 806136", "٨٠٦١٣٦", "806137"] {
        assert_eq!(step_of(&key, 60, wrong, at(1_700_000_000)), None, "{wrong}");
    }
    assert_eq!(step_of(&key, 0, &of(0), at(0)).is_some(), code(&key, 0, at(0)) == of(0));
}

#[test]
fn tokens_of_streams_are_ams_s() {
    let play = format!(
        "{HEADER}.eyJzdHJlYW1JZCI6InN0cmVhbTEiLCJ0eXBlIjoicGxheSIsImV4cCI6NDEwMjQ0NDgwMH0.\
         fUpoA0ke9-NhWE2VTty_52ebrSX92ZLmFSVqRVtSSBk"
    );
    let publish = format!(
        "{HEADER}.eyJzdHJlYW1JZCI6InN0cmVhbTEiLCJ0eXBlIjoicHVibGlzaCIsImV4cCI6NDEwMjQ0NDgwMH0.\
         m9goNPBgzOvefO3Eiq0owYN2axSj7iPlVRZ6q2C0Z54"
    );
    for (token, direction) in [(&play, Play), (&publish, Publish)] {
        let claims = jwt::verify(token, KEY).unwrap();
        claims.check_time(at(1_700_000_000)).unwrap();
        claims.check_stream("stream1", None, direction).unwrap();
        assert_eq!(claims.check_stream("stream2", None, direction), Err(JwtFault::WrongStream));
        assert_eq!(claims.check_time(at(4_102_444_799)), Ok(()));
        assert_eq!(claims.check_time(at(4_102_444_800)), Err(JwtFault::Expired));
    }
    assert_eq!(
        jwt::verify(&play, KEY).unwrap().check_stream("stream1", None, Publish),
        Err(JwtFault::WrongType)
    );
    // What REST makes says the same.
    let made = jwt::stream_token(KEY, "stream1", "play", 4_102_444_800).unwrap();
    let claims = jwt::verify(&made, KEY).unwrap();
    assert_eq!((claims.text("streamId"), claims.text("type")), (Some("stream1"), Some("play")));
    assert_eq!(claims.expires_s(), Some(4_102_444_800.0));
    assert!(jwt::stream_token(&KEY[..31], "stream1", "play", 1).is_none());
}

#[test]
fn tokens_of_rest_printed_in_the_guide_are_good() {
    let rest = format!(
        "{HEADER}.eyJzdWIiOiJ0b2tlbiIsImlhdCI6MTUxNjIzOTAyMn0.OESIxgNsnD_JwByKTXcrw9Ov4GaOUZw66QxMfmudhKQ"
    );
    let proxy = format!("{HEADER}.e30.tA6sZwz_MvD9Nocf3Xv_DXhJaeTNgfsHPlg3RHEoZRk");
    for (token, key) in [(rest, KEY), (proxy, "cizvvh7f6ys0w3x0s1gzg6c2qzpk0gb9")] {
        let claims = jwt::verify(&token, key).unwrap();
        assert_eq!(claims.check_time(at(1_700_000_000)), Ok(()));
        // The payload is not critical: what is not said restricts nothing.
        assert_eq!(claims.check_stream("any", None, Play), Ok(()));
    }
}

#[test]
fn tokens_of_rooms_are_for_all_that_is_in_them() {
    let token = jwt::stream_token(KEY, "room1", "publish", 4_102_444_800).unwrap();
    let claims = jwt::verify(&token, KEY).unwrap();
    assert_eq!(claims.check_stream("camera7", Some("room1"), Publish), Ok(()));
    assert_eq!(claims.check_stream("camera7", Some("room1"), Play), Ok(()));
    assert_eq!(claims.check_stream("camera7", Some("room2"), Play), Err(JwtFault::WrongStream));
    assert_eq!(claims.check_stream("camera7", None, Publish), Err(JwtFault::WrongStream));
    assert_eq!(claims.check_stream("room1", None, Play), Err(JwtFault::WrongType));
}

#[test]
fn what_is_signed_otherwise_is_not_signed() {
    let good = jwt::stream_token(KEY, "stream1", "play", 4_102_444_800).unwrap();
    let parts: Vec<_> = good.split('.').collect();
    let (body, signature) = (parts[1], parts[2]);
    // {"alg":"none"}, {"alg":"RS256"}, {"alg":"HS512"}
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    let rs256 = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9";
    let hs512 = jsonwebtoken::encode(
        &jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS512),
        &json!({ "streamId": "stream1", "type": "play" }),
        &jsonwebtoken::EncodingKey::from_secret(KEY.as_bytes()),
    );
    for token in [
        format!("{none}.{body}."),
        format!("{none}.{body}.{signature}"),
        format!("{rs256}.{body}.{signature}"),
        hs512.unwrap(),
        format!("{}.{body}.{signature}x", parts[0]),
        format!("{}.{}x.{signature}", parts[0], body),
        format!("{}.{body}", parts[0]),
        format!("{good}."),
        format!(" {good}"),
        String::new(),
        "..".to_owned(),
        "\0".to_owned(),
        "x".repeat(10 * 1024),
        jwt::sign(KEY, &json!({ "fill": "x".repeat(limits::JWT_BYTES_MAX) })).unwrap(),
    ] {
        assert_eq!(jwt::verify(&token, KEY).unwrap_err(), JwtFault::Unsigned, "{token:.100}");
    }
    assert_eq!(jwt::verify(&good, &KEY.to_lowercase()).unwrap_err(), JwtFault::Unsigned);
    for blank in ["", "  "] {
        assert_eq!(jwt::verify(&good, blank).unwrap_err(), JwtFault::NoSecret);
    }
}

#[test]
fn dates_that_are_none_and_claims_that_are_no_texts_are_refused() {
    let says = |claims| jwt::verify(&jwt::sign(KEY, &claims).unwrap(), KEY).unwrap();
    let now = at(1_700_000_000);
    assert_eq!(says(json!({ "exp": "4102444800" })).check_time(now), Err(JwtFault::Malformed));
    assert_eq!(says(json!({ "nbf": [] })).check_time(now), Err(JwtFault::Malformed));
    assert_eq!(says(json!({ "nbf": 1_700_000_001 })).check_time(now), Err(JwtFault::NotYet));
    assert_eq!(says(json!({ "nbf": 1_700_000_000 })).check_time(now), Ok(()));
    assert_eq!(says(json!({ "exp": -5 })).check_time(now), Err(JwtFault::Expired));
    assert_eq!(says(json!({ "exp": 1e300 })).check_time(now), Ok(()));
    assert_eq!(says(json!({ "streamId": 7 })).check_stream("7", None, Play), Err(JwtFault::WrongStream));
    assert_eq!(
        says(json!({ "streamId": "s", "type": 7 })).check_stream("s", None, Play),
        Err(JwtFault::WrongType)
    );
}
