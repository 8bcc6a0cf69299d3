use super::*;

fn acquire(by: u128, owner: Owner) -> Command {
    let (app, stream, subscriber) = (app("a"), id("s"), subscriber("one"));
    Command::AcquireSlot { app, stream, subscriber, session: session(by), owner }
}

fn release(by: u128, owner: Owner) -> Command {
    let (app, stream, subscriber) = (app("a"), id("s"), subscriber("one"));
    Command::ReleaseSlot { app, stream, subscriber, session: session(by), owner }
}

fn allow(limit: u32) -> Command {
    let terms = SubscriberTerms { concurrent_connections_limit: limit, ..SubscriberTerms::default() };
    Command::PutSubscriber { app: app("a"), stream: id("s"), subscriber: subscriber("one"), terms }
}

fn held(state: &State) -> Vec<u128> {
    let (app, stream, subscriber) = (app("a"), id("s"), subscriber("one"));
    state.slots(&app, &stream, &subscriber).map(|(session, _)| session.as_u128()).collect()
}

#[test]
fn a_subscriber_has_as_many_connections_as_its_limit_says() {
    let mut run = Run::default();
    let one = run.joins(0, 1);
    run.at(0, allow(2));
    assert_eq!(run.out(1, acquire(1, one)), Outcome::Done);
    assert_eq!(run.out(1, acquire(2, one)), Outcome::Done);
    assert_eq!(run.out(1, acquire(3, one)), Outcome::SlotsTaken { limit: 2 });
    // Who has one has it.
    assert_eq!(run.at(1, acquire(1, one)).changes, []);
    assert_eq!(run.out(2, release(1, one)), Outcome::Done);
    assert_eq!(run.out(2, release(1, one)), Outcome::Absent);
    assert_eq!(run.out(3, acquire(3, one)), Outcome::Done);
    // A lower limit takes nothing away.
    run.at(4, allow(1));
    assert_eq!(run.out(4, acquire(3, one)), Outcome::Done);
    assert_eq!(run.out(4, acquire(4, one)), Outcome::SlotsTaken { limit: 1 });
    assert_eq!(held(&run.state), [2, 3]);
}

#[test]
fn who_is_not_registered_has_one_connection() {
    let mut run = Run::default();
    let one = run.joins(0, 1);
    assert_eq!(run.out(1, acquire(1, one)), Outcome::Done);
    assert_eq!(run.out(1, acquire(2, one)), Outcome::SlotsTaken { limit: 1 });
}

#[test]
fn a_session_moves_to_another_node_with_its_slot() {
    let mut run = Run::default();
    let (one, two) = (run.joins(0, 1), run.joins(0, 2));
    assert_eq!(run.out(1, acquire(1, one)), Outcome::Done);
    assert_eq!(run.out(2, acquire(1, two)), Outcome::Done);
    // The former node is late with its release.
    assert_eq!(run.out(3, release(1, one)), Outcome::Absent);
    assert_eq!(held(&run.state), [1]);
    assert_eq!(run.out(4, release(1, two)), Outcome::Done);
}

#[test]
fn the_slots_of_a_life_that_is_over_are_free_at_once_and_swept_later() {
    let mut run = Run::default();
    let (one, two) = (run.joins(0, 1), run.joins(0, 2));
    run.at(1, acquire(1, one));
    assert_eq!(run.out(1, acquire(2, two)), Outcome::SlotsTaken { limit: 1 });
    let (node, incarnation) = (one.node, one.incarnation);
    assert_eq!(run.out(2, Command::NodeExpired { node, incarnation }), Outcome::Done);
    assert_eq!(run.out(3, acquire(1, one)), Outcome::Refused(Refusal::NotJoined));
    assert_eq!(run.out(3, acquire(2, two)), Outcome::Done);
    assert_eq!(held(&run.state), [2]);
    let again = run.joins(4, 2);
    assert_eq!(run.out(5, expire(5)), SWEPT);
    assert_eq!(held(&run.state), [0; 0]);
    assert_eq!(run.out(6, acquire(3, again)), Outcome::Done);
}

#[test]
fn a_deleted_subscriber_does_not_free_what_its_sessions_hold() {
    let mut run = Run::default();
    let one = run.joins(0, 1);
    run.at(1, allow(1));
    run.at(1, acquire(1, one));
    run.at(2, Command::DeleteSubscriber { app: app("a"), stream: id("s"), subscriber: subscriber("one") });
    run.at(3, allow(1));
    assert_eq!(run.out(3, acquire(2, one)), Outcome::SlotsTaken { limit: 1 });
}

#[test]
fn no_limit_is_above_that_of_the_house() {
    let mut run = Run::default();
    let one = run.joins(0, 1);
    run.at(0, allow(u32::MAX));
    let max = u32::try_from(limits::SLOTS_PER_SUBSCRIBER_MAX).unwrap();
    for n in 0..max {
        assert_eq!(run.out(1, acquire(n.into(), one)), Outcome::Done);
    }
    assert_eq!(run.out(1, acquire(u128::MAX, one)), Outcome::SlotsTaken { limit: max });
}
