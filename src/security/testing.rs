//! A gate for the tests of crates that need permits.

use std::sync::Arc;

use base::{AppName, SystemClock, SystemRandomness};
use cluster_model::testing::InMemory;
use cluster_model::{Broadcasts, Meta, Settings};
use config::AppSettings;

use crate::Gate;

/// A gate with AMS's default settings for `applications`, and the façades it asks. What is behind them
/// is gone with the process.
///
/// # Panics
/// When a name is not one, or the settings cannot be seeded: for tests only.
pub async fn open_gate(applications: &[&str]) -> (Gate, Broadcasts, Settings) {
    gate_over(Arc::new(InMemory::new(Arc::new(SystemClock))), applications).await
}

/// The same over a metadata plane of the caller's.
///
/// # Panics
/// As [`open_gate`].
pub async fn gate_over(meta: Arc<dyn Meta>, applications: &[&str]) -> (Gate, Broadcasts, Settings) {
    let clock = Arc::new(SystemClock);
    let randomness = Arc::new(SystemRandomness);
    let settings = Settings::new(Arc::clone(&meta), clock.clone(), randomness.clone());
    let broadcasts = Broadcasts::new(meta, clock.clone(), randomness.clone(), "localhost");
    let names: Vec<_> =
        applications.iter().map(|name| AppName::new(name).expect("an application's name")).collect();
    for name in &names {
        settings.seed(name, &AppSettings::new(name, &*randomness)).await.expect("seeded settings");
    }
    (Gate::new(names, settings.clone(), broadcasts.clone(), clock), broadcasts, settings)
}
