//! What the node and the players used while something was measured, and who else was there.

use std::time::{Duration, Instant};

use base::{Clock, SystemClock};
use test_support::Load;

use super::{Usage, usage};

/// Share of the machine that foreign programs may take (0 to 1). Above it a run says nothing.
pub const FOREIGN_SHARE_MAX: f64 = 0.10;
/// Load of the players' process, percent of one core, from which on the players are the limit.
pub const PLAYERS_CPU_PERCENT_MAX: f64 = 90.0;

/// A measurement under way.
pub struct Gauge {
    load: Load,
    pid: u32,
    start: Instant,
    server: Usage,
    own: Usage,
}

/// What was used meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Used {
    /// How long it took, seconds.
    pub seconds: f64,
    /// The node's process against one core, percent.
    pub server_cpu_percent: f64,
    /// The part of it within the kernel.
    pub server_kernel_percent: f64,
    /// The node's resident memory at the end, bytes.
    pub server_bytes: u64,
    /// This process, players and publishers, against one core, percent.
    pub players_cpu_percent: f64,
    /// Share of the machine that foreign programs took (0 to 1).
    pub foreign_share: f64,
    /// How much later than asked a nap of 10 ms ended in 99 of 100 cases, milliseconds.
    pub wake_delay_p99_ms: f64,
}

impl Gauge {
    /// Begins to measure.
    ///
    /// # Errors
    /// The node is gone.
    pub fn start(pid: u32) -> anyhow::Result<Self> {
        let (server, own) = (usage(pid)?, usage(std::process::id())?);
        Ok(Self { load: Load::watch(), pid, start: SystemClock.now(), server, own })
    }

    /// Ends it.
    ///
    /// # Errors
    /// The node is gone.
    pub fn stop(self) -> anyhow::Result<Used> {
        let (server, own) = (usage(self.pid)?, usage(std::process::id())?);
        let seconds = (SystemClock.now() - self.start).as_secs_f64();
        let load = self.load.report();
        let percent = |time: Duration| time.as_secs_f64() / seconds * 100.0;
        Ok(Used {
            seconds,
            server_cpu_percent: percent(server.cpu_since(&self.server)),
            server_kernel_percent: percent(server.system.saturating_sub(self.server.system)),
            server_bytes: server.resident_bytes,
            players_cpu_percent: percent(own.cpu_since(&self.own)),
            foreign_share: load.foreign_mean,
            wake_delay_p99_ms: load.wake_delay_p99.as_secs_f64() * 1e3,
        })
    }
}

impl Used {
    /// The node's time on a processor, seconds.
    pub const fn server_cpu_seconds(&self) -> f64 {
        self.server_cpu_percent / 100.0 * self.seconds
    }

    /// Why a figure measured meanwhile says nothing; `None` when the machine was ours.
    pub fn excuse(&self) -> Option<String> {
        (self.foreign_share > FOREIGN_SHARE_MAX)
            .then(|| format!("foreign load {:.0} %", self.foreign_share * 100.0))
    }

    /// Whether the players could not do more, so that what they missed may be theirs.
    pub const fn players_were_the_limit(&self) -> bool {
        self.players_cpu_percent > PLAYERS_CPU_PERCENT_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_load_and_busy_players_are_named() {
        let quiet = Used {
            seconds: 10.0,
            server_cpu_percent: 50.0,
            server_kernel_percent: 30.0,
            server_bytes: 1,
            players_cpu_percent: 60.0,
            foreign_share: 0.01,
            wake_delay_p99_ms: 0.1,
        };
        assert_eq!((quiet.excuse(), quiet.server_cpu_seconds()), (None, 5.0));
        let loaded = Used { foreign_share: 0.11, ..quiet };
        assert_eq!(loaded.excuse().unwrap(), "foreign load 11 %");
        let busy = Used { players_cpu_percent: 95.0, ..quiet };
        assert!(busy.players_were_the_limit() && !quiet.players_were_the_limit());
    }
}
