//! Keeps one class of one node connected, and sends what waits for it.

use std::sync::Arc;
use std::time::Duration;

use base::{Randomness, limits};
use cluster_core::Class;
use futures_util::{Stream, StreamExt, stream};
use tokio::time::{sleep, timeout};
use tonic::{Response, Status, Streaming};

use crate::connect::{Connection, explain};
use crate::peers::Peer;
use crate::proto::{Frame, Welcome, frame};
use crate::shared::{Identity, PROTOCOL, Shared};
use crate::wire::{Greeting, tame};
use crate::{ClusterId, PeerName};

/// How a connection ended.
enum End {
    /// It was not needed any longer, or we are somebody else now.
    Done,
    /// By a fault, after it stood.
    Fell(String),
    /// Before it stood.
    Failed {
        /// Where it was tried.
        address: String,
        /// Why not.
        error: String,
    },
}

/// Runs for as long as the peer is known.
pub(crate) async fn run(shared: Arc<Shared>, peer: Arc<Peer>, class: Class) {
    let mut identity = shared.identity.subscribe();
    let mut rest = limits::CLUSTER_RETRY_MIN;
    let mut tries = 0;
    loop {
        if identity.wait_for(|identity| identity.cluster.is_some()).await.is_err() {
            return;
        }
        wait_for_need(&peer, class).await;
        let began = shared.clock.now();
        match connect(&shared, &peer, class, tries).await {
            End::Done => continue,
            End::Fell(error) => {
                shared.peers.fell(&peer, Some(&error));
                tries = 0;
                // One that is taken and dropped again and again is tried as one that is not there.
                if shared.clock.now().saturating_duration_since(began) > limits::CLUSTER_RETRY_MAX {
                    rest = limits::CLUSTER_RETRY_MIN;
                }
            }
            End::Failed { address, error } => {
                shared.peers.failed(&peer, &address, &error);
                tries += 1;
            }
        }
        tokio::select! {
            () = sleep(jittered(rest, &*shared.randomness)) => rest = (rest * 2).min(limits::CLUSTER_RETRY_MAX),
            () = peer.lane(class).nudge.notified() => rest = limits::CLUSTER_RETRY_MIN,
        }
    }
}

/// Configured nodes are kept reached, so that it is known whether they live; others, and the classes that are used now
/// and then, are when there is something to say.
async fn wait_for_need(peer: &Peer, class: Class) {
    let lane = peer.lane(class);
    loop {
        // Listening begins before the look, so that no nudge falls between the two.
        let nudged = lane.nudge.notified();
        if class == Class::Raft && peer.is_configured() {
            return;
        }
        tokio::select! {
            () = lane.queue.wait() => return,
            () = nudged => {}
        }
    }
}

/// Between three quarters and five quarters of `rest`, so that nodes do not try in step.
fn jittered(rest: Duration, randomness: &dyn Randomness) -> Duration {
    let percent = u32::try_from(randomness.next_u64() % 51).unwrap_or(0);
    rest * (75 + percent) / 100
}

async fn connect(shared: &Arc<Shared>, peer: &Arc<Peer>, class: Class, tries: usize) -> End {
    let Some(address) = peer.address(tries) else {
        return End::Failed { address: String::new(), error: "nobody knows where it is".to_owned() };
    };
    let mut changes = shared.identity.subscribe();
    let identity = changes.borrow_and_update().clone();
    let Some(cluster) = identity.cluster else { return End::Done };
    let connection = match open(&identity, cluster, peer, &address).await {
        Ok(connection) => connection,
        Err(error) => return End::Failed { address, error },
    };
    let mut welcomes = match greet(shared, &connection, cluster, peer, class).await {
        Ok(welcomes) => welcomes,
        Err(error) => return End::Failed { address, error },
    };
    shared.peers.stands(peer);
    let end = tokio::select! {
        error = ended(&mut welcomes) => return End::Fell(error),
        () = unused(shared, peer, class) => End::Done,
        _ = changes.changed() => End::Done,
    };
    shared.peers.fell(peer, None);
    end
}

