//! Worlds by the thousand. `PENSTOCK_SEEDS=FROM..TO` chooses which; without it, the first thousand.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use penstock_sim::{Counts, Fault, Pace, Plan, run};

/// What must have struck before the absence of violations says anything: each fault at least so often in a thousand
/// worlds.
const STRUCK_MIN: u64 = 100;

fn seeds() -> (u64, u64) {
    let wanted = std::env::var("PENSTOCK_SEEDS").unwrap_or_else(|_| "1..1001".to_owned());
    let (from, to) = wanted.split_once("..").expect("FROM..TO");
    (from.parse().expect("a number"), to.parse().expect("a number"))
}

#[test]
fn a_thousand_seeds_keep_every_promise() {
    let (from, to) = seeds();
    let next = AtomicU64::new(from);
    let total = Mutex::new((Counts::default(), Vec::new(), 0u64));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let pace = Pace::begin();
    std::panic::set_hook(Box::new(|_| {}));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= to {
                        return;
                    }
                    let result = run(Plan::of(seed));
                    let mut total = total.lock().unwrap();
                    match result {
                        Ok(report) => {
                            total.0.merge(&report.counts);
                            assert!(
                                report.seconds >= 600 && report.operations >= 500,
                                "seed {seed}: {report:?}"
                            );
                            total.2 += report.operations;
                        }
                        Err(violation) => total.1.push((seed, violation)),
                    }
                }
            });
        }
    });
    drop(std::panic::take_hook());
    let (counts, violations, operations) = total.into_inner().unwrap();
    println!("{} worlds, {operations} operations\n{counts}{}", to - from, pace.of(to - from));
    let list: Vec<_> = violations
        .iter()
        .map(|(seed, violation)| format!("seed {seed}: {violation}\n  replay it with: make sim SEED={seed}"))
        .collect();
    assert!(list.is_empty(), "{} of {} worlds:\n{}", list.len(), to - from, list.join("\n"));
    if to - from >= 1_000 {
        for fault in Fault::ALL {
            let count = counts.of(fault.name());
            assert!(count >= STRUCK_MIN, "{} struck {count} times only", fault.name());
        }
        for (what, count) in &counts.0 {
            let must_be =
                ["applied: ", "cell: ", "evaluated: "].into_iter().any(|kind| what.starts_with(kind));
            assert!(*count > 0 || !must_be, "{what} never was");
        }
    }
}
