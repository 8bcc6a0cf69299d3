use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use base::{AppName, ManualClock, SessionId, StreamId, SystemClock, SystemRandomness, WallTime};
use cluster_model::{
    Answer, Connection, Direction, Fact, FactKind, Fingerprint, NodeCard, NodeId, Outcome, Owner, PutWhen,
    RowKind, SettingsDocument, SubscriberId, SubscriberTerms, TokenId, TokenTerms, UserName, VodId,
    WatchEvent,
};

use cluster_store::testing::FailingDisk;

use super::*;

fn deadline() -> Instant {
    SystemClock.now() + Duration::from_secs(30)
}

fn open(folder: &tempfile::TempDir) -> Result<Node, StartError> {
    Node::alone(folder.path().join("metadata.redb"), Arc::new(SystemClock))
}

fn request() -> RequestId {
    RequestId::random(&SystemRandomness)
}

fn create(stream: &str) -> Command {
    Command::CreateBroadcast {
        app: AppName::new("a").unwrap(),
        stream: StreamId::new(stream).unwrap(),
        broadcast: Box::default(),
    }
}

async fn list(store: &Node) -> Reading {
    let query = Query::List(Filter::Broadcasts(AppName::new("a").unwrap()));
    store.read(query, Consistency::Linearizable, deadline()).await.unwrap()
}

#[tokio::test]
async fn a_closed_store_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).unwrap();
    let first = request();
    let applied = store.propose(first, create("s"), deadline()).await;
    assert_eq!(applied, Proposal::Applied { revision: Revision(1), outcome: Outcome::Done });
    store.propose(request(), create("t"), deadline()).await;
    let before = list(&store).await;
    store.close().await;
    assert_eq!(
        store.propose(request(), create("u"), deadline()).await,
        Proposal::NotApplied(NotApplied::Closed)
    );
    drop(store);

    let store = open(&folder).unwrap();
    assert_eq!(list(&store).await, before);
    // The request id survived as well.
    assert_eq!(store.propose(first, create("s"), deadline()).await, applied);
    let next = store.propose(request(), create("s"), deadline()).await;
    assert_eq!(next, Proposal::Applied { revision: Revision(3), outcome: Outcome::Exists });
}

/// A node alone answers such reads without its thread; what that has answered for is in them all the same.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_after_an_answer_reads_what_was_answered_for() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&folder).unwrap());
    let writers = (0..4).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for number in 0..50 {
                let proposal =
                    store.propose(request(), create(&format!("s{writer}-{number}")), deadline()).await;
                let Proposal::Applied { revision, .. } = proposal else { panic!("{proposal:?}") };
                let reading = list(&store).await;
                assert!(reading.revision >= revision, "{reading:?} after {revision:?}");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let query = Query::List(Filter::Broadcasts(AppName::new("a").unwrap()));
    store.close().await;
    let read = store.read(query, Consistency::Linearizable, deadline()).await;
    assert_eq!(read, Err(ReadFailed::Closed));
}

