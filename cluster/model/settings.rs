//! The façade for application settings.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base::{AppName, Clock, Randomness, WallTime};
use config::AppSettings;
use parking_lot::RwLock;
use serde_json::{Map, Value};
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::proposer::Proposer;
use crate::{
    Answer, Change, Command, Consistency, Filter, FormatError, Meta, MetaError, NotApplied, Outcome, Query,
    Revision, Seals, SettingsDocument, SettingsRecord, Watch, WatchEvent,
};

/// Pause before a list that failed is tried again.
const LIST_PAUSE: Duration = Duration::from_millis(500);
/// The only key of a document that is sealed.
const SEALED: &str = "sealed";
/// How often it is tried to delete settings that somebody else changes at the same time.
const DELETE_TRIES_MAX: usize = 8;
/// The one key of what is stored of an application that was deleted: when that was, in ms.
const DELETED: &str = "deleted";

/// Settings of all applications. Cheap to clone; clones share one snapshot.
///
/// The stored document is the truth. A properties file is read at a node's start: it seeds an application
/// that has no settings yet, and a standalone node stores what a changed file says.
/// The document is sealed as a whole: secrets stand among what is none.
/// Readers take [`Settings::snapshot`], which [`Settings::follow`] keeps fresh.
///
/// Of an application that was deleted a tombstone is stored in the place of its settings, `{"deleted": ms}`, so that nodes which
/// were away learn it. It has no settings then, and new ones go over the tombstone.
#[derive(Clone)]
pub struct Settings {
    proposer: Proposer,
    seals: Arc<Seals>,
    snapshots: Arc<RwLock<BTreeMap<AppName, Snapshot>>>,
    /// Said with every newer snapshot.
    changed: Arc<watch::Sender<()>>,
}

struct Snapshot {
    version: u64,
    said: Said,
}

/// What a record says.
#[derive(Clone)]
enum Said {
    Settings(Arc<AppSettings>),
    Deleted(WallTime),
}

impl Said {
    fn settings(&self) -> Option<&Arc<AppSettings>> {
        if let Self::Settings(settings) = self { Some(settings) } else { None }
    }
}

/// What is stored of an application.
#[derive(Clone, Debug, PartialEq)]
pub enum StoredSettings {
    /// Nothing, ever.
    Nothing,
    /// That it was deleted.
    Deleted {
        /// How often something was put for it.
        version: u64,
        /// When it was deleted.
        at: WallTime,
    },
    /// Settings.
    Settings {
        /// How often they were put.
        version: u64,
        /// What they say.
        settings: Arc<AppSettings>,
    },
}

