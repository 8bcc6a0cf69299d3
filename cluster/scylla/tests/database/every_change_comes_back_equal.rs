//! Every kind of change lands in its table and comes back equal.

use penstock_cluster_scylla::Table;

use crate::plane::{assert_equal, projected};
use crate::server::{beside, server};
use crate::work::Work;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_change_lands_in_its_table_and_comes_back_equal() {
    let Some(server) = server("every_kind_of_change_lands_in_its_table_and_comes_back_equal") else { return };
    let (plane, options, projecting) = projected(server).await;
    let mut work = Work::new(1, &plane);
    // Some of it as it comes, some of it in batches.
    for _ in 0..10 {
        work.run(&plane, 200);
        projecting.until_projected(&plane).await;
    }
    let database = beside(&options).await;
    assert_equal(&database, &plane.state()).await;
    for table in Table::STATE {
        assert!(!database.state_rows(table).await.unwrap().is_empty(), "{} was never used", table.name());
    }
    let figures = projecting.projector.figures();
    assert_eq!((figures.listed, figures.dead_letters, figures.facts_lost), (1, 0, 0), "{figures:?}");
    assert!(figures.reachable && figures.leading && figures.stopped.is_none(), "{figures:?}");
}