/// One command or two for each kind of row.
fn every_kind(owner: Owner) -> Vec<Command> {
    let (app, stream) = (|| AppName::new("a").unwrap(), || StreamId::new("s").unwrap());
    let subscriber = || SubscriberId::new("Jürgen 1").unwrap();
    let token = |text: &str| TokenId::new(text).unwrap();
    let session = SessionId::from_u128(5);
    let direction = Direction::Play;
    let create_token = |text: &str| Command::CreateToken {
        app: app(),
        stream: stream(),
        token: token(text),
        terms: TokenTerms { direction, expire_s: 1 << 40, room: None },
    };
    let connection = Connection { direction, protocol: "webrtc".to_owned(), peer: None, proof: None };
    let fact = |what| Fact {
        app: app(),
        stream: stream(),
        subscriber: Some(subscriber()),
        session,
        at: WallTime(1),
        what,
    };
    vec![
        create("s"),
        create("gone"),
        Command::DeleteBroadcast { app: app(), stream: StreamId::new("gone").unwrap() },
        Command::PutSettings { app: app(), expected: 0, document: SettingsDocument::default() },
        create_token("1"),
        Command::RevokeTokens { app: app(), stream: stream() },
        create_token("2"),
        Command::SpendToken {
            app: app(),
            stream: stream(),
            token: token("2"),
            direction,
            session,
            fingerprint: Fingerprint(1),
            outside_room: false,
        },
        Command::PutSubscriber {
            app: app(),
            stream: stream(),
            subscriber: subscriber(),
            terms: SubscriberTerms::default(),
        },
        Command::AcquireSlot { app: app(), stream: stream(), subscriber: subscriber(), session, owner },
        Command::ClaimStream { app: app(), stream: stream(), owner, against: None },
        Command::PutUser {
            name: UserName::new("jane@example.org").unwrap(),
            when: PutWhen::NoUsers,
            user: Box::default(),
        },
        Command::PutVod { app: app(), vod: VodId::new("v").unwrap(), record: Box::default() },
        Command::RecordFacts { owner, sequence: 1, facts: vec![fact(FactKind::Connected(connection))] },
        Command::RaiseGeneration { to: 1 },
    ]
}

#[tokio::test]
async fn a_row_of_every_kind_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).unwrap();
    let join = Command::NodeJoined { node: NodeId(1), card: NodeCard::default() };
    let joined = store.propose(request(), join, deadline()).await;
    let Proposal::Applied { outcome: Outcome::Joined { incarnation }, .. } = joined else {
        panic!("{joined:?}")
    };
    for command in every_kind(Owner { node: NodeId(1), incarnation }) {
        let applied = store.propose(request(), command, deadline()).await;
        let Proposal::Applied { outcome, .. } = applied else { panic!("{applied:?}") };
        assert!(!matches!(outcome, Outcome::Refused(_) | Outcome::Absent), "{outcome:?}");
    }
    let before = store.published.read().clone().unwrap();
    let rows = before.list(&Filter::All);
    let kinds: BTreeSet<_> = rows.iter().map(|row| row.row().unwrap().unwrap().kind).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), RowKind::ALL);
    store.close().await;
    drop(store);
    let store = open(&folder).unwrap();
    let again = store.published.read().clone().unwrap();
    assert_eq!(again.hash(), before.hash());
    assert_eq!(again, before);
}

#[tokio::test]
async fn a_watcher_of_a_reopened_store_lists_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).unwrap();
    store.propose(request(), create("s"), deadline()).await;
    drop(store);
    let store = open(&folder).unwrap();
    let mut watch = store.watch(Filter::Broadcasts(AppName::new("a").unwrap()), Revision::ZERO);
    assert_eq!(watch.next().await, WatchEvent::Relist);
    let listed = list(&store).await;
    assert!(matches!(&listed.answer, Answer::Listed(changes) if changes.len() == 1));
    watch.resume(listed.revision);
    store.propose(request(), create("t"), deadline()).await;
    assert!(matches!(watch.next().await, WatchEvent::Changed { revision: Revision(2), .. }));
    store.close().await;
    assert_eq!(watch.next().await, WatchEvent::Closed);
    assert_eq!(store.watch(Filter::Settings, Revision::ZERO).next().await, WatchEvent::Closed);
}

#[test]
fn a_store_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let _store = open(&folder).unwrap();
    let error = open(&folder).err().unwrap();
    assert!(matches!(error, StartError::Store(StoreError::InUse { .. })), "{error}");
    assert!(error.to_string().contains("metadata.redb is in use by another process"), "{error}");
}

#[tokio::test]
async fn commands_carry_the_time_of_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(WallTime(1_700_000_000_000)));
    let store = Node::alone(folder.path().join("metadata.redb"), Arc::clone(&clock) as _).unwrap();
    clock.advance(Duration::from_millis(5));
    store.propose(request(), create("s"), clock.now() + Duration::from_secs(30)).await;
    let now = store.published.read().as_ref().map(State::now);
    assert_eq!(now, Some(WallTime(1_700_000_000_005)));
}

