//! What REST reads of the past.

use std::sync::Arc;
use std::time::Duration;

use base::{Clock, SystemClock, WallTime};
use cluster_model::{Command, Meta, Owner};
use penstock_cluster_scylla::{EventsWanted, History, ScyllaOptions, Table};
use tokio::net::{TcpListener, TcpStream};

use crate::plane::{CLUSTER, Plane, Projecting, project, projected};
use crate::server::{beside, keyspace_of, server};
use crate::testing::CqlServer;
use crate::work::{app, connected, disconnected, fact, join, join_at, stream, subscriber};

/// Of the connections that a session needs there are two, one after the other: longer than a question waits.
const CONNECTING: Duration = Duration::from_secs(2);
const DAY_MS: u64 = 24 * 3_600 * 1_000;

fn wanted(of: Option<u64>, offset: usize, size: usize) -> EventsWanted {
    EventsWanted { app: app(), stream: stream(1), subscriber: of.map(subscriber), offset, size }
}

/// Session `number` of subscriber `by`, `days` days ago.
fn session(
    plane: &Plane,
    owner: Owner,
    sequence: &mut u64,
    by: Option<u64>,
    number: u128,
    days: u64,
) -> WallTime {
    *sequence += 1;
    // Each has its own time, so that their order is known.
    let began = WallTime(SystemClock.wall().as_millis() - days * DAY_MS + *sequence * 20);
    let facts = vec![
        fact(1, by, number, began, connected()),
        fact(1, by, number, WallTime(began.as_millis() + 1), disconnected(400)),
    ];
    plane.run(Command::RecordFacts { owner, sequence: *sequence, facts });
    began
}

