//! The main figures over the number of players, as SVG on white, so that any page may show them.

use std::path::Path;

use anyhow::Context;
use plotters::prelude::*;

use super::{Median, Middle};
use crate::link::Profile;

const SIZE: (u32, u32) = (860, 440);
/// Right of the plot, where it covers no line.
const LEGEND_WIDTH: u32 = 200;
/// Told apart by those who see colours otherwise, too (Okabe and Ito).
const BLUE: RGBColor = RGBColor(0, 114, 178);
const ORANGE: RGBColor = RGBColor(213, 94, 0);
const SKY: RGBColor = RGBColor(86, 180, 233);
const YELLOW: RGBColor = RGBColor(204, 142, 0);
const GREEN: RGBColor = RGBColor(0, 158, 115);
const PURPLE: RGBColor = RGBColor(204, 121, 167);
const GREY: RGBColor = RGBColor(120, 120, 120);

struct Line {
    label: String,
    colour: RGBColor,
    points: Vec<(f64, Middle)>,
}

struct Plot {
    file: &'static str,
    title: &'static str,
    /// What stands along the upright axis.
    axis: &'static str,
    /// By metric, what it is called in the legend.
    metrics: &'static [(&'static str, &'static str)],
    /// Where the goal is.
    goal: Option<(f64, &'static str)>,
    /// Where the axis begins and ends, where that does not follow from the figures.
    range: Option<(f64, f64)>,
}

const PLOTS: &[Plot] = &[
    Plot {
        file: "cpu.svg",
        title: "Load of the node's core",
        axis: "percent of one core",
        metrics: &[("cpu_percent", "all"), ("kernel_percent", "kernel")],
        goal: None,
        range: Some((0.0, 100.0)),
    },
    Plot {
        file: "lag.svg",
        title: "Lag of a frame, publisher to player",
        axis: "milliseconds",
        metrics: &[("lag_p50_ms", "p50"), ("lag_p99_ms", "p99")],
        goal: Some((60.0, "goal for p99 at 900")),
        range: None,
    },
    Plot {
        file: "packet.svg",
        title: "Time of the core per packet",
        axis: "microseconds",
        metrics: &[
            ("us_per_packet", "node"),
            ("sealed_us_per_packet", "bare loop, sealed"),
            ("live_us_per_packet", "bare loop, live"),
            ("plain_us_per_packet", "bare loop, plain"),
        ],
        goal: None,
        range: None,
    },
    Plot {
        file: "frames.svg",
        title: "Whole frames that came, of those due",
        axis: "percent",
        metrics: &[("frames_percent", "frames")],
        goal: None,
        range: Some((90.0, 101.0)),
    },
];

/// Writes all plots into a folder.
///
/// # Errors
/// A file cannot be written.
pub fn write_plots(medians: &[Median], folder: &Path) -> anyhow::Result<()> {
    for plot in PLOTS {
        let lines = lines_of(plot, medians);
        if lines.iter().all(|line| line.points.is_empty()) {
            continue;
        }
        std::fs::write(folder.join(plot.file), draw(plot, &lines)?)
            .with_context(|| format!("{} cannot be written", plot.file))?;
    }
    Ok(())
}

fn lines_of(plot: &Plot, medians: &[Median]) -> Vec<Line> {
    let mut lines = Vec::new();
    for (profile, colours) in
        [(Profile::Gcm, [BLUE, SKY, GREEN, GREY]), (Profile::Cm, [ORANGE, YELLOW, PURPLE, BLACK])]
    {
        for ((name, label), colour) in plot.metrics.iter().zip(colours) {
            let of_profile = medians.iter().filter(|median| median.case.profile == profile);
            let mut points: Vec<(f64, Middle)> = of_profile
                .filter_map(|median| Some((median.case.players as f64, *median.figures.get(name)?)))
                .collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            if !points.is_empty() {
                lines.push(Line { label: format!("{profile}: {label}"), colour, points });
            }
        }
    }
    lines
}

fn draw(plot: &Plot, lines: &[Line]) -> anyhow::Result<String> {
    let players = lines.iter().flat_map(|line| line.points.iter().map(|point| point.0)).fold(0.0, f64::max);
    let (least, most) = plot.range.unwrap_or_else(|| {
        let most =
            lines.iter().flat_map(|line| line.points.iter().map(|point| point.1.most)).fold(0.0, f64::max);
        (0.0, most.max(plot.goal.map_or(0.0, |goal| goal.0)) * 1.1)
    });
    let clamp = |figure: f64| figure.clamp(least, most);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let (left, right) = root.split_horizontally(SIZE.0 - LEGEND_WIDTH);
        let mut chart = ChartBuilder::on(&left)
            .caption(plot.title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..players * 1.05, least..most)?;
        chart
            .configure_mesh()
            .x_desc("players")
            .y_desc(plot.axis)
            .label_style(("sans-serif", 14))
            .light_line_style(WHITE)
            .bold_line_style(RGBColor(225, 225, 225))
            .x_label_formatter(&|players| format!("{players:.0}"))
            .y_label_formatter(&|figure| {
                if most < 10.0 { format!("{figure:.1}") } else { format!("{figure:.0}") }
            })
            .draw()?;
        let mut legend: Vec<(&str, ShapeStyle)> = Vec::new();
        if let Some((goal, label)) = plot.goal {
            let ends = [(0.0, goal), (players * 1.05, goal)];
            chart.draw_series(DashedLineSeries::new(ends, 6, 5, BLACK.stroke_width(1)))?;
            legend.push((label, BLACK.stroke_width(1)));
        }
        for line in lines {
            let points = || line.points.iter().map(|(players, middle)| (*players, *middle));
            let medians = points().map(|(players, middle)| (players, clamp(middle.median)));
            chart.draw_series(LineSeries::new(medians, line.colour.stroke_width(2)))?;
            chart.draw_series(points().map(|(players, Middle { median, least, most })| {
                let style = line.colour.filled();
                ErrorBar::new_vertical(players, clamp(least), clamp(median), clamp(most), style, 8)
            }))?;
            legend.push((&line.label, line.colour.stroke_width(3)));
        }
        for (row, (label, style)) in (0..).zip(legend) {
            let y = 60 + row * 22;
            right.draw(&PathElement::new([(0, y), (22, y)], style))?;
            right.draw(&Text::new(label, (30, y - 6), ("sans-serif", 14)))?;
        }
        root.present()?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::row::Case;

    #[test]
    fn every_plot_is_written_with_its_lines() {
        let middle = |median: f64| Middle { median, least: median * 0.9, most: median * 1.2 };
        let names = PLOTS.iter().flat_map(|plot| plot.metrics);
        let figures: BTreeMap<&'static str, Middle> = names.map(|(name, _)| (*name, middle(40.0))).collect();
        let medians: Vec<Median> = [(Profile::Gcm, 100), (Profile::Gcm, 900), (Profile::Cm, 300)]
            .map(|(profile, players)| Median {
                case: Case { profile, players },
                rows: 3,
                measured: 3,
                figures: figures.clone(),
            })
            .into();
        let folder = tempfile::tempdir().unwrap();
        write_plots(&medians, folder.path()).unwrap();
        for plot in PLOTS {
            let svg = std::fs::read_to_string(folder.path().join(plot.file)).unwrap();
            let title = plot.title.replace('\'', "&apos;");
            assert!(svg.starts_with("<svg") && svg.contains(&title) && svg.contains("CM: "), "{svg}");
        }
        write_plots(&[], folder.path()).unwrap();
    }

    #[test]
    fn every_line_is_of_a_metric() {
        for (name, _) in PLOTS.iter().flat_map(|plot| plot.metrics) {
            assert!(super::super::METRICS.iter().any(|metric| metric.name == *name), "{name}");
        }
    }
}