#[tokio::test]
async fn more_commands_than_the_queue_holds_are_refused_as_busy() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&folder).unwrap());
    // Readers hold the published state, so the writer stands still with its first batch in its hands.
    let standstill = store.published.read();
    let mut proposals = Vec::new();
    let mut busy = 0;
    for n in 0..2 * limits::META_COMMANDS_MAX + limits::META_COMMANDS_PER_COMMIT_MAX {
        let mut proposal = Box::pin(store.propose(request(), create(&format!("s{n}")), deadline()));
        match futures_poll(proposal.as_mut()) {
            Some(Proposal::NotApplied(NotApplied::Busy)) => busy += 1,
            Some(other) => panic!("{other:?}"),
            None => proposals.push(proposal),
        }
    }
    assert!(busy > 0);
    drop(standstill);
    for proposal in proposals {
        assert!(matches!(proposal.await, Proposal::Applied { .. }));
    }
}

/// Polls once, for a future that is waited for later.
fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

fn has_failed(store: &Node) -> bool {
    futures_poll(std::pin::pin!(store.failure())).is_some()
}

fn over(disk: &FailingDisk, clock: Arc<dyn Clock>) -> Node {
    let stored = disk.open(|state| Saved::first([ALONE], state)).unwrap();
    Node::sole(stored, clock).unwrap()
}

#[tokio::test]
async fn after_a_failed_write_nothing_is_promised_and_the_state_stands() {
    let disk = FailingDisk::new();
    let store = over(&disk, Arc::new(SystemClock));
    let mut watch = store.watch(Filter::Broadcasts(AppName::new("a").unwrap()), Revision::ZERO);
    store.propose(request(), create("s"), deadline()).await;
    assert!(matches!(watch.next().await, WatchEvent::Changed { revision: Revision(1), .. }));
    let before = list(&store).await;
    assert!(!has_failed(&store));

    disk.breaks(io::ErrorKind::Other);
    let failed = store.propose(request(), create("t"), deadline()).await;
    assert!(matches!(failed, Proposal::Unknown | Proposal::NotApplied(NotApplied::Failed)), "{failed:?}");
    assert!(has_failed(&store));
    disk.breaks(None);
    assert_eq!(
        store.propose(request(), create("u"), deadline()).await,
        Proposal::NotApplied(NotApplied::Failed)
    );
    assert_eq!(list(&store).await, before);
    store.close().await;
    assert!(has_failed(&store), "and a close mends nothing");
    assert_eq!(watch.next().await, WatchEvent::Closed);
}

#[tokio::test]
async fn a_closed_store_has_not_failed() {
    let store = over(&FailingDisk::new(), Arc::new(SystemClock));
    store.close().await;
    assert!(!has_failed(&store));
}

#[tokio::test]
async fn a_store_whose_disk_was_full_goes_on_once_it_has_room() {
    let disk = FailingDisk::new();
    let clock = Arc::new(ManualClock::new(WallTime(1_700_000_000_000)));
    let store = over(&disk, Arc::clone(&clock) as _);
    let deadline = clock.now() + Duration::from_secs(30);
    let mut watch = store.watch(Filter::Broadcasts(AppName::new("a").unwrap()), Revision::ZERO);
    store.propose(request(), create("s"), deadline).await;
    let before = list(&store).await;

    disk.breaks(io::ErrorKind::StorageFull);
    let lost = request();
    let full = store.propose(lost, create("t"), deadline).await;
    assert!(matches!(full, Proposal::Unknown | Proposal::NotApplied(NotApplied::DiskFull)), "{full:?}");
    for _ in 0..3 {
        clock.advance(limits::META_FULL_REST);
        let still = store.propose(request(), create("u"), deadline).await;
        let refused = matches!(still, Proposal::Unknown | Proposal::NotApplied(NotApplied::DiskFull));
        assert!(refused, "{still:?}");
    }
    assert_eq!(list(&store).await, before);

    disk.breaks(None);
    let soon = store.propose(request(), create("v"), deadline).await;
    assert_eq!(soon, Proposal::NotApplied(NotApplied::DiskFull), "it is not tried without a rest");
    clock.advance(limits::META_FULL_REST);
    // Who asks again with the same request gets the one answer, whether it had come through or not.
    let again = store.propose(lost, create("t"), deadline).await;
    assert_eq!(again, Proposal::Applied { revision: Revision(2), outcome: Outcome::Done });
    assert!(!has_failed(&store));
    for expected in 1..=2 {
        let event = watch.next().await;
        assert!(
            matches!(event, WatchEvent::Changed { revision: Revision(n), .. } if n == expected),
            "{event:?}"
        );
    }
    let listed = list(&store).await;
    drop(store);
    assert_eq!(list(&over(&disk, clock)).await, listed, "and all of it is on disk");
}

