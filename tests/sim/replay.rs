//! One world or many: `sim SEED`, `sim FROM..TO`.

use std::io::{self, Write};
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
    match replay(&mut io::stdout().lock()) {
        Ok(code) => code,
        // Whoever read it has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn replay(out: &mut impl Write) -> io::Result<ExitCode> {
    let wanted = std::env::args().nth(1).unwrap_or_else(|| "1".to_owned());
    let seeds = match wanted.split_once("..") {
        Some((from, to)) => from.parse().ok().zip(to.parse().ok()).map(|(from, to): (u64, u64)| from..to),
        None => wanted.parse().ok().map(|seed: u64| seed..seed.saturating_add(1)),
    };
    let Some(seeds) = seeds else {
        writeln!(out, "usage: sim SEED | FROM..TO")?;
        return Ok(ExitCode::FAILURE);
    };
    let (mut counts, mut failed, many) = (Counts::default(), 0u64, seeds.end.saturating_sub(seeds.start) > 1);
    let (pace, count) = (Pace::begin(), seeds.end.saturating_sub(seeds.start));
    for seed in seeds {
        match run(plan(seed)) {
            Ok(report) => {
                counts.merge(&report.counts);
                if !many {
                    writeln!(
                        out,
                        "seed {seed}: trace {:016x}, {} operations",
                        report.trace, report.operations
                    )?;
                }
            }
            Err(violation) => {
                failed += 1;
                writeln!(out, "seed {seed}: {violation}")?;
            }
        }
    }
    writeln!(out, "{counts}{}", pace.of(count))?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
