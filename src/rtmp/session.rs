//! One connection of an encoder, from the handshake to its end.
//!
//! This file has what comes and goes; `commands` what an encoder says and how it is answered.

mod commands;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use base::{AppName, limits};
use bytes::Bytes;
use rml_rtmp::handshake::{Handshake, HandshakeProcessResult, PeerType};

use crate::aggregate::Parts;
use crate::amf0::Writer;
use crate::chunk::{Message, Reader};
use crate::close::CloseReason;
use crate::metadata::Metadata;
use crate::outgoing::{Outgoing, WINDOW_BYTES};
use crate::publish::{ConnectInfo, PublishRequest};
use crate::refusal::Refusal;

/// What a [`Session`] wants done, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Write these bytes to the peer.
    Send(Bytes),
    /// The peer wants to publish: ask the gate, then call [`Session::accept`] or
    /// [`Session::refuse`]. Until then nothing more is read ([`Session::wants_bytes`]).
    Publish(Box<PublishRequest>),
    /// The body of a video message of the accepted stream.
    Video {
        /// Milliseconds, wrapping at 2^32.
        timestamp_ms: u32,
        /// An FLV video tag body.
        body: Bytes,
    },
    /// The body of an audio message of the accepted stream.
    Audio {
        /// Milliseconds, wrapping at 2^32.
        timestamp_ms: u32,
        /// An FLV audio tag body.
        body: Bytes,
    },
    /// What the encoder says of itself.
    Metadata(Box<Metadata>),
    /// A clean end of the stream. The connection stays; another [`Output::Publish`] may follow.
    Unpublish,
    /// The last output: everything was handed out. Shut the sending half down first and read on
    /// for a moment, for closing with unread bytes makes TCP throw away what was just sent.
    Close(CloseReason),
}

/// The session machine: bytes and the time in, [`Output`]s out.
///
/// After every call of another method, poll until `None`, and come back at
/// [`Session::poll_timeout`].
pub struct Session {
    knows: Box<dyn Fn(&AppName) -> bool + Send + Sync>,
    phase: Phase,
    reader: Reader,
    outgoing: Outgoing,
    outputs: VecDeque<Output>,
    closing: Option<CloseReason>,
    connect: ConnectInfo,
    /// Message streams handed out; their ids are 1 to this.
    streams: u32,
    /// Input that came while the gate was asked.
    held: Vec<u8>,
    /// Bytes and commands since the last step towards a stream.
    early_bytes: usize,
    early_commands: usize,
    /// Chunk bytes received and told to the peer.
    received: u64,
    acknowledged: u64,
    window: u64,
    /// Since when we wait for the next step, and when the last whole message came.
    waiting_since: Instant,
    last_message: Instant,
    silence_max: Duration,
    /// Messages in the second that began then.
    second: Instant,
    messages: u32,
}

/// The stream being asked for or published.
#[derive(Clone, Debug)]
struct Live {
    stream_id: u32,
    name: String,
}

enum Phase {
    Handshake(Box<Handshake>),
    Connecting,
    /// Connected; nothing is published.
    Idle,
    /// The gate is being asked.
    Asking(Live),
    Publishing(Live),
    /// Nothing is read any more.
    Ending,
}

impl Session {
    /// A connection that was accepted at `now`. `knows` says whether an application exists.
    pub fn new(knows: impl Fn(&AppName) -> bool + Send + Sync + 'static, now: Instant) -> Self {
        Self {
            knows: Box::new(knows),
            phase: Phase::Handshake(Box::new(Handshake::new(PeerType::Server))),
            reader: Reader::new(),
            outgoing: Outgoing::new(),
            outputs: VecDeque::new(),
            closing: None,
            connect: ConnectInfo::default(),
            streams: 0,
            held: Vec::new(),
            early_bytes: 0,
            early_commands: 0,
            received: 0,
            acknowledged: 0,
            window: u64::from(WINDOW_BYTES),
            waiting_since: now,
            last_message: now,
            silence_max: limits::RTMP_SILENCE_MAX,
            second: now,
            messages: 0,
        }
    }

    /// The same with another time a publisher may send no whole message.
    #[must_use]
    pub fn with_silence_max(self, silence_max: Duration) -> Self {
        Self { silence_max, ..self }
    }

    /// A connection whose handshake is through, for readers of captures and fuzz targets.
    pub fn after_handshake(knows: impl Fn(&AppName) -> bool + Send + Sync + 'static, now: Instant) -> Self {
        Self { phase: Phase::Connecting, ..Self::new(knows, now) }
    }

