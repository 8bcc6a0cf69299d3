//! A seed is a history: whatever failed once fails again.

use penstock_sim::{Plan, run};

#[test]
fn the_same_seed_gives_the_same_trace_and_another_one_another() {
    let trace = |seed| run(Plan::of(seed)).expect("no violation").trace;
    assert_eq!(trace(1), trace(1));
    assert_ne!(trace(1), trace(2));
}
