//! What REST reads of the past.

use std::sync::Arc;
use std::time::Duration;

use base::{Clock, SystemClock, WallTime};
use cluster_model::{Command, Meta, Owner};
use penstock_cluster_scylla::{EventsWanted, History, HistoryOrder, ScyllaOptions};

use crate::plane::{Plane, project};
use crate::server::{Server, server};
use crate::work::{Work, app, connected, disconnected, fact, join, stream, subscriber};

const DAY_MS: u64 = 24 * 3_600 * 1_000;

fn wanted(of: Option<u64>, order: HistoryOrder, offset: usize, size: usize) -> EventsWanted {
    EventsWanted { app: app(), stream: stream(1), subscriber: of.map(subscriber), order, offset, size }
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
    History::new(options.clone(), Arc::clone(plane) as Arc<dyn Meta>, Arc::new(SystemClock))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_paged_over_the_days_and_outlive_the_state() {
    let Some(server) = server("events_are_paged_over_the_days_and_outlive_the_state") else { return };
    let (plane, options) = (Plane::new(), server.options());
    let projecting = project(&plane, &options);
    projecting.until(|figures| figures.listed == 1).await;
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
    let oldest = HistoryOrder::OldestFirst;
    let page = history.events(&wanted(Some(7), oldest, 0, 1_000)).await.unwrap();
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
    // In small pages, and the other way, it is the same.
    let mut small = Vec::new();
    for offset in (0..150).step_by(40) {
        small.extend(history.events(&wanted(Some(7), oldest, offset, 40)).await.unwrap().rows);
    }
    assert_eq!(small, page.rows);
    let newest = history.events(&wanted(Some(7), HistoryOrder::NewestFirst, 0, 1_000)).await.unwrap();
    assert!(newest.rows.iter().rev().eq(&page.rows));
    // Of all: viewers without a name too. What is over is over.
    let all = history.events(&wanted(None, oldest, 0, 1_000)).await.unwrap();
    assert_eq!(all.rows.len(), 154);
    assert_eq!(all.rows.iter().filter(|row| row.subscriber.is_none()).count(), 2);
    // Figures of subscribers.
    let sums = history.summaries(&app(), &stream(1), 0, 10).await.unwrap();
    assert_eq!(
        sums.rows.iter().map(|sum| (sum.ended, sum.figures.bytes)).collect::<Vec<_>>(),
        [(75, 30_000), (2, 800)]
    );
    assert!(!sums.partial);

    // With the subscribers their events go.
    while let cluster_model::Outcome::Swept { more: true } =
        plane.run(Command::DeleteSubscribers { app: app(), stream: stream(1) })
    {}
    projecting.until_projected(&plane).await;
    let all = history.events(&wanted(None, oldest, 0, 1_000)).await.unwrap();
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
    let page = history.events(&wanted(Some(7), HistoryOrder::NewestFirst, 1, 3)).await.unwrap();
    assert!(page.partial && page.rows.len() == 3, "{page:?}");
    assert_eq!(page.rows[0].event.session, base::SessionId::from_u128(3));
    assert!(history.vods(&app(), None, 0, 10).await.unwrap().partial);
    let sums = history.summaries(&app(), &stream(1), 0, 10).await.unwrap();
    assert!(sums.partial);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recordings_are_listed_as_the_plane_lists_them() {
    let Some(server): Option<&Server> = server("recordings_are_listed_as_the_plane_lists_them") else {
        return;
    };
    let (plane, options) = (Plane::new(), server.options());
    let mut work = Work::new(11, &plane);
    work.run(&plane, 1_500);
    let projecting = project(&plane, &options);
    projecting.until(|figures| figures.listed == 1).await;
    let history = history(&options, &plane);
    for of in [None, Some(stream(3))] {
        let page = history.vods(&app(), of.as_ref(), 1, 5).await.unwrap();
        let query = cluster_model::Query::Vods { app: app(), stream: of, offset: 1, size: 5 };
        let cluster_model::Answer::Vods(rows) = plane.state().answer(&query).answer else { panic!() };
        assert!(!page.partial && !rows.is_empty());
        assert_eq!(page.rows, rows);
    }
}
