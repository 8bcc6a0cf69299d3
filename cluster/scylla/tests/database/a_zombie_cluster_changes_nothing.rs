//! A cluster that was restored elsewhere goes on writing.

use std::time::Duration;

use base::SystemRandomness;
use cluster_core::{NodeId, Saved};
use cluster_model::{Change, Command};
use penstock_cluster_scylla::archive::{Which, restore};
use penstock_cluster_scylla::{ProjectorTuning, Stopped, Table};

use crate::plane::{CLUSTER, Plane, assert_equal, project_with, waiting};
use crate::server::{beside, keyspace_of, raw, server};
use crate::work::{Work, app, create, stream};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_zombie_writes_is_invisible_and_its_projector_stops() {
    let Some(server) = server("what_a_zombie_writes_is_invisible_and_its_projector_stops") else { return };
    let (zombie, options) = (Plane::new(), keyspace_of(server));
    let mut work = Work::new(8, &zombie);
    // One that asks so seldom that it writes for a while.
    let seldom = ProjectorTuning { generation_check: Duration::from_secs(3), ..ProjectorTuning::default() };
    let old = project_with(&zombie, &options, CLUSTER, seldom);
    work.run(&zombie, 300);
    old.until(|figures| figures.listed == 1).await;
    old.until_projected(&zombie).await;

    let database = beside(&options).await;
    let restored = restore(&database, Which::Newest, "two", &SystemRandomness).await.unwrap();
    let saved = Saved::restored([NodeId(1)], restored.state, restored.generation).unwrap();
    let plane = Plane::of(saved.state);
    let new = project_with(&plane, &options, "two", ProjectorTuning::default());
    new.until(|figures| figures.listed == 1).await;

    // The zombie is further than the new cluster, changes rows of both, and has some that the new one has not.
    for number in 7_000..7_050 {
        zombie.run(create(number));
        zombie.run(Command::DeleteBroadcast { app: app(), stream: stream(number % 12) });
    }
    plane.run(create(8_000));
    let wanted = zombie.changed();
    let ended = old.until(|figures| figures.projected >= wanted || figures.stopped.is_some()).await;
    new.until_projected(&plane).await;
    if ended.stopped.is_none() {
        // It wrote: the rows are there, and not for us.
        let text = "SELECT stream FROM broadcasts WHERE app = 'LiveApp' AND stream = 'stream-7001'";
        let rows = raw(&options).await.query_unpaged(text, ()).await.unwrap().into_rows_result().unwrap();
        assert_eq!(rows.rows_num(), 1);
    }
    assert_equal(&database, &plane.state()).await;
    for (_, change) in database.state_rows(Table::Broadcasts).await.unwrap() {
        assert!(!matches!(change, Change::Broadcast { stream: id, .. } if id == stream(7_001)));
    }
    // What is restored next is of the new cluster.
    let copy = penstock_cluster_scylla::archive::read(&database, Which::Newest).await.unwrap();
    assert_eq!(copy.written_under, 1);

    let figures = old.until(|figures| figures.stopped.is_some()).await;
    assert_eq!(figures.stopped, Some(Stopped::Superseded { own: 0, by: 1 }));
    assert!(figures.stopped.unwrap().to_string().contains("restored elsewhere"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_joined_a_restored_cluster_leads_under_its_generation() {
    let Some(server) = server("a_node_that_joined_a_restored_cluster_leads_under_its_generation") else {
        return;
    };
    let (lost, options) = (Plane::new(), keyspace_of(server));
    lost.run(create(1));
    let old = project_with(&lost, &options, CLUSTER, ProjectorTuning::default());
    old.until(|figures| figures.archived.is_some()).await;
    old.projector.stop().await;
    let database = beside(&options).await;
    let restored = restore(&database, Which::Newest, "two", &SystemRandomness).await.unwrap();
    let saved = Saved::restored([NodeId(1)], restored.state, restored.generation).unwrap();
    let plane = Plane::of(saved.state);
    // It starts with an empty state, whose generation is 0, and has the cluster's long before it leads.
    let joined = waiting(&plane, &options, "two", ProjectorTuning::default());
    joined.leads.send_replace(Some(plane.state().generation()));
    plane.run(create(2));
    let figures = joined.until(|figures| figures.listed == 1 || figures.stopped.is_some()).await;
    assert_eq!((figures.generation, figures.stopped), (1, None));
    joined.until_projected(&plane).await;
    assert_equal(&database, &plane.state()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_of_another_cluster_is_left_alone() {
    let Some(server) = server("the_database_of_another_cluster_is_left_alone") else { return };
    let (plane, options) = (Plane::new(), keyspace_of(server));
    plane.run(create(1));
    let first = project_with(&plane, &options, CLUSTER, ProjectorTuning::default());
    first.until(|figures| figures.listed == 1).await;
    let other = project_with(&Plane::new(), &options, "another", ProjectorTuning::default());
    let figures = other.until(|figures| figures.stopped.is_some()).await;
    assert!(figures.stopped.unwrap().to_string().contains("holds the data of cluster one"));
    assert_equal(&beside(&options).await, &plane.state()).await;
}
