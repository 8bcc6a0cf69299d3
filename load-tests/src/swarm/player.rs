//! One player with its signalling socket and its UDP socket.

use std::cell::RefCell;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use base::{Clock, SystemClock};
use futures_util::{SinkExt, StreamExt};
use quinn_udp::{RecvMeta, UdpSocketState};
use serde_json::{Value, json};
use tokio::io::Interest;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant as TimerInstant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{Pace, SOUND_RATE, Shared, Spread};
use crate::link::Stage;
use crate::receiver::{Arrival, Counts, Receiver, TrackKind, WholeFrame};

/// Room for one read: the largest run that GRO puts together.
pub(super) const BUFFER_BYTES: usize = 64 * 1024;
/// Reads in a row, then other players have their turn.
const READS_MAX: usize = 32;
/// Time for the node to answer `play`.
const OFFER_MAX: Duration = Duration::from_secs(20);
/// How often the SDK pings.
const PING: Duration = Duration::from_secs(3);
/// Without media for this long after the answer a player has failed.
const MEDIA_MAX: Duration = Duration::from_secs(15);

/// A frame sent less than this before it came is live.
const LIVE: Duration = Duration::from_millis(100);

/// What is known of one player.
#[derive(Default)]
pub(crate) struct Player {
    receiver: Option<Receiver>,
    asked_at: Option<Instant>,
    first_frame_at: Option<Instant>,
    live_at: Option<Instant>,
    ended: Option<String>,
    window: Option<Window>,
}

/// What a player saw in a window.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) video: Counts,
    pub(super) audio: Counts,
    /// Behind the publisher.
    pub(super) lags: Spread,
    /// Behind the first player.
    pub(super) fanouts: Spread,
    /// How late each packet of sound was, behind the first one of all; ticks.
    pub(super) sounds: Vec<i32>,
    /// Messages that came, and how long after they were said.
    pub(super) messages: u64,
    pub(super) message_times: Spread,
    /// Frames put together that were sent, and that never were.
    pub(super) known: u64,
    pub(super) unknown: u64,
    /// The longest time without a whole frame; `None` for one that was not connected.
    pub(super) gap: Option<Duration>,
}

struct Window {
    /// Counts are those before it.
    seen: Seen,
    last_frame: Instant,
    gap: Duration,
}

impl Player {
    /// It has media, or will not have any.
    pub(super) fn is_settled(&self) -> bool {
        self.ended.is_some() || self.join_time().is_some()
    }

    /// It has live frames, or will not have any.
    pub(super) fn is_caught_up(&self) -> bool {
        self.ended.is_some() || self.live_at.is_some()
    }

    pub(super) fn end(&mut self, reason: String) {
        self.ended.get_or_insert(reason);
    }

    pub(super) fn ended(&self) -> Option<String> {
        self.ended.clone()
    }

    pub(super) const fn receiver(&self) -> Option<&Receiver> {
        self.receiver.as_ref()
    }

    /// From `play` to the keys.
    pub(super) fn connect_time(&self) -> Option<Duration> {
        Some(self.receiver.as_ref()?.connected_at()? - self.asked_at?)
    }

    /// From the first answered check to the first RTP packet.
    pub(super) fn handshake_time(&self) -> Option<Duration> {
        let receiver = self.receiver.as_ref()?;
        Some(receiver.first_media_at()? - receiver.reachable_at()?)
    }

    /// From `play` to the first RTP packet.
    pub(super) fn join_time(&self) -> Option<Duration> {
        Some(self.receiver.as_ref()?.first_media_at()? - self.asked_at?)
    }

    /// From the keys to the first whole frame.
    pub(super) fn first_frame_time(&self) -> Option<Duration> {
        Some(self.first_frame_at? - self.receiver.as_ref()?.connected_at()?)
    }

    /// From the keys to the first live frame.
    pub(super) fn live_time(&self) -> Option<Duration> {
        Some(self.live_at? - self.receiver.as_ref()?.connected_at()?)
    }

