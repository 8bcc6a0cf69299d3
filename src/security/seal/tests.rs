use std::time::Duration;

use base::SeededRandomness;

use super::*;

/// A Tuesday at 23:30.
const EVENING: WallTime = WallTime((20_000 * DAY_S + 23 * 3_600 + 1_800) * 1_000);
const SECRET: &str = "a-secret-of-the-application";

fn app(name: &str) -> AppName {
    AppName::new(name).unwrap()
}

fn stream(id: &str) -> StreamId {
    StreamId::new(id).unwrap()
}

fn seals() -> Seals {
    Seals::new(&app("LiveApp"), SECRET).unwrap()
}

fn permit() -> SealedPermit {
    SealedPermit {
        session: SessionId::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
        subscriber: Some(SealedSubscriber::of("sub1")),
        mechanisms: 0x0205,
        fingerprint: [7; 16],
        settings_version: 42,
        expires: EVENING.plus(Duration::from_secs(3_600)),
    }
}

fn seal(permit: &SealedPermit) -> String {
    let sealed = seals().seal(&stream("stream1"), permit, EVENING, &SeededRandomness::new(3));
    sealed.unwrap().expose().clone()
}

fn open(sealed: &str, now: WallTime) -> Result<SealedPermit, SealError> {
    seals().open(&stream("stream1"), sealed, now)
}

fn after(seconds: u64) -> WallTime {
    EVENING.plus(Duration::from_secs(seconds))
}

#[test]
fn what_was_sealed_is_opened_by_whoever_has_the_secret() {
    let sealed = seal(&permit());
    assert_eq!(open(&sealed, after(10)), Ok(permit()));
    let nobody = SealedPermit { subscriber: None, ..permit() };
    assert_eq!(open(&seal(&nobody), EVENING), Ok(nobody));
    let randomness = SeededRandomness::new(9);
    let again = seals().seal(&stream("stream1"), &permit(), EVENING, &randomness).unwrap();
    assert_ne!(*again.expose(), sealed, "nobody can tell that two are the same");
    assert!(!format!("{:?} {:?} {again:?}", seals(), permit()).contains("sub1"));
    assert!(!format!("{:?}", seals()).contains(SECRET));
}

