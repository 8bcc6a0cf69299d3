//! A gate for the tests of crates that need permits.

use std::sync::Arc;

use async_trait::async_trait;
use base::{AppName, Clock, Randomness as _, SystemClock, SystemRandomness};
use cluster_model::testing::{InMemory, seals};
use cluster_model::{
    Authority, Broadcasts, Meta, NodeCard, NodeId, Nodes, Owner, Settings, Subscribers, Tokens,
};
use config::AppSettings;
use parking_lot::Mutex;
use serde_json::Value;

use crate::{Authorizer, Gate, GateParts, JwksFault, JwksSource, KeySets, Plane};

/// A node's place in the metadata plane, as a test wants it.
#[derive(Debug)]
pub struct Placed {
    owner: Owner,
    authority: Mutex<Authority>,
}

impl Placed {
    /// From now on the node knows this well.
    pub fn knows(&self, authority: Authority) {
        *self.authority.lock() = authority;
    }
}

impl Plane for Placed {
    fn owner(&self) -> Owner {
        self.owner
    }

    fn authority(&self) -> Authority {
        *self.authority.lock()
    }
}

/// Allows what is posted to a URL that ends in `/yes`, and keeps what was posted.
#[derive(Debug, Default)]
pub struct Asked(Mutex<Vec<(String, Value)>>);

impl Asked {
    /// What was posted, and where.
    pub fn questions(&self) -> Vec<(String, Value)> {
        self.0.lock().clone()
    }
}

#[async_trait]
impl Authorizer for Asked {
    async fn allows(&self, url: &str, question: Value) -> bool {
        self.0.lock().push((url.to_owned(), question));
        url.ends_with("/yes")
    }
}

/// The keys that a test publishes, at every address; `None`: there is no web.
#[derive(Debug, Default)]
pub struct Published(pub Mutex<Option<Value>>);

#[async_trait]
impl JwksSource for Published {
    async fn fetch(&self, _: &str) -> Result<Vec<u8>, JwksFault> {
        let keys = self.0.lock().as_ref().map(|keys| keys.to_string().into_bytes());
        keys.ok_or_else(|| JwksFault::NotFetched("there is no web".to_owned()))
    }
}

/// A gate with what it asks.
pub struct TestGate {
    /// The gate.
    pub gate: Arc<Gate>,
    /// Façades over the same plane.
    pub broadcasts: Broadcasts,
    /// As those.
    pub settings: Settings,
    /// As those.
    pub tokens: Tokens,
    /// As those.
    pub subscribers: Subscribers,
    /// This node's place.
    pub placed: Arc<Placed>,
    /// Who is asked by webhooks.
    pub asked: Arc<Asked>,
    /// What keys there are for JWTs.
    pub published: Arc<Published>,
    /// What is behind all of them.
    pub meta: Arc<dyn Meta>,
}

/// A gate with AMS's default settings for `applications`, and the façades it asks. What is behind them
/// is gone with the process.
///
/// # Panics
/// When a name is not one, or the settings cannot be seeded: for tests only.
pub async fn open_gate(applications: &[&str]) -> (Arc<Gate>, Broadcasts, Settings) {
    gate_over(Arc::new(InMemory::new(Arc::new(SystemClock))), applications).await
}

/// The same over a metadata plane of the caller's.
///
/// # Panics
/// As [`open_gate`].
pub async fn gate_over(meta: Arc<dyn Meta>, applications: &[&str]) -> (Arc<Gate>, Broadcasts, Settings) {
    let whole = whole_gate(meta, applications).await;
    (whole.gate, whole.broadcasts, whole.settings)
}

/// One without settings and without a place in the plane, made at once.
///
/// # Panics
/// When a name is not one.
pub fn plain_gate(meta: Arc<dyn Meta>, clock: Arc<dyn Clock>, applications: &[&str]) -> Arc<Gate> {
    let randomness = Arc::new(SystemRandomness);
    let names = applications.iter().map(|name| AppName::new(name).expect("an application's name"));
    Gate::new(GateParts {
        applications: names.collect(),
        settings: Settings::new(Arc::clone(&meta), seals(), Arc::clone(&clock), randomness.clone()),
        broadcasts: Broadcasts::new(
            Arc::clone(&meta),
            seals(),
            Arc::clone(&clock),
            randomness.clone(),
            "localhost",
        ),
        tokens: Tokens::new(Arc::clone(&meta), Arc::clone(&clock), randomness.clone()),
        subscribers: Subscribers::new(meta, seals(), Arc::clone(&clock), randomness),
        plane: Arc::new(Placed { owner: Owner::default(), authority: Mutex::new(Authority::Fresh) }),
        authorizer: Arc::new(Asked::default()),
        keys: Arc::new(KeySets::new(Arc::new(Published::default()), Arc::clone(&clock))),
        clock,
    })
}

/// The same with everything that can be turned.
///
/// # Panics
/// As [`open_gate`].
pub async fn whole_gate(meta: Arc<dyn Meta>, applications: &[&str]) -> TestGate {
    whole_gate_at(meta, Arc::new(SystemClock), applications).await
}

/// The same by a clock of the caller's.
///
/// # Panics
/// As [`open_gate`].
pub async fn whole_gate_at(meta: Arc<dyn Meta>, clock: Arc<dyn Clock>, applications: &[&str]) -> TestGate {
    let randomness = Arc::new(SystemRandomness);
    let settings = Settings::new(Arc::clone(&meta), seals(), clock.clone(), randomness.clone());
    let broadcasts =
        Broadcasts::new(Arc::clone(&meta), seals(), clock.clone(), randomness.clone(), "localhost");
    let tokens = Tokens::new(Arc::clone(&meta), clock.clone(), randomness.clone());
    let subscribers = Subscribers::new(Arc::clone(&meta), seals(), clock.clone(), randomness.clone());
    let nodes = Nodes::new(Arc::clone(&meta), clock.clone(), randomness.clone());
    let card = NodeCard { address: "localhost".to_owned(), relay: String::new(), version: String::new() };
    // A node of its own, whatever others the plane has.
    let id = NodeId(1 + (randomness.next_u64() >> 1));
    let owner = nodes.join(id, card).await.expect("a life");
    let names: Vec<_> =
        applications.iter().map(|name| AppName::new(name).expect("an application's name")).collect();
    for name in &names {
        settings.seed(name, &AppSettings::new(name, &*randomness)).await.expect("seeded settings");
    }
    let placed = Arc::new(Placed { owner, authority: Mutex::new(Authority::Fresh) });
    let asked = Arc::new(Asked::default());
    let published = Arc::new(Published::default());
    let gate = Gate::new(GateParts {
        applications: names.into_iter().collect(),
        settings: settings.clone(),
        broadcasts: broadcasts.clone(),
        tokens: tokens.clone(),
        subscribers: subscribers.clone(),
        plane: Arc::clone(&placed) as Arc<dyn Plane>,
        authorizer: Arc::clone(&asked) as Arc<dyn Authorizer>,
        keys: Arc::new(KeySets::new(Arc::clone(&published) as Arc<dyn JwksSource>, clock.clone())),
        clock,
    });
    TestGate { gate, broadcasts, settings, tokens, subscribers, placed, asked, published, meta }
}
