//! A child process writes and says what was acknowledged, is killed with SIGKILL in the middle of it,
//! and what it said is found again. Several rounds over one file.

#![expect(clippy::panic, reason = "a test: a panic is how it fails")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{AppName, Clock, StreamId, SystemClock, SystemRandomness};
use cluster_model::{
    Answer, Change, Command, Consistency, Filter, Meta, Outcome, Proposal, Query, RequestId, Revision,
};
use penstock_cluster_node::Node;

const ROLE: &str = "PENSTOCK_TEST_STORE";
const ROUND: &str = "PENSTOCK_TEST_ROUND";
/// Acknowledged commands after which each round's child is killed.
const KILLED_AFTER: [usize; 6] = [1, 3, 17, 64, 200, 333];
/// Writers of the child, so that commits hold several commands.
const WRITERS: usize = 8;

fn main() {
    match std::env::var_os(ROLE) {
        Some(path) => write_until_killed(Path::new(&path)),
        None => kill_and_look(),
    }
}

fn deadline() -> Instant {
    SystemClock.now() + Duration::from_secs(30)
}

fn app() -> AppName {
    AppName::new("LiveApp").expect("a name")
}

fn create(stream: &str) -> Command {
    Command::CreateBroadcast {
        app: app(),
        stream: StreamId::new(stream).expect("a name"),
        broadcast: Box::default(),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

#[expect(clippy::print_stdout, reason = "standard output is how the child talks to the test")]
fn write_until_killed(path: &Path) {
    let round = std::env::var(ROUND).expect("a round");
    let store = Arc::new(Node::alone(path, Arc::new(SystemClock)).expect("a store"));
    runtime().block_on(async {
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            let (store, round) = (Arc::clone(&store), round.clone());
            writers.spawn(async move {
                for n in 0.. {
                    let request = RequestId::random(&SystemRandomness);
                    let name = format!("r{round}-w{writer}-{n}");
                    match store.propose(request, create(&name), deadline()).await {
                        Proposal::Applied { revision, outcome: Outcome::Done } => {
                            println!("{} {revision} {name}", request.as_u128());
                            std::io::stdout().flush().expect("the test listens");
                        }
                        other => panic!("{other:?}"),
                    }
                }
            });
        }
        writers.join_all().await;
    });
}

fn kill_and_look() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("metadata.redb");
    let runtime = runtime();
    let mut acknowledged = BTreeSet::new();
    for (round, killed_after) in KILLED_AFTER.into_iter().enumerate() {
        let last = one_life(&path, round, killed_after, &mut acknowledged);
        let store = Node::alone(&path, Arc::new(SystemClock)).expect("opens after a kill");
        let reading = runtime
            .block_on(store.read(
                Query::List(Filter::Broadcasts(app())),
                Consistency::Linearizable,
                deadline(),
            ))
            .expect("an answer");
        let Answer::Listed(changes) = reading.answer else {
            panic!("not a list");
        };
        let found: BTreeSet<String> = changes.iter().map(name_of).collect();
        let lost: Vec<_> = acknowledged.difference(&found).collect();
        assert!(lost.is_empty(), "round {round}: acknowledged and lost: {lost:?}");
        // At most what was on its way was written and not acknowledged, and each command once.
        let unsaid = found.len() - acknowledged.len();
        assert!(unsaid <= (round + 1) * WRITERS, "round {round}: {unsaid} nobody spoke of");
        assert_eq!(reading.revision, Revision(found.len() as u64), "round {round}");
        assert_eq!(
            runtime.block_on(store.propose(last.request, create(&last.name), deadline())),
            Proposal::Applied { revision: last.revision, outcome: Outcome::Done },
            "round {round}: a retry after the kill"
        );
    }
}

fn name_of(change: &Change) -> String {
    match change {
        Change::Broadcast { stream, now: Some(_), .. } => stream.to_string(),
        other => panic!("{other:?}"),
    }
}

struct Last {
    request: RequestId,
    revision: Revision,
    name: String,
}

/// Lets a child write, kills it after so many acknowledgements and collects all of them.
fn one_life(path: &Path, round: usize, killed_after: usize, acknowledged: &mut BTreeSet<String>) -> Last {
    let mut child = Process::new(std::env::current_exe().expect("this binary"))
        .env(ROLE, path)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut last = None;
    for (n, line) in lines.enumerate() {
        let line = line.expect("a line");
        // A line is shorter than what a pipe takes at once, so no kill cuts it.
        let [request, revision, name] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line:?}");
        };
        acknowledged.insert(name.to_owned());
        last = Some(Last {
            request: RequestId::from_u128(request.parse().expect("a request id")),
            revision: Revision(revision.parse().expect("a revision")),
            name: name.to_owned(),
        });
        if n + 1 == killed_after {
            child.kill().expect("SIGKILL");
        }
    }
    let status = child.wait().expect("its end");
    assert!(!status.success(), "the child ended by itself: {status}");
    last.expect("at least one acknowledgement")
}
