//! What the link counts: plain numbers, which the program around shows as it likes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use base::{Clock, PeerAddr, limits};
use cluster_core::Class;
use parking_lot::Mutex;

/// Why somebody was not listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// The node has as many connections as it may have.
    TooMany,
    /// That address has.
    TooManyOfAddress,
    /// The TLS handshake took too long.
    Slow,
    /// It was no TLS.
    NotTls,
    /// It was TLS of an older version, or of other means.
    OtherTls,
    /// No certificate was shown.
    NoCertificate,
    /// The certificate was made from another secret.
    OtherSecret,
    /// The handshake failed in another way, a repeated one among them.
    Handshake,
    /// The certificate names nobody.
    Nameless,
    /// Nothing was asked on the connection, or nothing said in the request.
    Silent,
    /// There is no such call.
    UnknownCall,
    /// A message makes no sense, or is larger than its kind may be.
    Malformed,
    /// It speaks a version that is not known here.
    OtherProtocol,
    /// It is of another cluster, or of none yet.
    OtherCluster,
    /// It says that it is another node than its certificate names, or this very node.
    OtherNode,
    /// There are as many nodes, or calls, as there may be.
    Full,
}

/// All of them.
const REFUSALS: [Refusal; 16] = [
    Refusal::TooMany,
    Refusal::TooManyOfAddress,
    Refusal::Slow,
    Refusal::NotTls,
    Refusal::OtherTls,
    Refusal::NoCertificate,
    Refusal::OtherSecret,
    Refusal::Handshake,
    Refusal::Nameless,
    Refusal::Silent,
    Refusal::UnknownCall,
    Refusal::Malformed,
    Refusal::OtherProtocol,
    Refusal::OtherCluster,
    Refusal::OtherNode,
    Refusal::Full,
];

impl Refusal {
    /// A metric's label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::TooMany => "too_many",
            Self::TooManyOfAddress => "too_many_of_address",
            Self::Slow => "slow",
            Self::NotTls => "not_tls",
            Self::OtherTls => "other_tls",
            Self::NoCertificate => "no_certificate",
            Self::OtherSecret => "other_secret",
            Self::Handshake => "handshake",
            Self::Nameless => "nameless",
            Self::Silent => "silent",
            Self::UnknownCall => "unknown_call",
            Self::Malformed => "malformed",
            Self::OtherProtocol => "other_protocol",
            Self::OtherCluster => "other_cluster",
            Self::OtherNode => "other_node",
            Self::Full => "full",
        }
    }

    /// What is to be done about it.
    const fn advice(self) -> &'static str {
        match self {
            Self::TooMany | Self::TooManyOfAddress => {
                "too many connections to the cluster's port: who makes them? it should be open to nodes alone"
            }
            Self::Slow | Self::Silent => "somebody connects to the cluster's port and says nothing",
            Self::NotTls => {
                "somebody speaks to the cluster's port without TLS: is it given to players, or probed by HTTP?"
            }
            Self::OtherTls => "somebody speaks another TLS than 1.3 to the cluster's port: it is no node",
            Self::NoCertificate => {
                "somebody without a certificate speaks to the cluster's port: it is no node"
            }
            Self::OtherSecret => {
                "a node has another cluster secret: give all nodes the same, and two lines while it is replaced"
            }
            Self::Handshake => {
                "a handshake on the cluster's port failed: the other node's log tells why, if it is one"
            }
            Self::Nameless => "a certificate of our secret names nobody: is that node of a newer version?",
            Self::UnknownCall => "another node asks for what this version does not know: update this one",
            Self::Malformed => "another node sent what cannot be read: are both of one version?",
            Self::OtherProtocol => "another node speaks a version this one does not know: update one of them",
            Self::OtherCluster => {
                "a node of another cluster, or one that has not joined yet, has our secret: check its list of peers"
            }
            Self::OtherNode => {
                "a node says it is another one than its certificate names: do two have one id?"
            }
            Self::Full => "more is wanted than may be at a time: it is tried again",
        }
    }
}