async fn open(
    identity: &Identity,
    cluster: ClusterId,
    peer: &Peer,
    address: &str,
) -> Result<Connection, String> {
    let tls = Arc::clone(&identity.credentials.client);
    let connection =
        Connection::open(address, Arc::clone(&peer.lookup), tls).await.map_err(|error| error.to_string())?;
    match connection.peer {
        PeerName::Node { node, .. } if node != peer.node => {
            Err(format!("node {node} is there, and not node {}: check the addresses of both", peer.node))
        }
        PeerName::Node { cluster: None, .. } => Err("it is in no cluster yet".to_owned()),
        PeerName::Node { cluster: Some(theirs), .. } if theirs != cluster => {
            Err(format!("it is of another cluster, {theirs}: check its address, or its data folder"))
        }
        _ => Ok(connection),
    }
}

/// Says who we are, and hands over what waits from then on. Gives the stream whose end says that nobody listens.
async fn greet(
    shared: &Shared,
    connection: &Connection,
    cluster: ClusterId,
    peer: &Peer,
    class: Class,
) -> Result<Streaming<Welcome>, String> {
    let (node, life, address) = (shared.node, shared.life, shared.advertised.clone());
    let hello = Greeting { protocol: PROTOCOL, cluster, node, address, life };
    let frames = frames(hello, peer, class);
    let welcomed = async {
        let mut client = connection.client();
        let taken = match class {
            Class::Raft => client.raft(frames).await,
            Class::Snapshot => client.snapshot(frames).await,
            Class::Meta => client.meta(frames).await,
        };
        let mut welcomes = taken.map(Response::into_inner)?;
        let welcome = welcomes.message().await?.ok_or_else(|| Status::unavailable("it hung up"))?;
        Ok((welcomes, welcome))
    };
    match timeout(limits::CLUSTER_SILENCE_MAX, welcomed).await {
        Ok(Ok((welcomes, welcome))) if welcome.node == peer.node.0 => Ok(welcomes),
        Ok(Ok(_)) => Err("it says that it is another node than its certificate names".to_owned()),
        Ok(Err(status)) => Err(said(&status)),
        Err(_) => Err("it takes no messages".to_owned()),
    }
}

fn frames(hello: Greeting, peer: &Peer, class: Class) -> impl Stream<Item = Frame> + Send + 'static {
    let hello = Frame { kind: Some(frame::Kind::Hello(hello.into())) };
    let messages = stream::unfold(Arc::clone(&peer.lane(class).queue), async |queue| {
        let message = queue.next().await;
        Some((Frame { kind: Some(frame::Kind::Message(message)) }, queue))
    });
    stream::iter([hello]).chain(messages)
}

/// Waits until the other node listens no more, and gives why.
async fn ended(welcomes: &mut Streaming<Welcome>) -> String {
    loop {
        match welcomes.message().await {
            // A word of a newer version.
            Ok(Some(_)) => {}
            Ok(None) => return "it hung up".to_owned(),
            Err(status) => return said(&status),
        }
    }
}

/// Waits until nothing was to be sent for so long that the connection may go.
async fn unused(shared: &Shared, peer: &Peer, class: Class) {
    loop {
        let idle = shared.clock.now().saturating_duration_since(peer.lane(class).queue.last());
        let keeps = class == Class::Raft && peer.is_configured();
        if idle > limits::CLUSTER_IDLE_MAX && !keeps {
            return;
        }
        sleep(limits::CLUSTER_RETRY_MAX).await;
    }
}

/// A refusal in the other node's words, or what became of the connection.
pub(crate) fn said(status: &Status) -> String {
    match std::error::Error::source(status) {
        Some(source) => explain(source),
        None => tame(status.message()),
    }
}
