//! What a process used, which core a thread runs on, and how even the machine is.

mod gauge;
mod noise;
mod samples;
mod syscalls;

pub use gauge::{FOREIGN_SHARE_MAX, Gauge, PLAYERS_CPU_PERCENT_MAX, Used};
pub use noise::{Noise, computing, sending};
pub use samples::{Part, Samples};
pub use syscalls::Syscalls;

use std::fs;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

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

/// Which cores do what.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Cores {
    /// The node's, one per shard.
    pub node: Vec<usize>,
    /// The players' and the publishers'.
    pub players: usize,
}

impl Cores {
    /// The first allowed cores for a node of `shards`, the last one for the rest. Where there are too few, one
    /// core has both.
    ///
    /// # Errors
    /// The kernel does not say which may be used.
    pub fn choose(shards: usize) -> anyhow::Result<Self> {
        let cores = cores()?;
        let players = *cores.last().context("no core")?;
        Ok(Self { node: cores.into_iter().take(shards.max(1)).collect(), players })
    }

    /// Whether the players keep off the node's cores.
    pub fn are_apart(&self) -> bool {
        !self.node.contains(&self.players)
    }

    /// The core that stands for the node in loops that are measured beside it.
    pub fn first(&self) -> usize {
        self.node.first().copied().unwrap_or(self.players)
    }
}

/// Lets this thread, and the threads and processes it starts from now on, run on one core only.
///
/// # Errors
/// There is no such core, or it may not be used.
pub fn pin(core: usize) -> anyhow::Result<()> {
    pin_to(&[core])
}

/// As [`pin`], on any of some cores.
///
/// # Errors
/// As [`pin`].
pub fn pin_to(cores: &[usize]) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    sched_setaffinity(None, &set).with_context(|| format!("cores {cores:?}"))
}

/// What machine this is, for those who read the figures elsewhere.
pub fn describe() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    let count = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{count} cores of {}, Linux {}", model.trim_start_matches([' ', '\t', ':']), kernel.trim())
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
