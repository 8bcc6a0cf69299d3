//! Players and publishers that do what no browser does, through real signalling, keys and sockets.

mod publisher;
pub mod sctp;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use base::{Clock, SystemClock, SystemRandomness};
use serde_json::{Value, json};
use test_support::Signalling;
use tokio::net::UdpSocket;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::link::{Identity, Profile, Stage};
use crate::receiver::Receiver;

pub use publisher::{HostilePublisher, PICTURES, PICTURES_SSRC, Shown, rtp};

/// Time for the node to end a play.
const END_MAX: Duration = Duration::from_secs(20);
/// How often it sends what is due.
const TURN: Duration = Duration::from_millis(2);
/// Time for each step of a connection.
const STEP_MAX: Duration = Duration::from_secs(10);

/// The node did not let it play, by the name it gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

/// By what a player talks to the node.
enum Way {
    Socket(Box<Signalling>),
    /// The address of its session.
    Whep(String),
}

/// One player that was offered a stream. Whatever it does next is the caller's choice; dropped, its
/// sockets close.
pub struct Hostile {
    way: Way,
    stream: String,
    offer: String,
    socket: UdpSocket,
    receiver: Receiver,
    spoke_at: Option<Instant>,
}

impl Hostile {
    /// Opens a signalling socket and asks to play; no more than that.
    ///
    /// # Errors
    /// The socket failed, or the answer is neither an offer nor a refusal.
    pub async fn ask(
        url: &str,
        stream: &str,
        identity: &Arc<Identity>,
    ) -> anyhow::Result<Result<Self, Refused>> {
        Self::ask_with(url, json!({"command": "play", "streamId": stream}), identity).await
    }

