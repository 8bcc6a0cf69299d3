use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use base::{SystemClock, SystemRandomness};
use cluster_model::testing::{InMemory, seals};
use cluster_model::{
    Command, Consistency, Filter, Meta, NodeCard, NodeId, Nodes, Proposal, Query, ReadFailed, Reading,
    RequestId, Revision, Watch,
};

use super::*;

/// How long a commit takes; those that are proposed meanwhile share the next one.
const COMMIT: Duration = Duration::from_millis(10);

/// A plane that takes its time over what is given back, and counts those who wait for it.
struct Slow {
    inner: InMemory,
    waiting: AtomicUsize,
    most: AtomicUsize,
}

#[async_trait]
impl Meta for Slow {
    async fn propose(&self, request: RequestId, command: Command, deadline: Instant) -> Proposal {
        if matches!(command, Command::ReleaseSlot { .. }) {
            let waiting = self.waiting.fetch_add(1, Ordering::Relaxed) + 1;
            self.most.fetch_max(waiting, Ordering::Relaxed);
            // On the paused clock: no time passes.
            tokio::time::sleep(COMMIT).await;
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        self.inner.propose(request, command, deadline).await
    }

    async fn read(
        &self,
        query: Query,
        consistency: Consistency,
        deadline: Instant,
    ) -> Result<Reading, ReadFailed> {
        self.inner.read(query, consistency, deadline).await
    }

    fn watch(&self, filter: Filter, from: Revision) -> Watch {
        self.inner.watch(filter, from)
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_leave_at_once_do_not_wait_for_each_other() {
    const LEAVE: u128 = 2_000;
    let (clock, randomness) = (Arc::new(SystemClock), Arc::new(SystemRandomness));
    let slow = Arc::new(Slow {
        inner: InMemory::new(clock.clone()),
        waiting: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
    });
    let meta: Arc<dyn Meta> = Arc::clone(&slow) as _;
    let nodes = Nodes::new(Arc::clone(&meta), clock.clone(), randomness.clone());
    let card = NodeCard { address: "a".to_owned(), relay: String::new(), version: String::new() };
    let owner = nodes.join(NodeId(1), card).await.unwrap();
    let subscribers = Subscribers::new(meta, seals(), clock, randomness);
    let (app, stream) = (AppName::new("LiveApp").unwrap(), StreamId::new("s").unwrap());
    let who = |n: u128| SubscriberId::new(&format!("viewer{n}")).unwrap();
    let session = SessionId::from_u128;
    let (given_back, slots) = mpsc::channel(limits::SLOTS_GIVEN_BACK_MAX);
    let on_their_way = Arc::<OnTheirWay>::default();
    for n in 0..LEAVE {
        subscribers.acquire(&app, &stream, &who(n), session(n), owner).await.unwrap();
    }

    for n in 0..LEAVE {
        let of = (app.clone(), stream.clone(), who(n));
        drop(Slot::new(of, (session(n), owner), given_back.clone(), Arc::clone(&on_their_way)));
    }
    drop(given_back);
    assert!(on_their_way.has(&(app.clone(), stream.clone(), who(LEAVE - 1))));
    // One after the other they would need a commit each.
    let commits = LEAVE as u32 / limits::SLOTS_GIVEN_BACK_AT_ONCE_MAX as u32;
    let giving_back = give_back(slots, subscribers.clone(), Arc::clone(&on_their_way));
    tokio::time::timeout(3 * commits * COMMIT, giving_back).await.expect("all given back in time");
    assert!((0..LEAVE).all(|n| !on_their_way.has(&(app.clone(), stream.clone(), who(n)))));
    assert_eq!(slow.most.load(Ordering::Relaxed), limits::SLOTS_GIVEN_BACK_AT_ONCE_MAX);
    // All of them may come again, in another session.
    for n in 0..LEAVE {
        subscribers.acquire(&app, &stream, &who(n), session(LEAVE + n), owner).await.unwrap();
    }
}
