//! Sends a recording to a node as an encoder would, on a thread of its own.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use base::{Clock, SystemClock};
use test_support::RtmpClient;
use test_support::rtmp_client::{message, timed_message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::time::{Instant as TimerInstant, sleep_until, timeout};

use super::{Ledger, Recording};

/// What no message of a recording is larger than: each is one chunk.
const CHUNK_SIZE: u32 = 8 * 1024 * 1024;
/// The message stream that `createStream` makes first.
const MESSAGE_STREAM: u32 = 1;
/// What the node says when media may come.
const STARTED: &[u8] = b"NetStream.Publish.Start";
/// Time for it to say so.
const START_MAX: Duration = Duration::from_secs(15);
const SET_CHUNK_SIZE: u8 = 1;
const AUDIO: u8 = 8;
const VIDEO: u8 = 9;

/// How a publisher differs from an ordinary one.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Where it writes down what it sends: one that goes on for another writes into the other's.
    pub ledger: Arc<Ledger>,
    /// What its clock shows so many milliseconds after its start.
    pub stamp: fn(u64) -> u32,
}

impl Default for Manner {
    fn default() -> Self {
        // RTMP's times are modulo 2^32.
        Self { ledger: Arc::default(), stamp: |ms| ms as u32 }
    }
}

/// A publisher at work. Dropping it ends its connection.
///
/// It has its own thread: players at work in its place would make it late, and what it sends uneven.
pub struct Publisher {
    ledger: Arc<Ledger>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Publisher {
    /// Publishes a recording over and over in real time to an RTMP listener at `host:port`, until dropped. Its
    /// thread runs on the cores of the calling one.
    ///
    /// # Errors
    /// There is no thread for it. That nobody listens is told by [`check`](Self::check).
    pub fn start(
        recording: &Arc<Recording>,
        address: &str,
        application: &str,
        stream: &str,
    ) -> anyhow::Result<Self> {
        Self::start_as(Manner::default(), recording, address, application, stream)
    }

    /// The same in another manner.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_as(
        manner: Manner,
        recording: &Arc<Recording>,
        address: &str,
        application: &str,
        stream: &str,
    ) -> anyhow::Result<Self> {
        let ledger = Arc::clone(&manner.ledger);
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("publisher".to_owned()).spawn({
            let recording = Arc::clone(recording);
            let (address, application, stream) =
                (address.to_owned(), application.to_owned(), stream.to_owned());
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(async {
                    tokio::select! {
                        biased;
                        // Told to stop, or dropped without a word.
                        _ = stopped => Ok(()),
                        ended = publish(&recording, &manner, &address, &application, &stream) => ended,
                    }
                })
            }
        })?;
        Ok(Self { ledger, stop: Some(stop), thread: Some(thread) })
    }

    /// What was sent when.
    pub const fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Whether it still publishes.
    ///
    /// # Errors
    /// It has ended, with the reason.
    pub fn check(&mut self) -> anyhow::Result<()> {
        if self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return Ok(());
        }
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(Err(error))) => Err(error.context("the publisher ended")),
            _ => bail!("the publisher ended"),
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        drop(self.stop.take());
        // An error was there to be asked for.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn publish(
    recording: &Recording,
    manner: &Manner,
    address: &str,
    application: &str,
    stream: &str,
) -> anyhow::Result<()> {
    let mut client = RtmpClient::connect(address).await.context("nobody listens")?;
    client.handshake().await.context("handshake")?;
    client.publish(application, stream).await.context("publish")?;
    client.send(&message(2, SET_CHUNK_SIZE, 0, &CHUNK_SIZE.to_be_bytes())).await?;
    let (mut incoming, mut outgoing) = client.into_stream().into_split();
    let mut said = Vec::new();
    while !said.windows(STARTED.len()).any(|window| window == STARTED) {
        let read =
            timeout(START_MAX, incoming.read_buf(&mut said)).await.context("no answer to publish")??;
        ensure!(read > 0, "the node refused to publish");
    }
    let answers = async {
        let mut scratch = vec![0; 4096];
        while incoming.read(&mut scratch).await? > 0 {}
        bail!("the node closed the connection")
    };
    let headers = [(VIDEO, &recording.video_header), (AUDIO, &recording.audio_header)];
    // What a recording has not has no header either.
    for (kind, header) in headers.into_iter().filter(|(_, header)| !header.is_empty()) {
        outgoing.write_all(&media_message(kind, (manner.stamp)(0), header)).await?;
    }
    tokio::select! {
        ended = answers => ended,
        ended = send_rounds(recording, manner, &mut outgoing) => ended,
    }
}

fn media_message(kind: u8, time_ms: u32, body: &[u8]) -> Vec<u8> {
    timed_message(if kind == AUDIO { 4 } else { 6 }, kind, MESSAGE_STREAM, time_ms, body)
}

async fn send_rounds(
    recording: &Recording,
    manner: &Manner,
    outgoing: &mut (impl AsyncWriteExt + Unpin),
) -> anyhow::Result<()> {
    let start = SystemClock.now();
    let stamp = |time: Duration| (manner.stamp)(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    let mut round_start = Duration::ZERO;
    loop {
        let (mut frames, mut sounds) = (0, 0);
        while frames < recording.frames.len() || sounds < recording.sounds.len() {
            let (frame_due, sound_due) = (Recording::frame_due(frames), Recording::sound_due(sounds));
            if let (Some(frame), true) =
                (recording.frames.get(frames), frame_due <= sound_due || sounds == recording.sounds.len())
            {
                sleep_until(TimerInstant::from_std(start + round_start + frame_due)).await;
                let bytes = media_message(VIDEO, stamp(round_start + frame_due), &frame.message);
                manner.ledger.note(frame.fingerprint, frame.key, SystemClock.now());
                outgoing.write_all(&bytes).await?;
                frames += 1;
            } else if let Some(sound) = recording.sounds.get(sounds) {
                sleep_until(TimerInstant::from_std(start + round_start + sound_due)).await;
                outgoing.write_all(&media_message(AUDIO, stamp(round_start + sound_due), sound)).await?;
                sounds += 1;
            }
        }
        round_start += recording.duration();
    }
}
