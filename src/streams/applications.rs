//! The node's applications: how sessions and REST reach them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use actix::prelude::*;
use actix_rt::ArbiterHandle;
use base::{AppName, Clock, ExitReason, StreamId, limits};
use config::DuplicatePublish;
use media::MediaBudget;
use observe::metric;
use parking_lot::RwLock;
use security::Permit;
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::application::{Application, Close, Drain, Find, Play, Publish, Stop, Wait};
use crate::ending::Ending;
use crate::grants::{LiveStream, PlayError, PlayGrant, PublishError, PublishGrant, PublisherFacts};
use crate::obituary::Obituaries;
use crate::plane::{Claims, FactLog};
use crate::reader::ReaderFactory;
use crate::statistics::LiveStatistics;

/// What the actors work with.
pub struct Services {
    /// Which streams this node has, and their records.
    pub claims: Claims,
    /// Where beginnings and ends of sessions are noted.
    pub facts: FactLog,
    /// What reads every stream.
    pub readers: Vec<Arc<dyn ReaderFactory>>,
    /// What live media may take in memory.
    pub media: Arc<MediaBudget>,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
    /// Where the figures of every live stream are kept.
    pub statistics: LiveStatistics,
    /// What becomes of publishers that vanish, and of second ones.
    pub publish: PublishPolicy,
}

/// What becomes of publishers that vanish, and of second ones.
#[derive(Clone, Copy, Debug)]
pub struct PublishPolicy {
    /// How long a stream waits for a publisher that was lost without a goodbye.
    pub grace: Duration,
    /// What becomes of a second publisher of a live stream.
    pub duplicate: DuplicatePublish,
}

/// An application's actor that is gone: its name, and which of those that had it.
pub(crate) type Died = (AppName, u64);

struct Running {
    incarnation: u64,
    addr: Addr<Application>,
}

struct Inner {
    services: Arc<Services>,
    apps: RwLock<BTreeMap<AppName, Running>>,
    ends: Obituaries<Died>,
    incarnations: AtomicU64,
    draining: AtomicBool,
    /// Requests under way to the actors. `send` does not respect a mailbox's limit, so it is here.
    requests: Semaphore,
}

/// The door to the applications. Clones are the same set.
#[derive(Clone)]
pub struct Applications(Arc<Inner>);

impl Applications {
    /// Starts an actor per application on this Arbiter, and again whenever one dies.
    pub fn start(services: Services, names: &[AppName]) -> Self {
        let inner = Arc::new(Inner {
            services: Arc::new(services),
            apps: RwLock::new(BTreeMap::new()),
            ends: Obituaries::default(),
            incarnations: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            requests: Semaphore::new(limits::ACTOR_REQUESTS_MAX),
        });
        for name in names {
            Self::create(&inner, name.clone());
        }
        let watched = Arc::downgrade(&inner);
        let ends = inner.ends.clone();
        actix_rt::spawn(async move {
            loop {
                let gone = ends.next().await;
                let Some(inner) = watched.upgrade() else { return };
                for (name, incarnation) in gone {
                    // One that was taken out ends too, and another may have its name by now.
                    if inner.apps.read().get(&name).is_none_or(|app| app.incarnation != incarnation) {
                        continue;
                    }
                    metric::actor_restarts("application").increment(1);
                    tracing::error!(app = %name, "an application died and is started anew");
                    Self::create(&inner, name);
                }
            }
        });
        Self(inner)
    }

    fn create(inner: &Arc<Inner>, name: AppName) {
        let incarnation = inner.incarnations.fetch_add(1, Ordering::Relaxed);
        let guard = inner.ends.guard((name.clone(), incarnation));
        let addr = Application::new(name.clone(), Arc::clone(&inner.services), guard).start();
        inner.apps.write().insert(name, Running { incarnation, addr });
    }

    /// Starts an application that was made while the node runs. To be called on the Arbiter of the others.
    pub fn open(&self, name: &AppName) {
        if !self.contains(name) {
            Self::create(&self.0, name.clone());
        }
    }

    /// Takes an application out, ends its streams, and waits until they are gone and recorded.
    pub async fn close(&self, name: &AppName, reason: ExitReason) {
        let app = self.0.apps.write().remove(name);
        if let Some(app) = app
            && app.addr.send(Close(reason)).await.is_err()
        {
            tracing::warn!(app = %name, "the application was gone before its streams were ended");
        }
    }

