//! What is asked of the figures.

use std::process::ExitCode;

use serde_json::Value;

/// Commits per second with many proposers.
const COMMITS_MIN: f64 = 10_000.0;
/// And how long one may take, milliseconds.
const COMMIT_P99_MS_MAX: f64 = 10.0;
/// Spends of one-time tokens per second.
const SPENDS_MIN: f64 = 5_000.0;
/// And how long one may take, milliseconds.
const SPEND_P99_MS_MAX: f64 = 10.0;
/// Admissions per second of a core.
const ADMISSIONS_MIN: f64 = 20_000.0;
/// How long one command may hold everybody up, milliseconds.
const APPLY_MS_MAX: f64 = 5.0;
/// Bytes of log per second.
const LOG_BYTES_MAX: f64 = 1_000_000.0;
/// Beyond this share of the machine the figures are of other programs too.
const FOREIGN_PERCENT_MAX: f64 = 10.0;

/// Prints each goal that is among the results, and whether it is kept: missed while others used the machine is no miss.
pub fn judge(results: &Value) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    let mut goal = |part: &str, what: &str, figure: Option<f64>, keeps: &dyn Fn(f64) -> bool| {
        let Some(figure) = figure else { return };
        let foreign = results[part]["foreign_percent"].as_f64().unwrap_or_default();
        let word = if keeps(figure) {
            "kept"
        } else if foreign > FOREIGN_PERCENT_MAX {
            "INVALID"
        } else {
            code = ExitCode::FAILURE;
            "MISSED"
        };
        println!("{part}: {what}: {figure:.1} ({word}; other programs took {foreign} % of the machine)");
    };
    let by_links = |row: &&Value| row["way"] == "links" && row["spread"] == false;
    let commits: Vec<_> =
        results["commits"]["found"].as_array().into_iter().flatten().filter(by_links).collect();
    let per_second = commits.iter().filter_map(|row| row["per_second"].as_f64()).reduce(f64::max);
    goal("commits", "a second, goal >= 10,000", per_second, &|found| found >= COMMITS_MIN);
    // How long one takes at that rate.
    let at_rate = commits.iter().find(|row| row["load"]["per_second"].as_f64() == Some(COMMITS_MIN));
    let p99 = at_rate.map(|row| match row["ms"]["p99"].as_f64() {
        Some(p99) if row["failed"].is_null() => p99,
        _ => f64::INFINITY,
    });
    goal("commits", "p99 ms at 10,000 a second, goal <= 10", p99, &|found| found <= COMMIT_P99_MS_MAX);
    for (spread, at_most, at_rate) in [
        (
            false,
            "a second at the leader with p99 <= 10 ms, goal >= 5,000",
            "p99 ms at 5,000 a second, the leader's, goal <= 10",
        ),
        (
            true,
            "a second at all three with p99 <= 10 ms, goal >= 5,000",
            "p99 ms at 5,000 a second, of all three, goal <= 10",
        ),
    ] {
        let rows = || {
            results["spends"]["found"].as_array().into_iter().flatten().filter(|row| row["spread"] == spread)
        };
        let p99 = |row: &Value| row["ms"]["p99"].as_f64().unwrap_or(f64::INFINITY);
        let quick = rows().filter(|row| row["load"]["outstanding"].is_u64() && p99(row) <= SPEND_P99_MS_MAX);
        let most = quick.filter_map(|row| row["per_second"].as_f64()).fold(0.0, f64::max);
        let is_there = rows().next().is_some();
        goal("spends", at_most, is_there.then_some(most), &|found| found >= SPENDS_MIN);
        let rate = rows().find(|row| row["load"]["per_second"].as_f64() == Some(SPENDS_MIN));
        let p99 = rate.map(|row| if row["failed"].is_null() { p99(row) } else { f64::INFINITY });
        goal("spends", at_rate, p99, &|found| found <= SPEND_P99_MS_MAX);
    }
    for (mechanism, log, what) in [
        ("hash", "off", "admissions by hash a second of a core, goal >= 20,000"),
        ("hash", "written", "the same with a line of log each, goal >= 20,000"),
        ("jwt", "off", "admissions by JWT a second of a core, goal >= 20,000"),
        ("jwt", "written", "the same with a line of log each, goal >= 20,000"),
    ] {
        let is_it =
            |row: &&Value| row["mechanism"] == mechanism && row["log"] == log && row["direction"] == "play";
        let row = results["gate"]["found"].as_array().into_iter().flatten().find(is_it);
        goal("gate", what, row.and_then(|row| row["per_second"].as_f64()), &|found| found >= ADMISSIONS_MIN);
    }
    let rows = results["apply"]["found"].as_array();
    let worst = rows.map(|rows| {
        let took = rows.iter().filter_map(|row| row["apply_max_ms"].as_f64());
        took.fold(0.0, f64::max)
    });
    goal("apply", "worst ms, goal <= 5", worst, &|found| found <= APPLY_MS_MAX);
    let bytes = results.pointer("/facts/found/bytes_per_second").and_then(Value::as_f64);
    goal("facts", "bytes a second, goal <= 1,000,000", bytes, &|found| found <= LOG_BYTES_MAX);
    code
}
