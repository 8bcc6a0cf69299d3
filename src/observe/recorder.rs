//! The Prometheus recorder behind the metric functions.

use std::sync::{Arc, PoisonError, RwLock};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::{Kind, METRICS};

/// Why there are no metrics.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The process has a recorder already.
    #[error("a metrics recorder is already installed in this process")]
    AlreadyInstalled,
}

/// Reads numbers that somebody keeps off into metrics.
type Read = Box<dyn Fn() + Send + Sync>;

/// The process's metrics. Clones show the same numbers.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    /// Read off before each rendering.
    followed: Arc<RwLock<Vec<Read>>>,
}

impl Metrics {
    /// Makes this the recorder of the process: what [`metric`](crate::metric) counts from now on is kept.
    ///
    /// # Errors
    /// The process has one already.
    pub fn install() -> Result<Self, MetricsError> {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_| MetricsError::AlreadyInstalled)?;
        describe();
        Ok(Self::of(handle))
    }

    /// A recorder nobody counts into but `within`: for tests, which share a process.
    pub fn isolated(within: impl FnOnce()) -> Self {
        let recorder: PrometheusRecorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            describe();
            within();
        });
        Self::of(handle)
    }

    fn of(handle: PrometheusHandle) -> Self {
        Self { handle, followed: Arc::default() }
    }

    /// Calls `read` before each rendering: for numbers that somebody keeps anyway, on a way too hot to
    /// tell every change.
    pub fn follow(&self, read: impl Fn() + Send + Sync + 'static) {
        self.followed.write().unwrap_or_else(PoisonError::into_inner).push(Box::new(read));
    }

    /// Everything counted so far, in Prometheus text form (version 0.0.4).
    pub fn render(&self) -> String {
        for read in self.followed.read().unwrap_or_else(PoisonError::into_inner).iter() {
            read();
        }
        self.handle.render()
    }
}

/// Names units and descriptions, and shows metrics without labels as 0 from the start: a series that
/// appears with its first event hides that event from `rate()`.
fn describe() {
    for m in METRICS {
        let description = format!("{} Unit: {}.", m.description, m.unit);
        match m.kind {
            Kind::Counter => {
                metrics::describe_counter!(m.name, description);
                if m.labels.is_empty() {
                    metrics::counter!(m.name).increment(0);
                }
            }
            Kind::Gauge => {
                metrics::describe_gauge!(m.name, description);
                if m.labels.is_empty() {
                    metrics::gauge!(m.name).set(0.0);
                }
            }
        }
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric;

    #[test]
    fn what_is_counted_is_rendered_with_its_labels() {
        let text = Metrics::isolated(|| {
            metric::gate_decisions("play", "permit").increment(2);
            metric::rtmp_connections().increment(1.0);
            metric::shard_players("0").set(7.0);
        })
        .render();
        assert!(
            text.contains(r#"penstock_gate_decisions_total{direction="play",outcome="permit"} 2"#),
            "{text}"
        );
        assert!(text.contains("penstock_rtmp_connections 1\n"), "{text}");
        assert!(text.contains(r#"penstock_shard_players{shard="0"} 7"#), "{text}");
        assert!(text.contains("# HELP penstock_rtmp_connections RTMP connections open now."), "{text}");
        assert!(text.contains("# TYPE penstock_gate_decisions_total counter"), "{text}");
    }

    #[test]
    fn metrics_without_labels_stand_at_zero_from_the_start() {
        let text = Metrics::isolated(|| ()).render();
        for m in METRICS.iter().filter(|m| m.labels.is_empty()) {
            assert!(text.contains(&format!("\n{} 0\n", m.name)), "{} in {text}", m.name);
        }
    }

    #[test]
    fn a_process_has_one_recorder() {
        let metrics = Metrics::install().unwrap();
        metric::plis().increment(3);
        assert!(metrics.render().contains("penstock_plis_total 3"));
        let kept = Arc::new(std::sync::atomic::AtomicU32::new(7));
        let read = Arc::clone(&kept);
        metrics.follow(move || {
            metric::media_held().set(f64::from(read.load(std::sync::atomic::Ordering::Relaxed)));
        });
        assert!(metrics.clone().render().contains("penstock_media_held_bytes 7"));
        kept.store(8, std::sync::atomic::Ordering::Relaxed);
        assert!(metrics.render().contains("penstock_media_held_bytes 8"), "it is read off each time");
        assert!(matches!(Metrics::install(), Err(MetricsError::AlreadyInstalled)));
    }
}
