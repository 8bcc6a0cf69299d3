//! What other programs took of the machine while a test measured.
//!
//! A promise about milliseconds cannot be judged on a machine that somebody else keeps busy. The load of
//! the test's own family (node, encoder, browser) is part of what is measured and never an excuse.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base::{Clock, SystemClock};

use crate::process;

/// How often the machine is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long a nap of the watcher is; how much later it wakes is the scheduler's delay.
const NAP: Duration = Duration::from_millis(10);
/// Share of the machine that others may take on average.
const FOREIGN_MEAN_MAX: f64 = 0.12;
/// Share of the machine that others may take within a second.
const FOREIGN_PEAK_MAX: f64 = 0.40;
/// How late a nap may end. Where the machine is ours the worst is some 30 ms, however busy the test keeps it; later means
/// that all of it stood still: its host gave the time to others, which no counter of the machine itself shows.
const WAKE_DELAY_MAX: Duration = Duration::from_millis(80);

/// Watches the machine until it is asked.
pub struct Load {
    stop: Arc<AtomicBool>,
    watcher: Option<JoinHandle<LoadReport>>,
}

/// What was seen of the machine.
#[derive(Clone, Debug, Default)]
pub struct LoadReport {
    /// Share of the machine's processors that other programs took, on average (0 to 1).
    pub foreign_mean: f64,
    /// The same within the worst second.
    pub foreign_peak: f64,
    /// Share of the machine that the test's own family took, on average.
    pub own_mean: f64,
    /// How much later than asked a nap of 10 ms ended, 99 of 100 times at most.
    pub wake_delay_p99: Duration,
    /// The same, at worst.
    pub wake_delay_max: Duration,
}

impl LoadReport {
    /// Why a measurement made meanwhile says nothing; `None` when the machine was ours.
    pub fn excuse(&self) -> Option<String> {
        if self.foreign_mean > FOREIGN_MEAN_MAX || self.foreign_peak > FOREIGN_PEAK_MAX {
            return Some(format!(
                "invalid: machine was loaded: other programs took {:.0} % of it, {:.0} % in the worst second (allowed: {:.0} and {:.0} %)",
                self.foreign_mean * 100.0,
                self.foreign_peak * 100.0,
                FOREIGN_MEAN_MAX * 100.0,
                FOREIGN_PEAK_MAX * 100.0
            ));
        }
        (self.wake_delay_max > WAKE_DELAY_MAX).then(|| {
            format!(
                "invalid: machine stood still: a sleeper was woken {:?} late (allowed: {WAKE_DELAY_MAX:?})",
                self.wake_delay_max
            )
        })
    }
}

impl std::fmt::Display for LoadReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "own load {:.0} %, others {:.0} % (worst second {:.0} %), wake-ups late by {:?} (p99), {:?} (worst)",
            self.own_mean * 100.0,
            self.foreign_mean * 100.0,
            self.foreign_peak * 100.0,
            self.wake_delay_p99,
            self.wake_delay_max
        )
    }
}

impl Load {
    /// Begins to watch.
    pub fn watch() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let watcher = thread::spawn({
            let stop = Arc::clone(&stop);
            move || look_on(&stop)
        });
        Self { stop, watcher: Some(watcher) }
    }

    /// Ends the watch and tells.
    pub fn report(mut self) -> LoadReport {
        self.stop.store(true, Ordering::Release);
        self.watcher.take().and_then(|watcher| watcher.join().ok()).unwrap_or_default()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

/// Clock ticks since boot.
#[derive(Clone, Copy)]
struct Ticks {
    all: u64,
    /// Computing of any process, and what the hypervisor gave to other machines.
    busy: u64,
    own: u64,
}

fn look_on(stop: &AtomicBool) -> LoadReport {
    let first = ticks();
    let mut before = first;
    let mut next_look = SystemClock.now() + LOOK;
    let mut peak = 0f64;
    let mut delays = Vec::new();
    while !stop.load(Ordering::Acquire) {
        let asleep = SystemClock.now();
        thread::sleep(NAP);
        let awake = SystemClock.now();
        delays.push((awake - asleep).saturating_sub(NAP));
        if awake >= next_look {
            next_look = awake + LOOK;
            let now = ticks();
            peak = peak.max(foreign(before, now));
            before = now;
        }
    }
    let last = ticks();
    delays.sort_unstable();
    LoadReport {
        foreign_mean: foreign(first, last),
        foreign_peak: peak,
        own_mean: share(last.own.saturating_sub(first.own), first, last),
        wake_delay_p99: delays.get(delays.len() * 99 / 100).copied().unwrap_or_default(),
        wake_delay_max: delays.last().copied().unwrap_or_default(),
    }
}

fn foreign(from: Ticks, to: Ticks) -> f64 {
    let busy = to.busy.saturating_sub(from.busy);
    share(busy.saturating_sub(to.own.saturating_sub(from.own)), from, to)
}

fn share(part: u64, from: Ticks, to: Ticks) -> f64 {
    let all = to.all.saturating_sub(from.all);
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}

fn ticks() -> Ticks {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields: Vec<u64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .filter_map(|f| f.parse().ok())
        .collect();
    let field = |index: usize| fields.get(index).copied().unwrap_or(0);
    // user, nice, system, idle, iowait, irq, softirq, steal. Interrupts are left out of `busy`: the
    // kernel counts them to nobody, and on loopback they are the test's own packets.
    let all = (0..8).map(field).sum();
    let family = process::descendants(std::process::id());
    let own = process::all().into_iter().filter(|p| family.contains(&p.pid)).map(|p| p.ticks).sum();
    Ticks { all, busy: field(0) + field(1) + field(2) + field(7), own }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_work_is_not_somebody_elses() {
        let computed = || process::all().into_iter().find(|p| p.pid == std::process::id()).unwrap().ticks;
        let load = Load::watch();
        let (before, from) = (computed(), ticks());
        let mut work = 0u64;
        // A second of computing, however long the machine takes to give it to us.
        while computed() < before + 100 {
            for _ in 0..10_000_000 {
                work = std::hint::black_box(work.wrapping_mul(31).wrapping_add(7));
            }
        }
        let (after, to) = (computed(), ticks());
        let report = load.report();
        let expected = share(after - before, from, to);
        assert!(report.own_mean > 0.8 * expected, "{report}, expected {expected}");
        assert!(report.own_mean + report.foreign_mean < 1.05, "{report}");
    }

    #[test]
    fn a_loaded_machine_is_named() {
        let quiet = LoadReport { foreign_mean: 0.05, foreign_peak: 0.2, ..LoadReport::default() };
        assert_eq!(quiet.excuse(), None);
        let busy = LoadReport { foreign_mean: 0.5, foreign_peak: 0.9, ..LoadReport::default() };
        assert!(busy.excuse().unwrap().starts_with("invalid: machine was loaded"));
        let stalled = LoadReport { wake_delay_max: Duration::from_millis(81), ..quiet };
        assert!(stalled.excuse().unwrap().starts_with("invalid: machine stood still"));
    }
}
