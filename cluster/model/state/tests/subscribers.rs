use super::*;
use crate::Hidden;

fn put(name: &str, secret: Option<&str>) -> Command {
    let b32_secret = secret.map(|secret| Hidden::new(secret.to_owned()));
    let terms = SubscriberTerms { b32_secret, ..SubscriberTerms::default() };
    Command::PutSubscriber { app: app("a"), stream: id("s"), subscriber: subscriber(name), terms }
}

fn block(name: &str, kind: &str, seconds: u64) -> Command {
    let (app, stream, kind) = (app("a"), id("s"), kind.to_owned());
    Command::BlockSubscriber { app, stream, subscriber: subscriber(name), kind, seconds }
}

fn stored<'a>(run: &'a Run, name: &str) -> Option<&'a Arc<Subscriber>> {
    run.state.subscriber(&app("a"), &id("s"), &subscriber(name))
}

#[test]
fn a_subscriber_is_put_again_without_losing_its_block_and_its_age() {
    let mut run = Run::default();
    assert_eq!(run.out(5, put("one", Some("mysecret"))), Outcome::Done);
    assert_eq!(run.out(6, block("one", "play", 10)), Outcome::Done);
    assert_eq!(run.out(7, put("one", None)), Outcome::Done);
    let now = stored(&run, "one").unwrap();
    assert_eq!((now.registered_ms, &now.terms.b32_secret), (5, &None));
    assert!(now.is_blocked_at(Direction::Play, WallTime(7)));
}

#[test]
fn who_was_only_blocked_is_not_registered() {
    let mut run = Run::default();
    // AMS stores whoever is blocked or unblocked.
    for (ms, seconds) in [(5, 0), (6, 10), (7, 0)] {
        assert_eq!(run.out(ms, block("one", "play", seconds)), Outcome::Done);
        assert!(!stored(&run, "one").unwrap().is_registered());
    }
    run.at(8, put("one", None));
    run.at(9, block("one", "play", 10));
    assert_eq!(stored(&run, "one").unwrap().registered_ms, 8);
}

#[test]
fn a_block_is_for_its_direction_and_its_time() {
    let mut run = Run::default();
    // Also of somebody who is not registered.
    assert_eq!(run.out(1_000, block("one", "publish", 10)), Outcome::Done);
    let blocked =
        |run: &Run, direction, ms| stored(run, "one").unwrap().is_blocked_at(direction, WallTime(ms));
    assert!(blocked(&run, Direction::Publish, 11_000));
    assert!(!blocked(&run, Direction::Publish, 11_001));
    assert!(!blocked(&run, Direction::Play, 2_000));
    run.at(2_000, block("one", "publish_play", u64::MAX));
    assert!(blocked(&run, Direction::Play, u64::MAX) && blocked(&run, Direction::Publish, 2_000));
    // AMS stores any text.
    run.at(3_000, block("one", "nonsense", 10));
    assert!(!blocked(&run, Direction::Play, 3_001));
    run.at(4_000, block("one", "publish_play", 10));
    run.at(5_000, block("one", "publish_play", 0));
    assert!(!blocked(&run, Direction::Play, 5_001));
}

#[test]
fn one_is_deleted_or_all_of_a_stream_in_bounded_steps() {
    let mut run = Run::default();
    let delete = |name: &str| Command::DeleteSubscriber {
        app: app("a"),
        stream: id("s"),
        subscriber: subscriber(name),
    };
    run.at(1, put("one", None));
    assert_eq!(run.out(2, delete("one")), Outcome::Done);
    assert_eq!(run.out(2, delete("one")), Outcome::Absent);
    for n in 0..limits::META_SWEEP_ROWS_MAX + 5 {
        run.at(3, put(&format!("n{n}"), None));
    }
    let (app, other) = (app("a"), id("s2"));
    let (subscriber, terms) = (subscriber("kept"), SubscriberTerms::default());
    run.at(3, Command::PutSubscriber { app: app.clone(), stream: other.clone(), subscriber, terms });
    let all = || Command::DeleteSubscribers { app: app.clone(), stream: id("s") };
    assert_eq!(run.out(4, all()), Outcome::Swept { more: true });
    assert_eq!(run.out(4, all()), SWEPT);
    assert_eq!(run.state.subscribers(&app, &id("s")).count(), 0);
    assert_eq!(run.state.subscribers(&app, &other).count(), 1);
}

#[test]
fn an_oversized_subscriber_is_refused() {
    let mut run = Run::default();
    let long = "x".repeat(limits::SUBSCRIBER_BYTES_MAX);
    assert_eq!(run.out(1, put("one", Some(&long))), Outcome::Refused(Refusal::TooLarge));
    assert_eq!(run.out(1, block("one", &long, 10)), Outcome::Refused(Refusal::TooLarge));
    assert_eq!(stored(&run, "one"), None);
}

#[test]
fn a_secret_is_never_shown() {
    let mut run = Run::default();
    let command = put("one", Some("mysecret"));
    let shown = format!("{command:?}");
    let applied = run.at(1, command);
    assert!(!shown.contains("mysecret") && !format!("{applied:?} {:?}", run.state).contains("mysecret"));
}

#[test]
fn what_nodes_saw_of_codes_is_told_and_not_kept() {
    let mut run = Run::default();
    let seen = crate::CodesSeen {
        app: app("a"),
        stream: id("s"),
        subscriber: subscriber("one"),
        network: std::net::IpAddr::from([192, 0, 2, 0]),
        wrong: 2,
        right: false,
    };
    let before = run.state.rows().count();
    let told = run.at(5, Command::TellCodes { node: NodeId(3), seen: vec![seen.clone()] });
    assert_eq!(told.changes, [Change::CodesSeen { node: NodeId(3), seen: Arc::new(seen.clone()) }]);
    assert!(Filter::Subscribers(app("a")).matches(&told.changes[0]));
    assert!(!Filter::Subscribers(app("b")).matches(&told.changes[0]));
    assert_eq!((told.outcome, run.state.rows().count()), (Outcome::Done, before));
    let many = Command::TellCodes { node: NodeId(3), seen: vec![seen; limits::CODES_TOLD_MAX + 1] };
    assert_eq!(run.out(6, many), Outcome::Refused(Refusal::TooMany));
}
