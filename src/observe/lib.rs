//! What the node says about itself: log lines, metrics, readiness.
//!
//! Not here: the HTTP pages that show them (`api`), and what is worth saying (every room's own matter).
//!
//! - [`init_logs`]: text or JSON lines on standard error, once per process.
//! - [`metric`]: one function per metric; [`METRICS`] is the same list as a table, from which
//!   ARCHITECTURE.md's list is generated ([`metrics_markdown`]).
//! - [`Metrics`]: the recorder behind those functions, in Prometheus text form.
//! - [`Seldom`]: a line that comes once where it would come for every stream or request.
//! - [`Readiness`]: who must be ready before the node takes work, and who is not.
//!
//! Invariants: no metric has a label an outsider can choose; no log line holds a token or a whole
//! peer address (`base::Secret` and `base::PeerAddr` see to it).

mod logs;
mod recorder;
mod table;

mod health;
mod seldom;

pub use health::{Component, Missing, Readiness};
pub use logs::{LogError, LogFormat, init_logs};
pub use recorder::{Metrics, MetricsError};
pub use seldom::Seldom;
pub use table::{Kind, METRICS, Metric, metric, metrics_markdown};
