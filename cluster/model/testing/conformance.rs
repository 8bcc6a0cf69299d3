//! What every [`Meta`] must do. Run by [`crate::meta_conformance!`].

#![expect(clippy::panic, reason = "a suite of tests: a panic is how a case fails")]

mod decisions;
mod watches;

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{AppName, Clock, StreamId, SystemClock, SystemRandomness, limits};
use serde_json::{Map, Value};
use tokio::task::JoinSet;

use crate::{
    Answer, Broadcast, BroadcastPatch, Command, Consistency, Heartbeat, Meta, Outcome, Proposal,
    PublishFacts, Query, Refusal, RequestId, Revision, SettingsDocument, Status, Which,
};

/// Runs the suite as `#[tokio::test]`s: `meta_conformance!(suite_name, factory)`, where `factory` is a
/// function without arguments that returns a [`Subject`] around an
/// empty `Meta`. The calling crate needs tokio with `macros` and `rt`. Whoever runs it otherwise has it as [`cases()`].
#[macro_export]
macro_rules! meta_conformance {
    ($suite:ident, $factory:expr) => {
        mod $suite {
            #[allow(unused_imports, reason = "the factory may be named without a path")]
            use super::*;

            $crate::meta_conformance!(@with @tests $factory;);
        }
    };
    (@with $($then:tt)*) => {
        $crate::meta_conformance! { $($then)*
            revisions_grow_by_one,
            a_retry_is_applied_once_and_answered_as_before,
            a_request_in_many_hands_is_applied_once,
            an_answered_command_is_seen_by_the_next_reader,
            an_answered_command_is_seen_by_the_next_local_reader,
            a_taken_id_is_not_created_again,
            a_patch_keeps_other_fields_and_a_delete_is_final,
            an_unregistered_stream_lives_as_long_as_its_publisher,
            a_registered_stream_is_finished_after_its_publisher,
            a_late_heartbeat_revives_nothing,
            a_restart_leaves_no_zombi_and_nothing_live,
            settings_are_compared_and_set,
            of_concurrent_writers_of_settings_one_wins,
            an_oversized_broadcast_is_refused,
            pages_are_in_byte_order,
            applications_do_not_see_each_other,
            a_watch_tells_what_its_filter_wants_in_order,
            a_watch_that_fell_behind_lists_again_and_resumes,
            a_watch_ends_with_its_store,
            a_command_past_its_deadline_is_answered_at_once,
            of_many_who_spend_a_token_at_once_one_is_let_in,
            a_token_is_listed_until_it_is_spent_or_revoked,
            of_many_who_claim_a_stream_at_once_one_has_it,
            who_was_superseded_has_the_stream_no_more,
            of_many_who_connect_at_once_as_many_are_let_in_as_may,
            what_a_life_of_a_node_held_is_free_in_the_next,
            a_batch_of_facts_counts_once,
            a_block_is_told_to_watchers_and_lifted_again,
            of_many_first_users_one_is_made,
            recordings_are_listed_by_their_stream,
            what_is_over_is_swept,
            a_restore_voids_what_may_have_been_spent_since,
            who_absorbs_everything_has_what_is_listed,
        }
    };
    (@tests $factory:expr; $($name:ident,)+) => {
        $(
            #[tokio::test]
            async fn $name() {
                $crate::testing::conformance::$name($factory()).await;
            }
        )+
    };
    (@list $($name:ident,)+) => {
        vec![$(Case { name: stringify!($name), run: |subject| Box::pin($name(subject)) },)+]
    };
}

