//! A node of one voter with a gate, and those who come to it.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use base::{Clock, PeerAddr, Secret, SystemClock, SystemRandomness};
use cluster_model::{
    Authority, Broadcasts, Hidden, Meta, NodeCard, Nodes, Owner, SealingKey, Seals, Settings, Subscribers,
    Tokens,
};
use cluster_node::{Node, NodeId};
use config::AppSettings;
use parking_lot::Mutex;
use security::credential::{hash, jwt, totp};
use security::{Access, Authorizer, Direction, Gate, GateParts, JwksFault, JwksSource, KeySets, Permit};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Case, Mechanism};
use crate::{drive, rows};

/// Those who are in at a time, publishers: each has a stream. The next one that comes is one that goes.
const PUBLISHERS: usize = 500;
/// The same of players.
const PLAYERS: usize = 10_000;
/// Streams that credentials are made for beforehand: more than there are publishers at a time.
const STREAMS: u64 = 1_000;
/// What hashes and JWTs are made with.
const SECRET: &str = "a secret of thirty-two characters";
/// What codes are made with: of a subscriber, and of the application.
const OWN_SECRET: &str = "GEZDGNBVGY3TQOJQ";
/// Proposers that make rows beforehand.
const MAKERS: u64 = 512;

/// The node in the metadata plane.
struct Place {
    node: Arc<Node>,
    owner: Owner,
}

impl security::Plane for Place {
    fn owner(&self) -> Owner {
        self.owner
    }

    fn authority(&self) -> Authority {
        self.node.authority()
    }
}

/// Nobody is asked here.
struct Nobody;

#[async_trait]
impl Authorizer for Nobody {
    async fn allows(&self, _: &str, _: Value) -> bool {
        false
    }
}

#[async_trait]
impl JwksSource for Nobody {
    async fn fetch(&self, _: &str) -> Result<Vec<u8>, JwksFault> {
        Err(JwksFault::NotFetched("nobody is asked here".to_owned()))
    }
}

/// The gate, what is behind it, and who is in.
pub struct House {
    case: Case,
    gate: Arc<Gate>,
    node: Arc<Node>,
    /// By stream: what is shown at the gate.
    credentials: Vec<String>,
    code_period_s: u32,
    held: Mutex<VecDeque<Permit>>,
    _folder: TempDir,
}

impl House {
    /// A node in a new folder of `folder`, with one application before which the mechanism stands.
    ///
    /// # Errors
    /// It has no file or thread, or does not store what it is told.
    pub async fn open(folder: &Path, case: Case) -> anyhow::Result<Self> {
        let folder = TempDir::new_in(folder).context("no folder for the store")?;
        let (clock, randomness) = (Arc::new(SystemClock), Arc::new(SystemRandomness));
        let node = Arc::new(Node::alone(folder.path().join("metadata.redb"), Arc::clone(&clock) as _)?);
        let meta: Arc<dyn Meta> = Arc::clone(&node) as _;
        let nodes = Nodes::new(Arc::clone(&meta), clock.clone(), randomness.clone());
        let card = NodeCard { address: "localhost".to_owned(), relay: String::new(), version: String::new() };
        let owner = nodes.join(NodeId(1), card).await?;
        let seals = Arc::new(Seals::new(&SealingKey::new([7; 32]), []).context("no seals")?);
        let settings =
            Settings::new(Arc::clone(&meta), Arc::clone(&seals), clock.clone(), randomness.clone());
        let now = settings.seed(&rows::app(), &settings_of(case.mechanism)?).await?;
        make_rows(&meta, case).await?;
        let gate = Gate::new(GateParts {
            applications: [rows::app()].into_iter().collect(),
            settings,
            broadcasts: Broadcasts::new(
                Arc::clone(&meta),
                Arc::clone(&seals),
                clock.clone(),
                randomness.clone(),
                "localhost",
            ),
            tokens: Tokens::new(Arc::clone(&meta), clock.clone(), randomness.clone()),
            subscribers: Subscribers::new(meta, seals, clock.clone(), randomness),
            plane: Arc::new(Place { node: Arc::clone(&node), owner }),
            authorizer: Arc::new(Nobody),
            keys: Arc::new(KeySets::new(Arc::new(Nobody), clock.clone())),
            clock,
        });
        Ok(Self {
            case,
            gate,
            node,
            credentials: credentials(case)?,
            code_period_s: now.time_token_period(),
            held: Mutex::default(),
            _folder: folder,
        })
    }

