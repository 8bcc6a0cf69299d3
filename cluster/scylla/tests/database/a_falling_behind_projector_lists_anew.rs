//! What waits is bounded: beyond it the state is listed.

use penstock_cluster_scylla::ProjectorTuning;

use crate::plane::{CLUSTER, Plane, assert_equal, project_with};
use crate::server::{beside, keyspace_of, server};
use crate::work::Work;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_much_to_wait_is_forgotten_and_the_state_is_listed() {
    let Some(server) = server("what_is_too_much_to_wait_is_forgotten_and_the_state_is_listed") else {
        return;
    };
    let (plane, options) = (Plane::new(), keyspace_of(server));
    let mut work = Work::new(5, &plane);
    let tuning = ProjectorTuning { outbox_changes_max: 200, ..ProjectorTuning::default() };
    let projecting = project_with(&plane, &options, CLUSTER, tuning);
    projecting.until(|figures| figures.listed == 1).await;
    let mut most = 0;
    for _ in 0..20 {
        // Faster than any database.
        work.run(&plane, 300);
        tokio::task::yield_now().await;
        most = most.max(projecting.projector.figures().outbox_changes);
    }
    projecting.until_projected(&plane).await;
    let figures = projecting.projector.figures();
    assert!(figures.fell_behind > 0 && figures.listed > 1, "{figures:?}");
    // One command's rows may be beyond the limit, and one batch is on its way.
    assert!(most <= 400, "{most} rows waited");
    assert_equal(&beside(&options).await, &plane.state()).await;
}
