//! What is written: rows as lines, medians as a table, everything as JSON, the main figures as plots.

mod metrics;
mod plots;
mod text;

pub use metrics::{METRICS, Median, Metric, Middle, medians};
pub use plots::write_plots;
pub use text::{median_table, row_lines};