    /// The same with a message of the caller's.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn ask_with(
        url: &str,
        message: Value,
        identity: &Arc<Identity>,
    ) -> anyhow::Result<Result<Self, Refused>> {
        let stream = message["streamId"].as_str().unwrap_or_default().to_owned();
        let mut signalling = Signalling::open(url).await?;
        signalling.send(&message).await?;
        let answer = signalling.receive_until(|message| {
            message["command"] == "error" || message["command"] == "takeConfiguration"
        });
        let answer = answer.await?;
        if let Some(name) = answer["definition"].as_str() {
            return Ok(Err(Refused(name.to_owned())));
        }
        let offer = answer["sdp"].as_str().context("an offer without SDP")?.to_owned();
        Ok(Ok(Self::offered(Way::Socket(Box::new(signalling)), (stream, offer), identity).await?))
    }

    /// Asks at a WHEP address for an offer; no more than that.
    ///
    /// # Errors
    /// Nobody answered, or with something that is neither an offer nor a status of refusal.
    pub async fn ask_by_whep(
        url: &str,
        headers: &[(&str, &str)],
        identity: &Arc<Identity>,
    ) -> anyhow::Result<Result<Self, Refused>> {
        let answer = test_support::ask("POST", url, headers, "").await?;
        if answer.status != 201 {
            return Ok(Err(Refused(answer.status.to_string())));
        }
        let place = answer.header("location").context("no Location")?;
        // As a path of the same host.
        let host = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        let place = if place.starts_with('/') { format!("{host}{place}") } else { place.to_owned() };
        Ok(Ok(Self::offered(Way::Whep(place), (String::new(), answer.text()), identity).await?))
    }

    /// Goes, and says so.
    pub async fn leave(mut self) {
        match &mut self.way {
            Way::Socket(signalling) => {
                let stop = json!({ "command": "stop", "streamId": self.stream });
                // Who is gone already need not be told.
                if signalling.send(&stop).await.is_ok() {
                    let _ = signalling.receive_until(|said| said["definition"] == "play_finished").await;
                }
            }
            Way::Whep(place) => drop(test_support::ask("DELETE", place, &[], "").await),
        }
    }

    async fn offered(
        way: Way,
        (stream, offer): (String, String),
        identity: &Arc<Identity>,
    ) -> anyhow::Result<Self> {
        let receiver = Receiver::new(identity, &offer, Profile::Gcm, &SystemRandomness, SystemClock.now())?;
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await.context("no UDP port")?;
        socket.connect(receiver.server()).await.context("no way to the node's UDP port")?;
        socket.writable().await.context("UDP")?;
        Ok(Self { way, stream, offer, socket, receiver, spoke_at: None })
    }

    /// Asks, answers, and plays until it has media.
    ///
    /// # Errors
    /// As [`ask`](Self::ask); it was refused; media did not come.
    pub async fn connect(url: &str, stream: &str, identity: &Arc<Identity>) -> anyhow::Result<Self> {
        let mut hostile = match Self::ask(url, stream, identity).await? {
            Ok(hostile) => hostile,
            Err(Refused(name)) => bail!("refused: {name}"),
        };
        hostile.answer().await?;
        hostile.behave_until(|receiver| receiver.first_media_at().is_some()).await?;
        Ok(hostile)
    }

    /// Takes what it was offered.
    ///
    /// # Errors
    /// The signalling socket failed, or WHEP does not take it.
    pub async fn answer(&mut self) -> anyhow::Result<()> {
        let sdp = self.receiver.answer();
        let message =
            json!({"command": "takeConfiguration", "streamId": self.stream, "type": "answer", "sdp": sdp});
        match &mut self.way {
            Way::Socket(signalling) => Ok(signalling.send(&message).await?),
            Way::Whep(place) => {
                let headers = [("Content-Type", "application/sdp")];
                let answer = test_support::ask("PATCH", place, &headers, &sdp).await?;
                ensure!(answer.status == 204, "{place}: {} {}", answer.status, answer.text());
                Ok(())
            }
        }
    }

    /// Does what an ordinary player does until `enough`.
    ///
    /// # Errors
    /// It was not within 10 s, or the player ended.
    pub async fn behave_until(&mut self, enough: impl Fn(&Receiver) -> bool) -> anyhow::Result<()> {
        let behave = async {
            let mut turn = interval(TURN);
            while !enough(&self.receiver) {
                turn.tick().await;
                self.behave()?;
            }
            anyhow::Ok(())
        };
        timeout(STEP_MAX, behave).await.context("a hostile player came no further")?
    }

    /// Has its address checked, and keeps back the first flight of DTLS, which is given to the caller.
    ///
    /// # Errors
    /// Nobody answered the checks within 10 s, or the player ended.
    pub async fn be_checked(&mut self) -> anyhow::Result<Vec<u8>> {
        let be_checked = async {
            let mut turn = interval(TURN);
            loop {
                turn.tick().await;
                self.take();
                while let Some(datagram) = self.receiver.poll_transmit() {
                    // RFC 7983 7: what begins with 20 to 63 is DTLS.
                    if matches!(datagram.first(), Some(20..=63)) {
                        return anyhow::Ok(datagram);
                    }
                    self.send(&datagram);
                }
                self.go_on()?;
            }
        };
        timeout(STEP_MAX, be_checked).await.context("no check was answered")?
    }

    /// Sends `per_second` datagrams that `make` makes for so long, and otherwise does what an ordinary
    /// player does; how many were sent.
    ///
    /// # Errors
    /// The player ended, or `make` failed.
    pub async fn storm(
        &mut self,
        length: Duration,
        per_second: f64,
        mut make: impl FnMut(&mut Receiver) -> anyhow::Result<Vec<u8>>,
    ) -> anyhow::Result<u64> {
        let mut sending = Sending::new(length, per_second);
        while let Some(due) = sending.turn().await {
            self.behave()?;
            for _ in 0..due {
                let datagram = make(&mut self.receiver)?;
                self.send(&datagram);
            }
        }
        Ok(sending.sent)
    }

    /// Sends datagrams as they are for so long, in turn, and does nothing else; how many were sent.
    pub async fn pour(&mut self, length: Duration, per_second: f64, datagrams: &[Vec<u8>]) -> u64 {
        let mut datagrams = datagrams.iter().cycle();
        let mut sending = Sending::new(length, per_second);
        while let Some(due) = sending.turn().await {
            for datagram in datagrams.by_ref().take(due) {
                self.send(datagram);
            }
        }
        sending.sent
    }

    /// Sends one datagram as it is; a full socket loses it, as the network may.
    pub fn send(&mut self, datagram: &[u8]) {
        self.spoke_at = Some(SystemClock.now());
        let _lost = self.socket.try_send(datagram);
    }

    /// Waits, at most 20 s, until the node says that this play is over: by its socket, or of WHEP by the end of the
    /// connection.
    ///
    /// # Errors
    /// It did not, or not in time.
    pub async fn is_told_the_end(&mut self) -> anyhow::Result<()> {
        let over = async {
            let mut turn = interval(TURN);
            while let Way::Whep(_) = self.way {
                turn.tick().await;
                if self.behave().is_err() {
                    return anyhow::Ok(());
                }
            }
            while let Way::Socket(signalling) = &mut self.way {
                let message = signalling.receive_within(END_MAX).await?;
                let finished = message["definition"] == "play_finished";
                if finished || message["command"] == "error" {
                    break;
                }
            }
            Ok(())
        };
        timeout(END_MAX, over).await.context("nobody said that the play is over")?
    }

    /// When it last sent a datagram; the node heard of it no sooner.
    pub const fn spoke_at(&self) -> Option<Instant> {
        self.spoke_at
    }

    /// The player's ordinary half.
    pub const fn receiver(&mut self) -> &mut Receiver {
        &mut self.receiver
    }

    /// The name the node gave itself for this player's checks.
    pub fn ufrag(&self) -> Option<&str> {
        self.offer.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:"))
    }

    /// Where the node takes datagrams.
    pub const fn server(&self) -> SocketAddr {
        self.receiver.server()
    }

    /// Takes what came, and sends what is due.
    fn behave(&mut self) -> anyhow::Result<()> {
        self.take();
        while let Some(datagram) = self.receiver.poll_transmit() {
            self.send(&datagram);
        }
        self.go_on()
    }

    fn take(&mut self) {
        let mut buffer = [0; 2_048];
        let now = SystemClock.now();
        while let Ok(length) = self.socket.try_recv(&mut buffer) {
            self.receiver.handle(buffer.get(..length).unwrap_or_default(), now);
        }
        if self.receiver.poll_timeout().is_some_and(|at| at <= now) {
            self.receiver.handle_timeout(now);
        }
    }

    fn go_on(&self) -> anyhow::Result<()> {
        if let Stage::Closed(reason) = self.receiver.stage() {
            bail!("{reason}");
        }
        Ok(())
    }
}

/// An even rate, turn by turn.
struct Sending {
    began: Instant,
    length: Duration,
    per_second: f64,
    sent: u64,
    turn: tokio::time::Interval,
}

impl Sending {
    fn new(length: Duration, per_second: f64) -> Self {
        let mut turn = interval(TURN);
        turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { began: SystemClock.now(), length, per_second, sent: 0, turn }
    }

    /// Waits for the next turn; how many are due in it, `None` at the end.
    async fn turn(&mut self) -> Option<usize> {
        self.turn.tick().await;
        let elapsed = SystemClock.now() - self.began;
        if elapsed >= self.length {
            return None;
        }
        let due = (elapsed.as_secs_f64() * self.per_second) as u64;
        let now = due.saturating_sub(self.sent);
        self.sent += now;
        usize::try_from(now).ok()
    }
}
