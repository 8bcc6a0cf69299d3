//! One world or many: `sim SEED`, `sim FROM..TO`.

#![expect(clippy::print_stdout, reason = "a program whose output is for who called it")]

use std::process::ExitCode;

use penstock_sim::{Counts, Pace, Plan, run};

/// The world of `seed`, with the fault that `PENSTOCK_BROKEN` names if this program can have one.
fn plan(seed: u64) -> Plan {
    #[cfg(feature = "broken")]
    if let Ok(wanted) = std::env::var("PENSTOCK_BROKEN") {
        let broken = penstock_sim::Broken::ALL.into_iter().find(|fault| format!("{fault:?}") == wanted);
        return Plan { broken, ..Plan::of(seed) };
    }
    Plan::of(seed)
}

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1).unwrap_or_else(|| "1".to_owned());
    let seeds = match wanted.split_once("..") {
        Some((from, to)) => from.parse().ok().zip(to.parse().ok()).map(|(from, to): (u64, u64)| from..to),
        None => wanted.parse().ok().map(|seed: u64| seed..seed.saturating_add(1)),
    };
    let Some(seeds) = seeds else {
        println!("usage: sim SEED | FROM..TO");
        return ExitCode::FAILURE;
    };
    let (mut counts, mut failed, many) = (Counts::default(), 0u64, seeds.end.saturating_sub(seeds.start) > 1);
    let (pace, count) = (Pace::begin(), seeds.end.saturating_sub(seeds.start));
    for seed in seeds {
        match run(plan(seed)) {
            Ok(report) => {
                counts.merge(&report.counts);
                if !many {
                    println!("seed {seed}: trace {:016x}, {} operations", report.trace, report.operations);
                }
            }
            Err(violation) => {
                failed += 1;
                println!("seed {seed}: {violation}");
            }
        }
    }
    println!("{counts}{}", pace.of(count));
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
