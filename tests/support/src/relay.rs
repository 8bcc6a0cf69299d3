//! A UDP path that can be told to lose, delay and narrow what goes over it.
//!
//! It stands between viewers and one media port of a node: each viewer's address gets a socket of its own
//! towards the node, so that the node tells them apart. All viewers share the two directions.

mod detour;
mod line;
mod numbers;

pub use detour::Detour;
pub use line::{Line, LineCounts, Narrow};

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context;
use base::{Clock, SystemClock};
use serde_json::json;
use tokio::net::UdpSocket;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant as TimerInstant, sleep_until};

use crate::{Node, Signalling};
use line::Direction;

/// Viewers of one relay. More: their datagrams are dropped and counted as strange.
const VIEWERS_MAX: usize = 1_024;
/// Wished for in every socket: a replay may come in one go while the relay's thread has to wait.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// Largest UDP payload.
const DATAGRAM_BYTES_MAX: usize = 65_536;
/// How long an error of a socket is rested on: a port that nobody listens on yet.
const REST: Duration = Duration::from_millis(5);

/// How the two directions behave.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RelayOptions {
    /// From viewers to the node.
    pub to_node: Line,
    /// From the node to viewers.
    pub to_viewers: Line,
    /// The same seed loses the same datagrams of the same sequence.
    pub seed: u64,
}

/// What the relay has seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct RelayReport {
    /// From viewers to the node.
    pub to_node: LineCounts,
    /// From the node to viewers.
    pub to_viewers: LineCounts,
    /// Viewers, by address.
    pub viewers: usize,
    /// Datagrams of viewers beyond 1,024.
    pub strange: u64,
}

/// A running relay. Dropping it closes its sockets.
pub struct Relay {
    detour: Detour,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    /// Something waits in a direction.
    news: Notify,
}

struct State {
    to_node: Direction,
    to_viewers: Direction,
    viewers: Vec<Viewer>,
    by_address: HashMap<SocketAddr, usize>,
    strange: u64,
}

#[derive(Clone)]
struct Viewer {
    address: SocketAddr,
    upstream: Arc<UdpSocket>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Relay {
    /// Stands before the node's media port `node`, on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// No port, or no thread.
    pub fn start(node: SocketAddr, options: RelayOptions) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        enlarge(&socket);
        socket.set_nonblocking(true)?;
        let detour = Detour { node_port: node.port(), relay: socket.local_addr()? };
        let now = SystemClock.now();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                to_node: Direction::new(options.to_node, options.seed, now),
                to_viewers: Direction::new(options.to_viewers, options.seed.wrapping_add(1), now),
                viewers: Vec::new(),
                by_address: HashMap::new(),
                strange: 0,
            }),
            news: Notify::new(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new().name("relay".to_owned()).spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    // Both ends of a run are the end of the relay: told, or its socket is gone.
                    _ = stopped => {}
                    _ = run(&of_thread, socket, node) => {}
                }
            });
        })?;
        Ok(Self { detour, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// Stands before the media port of `node`, which must have one shard: an own look at an offer of the
    /// stream, once it is live, says which port that is.
    ///
    /// # Errors
    /// The stream is not offered within ten seconds, or as [`start`](Self::start).
    pub async fn before(
        node: &Node,
        application: &str,
        stream: &str,
        options: RelayOptions,
    ) -> anyhow::Result<Self> {
        let mut signalling = Signalling::open(&node.signalling_url(application)).await?;
        let play = json!({"command": "play", "streamId": stream});
        signalling.send(&play).await?;
        let offer = loop {
            let message = signalling.receive().await?;
            match message["definition"].as_str() {
                _ if message["command"] == "takeConfiguration" => break message,
                // Who asked for a stream that is not there yet is told when it is.
                Some("streaming_started") => signalling.send(&play).await?,
                _ => {}
            }
        };
        signalling.send(&json!({"command": "stop", "streamId": stream})).await?;
        let candidate = offer["sdp"].as_str().and_then(|sdp| sdp.lines().find_map(detour::udp_candidate));
        Ok(Self::start(candidate.context("the offer has no UDP candidate")?, options)?)
    }

    /// What leads viewers here instead of to the node.
    pub const fn detour(&self) -> Detour {
        self.detour
    }

    /// An offer of the node with the relay's address in place of the node's.
    pub fn rewrite(&self, offer: &str) -> String {
        self.detour.rewrite(offer)
    }

    /// What was seen so far.
    pub fn report(&self) -> RelayReport {
        let state = self.shared.state();
        RelayReport {
            to_node: state.to_node.counts(),
            to_viewers: state.to_viewers.counts(),
            viewers: state.viewers.len(),
            strange: state.strange,
        }
    }

    /// From now on the two directions behave like this; what waits in them goes on as it was.
    pub fn change(&self, to_node: Line, to_viewers: Line) {
        let mut state = self.shared.state();
        state.to_node.change(to_node);
        state.to_viewers.change(to_viewers);
    }

    /// The track of which the node sent the most packets so far, by its SSRC.
    pub fn busiest_track(&self) -> Option<u32> {
        self.shared.state().to_viewers.busiest_track()
    }

    /// The next `count` packets of the track `ssrc` that the node sends for the first time are lost for
    /// good: these, and whatever is sent under their numbers again.
    pub fn lose_for_good(&self, ssrc: u32, count: u32) {
        self.shared.state().to_viewers.lose_for_good(ssrc, count);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It ends at once; one that panicked has told already.
            let _ = thread.join();
        }
    }
}

