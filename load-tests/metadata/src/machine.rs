//! What machine this is, and what a process of it has used.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// The machine, for those who read the figures elsewhere.
pub fn describe() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    let count = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{count} cores of {}, Linux {}", model.trim_start_matches([' ', '\t', ':']), kernel.trim())
}

/// Lets this thread, and those it starts from now on, run on one core only: the first that it may.
///
/// # Errors
/// The kernel does not say which it may.
pub fn pin() -> anyhow::Result<()> {
    let may = sched_getaffinity(None).context("the cores")?;
    let first = (0..CpuSet::MAX_CPU).find(|core| may.is_set(*core)).context("no core")?;
    let mut one = CpuSet::new();
    one.set(first);
    sched_setaffinity(None, &one).context("one core")
}

/// Time on a processor that this process has taken.
pub fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or_default(), time.tv_nsec.try_into().unwrap_or_default())
}

/// Memory of this process, MiB.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Memory {
    /// Resident now.
    pub resident_mib: u64,
    /// The most that ever was.
    pub peak_mib: u64,
}

/// Reads `/proc/self/status`.
///
/// # Errors
/// The kernel writes it another way.
pub fn memory() -> anyhow::Result<Memory> {
    let status = fs::read_to_string("/proc/self/status").context("no /proc")?;
    let mib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib / 1024)
    };
    let (resident, peak) = (mib("VmRSS:"), mib("VmHWM:"));
    Ok(Memory { resident_mib: resident.context("no VmRSS")?, peak_mib: peak.context("no VmHWM")? })
}

/// Jiffies of all cores since the machine's start: all, and those in which one worked.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    all: u64,
    busy: u64,
    own: u64,
}

/// What the machine and this process with its children have done so far.
///
/// # Errors
/// The kernel writes `/proc` another way.
pub fn work() -> anyhow::Result<Work> {
    let stat = fs::read_to_string("/proc/stat").context("no /proc")?;
    let cpu = stat.lines().next().context("an empty /proc/stat")?;
    let fields: Vec<u64> = cpu.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    let all: u64 = fields.iter().take(8).sum();
    // Neither idle nor waiting for a disk.
    let idle: u64 = fields.iter().skip(3).take(2).sum();
    let own = fs::read_to_string("/proc/self/stat").context("no /proc")?;
    let own = own.rsplit_once(')').context("an odd /proc/self/stat")?.1;
    let own = own.split_whitespace().skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Work { all, busy: all.saturating_sub(idle), own })
}

impl Work {
    /// Share of the machine that others took since `before`, in percent.
    pub fn foreign_percent(&self, before: &Self) -> f64 {
        let all = self.all.saturating_sub(before.all).max(1);
        let others = (self.busy - before.busy).saturating_sub(self.own - before.own);
        (others as f64 * 1_000.0 / all as f64).round() / 10.0
    }
}
