//! A cluster is lost while the database is behind, and restored from it.

use base::{SystemRandomness, limits};
use cluster_core::{NodeId, Saved};
use cluster_model::{Filter, Outcome, TokenFault};
use penstock_cluster_scylla::archive::{ArchiveError, Which, list, read, restore};
use penstock_cluster_scylla::{Database, ProjectorTuning};
use sha2::{Digest, Sha256};

use crate::plane::{CLUSTER, Plane, assert_equal, project, project_with, projected};
use crate::server::{beside, keyspace_of, raw, server};
use crate::work::{Work, create, create_token, spend};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_is_spent_twice_though_the_copy_is_older_than_the_loss() {
    let Some(server) = server("no_token_is_spent_twice_though_the_copy_is_older_than_the_loss") else {
        return;
    };
    let (plane, options, projecting) = projected(server).await;
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
    let (plane, options) = (Plane::new(), keyspace_of(server));
    let tuning = ProjectorTuning { segments_max: 3, ..ProjectorTuning::default() };
    let projecting = project_with(&plane, &options, CLUSTER, tuning);
    projecting.until(|figures| figures.listed == 1).await;
    let mut work = Work::new(7, &plane);
    let database = beside(&options).await;
    for _ in 0..25 {
        work.run(&plane, 40);
        projecting.until_projected(&plane).await;
        let copy = read(&database, Which::Newest).await.unwrap();
        assert_eq!(copy.state.list(&Filter::All), plane.state().list(&Filter::All));
    }
    // The newest are removed only when there is one more.
    let kept = list(&database).await.unwrap();
    assert!(kept.len() >= 2 && kept.len() <= limits::ARCHIVE_SNAPSHOTS_MAX + 1, "{}", kept.len());
    assert!(kept.is_sorted_by(|a, b| a.stamp >= b.stamp), "{kept:?}");
    // What is listed is whole, or gone as a whole: there may just be one more.
    loop {
        let oldest = list(&database).await.unwrap().pop().unwrap().id;
        match read(&database, Which::Of(oldest.clone())).await {
            Ok(copy) => break assert_eq!(copy.snapshot.id, oldest),
            Err(ArchiveError::NoSuch(gone)) => assert_eq!(gone, oldest),
            Err(other) => panic!("{other}"),
        }
    }
    // A projector that begins anew finds the chain and goes on with it.
    projecting.projector.stop().await;
    work.run(&plane, 40);
    let again = project(&plane, &options);
    again.until_projected(&plane).await;
    let copy = read(&database, Which::Newest).await.unwrap();
    assert_eq!(copy.state.list(&Filter::All), plane.state().list(&Filter::All));
    assert_eq!(again.projector.figures().listed, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_whose_leader_ended_before_it_followed_it_hides_nothing() {
    let Some(server) = server("a_snapshot_whose_leader_ended_before_it_followed_it_hides_nothing") else {
        return;
    };
    let (plane, options) = (Plane::new(), keyspace_of(server));
    // Each batch is followed by a snapshot, whose chain is noted with the next one only.
    let tuning = ProjectorTuning { segments_max: 1, ..ProjectorTuning::default() };
    let projecting = project_with(&plane, &options, CLUSTER, tuning);
    let first = projecting.until(|figures| figures.archived.is_some()).await.archived;
    let mut work = Work::new(12, &plane);
    work.run(&plane, 40);
    projecting.until(|figures| figures.archived > first).await;
    projecting.projector.stop().await;
    let database = beside(&options).await;
    for commands in [40, 20] {
        work.run(&plane, commands);
        let next = project(&plane, &options);
        next.until_projected(&plane).await;
        let copy = read(&database, Which::Newest).await.unwrap();
        assert_eq!((copy.index, copy.behind_gap), (plane.changed().max(copy.snapshot.stamp.revision), 0));
        assert_eq!(copy.state.list(&Filter::All), plane.state().list(&Filter::All));
        next.projector.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_snapshots_the_one_whose_chain_reaches_furthest_is_read() {
    let Some(server) = server("of_several_snapshots_the_one_whose_chain_reaches_furthest_is_read") else {
        return;
    };
    let (plane, options, projecting) = projected(server).await;
    let mut work = Work::new(13, &plane);
    work.run(&plane, 40);
    let middle = plane.state();
    work.run(&plane, 40);
    projecting.until_projected(&plane).await;
    projecting.projector.stop().await;
    // As another leader leaves one, in one chunk, without a chain of its own.
    let bytes = middle.snapshot().unwrap();
    let session = raw(&options).await;
    let hash = Sha256::digest(&bytes).to_vec();
    let text = "INSERT INTO archive_chunks (snapshot, chunk, bytes, sha256) VALUES ('other', 0, ?, ?)";
    session.query_unpaged(text, (bytes.clone(), hash.clone())).await.unwrap();
    let text = "INSERT INTO archive_snapshots (name, generation, revision, id, made_ms, chunks, bytes, sha256) \
                VALUES ('penstock', 0, ?, 'other', 1, 1, ?, ?)";
    let revision = i64::try_from(middle.revision().0).unwrap();
    session.query_unpaged(text, (revision, i64::try_from(bytes.len()).unwrap(), hash)).await.unwrap();
    let database = beside(&options).await;
    assert_eq!(list(&database).await.unwrap()[0].id, "other");
    let copy = read(&database, Which::Of("other".to_owned())).await.unwrap();
    assert_eq!(copy.index, middle.revision());
    let copy = read(&database, Which::Newest).await.unwrap();
    assert_eq!(copy.state.list(&Filter::All), plane.state().list(&Filter::All));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_of_a_snapshot_that_was_never_finished_goes() {
    let Some(server) = server("what_is_left_of_a_snapshot_that_was_never_finished_goes") else { return };
    let (plane, options) = (Plane::new(), keyspace_of(server));
    let mut work = Work::new(14, &plane);
    work.run(&plane, 40);
    Database::create(&options).await.unwrap();
    let session = raw(&options).await;
    // Written by a leader at revision 1: two of its three chunks.
    for chunk in 0..2 {
        let text =
            "INSERT INTO archive_chunks (snapshot, chunk, bytes) VALUES ('left', ?, 0x00) USING TIMESTAMP 1";
        session.query_unpaged(text, (chunk,)).await.unwrap();
    }
    let text = "INSERT INTO archive_snapshots (name, generation, revision, id, chunks) \
                VALUES ('penstock', 0, 1, 'left', 3) USING TIMESTAMP 1";
    session.query_unpaged(text, ()).await.unwrap();
    let projecting = project(&plane, &options);
    projecting.until(|figures| figures.listed == 1).await;
    projecting.until_projected(&plane).await;
    let rows = async |table: &str| {
        let rows = session.query_unpaged(format!("SELECT * FROM {table}"), ()).await.unwrap();
        rows.into_rows_result().unwrap().rows_num()
    };
    assert_eq!((rows("archive_snapshots").await, rows("archive_chunks").await), (1, 1));
    let copy = read(&beside(&options).await, Which::Newest).await.unwrap();
    assert_eq!(copy.state.list(&Filter::All), plane.state().list(&Filter::All));
}
