//! Tables that are not ours.

use penstock_cluster_scylla::{Database, DatabaseError};

use crate::server::{keyspace_of, raw, server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_not_ours_is_refused_by_name() {
    let Some(server) = server("a_table_that_is_not_ours_is_refused_by_name") else { return };
    let options = keyspace_of(server);
    let refused = async || Database::create(&options).await.err().map(|error| error.to_string());
    assert!(matches!(Database::open(&options).await.err(), Some(DatabaseError::Away(_))));
    assert_eq!(refused().await, None);
    assert!(Database::open(&options).await.is_ok());
    let session = raw(&options).await;
    let make = async |statement: &str| session.query_unpaged(statement, ()).await.map(|_| ()).unwrap();
    let name = &options.keyspace;

    make("ALTER TABLE tokens DROP spent").await;
    let said = refused().await;
    let wanted = format!("table {name}.tokens is not the one this program writes: it has no column spent");
    assert_eq!(said.as_deref(), Some(wanted.as_str()));
    make("DROP TABLE tokens").await;
    make("CREATE TABLE tokens (app text, stream text, token_id text, direction text, expire_s text, spent boolean, \
          format int, document text, PRIMARY KEY ((app, stream), token_id))")
        .await;
    let said = refused().await.unwrap();
    assert!(said.contains("tokens") && said.contains("expire_s is text and should be bigint"), "{said}");
    make("DROP TABLE tokens").await;
    make("CREATE TABLE tokens (app text, stream text, token_id text, direction text, expire_s bigint, spent boolean, \
          format int, document text, PRIMARY KEY (app, stream, token_id))")
        .await;
    let said = refused().await.unwrap();
    assert!(said.contains("tokens") && said.contains("stream is clustering"), "{said}");
    make("DROP TABLE tokens").await;
    assert_eq!(refused().await, None, "a table that is missing is made");

    make("UPDATE markers SET value = '99' WHERE name = 'schema'").await;
    let said = refused().await.unwrap();
    assert!(said.contains("has schema version 99, this program reads and writes version 1"), "{said}");
}
