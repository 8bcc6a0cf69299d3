//! Each fault that is put in on purpose is found: the table says by which seed first.

use penstock_sim::{Broken, Plan, run};

/// Seeds that are tried before a fault counts as not found.
const SEEDS: u64 = 1_000;

#[test]
fn every_fault_put_in_on_purpose_is_found() {
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    let wanted = std::env::var("PENSTOCK_BROKEN").unwrap_or_default();
    for fault in Broken::ALL.into_iter().filter(|fault| format!("{fault:?}").contains(&wanted)) {
        let found = (1..=SEEDS).find_map(|seed| {
            let violation = run(Plan { broken: Some(fault), ..Plan::of(seed) }).err()?;
            Some((seed, violation))
        });
        match found {
            Some((seed, violation)) => {
                let mut text = violation.to_string();
                text.truncate(160);
                println!("| {fault:?} | {seed} | {text} |");
            }
            None => missed.push(fault),
        }
    }
    drop(std::panic::take_hook());
    assert!(missed.is_empty(), "not found within {SEEDS} seeds: {missed:?}");
}