fn history(options: &ScyllaOptions, plane: &Arc<Plane>) -> History {
    History::new(
        options.clone(),
        CLUSTER.to_owned(),
        Arc::clone(plane) as Arc<dyn Meta>,
        Arc::new(SystemClock),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_paged_over_the_days_and_outlive_the_state() {
    let Some(server) = server("events_are_paged_over_the_days_and_outlive_the_state") else { return };
    let (plane, options, projecting) = projected(server).await;
    let owner = join(&plane);
    let mut sequence = 0;
    // 75 sessions over five days: more events than the state keeps of one subscriber.
    let mut began = Vec::new();
    for number in 0..75_u64 {
        let days = 4 - number / 15;
        began.push(session(&plane, owner, &mut sequence, Some(7), u128::from(number) + 1, days));
    }
    session(&plane, owner, &mut sequence, None, 900, 0);
    session(&plane, owner, &mut sequence, Some(8), 901, 0);
    // Longer ago than history is kept.
    session(&plane, owner, &mut sequence, Some(8), 902, 40);
    projecting.until_projected(&plane).await;

    let history = history(&options, &plane);
    let page = history.events(&wanted(Some(7), 0, 1_000)).await.unwrap();
    assert!(!page.partial && page.rows.len() == 150, "{} {}", page.partial, page.rows.len());
    let at: Vec<_> = page.rows.iter().map(|row| row.event.at_ms).collect();
    assert!(at.is_sorted(), "{at:?}");
    assert_eq!(at[0], began[0].as_millis());
    for pair in page.rows.chunks(2) {
        assert_eq!(pair[0].event.connection.as_ref().unwrap().protocol, "webrtc");
        assert!(pair[0].event.ended.is_none() && pair[0].figures.is_none());
        assert_eq!(pair[1].event.ended.as_deref(), Some("client_left"));
        assert_eq!(pair[1].event.connection, pair[0].event.connection);
        assert_eq!(pair[1].figures.unwrap().bytes, 400);
    }
    // In small pages it is the same.
    let mut small = Vec::new();
    for offset in (0..150).step_by(40) {
        small.extend(history.events(&wanted(Some(7), offset, 40)).await.unwrap().rows);
    }
    assert_eq!(small, page.rows);
    // Of all: viewers without a name too. What is over is over.
    let all = history.events(&wanted(None, 0, 1_000)).await.unwrap();
    assert_eq!(all.rows.len(), 154);
    assert_eq!(all.rows.iter().filter(|row| row.subscriber.is_none()).count(), 2);
    // With the subscribers their events go.
    while let cluster_model::Outcome::Swept { more: true } =
        plane.run(Command::DeleteSubscribers { app: app(), stream: stream(1) })
    {}
    projecting.until_projected(&plane).await;
    let all = history.events(&wanted(None, 0, 1_000)).await.unwrap();
    assert_eq!(all.rows.len(), 2, "{:?}", all.rows);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_database_the_newest_part_comes_from_the_state() {
    let plane = Plane::new();
    let owner = join(&plane);
    let mut sequence = 0;
    (1..=3).for_each(|number| {
        session(&plane, owner, &mut sequence, Some(7), number, 0);
    });
    // Nobody listens there.
    let mut options = ScyllaOptions::new(vec!["127.0.0.1:9".to_owned()], "nowhere".to_owned());
    options.connect_timeout = Duration::from_millis(200);
    let history = history(&options, &plane);
    let page = history.events(&wanted(Some(7), 1, 3)).await.unwrap();
    assert!(page.partial && page.rows.len() == 3, "{page:?}");
    assert_eq!(page.rows[2].event.session, base::SessionId::from_u128(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_state_forgets_in_time_stays_in_the_database() {
    let Some(server) = server("what_the_state_forgets_in_time_stays_in_the_database") else { return };
    for is_listed in [false, true] {
        let mut options = keyspace_of(server);
        options.history_kept = Duration::from_secs(90 * 24 * 3_600);
        let plane = Plane::new();
        let projecting = project(&plane, &options);
        projecting.until(|figures| figures.listed == 1).await;
        let ago = WallTime(SystemClock.wall().as_millis() - 40 * DAY_MS);
        let owner = join_at(&plane, ago);
        let facts = vec![fact(1, Some(7), 1, ago, connected()), fact(1, Some(7), 1, ago, disconnected(400))];
        plane.run_at(ago, Command::RecordFacts { owner, sequence: 1, facts });
        projecting.until_projected(&plane).await;
        let database = beside(&options).await;
        let summaries = async || database.state_rows(Table::SubscriberSummaries).await.unwrap().len();
        assert_eq!(summaries().await, 1);
        projecting.projector.stop().await;
        while plane.state().history(&app(), &stream(1), &subscriber(7)).is_some() {
            plane.run(Command::Expire { up_to: SystemClock.wall() });
        }
        // By the change, or because it is in no list any more.
        let plane = if is_listed { Plane::of(plane.state()) } else { plane };
        let again = project(&plane, &options);
        again.until_projected(&plane).await;
        assert_eq!((again.projector.figures().listed > 0, summaries().await), (is_listed, 0));
        let page = history(&options, &plane).events(&wanted(None, 0, 10)).await.unwrap();
        assert_eq!((page.partial, page.rows.len()), (false, 2), "listed: {is_listed}");
    }
}

/// A plane with one session, which is in the database.
async fn one_session(server: &CqlServer) -> (Arc<Plane>, ScyllaOptions, Projecting) {
    let (plane, options, projecting) = projected(server).await;
    let owner = join(&plane);
    session(&plane, owner, &mut 0, Some(7), 1, 0);
    projecting.until_projected(&plane).await;
    (plane, options, projecting)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_clusters_past_is_not_this_ones() {
    let Some(server) = server("another_clusters_past_is_not_this_ones") else { return };
    let (plane, options, _projecting) = one_session(server).await;
    let page = history(&options, &plane).events(&wanted(Some(7), 0, 10)).await.unwrap();
    assert_eq!((page.partial, page.rows.len()), (false, 2));
    let other = Plane::new();
    let meta = Arc::clone(&other) as Arc<dyn Meta>;
    let history = History::new(options.clone(), "another".to_owned(), meta, Arc::new(SystemClock));
    let page = history.events(&wanted(Some(7), 0, 10)).await.unwrap();
    assert_eq!((page.partial, page.rows.len()), (true, 0));
}

/// The address of a line to `to` over which each connection takes its time.
async fn slow_line(to: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut caller, _)) = listener.accept().await {
            let to = to.clone();
            tokio::spawn(async move {
                // That it is slow is what this line is for.
                tokio::time::sleep(CONNECTING).await;
                let mut called = TcpStream::connect(to).await.unwrap();
                // It ends with one of them.
                let _ = tokio::io::copy_bidirectional(&mut caller, &mut called).await;
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_connects_for_longer_than_anybody_waits_gets_there_all_the_same() {
    let Some(server) = server("who_connects_for_longer_than_anybody_waits_gets_there_all_the_same") else {
        return;
    };
    let (plane, options, _projecting) = one_session(server).await;
    let slow = slow_line(server.address().to_owned()).await;
    let history = history(&ScyllaOptions { contact_points: vec![slow], ..options }, &plane);
    assert!(history.events(&wanted(Some(7), 0, 10)).await.unwrap().partial);
    let whole = async {
        while history.events(&wanted(Some(7), 0, 10)).await.unwrap().partial {
            // Whether it is connected is told by nothing but an answer.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), whole).await.expect("it is never reached");
}
