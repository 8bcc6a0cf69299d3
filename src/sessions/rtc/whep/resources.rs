//! The plays that WHEP began: one owner of their names, which go with their players.

use std::collections::HashMap;
use std::sync::Arc;

use base::{AppName, ExitReason, Randomness, StreamId, limits};
use parking_lot::Mutex;
use rtc::Fragment;
use streams::Ending;
use tokio::sync::oneshot;

use super::super::context::SignallingContext;
use super::super::follow::Follow;
use super::super::shards::PlayerControl;
use crate::connections::OpenConnection;

/// Letters and digits of a resource's name: nobody guesses 190 bits, so who knows the name may end the play.
const NAME_LENGTH: usize = 32;
const ETAG_LENGTH: usize = 16;

/// One play, as its player asks for it.
pub(super) struct Resource {
    pub(super) app: AppName,
    stream: StreamId,
    name: String,
    /// Names the ICE session, with quotes.
    pub(super) etag: String,
    pub(super) ending: Ending,
    pub(super) control: PlayerControl,
    /// The peer's ICE names, once they are known.
    ufrags: Mutex<Vec<String>>,
}

impl Resource {
    /// A play that has begun.
    pub(super) fn new(
        app: AppName,
        stream: StreamId,
        ending: Ending,
        control: PlayerControl,
        ufrags: Vec<String>,
        randomness: &dyn Randomness,
    ) -> Self {
        let name = randomness.alphanumeric(NAME_LENGTH);
        let etag = format!("\"{}\"", randomness.alphanumeric(ETAG_LENGTH));
        Self { app, stream, name, etag, ending, control, ufrags: Mutex::new(ufrags) }
    }

    /// Where it is found.
    pub(super) fn path(&self) -> String {
        format!("/{}/whep/{}/{}", self.app, self.stream, self.name)
    }

    /// Notes who has answered.
    pub(super) fn answered(&self, ufrag: Option<String>) {
        *self.ufrags.lock() = ufrag.into_iter().collect();
    }

    /// Whether a fragment is of another ICE session than the one agreed on.
    pub(super) fn is_restarted_by(&self, fragment: &Fragment) -> bool {
        let known = self.ufrags.lock();
        fragment.ufrag.as_ref().is_some_and(|other| !known.is_empty() && !known.contains(other))
    }

    fn is_at(&self, app: &str, stream: &str) -> bool {
        self.app.as_str() == app && self.stream.as_str() == stream
    }
}

/// The plays of WHEP that go on, by name.
#[derive(Default)]
pub struct WhepResources(Mutex<HashMap<String, Arc<Resource>>>);

/// Application, stream and name, as the path has them.
type Path = (String, String, String);

impl WhepResources {
    /// There may be no more of them.
    pub(super) fn is_full(&self) -> bool {
        self.0.lock().len() >= limits::WHEP_RESOURCES_MAX
    }

    pub(super) fn find(&self, (app, stream, name): &Path) -> Option<Arc<Resource>> {
        self.0.lock().get(name).filter(|resource| resource.is_at(app, stream)).cloned()
    }

    /// Takes it away from who asks later.
    pub(super) fn take(&self, path: &Path) -> Option<Arc<Resource>> {
        self.find(path).and_then(|resource| self.0.lock().remove(&resource.name))
    }
}

/// What a play holds as long as it goes on.
pub(super) struct Kept {
    pub(super) follow: Follow,
    /// Told when media flows.
    pub(super) starts: oneshot::Receiver<()>,
    pub(super) open: OpenConnection,
    /// Held until media flows.
    pub(super) joining: OpenConnection,
}

/// A resource whose play goes on; it is forgotten when the play ends, and ends it when nobody waits for that any more.
struct Held {
    context: Arc<SignallingContext>,
    resource: Arc<Resource>,
}

impl Drop for Held {
    fn drop(&mut self) {
        // The task is dropped with its web worker, when the node stops.
        self.resource.ending.end(ExitReason::Draining);
        self.context.whep.0.lock().remove(&self.resource.name);
    }
}

/// Keeps a play under its name until it ends.
pub(super) fn keep(context: &Arc<SignallingContext>, resource: Resource, kept: Kept) {
    let resource = Arc::new(resource);
    context.whep.0.lock().insert(resource.name.clone(), Arc::clone(&resource));
    let held = Held { context: Arc::clone(context), resource };
    actix_rt::spawn(until_ended(held, kept));
}

async fn until_ended(held: Held, kept: Kept) {
    let Kept { mut follow, starts, open: _open, joining } = kept;
    let resource = &held.resource;
    let starting = async {
        let _ = starts.await;
        drop(joining);
        std::future::pending::<()>().await;
    };
    let changing = async {
        // There is no way to offer again.
        let why = follow.changed().await.err().unwrap_or_default();
        tracing::info!(app = %resource.app, stream = %resource.stream, %why, "a WHEP player cannot follow its stream's change");
        resource.ending.end(ExitReason::CodecChanged);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = resource.ending.ended() => {}
        () = starting => {}
        () = changing => {}
    }
}
