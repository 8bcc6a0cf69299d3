//! How quickly worlds run. Asked for are ten a second on one core.

use std::time::{Duration, Instant};

use base::{Clock, SystemClock};

/// Since when worlds run, and on how many threads at a time.
pub struct Pace {
    began: Instant,
    threads: usize,
}

impl Pace {
    /// They begin now.
    pub fn begin(threads: usize) -> Self {
        Self { began: SystemClock.now(), threads }
    }

    /// What it came to after so many seeds.
    pub fn of(&self, seeds: u64) -> String {
        told(seeds, SystemClock.now().saturating_duration_since(self.began), self.threads)
    }
}

fn told(seeds: u64, took: Duration, threads: usize) -> String {
    let per_second = seeds as f64 / took.as_secs_f64().max(1e-9);
    let per_core = per_second / threads.max(1) as f64;
    format!("{per_second:.1} seeds a second, {per_core:.1} on each of {threads} cores")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_told_in_all_and_for_each_core() {
        let told = told(1_000, Duration::from_secs(50), 2);
        assert_eq!(told, "20.0 seeds a second, 10.0 on each of 2 cores");
    }
}
