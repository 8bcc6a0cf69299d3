//! The least that sending could cost: the packets of a stream from one socket to many, and nothing else.
//!
//! One thread on the node's core sends what the node would send to as many viewers, frame by frame, each frame
//! in one call per viewer (UDP GSO), as fast as the receivers follow or frame by frame in time; they are drained on the players' core as
//! players drain theirs. Plain it is the kernel's send path alone; sealed it is all that no shard can do without.
//! What a node takes above that is its own.

mod pattern;
mod sealing;

use std::cell::{Cell, RefCell};
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use base::{Clock, SystemClock};
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use rustix::time::{ClockId, clock_gettime};
use tokio::io::Interest;
use tokio::task::LocalSet;

use crate::machine::{Cores, pin};
use crate::source::FPS;

pub use pattern::Pattern;
use sealing::Sealer;
pub use sealing::Sealing;

/// How many frames the sender may be ahead of the drains: a socket holds some more.
const AHEAD_FRAMES: u64 = 3;
/// The nap of a sender that is ahead.
const NAP: Duration = Duration::from_micros(100);
/// Without anything read for this long, what is under way is lost.
const PATIENCE: Duration = Duration::from_millis(20);
/// What the kernel is asked to hold for the sender, as the node asks.
const SEND_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// Room for one read: the largest run that GRO puts together.
const BUFFER_BYTES: usize = 64 * 1024;

/// When the sender sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rhythm {
    /// As fast as the receivers follow: they are awake all the time.
    Fast,
    /// A frame every 1/30 s, as a node has to: receivers have gone to sleep meanwhile, and the kernel wakes each of
    /// them in the sender's time.
    Live,
}

/// What a bare loop took.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Bare {
    /// The sender's time on its core per packet, microseconds.
    pub us_per_packet: f64,
    /// Packets per second of that time.
    pub packets_per_second: f64,
    /// Packets sent.
    pub packets: u64,
    /// The share of them that was read.
    pub received_share: f64,
}

/// Sends the pattern to `viewers` for about `time`: of the sender's core when it is fast, by the clock when it is
/// live.
///
/// # Errors
/// A core or a socket cannot be used, or the crypto provider refused.
pub fn run(
    pattern: &Pattern,
    viewers: usize,
    sealing: Sealing,
    rhythm: Rhythm,
    cores: &Cores,
    time: Duration,
) -> anyhow::Result<Bare> {
    let received = AtomicU64::new(0);
    let over = AtomicBool::new(false);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("no UDP port")?;
    let from = socket.local_addr()?;
    thread::scope(|scope| {
        // As many addresses as viewers, then the drains are ready.
        let (tell, told) = mpsc::sync_channel(viewers);
        let (socket, received, over) = (&socket, &received, &over);
        let drains = scope.spawn(move || drain(from, viewers, cores.players, tell, received, over));
        let addresses: Vec<SocketAddr> = told.iter().collect();
        let sender = scope.spawn(move || {
            pin(cores.first())?;
            Sender::new(socket, &addresses, sealing, received)?.send_for(pattern, rhythm, time)
        });
        let sent = sender.join().map_err(|_| anyhow::anyhow!("the bare loop ended early"));
        over.store(true, Ordering::Release);
        drains.join().map_err(|_| anyhow::anyhow!("the drains ended early"))??;
        sent?
    })
}

struct Sender<'a> {
    socket: &'a UdpSocket,
    state: UdpSocketState,
    viewers: Vec<(SocketAddr, Sealer)>,
    received: &'a AtomicU64,
    sent: u64,
    lost: u64,
    buffer: Vec<u8>,
}

impl<'a> Sender<'a> {
    fn new(
        socket: &'a UdpSocket,
        addresses: &[SocketAddr],
        sealing: Sealing,
        received: &'a AtomicU64,
    ) -> anyhow::Result<Self> {
        let state = UdpSocketState::new(socket.into())?;
        state.set_send_buffer_size(socket.into(), SEND_BUFFER_BYTES)?;
        let viewers =
            addresses.iter().zip(1..).map(|(address, ssrc)| Ok((*address, Sealer::new(sealing, ssrc)?)));
        let viewers = viewers.collect::<anyhow::Result<_>>()?;
        Ok(Self {
            socket,
            state,
            viewers,
            received,
            sent: 0,
            lost: 0,
            buffer: Vec::with_capacity(BUFFER_BYTES),
        })
    }

