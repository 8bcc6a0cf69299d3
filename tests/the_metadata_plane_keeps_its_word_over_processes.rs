//! The conformance suite of the metadata plane over three processes, by a node that is no member: while nothing happens to
//! them, while leadership goes round, and with all of them killed and started again between a write and what follows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use cluster_model::testing::conformance::{Case, Subject, cases};
use cluster_model::{
    Command, Consistency, Filter, Meta, Proposal, Query, ReadFailed, Reading, RequestId, Revision, Watch,
};
use futures_util::stream::{StreamExt, iter};
use test_support::{Cluster, ClusterClient, Turn, in_full, note};
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;
use tokio::time::sleep;

const VOTERS: usize = 3;
/// Clusters that are at work at one time: they mostly wait.
const AT_ONCE: usize = 3;
/// How often another one leads.
const TERM: Duration = Duration::from_millis(100);
/// Answers until all members are killed.
const ANSWERS_UNTIL_KILLED: usize = 2;
/// What is hardest for several that must agree. All of the suite is run in full.
const SAMPLE: &[&str] = &[
    "revisions_grow_by_one",
    "a_retry_is_applied_once_and_answered_as_before",
    "a_request_in_many_hands_is_applied_once",
    "an_answered_command_is_seen_by_the_next_reader",
    "an_answered_command_is_seen_by_the_next_local_reader",
    "of_concurrent_writers_of_settings_one_wins",
    "a_watch_that_fell_behind_lists_again_and_resumes",
    "of_many_who_spend_a_token_at_once_one_is_let_in",
    "of_many_who_claim_a_stream_at_once_one_has_it",
    "a_batch_of_facts_counts_once",
    "who_absorbs_everything_has_what_is_listed",
];
/// Count revisions while none but they write, or want a watch that need not list again: a process that comes back writes
/// that it did, and what it could have told of before is gone with it.
const NOT_WITH_KILLS: &[&str] = &[
    "revisions_grow_by_one",
    "a_retry_is_applied_once_and_answered_as_before",
    "a_watch_tells_what_its_filter_wants_in_order",
    "a_watch_that_fell_behind_lists_again_and_resumes",
    "a_block_is_told_to_watchers_and_lifted_again",
    "who_absorbs_everything_has_what_is_listed",
];

/// A cluster of its own for every case, and a client of it.
async fn client() -> Result<(Cluster, ClusterClient)> {
    let cluster = Cluster::start(env!("CARGO_BIN_EXE_penstock"), VOTERS).await?;
    let client = cluster.client(VOTERS + 1).await?;
    Ok((cluster, client))
}

/// What was done to the clusters of a run.
type Struck = Arc<AtomicUsize>;

async fn steady(_: Struck) -> Result<Subject> {
    let (cluster, client) = client().await?;
    Ok(Subject { meta: Arc::clone(&client.meta) as Arc<dyn Meta>, keep: Box::new((client, cluster)) })
}

/// Ends its task when it is dropped.
struct Turmoil(JoinHandle<()>);

