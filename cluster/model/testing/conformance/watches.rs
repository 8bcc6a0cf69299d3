//! Cases of those who watch.

#![expect(missing_docs, reason = "the names say what must hold")]

use std::sync::Arc;

use base::{SystemRandomness, limits};
use tokio::task::JoinSet;

use super::{Subject, app, ask, beginning, create, id, put_settings, run, settle};
use crate::{Answer, Change, Command, Filter, Query, RequestId, Revision, WatchEvent};

pub async fn a_watch_tells_what_its_filter_wants_in_order(subject: Subject) {
    let start = beginning(&subject).await;
    run(&subject, create("a", "before")).await;
    let (from, _) = run(&subject, create("b", "other")).await;
    let mut of_app = subject.meta.watch(Filter::Broadcasts(app("a")), from);
    let mut of_one = subject.meta.watch(Filter::Broadcast(app("a"), id("t")), from);
    let mut of_settings = subject.meta.watch(Filter::Settings, from);
    run(&subject, create("a", "s")).await;
    run(&subject, create("b", "s")).await;
    run(&subject, put_settings("b", 0, 1)).await;
    run(&subject, create("a", "t")).await;
    run(&subject, Command::DeleteBroadcast { app: app("a"), stream: id("s") }).await;
    let told = |event: WatchEvent| match event {
        WatchEvent::Changed { revision, changes } => {
            let nth = revision.0 - start;
            match &changes[..] {
                [Change::Broadcast { app, stream, now }] => {
                    format!("{nth} {app}/{stream} {}", now.is_some())
                }
                [Change::Settings { app, now }] => format!("{nth} {app} {}", now.is_some()),
                other => panic!("{other:?}"),
            }
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(told(of_app.next().await), "3 a/s true");
    assert_eq!(told(of_app.next().await), "6 a/t true");
    assert_eq!(told(of_app.next().await), "7 a/s false");
    assert_eq!(told(of_one.next().await), "6 a/t true");
    assert_eq!(told(of_settings.next().await), "5 b true");
}

pub async fn a_watch_that_fell_behind_lists_again_and_resumes(subject: Subject) {
    let before = beginning(&subject).await;
    let filter = Filter::Broadcasts(app("a"));
    let mut watch = subject.meta.watch(filter.clone(), Revision(before));
    let mut writers = JoinSet::new();
    let writers_len = limits::META_WATCH_LAG_MAX + 1;
    for n in 0..writers_len {
        let meta = Arc::clone(&subject.meta);
        writers.spawn(async move {
            let request = RequestId::random(&SystemRandomness);
            settle(&*meta, request, create("a", &format!("s{n}"))).await;
        });
    }
    writers.join_all().await;
    // A node that was answered may not have all that yet: once it has what comes after.
    let mut later = subject.meta.watch(Filter::Settings, Revision(before + writers_len as u64));
    run(&subject, put_settings("a", 0, 1)).await;
    assert_ne!(later.next().await, WatchEvent::Closed);
    assert_eq!(watch.next().await, WatchEvent::Relist);
    // Until it resumes it is told nothing else.
    assert_eq!(watch.next().await, WatchEvent::Relist);
    let (revision, answer) = ask(&subject, Query::List(filter)).await;
    let Answer::Listed(listed) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!((revision, listed.len()), (Revision(before + writers_len as u64 + 1), writers_len));
    watch.resume(revision);
    let (next, _) = run(&subject, create("a", "after")).await;
    assert!(matches!(watch.next().await, WatchEvent::Changed { revision, .. } if revision == next));
}

pub async fn a_watch_ends_with_its_store(subject: Subject) {
    let mut watch = subject.meta.watch(Filter::Settings, Revision::ZERO);
    run(&subject, put_settings("a", 0, 1)).await;
    drop(subject);
    // What was told before the end may still be told, or not.
    let event = match watch.next().await {
        WatchEvent::Changed { .. } => watch.next().await,
        event => event,
    };
    assert_eq!(event, WatchEvent::Closed);
}
