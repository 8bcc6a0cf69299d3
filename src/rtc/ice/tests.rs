use base::SeededRandomness;
use rtc_stun::attributes::{ATTR_PRIORITY, RawAttribute};
use rtc_stun::message::{Getter, Setter, TransactionId};
use rtc_stun::textattrs::TextAttribute;

use super::*;

fn ours() -> IceCredentials {
    IceCredentials::random("", &SeededRandomness::new(1))
}

fn from() -> SocketAddr {
    "192.0.2.7:4000".parse().unwrap()
}

fn name(text: String) -> Box<dyn Setter> {
    Box::new(TextAttribute { attr: ATTR_USERNAME, text })
}

fn use_candidate() -> Box<dyn Setter> {
    Box::new(RawAttribute { typ: ATTR_USE_CANDIDATE, length: 0, value: vec![] })
}

fn request(covered: Vec<Box<dyn Setter>>, password: &str, uncovered: Vec<Box<dyn Setter>>) -> Vec<u8> {
    let provider = rtc_crypto::default_provider().unwrap();
    let mut setters: Vec<Box<dyn Setter + '_>> =
        vec![Box::new(BINDING_REQUEST), Box::new(TransactionId([9; 12]))];
    setters.push(Box::new(RawAttribute { typ: ATTR_PRIORITY, length: 4, value: vec![0; 4] }));
    setters.extend(covered.into_iter().map(|setter| setter as Box<dyn Setter + '_>));
    setters.push(Box::new(MessageIntegrity::new_short_term_integrity_with_provider(
        password.to_owned(),
        provider.crypto(),
    )));
    setters.extend(uncovered.into_iter().map(|setter| setter as Box<dyn Setter + '_>));
    setters.push(Box::new(FINGERPRINT));
    let mut message = Message::new();
    message.build(&setters).unwrap();
    message.raw
}

fn check(datagram: &[u8], remote: Option<&str>) -> Result<Check, CheckError> {
    let provider = rtc_crypto::default_provider().unwrap();
    answer_check(datagram, from(), &ours(), remote, provider.crypto())
}

#[test]
fn a_check_is_answered_with_the_address_it_came_from() {
    let us = ours();
    let good = request(vec![name(format!("{}:them", us.ufrag))], us.password.expose(), vec![]);
    let answered = check(&good, Some("them")).unwrap();
    assert!(!answered.nominated);
    let mut reply = Message::new();
    reply.unmarshal_binary(&answered.reply).unwrap();
    assert_eq!((reply.typ, reply.transaction_id), (BINDING_SUCCESS, TransactionId([9; 12])));
    let mut mapped = XorMappedAddress::default();
    mapped.get_from(&reply).unwrap();
    assert_eq!(SocketAddr::new(mapped.ip, mapped.port), from());
    let provider = rtc_crypto::default_provider().unwrap();
    MessageIntegrity::check(&mut reply, us.password.expose().as_bytes(), provider.crypto()).unwrap();
    FINGERPRINT.check(&reply).unwrap();
}

#[test]
fn only_a_covered_use_candidate_nominates() {
    let us = ours();
    let named = || name(format!("{}:them", us.ufrag));
    let covered = request(vec![named(), use_candidate()], us.password.expose(), vec![]);
    assert!(check(&covered, None).unwrap().nominated);
    let uncovered = request(vec![named()], us.password.expose(), vec![use_candidate()]);
    assert!(!check(&uncovered, None).unwrap().nominated);
}

#[test]
fn foreign_and_forged_checks_are_dropped() {
    let us = ours();
    let named = || name(format!("{}:them", us.ufrag));
    let wrong_password = request(vec![named()], "not it", vec![]);
    assert_eq!(check(&wrong_password, None), Err(CheckError::WrongIntegrity));
    let wrong_peer = request(vec![named()], us.password.expose(), vec![]);
    assert_eq!(check(&wrong_peer, Some("another")), Err(CheckError::WrongName));
    let wrong_session = request(vec![name("someone:them".into())], us.password.expose(), vec![]);
    assert_eq!(check(&wrong_session, None), Err(CheckError::WrongName));
    let nameless = request(vec![], us.password.expose(), vec![named()]);
    assert_eq!(check(&nameless, None), Err(CheckError::WrongName));
}

#[test]
fn a_flipped_bit_anywhere_is_noticed() {
    let us = ours();
    let good = request(vec![name(format!("{}:them", us.ufrag))], us.password.expose(), vec![]);
    for i in 0..good.len() {
        let mut bad = good.clone();
        bad[i] ^= 1;
        assert!(check(&bad, Some("them")).is_err(), "byte {i}");
    }
    for end in 0..good.len() {
        assert!(check(&good[..end], Some("them")).is_err(), "cut at {end}");
    }
}

#[test]
fn an_integrity_of_the_wrong_size_is_refused() {
    let us = ours();
    for size in [0, 4, 19, 21, 64] {
        let mut message = Message::new();
        message
            .build(&[
                Box::new(BINDING_REQUEST),
                name(format!("{}:them", us.ufrag)),
                Box::new(RawAttribute { typ: ATTR_MESSAGE_INTEGRITY, length: 0, value: vec![1; size] }),
                Box::new(FINGERPRINT),
            ])
            .unwrap();
        assert_eq!(check(&message.raw, None), Err(CheckError::WrongIntegrity), "{size}");
    }
}
