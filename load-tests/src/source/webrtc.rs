//! Sends a recording to a node as browsers would, by many publishers on a thread of their own.

use std::cell::RefCell;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use base::{Clock, SystemClock, SystemRandomness};
use futures_util::future::join_all;
use serde_json::{Value, json};
use test_support::{Signalling, ask};
use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant as TimerInstant, sleep, sleep_until};

use super::packets::{Packets, SOUNDS_PER_SECOND};
use super::{FPS, Ledger, Recording};
use crate::link::{Identity, Profile, Stage};
use crate::receiver::TrackKind;
use crate::sender::{Offering, Sender, Sent};
use crate::swarm::connect_socket;

/// No datagram of a node to a publisher is larger.
const DATAGRAM_BYTES_MAX: usize = 2_048;
/// Between two publishers that begin: so that their pictures and key frames are not all due at once.
const BETWEEN: Duration = Duration::from_millis(20);
/// Time for one to be connected once it was answered.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// What a browser's publisher gets: of what it offers a node takes the first, which is this.
const PROFILE: Profile = Profile::Cm;
/// The answer to an offer that is taken (RFC 9725 4.2).
const CREATED: u16 = 201;

/// How a publisher asks to be let in.
#[derive(Clone, Debug)]
pub enum Asking {
    /// By WHIP, at this address.
    Whip(String),
    /// By signalling: with this message, on a socket of this address.
    Signalling {
        /// The socket's address.
        url: String,
        /// The message, `command` apart.
        publish: Value,
    },
}

impl Asking {
    /// What errors call it.
    fn name(&self) -> &str {
        match self {
            Self::Whip(url) => url,
            Self::Signalling { publish, .. } => publish["streamId"].as_str().unwrap_or_default(),
        }
    }
}

/// What a publisher has of the node once it is answered.
enum Session {
    /// Where it is ended.
    Place(String),
    /// The socket it lives with.
    Socket(Box<Signalling>, Value),
}

impl Session {
    async fn end(self) {
        // A node that is gone has no session either.
        match self {
            Self::Place(url) => drop(ask("DELETE", &url, &[], "").await),
            Self::Socket(mut socket, stop) => drop(socket.send(&stop).await),
        }
    }
}

/// One publisher, as others see it.
#[derive(Default)]
struct State {
    /// Its session, once it has one.
    session: Option<Session>,
    sent: Sent,
    ended: Option<String>,
}

/// What the publishers of a thread share.
struct Shared {
    packets: Packets,
    identity: Arc<Identity>,
    asking: Vec<Asking>,
    ledgers: Vec<Arc<Ledger>>,
    states: Mutex<Vec<State>>,
}

impl Shared {
    fn states(&self) -> MutexGuard<'_, Vec<State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, index: usize, note: impl FnOnce(&mut State)) {
        if let Some(state) = self.states().get_mut(index) {
            note(state);
        }
    }
}

/// Publishers at work. Dropping them ends their sessions.
///
/// They have their own thread, as [`Publisher`](super::Publisher) has. Every packet is a datagram and a system call of
/// its own, as browsers send them: the node gets no run of them at once.
pub struct WebRtcPublishers {
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

impl WebRtcPublishers {
    /// Publishes a recording over and over in real time, once for each of `asking`, until dropped. The thread runs on the
    /// cores of the calling one.
    ///
    /// # Errors
    /// There is no thread, or the recording has no packets. That nobody takes it is told by [`check`](Self::check).
    pub fn start(
        recording: &Recording,
        asking: Vec<Asking>,
        identity: &Arc<Identity>,
    ) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            packets: Packets::new(recording)?,
            identity: Arc::clone(identity),
            ledgers: asking.iter().map(|_| Arc::default()).collect(),
            states: Mutex::new(asking.iter().map(|_| State::default()).collect()),
            asking,
        });
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("publishers".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(LocalSet::new().run_until(serve(shared, stopped)));
                Ok(())
            }
        })?;
        Ok(Self { shared, stop: Some(stop), thread: Some(thread) })
    }

    /// What each of them sent when, in the order of their streams.
    pub fn ledgers(&self) -> &[Arc<Ledger>] {
        &self.shared.ledgers
    }

    /// What all of them sent.
    pub fn sent(&self) -> Sent {
        let mut sum = Sent::default();
        self.shared.states().iter().for_each(|state| sum.add(&state.sent));
        sum
    }

    /// Whether each of them has sent for a second: what it publishes is known by then.
    pub fn all_flow(&self) -> bool {
        self.shared.states().iter().all(|state| state.sent.frames >= u64::from(FPS))
    }

    /// Whether all of them still publish.
    ///
    /// # Errors
    /// One has ended, with the reason.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(self.thread.as_ref().is_some_and(|thread| !thread.is_finished()), "the publishers ended");
        let states = self.shared.states();
        let ended = states.iter().zip(&self.shared.asking);
        match ended.filter_map(|(state, asking)| Some((state.ended.as_ref()?, asking.name()))).next() {
            Some((reason, name)) => bail!("the publisher of {name} ended: {reason}"),
            None => Ok(()),
        }
    }
}

