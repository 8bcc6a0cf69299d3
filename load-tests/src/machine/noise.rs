//! Two fixed pieces of work, to see how fast the machine is just now.

use std::hint::black_box;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use base::{Clock, SystemClock};
use quinn_udp::{Transmit, UdpSocketState};

use super::{Cores, pin};

/// Rounds of the computing loop: about 100 ms.
const ROUNDS: u64 = 100_000_000;
/// Sends of the sending loop: about 100 ms.
const SENDS: usize = 25_000;
/// Segments of each, and their bytes.
const SEGMENTS: usize = 8;
const SEGMENT_BYTES: usize = 1_200;
/// How long the drain waits before it looks whether it is over.
const LOOK: Duration = Duration::from_millis(20);

/// How long the fixed work took on the node's core, milliseconds. The same work took longer a minute later: then
/// so did the node's.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Noise {
    /// Computing alone.
    pub computing_ms: f64,
    /// Sending datagrams, eight to a call, to one drained socket.
    pub sending_ms: f64,
}

impl Noise {
    /// Does both.
    ///
    /// # Errors
    /// A core or a socket cannot be used.
    pub fn measure(cores: &Cores) -> anyhow::Result<Self> {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        Ok(Self { computing_ms: ms(computing(cores.first())?), sending_ms: ms(sending(cores)?) })
    }
}

/// How long a fixed piece of computing takes on `core` now.
///
/// # Errors
/// The core cannot be used.
pub fn computing(core: usize) -> anyhow::Result<Duration> {
    let looped = thread::spawn(move || {
        pin(core)?;
        let start = SystemClock.now();
        let mut work = 1u64;
        for round in 0..ROUNDS {
            work = black_box(work.wrapping_mul(31).wrapping_add(round));
        }
        Ok(SystemClock.now() - start)
    });
    looped.join().map_err(|_| anyhow::anyhow!("the fixed loop ended early"))?
}

/// How long a fixed number of sends takes from the node's core to a socket that is drained on the players' core.
///
/// # Errors
/// A core or a socket cannot be used.
pub fn sending(cores: &Cores) -> anyhow::Result<Duration> {
    let drained = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("no UDP port")?;
    let destination = drained.local_addr()?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| drain(&drained, cores.players, &over));
        let sent = scope.spawn(|| {
            pin(cores.first())?;
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("no UDP port")?;
            let state = UdpSocketState::new((&socket).into())?;
            let contents = [0; SEGMENTS * SEGMENT_BYTES];
            let transmit = Transmit {
                destination,
                ecn: None,
                contents: &contents,
                segment_size: Some(SEGMENT_BYTES),
                src_ip: None,
            };
            let start = SystemClock.now();
            for _ in 0..SENDS {
                state.try_send((&socket).into(), &transmit).context("the fixed loop could not send")?;
            }
            Ok(SystemClock.now() - start)
        });
        let sent = sent.join();
        over.store(true, Ordering::Release);
        sent.map_err(|_| anyhow::anyhow!("the fixed loop ended early"))?
    })
}

/// Reads until it is over; what overflows is lost, and the sender's time the same.
fn drain(socket: &UdpSocket, core: usize, over: &AtomicBool) -> anyhow::Result<()> {
    pin(core)?;
    socket.set_read_timeout(Some(LOOK))?;
    let mut buffer = [0; SEGMENT_BYTES];
    while !over.load(Ordering::Acquire) {
        // Nothing there, or something: both are fine.
        let _ = socket.recv(&mut buffer);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::usage;

    #[test]
    fn the_fixed_work_is_seen_as_time_on_a_processor() {
        let before = usage(std::process::id()).unwrap();
        let noise = Noise::measure(&Cores::choose(1).unwrap()).unwrap();
        assert!(noise.computing_ms > 0.0 && noise.sending_ms > 0.0);
        let after = usage(std::process::id()).unwrap();
        assert!(after.cpu_since(&before) >= Duration::from_millis(20), "{before:?} {after:?}");
        assert!(after.resident_bytes > 0);
    }
}
