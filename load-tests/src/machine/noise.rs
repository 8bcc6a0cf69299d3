//! Two fixed pieces of work, to see how fast the machine is just now.

use std::hint::black_box;
use std::io::IoSliceMut;
use std::net::{Ipv4Addr, UdpSocket};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use base::{Clock, SystemClock};
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};

use super::{Cores, pin};

/// Rounds of the computing loop: about 100 ms.
const ROUNDS: u64 = 100_000_000;
/// Sends of the sending loop: about 100 ms.
const SENDS: usize = 15_000;
/// Segments of each, and their bytes.
const SEGMENTS: usize = 8;
const SEGMENT_BYTES: usize = 1_200;

/// How long the fixed work took on the node's core, milliseconds. The same work took longer a minute later: then
/// so did the node's.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Noise {
    /// Computing alone.
    pub computing_ms: f64,
    /// Sending datagrams to one socket, eight to a call, and reading them.
    pub sending_ms: f64,
}

impl Noise {
    /// Does both.
    ///
    /// # Errors
    /// A core or a socket cannot be used.
    pub fn measure(cores: &Cores) -> anyhow::Result<Self> {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        Ok(Self { computing_ms: ms(computing(cores.first())?), sending_ms: ms(sending(cores.first())?) })
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

/// How long it takes now to send a fixed number of runs through the machine's network on `core`, each read as soon
/// as it is sent: with another core at the other end it would be the two cores' talk that is measured.
///
/// # Errors
/// The core or a socket cannot be used.
pub fn sending(core: usize) -> anyhow::Result<Duration> {
    let looped = thread::spawn(move || {
        pin(core)?;
        let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("no UDP port");
        let (from, to) = (bind()?, bind()?);
        let (sender, receiver) = (UdpSocketState::new((&from).into())?, UdpSocketState::new((&to).into())?);
        let contents = [0; SEGMENTS * SEGMENT_BYTES];
        let transmit = Transmit {
            destination: to.local_addr()?,
            ecn: None,
            contents: &contents,
            segment_size: Some(SEGMENT_BYTES),
            src_ip: None,
        };
        let (mut buffer, mut metas) = ([0; SEGMENTS * SEGMENT_BYTES], [RecvMeta::default()]);
        let start = SystemClock.now();
        for _ in 0..SENDS {
            sender.try_send((&from).into(), &transmit).context("the fixed loop could not send")?;
            // Where the kernel has put it off, it is there in the next round.
            let _ = receiver.recv((&to).into(), &mut [IoSliceMut::new(&mut buffer)], &mut metas);
        }
        Ok(SystemClock.now() - start)
    });
    looped.join().map_err(|_| anyhow::anyhow!("the fixed loop ended early"))?
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
