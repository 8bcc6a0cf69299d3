//! Feeds ffmpeg with frames and samples as they fall due.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, ExitStatus};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use base::{Clock, SystemClock};
use tokio::sync::watch;

use super::options::{MarkerOptions, Pace, command};
use super::{FLASH_PERIOD, Picture, Sound};

/// Sound is handed over this much ahead of its time. ffmpeg's muxer holds every picture back until it has
/// the sound that follows it, and AAC comes two frames late; without the lead each picture would leave
/// the encoder that much older.
const SOUND_LEAD: Duration = Duration::from_millis(80);
/// How often sound is handed over.
const SOUND_STEP: Duration = Duration::from_millis(5);
/// How long ffmpeg may take to write its last packets once its inputs have ended.
const GOODBYE_MAX: Duration = Duration::from_secs(5);
/// Lines of ffmpeg's messages that are kept.
const LINES_MAX: usize = 20;
/// Frames of the first second are not asked whether they were on time: ffmpeg is still connecting.
const SETTLING: Duration = Duration::from_secs(2);

/// Why there is no picture.
#[derive(Debug)]
pub enum MarkerError {
    /// The size cannot carry the code.
    Size {
        /// Pixels across.
        width: usize,
        /// Pixels down.
        height: usize,
    },
    /// ffmpeg could not be started.
    Start(io::Error),
    /// ffmpeg ended with an error, or did not end when it should have.
    Encoder {
        /// How it ended; `None` when it had to be killed.
        status: Option<ExitStatus>,
        /// The last lines it wrote.
        last_lines: Vec<String>,
    },
}

impl std::fmt::Display for MarkerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Size { width, height } => {
                write!(f, "a picture of {width} x {height} cannot carry the code")
            }
            Self::Start(error) => write!(f, "ffmpeg could not be started: {error}"),
            Self::Encoder { status, last_lines } => {
                match status {
                    Some(status) => write!(f, "ffmpeg ended with {status}")?,
                    None => write!(f, "ffmpeg did not end and was killed")?,
                }
                last_lines.iter().try_for_each(|line| write!(f, "\n  ffmpeg: {line}"))
            }
        }
    }
}

impl std::error::Error for MarkerError {}

/// What a marker did, told when it has ended.
#[derive(Clone, Copy, Debug)]
pub struct MarkerReport {
    /// Frames handed to the encoder, numbered from 0.
    pub frames: u32,
    /// The most a frame was made later than it was due, from the third second on.
    pub late_max: Duration,
}

/// A running picture. Dropping it ends ffmpeg.
pub struct Marker {
    child: Child,
    gop: u32,
    /// Frames handed to the encoder; closed when there will be no more.
    frames: watch::Receiver<u32>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    ended: Option<ExitStatus>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    late_max_us: AtomicU64,
    /// When the encoder took its first sample: time zero of the schedule.
    origin: OnceLock<Instant>,
    lines: Mutex<VecDeque<String>>,
}

impl Marker {
    /// Starts ffmpeg and begins to feed it. Whether it reaches its target shows later:
    /// [`published_frames`](Self::published_frames), [`failure`](Self::failure).
    ///
    /// # Errors
    /// The size is unfit, or ffmpeg cannot be started.
    pub fn start(options: MarkerOptions) -> Result<Self, MarkerError> {
        let picture = Picture::new(options.width, options.height, options.fps)
            .ok_or(MarkerError::Size { width: options.width, height: options.height })?
            .with_noise(options.noise);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(MarkerError::Start)?;
        listener.set_nonblocking(true).map_err(MarkerError::Start)?;
        let sound_port = listener.local_addr().map_err(MarkerError::Start)?.port();
        let gop = options.gop;
        let mut child = command(&options, sound_port).spawn().map_err(MarkerError::Start)?;
        let shared = Arc::new(Shared::default());
        let (count, frames) = watch::channel(0);
        let mut threads = Vec::with_capacity(3);
        if let Some(stderr) = child.stderr.take() {
            let shared = Arc::clone(&shared);
            threads.push(thread::spawn(move || keep_lines(stderr, &shared)));
        }
        {
            let (shared, options) = (Arc::clone(&shared), options.clone());
            threads.push(thread::spawn(move || feed_sound(&listener, &options, &shared)));
        }
        if let Some(stdin) = child.stdin.take() {
            let shared = Arc::clone(&shared);
            threads.push(thread::spawn(move || feed_picture(stdin, picture, &options, &shared, &count)));
        }
        Ok(Self { child, gop, frames, shared, threads, ended: None })
    }

    /// How many frames were handed to the encoder: their numbers are 0 up to this, exclusive.
    pub fn published_frames(&self) -> u32 {
        *self.frames.borrow()
    }

    /// Waits until the frame that stands at `place` in its group of pictures (0: the key frame) is handed to
    /// the encoder; its number. `None`: ffmpeg ends before.
    pub async fn reach(&self, place: u32) -> Option<u32> {
        let mut frames = self.frames.clone();
        let gop = self.gop.max(1);
        let now = *frames.borrow_and_update();
        let wanted = now + (place % gop + gop - now % gop) % gop;
        frames.wait_for(|count| *count > wanted).await.is_ok().then_some(wanted)
    }