#[test]
fn it_is_short_whatever_the_subscriber_is_called_and_fits_into_a_path() {
    for length in [0, 1, SUBSCRIBER_BYTES_MAX, SUBSCRIBER_BYTES_MAX + 1, 256] {
        let id = "s".repeat(length);
        let long = SealedPermit { subscriber: Some(SealedSubscriber::of(&id)), ..permit() };
        let sealed = seal(&long);
        assert!(sealed.len() <= limits::SEALED_PERMIT_CHARS_MAX, "{length}: {}", sealed.len());
        assert!(sealed.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        let opened = open(&sealed, EVENING).unwrap();
        assert!(opened.subscriber.as_ref().unwrap().is(&id) && !opened.subscriber.unwrap().is("other"));
    }
}

#[test]
fn no_changed_character_is_taken() {
    let sealed = seal(&permit());
    for at in 0..sealed.len() {
        for other in ["A", "B", "_"] {
            let mut changed = sealed.clone();
            changed.replace_range(at..=at, other);
            assert!(changed == sealed || open(&changed, EVENING).is_err(), "{at} {other}");
        }
        assert!(open(&sealed[..at], EVENING).is_err());
    }
    for other in
        [format!("{sealed}A"), format!("{sealed}=="), "A".repeat(10_000), String::new(), "\0".to_owned()]
    {
        assert!(open(&other, EVENING).is_err(), "{other}");
    }
}

#[test]
fn it_opens_for_its_own_stream_and_application_alone() {
    let sealed = seal(&permit());
    for other in ["stream2", "stream", "stream11", "Stream1"] {
        assert_eq!(seals().open(&stream(other), &sealed, EVENING), Err(SealError::Broken));
    }
    let of = |name: &str, secret: &str| Seals::new(&app(name), secret).unwrap();
    for other in [of("WebRTCAppEE", SECRET), of("LiveApp", "another-secret")] {
        assert_eq!(other.open(&stream("stream1"), &sealed, EVENING), Err(SealError::Broken));
    }
    assert!(Seals::new(&app("LiveApp"), "").is_none() && Seals::new(&app("LiveApp"), " \t").is_none());
}

#[test]
fn it_ends_when_it_says_and_never_later_than_a_day_from_now() {
    let sealed = seal(&permit());
    assert!(open(&sealed, after(3_599)).is_ok());
    assert_eq!(open(&sealed, after(3_600)), Err(SealError::NotNow));
    let over = SealedPermit { expires: EVENING, ..permit() };
    let none = seals().seal(&stream("stream1"), &over, EVENING, &SeededRandomness::new(1));
    assert_eq!(none.unwrap_err(), SealError::NotNow);
    let long = seal(&SealedPermit { expires: after(10 * DAY_S), ..permit() });
    let opened = open(&long, after(DAY_S - 1)).unwrap();
    assert_eq!(opened.expires, after(DAY_S));
    assert_eq!(open(&long, after(DAY_S)), Err(SealError::NotNow));
}

#[test]
fn two_keys_are_live_and_the_day_begins_where_another_nodes_clock_is_ahead() {
    let long = seal(&SealedPermit { expires: after(10 * DAY_S), ..permit() });
    // The next day, until the permit ends; two days later its key is gone, and 256 days later it does not come back.
    assert!(open(&long, after(3_600)).is_ok());
    assert_eq!(open(&long, after(2 * DAY_S)), Err(SealError::NotNow));
    assert!(open(&long, after(256 * DAY_S)).is_err());
    // Sealed by a node for which midnight has passed already.
    let randomness = SeededRandomness::new(4);
    let tomorrow = seals().seal(
        &stream("stream1"),
        &SealedPermit { expires: after(7_200), ..permit() },
        after(1_801),
        &randomness,
    );
    let tomorrow = tomorrow.unwrap();
    assert!(open(tomorrow.expose(), after(1_790)).is_ok());
    assert_eq!(open(tomorrow.expose(), after(1_000)), Err(SealError::NotNow));
}

#[test]
fn a_segments_signature_is_the_same_for_all_and_holds_for_one_file_and_not_for_long() {
    let seals = seals();
    let (id, file) = (stream("stream1"), "stream1000000001.ts");
    let signed = seals.sign(&id, file, after(30));
    assert_eq!(signed, super::Seals::new(&app("LiveApp"), SECRET).unwrap().sign(&id, file, after(30)));
    assert!(signed.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    assert_eq!(signed.len(), 28);
    assert_eq!(seals.verify(&id, file, &signed, EVENING), Ok(()));
    assert_eq!(seals.verify(&id, file, &signed, after(29)), Ok(()));
    assert_eq!(seals.verify(&id, file, &signed, after(30)), Err(SealError::NotNow));
    assert_eq!(seals.verify(&id, "stream1000000002.ts", &signed, EVENING), Err(SealError::Broken));
    assert_eq!(seals.verify(&stream("stream2"), file, &signed, EVENING), Err(SealError::Broken));
    let other = Seals::new(&app("WebRTCAppEE"), SECRET).unwrap();
    assert_eq!(other.verify(&id, file, &signed, EVENING), Err(SealError::Broken));
    for at in 0..signed.len() {
        let mut changed = signed.clone();
        changed.replace_range(at..=at, if &signed[at..=at] == "A" { "B" } else { "A" });
        assert!(seals.verify(&id, file, &changed, EVENING).is_err(), "{at}");
        assert_eq!(seals.verify(&id, file, &signed[..at], EVENING), Err(SealError::Malformed));
    }
    // Over midnight, and one that would hold for long.
    let over_midnight = seals.sign(&id, file, after(1_860));
    assert_eq!(seals.verify(&id, file, &over_midnight, after(1_790)), Ok(()));
    assert_eq!(seals.verify(&id, file, &over_midnight, after(1_850)), Ok(()));
    let long = seals.sign(&id, file, after(30 * DAY_S));
    assert_eq!(seals.verify(&id, file, &long, EVENING), Err(SealError::NotNow));
}

#[test]
fn a_permit_is_no_signature_and_a_signature_no_permit() {
    let signed = seals().sign(&stream("stream1"), "f", after(30));
    assert!(open(&signed, EVENING).is_err());
    assert!(seals().verify(&stream("stream1"), "f", &seal(&permit()), EVENING).is_err());
}
