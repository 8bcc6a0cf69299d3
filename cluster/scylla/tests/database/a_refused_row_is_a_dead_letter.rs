//! A row that the server refuses.

use base::AppName;
use cluster_model::Filter;
use penstock_cluster_scylla::Table;
use penstock_cluster_scylla::archive::{Which, read};

use crate::plane::projected;
use crate::server::{beside, raw, server};
use crate::work::{create, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_row_becomes_a_dead_letter_and_the_next_one_goes_on() {
    let Some(server) = server("a_refused_row_becomes_a_dead_letter_and_the_next_one_goes_on") else { return };
    let (plane, options, projecting) = projected(server).await;
    plane.run(create(1));
    // The test server takes no row of more than 768 KiB.
    plane.run(settings("Huge", "x".repeat(800 * 1024)));
    plane.run(settings("Small", "x".to_owned()));
    plane.run(create(2));
    projecting.until_projected(&plane).await;
    assert_eq!(projecting.projector.figures().dead_letters, 1);
    let database = beside(&options).await;
    assert_eq!(database.state_rows(Table::Broadcasts).await.unwrap().len(), 2);
    assert_eq!(database.state_rows(Table::Settings).await.unwrap().len(), 1);
    let letters = raw(&options)
        .await
        .query_unpaged("SELECT place, key, reason, row_bytes FROM dead_letters", ())
        .await
        .unwrap()
        .into_rows_result()
        .unwrap();
    let (place, key, reason, bytes) = letters.single_row::<(String, String, String, i64)>().unwrap();
    assert_eq!((place.as_str(), key.as_str()), ("settings", "Huge"));
    assert!(reason.contains("size") && bytes > 800 * 1024, "{reason} {bytes}");
    // The archive has it nevertheless.
    let copy = read(&database, Which::Newest);
    let copy = copy.await.unwrap().state;
    assert!(copy.settings(&AppName::new("Huge").unwrap()).is_some());
    assert_eq!(copy.list(&Filter::All), plane.state().list(&Filter::All));
}