impl Drop for Turmoil {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn while_leadership_goes_round(struck: Struck) -> Result<Subject> {
    let (cluster, client) = client().await?;
    let meta = Arc::clone(&client.meta) as Arc<dyn Meta>;
    let cluster = Arc::new(cluster);
    let of_task = Arc::clone(&cluster);
    let (first, went_over) = oneshot::channel();
    let turmoil = Turmoil(tokio::spawn(async move {
        let mut first = Some(first);
        for next in (1..=VOTERS).cycle() {
            // Refused while nobody leads: then the next one is asked for. Who leads already is no news.
            let led = of_task.leader().await;
            let asked = of_task.plan().command(next, &["cluster", "transfer", &next.to_string()]).await;
            if asked.is_ok_and(|said| said.status.success()) && led.is_some_and(|led| led != next) {
                struck.fetch_add(1, Ordering::Relaxed);
                // Said once.
                first.take().map(|first| first.send(()));
            }
            // The rhythm of what is done to the cluster: nothing is waited for.
            sleep(TERM).await;
        }
    }));
    // However short the case is: it begins while leadership goes over.
    went_over.await?;
    Ok(Subject { meta, keep: Box::new((turmoil, client, cluster)) })
}

/// Has all members killed and started again once it was answered so often, before anybody is told.
struct Mortal {
    client: ClusterClient,
    cluster: Mutex<Cluster>,
    answered: AtomicUsize,
    struck: Struck,
}

#[async_trait]
impl Meta for Mortal {
    async fn propose(&self, request: RequestId, command: Command, deadline: Instant) -> Proposal {
        let proposal = self.client.meta.propose(request, command, deadline).await;
        let is_answer = matches!(proposal, Proposal::Applied { .. });
        if is_answer && self.answered.fetch_add(1, Ordering::Relaxed) + 1 == ANSWERS_UNTIL_KILLED {
            self.cluster.lock().await.kill9_and_restart_all().await.expect("the members come back");
            self.struck.fetch_add(1, Ordering::Relaxed);
        }
        proposal
    }

    async fn read(
        &self,
        query: Query,
        consistency: Consistency,
        deadline: Instant,
    ) -> Result<Reading, ReadFailed> {
        self.client.meta.read(query, consistency, deadline).await
    }

    fn watch(&self, filter: Filter, from: Revision) -> Watch {
        self.client.meta.watch(filter, from)
    }
}

async fn with_kills(struck: Struck) -> Result<Subject> {
    let (cluster, client) = client().await?;
    let (cluster, answered) = (Mutex::new(cluster), AtomicUsize::new(0));
    Ok(Subject { meta: Arc::new(Mortal { client, cluster, answered, struck }), keep: Box::new(()) })
}

/// Runs each case over what `subject` makes, and tells of those that do not hold. Gives how many there were, and how often
/// a cluster was struck meanwhile.
async fn conforms<F>(how: &str, subject: fn(Struck) -> F, but: &[&str]) -> Result<(usize, usize)>
where
    F: Future<Output = Result<Subject>> + Send + 'static,
{
    let _turn = Turn::take().await?;
    let wanted = |case: &Case| !but.contains(&case.name) && (in_full() || SAMPLE.contains(&case.name));
    let chosen: Vec<_> = cases().into_iter().filter(wanted).collect();
    let (count, struck) = (chosen.len(), Struck::default());
    let runs = iter(chosen).map(|Case { name, run }| {
        let subject = subject(Arc::clone(&struck));
        async move {
            let holds = tokio::spawn(async move {
                run(subject.await.context("no cluster")?).await;
                anyhow::Ok(())
            });
            match holds.await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(format!("{name}: {error:#}")),
                Err(panic) => Some(format!("{name}: {panic}")),
            }
        }
    });
    let broken: Vec<_> = runs.buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await;
    ensure!(broken.is_empty(), "{how}: {broken:#?}");
    let struck = struck.load(Ordering::Relaxed);
    note(&format!("{how}: {count} cases hold, struck {struck} times"));
    Ok((count, struck))
}

#[tokio::test(flavor = "multi_thread")]
async fn three_processes_by_a_client() -> Result<()> {
    conforms("three processes by a client", steady, &[]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn three_processes_while_leadership_goes_round() -> Result<()> {
    let how = "three processes while leadership goes round";
    let (cases, transfers) = conforms(how, while_leadership_goes_round, &[]).await?;
    ensure!(transfers >= cases, "leadership went over only {transfers} times in {cases} cases");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn three_processes_killed_after_a_write() -> Result<()> {
    let (cases, killed) =
        conforms("three processes killed after a write", with_kills, NOT_WITH_KILLS).await?;
    // Some cases end before there were so many answers.
    ensure!(2 * killed >= cases, "the members were killed only {killed} times in {cases} cases");
    Ok(())
}