    /// Takes bytes from the peer. After the end they are ignored.
    pub fn handle(&mut self, bytes: &[u8], now: Instant) {
        if bytes.is_empty() {
            return;
        }
        if let Phase::Handshake(handshake) = &mut self.phase {
            match handshake.process_bytes(bytes) {
                Ok(HandshakeProcessResult::InProgress { response_bytes }) => {
                    self.outgoing.raw(&response_bytes)
                }
                Ok(HandshakeProcessResult::Completed { response_bytes, remaining_bytes }) => {
                    self.outgoing.raw(&response_bytes);
                    self.phase = Phase::Connecting;
                    self.waiting_since = now;
                    self.read(&remaining_bytes, now);
                }
                Err(_) => self.close(CloseReason::BadHandshake),
            }
        } else {
            self.read(bytes, now);
        }
        if self.outgoing.is_over() && !matches!(self.phase, Phase::Ending) {
            self.outgoing.clear();
            self.close(CloseReason::TooSlow);
        }
    }

    /// What is to be done next; `None` until something happens.
    pub fn poll(&mut self) -> Option<Output> {
        if let Some(bytes) = self.outgoing.take() {
            return Some(Output::Send(bytes));
        }
        self.outputs.pop_front().or_else(|| self.closing.take().map(Output::Close))
    }

    /// Whether to read from the socket. While the gate is asked it is better not to; what comes
    /// nevertheless is held, up to [`limits::RTMP_BYTES_BEFORE_CONNECT_MAX`].
    pub const fn wants_bytes(&self) -> bool {
        !matches!(self.phase, Phase::Asking(_) | Phase::Ending)
    }

    /// Memory of what came and is not handed out yet: messages that are not whole, and what is held while
    /// the gate is asked. In bytes; the caller may end the session for it ([`CloseReason::MemorySpent`]).
    pub const fn unfinished_bytes(&self) -> usize {
        self.reader.unfinished_bytes() + self.held.capacity()
    }