async fn run(shared: &Arc<Shared>, socket: std::net::UdpSocket, node: SocketAddr) -> io::Result<()> {
    let socket = Arc::new(UdpSocket::from_std(socket)?);
    let mut upstreams = JoinSet::new();
    tokio::select! {
        ended = listen(shared, &socket, node, &mut upstreams) => ended,
        ended = send(shared, &socket) => ended,
    }
}

/// Takes what viewers send.
async fn listen(
    shared: &Arc<Shared>,
    socket: &UdpSocket,
    node: SocketAddr,
    upstreams: &mut JoinSet<()>,
) -> io::Result<()> {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await?;
        let known = shared.state().by_address.get(&from).copied();
        let viewer = match known {
            Some(viewer) => viewer,
            None if upstreams.len() >= VIEWERS_MAX => {
                shared.state().strange += 1;
                continue;
            }
            None => {
                let upstream = Arc::new(connect(node).await?);
                let viewer = {
                    let mut state = shared.state();
                    state.viewers.push(Viewer { address: from, upstream: Arc::clone(&upstream) });
                    let viewer = state.viewers.len() - 1;
                    state.by_address.insert(from, viewer);
                    viewer
                };
                upstreams.spawn(take_answers(Arc::clone(shared), viewer, upstream));
                viewer
            }
        };
        shared.state().to_node.take(buffer.get(..length).unwrap_or_default(), viewer, SystemClock.now());
        shared.news.notify_one();
    }
}

async fn connect(node: SocketAddr) -> io::Result<UdpSocket> {
    let any = if node.is_ipv4() { SocketAddr::from(([0; 4], 0)) } else { SocketAddr::from(([0; 16], 0)) };
    let upstream = std::net::UdpSocket::bind(any)?;
    enlarge(&upstream);
    upstream.set_nonblocking(true)?;
    let upstream = UdpSocket::from_std(upstream)?;
    upstream.connect(node).await?;
    Ok(upstream)
}

/// Takes what the node sends to a viewer.
async fn take_answers(shared: Arc<Shared>, viewer: usize, upstream: Arc<UdpSocket>) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        match upstream.recv(&mut buffer).await {
            Ok(length) => {
                let datagram = buffer.get(..length).unwrap_or_default();
                shared.state().to_viewers.take(datagram, viewer, SystemClock.now());
                shared.news.notify_one();
            }
            // Nobody listens there: told once per datagram that was sent.
            Err(_) => tokio::time::sleep(REST).await,
        }
    }
}

/// Sends what has waited long enough.
async fn send(shared: &Shared, socket: &UdpSocket) -> io::Result<()> {
    loop {
        let (next, due) = {
            let mut state = shared.state();
            let now = SystemClock.now();
            let next = match state.to_viewers.poll(now) {
                Some((datagram, viewer)) => Some((datagram, viewer, true)),
                None => state.to_node.poll(now).map(|(datagram, viewer)| (datagram, viewer, false)),
            };
            let next = next.and_then(|(datagram, viewer, down)| {
                state.viewers.get(viewer).cloned().map(|viewer| (datagram, viewer, down))
            });
            let due = [state.to_viewers.due(), state.to_node.due()].into_iter().flatten().min();
            (next, due)
        };
        match (next, due) {
            // A viewer or a node that is gone refuses: so does the network.
            (Some((datagram, viewer, true)), _) => {
                let _ = socket.send_to(&datagram, viewer.address).await;
            }
            (Some((datagram, viewer, false)), _) => {
                let _ = viewer.upstream.send(&datagram).await;
            }
            (None, Some(due)) => {
                tokio::select! {
                    () = sleep_until(TimerInstant::from_std(due)) => {}
                    () = shared.news.notified() => {}
                }
            }
            (None, None) => shared.news.notified().await,
        }
    }
}

/// As large as the machine allows: with the right to, beyond its limit.
fn enlarge(socket: &std::net::UdpSocket) {
    use rustix::net::sockopt::{
        set_socket_recv_buffer_size, set_socket_recv_buffer_size_force, set_socket_send_buffer_size,
    };
    if set_socket_recv_buffer_size_force(socket, SOCKET_BUFFER_BYTES).is_err() {
        // What it gets instead is what the machine gives; the counts tell what came.
        let _ = set_socket_recv_buffer_size(socket, SOCKET_BUFFER_BYTES);
    }
    let _ = set_socket_send_buffer_size(socket, SOCKET_BUFFER_BYTES);
}

#[cfg(test)]
mod tests;