impl Drop for WebRtcPublishers {
    fn drop(&mut self) {
        drop(self.stop.take());
        // An error was there to be asked for.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Lets publishers begin one after the other, and ends their sessions when told to stop, or dropped without a word.
async fn serve(shared: Arc<Shared>, stopped: oneshot::Receiver<()>) {
    let tasks = RefCell::new(JoinSet::new());
    let begin = async {
        for index in 0..shared.asking.len() {
            let shared = Arc::clone(&shared);
            tasks.borrow_mut().spawn_local(async move {
                let Err(error) = publish(&shared, index).await;
                shared.note(index, |state| state.ended = Some(format!("{error:#}")));
            });
            sleep(BETWEEN).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        _ = stopped => {}
        () = begin => {}
    }
    tasks.into_inner().shutdown().await;
    let sessions: Vec<_> = shared.states().iter_mut().filter_map(|state| state.session.take()).collect();
    join_all(sessions.into_iter().map(Session::end)).await;
}

async fn publish(shared: &Shared, index: usize) -> anyhow::Result<std::convert::Infallible> {
    let (Some(asking), Some(ledger)) = (shared.asking.get(index), shared.ledgers.get(index)) else {
        bail!("no such publisher")
    };
    let offering = Offering::new(&shared.identity, &SystemRandomness);
    let offer = offering.sdp(&shared.packets.profile_level_id);
    let (session, answer) = match asking {
        Asking::Whip(url) => by_whip(url, &offer).await.context("WHIP")?,
        Asking::Signalling { url, publish } => {
            by_signalling(url, publish, &offer).await.context("signalling")?
        }
    };
    shared.note(index, |state| state.session = Some(session));
    let answered = SystemClock.now();
    let sender = offering.answered(&answer, PROFILE, &SystemRandomness, answered)?;
    let socket = connect_socket(sender.link.remote.server).await?;
    let mut line = Line { shared, index, ledger, sender, socket, start: None, frames: 0, sounds: 0 };
    line.run(answered + CONNECT_MAX).await
}

/// The session, and the answer to the offer.
async fn by_whip(url: &str, offer: &str) -> anyhow::Result<(Session, String)> {
    let answer = ask("POST", url, &[("Content-Type", "application/sdp")], offer).await?;
    ensure!(answer.status == CREATED, "refused: {} {}", answer.status, answer.text());
    let place = answer.header("location").context("the session has no place")?;
    // The place is a path on the same host.
    let scheme = url.find("//").map_or(0, |at| at + 2);
    let host = url.get(scheme..).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    Ok((Session::Place(format!("http://{host}{place}")), answer.text()))
}

async fn by_signalling(url: &str, publish: &Value, offer: &str) -> anyhow::Result<(Session, String)> {
    let mut socket = Signalling::open(url).await?;
    let stream = publish["streamId"].clone();
    let mut message = publish.clone();
    message["command"] = "publish".into();
    let answers = |command: &'static str| {
        move |message: &Value| message["command"] == command || message["command"] == "error"
    };
    socket.send(&message).await?;
    let started = socket.receive_until(answers("start")).await?;
    ensure!(started["command"] == "start", "refused: {started}");
    let offered =
        json!({ "command": "takeConfiguration", "streamId": stream, "type": "offer", "sdp": offer });
    socket.send(&offered).await?;
    let answer = socket.receive_until(answers("takeConfiguration")).await?;
    let sdp = answer["sdp"].as_str().with_context(|| format!("no answer: {answer}"))?.to_owned();
    let stop = json!({ "command": "stop", "streamId": stream });
    Ok((Session::Socket(Box::new(socket), stop), sdp))
}

/// A publisher with its socket.
struct Line<'a> {
    shared: &'a Shared,
    index: usize,
    ledger: &'a Ledger,
    sender: Sender,
    socket: UdpSocket,
    /// When its first picture was due.
    start: Option<Instant>,
    /// Pictures sent.
    frames: usize,
    /// Packets of sound sent.
    sounds: usize,
}

impl Line<'_> {
    async fn run(&mut self, connected_by: Instant) -> anyhow::Result<std::convert::Infallible> {
        let timer = sleep_until(TimerInstant::from_std(SystemClock.now()));
        tokio::pin!(timer);
        loop {
            let now = SystemClock.now();
            if self.sender.poll_timeout().is_some_and(|at| at <= now) {
                self.sender.handle_timeout(now)?;
            }
            if self.start.is_none() && self.sender.link.connected_at().is_some() {
                self.start = Some(now);
                self.sender.begin(now, SystemClock.wall());
            }
            self.send_due(now)?;
            while let Some(datagram) = self.sender.link.poll_transmit() {
                send(&self.socket, &datagram)?;
            }
            if let Stage::Closed(reason) = self.sender.link.stage() {
                bail!("{reason}");
            }
            ensure!(
                self.start.is_some() || now < connected_by,
                "not connected: {:?}",
                self.sender.link.stage()
            );
            let media = self.start.map(|start| start + self.frame_due().min(self.sound_due()));
            let due = self.sender.poll_timeout().into_iter().chain(media).min().unwrap_or(connected_by);
            timer.as_mut().reset(TimerInstant::from_std(due));
            tokio::select! {
                ready = self.socket.readable() => {
                    ready.context("UDP")?;
                    self.read()?;
                }
                () = &mut timer => {}
            }
        }
    }

