//! How quickly worlds run. Asked for are ten in a second of one core's time.

use std::time::{Duration, Instant};

use base::{Clock, SystemClock};

/// What the kernel counts processor time in, on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Since when worlds run.
pub struct Pace {
    began: Instant,
    worked: Option<f64>,
}

impl Pace {
    /// They begin now.
    pub fn begin() -> Self {
        Self { began: SystemClock.now(), worked: worked() }
    }

    /// What it came to after so many seeds: by the clock, and by the processor time of this process, which says the same when
    /// others use the machine.
    pub fn of(&self, seeds: u64) -> String {
        let took = SystemClock.now().saturating_duration_since(self.began);
        told(seeds, took, worked().zip(self.worked).map(|(now, before)| now - before))
    }
}

/// Seconds that processors worked for this process; `None`: that is not told here.
fn worked() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which may have anything in it: the state, ten more numbers, then user and system time.
    let mut times = stat.rsplit_once(')')?.1.split_whitespace().skip(11).map(str::parse::<f64>);
    Some((times.next()?.ok()? + times.next()?.ok()?) / TICKS_PER_SECOND)
}

fn told(seeds: u64, took: Duration, worked: Option<f64>) -> String {
    let per_second = |seconds: f64| seeds as f64 / seconds.max(1.0 / TICKS_PER_SECOND);
    let all = format!("{:.1} seeds a second", per_second(took.as_secs_f64()));
    match worked {
        Some(worked) => format!("{all}, {:.1} in a second of a core's time", per_second(worked)),
        None => all,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_told_by_the_clock_and_by_what_processors_worked() {
        let took = Duration::from_secs(50);
        assert_eq!(told(1_000, took, Some(80.0)), "20.0 seeds a second, 12.5 in a second of a core's time");
        assert_eq!(told(1_000, took, None), "20.0 seeds a second");
        assert!(worked().is_some_and(|worked| worked >= 0.0));
    }
}
