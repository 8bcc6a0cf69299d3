//! The database below the metadata plane, as this node uses it.

use std::sync::Arc;
use std::time::Duration;

use api::EventsPage;
use async_trait::async_trait;
use base::{AppName, Clock, Randomness, StreamId};
use cluster_model::{Meta, MetaError, SubscriberId, Subscribers};
use cluster_scylla::{
    Credentials, EventsWanted, History, Projector, ProjectorParts, ProjectorTuning, Replication,
    ScyllaOptions,
};
use config::ScyllaConfig;
use observe::{Metrics, metric};
use tokio::sync::watch;

use super::Plane;

/// How the database is reached; `None`: there is none.
pub(super) fn options(config: &ScyllaConfig) -> Option<ScyllaOptions> {
    if config.contact_points.is_empty() {
        return None;
    }
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let factor = config.replication_factor;
    let datacenter = some(&config.datacenter);
    Some(ScyllaOptions {
        replication: match &datacenter {
            Some(name) => Replication::PerDatacenter(vec![(name.clone(), factor)]),
            None => Replication::Simple { factor },
        },
        credentials: some(&config.user).map(|user| Credentials { user, password: config.password.clone() }),
        datacenter,
        history_kept: Duration::from_secs(u64::from(config.history_days) * 24 * 3_600),
        ..ScyllaOptions::new(config.contact_points.clone(), config.keyspace.clone())
    })
}

/// What happened in the past: by the database, or by what the state still has of it.
pub enum Past {
    /// The database, and the state where it is away.
    Database(Box<History>),
    /// There is none.
    State(Subscribers),
}

#[async_trait]
impl api::History for Past {
    async fn events(
        &self,
        app: &AppName,
        stream: &StreamId,
        subscriber: Option<SubscriberId>,
        offset: usize,
        size: usize,
    ) -> Result<EventsPage, MetaError> {
        match self {
            Self::Database(history) => {
                let (app, stream) = (app.clone(), stream.clone());
                let page = history.events(&EventsWanted { app, stream, subscriber, offset, size }).await?;
                let rows = page.rows.into_iter().map(|shown| (shown.subscriber, shown.event)).collect();
                Ok(EventsPage { rows, partial: page.partial })
            }
            Self::State(subscribers) => {
                let rows = subscribers.events(app, stream, subscriber.as_ref(), offset, size).await?;
                let rows = rows.into_iter().map(|(subscriber, event)| (Some(subscriber), event)).collect();
                Ok(EventsPage { rows, partial: false })
            }
        }
    }
}

/// Keeps the database up with the plane while this node leads, if there is a database; and reads the past.
pub fn use_database(
    config: &ScyllaConfig,
    plane: &Plane,
    subscribers: Subscribers,
    meta: &Arc<dyn Meta>,
    clock: &Arc<dyn Clock>,
    randomness: &Arc<dyn Randomness>,
    metrics: &Metrics,
) -> Past {
    let (Some(options), Some(cluster)) = (options(config), plane.cluster()) else {
        return Past::State(subscribers);
    };
    let projector = Projector::start(ProjectorParts {
        meta: Arc::clone(meta),
        clock: Arc::clone(clock),
        randomness: Arc::clone(randomness),
        leading: leading(plane),
        cluster_id: cluster.to_string(),
        options: options.clone(),
        tuning: ProjectorTuning::default(),
    });
    metrics.follow(move || {
        let figures = projector.figures();
        metric::projection_reachable().set(if figures.reachable { 1.0 } else { 0.0 });
        metric::projection_lag().set(figures.lag_entries as f64);
        metric::projection_outbox().set(figures.outbox_bytes as f64);
        metric::projection_behind().absolute(figures.fell_behind);
        metric::projection_dead_letters().absolute(figures.dead_letters);
        metric::projection_facts_lost().absolute(figures.facts_lost);
    });
    let history = History::new(options, cluster.to_string(), Arc::clone(meta), Arc::clone(clock));
    Past::Database(Box::new(history))
}

/// The generation of this node's state while it leads, now and whenever that changes. Only whoever leads knows it: before,
/// the state may not be there yet.
fn leading(plane: &Plane) -> watch::Receiver<Option<u64>> {
    let node = Arc::clone(&plane.node);
    let mut status = node.status();
    let leads = move |leads: bool| leads.then(|| node.generation()).flatten();
    let (says, leading) = watch::channel(leads(status.borrow_and_update().leads));
    actix_rt::spawn(async move {
        while status.changed().await.is_ok() {
            let now = leads(status.borrow_and_update().leads);
            says.send_if_modified(|said| std::mem::replace(said, now) != now);
        }
    });
    leading
}