    /// The `n`th comes and is let in; who came first of those that are in leaves, if there are many.
    ///
    /// # Errors
    /// It is not let in.
    pub async fn let_in(&self, n: u64) -> anyhow::Result<()> {
        let permit = self.gate.admit(self.access(n)).await.map_err(|denial| anyhow::anyhow!("{denial}"))?;
        let most = if self.case.direction == Direction::Publish { PUBLISHERS } else { PLAYERS };
        let leaves = {
            let mut held = self.held.lock();
            held.push_back(permit);
            (held.len() > most).then(|| held.pop_front())
        };
        drop(leaves);
        Ok(())
    }

    fn access(&self, n: u64) -> Access {
        let [_, a, b, c] = (n as u32).to_be_bytes();
        let peer = PeerAddr::new(SocketAddr::from((Ipv4Addr::new(10, a, b, c), 5_000)));
        let (stream, direction) = (rows::stream(n % STREAMS), self.case.direction);
        let access = Access::new(rows::app(), stream.as_str(), direction, "test", peer, rows::session(n));
        let secret = |text: &str| Some(Secret::new(text.to_owned()));
        let with_code = |key: Option<totp::Key>| {
            let code = key.map(|key| totp::code(&key, self.code_period_s, SystemClock.wall()));
            let subscriber_id = Some(rows::subscriber(n).as_str().to_owned());
            Access { subscriber_id, subscriber_code: code.map(Secret::new), ..access.clone() }
        };
        match self.case.mechanism {
            Mechanism::Open => access,
            Mechanism::Hash | Mechanism::Jwt => {
                let credential = self.credentials.get((n % STREAMS) as usize);
                Access { token: credential.and_then(|text| secret(text)), ..access }
            }
            Mechanism::Token => Access { token: secret(rows::token_of(n).2.as_str()), ..access },
            Mechanism::Totp => {
                let who = rows::subscriber(n);
                with_code(totp::derived_key(SECRET, who.as_str(), stream.as_str(), direction))
            }
            Mechanism::Subscriber => with_code(totp::key_of_base32(OWN_SECRET)),
        }
    }

    /// Closes the file.
    pub async fn close(&self) {
        self.held.lock().clear();
        self.node.close().await;
    }
}

fn settings_of(mechanism: Mechanism) -> anyhow::Result<AppSettings> {
    let over = match mechanism {
        Mechanism::Open => json!({}),
        Mechanism::Hash => json!({
            "hashControlPlayEnabled": true, "hashControlPublishEnabled": true, "tokenHashSecret": SECRET,
        }),
        Mechanism::Jwt => json!({ "playJwtControlEnabled": true, "jwtStreamSecretKey": SECRET }),
        Mechanism::Totp => json!({ "enableTimeTokenForPlay": true, "timeTokenSecretForPlay": SECRET }),
        Mechanism::Subscriber => json!({ "timeTokenSubscriberOnly": true }),
        Mechanism::Token => json!({ "playTokenControlEnabled": true }),
    };
    let mut document = serde_json::to_value(AppSettings::new(&rows::app(), &SystemRandomness))?;
    for (key, value) in over.as_object().into_iter().flatten() {
        document[key] = value.clone();
    }
    serde_json::from_value(document).context("settings that are none")
}

/// What is shown at the gate and is not made for one alone.
fn credentials(case: Case) -> anyhow::Result<Vec<String>> {
    let direction = case.direction;
    let one = |n| match case.mechanism {
        Mechanism::Hash => Some(hash::stream_hash(rows::stream(n).as_str(), direction, SECRET)),
        Mechanism::Jwt => {
            jwt::stream_token(SECRET, rows::stream(n).as_str(), direction.label(), rows::LATE_S)
        }
        _ => Some(String::new()),
    };
    (0..STREAMS).map(one).collect::<Option<_>>().context("a secret that signs nothing")
}

/// The tokens and subscribers of those who will come.
async fn make_rows(meta: &Arc<dyn Meta>, case: Case) -> anyhow::Result<()> {
    match case.mechanism {
        Mechanism::Token => {
            drive::all(meta, MAKERS, case.calls, |n| rows::create_token(n, rows::LATE_S)).await
        }
        Mechanism::Subscriber => {
            let own = || Some(Hidden::new(OWN_SECRET.to_owned()));
            drive::all(meta, MAKERS, case.calls, move |n| rows::put_subscriber(n, own())).await
        }
        _ => Ok(()),
    }
}