    /// The most a frame was made later than it was due, from the third second on.
    pub fn late_max(&self) -> Duration {
        Duration::from_micros(self.shared.late_max_us.load(Ordering::Relaxed))
    }

    /// ffmpeg's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Why ffmpeg has ended although nobody asked it to; `None` while it runs.
    pub fn failure(&mut self) -> Option<MarkerError> {
        let status = self.status()?;
        (!status.success()).then(|| self.error(Some(status)))
    }

    /// Ends the picture: the encoder writes what it has and says goodbye to its target.
    ///
    /// # Errors
    /// ffmpeg had failed before, or had to be killed.
    pub fn stop(mut self) -> Result<MarkerReport, MarkerError> {
        self.shared.stop.store(true, Ordering::Release);
        self.await_end(GOODBYE_MAX)
    }

    /// Waits for a picture with a duration to end by itself, or for ffmpeg to fail.
    ///
    /// # Errors
    /// ffmpeg failed, or did not end within `patience`.
    pub fn finish(mut self, patience: Duration) -> Result<MarkerReport, MarkerError> {
        self.await_end(patience)
    }

    fn await_end(&mut self, patience: Duration) -> Result<MarkerReport, MarkerError> {
        let deadline = SystemClock.now() + patience;
        let status = loop {
            match self.status() {
                Some(status) => break Some(status),
                None if SystemClock.now() >= deadline => break None,
                None => thread::sleep(Duration::from_millis(5)),
            }
        };
        self.end();
        match status {
            Some(status) if status.success() => {
                Ok(MarkerReport { frames: self.published_frames(), late_max: self.late_max() })
            }
            status => Err(self.error(status)),
        }
    }

    fn status(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// Kills ffmpeg if it still runs and joins the threads, which end with its pipes.
    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if self.status().is_none() {
            // Both fail only when the process is gone already.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }

    fn error(&self, status: Option<ExitStatus>) -> MarkerError {
        let lines = self.shared.lines.lock().unwrap_or_else(PoisonError::into_inner);
        MarkerError::Encoder { status, last_lines: lines.iter().cloned().collect() }
    }
}

impl Drop for Marker {
    fn drop(&mut self) {
        self.end();
    }
}

fn keep_lines(stderr: impl Read, shared: &Shared) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        let mut lines = shared.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

fn feed_picture(
    mut stdin: impl Write,
    mut picture: Picture,
    options: &MarkerOptions,
    shared: &Shared,
    frames: &watch::Sender<u32>,
) {
    let mut number = 0;
    while options.duration.is_none_or(|length| options.due(number + 1) <= length)
        && !shared.stop.load(Ordering::Acquire)
    {
        // The encoder wants one picture before it asks for sound, so the first one is due at once.
        if number > 0 && options.pace == Pace::RealTime {
            let Some(origin) = await_origin(shared) else { return };
            let since = options.due(number);
            sleep_until(origin + since);
            if since > SETTLING {
                let late = SystemClock.now().saturating_duration_since(origin + since);
                shared
                    .late_max_us
                    .fetch_max(u64::try_from(late.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
        }
        if stdin.write_all(picture.draw(number, SystemClock.wall().as_millis())).is_err() {
            return;
        }
        number += 1;
        frames.send_replace(number);
    }
}

fn feed_sound(listener: &TcpListener, options: &MarkerOptions, shared: &Shared) {
    let Some(mut encoder) = accept(listener, shared) else { return };
    let origin = *shared.origin.get_or_init(|| SystemClock.now());
    let rate = u128::from(options.sample_rate);
    let samples = |time: Duration| u64::try_from(time.as_nanos() * rate / 1_000_000_000).unwrap_or(u64::MAX);
    // To the sample as long as a flash takes, which is a whole number of frames.
    let period = options.due(options.fps * FLASH_PERIOD.as_secs() as u32);
    let mut sound = Sound::new(options.sample_rate, options.channels).every(period);
    let mut bytes = Vec::new();
    let end = options.duration.map(samples);
    while end.is_none_or(|end| sound.position() < end) && !shared.stop.load(Ordering::Acquire) {
        let due = match options.pace {
            Pace::RealTime => samples(SystemClock.now().saturating_duration_since(origin) + SOUND_LEAD),
            Pace::Unpaced => sound.position() + 1024,
        };
        bytes.clear();
        sound.write(due.min(end.unwrap_or(u64::MAX)).saturating_sub(sound.position()), &mut bytes);
        if encoder.write_all(&bytes).is_err() {
            return;
        }
        if options.pace == Pace::RealTime {
            thread::sleep(SOUND_STEP);
        }
    }
}

fn accept(listener: &TcpListener, shared: &Shared) -> Option<TcpStream> {
    while !shared.stop.load(Ordering::Acquire) {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).ok()?;
                stream.set_nodelay(true).ok()?;
                return Some(stream);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                thread::sleep(Duration::from_millis(2))
            }
            Err(_) => return None,
        }
    }
    None
}

fn await_origin(shared: &Shared) -> Option<Instant> {
    while !shared.stop.load(Ordering::Acquire) {
        if let Some(&origin) = shared.origin.get() {
            return Some(origin);
        }
        thread::sleep(Duration::from_millis(1));
    }
    None
}

fn sleep_until(due: Instant) {
    thread::sleep(due.saturating_duration_since(SystemClock.now()));
}