    fn counts(&self, kind: TrackKind) -> Counts {
        let mut sum = Counts::default();
        let tracks = self.receiver.iter().flat_map(|receiver| receiver.tracks());
        tracks.filter(|track| track.kind == kind).for_each(|track| sum.add(track.counts()));
        sum
    }

    pub(super) fn open_window(&mut self, now: Instant) {
        let seen = Seen {
            video: self.counts(TrackKind::Video),
            audio: self.counts(TrackKind::Audio),
            ..Seen::default()
        };
        self.window = Some(Window { seen, last_frame: now, gap: Duration::ZERO });
    }

    pub(super) fn close_window(&mut self, now: Instant) -> Seen {
        let Some(window) = self.window.take() else { return Seen::default() };
        let mut seen = window.seen;
        seen.video = self.counts(TrackKind::Video).since(&seen.video);
        seen.audio = self.counts(TrackKind::Audio).since(&seen.audio);
        seen.gap = self.join_time().map(|_| window.gap.max(now - window.last_frame));
        seen
    }

    fn handle(&mut self, datagram: &[u8], now: Instant, shared: &Shared) {
        let Some(receiver) = &mut self.receiver else { return };
        let had_media = receiver.first_media_at().is_some();
        let arrival = receiver.handle(datagram, now);
        if !had_media && receiver.first_media_at().is_some() {
            shared.news.notify_waiters();
        }
        let messages = receiver.messages();
        for message in messages {
            self.message(&message, now, shared);
        }
        match arrival {
            Some(Arrival::Frame(frame)) => self.frame(frame, now, shared),
            Some(Arrival::Sound { wall_ticks: Some(ticks) }) => self.sound(ticks, now, shared),
            Some(Arrival::Sound { wall_ticks: None }) | None => {}
        }
    }

    fn frame(&mut self, frame: WholeFrame, now: Instant, shared: &Shared) {
        self.first_frame_at.get_or_insert(now);
        let ledger = shared.options.ledger.as_ref();
        let sent = frame.fingerprint.zip(ledger).map(|(fingerprint, ledger)| ledger.sent_at(fingerprint));
        let lag = sent.flatten().map(|sent| now.saturating_duration_since(sent));
        if self.live_at.is_none() && lag.is_some_and(|lag| lag < LIVE) {
            self.live_at = Some(now);
            shared.news.notify_waiters();
        }
        let Some(window) = &mut self.window else { return };
        window.seen.lags.extend(lag);
        window.seen.known += u64::from(lag.is_some());
        window.seen.unknown += u64::from(sent == Some(None));
        window
            .seen
            .fanouts
            .extend(frame.wall_ticks.map(|ticks| shared.arrivals.borrow_mut().lag(ticks, now)));
        window.gap = window.gap.max(now - window.last_frame);
        window.last_frame = now;
    }

    /// A message is the number it was said under.
    fn message(&mut self, message: &[u8], now: Instant, shared: &Shared) {
        let Some(window) = &mut self.window else { return };
        let number = std::str::from_utf8(message).ok().and_then(|text| text.parse::<usize>().ok());
        let said = number.and_then(|number| shared.said.borrow().get(number).copied());
        window.seen.messages += u64::from(said.is_some());
        window.seen.message_times.extend(said.map(|said| now.saturating_duration_since(said)));
    }

    fn sound(&mut self, ticks: u32, now: Instant, shared: &Shared) {
        let Some(window) = &mut self.window else { return };
        let elapsed = (now - shared.start).as_micros() * u128::from(SOUND_RATE) / 1_000_000;
        let late = (elapsed as u32).wrapping_sub(ticks);
        let first = shared.first_sound.get().unwrap_or(late);
        shared.first_sound.set(Some(first));
        window.seen.sounds.push(late.wrapping_sub(first).cast_signed());
    }
}

