//! A projector that ends in the middle is followed by one that begins where it was.

use std::time::Duration;

use penstock_cluster_scylla::Table;
use tokio::time::timeout;

use crate::plane::{Plane, Projecting, assert_equal, project};
use crate::server::{beside, keyspace_of, server};
use crate::work::Work;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_in_the_middle_projects_nothing_twice_and_misses_nothing() {
    let Some(server) = server("a_restart_in_the_middle_projects_nothing_twice_and_misses_nothing") else {
        return;
    };
    let (plane, options) = (Plane::new(), keyspace_of(server));
    let mut work = Work::new(2, &plane);
    let first = project(&plane, &options);
    // Nothing is changed while it lists.
    first.until_projected(&plane).await;
    let list = first.projector.figures().projected;
    let database = beside(&options).await;
    let mut listed = 1;
    let mut projecting = first;
    for _ in 0..6 {
        work.run(&plane, 150);
        // In the middle: wherever it happens to be.
        let somewhere = plane.changed().0.saturating_sub(100);
        projecting.until(|figures| figures.projected.0 >= somewhere).await;
        projecting.projector.stop().await;
        work.run(&plane, 50);
        projecting = project(&plane, &options);
        projecting.until_projected(&plane).await;
        listed += projecting.projector.figures().listed;
        assert_equal(&database, &plane.state()).await;
        // Each row is the write of the revision that changed it last, or of the one that was listed.
        for table in Table::STATE {
            for (stamp, change) in database.state_rows(table).await.unwrap() {
                let (kind, key) = change.key().unwrap();
                let wanted = plane.written(kind, &key).max(list);
                assert_eq!(stamp.revision, wanted, "{}/{}", table.name(), key.replace('\0', "/"));
            }
        }
    }
    assert_eq!(listed, 1, "the whole state was written again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leads_no_more_writes_no_more_and_the_next_leader_goes_on() {
    let Some(server) = server("who_leads_no_more_writes_no_more_and_the_next_leader_goes_on") else { return };
    let (plane, options) = (Plane::new(), keyspace_of(server));
    let mut work = Work::new(3, &plane);
    let [one, other] = [project(&plane, &options), project(&plane, &options)];
    // Both think that they lead: no harm.
    work.run(&plane, 300);
    one.until_projected(&plane).await;
    other.until_projected(&plane).await;
    let database = beside(&options).await;
    assert_equal(&database, &plane.state()).await;
    one.leads.send_replace(None);
    let figures = one.until(|figures| !figures.leading).await;
    // It keeps nothing and claims nothing.
    assert!(!figures.reachable, "{figures:?}");
    let figures = one.projector.figures();
    assert_eq!((figures.lag_entries, figures.outbox_bytes), (0, 0), "{figures:?}");
    work.run(&plane, 300);
    other.until_projected(&plane).await;
    other.leads.send_replace(None);
    other.until(|figures| !figures.leading).await;
    one.leads.send_replace(Some(0));
    work.run(&plane, 300);
    one.until_projected(&plane).await;
    assert_equal(&database, &plane.state()).await;
    // With nobody there who says that it leads it ends.
    let Projecting { projector, leads } = one;
    drop(leads);
    let mut changes = projector.changes();
    let ended = timeout(Duration::from_secs(60), changes.wait_for(|_| false)).await;
    assert!(ended.expect("it goes on").is_err());
}