    fn app(&self, name: &AppName) -> Option<Addr<Application>> {
        self.0.apps.read().get(name).map(|app| app.addr.clone())
    }

    /// A place among the requests under way; `None`: too many, or the node is draining.
    fn request(&self) -> Option<SemaphorePermit<'_>> {
        let draining = self.0.draining.load(Ordering::Acquire);
        (!draining).then(|| self.0.requests.try_acquire().ok()).flatten()
    }

    /// The names of the applications, in order.
    pub fn names(&self) -> Vec<AppName> {
        self.0.apps.read().keys().cloned().collect()
    }

    /// Whether there is such an application; names are case-sensitive.
    pub fn contains(&self, name: &AppName) -> bool {
        self.0.apps.read().contains_key(name)
    }

    /// What live media may take in memory, and takes.
    pub fn media_budget(&self) -> &Arc<MediaBudget> {
        &self.0.services.media
    }

    /// Whether the node's memory has room for another publisher. To be asked before the gate: what
    /// lets in once must not be spent on a node that has none.
    pub fn has_room_for_publisher(&self) -> bool {
        let room = self.media_budget().has_room();
        if !room {
            let (held, max) = (self.media_budget().held(), self.media_budget().bytes_max());
            tracing::warn!(held, max, "a publisher is refused: the media budget is nearly spent");
            metric::admissions_refused("publish", "media budget").increment(1);
        }
        room
    }

    /// Begins the stream of a publisher that passed the gate.
    pub async fn publish(&self, permit: Permit, facts: PublisherFacts) -> Result<PublishGrant, PublishError> {
        let app = self.app(permit.app()).ok_or(PublishError::NoSuchApplication)?;
        let _under_way = self.request().ok_or(PublishError::Overloaded)?;
        app.send(Publish { permit, facts }).await.unwrap_or(Err(PublishError::Overloaded))
    }

    /// Joins a player that passed the gate; its actor runs on `arbiter`, and `ending` is its end.
    pub async fn play(
        &self,
        permit: Permit,
        ending: Ending,
        arbiter: ArbiterHandle,
    ) -> Result<PlayGrant, PlayError> {
        let app = self.app(permit.app()).ok_or(PlayError::NoSuchApplication)?;
        let _under_way = self.request().ok_or(PlayError::Overloaded)?;
        app.send(Play { permit, ending, arbiter }).await.unwrap_or(Err(PlayError::Overloaded))
    }

    /// A receiver that turns true when the stream begins; `None` when too many wait already.
    pub async fn wait(&self, app: &AppName, stream: &StreamId) -> Option<watch::Receiver<bool>> {
        let _under_way = self.request()?;
        self.app(app)?.send(Wait(stream.clone())).await.ok().flatten()
    }

    /// One stream, if it is live and can be played.
    pub async fn find(&self, app: &AppName, stream: &StreamId) -> Option<LiveStream> {
        let _under_way = self.request()?;
        self.app(app)?.send(Find(stream.clone())).await.ok().flatten()
    }

    /// The node that publishes a stream, if that is another one, in words.
    pub async fn elsewhere(&self, app: &AppName, stream: &StreamId) -> Option<String> {
        self.0.services.claims.elsewhere(app, stream).await
    }

    /// Ends a stream and waits until it is gone; `false` when it was not live.
    pub async fn stop(&self, app: &AppName, stream: &StreamId, reason: ExitReason) -> bool {
        match self.app(app) {
            Some(app) => app.send(Stop(stream.clone(), reason)).await.unwrap_or(false),
            None => false,
        }
    }

    /// Lets nobody in any more, ends every stream of every application, and waits until they are
    /// gone and recorded.
    pub async fn drain(&self) {
        self.0.draining.store(true, Ordering::Release);
        let apps: Vec<_> = self.0.apps.read().values().map(|app| app.addr.clone()).collect();
        for app in apps {
            if app.send(Drain).await.is_err() {
                tracing::warn!("an application was gone before it could drain");
            }
        }
    }
}

#[cfg(test)]
impl Applications {
    /// Has an application panic.
    pub(crate) async fn fault(&self, app: &AppName) {
        let app = self.app(app).expect("an application");
        assert!(app.send(crate::fault::Fault).await.is_err());
    }

    /// Has a stream panic.
    pub(crate) async fn fault_stream(&self, app: &AppName, stream: &StreamId) {
        let app = self.app(app).expect("an application");
        app.send(crate::application::FaultStream(stream.clone())).await.expect("the application lives");
    }
}
