//! Proposers: as many as may wait at a time, or so many a second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use base::{Clock, SystemClock, SystemRandomness};
use cluster_model::{Command, Meta, Outcome, Proposal, RequestId};
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::machine;

/// What is done before anything is measured.
pub const WARM_UP: Duration = Duration::from_secs(1);
/// Of so many calls one is not measured: the first ones.
const WARM_UP_SHARE: u64 = 10;
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long answers took, milliseconds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Latency {
    /// Half of them took no longer.
    pub p50: f64,
    /// All but one in a hundred.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

/// What a run came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Run {
    /// Answers in the time that was measured.
    pub answers: u64,
    /// Of them per second.
    pub per_second: f64,
    /// How long they took, milliseconds.
    pub ms: Latency,
    /// Proposals at a rate that was too high: refused, or not answered in time.
    #[serde(skip_serializing_if = "is_zero")]
    pub failed: u64,
    /// Time on a processor that this process took for each, microseconds, where that was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_us: Option<f64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde wants it")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Run {
    /// Of latencies in microseconds.
    pub fn of(mut took: Vec<u32>, measured: Duration) -> Self {
        took.sort_unstable();
        let answers = took.len() as u64;
        let at = |share: usize| {
            let place = (took.len() * share / 1_000).min(took.len().saturating_sub(1));
            took.get(place).map_or(f64::NAN, |micros| f64::from(*micros) / 1_000.0)
        };
        let ms = Latency { p50: at(500), p99: at(990), max: at(1_000) };
        Self {
            answers,
            per_second: (answers as f64 / measured.as_secs_f64()).round(),
            ms,
            failed: 0,
            cpu_us: None,
        }
    }
}

/// Whether a run is over.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Measured from here on.
    pub from: Instant,
    /// Up to here.
    pub until: Instant,
}

impl Window {
    /// After a warm-up, so long.
    pub fn of(length: Duration) -> Self {
        let from = SystemClock.now() + WARM_UP;
        Self { from, until: from + length }
    }

    /// Whether what happened at a moment is measured.
    pub fn measures(&self, at: Instant) -> bool {
        at >= self.from && at < self.until
    }
}

/// Microseconds since `began`.
pub fn micros_since(began: Instant) -> u32 {
    let micros = SystemClock.now().saturating_duration_since(began).as_micros();
    u32::try_from(micros).unwrap_or(u32::MAX)
}

/// Proposes one command.
///
/// # Errors
/// It was not applied, or was refused.
pub async fn propose(meta: &dyn Meta, command: Command) -> anyhow::Result<Outcome> {
    let deadline = SystemClock.now() + PATIENCE;
    match meta.propose(RequestId::random(&SystemRandomness), command, deadline).await {
        Proposal::Applied { outcome: Outcome::Refused(why), .. } => bail!("refused: {why}"),
        Proposal::Applied { outcome: Outcome::TokenRefused(why), .. } => bail!("refused: {why}"),
        Proposal::Applied { outcome, .. } => Ok(outcome),
        Proposal::NotApplied(why) => bail!("not applied: {why}"),
        Proposal::Unknown => bail!("no answer in {PATIENCE:?}"),
    }
}

/// `outstanding` callers, each of which calls again when it is answered, shared out among the `ways`. Calls are numbered.
///
/// # Errors
/// A call failed.
pub async fn closed<W, A>(
    ways: &[W],
    outstanding: usize,
    length: Duration,
    call: impl Fn(W, u64) -> A + Send + Sync + 'static,
) -> anyhow::Result<Run>
where
    W: Clone + Send + 'static,
    A: Future<Output = anyhow::Result<()>> + Send,
{
    let (call, next) = (Arc::new(call), Arc::new(AtomicU64::new(0)));
    let window = Window::of(length);
    let mut callers = JoinSet::new();
    for way in ways.iter().cycle().take(outstanding) {
        let (way, call, next) = (way.clone(), Arc::clone(&call), Arc::clone(&next));
        callers.spawn(async move {
            let mut took = Vec::new();
            while SystemClock.now() < window.until {
                let n = next.fetch_add(1, Ordering::Relaxed);
                let began = SystemClock.now();
                call(way.clone(), n).await?;
                if window.measures(SystemClock.now()) {
                    took.push(micros_since(began));
                }
            }
            anyhow::Ok(took)
        });
    }
    let mut all = Vec::new();
    while let Some(took) = callers.join_next().await {
        all.extend(took.context("a caller failed")??);
    }
    Ok(Run::of(all, length))
}

