//! One RTMP connection: the socket, the session machine, the gate and the stream.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use base::{ExitReason, MediaTime, PeerAddr, SessionId, limits};
use bytes::{Bytes, BytesMut};
use media::{Arrival, Kind, UnfinishedMessages, WriteError};
use observe::metric;
use rtmp::{CloseReason, Ingest, IngestEvent, Output, PublishRequest, Refusal, Session};
use security::{Access, Came, Denial, Direction};
use streams::{PublishError, PublishGrant, PublisherFacts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::listener::RtmpContext;
use crate::connections::OpenConnection;
use crate::entering::{NotIn, enter};
use crate::tracks::{TrackError, Tracks};

/// Read at once from the socket.
const READ_BYTES: usize = 64 * 1024;
/// How long we read on after our last word, so that the peer gets to see it.
const LINGER_MAX: Duration = Duration::from_secs(1);

/// A publisher that is in.
struct Live {
    grant: PublishGrant,
    ingest: Ingest,
    tracks: Tracks,
    /// What the encoder's metadata announced; both until it says otherwise.
    expects_both: bool,
    newest: Option<MediaTime>,
    /// Broken units skipped, and clock steps; the first of each is logged, the sum at the end.
    skipped: u64,
    clock_steps: u64,
}

/// Serves one connection to its end.
pub(super) async fn serve(
    socket: std::net::TcpStream,
    peer: PeerAddr,
    context: Arc<RtmpContext>,
    _open: OpenConnection,
) {
    let id = SessionId::random(&*context.randomness);
    metric::rtmp_connections().increment(1.0);
    let reason = match TcpStream::from_std(socket) {
        Ok(socket) => Connection::new(socket, peer, id, context).run().await,
        Err(error) => {
            tracing::error!(%error, "an accepted socket could not be used");
            CloseReason::Ended(ExitReason::Failed)
        }
    };
    metric::rtmp_connections().decrement(1.0);
    metric::rtmp_connections_ended(reason.label()).increment(1);
    tracing::info!(session = %id, %peer, %reason, "RTMP connection ended");
}

struct Connection {
    socket: TcpStream,
    peer: PeerAddr,
    id: SessionId,
    context: Arc<RtmpContext>,
    session: Session,
    unfinished: UnfinishedMessages,
    live: Option<Live>,
    buffer: BytesMut,
    received: metrics::Counter,
}

impl Connection {
    fn new(socket: TcpStream, peer: PeerAddr, id: SessionId, context: Arc<RtmpContext>) -> Self {
        // Commands are small and answered at once; failing to set this only costs time.
        let _ = socket.set_nodelay(true);
        let applications = context.applications.clone();
        let unfinished = applications.media_budget().unfinished();
        let session = Session::new(move |app| applications.contains(app), context.clock.now())
            .with_silence_max(context.silence_max);
        Self {
            socket,
            peer,
            id,
            context,
            session,
            unfinished,
            live: None,
            buffer: BytesMut::with_capacity(READ_BYTES),
            received: metric::rtmp_bytes_received(),
        }
    }

    async fn run(mut self) -> CloseReason {
        loop {
            if let Some(reason) = self.carry_out().await {
                self.leave(&reason);
                self.linger().await;
                return reason;
            }
            self.wait().await;
        }
    }

    /// Waits for bytes, for a deadline or for the end from our side, and tells the session.
    async fn wait(&mut self) {
        let deadline = self.session.poll_timeout();
        let timeout = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let ending = self.live.as_ref().map(|live| live.grant.ending.clone());
        let ended = async {
            match &ending {
                Some(ending) => ending.ended().await,
                None => std::future::pending().await,
            }
        };
        self.buffer.clear();
        self.buffer.reserve(READ_BYTES);
        tokio::select! {
            read = self.socket.read_buf(&mut self.buffer) => {
                let now = self.context.clock.now();
                match read {
                    Ok(0) | Err(_) => self.session.handle_end(),
                    Ok(bytes) => {
                        self.received.increment(bytes as u64);
                        if let Some(live) = &self.live {
                            live.grant.media.count_received(bytes as u64);
                        }
                        self.session.handle(&self.buffer, now);
                        if self.unfinished.hold(self.session.unfinished_bytes()).is_err() {
                            self.session.end(CloseReason::MemorySpent);
                        }
                    }
                }
            }
            reason = ended => self.session.end(CloseReason::Ended(reason)),
            () = timeout => self.session.handle_timeout(self.context.clock.now()),
        }
    }

    /// Does what the session wants done; its last wish is the reason it ends.
    async fn carry_out(&mut self) -> Option<CloseReason> {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Send(bytes) => match self.send(&bytes).await {
                    Ok(()) => {}
                    // It would not read our last words either.
                    Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                        return Some(CloseReason::TooSlow);
                    }
                    Err(_) => self.session.handle_end(),
                },
                Output::Publish(request) => match self.publish(*request).await {
                    Ok(live) => {
                        self.live = Some(live);
                        self.unfinished.let_in();
                        self.session.accept(self.context.clock.now());
                    }
                    Err(refusal) => {
                        metric::rtmp_refused(refusal.label()).increment(1);
                        self.session.refuse(refusal);
                    }
                },
                Output::Video { timestamp_ms, body } => self.media(Kind::Video, timestamp_ms, &body),
                Output::Audio { timestamp_ms, body } => self.media(Kind::Audio, timestamp_ms, &body),
                Output::Metadata(metadata) => {
                    if let Some(live) = &mut self.live {
                        let video = metadata.width.is_some() || metadata.video_kbps.is_some();
                        let audio = metadata.sample_rate.is_some() || metadata.audio_kbps.is_some();
                        live.expects_both = video && audio || !video && !audio;
                    }
                }
                Output::Unpublish => {
                    if let Some(live) = self.live.take() {
                        live.grant.ending.end(ExitReason::Finished);
                    }
                }
                Output::Close(reason) => return Some(reason),
            }
        }
        None
    }

    async fn send(&mut self, bytes: &Bytes) -> io::Result<()> {
        match tokio::time::timeout(limits::RTMP_WRITE_STALL_MAX, self.socket.write_all(bytes)).await {
            Ok(written) => written,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    async fn publish(&self, request: PublishRequest) -> Result<Live, Refusal> {
        let subscriber_id = request.subscriber_id.clone().unwrap_or_default();
        let access = Access {
            token: request.token,
            subscriber_id: request.subscriber_id,
            subscriber_code: request.subscriber_code,
            main_track: request.main_track,
            came: Came { query: request.query, origin: None },
            ..Access::new(request.app, request.stream, Direction::Publish, "rtmp", self.peer, self.id)
        };
        if !self.context.applications.has_room_for_publisher() {
            return Err(Refusal::Overloaded);
        }
        let facts = PublisherFacts {
            publish_type: "RTMP",
            remote_ip: self.peer.ip().to_string(),
            user_agent: request.flash_ver,
            ..PublisherFacts::default()
        };
        let context = &self.context;
        let entering = enter(&context.gate, &context.applications, &context.clock, &access, &facts);
        let grant = entering.await.map_err(|why| match why {
            NotIn::Denied(denial) => refusal(denial, subscriber_id),
            NotIn::NotBegun(error) => not_begun(error),
        })?;
        let ingest = grant.resume.map_or_else(Ingest::new, Ingest::resuming);
        let tracks = Tracks::new(Arc::clone(&grant.media));
        Ok(Live { grant, ingest, tracks, expects_both: true, newest: None, skipped: 0, clock_steps: 0 })
    }

    fn media(&mut self, kind: Kind, timestamp_ms: u32, body: &Bytes) {
        let Some(live) = &mut self.live else { return };
        let arrival = Arrival { at: self.context.clock.now(), wall: self.context.clock.wall() };
        match kind {
            Kind::Video => live.ingest.video(timestamp_ms, body, arrival),
            Kind::Audio => live.ingest.audio(timestamp_ms, body, arrival),
        }
        while let Some(event) = live.ingest.poll() {
            let written = match event {
                IngestEvent::Video(config) | IngestEvent::Audio(config) => live.tracks.configure(&config),
                IngestEvent::VideoUnit(unit) => {
                    live.newest = live.newest.max(Some(unit.dts));
                    live.grant.ending.carry(Kind::Video, unit.payload.len() as u64);
                    live.tracks.write(Kind::Video, unit)
                }
                IngestEvent::AudioUnit(unit) => {
                    live.newest = live.newest.max(Some(unit.dts));
                    live.grant.ending.carry(Kind::Audio, unit.payload.len() as u64);
                    live.tracks.write(Kind::Audio, unit)
                }
                IngestEvent::Clock(event) => {
                    live.clock_steps += 1;
                    if live.clock_steps == 1 {
                        tracing::info!(session = %self.id, ?event, "the encoder's clock stepped");
                    }
                    Ok(())
                }
                IngestEvent::Skipped { kind, why } => {
                    live.skipped += 1;
                    if live.skipped == 1 {
                        tracing::info!(session = %self.id, kind = kind.label(), why, "a broken unit was skipped");
                    }
                    Ok(())
                }
                IngestEvent::OtherTracks(kind) => {
                    tracing::info!(session = %self.id, kind = kind.label(), "of several tracks the first is carried, no other");
                    Ok(())
                }
                IngestEvent::Refused(reason) => {
                    self.session.end(reason);
                    return;
                }
            };
            if let Err(error) = written {
                let reason = match error {
                    TrackError::Write(WriteError::Fenced) => {
                        live.grant.ending.reason().unwrap_or(ExitReason::Replaced)
                    }
                    TrackError::Write(WriteError::TooLarge(_)) | TrackError::TooManyTracks => {
                        ExitReason::LimitExceeded
                    }
                };
                tracing::info!(session = %self.id, %error, "a unit could not be written");
                self.session.end(CloseReason::Ended(reason));
                return;
            }
        }
        if live.tracks.begins(live.newest, live.expects_both) {
            live.grant.began();
        }
    }

    /// Tells the stream why its publisher is gone.
    fn leave(&mut self, reason: &CloseReason) {
        if let Some(live) = self.live.take() {
            live.grant.ending.end(reason.exit_reason());
            let (skipped, clock_steps) = (live.skipped, live.clock_steps);
            if skipped + clock_steps > 0 {
                tracing::info!(session = %self.id, skipped, clock_steps, "the publisher's media had flaws");
            }
        }
    }

    /// Says goodbye so that the peer can read our last words: closing a socket with unread bytes
    /// would reset it and throw them away.
    async fn linger(mut self) {
        if self.socket.shutdown().await.is_err() {
            return;
        }
        let drain = async {
            loop {
                self.buffer.clear();
                match self.socket.read_buf(&mut self.buffer).await {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
            }
        };
        // Whoever goes on sending is cut off.
        let _ = tokio::time::timeout(LINGER_MAX, drain).await;
    }
}

/// What an encoder is told that passed the gate and did not get its stream.
const fn not_begun(error: PublishError) -> Refusal {
    match error {
        PublishError::NoSuchApplication => Refusal::NotAllowed,
        PublishError::AlreadyLive => Refusal::InUse,
        PublishError::Overloaded => Refusal::Overloaded,
        PublishError::RecordTooLarge | PublishError::StoreUnavailable => Refusal::Unavailable,
    }
}

/// What an encoder is told where the gate said no. Which clause failed is for the log alone.
fn refusal(denial: Denial, subscriber_id: String) -> Refusal {
    match denial {
        Denial::InvalidStreamId(_) => Refusal::InvalidName,
        Denial::Unregistered | Denial::RoomUnregistered => Refusal::Unregistered,
        Denial::AlreadyLive => Refusal::InUse,
        Denial::OutsideWindow | Denial::RoomOutsideWindow => Refusal::OutsideWindow,
        Denial::Blocked => Refusal::Blocked { subscriber_id },
        Denial::IngestLimit | Denial::ViewerLimit => Refusal::Overloaded,
        Denial::NotInitialised | Denial::DataStoreNotAvailable => Refusal::Unavailable,
        // Of the application, and of credentials: the same for all of them, whatever is wrong.
        _ => Refusal::NotAllowed,
    }
}
