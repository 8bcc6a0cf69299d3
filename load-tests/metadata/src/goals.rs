//! What is asked of the figures.

use std::process::ExitCode;

use serde_json::Value;

/// Commits per second with many proposers.
const COMMITS_MIN: f64 = 10_000.0;
/// And how long one may take, milliseconds.
const COMMIT_P99_MS_MAX: f64 = 10.0;
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