/// `calls` of them, numbered from `first` on, by `outstanding` callers, each of which calls again when it is answered, shared
/// out among the `ways`. The first tenth is not measured.
///
/// # Errors
/// A call failed.
pub async fn counted<W, A>(
    ways: &[W],
    outstanding: usize,
    (first, calls): (u64, u64),
    call: impl Fn(W, u64) -> A + Send + Sync + 'static,
) -> anyhow::Result<Run>
where
    W: Clone + Send + 'static,
    A: Future<Output = anyhow::Result<()>> + Send,
{
    let (call, next) = (Arc::new(call), Arc::new(AtomicU64::new(0)));
    let warm = calls / WARM_UP_SHARE;
    let start: Arc<OnceLock<(Instant, Duration)>> = Arc::default();
    let mut callers = JoinSet::new();
    for way in ways.iter().cycle().take(outstanding) {
        let (way, call, next, start) =
            (way.clone(), Arc::clone(&call), Arc::clone(&next), Arc::clone(&start));
        callers.spawn(async move {
            let mut took = Vec::new();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= calls {
                    return anyhow::Ok(took);
                }
                let began = SystemClock.now();
                if n == warm {
                    let _ = start.set((began, machine::cpu()));
                }
                call(way.clone(), first + n).await?;
                if n >= warm {
                    took.push(micros_since(began));
                }
            }
        });
    }
    let mut all = Vec::new();
    while let Some(took) = callers.join_next().await {
        all.extend(took.context("a caller failed")??);
    }
    let (began, used) = start.get().context("nothing was measured")?;
    let (measured, used) = (SystemClock.now() - *began, machine::cpu().saturating_sub(*used));
    let run = Run::of(all, measured);
    let cpu_us = (used.as_secs_f64() * 1e7 / run.answers.max(1) as f64).round() / 10.0;
    Ok(Run { cpu_us: Some(cpu_us), ..run })
}

/// `commands`, as many at a time as `outstanding` says.
///
/// # Errors
/// One was not applied.
pub async fn all(
    meta: &Arc<dyn Meta>,
    outstanding: u64,
    count: u64,
    make: impl Fn(u64) -> Command + Send + Sync + 'static,
) -> anyhow::Result<()> {
    let (make, next) = (Arc::new(make), Arc::new(AtomicU64::new(0)));
    let mut proposers = JoinSet::new();
    for _ in 0..outstanding {
        let (meta, make, next) = (Arc::clone(meta), Arc::clone(&make), Arc::clone(&next));
        proposers.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return anyhow::Ok(());
                }
                propose(&*meta, make(n)).await?;
            }
        });
    }
    while let Some(done) = proposers.join_next().await {
        done.context("a proposer failed")??;
    }
    Ok(())
}

/// `per_second` proposals a second, whether the ones before are answered or not, shared out among `metas`. A latency
/// counts from when the proposal was due. Those that are refused are counted.
///
/// # Errors
/// A proposer panicked.
pub async fn open(
    metas: &[Arc<dyn Meta>],
    per_second: u64,
    length: Duration,
    make: impl Fn(u64) -> Command,
) -> anyhow::Result<Run> {
    const STEP: Duration = Duration::from_millis(1);
    let window = Window::of(length);
    let began = window.from - WARM_UP;
    let mut proposals: JoinSet<anyhow::Result<Option<u32>>> = JoinSet::new();
    let mut ticks = interval(STEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut n, mut took, mut failed) = (0u64, Vec::new(), 0);
    let mut note = |answer: anyhow::Result<Option<u32>>| match answer {
        Ok(micros) => took.extend(micros),
        Err(_) => failed += 1,
    };
    while SystemClock.now() < window.until {
        ticks.tick().await;
        let due = SystemClock.now().saturating_duration_since(began).as_micros() * u128::from(per_second);
        while u128::from(n) * 1_000_000 < due {
            let at = began + Duration::from_nanos(n * 1_000_000_000 / per_second);
            let (meta, command) = (Arc::clone(&metas[n as usize % metas.len()]), make(n));
            proposals.spawn(async move {
                propose(&*meta, command).await?;
                // By when it was due: one that is answered late counts, however late.
                Ok(window.measures(at).then(|| micros_since(at)))
            });
            n += 1;
        }
        while let Some(done) = proposals.try_join_next() {
            note(done.context("a proposer failed")?);
        }
    }
    while let Some(done) = proposals.join_next().await {
        note(done.context("a proposer failed")?);
    }
    Ok(Run { failed, ..Run::of(took, length) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_told_by_the_places_in_its_order() {
        let run = Run::of((1..=1_000).rev().map(|n| n * 1_000).collect(), Duration::from_secs(2));
        assert_eq!((run.answers, run.per_second), (1_000, 500.0));
        assert_eq!((run.ms.p50, run.ms.p99, run.ms.max), (501.0, 991.0, 1_000.0));
        assert!(Run::of(Vec::new(), Duration::from_secs(1)).ms.p50.is_nan());
    }
}
