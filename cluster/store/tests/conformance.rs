//! The conformance suite over the durable store, steady and unsteady.

use std::sync::Arc;

use base::SystemClock;
use cluster_model::testing::Unsteady;
use cluster_model::testing::conformance::Subject;
use penstock_cluster_store::LocalStore;

fn subject<M: cluster_model::Meta + 'static>(wrap: impl FnOnce(LocalStore) -> M) -> Subject {
    let folder = tempfile::tempdir().expect("a folder");
    let store =
        LocalStore::open(folder.path().join("metadata.redb"), Arc::new(SystemClock)).expect("a store");
    Subject { meta: Arc::new(wrap(store)), keep: Box::new(folder) }
}

cluster_model::meta_conformance!(steady, || subject(|store| store));
cluster_model::meta_conformance!(unsteady, || subject(|store| Unsteady::new(store, 3)));