    fn frame_due(&self) -> Duration {
        Recording::frame_due(self.frames)
    }

    fn sound_due(&self) -> Duration {
        Duration::from_secs(self.sounds as u64) / SOUNDS_PER_SECOND
    }

    fn send_due(&mut self, now: Instant) -> anyhow::Result<()> {
        let Some(start) = self.start else { return Ok(()) };
        let (elapsed, before) = (now.saturating_duration_since(start), self.sender.sent);
        while self.sound_due() <= elapsed {
            let due = self.sound_due();
            // No mark: it stands where speech begins after silence (RFC 7587 4.1).
            self.send_packet(TrackKind::Audio, due, &self.shared.packets.sound, false)?;
            self.sounds += 1;
        }
        while self.frame_due() <= elapsed {
            self.send_frame(self.frame_due())?;
            self.frames += 1;
        }
        if self.sender.sent != before {
            self.shared.note(self.index, |state| state.sent = self.sender.sent);
        }
        Ok(())
    }

    fn send_frame(&mut self, due: Duration) -> anyhow::Result<()> {
        let pictures = &self.shared.packets.pictures;
        let picture = pictures.get(self.frames % pictures.len()).context("no pictures")?;
        let last = picture.payloads.len() - 1;
        for (at, payload) in picture.payloads.iter().enumerate() {
            if at == last {
                // What a player has to wait for: the node can have it from now on.
                self.ledger.note(picture.fingerprint, picture.key, SystemClock.now());
            }
            self.send_packet(TrackKind::Video, due, payload, at == last)?;
        }
        self.sender.sent.frames += 1;
        Ok(())
    }

    fn send_packet(
        &mut self,
        kind: TrackKind,
        due: Duration,
        payload: &[u8],
        marker: bool,
    ) -> anyhow::Result<()> {
        let sealed = self.sender.rtp(kind, due, payload, marker)?;
        if !send(&self.socket, sealed)? {
            self.sender.sent.untaken += 1;
        }
        Ok(())
    }

    fn read(&mut self) -> anyhow::Result<()> {
        let mut buffer = [0; DATAGRAM_BYTES_MAX];
        loop {
            let length = match self.socket.try_recv(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                read => read.context("UDP")?,
            };
            self.sender.handle(buffer.get(..length).unwrap_or_default(), SystemClock.now());
        }
    }
}

/// Whether the socket took it: a full one loses a datagram, as the network may.
fn send(socket: &UdpSocket, datagram: &[u8]) -> anyhow::Result<bool> {
    match socket.try_send(datagram) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        sent => sent.map(|_| true).context("UDP"),
    }
}