/// One case of the suite.
#[derive(Clone, Copy)]
pub struct Case {
    /// What must hold.
    pub name: &'static str,
    /// Has it hold, or panics.
    pub run: fn(Subject) -> Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// All of the suite. It may be run over a plane that others have written to, if they write no more: it has applications
/// and nodes of its own.
pub fn cases() -> Vec<Case> {
    crate::meta_conformance!(@with @list)
}

/// An empty `Meta` and what must live as long as it does (a folder, say).
pub struct Subject {
    /// Under test.
    pub meta: Arc<dyn Meta>,
    /// Dropped after it.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl Subject {
    /// A subject that needs nothing else.
    pub fn new(meta: impl Meta + 'static) -> Self {
        Self { meta: Arc::new(meta), keep: Box::new(()) }
    }
}

fn deadline() -> Instant {
    SystemClock.now() + Duration::from_secs(30)
}

fn app(name: &str) -> AppName {
    AppName::new(name).expect("a valid name")
}

fn id(name: &str) -> StreamId {
    StreamId::new(name).expect("a valid name")
}

fn create(app_name: &str, stream: &str) -> Command {
    Command::CreateBroadcast { app: app(app_name), stream: id(stream), broadcast: Box::default() }
}

fn started(stream: &str) -> Command {
    let facts = PublishFacts {
        publish_type: "RTMP".to_owned(),
        remote_ip: None,
        user_agent: None,
        origin: "host".to_owned(),
        rtmp_url: "rtmp://host/app/stream".to_owned(),
        name: None,
        meta_data: None,
        main_track: None,
        goes_on: false,
    };
    Command::StreamStarted { app: app("a"), stream: id(stream), facts: Box::new(facts), epoch: None }
}

fn ended(stream: &str) -> Command {
    Command::StreamEnded { app: app("a"), stream: id(stream), epoch: None }
}

/// Real nodes that look on take it for an application that was deleted, of which there is nothing to serve or to seal.
const KEY: &str = "deleted";

fn put_settings(app_name: &str, expected: u64, value: u64) -> Command {
    let document = SettingsDocument(Map::from_iter([(KEY.to_owned(), Value::from(value))]));
    Command::PutSettings { app: app(app_name), expected, document }
}

/// Proposes until the answer is certain.
async fn settle(meta: &dyn Meta, request: RequestId, command: Command) -> (Revision, Outcome) {
    loop {
        match meta.propose(request, command.clone(), deadline()).await {
            Proposal::Applied { revision, outcome } => return (revision, outcome),
            Proposal::Unknown => {}
            Proposal::NotApplied(why) => panic!("not applied: {why}"),
        }
    }
}

async fn run(subject: &Subject, command: Command) -> (Revision, Outcome) {
    settle(&*subject.meta, RequestId::random(&SystemRandomness), command).await
}

async fn outcome(subject: &Subject, command: Command) -> Outcome {
    run(subject, command).await.1
}

async fn ask(subject: &Subject, query: Query) -> (Revision, Answer) {
    let reading = subject.meta.read(query, Consistency::Linearizable, deadline()).await.expect("an answer");
    (reading.revision, reading.answer)
}

/// What was applied before: what a case writes counts from there.
async fn beginning(subject: &Subject) -> u64 {
    ask(subject, Query::Nodes).await.0.0
}

async fn broadcast(subject: &Subject, stream: &str) -> Option<Arc<Broadcast>> {
    match ask(subject, Query::Broadcast { app: app("a"), stream: id(stream) }).await.1 {
        Answer::Broadcast(broadcast) => broadcast,
        other => panic!("{other:?}"),
    }
}

async fn ids(subject: &Subject, app_name: &str, which: Which, offset: usize, size: usize) -> Vec<String> {
    match ask(subject, Query::Broadcasts { app: app(app_name), which, offset, size }).await.1 {
        Answer::Broadcasts(page) => {
            page.iter().map(|broadcast| broadcast.stream_id.clone().expect("stored with its id")).collect()
        }
        other => panic!("{other:?}"),
    }
}

async fn count(subject: &Subject, app_name: &str, which: Which) -> u64 {
    match ask(subject, Query::BroadcastCount { app: app(app_name), which }).await.1 {
        Answer::Count(count) => count,
        other => panic!("{other:?}"),
    }
}

async fn settings(subject: &Subject, app_name: &str) -> Option<(u64, Value)> {
    match ask(subject, Query::Settings { app: app(app_name) }).await.1 {
        Answer::Settings(record) => record.map(|record| (record.version, record.document.0[KEY].clone())),
        other => panic!("{other:?}"),
    }
}

#[expect(missing_docs, reason = "the names say what must hold")]
mod cases {
    use super::*;