/// Why a message was lost before it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Newer ones came, and there was no room.
    Full,
    /// It waited too long for a connection.
    Old,
    /// It is larger than its class allows.
    Large,
    /// Nobody knows where that node is.
    Nowhere,
}

/// What one class carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassFigures {
    /// Messages handed to connections.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Messages received.
    pub received: u64,
    /// Messages received and lost, because the node had no room for them.
    pub no_room: u64,
    /// Messages lost unsent, because newer ones took their place.
    pub lost_full: u64,
    /// Messages lost unsent, because no connection came in time.
    pub lost_old: u64,
    /// Messages lost unsent, because they are too large.
    pub lost_large: u64,
    /// Messages lost unsent, because it is not known where the node is.
    pub lost_nowhere: u64,
}

/// What the link counted so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkFigures {
    /// By class.
    pub classes: BTreeMap<Class, ClassFigures>,
    /// Who was not listened to.
    pub refused: BTreeMap<Refusal, u64>,
    /// Connections that other nodes have to this one now.
    pub connections: u64,
}

#[derive(Default)]
struct ClassCounters {
    sent: AtomicU64,
    sent_bytes: AtomicU64,
    received: AtomicU64,
    no_room: AtomicU64,
    lost: [AtomicU64; 4],
}

/// The counters, and the log line for each kind of refusal now and then.
pub(crate) struct Counters {
    classes: [ClassCounters; 3],
    refused: [AtomicU64; REFUSALS.len()],
    told: Mutex<BTreeMap<Refusal, Instant>>,
    clock: Arc<dyn Clock>,
}

fn add(counter: &AtomicU64, n: usize) {
    counter.fetch_add(n as u64, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// The classes, in the order of their counters.
pub(crate) const CLASSES: [Class; 3] = [Class::Raft, Class::Snapshot, Class::Meta];

impl Counters {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { classes: Default::default(), refused: Default::default(), told: Mutex::default(), clock }
    }

    fn class(&self, class: Class) -> &ClassCounters {
        &self.classes[class as usize]
    }

    pub(crate) fn sent(&self, class: Class, bytes: usize) {
        add(&self.class(class).sent, 1);
        add(&self.class(class).sent_bytes, bytes);
    }

    pub(crate) fn received(&self, class: Class, taken: bool) {
        let counters = self.class(class);
        add(&counters.received, 1);
        add(&counters.no_room, usize::from(!taken));
    }

    pub(crate) fn lost(&self, class: Class, why: Loss, messages: usize) {
        add(&self.class(class).lost[why as usize], messages);
    }

    /// Somebody was refused. `detail` is for the log: of our own words, or tame.
    pub(crate) fn refused(&self, why: Refusal, peer: PeerAddr, detail: &str) {
        add(&self.refused[why as usize], 1);
        let now = self.clock.now();
        let every = limits::CLUSTER_REFUSAL_LOG_EVERY;
        {
            let mut told = self.told.lock();
            if told.get(&why).is_some_and(|at| now.saturating_duration_since(*at) < every) {
                return;
            }
            told.insert(why, now);
        }
        let so_far = get(&self.refused[why as usize]);
        tracing::warn!(%peer, reason = why.label(), so_far, detail, "{}", why.advice());
    }

    pub(crate) fn figures(&self, connections: usize) -> LinkFigures {
        let classes = CLASSES.map(|class| {
            let counters = self.class(class);
            let [full, old, large, nowhere] = &counters.lost;
            let figures = ClassFigures {
                sent: get(&counters.sent),
                sent_bytes: get(&counters.sent_bytes),
                received: get(&counters.received),
                no_room: get(&counters.no_room),
                lost_full: get(full),
                lost_old: get(old),
                lost_large: get(large),
                lost_nowhere: get(nowhere),
            };
            (class, figures)
        });
        LinkFigures {
            classes: classes.into(),
            refused: REFUSALS.map(|why| (why, get(&self.refused[why as usize]))).into(),
            connections: connections as u64,
        }
    }
}