#[tokio::test]
async fn a_copy_of_a_running_node_is_restored_under_a_new_generation() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).unwrap();
    store.propose(request(), create("s"), deadline()).await;
    let copy = store.copy().await.unwrap();
    store.propose(request(), create("later"), deadline()).await;
    let copy = Backup::decode(&copy.encode().unwrap()).unwrap();
    assert_eq!((copy.state.revision(), copy.members.voters.len()), (Revision(1), 1));
    let elsewhere = tempfile::tempdir().unwrap();
    MemberStore::restore(elsewhere.path().join("metadata.redb"), copy, [ALONE], None).unwrap();
    let restored = open(&elsewhere).unwrap();
    let listed = list(&restored).await;
    assert!(matches!(&listed.answer, Answer::Listed(changes) if changes.len() == 1), "{listed:?}");
    assert_eq!(restored.published.read().as_ref().map(State::generation), Some(1));
    store.close().await;
    assert_eq!(store.copy().await.err(), Some(CopyError::Closed));
}

#[tokio::test]
async fn a_node_says_how_fresh_it_is_and_that_it_is_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).unwrap();
    store.propose(request(), create("s"), deadline()).await;
    list(&store).await;
    let mut status = store.status();
    status.wait_for(|status| status.leads && status.revision == Revision(1)).await.unwrap();
    assert!(tokio::time::timeout(Duration::ZERO, store.failure()).await.is_err(), "it takes part");
    assert!(store.age().is_some_and(|age| age < Duration::from_secs(2)), "{:?}", store.age());
    assert_eq!(store.authority(), Authority::Fresh);
    let remove = MembershipChange::Remove { node: ALONE };
    assert_eq!(store.change_membership(remove).await, Err(MembershipError::LastVoter));
    let add = MembershipChange::Add { node: NodeId(2), replaces: None };
    assert_eq!(store.change_membership(add).await, Ok(()));
    let mut status = store.status();
    status.wait_for(|status| status.members.learners.contains(&NodeId(2))).await.unwrap();
    store.close().await;
    assert_eq!(store.change_membership(add).await, Err(MembershipError::Closed));
}

/// A client that nobody answers.
#[tokio::test]
async fn a_client_without_a_copy_says_so() {
    let clock = Arc::new(SystemClock);
    let client = Node::client(
        NodeId(9),
        vec![NodeId(1)],
        Tuning::default(),
        &SystemRandomness,
        clock,
        Arc::new(Nobody),
    )
    .unwrap();
    let query = Query::List(Filter::Settings);
    let local = client.read(query.clone(), Consistency::Local, deadline()).await;
    assert_eq!(local, Err(ReadFailed::NotListed));
    assert_eq!((client.age(), client.authority()), (None, Authority::Cold));
    let soon = SystemClock.now() + Duration::from_millis(200);
    assert_eq!(client.read(query, Consistency::Linearizable, soon).await, Err(ReadFailed::TooLate));
    assert_eq!(client.copy().await.err(), Some(CopyError::NoMember));
    assert_eq!(
        client.change_membership(MembershipChange::Remove { node: NodeId(1) }).await,
        Err(MembershipError::NotLeader)
    );
}