    /// When to call [`Session::handle_timeout`], unless something happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Handshake(_) => Some(self.waiting_since + limits::RTMP_HANDSHAKE_MAX),
            Phase::Connecting | Phase::Idle => Some(self.waiting_since + limits::RTMP_PUBLISH_WAIT_MAX),
            Phase::Publishing(_) => Some(self.last_message + self.silence_max),
            Phase::Asking(_) | Phase::Ending => None,
        }
    }

    /// Ends the session if its time is over.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|deadline| now < deadline) {
            return;
        }
        self.close(match self.phase {
            Phase::Handshake(_) => CloseReason::HandshakeTimeout,
            Phase::Publishing(_) => CloseReason::Silent,
            _ => CloseReason::PublishTimeout,
        });
    }

    /// The peer closed its half of the connection.
    pub fn handle_end(&mut self) {
        self.close(match self.phase {
            Phase::Idle => CloseReason::Finished,
            _ => CloseReason::PeerClosed,
        });
    }

    /// The gate let the publisher in. Nothing happens unless [`Output::Publish`] was the question.
    pub fn accept(&mut self, now: Instant) {
        let Phase::Asking(live) = &self.phase else { return };
        let live = live.clone();
        self.outgoing.stream_begins(live.stream_id);
        let started =
            [("code", "NetStream.Publish.Start".into()), ("description", live.name.as_str().into())];
        self.outgoing.command(0, Writer::command("onFCPublish", 0.0).null().object(&started));
        let text = format!("{} is now published.", live.name);
        self.outgoing.status(live.stream_id, "status", "NetStream.Publish.Start", &text, &live.name);
        self.phase = Phase::Publishing(live);
        self.reader.trust();
        self.last_message = now;
        let held = std::mem::take(&mut self.held);
        // What is held was counted when it came.
        self.follow(&held, now);
    }

    /// The gate, or the node, said no: the peer is told and the connection ends. Nothing happens
    /// unless [`Output::Publish`] was the question.
    pub fn refuse(&mut self, refusal: Refusal) {
        let Phase::Asking(live) = &self.phase else { return };
        let text = refusal.text(&live.name);
        self.outgoing.status(live.stream_id, "error", refusal.code(), &text, &live.name);
        self.close(CloseReason::Refused(refusal));
    }

    /// Ends the session from our side: the peer is told `reason` where it is publishing or wants
    /// to, then the connection ends. The first reason counts.
    pub fn end(&mut self, reason: CloseReason) {
        if let Phase::Asking(live) | Phase::Publishing(live) = &self.phase {
            let text = match &reason {
                CloseReason::UnsupportedCodec(codec) => {
                    format!(
                        "The codec {codec} is not supported. Use H.264, AV1 or VP9 video and AAC or Opus audio."
                    )
                }
                CloseReason::Ended(reason) => format!("The server ended the stream: {reason}."),
                other => format!("The stream was ended: {other}."),
            };
            self.outgoing.status(live.stream_id, "error", "NetStream.Failed", &text, &live.name);
        }
        self.close(reason);
    }

    fn close(&mut self, reason: CloseReason) {
        if !matches!(self.phase, Phase::Ending) {
            self.phase = Phase::Ending;
            self.held = Vec::new();
            self.closing = Some(reason);
        }
    }

    fn read(&mut self, input: &[u8], now: Instant) {
        self.received += input.len() as u64;
        self.follow(input, now);
        if self.received - self.acknowledged >= self.window && !matches!(self.phase, Phase::Ending) {
            self.acknowledged = self.received;
            // The number counts all bytes and goes round at 2^32 (5.4.3).
            self.outgoing.acknowledge((self.received & u64::from(u32::MAX)) as u32);
        }
    }

    fn follow(&mut self, mut input: &[u8], now: Instant) {
        while self.wants_bytes() {
            let before = input.len();
            let message = self.reader.read(&mut input);
            if !matches!(self.phase, Phase::Publishing(_)) {
                self.early_bytes += before - input.len();
                if self.early_bytes > limits::RTMP_BYTES_BEFORE_CONNECT_MAX {
                    return self.close(CloseReason::TooManyBytes);
                }
            }
            match message {
                Ok(Some(message)) => self.message(message, now),
                Ok(None) => return,
                Err(error) => return self.close(error.into()),
            }
        }
        if matches!(self.phase, Phase::Asking(_)) {
            if self.held.len() + input.len() > limits::RTMP_BYTES_BEFORE_CONNECT_MAX {
                return self.close(CloseReason::TooManyBytes);
            }
            self.held.extend_from_slice(input);
        }
    }

    fn message(&mut self, message: Message, now: Instant) {
        // A byte alone is no sign of life: a message may be dragged out for ever.
        self.last_message = now;
        if now.saturating_duration_since(self.second).as_secs() >= 1 {
            self.second = now;
            self.messages = 0;
        }
        if !self.count_message() {
            return;
        }
        let Message { timestamp_ms, type_id, stream_id, payload } = message;
        let publishing = matches!(self.phase, Phase::Publishing(_));
        match type_id {
            4 => self.user_control(&payload),
            5 => {
                // The peer's window, after which it wants to hear from us. Tiny ones would make us
                // answer every read.
                const WINDOW_BYTES_MIN: u32 = 4_096;
                if let Some(window) = payload.first_chunk() {
                    self.window = u64::from(u32::from_be_bytes(*window).max(WINDOW_BYTES_MIN));
                }
            }
            8 | 9 | 15 | 18 if publishing => self.media(type_id, timestamp_ms, payload),
            17 => self.command(stream_id, without_zero(&payload), now),
            20 => self.command(stream_id, &payload, now),
            22 if publishing => self.aggregate(timestamp_ms, payload),
            // Acknowledgements, bandwidths, shared objects, and media that nobody asked for.
            _ => {}
        }
    }

    /// Counts one more of this second; `false` where it was one too many, which ends the session.
    fn count_message(&mut self) -> bool {
        self.messages += 1;
        let within = self.messages <= limits::RTMP_MESSAGES_PER_SECOND_MAX;
        if !within {
            self.close(CloseReason::TooManyMessages);
        }
        within
    }

    fn media(&mut self, type_id: u8, timestamp_ms: u32, body: Bytes) {
        match type_id {
            8 => self.outputs.push_back(Output::Audio { timestamp_ms, body }),
            9 => self.outputs.push_back(Output::Video { timestamp_ms, body }),
            15 | 18 => {
                let body = if type_id == 15 { without_zero(&body) } else { &body };
                if let Some(metadata) = Metadata::read(body) {
                    self.outputs.push_back(Output::Metadata(Box::new(metadata)));
                }
            }
            _ => {}
        }
    }

    /// The messages inside count like messages of their own.
    fn aggregate(&mut self, timestamp_ms: u32, payload: Bytes) {
        for part in Parts::new(timestamp_ms, payload) {
            let Ok(part) = part else {
                return self.end(CloseReason::Protocol("an aggregate message ends inside another"));
            };
            if !self.count_message() {
                return;
            }
            self.media(part.type_id, part.timestamp_ms, part.payload);
        }
    }

    fn user_control(&mut self, payload: &[u8]) {
        const PING_REQUEST: u16 = 6;
        if let Some((kind, rest)) = payload.split_first_chunk()
            && u16::from_be_bytes(*kind) == PING_REQUEST
            && let Some(time) = rest.first_chunk()
        {
            self.outgoing.pong(u32::from_be_bytes(*time));
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let phase = match &self.phase {
            Phase::Handshake(_) => "handshake",
            Phase::Connecting => "connecting",
            Phase::Idle => "idle",
            Phase::Asking(_) => "asking",
            Phase::Publishing(_) => "publishing",
            Phase::Ending => "ending",
        };
        f.debug_struct("Session").field("phase", &phase).finish_non_exhaustive()
    }
}

/// AMF3 messages carry AMF0 behind a byte that says so.
fn without_zero(payload: &[u8]) -> &[u8] {
    payload.strip_prefix(&[0]).unwrap_or(payload)
}

#[cfg(test)]
mod tests;
