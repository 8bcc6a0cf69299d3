//! Rows and medians for a terminal.

use std::fmt::Write as _;

use super::{METRICS, Median, Metric};
use crate::row::Row;
use crate::swarm::Percentiles;

/// A row: what players got, what it cost, what ran beside it; then why players ended, and why it does not count.
pub fn row_lines(row: &Row) -> String {
    let Row { case, summary, used, noise: [before, after], .. } = row;
    let percentiles = |percentiles: Option<Percentiles>| {
        percentiles.map_or_else(|| "-".to_owned(), |p| format!("{:.1}/{:.1}/{:.1}", p.p50, p.p99, p.max))
    };
    let number = |number: Option<f64>, digits: usize| {
        number.map_or_else(|| "-".to_owned(), |number| format!("{number:.digits$}"))
    };
    let mut text = format!(
        "{} {:>5} #{}  joined {}  frames {:.2} % (worst {} %, lost {})  loss {:.3} % (for good {:.3} %)  ms p50/p99/max: \
         lag {}  fan-out {}  sound {}  join {}  handshake {}  gap max {}\n",
        case.profile,
        case.players,
        row.repeat + 1,
        summary.joined,
        summary.frames_share * 100.0,
        number(summary.frames_share_worst.map(|share| share * 100.0), 2),
        summary.frames_lost(),
        summary.loss_share * 100.0,
        summary.lost_share * 100.0,
        percentiles(summary.lag_ms),
        percentiles(summary.fanout_ms),
        percentiles(summary.sound_delay_ms),
        percentiles(summary.join_ms),
        percentiles(summary.handshake_ms),
        number(summary.gap_ms.map(|gap| gap.max), 0),
    );
    let calls = row.syscalls.map_or_else(
        || "-".to_owned(),
        |calls| {
            format!(
                "{} (sends {}, receives {}, waits {})",
                calls.all, calls.sends, calls.receives, calls.waits
            )
        },
    );
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "     node {:.1} % (kernel {:.1})  {} us/packet  bare {:.2} plain {:.2} sealed {:.2} live  ratio {} {} {}  syscalls/s {}  {} KB/player  {:.0} Mbit/s",
        used.server_cpu_percent,
        used.server_kernel_percent,
        number(row.us_per_packet, 2),
        row.plain.us_per_packet,
        row.sealed.us_per_packet,
        row.live.us_per_packet,
        number(row.plain_ratio(), 2),
        number(row.sealed_ratio(), 2),
        number(row.live_ratio(), 2),
        calls,
        number(row.bytes_per_player.map(|bytes| bytes / 1024.0), 0),
        row.bits_per_second / 1e6,
    );
    let _ = writeln!(
        text,
        "     players {:.0} %{}  loops {:.0}/{:.0} ms computing, {:.0}/{:.0} ms sending  foreign {:.1} %",
        used.players_cpu_percent,
        if row.players_were_the_limit { " (THE LIMIT)" } else { "" },
        before.computing_ms,
        after.computing_ms,
        before.sending_ms,
        after.sending_ms,
        used.foreign_share * 100.0,
    );
    for (reason, count) in &summary.ended {
        let _ = writeln!(text, "     {count} ended: {reason}");
    }
    if summary.frames_unknown > 0 {
        let _ = writeln!(text, "     {} pictures came that were never sent", summary.frames_unknown);
    }
    if let Some(reason) = &row.invalid {
        let _ = writeln!(text, "     INVALID: {reason}");
    }
    text
}

/// The medians as a table in Markdown: the median, and in brackets the least and the greatest where they differ.
pub fn median_table(medians: &[Median]) -> String {
    let cell = |median: &Median, metric: &Metric| {
        let Some(middle) = median.figures.get(metric.name) else { return "-".to_owned() };
        let show = |figure: f64| format!("{figure:.*}", metric.digits);
        let (least, most) = (show(middle.least), show(middle.most));
        if least == most { show(middle.median) } else { format!("{} ({least}-{most})", show(middle.median)) }
    };
    let mut text = "| profile | players | rows |".to_owned();
    METRICS.iter().for_each(|metric| text.extend([" ", metric.heading, " |"]));
    text.push_str("\n|---|---|---|");
    METRICS.iter().for_each(|_| text.push_str("---|"));
    text.push('\n');
    for median in medians {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "| {} | {} | {} of {} |",
            median.case.profile, median.case.players, median.rows, median.measured
        );
        METRICS.iter().for_each(|metric| text.extend([" ", &cell(median, metric), " |"]));
        text.push('\n');
    }
    text
}