    fn send_for(mut self, pattern: &Pattern, rhythm: Rhythm, time: Duration) -> anyhow::Result<Bare> {
        // One round warms up sockets and caches.
        let mut frames = pattern.frames().iter().cycle();
        frames.by_ref().take(2).try_for_each(|frame| self.send_to_all(frame))?;
        self.wait_until_ahead_by(0);
        let (sent, received) = (self.sent, self.received.load(Ordering::Acquire));
        let start = core_time();
        let began = SystemClock.now();
        let deadline = began + if rhythm == Rhythm::Fast { time * 4 } else { time };
        for (sent_frames, frame) in (1..).zip(frames) {
            self.send_to_all(frame)?;
            match rhythm {
                Rhythm::Fast => {
                    self.wait_until_ahead_by(AHEAD_FRAMES * frame.packets() * self.viewers.len() as u64);
                    if core_time() - start >= time {
                        break;
                    }
                }
                Rhythm::Live => {
                    let due = began + Duration::from_secs(sent_frames) / FPS;
                    thread::sleep(due.saturating_duration_since(SystemClock.now()));
                }
            }
            if SystemClock.now() >= deadline {
                break;
            }
        }
        let took = (core_time() - start).as_secs_f64();
        self.wait_until_ahead_by(0);
        let packets = self.sent - sent;
        let read = self.received.load(Ordering::Acquire) - received;
        Ok(Bare {
            us_per_packet: took * 1e6 / packets as f64,
            packets_per_second: packets as f64 / took,
            packets,
            received_share: read as f64 / packets as f64,
        })
    }

    fn send_to_all(&mut self, frame: &pattern::Frame) -> anyhow::Result<()> {
        for run in frame.runs() {
            for (destination, sealer) in &mut self.viewers {
                let segment = sealer.seal(run, &mut self.buffer)?;
                let transmit = Transmit {
                    destination: *destination,
                    ecn: None,
                    contents: &self.buffer,
                    segment_size: (run.len() > 1).then_some(segment),
                    src_ip: None,
                };
                loop {
                    match self.state.try_send(self.socket.into(), &transmit) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(NAP),
                        sent => break sent.context("the bare loop could not send")?,
                    }
                }
                self.sent += run.len() as u64;
            }
        }
        Ok(())
    }

    /// Naps, which takes none of the core's time, until no more than so many packets are under way.
    fn wait_until_ahead_by(&mut self, packets: u64) {
        let mut before = (0, SystemClock.now());
        loop {
            let received = self.received.load(Ordering::Acquire);
            if self.sent <= received + self.lost + packets {
                return;
            }
            let now = SystemClock.now();
            if received != before.0 {
                before = (received, now);
            } else if now.saturating_duration_since(before.1) > PATIENCE {
                self.lost = self.sent - received;
                return;
            }
            thread::sleep(NAP);
        }
    }
}

/// Time of this thread on a processor. What the kernel does for a packet on loopback, up to the receiver's
/// socket, is in it: as it is in the node's.
fn core_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

fn drain(
    from: SocketAddr,
    viewers: usize,
    core: usize,
    tell: mpsc::SyncSender<SocketAddr>,
    received: &AtomicU64,
    over: &AtomicBool,
) -> anyhow::Result<()> {
    pin(core)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let buffer = Rc::new(RefCell::new(vec![0; BUFFER_BYTES]));
    let drained = LocalSet::new();
    runtime.block_on(drained.run_until(async {
        let counted = Rc::new(Cell::new(0u64));
        for _ in 0..viewers {
            let socket =
                tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no UDP port")?;
            socket.connect(from).await?;
            let state = UdpSocketState::new((&socket).into())?;
            tell.send(socket.local_addr()?).context("the sender is gone")?;
            let (buffer, counted) = (Rc::clone(&buffer), Rc::clone(&counted));
            tokio::task::spawn_local(async move {
                while socket.readable().await.is_ok() {
                    let mut buffer = buffer.borrow_mut();
                    let mut metas = [RecvMeta::default()];
                    while let Ok(1) = socket.try_io(Interest::READABLE, || {
                        state.recv((&socket).into(), &mut [IoSliceMut::new(&mut buffer)], &mut metas)
                    }) {
                        let [meta] = &metas;
                        counted.set(counted.get() + meta.len.div_ceil(meta.stride.max(1)) as u64);
                    }
                }
            });
        }
        drop(tell);
        let mut look = tokio::time::interval(Duration::from_millis(1));
        while !over.load(Ordering::Acquire) {
            look.tick().await;
            received.store(counted.get(), Ordering::Release);
        }
        Ok(())
    }))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn runs_with(sealing: Sealing, rhythm: Rhythm) {
        let payload = |bytes| Bytes::from(vec![7u8; bytes]);
        let pattern = Pattern::of(&[vec![payload(900), payload(900), payload(400)], vec![payload(100)]]);
        let cores = Cores::choose(1).unwrap();
        let bare = run(&pattern, 5, sealing, rhythm, &cores, Duration::from_millis(500)).unwrap();
        assert!(bare.packets > 50 && bare.us_per_packet > 0.0, "{bare:?}");
        assert!(bare.received_share > 0.9 && bare.received_share <= 1.0, "{bare:?}");
    }

    #[test]
    fn packets_go_out_and_arrive_plain() {
        runs_with(Sealing::Plain, Rhythm::Fast);
    }

    #[test]
    fn packets_go_out_and_arrive_sealed() {
        runs_with(Sealing::Gcm, Rhythm::Live);
        runs_with(Sealing::Cm, Rhythm::Fast);
    }
}
