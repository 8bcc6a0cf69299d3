//! A projector that ends in the middle is followed by one that begins where it was.

use std::collections::BTreeMap;

use penstock_cluster_scylla::{Database, Table};

use crate::plane::{Plane, assert_equal, project};
use crate::server::{beside, server};
use crate::work::Work;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_in_the_middle_projects_nothing_twice_and_misses_nothing() {
    let Some(server) = server("a_restart_in_the_middle_projects_nothing_twice_and_misses_nothing") else {
        return;
    };
    let (plane, options) = (Plane::new(), server.options());
    let mut work = Work::new(2, &plane);
    let first = project(&plane, &options);
    first.until(|figures| figures.listed == 1).await;
    let database = beside(&options).await;
    let mut listed = 1;
    let mut projecting = first;
    for _ in 0..6 {
        work.run(&plane, 150);
        // In the middle: wherever it happens to be.
        let somewhere = plane.changed().0.saturating_sub(100);
        projecting.until(|figures| figures.projected.0 >= somewhere).await;
        projecting.projector.stop().await;
        let before = stamps(&database).await;
        work.run(&plane, 50);
        projecting = project(&plane, &options);
        projecting.until_projected(&plane).await;
        listed += projecting.projector.figures().listed;
        assert_equal(&database, &plane.state()).await;
        // What was there and was not changed since is the write it was.
        for (key, (revision, document)) in stamps(&database).await {
            if let Some((was, had)) = before.get(&key)
                && *had == document
            {
                assert!(revision >= *was, "{key} went back");
            }
        }
    }
    assert_eq!(listed, 1, "the whole state was written again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leads_no_more_writes_no_more_and_the_next_leader_goes_on() {
    let Some(server) = server("who_leads_no_more_writes_no_more_and_the_next_leader_goes_on") else { return };
    let (plane, options) = (Plane::new(), server.options());
    let mut work = Work::new(3, &plane);
    let [one, other] = [project(&plane, &options), project(&plane, &options)];
    // Both think that they lead: no harm.
    work.run(&plane, 300);
    one.until_projected(&plane).await;
    other.until_projected(&plane).await;
    let database = beside(&options).await;
    assert_equal(&database, &plane.state()).await;
    one.leads.send_replace(false);
    one.until(|figures| !figures.leading).await;
    work.run(&plane, 300);
    other.until_projected(&plane).await;
    other.leads.send_replace(false);
    other.until(|figures| !figures.leading).await;
    one.leads.send_replace(true);
    work.run(&plane, 300);
    one.until_projected(&plane).await;
    assert_equal(&database, &plane.state()).await;
}

async fn stamps(database: &Database) -> BTreeMap<String, (u64, Vec<u8>)> {
    let mut stamps = BTreeMap::new();
    for table in Table::STATE {
        for (stamp, change) in database.state_rows(table).await.unwrap() {
            let row = change.row().unwrap().unwrap();
            let key = format!("{}/{}", table.name(), row.key.replace('\0', "/"));
            stamps.insert(key, (stamp.revision.0, row.value.unwrap()));
        }
    }
    stamps
}