type Signalling = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Joins and plays until something ends it; the error says what. `deaf`: whether it takes no message, where players
/// listen.
pub(super) async fn play(
    shared: &Shared,
    player: &RefCell<Player>,
    opens_media: bool,
    deaf: Option<bool>,
) -> anyhow::Result<()> {
    let options = &shared.options;
    let (mut signalling, _) = timeout(OFFER_MAX, connect_async(&options.url))
        .await
        .context("the node did not open a signalling socket")?
        .context("the signalling socket was refused")?;
    player.borrow_mut().asked_at = Some(SystemClock.now());
    let play = json!({"command": "play", "streamId": options.stream, "viewerInfo": options.viewer_info});
    send(&mut signalling, &play).await?;
    let offer = timeout(OFFER_MAX, next_offer(&mut signalling)).await.context("the node made no offer")??;
    let offer = options.detour.map_or_else(|| offer.clone(), |detour| detour.rewrite(&offer));
    let now = SystemClock.now();
    let receiver = Receiver::new(&shared.identity, &offer, options.profile, &shared.randomness, now)?;
    let receiver = if opens_media { receiver.open_media() } else { receiver };
    let receiver = match deaf {
        Some(deaf) => receiver.listen(deaf),
        None => receiver,
    };
    let (server, answer) = (receiver.server(), receiver.answer());
    player.borrow_mut().receiver = Some(receiver);
    let socket = connect_socket(server).await?;
    let state = UdpSocketState::new((&socket).into()).context("socket options")?;
    send_answer(&mut signalling, &options.stream, answer).await?;
    stream(shared, player, &mut signalling, &socket, &state).await
}

/// A socket that talks with the node alone.
pub(crate) async fn connect_socket(server: SocketAddr) -> anyhow::Result<UdpSocket> {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await.context("no UDP port")?;
    socket.connect(server).await.context("no way to the node's UDP port")?;
    // Until the runtime has seen it writable, it refuses to send: the first check would be lost.
    socket.writable().await.context("UDP")?;
    Ok(socket)
}

async fn stream(
    shared: &Shared,
    player: &RefCell<Player>,
    signalling: &mut Signalling,
    socket: &UdpSocket,
    state: &UdpSocketState,
) -> anyhow::Result<()> {
    let mut ping = interval(PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let media_by = SystemClock.now() + MEDIA_MAX;
    let timer = sleep_until(TimerInstant::from_std(SystemClock.now()));
    tokio::pin!(timer);
    loop {
        let due = {
            let mut player = player.borrow_mut();
            let had_none = player.join_time().is_none();
            let Some(receiver) = &mut player.receiver else { bail!("no receiver") };
            let now = SystemClock.now();
            if receiver.poll_timeout().is_some_and(|at| at <= now) {
                receiver.handle_timeout(now);
            }
            while let Some(datagram) = receiver.poll_transmit() {
                match socket.try_send(&datagram) {
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                        return Err(error).context("UDP");
                    }
                    // A full socket loses a datagram, as the network may.
                    _ => {}
                }
            }
            if let Stage::Closed(reason) = receiver.stage() {
                bail!("{reason}");
            }
            if had_none && now >= media_by {
                bail!("no media within {MEDIA_MAX:?}; {:?}", receiver.stage());
            }
            if matches!(shared.options.pace, Pace::Turns(_)) && receiver.first_media_at().is_some() {
                return Ok(());
            }
            let due = receiver.poll_timeout();
            if had_none { Some(due.map_or(media_by, |due| due.min(media_by))) } else { due }
        };
        if let Some(due) = due.map(TimerInstant::from_std)
            && timer.deadline() != due
        {
            timer.as_mut().reset(due);
        }
        tokio::select! {
            ready = socket.readable() => {
                ready.context("UDP")?;
                read(shared, player, socket, state)?;
            }
            () = &mut timer => {}
            text = signalling.next() => {
                let Some(message) = read_message(text)? else { continue };
                if let Some(offer) = offer_of(&message)? {
                    let answer = {
                        let mut player = player.borrow_mut();
                        let Some(receiver) = &mut player.receiver else { bail!("no receiver") };
                        let detour = shared.options.detour;
                        receiver.update(&detour.map_or_else(|| offer.to_owned(), |detour| detour.rewrite(offer)))?;
                        receiver.answer()
                    };
                    send_answer(signalling, &shared.options.stream, answer).await?;
                }
            }
            _ = ping.tick() => send(signalling, &json!({"command": "ping"})).await?,
        }
    }
}

