//! The server is killed for some seconds under load.

use std::time::Duration;

use base::{Clock, SystemClock};

use crate::plane::{Plane, assert_equal, project};
use crate::server::{beside, keyspace_of, server};
use crate::testing::CqlServer;
use crate::work::Work;

/// Commands per second of the load, about.
const RATE: usize = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_server_killed_nobody_waits_and_afterwards_nothing_is_missing() {
    let name = "with_the_server_killed_nobody_waits_and_afterwards_nothing_is_missing";
    // One of its own: it is killed.
    if server(name).is_none() {
        return;
    }
    let own = CqlServer::start().expect("a second server");
    let (plane, options) = (Plane::new(), keyspace_of(&own));
    let mut work = Work::new(4, &plane);
    let projecting = project(&plane, &options);
    projecting.until(|figures| figures.listed == 1).await;
    let mut pulse = tokio::time::interval(Duration::from_millis(25));
    let mut slowest = Duration::ZERO;
    let mut waiting_max = 0;
    for beat in 0..200 {
        pulse.tick().await;
        if beat == 40 {
            own.kill().expect("the server is killed");
        }
        let began = SystemClock.now();
        work.run(&plane, RATE / 40);
        slowest = slowest.max(SystemClock.now() - began);
        waiting_max = waiting_max.max(projecting.projector.figures().lag_entries);
    }
    // Applying in memory: what a command takes does not depend on the database.
    assert!(slowest < Duration::from_millis(500), "a command waited for {slowest:?}");
    assert!(!projecting.projector.figures().reachable);
    assert!(waiting_max > 100, "nothing waited: {waiting_max}");
    own.start_again().expect("the server is there again");
    projecting.until_projected(&plane).await;
    let figures = projecting.projector.figures();
    assert!(figures.reachable && figures.listed == 1 && figures.facts_lost == 0, "{figures:?}");
    assert_equal(&beside(&options).await, &plane.state()).await;
}
