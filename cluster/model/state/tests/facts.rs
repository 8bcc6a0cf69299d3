use super::*;
use crate::{Connection, Fact, FactKind, Figures, SubscriberShown};

fn fact(by: u128, what: FactKind) -> Fact {
    let (app, stream, subscriber) = (app("a"), id("s"), Some(subscriber("one")));
    Fact { app, stream, subscriber, session: session(by), at: WallTime(5), what }
}

fn connected(by: u128) -> Fact {
    let connection =
        Connection { direction: Direction::Play, protocol: "webrtc".to_owned(), peer: None, proof: None };
    fact(by, FactKind::Connected(connection))
}

fn figures(bytes: u64) -> Figures {
    Figures { duration_ms: 1_000, bytes, video_bytes: bytes, audio_bytes: 0 }
}

fn summary(by: u128, bytes: u64) -> Fact {
    fact(by, FactKind::Summary(figures(bytes)))
}

fn disconnected(by: u128, bytes: u64) -> Fact {
    fact(by, FactKind::Disconnected { reason: "finished".to_owned(), figures: figures(bytes) })
}

fn batch(owner: Owner, sequence: u64, facts: Vec<Fact>) -> Command {
    Command::RecordFacts { owner, sequence, facts }
}

fn events(run: &Run) -> Vec<crate::ConnectionEvent> {
    let events = run.state.events(&app("a"), &id("s"), Some(&subscriber("one")), 0, usize::MAX);
    events.into_iter().map(|(_, event)| event).collect()
}

fn shown(run: &Run) -> SubscriberShown {
    run.state.shown(&app("a"), &id("s"), &subscriber("one"), &Arc::default())
}

#[test]
fn a_batch_counts_once_and_in_its_order() {
    let mut run = Run::default();
    let one = run.joins(0, 1);
    assert_eq!(run.out(1, batch(one, 2, vec![connected(1)])), Outcome::OutOfOrder { last: 0 });
    assert_eq!(run.out(1, batch(one, 1, vec![connected(1), summary(1, 10)])), Outcome::Done);
    let again = run.at(2, batch(one, 1, vec![connected(1), summary(1, 10)]));
    assert_eq!((again.outcome, again.changes.len()), (Outcome::Done, 0));
    assert_eq!(run.out(3, batch(one, 3, vec![])), Outcome::OutOfOrder { last: 1 });
    assert_eq!(run.out(3, batch(one, 2, vec![disconnected(1, 20)])), Outcome::Done);
    let (now, history) = (shown(&run), shown(&run).history.unwrap());
    assert_eq!((now.connections, now.figures.bytes, history.ended, events(&run).len()), (0, 20, 1, 2));
}

#[test]
fn figures_are_absolute_and_never_fall() {
    let mut run = Run::default();
    let one = run.joins(0, 1);
    run.at(1, batch(one, 1, vec![connected(1), summary(1, 50), summary(1, 30), connected(2), summary(2, 5)]));
    assert_eq!((shown(&run).connections, shown(&run).figures.bytes), (2, 55));
    run.at(2, batch(one, 2, vec![disconnected(1, 40), disconnected(1, 40), disconnected(9, 1_000)]));
    let now = shown(&run);
    assert_eq!((now.connections, now.figures.bytes, now.history.unwrap().ended), (1, 55, 1));
    run.at(3, batch(one, 3, vec![summary(1, 70), disconnected(2, 6)]));
    let now = shown(&run);
    assert_eq!((now.connections, now.figures.bytes, now.history.unwrap().ended), (0, 56, 2));
}

#[test]
fn a_subscriber_is_at_the_node_that_serves_its_newest_session() {
    let mut run = Run::default();
    let (one, two) = (run.joins(0, 1), run.joins(0, 2));
    assert_eq!(shown(&run).node, None);
    run.at(1, batch(two, 1, vec![Fact { at: WallTime(6), ..connected(2) }]));
    run.at(1, batch(one, 1, vec![connected(1)]));
    assert_eq!(shown(&run).node, Some(two.node));
    run.at(2, batch(two, 2, vec![disconnected(2, 0)]));
    assert_eq!(shown(&run).node, Some(one.node));
    // A life that is over serves nobody.
    run.joins(3, 1);
    assert_eq!(shown(&run).node, None);
}

#[test]
fn one_batch_writes_each_row_once() {
    let mut run = Run::default();
    let one = run.joins(0, 1);
    let facts = vec![connected(1), summary(1, 5), summary(1, 6), disconnected(1, 7), connected(2)];
    let applied = run.at(1, batch(one, 1, facts));
    let keys: Vec<_> = applied.changes.iter().filter_map(Change::key).collect();
    let distinct: std::collections::BTreeSet<_> = keys.iter().cloned().collect();
    assert_eq!(keys.len(), distinct.len());
    assert_eq!(applied.changes.len() - keys.len(), 5, "every fact goes to the archive");
    let mut reader = State::default();
    reader.absorb(run.state.revision(), run.state.now(), &applied.changes);
    assert_eq!(reader.sessions, run.state.sessions);
    assert_eq!(reader.histories, run.state.histories);
    assert_eq!(reader.events, run.state.events);
}

#[test]
fn facts_of_nobody_are_for_the_archive_alone() {
    let mut run = Run::default();
    let one = run.joins(0, 1);
    let applied = run.at(1, batch(one, 1, vec![Fact { subscriber: None, ..connected(1) }]));
    assert!(matches!(&applied.changes[..], [Change::Life { .. }, Change::Fact { .. }]));
}

