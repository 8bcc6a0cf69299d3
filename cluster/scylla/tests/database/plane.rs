//! A metadata plane in memory, and a projector below it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use base::{Clock, SystemClock, SystemRandomness, WallTime};
use cluster_model::{
    Change, ChangeLog, Command, Consistency, Filter, Meta, Outcome, Proposal, Query, ReadFailed, Reading,
    RequestId, Revision, Row, RowKind, Stamped, State, Watch, apply,
};
use parking_lot::Mutex;
use penstock_cluster_scylla::{
    Database, ProjectionFigures, Projector, ProjectorParts, ProjectorTuning, ScyllaOptions, Table,
};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::server::keyspace_of;
use crate::testing::CqlServer;

/// The name of the cluster under test.
pub const CLUSTER: &str = "one";
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Plane {
    inner: Mutex<Inner>,
    log: Arc<ChangeLog>,
}

struct Inner {
    state: State,
    requests: u128,
    /// The last revision that changed something.
    changed: Revision,
    /// The last revision of each row that is there and was changed here.
    written: BTreeMap<(RowKind, String), Revision>,
}

impl Plane {
    pub fn new() -> Arc<Self> {
        Self::of(State::default())
    }

    pub fn of(state: State) -> Arc<Self> {
        let revision = state.revision();
        let (requests, written) = (u128::from(revision.0) << 64, BTreeMap::new());
        let inner = Inner { requests, changed: revision, state, written };
        Arc::new(Self { inner: Mutex::new(inner), log: ChangeLog::new(revision) })
    }

    pub fn run(&self, command: Command) -> Outcome {
        self.run_at(SystemClock.wall(), command)
    }

    /// The same at another time, which is that of the state from then on.
    pub fn run_at(&self, at: WallTime, command: Command) -> Outcome {
        let inner = &mut *self.inner.lock();
        inner.requests += 1;
        let request = RequestId::from_u128(inner.requests);
        let applied = apply(&mut inner.state, Stamped { request, at, command });
        if !applied.changes.is_empty() {
            inner.changed = applied.revision;
        }
        for key in applied.changes.iter().filter_map(Change::key) {
            inner.written.insert(key, applied.revision);
        }
        self.log.push(applied.revision, applied.changes, SystemClock.now());
        applied.outcome
    }

    pub fn state(&self) -> State {
        self.inner.lock().state.clone()
    }

    pub fn changed(&self) -> Revision {
        self.inner.lock().changed
    }

    /// The revision that wrote a row last; zero: none here.
    pub fn written(&self, kind: RowKind, key: &str) -> Revision {
        self.inner.lock().written.get(&(kind, key.to_owned())).copied().unwrap_or_default()
    }
}

#[async_trait]
impl Meta for Plane {
    async fn propose(&self, _: RequestId, command: Command, _: Instant) -> Proposal {
        let outcome = self.run(command);
        Proposal::Applied { revision: self.state().revision(), outcome }
    }

    async fn read(&self, query: Query, _: Consistency, _: Instant) -> Result<Reading, ReadFailed> {
        Ok(self.inner.lock().state.answer(&query))
    }

    fn watch(&self, filter: Filter, from: Revision) -> Watch {
        self.log.watch(filter, from)
    }
}

/// A projector and who says whether it leads.
pub struct Projecting {
    pub projector: Projector,
    pub leads: watch::Sender<Option<u64>>,
}

/// A plane whose empty state is in a keyspace of its own, and goes on being projected there.
pub async fn projected(server: &CqlServer) -> (Arc<Plane>, ScyllaOptions, Projecting) {
    let (plane, options) = (Plane::new(), keyspace_of(server));
    let projecting = project(&plane, &options);
    projecting.until(|figures| figures.listed == 1).await;
    (plane, options, projecting)
}

/// Starts a projector of `plane` that leads.
pub fn project(plane: &Arc<Plane>, options: &ScyllaOptions) -> Projecting {
    project_with(plane, options, CLUSTER, ProjectorTuning::default())
}

pub fn project_with(
    plane: &Arc<Plane>,
    options: &ScyllaOptions,
    cluster: &str,
    tuning: ProjectorTuning,
) -> Projecting {
    let projecting = waiting(plane, options, cluster, tuning);
    projecting.leads.send_replace(Some(plane.state().generation()));
    projecting
}

/// A projector of `plane` that does not lead yet.
pub fn waiting(
    plane: &Arc<Plane>,
    options: &ScyllaOptions,
    cluster: &str,
    tuning: ProjectorTuning,
) -> Projecting {
    let (leads, leading) = watch::channel(None);
    let projector = Projector::start(ProjectorParts {
        meta: Arc::clone(plane) as Arc<dyn Meta>,
        clock: Arc::new(SystemClock),
        randomness: Arc::new(SystemRandomness),
        leading,
        cluster_id: cluster.to_owned(),
        options: options.clone(),
        tuning,
    });
    Projecting { projector, leads }
}

impl Projecting {
    /// Waits until its figures are as `wanted` says.
    pub async fn until(&self, wanted: impl FnMut(&ProjectionFigures) -> bool) -> ProjectionFigures {
        let mut changes = self.projector.changes();
        match timeout(PATIENCE, changes.wait_for(wanted)).await {
            Ok(Ok(figures)) => figures.clone(),
            _ => panic!("it stays at {:?}", self.projector.figures()),
        }
    }

    /// Waits until everything that `plane` changed is in the database.
    pub async fn until_projected(&self, plane: &Plane) {
        let wanted = plane.changed();
        self.until(|figures| figures.projected >= wanted).await;
    }
}

fn stored<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Vec<(u8, String, Vec<u8>)> {
    let mut rows: Vec<_> = changes
        .into_iter()
        .filter_map(|change| change.row().expect("a row"))
        .map(|Row { kind, key, value }| (kind.number(), key, value.expect("a row that is there")))
        .collect();
    rows.sort();
    rows
}

/// The tables hold the rows of `state`, all of them and no others.
pub async fn assert_equal(database: &Database, state: &State) {
    let all: Vec<_> = state.rows().collect();
    for table in Table::STATE {
        let found: Vec<_> = database.state_rows(table).await.expect("rows").into_iter().collect();
        let found = stored(found.iter().map(|(_, change)| change));
        let kind = table.kind().expect("a kind").number();
        let mut wanted = stored(&all);
        wanted.retain(|(of, _, _)| *of == kind);
        let keys = |rows: &[(u8, String, Vec<u8>)]| -> Vec<String> {
            rows.iter().map(|(_, key, _)| key.replace('\0', "/")).collect()
        };
        assert_eq!(keys(&found), keys(&wanted), "rows of {}", table.name());
        assert!(found == wanted, "values of {}", table.name());
    }
}
