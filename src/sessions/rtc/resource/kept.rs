//! The sessions that HTTP began: one owner of their names, which go with their players and publishers.

use std::collections::HashMap;
use std::sync::Arc;

use base::{AppName, ExitReason, Randomness, StreamId, limits};
use parking_lot::Mutex;
use rtc::Fragment;
use streams::Ending;

/// Letters and digits of a resource's name: nobody guesses 190 bits, so who knows the name may end the session.
const NAME_LENGTH: usize = 32;

/// One session, as its client asks for it.
pub(in super::super) struct Resource<C> {
    pub(in super::super) app: AppName,
    pub(in super::super) stream: StreamId,
    name: String,
    pub(in super::super) ending: Ending,
    pub(in super::super) control: C,
    ice: Mutex<IceSession>,
}

/// An ICE session as its peer began it.
struct IceSession {
    /// The peer's ICE names, once they are known.
    ufrags: Vec<String>,
    /// Sessions before it.
    number: u32,
}

impl<C> Resource<C> {
    /// A session that has begun.
    pub(in super::super) fn new(
        app: AppName,
        stream: StreamId,
        ending: Ending,
        control: C,
        ufrags: Vec<String>,
        randomness: &dyn Randomness,
    ) -> Self {
        let name = randomness.alphanumeric(NAME_LENGTH);
        Self { app, stream, name, ending, control, ice: Mutex::new(IceSession { ufrags, number: 0 }) }
    }

    /// Names the ICE session: of the first it is the name in quotes, because clients of AMS look for the one in the
    /// other's place.
    pub(in super::super) fn etag(&self) -> String {
        match self.ice.lock().number {
            0 => format!("\"{}\"", self.name),
            number => format!("\"{}.{number}\"", self.name),
        }
    }

    /// A fragment has begun another ICE session; what that is named.
    pub(super) fn restarted(&self, by: Fragment) -> String {
        let mut ice = self.ice.lock();
        ice.ufrags = by.ufrag.into_iter().collect();
        ice.number = ice.number.saturating_add(1);
        drop(ice);
        self.etag()
    }

    /// Where it is found, below that part of its application.
    pub(in super::super) fn path(&self, part: &str) -> String {
        format!("/{}/{part}/{}/{}", self.app, self.stream, self.name)
    }

    /// Notes who has answered.
    pub(in super::super) fn answered(&self, ufrag: Option<String>) {
        self.ice.lock().ufrags = ufrag.into_iter().collect();
    }

    /// Whether a fragment is of another ICE session than the one agreed on.
    pub(super) fn is_restarted_by(&self, fragment: &Fragment) -> bool {
        let known = &self.ice.lock().ufrags;
        fragment.ufrag.as_ref().is_some_and(|other| !known.is_empty() && !known.contains(other))
    }

    fn is_at(&self, app: &str, stream: &str) -> bool {
        self.app.as_str() == app && self.stream.as_str() == stream
    }
}

/// The sessions of one kind that go on, by name.
pub struct Resources<C>(Mutex<HashMap<String, Arc<Resource<C>>>>);

impl<C> Default for Resources<C> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// Application, stream and name, as the path has them.
type Path = (String, String, String);

impl<C> Resources<C> {
    /// There may be no more of them.
    pub(in super::super) fn is_full(&self) -> bool {
        self.0.lock().len() >= limits::HTTP_SESSIONS_MAX
    }

    pub(in super::super) fn find(&self, (app, stream, name): &Path) -> Option<Arc<Resource<C>>> {
        let name = name.trim_matches('"');
        self.0.lock().get(name).filter(|resource| resource.is_at(app, stream)).cloned()
    }

    /// Takes it away from who asks later.
    pub(in super::super) fn take(&self, path: &Path) -> Option<Arc<Resource<C>>> {
        self.find(path).and_then(|resource| self.0.lock().remove(&resource.name))
    }
}

/// A session that goes on; it is forgotten when it ends, and ends when nobody waits for that any more.
pub(in super::super) struct Held<C> {
    resources: Arc<Resources<C>>,
    pub(in super::super) resource: Arc<Resource<C>>,
}

impl<C> Held<C> {
    /// Keeps a session under its name.
    pub(in super::super) fn new(resources: &Arc<Resources<C>>, resource: Resource<C>) -> Self {
        let resource = Arc::new(resource);
        resources.0.lock().insert(resource.name.clone(), Arc::clone(&resource));
        Self { resources: Arc::clone(resources), resource }
    }
}

impl<C> Drop for Held<C> {
    fn drop(&mut self) {
        // The task is dropped with its web worker, when the node stops.
        self.resource.ending.end(ExitReason::Draining);
        self.resources.0.lock().remove(&self.resource.name);
    }
}