    pub async fn revisions_grow_by_one(subject: Subject) {
        let before = beginning(&subject).await;
        for n in 1..=20 {
            let (revision, _) = run(&subject, create("a", &format!("s{n}"))).await;
            assert_eq!(revision, Revision(before + n));
        }
        // A command that changes nothing is a command, too.
        assert_eq!(run(&subject, create("a", "s1")).await, (Revision(before + 21), Outcome::Exists));
    }

    pub async fn a_retry_is_applied_once_and_answered_as_before(subject: Subject) {
        let before = beginning(&subject).await;
        let request = RequestId::random(&SystemRandomness);
        let first = settle(&*subject.meta, request, create("a", "s")).await;
        assert_eq!(first, (Revision(before + 1), Outcome::Done));
        assert_eq!(
            outcome(&subject, Command::DeleteBroadcast { app: app("a"), stream: id("s") }).await,
            Outcome::Done
        );
        assert_eq!(settle(&*subject.meta, request, create("a", "s")).await, first);
        assert_eq!(broadcast(&subject, "s").await, None);
        assert_eq!(run(&subject, create("a", "t")).await.0, Revision(before + 3));
    }

    pub async fn a_request_in_many_hands_is_applied_once(subject: Subject) {
        let before = beginning(&subject).await;
        let request = RequestId::random(&SystemRandomness);
        let mut hands = JoinSet::new();
        for _ in 0..16 {
            let meta = Arc::clone(&subject.meta);
            hands.spawn(async move { settle(&*meta, request, put_settings("a", 0, 1)).await });
        }
        for answer in hands.join_all().await {
            assert_eq!(answer, (Revision(before + 1), Outcome::Stored { version: 1 }));
        }
    }

    pub async fn an_answered_command_is_seen_by_the_next_reader(subject: Subject) {
        for n in 0..20 {
            let name = format!("s{n}");
            let (written, _) = run(&subject, create("a", &name)).await;
            let query = Query::Broadcast { app: app("a"), stream: id(&name) };
            let (read, answer) = ask(&subject, query).await;
            assert!(read >= written, "read {read}, written {written}");
            assert!(matches!(answer, Answer::Broadcast(Some(_))), "{answer:?}");
        }
    }

    pub async fn an_answered_command_is_seen_by_the_next_local_reader(subject: Subject) {
        let local = async |name: &str| {
            let query = Query::Broadcast { app: app("a"), stream: id(name) };
            let reading = subject.meta.read(query, Consistency::Local, deadline()).await.expect("an answer");
            match reading.answer {
                Answer::Broadcast(broadcast) => (reading.revision, broadcast.is_some()),
                other => panic!("{other:?}"),
            }
        };
        for n in 0..20 {
            let name = format!("s{n}");
            let (written, _) = run(&subject, create("a", &name)).await;
            let (read, there) = local(&name).await;
            assert!(read >= written && there, "{name}: read {read}, written {written}");
            // What changes nothing has a revision, too.
            let (written, _) = run(&subject, create("a", &name)).await;
            let (read, _) = local(&name).await;
            assert!(read >= written, "{name}: read {read}, written {written}");
            let (written, _) =
                run(&subject, Command::DeleteBroadcast { app: app("a"), stream: id(&name) }).await;
            let (read, there) = local(&name).await;
            assert!(read >= written && !there, "{name}: read {read}, written {written}");
        }
    }

    pub async fn a_taken_id_is_not_created_again(subject: Subject) {
        assert_eq!(outcome(&subject, create("a", "s")).await, Outcome::Done);
        let named = Broadcast { name: Some("other".to_owned()), ..Broadcast::default() };
        let again = Command::CreateBroadcast { app: app("a"), stream: id("s"), broadcast: Box::new(named) };
        assert_eq!(outcome(&subject, again).await, Outcome::Exists);
        assert_eq!(broadcast(&subject, "s").await.expect("still there").name, None);
    }