impl StoredSettings {
    /// What whoever puts settings over it expects; 0: there is nothing.
    pub fn version(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Deleted { version, .. } | Self::Settings { version, .. } => *version,
        }
    }
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
    pub fn new(
        meta: Arc<dyn Meta>,
        seals: Arc<Seals>,
        clock: Arc<dyn Clock>,
        randomness: Arc<dyn Randomness>,
    ) -> Self {
        let changed = Arc::new(watch::Sender::new(()));
        Self { proposer: Proposer::new(meta, clock, randomness), seals, snapshots: Arc::default(), changed }
    }

    /// Stores `settings` if the application has none yet, and returns those in force.
    pub async fn seed(&self, app: &AppName, settings: &AppSettings) -> Result<Arc<AppSettings>, MetaError> {
        let version = match self.stored(app).await? {
            StoredSettings::Settings { settings, .. } => return Ok(settings),
            other => other.version(),
        };
        match self.put(app, version, settings).await {
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
        match self.stored(app).await? {
            StoredSettings::Settings { version, settings } => Ok(Some((version, settings))),
            _ => Ok(None),
        }
    }

    /// What is stored as of now, also where that are no settings.
    pub async fn stored(&self, app: &AppName) -> Result<StoredSettings, MetaError> {
        let Some(record) = self.record(app).await? else { return Ok(StoredSettings::Nothing) };
        let version = record.version;
        Ok(match self.take(app, &record)? {
            Said::Settings(settings) => StoredSettings::Settings { version, settings },
            Said::Deleted(at) => StoredSettings::Deleted { version, at },
        })
    }

    /// Stores `settings` in the place of what cannot be read.
    pub async fn put_over_unreadable(
        &self,
        app: &AppName,
        settings: &AppSettings,
    ) -> Result<(), PutSettingsError> {
        let version = self.record(app).await?.map_or(0, |record| record.version);
        self.put(app, version, settings).await.map(|_| ())
    }

    /// Seals with the key that is used now what was stored in clear, or sealed with one that is being replaced.
    pub async fn seal_anew(&self, app: &AppName) -> Result<(), MetaError> {
        let Some(record) = self.record(app).await? else { return Ok(()) };
        let sealed = record.document.0.get(SEALED).and_then(Value::as_str);
        if sealed.is_some_and(|sealed| self.seals.is_sealed_now(sealed)) {
            return Ok(());
        }
        let Said::Settings(settings) = self.take(app, &record)? else { return Ok(()) };
        match self.put(app, record.version, &settings).await {
            // Whoever changed them sealed them, too.
            Ok(_) | Err(PutSettingsError::Conflict { .. }) => Ok(()),
            Err(PutSettingsError::Meta(error)) => Err(error),
        }
    }

    async fn record(&self, app: &AppName) -> Result<Option<Arc<SettingsRecord>>, MetaError> {
        let query = Query::Settings { app: app.clone() };
        match self.proposer.read(query, Consistency::Linearizable).await? {
            (_, Answer::Settings(record)) => Ok(record),
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
        self.put_document(app, expected, self.document(app, settings).map_err(MetaError::from)?).await
    }

    /// Stores that the application was deleted, in the place of its settings; `false` when there are none.
    pub async fn delete(&self, app: &AppName) -> Result<bool, MetaError> {
        for _ in 0..DELETE_TRIES_MAX {
            let StoredSettings::Settings { version, .. } = self.stored(app).await? else { return Ok(false) };
            let now = Value::from(self.proposer.clock.wall().as_millis());
            let tombstone = SettingsDocument([(DELETED.to_owned(), now)].into_iter().collect());
            match self.put_document(app, version, tombstone).await {
                Ok(_) => return Ok(true),
                Err(PutSettingsError::Conflict { .. }) => {}
                Err(PutSettingsError::Meta(error)) => return Err(error),
            }
        }
        Err(NotApplied::Busy.into())
    }

    async fn put_document(
        &self,
        app: &AppName,
        expected: u64,
        document: SettingsDocument,
    ) -> Result<u64, PutSettingsError> {
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

    /// The newest settings this node has heard of; `None`: not loaded yet, or there are none.
    pub fn snapshot(&self, app: &AppName) -> Option<Arc<AppSettings>> {
        self.snapshots.read().get(app).and_then(|snapshot| snapshot.said.settings().cloned())
    }

    /// The applications this node has heard of, in order, each with the time when it was deleted if it was.
    pub fn heard_of(&self) -> Vec<(AppName, Option<WallTime>)> {
        let of = |said: &Said| if let Said::Deleted(at) = said { Some(*at) } else { None };
        self.snapshots.read().iter().map(|(app, snapshot)| (app.clone(), of(&snapshot.said))).collect()
    }

    /// Tells that there is something newer than before.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
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
                    self.changed.send_replace(());
                }
                _ => {}
            }
        }
    }

    /// Makes `record` the snapshot unless a newer one is there, and returns what it says.
    fn take(&self, app: &AppName, record: &SettingsRecord) -> Result<Said, FormatError> {
        if let Some(same) = self.snapshots.read().get(app).filter(|known| known.version == record.version) {
            return Ok(same.said.clone());
        }
        let said = self.said(app, &record.document)?;
        let mut snapshots = self.snapshots.write();
        if snapshots.get(app).is_none_or(|known| known.version < record.version) {
            snapshots.insert(app.clone(), Snapshot { version: record.version, said: said.clone() });
            drop(snapshots);
            self.changed.send_replace(());
        }
        Ok(said)
    }

    fn document(&self, app: &AppName, settings: &AppSettings) -> Result<SettingsDocument, FormatError> {
        let text = serde_json::to_vec(settings).map_err(|error| FormatError::Malformed(error.to_string()))?;
        let sealed = self.seals.seal(&owner(app), &Zeroizing::new(text), &*self.proposer.randomness)?;
        Ok(SettingsDocument(Map::from_iter([(SEALED.to_owned(), Value::from(sealed))])))
    }

    fn said(&self, app: &AppName, document: &SettingsDocument) -> Result<Said, FormatError> {
        match (document.0.len(), document.0.get(DELETED).and_then(Value::as_u64)) {
            (1, Some(ms)) => Ok(Said::Deleted(WallTime(ms))),
            _ => self.settings(app, document).map(|settings| Said::Settings(Arc::new(settings))),
        }
    }

    fn settings(&self, app: &AppName, document: &SettingsDocument) -> Result<AppSettings, FormatError> {
        let malformed = |why: String| FormatError::Malformed(why);
        let read = match document.0.get(SEALED) {
            Some(sealed) => {
                let opened =
                    sealed.as_str().map(|sealed| self.seals.open(&owner(app), sealed)).transpose()?;
                // Read as settings in clear it would switch every mechanism off.
                let text = opened.flatten().ok_or_else(|| malformed("no sealed settings".to_owned()))?;
                serde_json::from_slice(&text)
            }
            // As before they were sealed.
            None => serde_json::from_value(Value::Object(document.0.clone())),
        };
        read.map_err(|error| malformed(error.to_string()))
    }
}

/// To whom sealed settings belong.
fn owner(app: &AppName) -> String {
    format!("settings of {app}")
}

#[cfg(test)]
mod tests;