#[test]
fn a_session_that_moves_is_counted_in_parts_and_none_of_them_twice() {
    let mut run = Run::default();
    let (one, two) = (run.joins(0, 1), run.joins(0, 2));
    run.at(1, batch(one, 1, vec![connected(1), summary(1, 10)]));
    run.at(2, batch(two, 1, vec![connected(1), summary(1, 3)]));
    run.at(3, batch(two, 2, vec![disconnected(1, 4)]));
    run.at(4, batch(one, 2, vec![disconnected(1, 10)]));
    let now = shown(&run);
    assert_eq!((now.connections, now.figures.bytes, now.history.unwrap().ended), (0, 14, 2));
}

#[test]
fn a_life_that_is_over_may_deliver_for_a_while_and_its_sessions_are_closed_then() {
    let mut run = Run::default();
    let one = run.joins(0, 1);
    run.at(1, batch(one, 1, vec![connected(1), summary(1, 10), connected(2), summary(2, 5)]));
    let again = run.joins(2, 1);
    // Nobody is there any more, but what they came to may still grow.
    assert_eq!((shown(&run).connections, shown(&run).figures.bytes), (0, 15));
    assert_eq!(run.out(3, batch(one, 2, vec![disconnected(1, 12)])), Outcome::Done);
    assert_eq!(run.out(3, batch(again, 1, vec![connected(3)])), Outcome::Done);
    let kept = 2 + expires_after(limits::INCARNATION_KEPT);
    run.at(kept - 1, expire(u64::MAX));
    assert_eq!(run.state.sessions(&app("a"), &id("s"), &subscriber("one")).count(), 2);
    assert_eq!(run.out(kept, expire(u64::MAX)), SWEPT);
    let now = shown(&run);
    let history = now.history.unwrap();
    assert_eq!((now.connections, now.figures.bytes, history.ended), (1, 17, 2));
    assert_eq!(events(&run).last().unwrap().ended.as_deref(), Some("node_lost"));
    // Too late now.
    let late = batch(one, 3, vec![disconnected(2, 99)]);
    assert_eq!(run.out(kept, late), Outcome::Refused(Refusal::NotJoined));
    assert_eq!(shown(&run).figures.bytes, 17);
}

#[test]
fn of_a_subscriber_the_newest_events_are_kept_and_for_a_time() {
    let mut run = Run::default();
    let one = run.joins(0, 1);
    let max = limits::EVENTS_PER_SUBSCRIBER_MAX;
    for n in 0..2 * max {
        run.at(1, batch(one, n + 1, vec![connected(n.into()), disconnected(n.into(), 1)]));
    }
    let history = shown(&run).history.unwrap();
    assert_eq!((history.ended, history.figures.bytes, history.next), (2 * max, 2 * max, 4 * max));
    let newest = events(&run);
    assert_eq!(newest.len() as u64, max);
    assert_eq!(newest.last().unwrap().session, session((2 * max - 1).into()));
    let kept = 1 + expires_after(limits::HISTORY_KEPT);
    run.at(kept - 1, expire(u64::MAX));
    assert!(shown(&run).history.is_some());
    assert_eq!(run.out(kept, expire(u64::MAX)), SWEPT);
    assert_eq!((shown(&run).history, events(&run).len()), (None, 0));
}

#[test]
fn with_all_subscribers_of_a_stream_go_their_events() {
    let mut run = Run::default();
    let one = run.joins(0, 1);
    run.at(1, batch(one, 1, vec![connected(1), disconnected(1, 5), connected(2)]));
    let (app_a, stream) = (app("a"), id("s"));
    let deleted = run.at(2, Command::DeleteSubscribers { app: app_a, stream });
    assert_eq!((deleted.outcome, shown(&run).history, events(&run).len()), (SWEPT, None, 0));
    // Told apart from one that was swept: what others keep for longer goes too.
    let told = |changes: &[Change]| {
        changes.iter().filter(|change| matches!(change, Change::HistoryDeleted { .. })).count()
    };
    assert_eq!(told(&deleted.changes), 1);
    // What runs is counted from here on.
    run.at(3, batch(one, 2, vec![disconnected(2, 7)]));
    let history = shown(&run).history.unwrap();
    assert_eq!((history.ended, history.figures.bytes, events(&run).len()), (1, 7, 1));
    let swept = run.at(3 + expires_after(limits::HISTORY_KEPT), expire(u64::MAX));
    assert_eq!((shown(&run).history, told(&swept.changes)), (None, 0));
}

#[test]
fn a_batch_has_a_size() {
    let mut run = Run::default();
    let one = run.joins(0, 1);
    let many = (0..=limits::FACTS_PER_BATCH_MAX as u128).map(connected).collect();
    assert_eq!(run.out(1, batch(one, 1, many)), Outcome::Refused(Refusal::TooMany));
    let reason = "x".repeat(limits::FACT_BATCH_BYTES_MAX);
    let large = vec![fact(1, FactKind::Disconnected { reason, figures: figures(1) })];
    assert_eq!(run.out(1, batch(one, 1, large)), Outcome::Refused(Refusal::TooLarge));
    // Neither took the number.
    assert_eq!(run.out(1, batch(one, 1, vec![connected(1)])), Outcome::Done);
}

#[test]
fn bitrates_are_bits_of_the_time_watched() {
    let figures = Figures { duration_ms: 2_000, bytes: 0, video_bytes: 250_000, audio_bytes: u64::MAX };
    assert_eq!((figures.video_bitrate(), figures.audio_bitrate()), (1_000_000, u64::MAX));
    assert_eq!(Figures::default().video_bitrate(), 0);
}
