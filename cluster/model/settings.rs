//! The façade for application settings.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base::{AppName, Clock, Randomness};
use config::AppSettings;
use parking_lot::RwLock;
use serde_json::Value;

use crate::proposer::Proposer;
use crate::{
    Answer, Change, Command, Consistency, Filter, FormatError, Meta, MetaError, Outcome, Query, Revision,
    SettingsDocument, SettingsRecord, Watch, WatchEvent,
};

/// Pause before a list that failed is tried again.
const LIST_PAUSE: Duration = Duration::from_millis(500);

/// Settings of all applications. Cheap to clone; clones share one snapshot.
///
/// The stored document is the truth. A properties file is read at a node's start: it seeds an application
/// that has no settings yet, and a standalone node stores what a changed file says.
/// Readers take [`Settings::snapshot`], which [`Settings::follow`] keeps fresh.
#[derive(Clone)]
pub struct Settings {
    proposer: Proposer,
    snapshots: Arc<RwLock<BTreeMap<AppName, Snapshot>>>,
}

struct Snapshot {
    version: u64,
    settings: Arc<AppSettings>,
}

/// Why settings were not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PutSettingsError {
    /// Somebody else stored settings since the caller read them.
    #[error("the settings were changed by somebody else, they are at version {version} now")]
    Conflict {
        /// The version they have now; 0 for none.
        version: u64,
    },
    /// The metadata plane did not do its part.
    #[error(transparent)]
    Meta(#[from] MetaError),
}

impl Settings {
    /// Knows no settings until they are seeded or followed.
    pub fn new(meta: Arc<dyn Meta>, clock: Arc<dyn Clock>, randomness: Arc<dyn Randomness>) -> Self {
        Self { proposer: Proposer::new(meta, clock, randomness), snapshots: Arc::default() }
    }

    /// Stores `settings` if the application has none yet, and returns those in force.
    pub async fn seed(&self, app: &AppName, settings: &AppSettings) -> Result<Arc<AppSettings>, MetaError> {
        if let Some((_, settings)) = self.get(app).await? {
            return Ok(settings);
        }
        match self.put(app, 0, settings).await {
            Ok(_) => {}
            // Another node was first.
            Err(PutSettingsError::Conflict { .. }) => {}
            Err(PutSettingsError::Meta(error)) => return Err(error),
        }
        match self.get(app).await? {
            Some((_, settings)) => Ok(settings),
            None => Err(MetaError::WrongAnswer),
        }
    }

    /// The settings as of now and their version.
    pub async fn get(&self, app: &AppName) -> Result<Option<(u64, Arc<AppSettings>)>, MetaError> {
        let query = Query::Settings { app: app.clone() };
        match self.proposer.read(query, Consistency::Linearizable).await? {
            (_, Answer::Settings(None)) => Ok(None),
            (_, Answer::Settings(Some(record))) => {
                let settings = self.take(app, &record)?;
                Ok(Some((record.version, settings)))
            }
            _ => Err(MetaError::WrongAnswer),
        }
    }

    /// Stores `settings` if they are still at version `expected` (0: none), and returns the new version.
    pub async fn put(
        &self,
        app: &AppName,
        expected: u64,
        settings: &AppSettings,
    ) -> Result<u64, PutSettingsError> {
        let document = document(settings).map_err(MetaError::from)?;
        let command = Command::PutSettings { app: app.clone(), expected, document: document.clone() };
        match self.proposer.propose(command).await? {
            (_, Outcome::Stored { version }) => {
                self.take(app, &SettingsRecord { version, document }).map_err(MetaError::from)?;
                Ok(version)
            }
            (_, Outcome::Conflict { version }) => Err(PutSettingsError::Conflict { version }),
            _ => Err(MetaError::WrongAnswer.into()),
        }
    }

    /// The newest settings this node has heard of; `None`: not loaded yet.
    pub fn snapshot(&self, app: &AppName) -> Option<Arc<AppSettings>> {
        self.snapshots.read().get(app).map(|snapshot| Arc::clone(&snapshot.settings))
    }

    /// Keeps the snapshots fresh until the store is closed. To be spawned once per node.
    pub async fn follow(self) {
        let mut watch = self.proposer.meta.watch(Filter::Settings, Revision::ZERO);
        loop {
            match watch.next().await {
                WatchEvent::Changed { changes, .. } => self.absorb(&changes),
                WatchEvent::Relist => self.relist(&mut watch).await,
                WatchEvent::Closed => return,
            }
        }
    }

    async fn relist(&self, watch: &mut Watch) {
        match self.proposer.relist(Filter::Settings, watch).await {
            Ok(changes) => self.absorb(&changes),
            Err(error) => {
                // The watch says `Relist` again, so this is tried until it works.
                tracing::warn!(%error, "settings could not be listed, the snapshot may be old");
                tokio::time::sleep(LIST_PAUSE).await;
            }
        }
    }

    fn absorb(&self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Settings { app, now: Some(record) } => {
                    if let Err(error) = self.take(app, record) {
                        tracing::error!(%app, %error, "stored settings cannot be read, the former ones stay in force");
                    }
                }
                Change::Settings { app, now: None } => {
                    self.snapshots.write().remove(app);
                }
                _ => {}
            }
        }
    }

    /// Makes `record` the snapshot unless a newer one is there, and returns what it says.
    fn take(&self, app: &AppName, record: &SettingsRecord) -> Result<Arc<AppSettings>, FormatError> {
        if let Some(same) = self.snapshots.read().get(app).filter(|known| known.version == record.version) {
            return Ok(Arc::clone(&same.settings));
        }
        let settings = Arc::new(settings(&record.document)?);
        let mut snapshots = self.snapshots.write();
        if snapshots.get(app).is_none_or(|known| known.version < record.version) {
            let settings = Arc::clone(&settings);
            snapshots.insert(app.clone(), Snapshot { version: record.version, settings });
        }
        Ok(settings)
    }
}

fn document(settings: &AppSettings) -> Result<SettingsDocument, FormatError> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(fields)) => Ok(SettingsDocument(fields)),
        Ok(_) => Err(FormatError::Malformed("settings are not an object".to_owned())),
        Err(error) => Err(FormatError::Malformed(error.to_string())),
    }
}

fn settings(document: &SettingsDocument) -> Result<AppSettings, FormatError> {
    serde_json::from_value(Value::Object(document.0.clone()))
        .map_err(|error| FormatError::Malformed(error.to_string()))
}

#[cfg(test)]
mod tests;
