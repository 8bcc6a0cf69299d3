//! What a process used, which core a thread runs on, and how even the machine is.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use base::{Clock, SystemClock};
use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Rounds of the fixed loop: about 100 ms.
const ROUNDS: u64 = 100_000_000;

/// What a process has used so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Time on a processor, in user space.
    pub user: Duration,
    /// Time on a processor, in the kernel.
    pub system: Duration,
    /// Resident memory, bytes.
    pub resident_bytes: u64,
}

impl Usage {
    /// Time on a processor since `before`.
    pub const fn cpu_since(&self, before: &Self) -> Duration {
        (self.user.saturating_sub(before.user)).saturating_add(self.system.saturating_sub(before.system))
    }
}

/// Reads `/proc/<pid>/stat` and `status`.
///
/// # Errors
/// The process is gone, or the kernel writes these files another way.
pub fn usage(pid: u32) -> anyhow::Result<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("the node is gone")?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the node is gone")?;
    parse(&stat, &status, rustix::param::clock_ticks_per_second()).context("an unknown form of /proc")
}

fn parse(stat: &str, status: &str, ticks_per_second: u64) -> Option<Usage> {
    // The name stands in brackets and may hold anything: fields are counted from its end.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let time = |index: usize| {
        let ticks = fields.get(index)?.parse::<u64>().ok()?;
        Some(Duration::from_nanos((ticks * 1_000_000_000).checked_div(ticks_per_second)?))
    };
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = resident.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(Usage { user: time(11)?, system: time(12)?, resident_bytes: kilobytes * 1024 })
}

/// Lets this thread, and the threads and processes it starts from now on, run on one core only.
///
/// # Errors
/// There is no such core, or it may not be used.
pub fn pin(core: usize) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).with_context(|| format!("core {core}"))
}

/// Lets this process open as many files as it may: a player takes two.
///
/// # Errors
/// The limit cannot be set.
pub fn raise_open_files() -> anyhow::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("the limit of open files")
}

/// The cores this thread may run on, in ascending order.
///
/// # Errors
/// The kernel does not say.
pub fn cores() -> anyhow::Result<Vec<usize>> {
    let set = sched_getaffinity(None).context("the cores")?;
    Ok((0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect())
}

/// How long a fixed piece of computing takes on `core` now. The same work took longer a minute later:
/// then so did the node's.
///
/// # Errors
/// The core cannot be used.
pub fn fixed_loop(core: usize) -> anyhow::Result<Duration> {
    let looped = std::thread::spawn(move || {
        pin(core)?;
        let start = SystemClock.now();
        let mut work = 1u64;
        for round in 0..ROUNDS {
            work = std::hint::black_box(work.wrapping_mul(31).wrapping_add(round));
        }
        Ok(SystemClock.now() - start)
    });
    looped.join().map_err(|_| anyhow::anyhow!("the fixed loop ended early"))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_read() {
        let stat = "7 (a) b) S 3 7 7 0 -1 4194304 1 0 0 0 150 25 30 40 20 0 1 0 5 0 0";
        let usage = parse(stat, "Name:\ta\nVmRSS:\t    2048 kB\nThreads:\t1\n", 100).unwrap();
        assert_eq!(usage.user, Duration::from_millis(1_500));
        assert_eq!(usage.system, Duration::from_millis(250));
        assert_eq!(usage.resident_bytes, 2 * 1024 * 1024);
        assert!(parse(stat, "Name:\ta\n", 100).is_none());
    }

    #[test]
    fn the_fixed_loop_is_seen_as_time_on_a_processor() {
        let before = usage(std::process::id()).unwrap();
        let core = cores().unwrap()[0];
        assert!(fixed_loop(core).unwrap() > Duration::ZERO);
        let after = usage(std::process::id()).unwrap();
        assert!(after.cpu_since(&before) >= Duration::from_millis(20), "{before:?} {after:?}");
        assert!(after.resident_bytes > 0);
    }

    #[test]
    fn the_limit_of_open_files_is_the_highest_allowed() {
        raise_open_files().unwrap();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }

    #[test]
    fn a_pinned_thread_has_one_core() {
        let core = *cores().unwrap().last().unwrap();
        let pinned = std::thread::spawn(move || {
            pin(core).unwrap();
            cores().unwrap()
        });
        assert_eq!(pinned.join().unwrap(), [core]);
    }
}
