//! The figures of a row by name, and their medians over repeats.

use crate::row::{Case, Row};

/// One figure of a row.
pub struct Metric {
    /// Its name, as in the JSON.
    pub name: &'static str,
    /// How a table heads it.
    pub heading: &'static str,
    /// Digits behind the point.
    pub digits: usize,
    /// The figure; `None` when it was not measured.
    pub of: fn(&Row) -> Option<f64>,
}

/// All of them, in the order of the table.
pub const METRICS: &[Metric] = &[
    metric("frames_percent", "frames %", 2, |row| Some(row.summary.frames_share * 100.0)),
    metric("frames_lost", "frames lost", 0, |row| Some(row.summary.frames_lost() as f64)),
    metric("loss_percent", "loss %", 3, |row| Some(row.summary.loss_share * 100.0)),
    metric("join_p50_ms", "join p50 ms", 1, |row| Some(row.summary.join_ms?.p50)),
    metric("handshake_p50_ms", "handshake p50 ms", 1, |row| Some(row.summary.handshake_ms?.p50)),
    metric("lag_p50_ms", "lag p50 ms", 1, |row| Some(row.summary.lag_ms?.p50)),
    metric("lag_p99_ms", "lag p99 ms", 1, |row| Some(row.summary.lag_ms?.p99)),
    metric("lag_max_ms", "lag max ms", 1, |row| Some(row.summary.lag_ms?.max)),
    metric("fanout_p99_ms", "fan-out p99 ms", 1, |row| Some(row.summary.fanout_ms?.p99)),
    metric("sound_delay_p99_ms", "sound p99 ms", 1, |row| Some(row.summary.sound_delay_ms?.p99)),
    metric("cpu_percent", "node CPU %", 1, |row| Some(row.used.server_cpu_percent)),
    metric("kernel_percent", "kernel %", 1, |row| Some(row.used.server_kernel_percent)),
    metric("us_per_packet", "us/packet", 2, |row| row.us_per_packet),
    metric("plain_us_per_packet", "bare plain us", 2, |row| Some(row.plain.us_per_packet)),
    metric("sealed_us_per_packet", "bare sealed us", 2, |row| Some(row.sealed.us_per_packet)),
    metric("live_us_per_packet", "bare live us", 2, |row| Some(row.live.us_per_packet)),
    metric("plain_ratio", "plain ratio", 2, Row::plain_ratio),
    metric("sealed_ratio", "sealed ratio", 2, Row::sealed_ratio),
    metric("live_ratio", "live ratio", 2, Row::live_ratio),
    metric("syscalls_per_second", "syscalls/s", 0, |row| Some(row.syscalls?.all as f64)),
    metric("sends_per_second", "sends/s", 0, |row| Some(row.syscalls?.sends as f64)),
    metric("kilobytes_per_player", "KB/player", 0, |row| Some(row.bytes_per_player? / 1024.0)),
    metric("players_cpu_percent", "players CPU %", 0, |row| Some(row.used.players_cpu_percent)),
];

const fn metric(
    name: &'static str,
    heading: &'static str,
    digits: usize,
    of: fn(&Row) -> Option<f64>,
) -> Metric {
    Metric { name, heading, digits, of }
}

/// The middle of repeats, and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Middle {
    /// Half are not above; of an even number the mean of the two in the middle.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The greatest.
    pub most: f64,
}

impl Middle {
    /// Of some figures; `None` of none.
    pub fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let (&least, &most) = (figures.first()?, figures.last()?);
        let upper = figures.get(figures.len() / 2)?;
        let lower = figures.get((figures.len() - 1) / 2)?;
        Some(Self { median: f64::midpoint(*lower, *upper), least, most })
    }
}

/// The medians of a case over its valid rows.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Median {
    /// The case.
    pub case: Case,
    /// How many rows count.
    pub rows: usize,
    /// Of how many.
    pub measured: usize,
    /// By the metric's name; absent where no row has the figure.
    pub figures: std::collections::BTreeMap<&'static str, Middle>,
}

/// One per case, in the order in which cases were first measured.
pub fn medians(rows: &[Row]) -> Vec<Median> {
    let mut cases: Vec<Case> = Vec::new();
    for row in rows {
        if !cases.contains(&row.case) {
            cases.push(row.case);
        }
    }
    let of = |case: Case| {
        let all = || rows.iter().filter(move |row| row.case == case);
        let valid: Vec<&Row> = all().filter(|row| row.invalid.is_none()).collect();
        let figures = METRICS.iter().filter_map(|metric| {
            let figures = valid.iter().filter_map(|row| (metric.of)(row)).collect();
            Some((metric.name, Middle::of(figures)?))
        });
        Median { case, rows: valid.len(), measured: all().count(), figures: figures.collect() }
    };
    cases.into_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_repeats() {
        let middle = |figures: &[f64]| Middle::of(figures.to_vec());
        assert_eq!(middle(&[]), None);
        assert_eq!(middle(&[3.0, 9.0, 1.0]), Some(Middle { median: 3.0, least: 1.0, most: 9.0 }));
        assert_eq!(middle(&[2.0, 4.0]), Some(Middle { median: 3.0, least: 2.0, most: 4.0 }));
    }
}