    pub async fn a_patch_keeps_other_fields_and_a_delete_is_final(subject: Subject) {
        let patch = || Command::PatchBroadcast {
            app: app("a"),
            stream: id("s"),
            patch: BroadcastPatch::parse(br#"{"name":"n"}"#).expect("a patch"),
        };
        let delete = || Command::DeleteBroadcast { app: app("a"), stream: id("s") };
        assert_eq!(outcome(&subject, patch()).await, Outcome::Absent);
        assert_eq!(outcome(&subject, delete()).await, Outcome::Absent);
        let described = Broadcast { description: Some("d".to_owned()), ..Broadcast::default() };
        let create =
            Command::CreateBroadcast { app: app("a"), stream: id("s"), broadcast: Box::new(described) };
        assert_eq!(outcome(&subject, create).await, Outcome::Done);
        assert_eq!(outcome(&subject, patch()).await, Outcome::Done);
        let now = broadcast(&subject, "s").await.expect("there");
        assert_eq!((now.name.as_deref(), now.description.as_deref()), (Some("n"), Some("d")));
        assert_eq!(outcome(&subject, delete()).await, Outcome::Done);
        assert_eq!(broadcast(&subject, "s").await, None);
    }

    pub async fn an_unregistered_stream_lives_as_long_as_its_publisher(subject: Subject) {
        assert_eq!(outcome(&subject, started("s")).await, Outcome::Started { created: true });
        let live = broadcast(&subject, "s").await.expect("made on the way");
        assert!(live.zombi);
        assert_eq!(live.status, Status::Broadcasting);
        assert_eq!(live.origin_adress.as_deref(), Some("host"));
        assert_eq!(ids(&subject, "a", Which::Live, 0, 10).await, ["s"]);
        assert_eq!(outcome(&subject, ended("s")).await, Outcome::Ended { removed: true });
        assert_eq!(broadcast(&subject, "s").await, None);
        assert_eq!(outcome(&subject, ended("s")).await, Outcome::Absent);
    }

    pub async fn a_registered_stream_is_finished_after_its_publisher(subject: Subject) {
        run(&subject, create("a", "s")).await;
        assert_eq!(outcome(&subject, started("s")).await, Outcome::Started { created: false });
        let beat = Heartbeat { bitrate_bps: 5, webrtc_viewers: 2, ..Heartbeat::default() };
        let beat = Command::StreamHeartbeat { app: app("a"), stream: id("s"), heartbeat: beat, epoch: None };
        assert_eq!(outcome(&subject, beat).await, Outcome::Done);
        assert_eq!(outcome(&subject, ended("s")).await, Outcome::Ended { removed: false });
        let over = broadcast(&subject, "s").await.expect("registered");
        assert_eq!((over.status.clone(), over.bitrate, over.web_rtc_viewer_count), (Status::Finished, 5, 0));
    }

    pub async fn a_late_heartbeat_revives_nothing(subject: Subject) {
        let beat = || Command::StreamHeartbeat {
            app: app("a"),
            stream: id("s"),
            heartbeat: Heartbeat::default(),
            epoch: None,
        };
        assert_eq!(outcome(&subject, beat()).await, Outcome::Absent);
        assert_eq!(broadcast(&subject, "s").await, None);
        run(&subject, create("a", "s")).await;
        run(&subject, started("s")).await;
        run(&subject, ended("s")).await;
        assert_eq!(outcome(&subject, beat()).await, Outcome::Absent);
        assert_eq!(broadcast(&subject, "s").await.expect("registered").status, Status::Finished);
    }

    pub async fn a_restart_leaves_no_zombi_and_nothing_live(subject: Subject) {
        for name in ["idle", "live"] {
            run(&subject, create("a", name)).await;
        }
        run(&subject, started("live")).await;
        run(&subject, started("zombi")).await;
        assert_eq!(outcome(&subject, Command::ResetAfterRestart).await, Outcome::Swept { more: false });
        assert_eq!(ids(&subject, "a", Which::All, 0, 10).await, ["idle", "live"]);
        assert_eq!(broadcast(&subject, "idle").await.expect("kept").status, Status::Created);
        assert_eq!(broadcast(&subject, "live").await.expect("kept").status, Status::Finished);
    }

    pub async fn settings_are_compared_and_set(subject: Subject) {
        assert_eq!(settings(&subject, "a").await, None);
        assert_eq!(outcome(&subject, put_settings("a", 1, 7)).await, Outcome::Conflict { version: 0 });
        assert_eq!(outcome(&subject, put_settings("a", 0, 1)).await, Outcome::Stored { version: 1 });
        assert_eq!(outcome(&subject, put_settings("a", 0, 2)).await, Outcome::Conflict { version: 1 });
        assert_eq!(outcome(&subject, put_settings("a", 1, 3)).await, Outcome::Stored { version: 2 });
        assert_eq!(settings(&subject, "a").await, Some((2, Value::from(3))));
    }

    pub async fn of_concurrent_writers_of_settings_one_wins(subject: Subject) {
        let mut writers = JoinSet::new();
        for n in 0..16 {
            let meta = Arc::clone(&subject.meta);
            writers.spawn(async move {
                let request = RequestId::random(&SystemRandomness);
                (n, settle(&*meta, request, put_settings("a", 0, n)).await.1)
            });
        }
        let answers = writers.join_all().await;
        let winners: Vec<_> =
            answers.iter().filter(|(_, outcome)| *outcome == Outcome::Stored { version: 1 }).collect();
        let [(winner, _)] = winners[..] else {
            panic!("{answers:?}");
        };
        assert_eq!(settings(&subject, "a").await, Some((1, Value::from(*winner))));
    }

    pub async fn an_oversized_broadcast_is_refused(subject: Subject) {
        let large =
            Broadcast { meta_data: Some("x".repeat(limits::BROADCAST_BYTES_MAX)), ..Broadcast::default() };
        let create = Command::CreateBroadcast { app: app("a"), stream: id("s"), broadcast: Box::new(large) };
        assert_eq!(outcome(&subject, create).await, Outcome::Refused(Refusal::TooLarge));
        assert_eq!(count(&subject, "a", Which::All).await, 0);
    }

    pub async fn pages_are_in_byte_order(subject: Subject) {
        for name in ["b", "a", "B", "a.b", "a-b", "10", "9"] {
            run(&subject, create("a", name)).await;
        }
        let all = ["10", "9", "B", "a", "a-b", "a.b", "b"];
        assert_eq!(ids(&subject, "a", Which::All, 0, 100).await, all);
        assert_eq!(ids(&subject, "a", Which::All, 2, 3).await, all[2..5]);
        assert_eq!(ids(&subject, "a", Which::All, 7, 3).await, [""; 0]);
        assert_eq!(ids(&subject, "a", Which::All, 0, 0).await, [""; 0]);
        assert_eq!(count(&subject, "a", Which::All).await, 7);
        assert_eq!(count(&subject, "a", Which::Live).await, 0);
    }

    pub async fn applications_do_not_see_each_other(subject: Subject) {
        run(&subject, create("a", "s")).await;
        run(&subject, create("A", "t")).await;
        run(&subject, put_settings("a", 0, 1)).await;
        assert_eq!(ids(&subject, "a", Which::All, 0, 10).await, ["s"]);
        assert_eq!(ids(&subject, "A", Which::All, 0, 10).await, ["t"]);
        assert_eq!(settings(&subject, "A").await, None);
    }

    pub async fn a_command_past_its_deadline_is_answered_at_once(subject: Subject) {
        let request = RequestId::random(&SystemRandomness);
        let past = SystemClock.now();
        match subject.meta.propose(request, create("a", "s"), past).await {
            Proposal::NotApplied(_) => {
                run(&subject, create("a", "t")).await;
                assert_eq!(broadcast(&subject, "s").await, None);
            }
            Proposal::Unknown => {}
            // It may have been quick enough.
            Proposal::Applied { .. } => assert!(broadcast(&subject, "s").await.is_some()),
        }
    }
}

pub use cases::*;
pub use decisions::*;
pub use watches::*;
