//! Two restores race for the generation.

use base::SystemRandomness;
use penstock_cluster_scylla::archive::{ArchiveError, Which, restore};

use crate::plane::{Plane, project};
use crate::server::{beside, keyspace_of, server};
use crate::work::Work;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_restores_at_once_one_has_the_generation() {
    let Some(server) = server("of_two_restores_at_once_one_has_the_generation") else { return };
    let (plane, options) = (Plane::new(), keyspace_of(server));
    Work::new(10, &plane).run(&plane, 100);
    let projecting = project(&plane, &options);
    projecting.until_projected(&plane).await;
    projecting.projector.stop().await;
    let [one, other] = [beside(&options).await, beside(&options).await];
    for round in 1..=5 {
        let (a, b) = tokio::join!(
            restore(&one, Which::Newest, "a", &SystemRandomness),
            restore(&other, Which::Newest, "b", &SystemRandomness),
        );
        let won = match (&a, &b) {
            (Ok(won), Err(ArchiveError::Raced)) => (won, "a"),
            (Err(ArchiveError::Raced), Ok(won)) => (won, "b"),
            // One was done before the other began.
            (Ok(first), Ok(second)) => {
                assert_ne!(first.generation, second.generation);
                continue;
            }
            _ => panic!("round {round}: {:?} {:?}", a.as_ref().err(), b.as_ref().err()),
        };
        let row = one.cluster().await.unwrap().unwrap();
        assert_eq!((row.lineage.generation, row.cluster_id.as_str()), (won.0.generation, won.1));
    }
}
