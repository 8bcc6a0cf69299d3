use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use base::{AppName, ManualClock, SessionId, StreamId, SystemClock, SystemRandomness, WallTime};
use cluster_model::{
    Answer, Connection, Direction, Fact, FactKind, Fingerprint, NodeCard, NodeId, Outcome, Owner, PutWhen,
    RowKind, SettingsDocument, SubscriberId, SubscriberTerms, TokenId, TokenTerms, UserName, VodId,
    WatchEvent,
};

use redb::StorageBackend;
use redb::backends::InMemoryBackend;

use super::*;

fn deadline() -> Instant {
    SystemClock.now() + Duration::from_secs(30)
}

fn open(folder: &tempfile::TempDir) -> Result<LocalStore, StoreError> {
    LocalStore::open(folder.path().join("metadata.redb"), Arc::new(SystemClock))
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

async fn list(store: &LocalStore) -> Reading {
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
    let before = store.published.read().clone();
    let rows = before.list(&Filter::All);
    let kinds: BTreeSet<_> = rows.iter().map(|row| row.row().unwrap().unwrap().kind).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), RowKind::ALL);
    store.close().await;
    drop(store);
    let store = open(&folder).unwrap();
    assert_eq!(*store.published.read(), before);
    assert_eq!(store.published.read().hash(), before.hash());
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
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("metadata.redb is in use by another process"), "{error}");
}

#[test]
fn a_file_that_is_no_store_is_named_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata.redb");
    let text = "not a store ".repeat(1000);
    std::fs::write(&path, &text).unwrap();
    let error = open(&folder).err().unwrap();
    assert!(matches!(error, StoreError::Unusable { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let error = LocalStore::open("/nowhere/at/all/metadata.redb", Arc::new(SystemClock)).err().unwrap();
    assert!(
        error.to_string().starts_with("cannot open the metadata store /nowhere/at/all/metadata.redb: "),
        "{error}"
    );
}

#[test]
fn the_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let _store = open(&folder).unwrap();
    let mode = std::fs::metadata(folder.path().join("metadata.redb")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn commands_carry_the_time_of_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(WallTime(1_700_000_000_000)));
    let store = LocalStore::open(folder.path().join("metadata.redb"), Arc::clone(&clock) as _).unwrap();
    clock.advance(Duration::from_millis(5));
    store.propose(request(), create("s"), clock.now() + Duration::from_secs(30)).await;
    assert_eq!(store.published.read().now(), WallTime(1_700_000_000_005));
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

fn has_failed(store: &LocalStore) -> bool {
    futures_poll(std::pin::pin!(store.failure())).is_some()
}

/// A disk that is full, or gone, from a given moment on.
#[derive(Clone, Debug)]
struct FailingDisk {
    memory: Arc<InMemoryBackend>,
    fault: Arc<Mutex<Option<io::ErrorKind>>>,
}

impl FailingDisk {
    fn new() -> Self {
        Self { memory: Arc::new(InMemoryBackend::new()), fault: Arc::default() }
    }

    fn breaks(&self, fault: impl Into<Option<io::ErrorKind>>) {
        *self.fault.lock() = fault.into();
    }

    fn check(&self) -> io::Result<()> {
        self.fault.lock().map_or(Ok(()), |kind| Err(kind.into()))
    }

    fn store(&self, clock: Arc<dyn Clock>) -> LocalStore {
        let disk = self.clone();
        let open = move || {
            Database::builder()
                .create_with_backend(disk.clone())
                .map_err(|error| refused(Path::new("metadata.redb"), error))
        };
        LocalStore::start(Box::new(open), Path::new("metadata.redb"), clock).unwrap()
    }
}

impl StorageBackend for FailingDisk {
    fn len(&self) -> io::Result<u64> {
        self.memory.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.memory.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.memory.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()?;
        self.memory.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.memory.write(offset, data)
    }
}

#[tokio::test]
async fn after_a_failed_write_nothing_is_promised_and_the_state_stands() {
    let disk = FailingDisk::new();
    let store = disk.store(Arc::new(SystemClock));
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
    let store = FailingDisk::new().store(Arc::new(SystemClock));
    store.close().await;
    assert!(!has_failed(&store));
}

#[tokio::test]
async fn a_store_whose_disk_was_full_goes_on_once_it_has_room() {
    let disk = FailingDisk::new();
    let clock = Arc::new(ManualClock::new(WallTime(1_700_000_000_000)));
    let store = disk.store(Arc::clone(&clock) as _);
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
    assert_eq!(list(&disk.store(clock)).await, listed, "and all of it is on disk");
}

#[test]
fn a_first_start_that_finds_no_room_leaves_no_half_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata.redb");
    // What such a start leaves: a file of some length, and nothing in it.
    std::fs::write(new_file(&path), vec![0; 100_000]).unwrap();
    drop(open(&folder).unwrap());
    assert!(path.exists() && !new_file(&path).exists());
    let _store = open(&folder).unwrap();
}

#[tokio::test]
async fn two_first_starts_at_once_make_one_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata.redb");
    let first = open(&folder).unwrap();
    // The second one found no file, a moment ago.
    assert!(matches!(make_database(&path), Err(StoreError::InUse { .. })));
    first.propose(request(), create("s"), deadline()).await;
    let before = list(&first).await;
    drop(first);
    drop(make_database(&path).unwrap());
    assert_eq!(list(&open(&folder).unwrap()).await, before);
    assert!(!new_file(&path).exists());
}

#[test]
fn a_full_disk_is_named_with_what_helps() {
    let path = Path::new("/data/metadata.redb");
    let error = StoreError::open(path, io::ErrorKind::StorageFull.into());
    assert!(error.to_string().contains("/data/metadata.redb; free some on its file system"), "{error}");
}
