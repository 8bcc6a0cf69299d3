//! An archive with one flipped bit.

use penstock_cluster_scylla::archive::{ArchiveError, Which, list, read};

use crate::plane::{Plane, project};
use crate::server::{beside, keyspace_of, raw, server};
use crate::work::Work;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_flipped_bit_in_the_archive_is_named_and_nothing_is_restored() {
    let Some(server) = server("one_flipped_bit_in_the_archive_is_named_and_nothing_is_restored") else {
        return;
    };
    let (plane, options) = (Plane::new(), keyspace_of(server));
    let mut work = Work::new(9, &plane);
    work.run(&plane, 200);
    let projecting = project(&plane, &options);
    projecting.until(|figures| figures.listed == 1).await;
    work.run(&plane, 20);
    projecting.until_projected(&plane).await;
    projecting.projector.stop().await;
    let database = beside(&options).await;
    let snapshot = list(&database).await.unwrap().remove(0);
    read(&database, Which::Newest).await.unwrap();

    let session = raw(&options).await;
    let cases = [("archive_segments", "segment after revision"), ("archive_chunks", "chunk 0 of snapshot")];
    for (table, named) in cases {
        // The first row of the table: its first bit, then back again.
        for damaged in [true, false] {
            flip(&session, table).await;
            let read = read(&database, Which::Newest).await;
            match read {
                Err(ArchiveError::Damaged { what, .. }) if damaged => {
                    assert!(what.contains(named) && what.contains(&snapshot.id), "{what}");
                }
                Ok(_) if !damaged => {}
                other => panic!("{table}: {:?}", other.map(|copy| copy.index)),
            }
        }
    }
    // A part that is gone is damage too.
    let gone = format!("DELETE FROM archive_chunks WHERE snapshot = '{}' AND chunk = 0", snapshot.id);
    session.query_unpaged(gone, ()).await.unwrap();
    let error = read(&database, Which::Newest).await.unwrap_err();
    assert!(error.to_string().contains("it is missing"), "{error}");
}

/// Flips the first bit of the first bytes in `table`, with a timestamp of now, which beats all of ours.
async fn flip(session: &scylla::client::session::Session, table: &str) {
    let key = match table {
        "archive_chunks" => "chunk",
        _ => "after",
    };
    let text = format!("SELECT snapshot, {key}, bytes FROM {table} LIMIT 1");
    let rows = session.query_unpaged(text, ()).await.unwrap().into_rows_result().unwrap();
    if key == "chunk" {
        let (snapshot, chunk, mut bytes) = rows.single_row::<(String, i32, Vec<u8>)>().unwrap();
        bytes[0] ^= 1;
        let text = format!("UPDATE {table} SET bytes = ? WHERE snapshot = ? AND chunk = ?");
        session.query_unpaged(text, (bytes, snapshot, chunk)).await.unwrap();
    } else {
        let (snapshot, after, mut bytes) = rows.single_row::<(String, i64, Vec<u8>)>().unwrap();
        bytes[0] ^= 1;
        let text = format!("UPDATE {table} SET bytes = ? WHERE snapshot = ? AND after = ? AND part = 0");
        session.query_unpaged(text, (bytes, snapshot, after)).await.unwrap();
    }
}
