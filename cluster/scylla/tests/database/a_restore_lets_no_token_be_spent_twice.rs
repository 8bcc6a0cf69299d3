//! A cluster is lost while the database is behind, and restored from it.

use base::{SystemRandomness, limits};
use cluster_core::{NodeId, Saved};
use cluster_model::{Filter, Outcome, TokenFault};
use penstock_cluster_scylla::archive::{Which, restore};
use penstock_cluster_scylla::{Database, ProjectorTuning};

use crate::plane::{CLUSTER, Plane, assert_equal, project, project_with};
use crate::server::{beside, server};
use crate::work::{Work, create, create_token, spend};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_is_spent_twice_though_the_copy_is_older_than_the_loss() {
    let Some(server) = server("no_token_is_spent_twice_though_the_copy_is_older_than_the_loss") else {
        return;
    };
    let (plane, options) = (Plane::new(), server.options());
    let projecting = project(&plane, &options);
    projecting.until(|figures| figures.listed == 1).await;
    let mut work = Work::new(6, &plane);
    work.run(&plane, 500);
    (1_000..1_050).for_each(|number| assert_eq!(plane.run(create_token(1, number)), Outcome::Done));
    (1_000..1_010).for_each(|number| assert_eq!(plane.run(spend(1, number, 77)), Outcome::Spent));
    projecting.until_projected(&plane).await;
    let archived = plane.state();
    // From here on the projection is behind: nothing of this reaches the database.
    projecting.projector.stop().await;
    (1_010..1_030).for_each(|number| assert_eq!(plane.run(spend(1, number, 78)), Outcome::Spent));
    plane.run(create(5_000));

    // All nodes are lost.
    let database = Database::open(&options).await.unwrap();
    let restored = restore(&database, Which::Newest, "two", &SystemRandomness).await.unwrap();
    assert_eq!((restored.generation, restored.written_under, restored.behind_gap), (1, 0, 0));
    assert!(restored.segments > 0);
    assert_eq!(restored.state.list(&Filter::All), archived.list(&Filter::All));
    let saved = Saved::restored([NodeId(1)], restored.state, restored.generation).unwrap();
    let plane = Plane::of(saved.state);
    for number in 1_000..1_050 {
        let expected = if number < 1_010 { TokenFault::Spent } else { TokenFault::Void };
        assert_eq!(plane.run(spend(1, number, 99)), Outcome::TokenRefused(expected), "token {number}");
    }

    // The new cluster writes on, and what it writes is seen.
    let projecting = project_with(&plane, &options, "two", ProjectorTuning::default());
    assert_eq!(plane.run(create_token(1, 2_000)), Outcome::Done);
    assert_eq!(plane.run(spend(1, 2_000, 99)), Outcome::Spent);
    plane.run(create(6_000));
    projecting.until(|figures| figures.listed == 1).await;
    projecting.until_projected(&plane).await;
    assert_equal(&beside(&options).await, &plane.state()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_archive_is_as_new_as_the_projection_and_its_snapshots_are_few() {
    let Some(server) = server("the_archive_is_as_new_as_the_projection_and_its_snapshots_are_few") else {
        return;
    };
    let (plane, options) = (Plane::new(), server.options());
    let tuning = ProjectorTuning { segments_max: 3, ..ProjectorTuning::default() };
    let projecting = project_with(&plane, &options, CLUSTER, tuning);
    projecting.until(|figures| figures.listed == 1).await;
    let mut work = Work::new(7, &plane);
    let database = beside(&options).await;
    for _ in 0..25 {
        work.run(&plane, 40);
        projecting.until_projected(&plane).await;
        let copy = penstock_cluster_scylla::archive::read(&database, Which::Newest).await.unwrap();
        assert_eq!(copy.state.list(&Filter::All), plane.state().list(&Filter::All));
    }
    // The newest are removed only when there is one more.
    let kept = penstock_cluster_scylla::archive::list(&database).await.unwrap();
    assert!(kept.len() >= 2 && kept.len() <= limits::ARCHIVE_SNAPSHOTS_MAX + 1, "{}", kept.len());
    assert!(kept.is_sorted_by(|a, b| a.stamp >= b.stamp), "{kept:?}");
    let oldest = kept.last().unwrap().id.clone();
    penstock_cluster_scylla::archive::read(&database, Which::Of(oldest)).await.unwrap();
    // A projector that begins anew finds the chain and goes on with it.
    projecting.projector.stop().await;
    work.run(&plane, 40);
    let again = project(&plane, &options);
    again.until_projected(&plane).await;
    let copy = penstock_cluster_scylla::archive::read(&database, Which::Newest).await.unwrap();
    assert_eq!(copy.state.list(&Filter::All), plane.state().list(&Filter::All));
    assert_eq!(again.projector.figures().listed, 0);
}