fn read(
    shared: &Shared,
    player: &RefCell<Player>,
    socket: &UdpSocket,
    state: &UdpSocketState,
) -> anyhow::Result<()> {
    let mut buffer = shared.buffer.borrow_mut();
    let mut player = player.borrow_mut();
    let mut metas = [RecvMeta::default()];
    for _ in 0..READS_MAX {
        let read = socket.try_io(Interest::READABLE, || {
            state.recv(socket.into(), &mut [IoSliceMut::new(&mut buffer)], &mut metas)
        });
        match read {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            read => read.context("UDP")?,
        };
        let [meta] = &metas;
        let now = SystemClock.now();
        // One read may bring a run of datagrams of the same size, the last one shorter (GRO).
        for datagram in buffer.get(..meta.len).unwrap_or_default().chunks(meta.stride.max(1)) {
            player.handle(datagram, now, shared);
        }
    }
    Ok(())
}

async fn send(signalling: &mut Signalling, message: &Value) -> anyhow::Result<()> {
    signalling.send(Message::text(message.to_string())).await.context("the signalling socket failed")
}

async fn send_answer(signalling: &mut Signalling, stream: &str, answer: String) -> anyhow::Result<()> {
    let message =
        json!({"command": "takeConfiguration", "streamId": stream, "type": "answer", "sdp": answer});
    send(signalling, &message).await
}

async fn next_offer(signalling: &mut Signalling) -> anyhow::Result<String> {
    loop {
        let text = signalling.next().await;
        let Some(message) = read_message(text)? else { continue };
        if let Some(offer) = offer_of(&message)? {
            return Ok(offer.to_owned());
        }
    }
}

/// The JSON of a text message; `None` for one that is none.
fn read_message(
    message: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>,
) -> anyhow::Result<Option<Value>> {
    match message.context("the node closed the signalling socket")?.context("the signalling socket failed")? {
        Message::Text(text) => Ok(Some(serde_json::from_str(&text).context("signalling is not JSON")?)),
        Message::Close(_) => bail!("the node closed the signalling socket"),
        _ => Ok(None),
    }
}

/// The SDP of an offer; `None` for what does not matter. What ends the play is an error, by its name.
fn offer_of(message: &Value) -> anyhow::Result<Option<&str>> {
    let text = |key: &str| message.get(key).and_then(Value::as_str).unwrap_or_default();
    match (text("command"), text("definition")) {
        ("takeConfiguration", _) if text("type") == "offer" => Ok(Some(text("sdp"))),
        ("error", definition) => bail!("refused: {definition}"),
        ("notification", definition @ ("play_finished" | "server_will_stop")) => {
            bail!("{definition} {}", text("information"))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_node_says_is_told_apart() {
        let offer = json!({"command": "takeConfiguration", "type": "offer", "sdp": "v=0"});
        assert_eq!(offer_of(&offer).unwrap(), Some("v=0"));
        assert_eq!(offer_of(&json!({"command": "pong"})).unwrap(), None);
        assert_eq!(
            offer_of(&json!({"command": "notification", "definition": "play_started"})).unwrap(),
            None
        );
        let refused = offer_of(&json!({"command": "error", "definition": "highResourceUsage"})).unwrap_err();
        assert_eq!(refused.to_string(), "refused: highResourceUsage");
        let over = json!({"command": "notification", "definition": "play_finished", "information": "kicked"});
        assert_eq!(offer_of(&over).unwrap_err().to_string(), "play_finished kicked");
    }
}
