//! The `red5-web.properties` of this node's applications.
//!
//! What is stored in the metadata plane is the truth. A file begins an application that has no settings yet. On a node that is
//! alone a file that was changed by hand is taken, at start and while the node runs; in a cluster it is not: which of several
//! nodes' files would be right? What is changed over REST is written into the file of the node that took the change, for
//! reading.
//!
//! A file counts as changed by hand when its content is neither the one that was last taken nor the one that was last written;
//! which that was is remembered in `settings-files.json`. So a change over REST that never reached the file (no room on the disk,
//! a folder that cannot be written to, `kill -9`) is not undone by the old file at the next start.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use base::{AppName, Clock, Randomness};
use cluster_model::{FormatError, MetaError, PutSettingsError, Settings, StoredSettings};
use config::{AppFolder, AppSettings, ConfigError, DataConfig, Finding, LoadedSettings};
use parking_lot::RwLock;
use tokio::sync::Mutex;

use crate::known_file::{Known, Look, Rights, hash, remembered_in, replace};

/// Between two looks at the files. One that looks the same twice is whole and is taken: within two seconds, all in all.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often a file is laid over settings that somebody else changes at the same time.
const TRIES_MAX: usize = 5;
/// What was last taken and written, in the data folder.
const REMEMBERED: &str = "settings-files.json";
const NOT_STORED: &str = "its settings could not be stored";

/// Has the files that are there count as known: settings that are brought back from a copy are not overruled by files that say
/// what they said before, or what every new application's do.
pub fn take_as_known(data: &DataConfig) -> anyhow::Result<()> {
    let mut contents = BTreeMap::new();
    // A folder that is not there yet has no files that could overrule anything.
    for folder in config::discover_applications(&data.webapps).unwrap_or_default() {
        if let Some(bytes) = folder.properties()? {
            contents.insert(folder.name.as_str().to_owned(), hash(&bytes));
        }
    }
    let remembered = data.folder.join(REMEMBERED);
    replace(&remembered, &serde_json::to_vec(&contents)?, Rights::Kept)
        .with_context(|| format!("{} cannot be written", remembered.display()))
}

/// The files. Clones are the same.
#[derive(Clone)]
pub struct SettingsFiles(Arc<Inner>);

struct Inner {
    folders: RwLock<BTreeMap<AppName, AppFolder>>,
    settings: Settings,
    is_alone: bool,
    randomness: Arc<dyn Randomness>,
    remembered: PathBuf,
    known: Mutex<BTreeMap<AppName, Known>>,
}

impl SettingsFiles {
    /// Those of the folders of `data.webapps`. There may be none: applications are made while the node runs.
    pub fn new(
        data: &DataConfig,
        settings: Settings,
        is_alone: bool,
        randomness: Arc<dyn Randomness>,
    ) -> anyhow::Result<Self> {
        let folders = config::discover_applications(&data.webapps)?;
        if folders.is_empty() {
            tracing::warn!(
                folder = %data.webapps.display(),
                "there is no application in data.webapps: each is a folder with a WEB-INF/red5-web.properties, and POST \
                 /rest/v2/applications/{{name}} makes one"
            );
        }
        let remembered = data.folder.join(REMEMBERED);
        let contents = remembered_in(&remembered);
        let known =
            |app: &AppName| Known { content: contents.get(app.as_str()).cloned(), ..Known::default() };
        let known = folders.iter().map(|folder| (folder.name.clone(), known(&folder.name))).collect();
        let folders = folders.into_iter().map(|folder| (folder.name.clone(), folder)).collect();
        let (folders, known) = (RwLock::new(folders), Mutex::new(known));
        Ok(Self(Arc::new(Inner { folders, settings, is_alone, randomness, remembered, known })))
    }

    /// Sees to it that each application has settings, and that those that were deleted while the node was away are none. The
    /// applications' names.
    pub async fn begin(&self, clock: &dyn Clock) -> anyhow::Result<Vec<AppName>> {
        for folder in self.all() {
            let of = || format!("the application {}", folder.name);
            if self.is_deleted(&folder).await.with_context(of)? {
                let aside = folder.set_aside(clock.wall()).with_context(of)?;
                let aside = aside.unwrap_or_default();
                tracing::warn!(app = %folder.name, folder = %aside.display(), "the application was deleted while this node was away: its folder is moved out of the way");
                self.forget(&folder.name).await;
                continue;
            }
            let mut known = self.0.known.lock().await;
            let known = known.entry(folder.name.clone()).or_default();
            self.begin_one(&folder, known).await.with_context(of)?;
        }
        self.remember().await;
        Ok(self.0.folders.read().keys().cloned().collect())
    }

    /// Whether an application was deleted on another node, and not made anew here since. A node that is alone has heard of every
    /// deletion: whoever made the folder wants the application.
    async fn is_deleted(&self, folder: &AppFolder) -> anyhow::Result<bool> {
        if self.0.is_alone {
            return Ok(false);
        }
        let stored = self.0.settings.stored(&folder.name).await.context("its settings cannot be read")?;
        Ok(matches!(stored, StoredSettings::Deleted { at, .. } if !folder.is_younger_than(at)))
    }

    /// Takes an application that has a folder, as at the start of the node.
    pub async fn take_in(&self, folder: &AppFolder) -> anyhow::Result<()> {
        let mut known = Known::default();
        self.begin_one(folder, &mut known).await?;
        self.0.known.lock().await.insert(folder.name.clone(), known);
        self.0.folders.write().insert(folder.name.clone(), folder.clone());
        self.remember().await;
        Ok(())
    }

    /// Takes an application whose folder was just made, and writes its settings there.
    pub async fn take_new(&self, folder: &AppFolder, settings: Arc<AppSettings>) {
        self.0.known.lock().await.remove(&folder.name);
        self.0.folders.write().insert(folder.name.clone(), folder.clone());
        api::SettingsFiles::rewrite(self, &folder.name, settings).await;
    }

    /// Lets go of an application that is none any more.
    pub async fn forget(&self, app: &AppName) {
        self.0.folders.write().remove(app);
        self.0.known.lock().await.remove(app);
        self.remember().await;
    }

    fn all(&self) -> Vec<AppFolder> {
        self.0.folders.read().values().cloned().collect()
    }

    async fn begin_one(&self, folder: &AppFolder, known: &mut Known) -> anyhow::Result<()> {
        let app = &folder.name;
        let look = Look::at(&folder.settings_file);
        let held = match self.0.settings.get(app).await {
            Ok(Some((_, held))) => held,
            Ok(None) => return self.begin_unstored(folder, known, look).await,
            Err(MetaError::Unreadable(error @ FormatError::Sealed { .. })) if self.0.is_alone => {
                return self.begin_over_sealed(folder, known, look, error).await;
            }
            Err(error) => return Err(error).context("its settings cannot be read"),
        };
        if let Err(error) = self.0.settings.seal_anew(app).await {
            tracing::warn!(%app, %error, "the settings are not sealed anew: that is done at the next start");
        }
        if !self.0.is_alone {
            return Ok(());
        }
        let Some(bytes) = folder.properties()? else { return Ok(()) };
        known.read = look;
        match self.read_again(folder, &bytes, &held) {
            Ok(loaded) if known.has(&bytes) => {
                show(app, &loaded);
                let differs = loaded.settings != *held;
                known.said = Some(loaded.settings);
                // What is stored came from elsewhere, or never reached the file.
                if differs {
                    tracing::warn!(%app, file = %folder.settings_file.display(), "the stored settings are not those of the file, which nobody changed: the file is rewritten");
                    self.write(folder, known, &held, &bytes).await;
                }
            }
            Ok(loaded) => {
                show(app, &loaded);
                self.take(folder, known, loaded.settings, &bytes).await;
            }
            Err(error) => mistaken(app, &error),
        }
        Ok(())
    }

    async fn begin_unstored(
        &self,
        folder: &AppFolder,
        known: &mut Known,
        look: Option<Look>,
    ) -> anyhow::Result<()> {
        let app = &folder.name;
        let Some(bytes) = folder.properties()? else {
            tracing::warn!(%app, file = %folder.settings_file.display(), "no such file: the application begins with the defaults");
            let defaults = AppSettings::new(app, &*self.0.randomness);
            self.0.settings.seed(app, &defaults).await.context(NOT_STORED)?;
            return Ok(());
        };
        let says = self.first_words(folder, &bytes)?;
        self.0.settings.seed(app, &says).await.context(NOT_STORED)?;
        *known = Known::taken(&bytes, says, look);
        Ok(())
    }

    /// What is stored opens with a secret that this node does not have. It is alone, wrote the same into the file, and goes on
    /// with that.
    async fn begin_over_sealed(
        &self,
        folder: &AppFolder,
        known: &mut Known,
        look: Option<Look>,
        error: FormatError,
    ) -> anyhow::Result<()> {
        let app = &folder.name;
        let Some(bytes) = folder.properties()? else {
            let hint =
                "bring sealing.secret back into data.folder from a copy; its properties file is gone, too";
            return Err(error).context(hint);
        };
        tracing::error!(%app, %error, file = %folder.settings_file.display(), "the stored settings cannot be opened: what the file says is stored in their place. Subscribers with secrets of their own are refused until they are put again, or sealing.secret is brought back");
        let says = self.first_words(folder, &bytes)?;
        self.0.settings.put_over_unreadable(app, &says).await.context(NOT_STORED)?;
        *known = Known::taken(&bytes, says, look);
        Ok(())
    }

    /// What a file says that an application begins with. There is nothing else it could begin with, so its mistakes are told
    /// and no more; the gate lets nobody in where a secret is missing.
    fn first_words(&self, folder: &AppFolder, bytes: &[u8]) -> anyhow::Result<AppSettings> {
        let app = &folder.name;
        let loaded = AppSettings::from_properties(app, &folder.settings_file, bytes, &*self.0.randomness)?;
        show(app, &loaded);
        complain(app, folder, &loaded.settings.findings().problems);
        Ok(loaded.settings)
    }

    /// Takes files that are changed by hand, for as long as the node runs.
    pub async fn follow(self) {
        if !self.0.is_alone {
            return;
        }
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let folders = self.all();
            let files: Vec<_> = folders.iter().map(|folder| folder.settings_file.clone()).collect();
            let looks =
                in_background(move || files.iter().map(|file| Look::at(file)).collect::<Vec<_>>()).await;
            let mut taken = false;
            for (folder, look) in folders.iter().zip(looks.unwrap_or_default()) {
                // A file that is gone says nothing: what is stored stays.
                let Some(look) = look else { continue };
                let mut known = self.0.known.lock().await;
                // It was deleted meanwhile.
                if !self.0.folders.read().contains_key(&folder.name) {
                    continue;
                }
                let known = known.entry(folder.name.clone()).or_default();
                if known.read == Some(look) {
                    known.changing = None;
                } else if known.changing == Some(look) {
                    taken |= self.look_into(folder, known, look).await;
                } else {
                    known.changing = Some(look);
                }
            }
            if taken {
                self.remember().await;
            }
        }
    }

    /// Reads a file that was changed. Whether it was taken.
    async fn look_into(&self, folder: &AppFolder, known: &mut Known, look: Look) -> bool {
        let app = &folder.name;
        let reading = folder.clone();
        let bytes = match in_background(move || reading.properties()).await {
            Some(Ok(Some(bytes))) => bytes,
            Some(Err(error)) => {
                known.read = Some(look);
                mistaken(app, &error);
                return false;
            }
            _ => return false,
        };
        known.read = Some(look);
        known.changing = None;
        if known.has(&bytes) {
            return false;
        }
        // An editor that has only begun to write would switch everything off.
        if bytes.iter().all(u8::is_ascii_whitespace) {
            tracing::error!(%app, file = %folder.settings_file.display(), "the file is empty: nothing is taken from it");
            return false;
        }
        let held = match self.0.settings.get(app).await {
            Ok(Some((_, held))) => held,
            Ok(None) => return false,
            Err(error) => {
                tracing::warn!(%app, %error, "the changed file waits for the metadata store");
                known.read = None;
                return false;
            }
        };
        match self.read_again(folder, &bytes, &held) {
            Ok(loaded) => {
                show(app, &loaded);
                self.take(folder, known, loaded.settings, &bytes).await
            }
            Err(error) => {
                mistaken(app, &error);
                false
            }
        }
    }

    fn read_again(
        &self,
        folder: &AppFolder,
        bytes: &[u8],
        held: &AppSettings,
    ) -> Result<LoadedSettings, ConfigError> {
        let (file, randomness) = (&folder.settings_file, &*self.0.randomness);
        AppSettings::from_properties_again(&folder.name, file, bytes, held, randomness)
    }

    /// Stores what a file says: all of it, or, where it is known what it said before, what differs from that. Whether that was
    /// done.
    async fn take(&self, folder: &AppFolder, known: &mut Known, says: AppSettings, bytes: &[u8]) -> bool {
        let app = &folder.name;
        for _ in 0..TRIES_MAX {
            let (version, held) = match self.0.settings.get(app).await {
                Ok(Some(found)) => found,
                Ok(None) => return false,
                Err(error) => {
                    tracing::warn!(%app, %error, "the changed file waits for the metadata store");
                    known.read = None;
                    return false;
                }
            };
            // Of one whose last words nobody knows all counts.
            let wanted = held.with_changes_of(known.said.as_ref().unwrap_or(&held), &says);
            let findings = wanted.findings();
            if !findings.problems.is_empty() {
                complain(app, folder, &findings.problems);
                tracing::error!(%app, file = %folder.settings_file.display(), "the file has mistakes: nothing is taken from it");
                return false;
            }
            if wanted != *held {
                match self.0.settings.put(app, version, &wanted).await {
                    Ok(_) => {}
                    Err(PutSettingsError::Conflict { .. }) => continue,
                    Err(PutSettingsError::Meta(error)) => {
                        tracing::warn!(%app, %error, "the changed file waits for the metadata store");
                        known.read = None;
                        return false;
                    }
                }
                let keys: Vec<_> = held.differences(&wanted).into_iter().map(|it| it.key).collect();
                tracing::info!(%app, file = %folder.settings_file.display(), ?keys, "changed settings are taken from the file");
            }
            known.content = Some(hash(bytes));
            let is_all = wanted == says;
            known.said = Some(says);
            if !is_all {
                self.write(folder, known, &wanted, bytes).await;
            }
            return true;
        }
        known.read = None;
        false
    }

    /// Writes settings into a file whose content is `before`. What cannot be done is told in the log.
    async fn write(&self, folder: &AppFolder, known: &mut Known, settings: &AppSettings, before: &[u8]) {
        let app = &folder.name;
        let text = match settings.to_properties(app, before) {
            Ok(text) => text,
            Err(error) => {
                tracing::warn!(%app, file = %folder.settings_file.display(), %error, "the file is not rewritten, and no longer says what the settings are");
                return;
            }
        };
        if text.as_bytes() == before {
            return;
        }
        let (file, content) = (folder.settings_file.clone(), text.clone());
        let rights = if settings.has_secrets() { Rights::OwnUser } else { Rights::Kept };
        let written =
            in_background(move || replace(&file, content.as_bytes(), rights).map(|()| Look::at(&file)));
        match written.await {
            Some(Ok(look)) => {
                known.content = Some(hash(text.as_bytes()));
                known.said = self.read_again(folder, text.as_bytes(), settings).ok().map(|it| it.settings);
                (known.read, known.changing) = (look, None);
            }
            Some(Err(error)) => {
                tracing::warn!(%app, file = %folder.settings_file.display(), %error, "the file cannot be rewritten, and no longer says what the settings are");
            }
            None => {}
        }
    }

    async fn remember(&self) {
        let contents: BTreeMap<String, String> = {
            let known = self.0.known.lock().await;
            let contents =
                known.iter().filter_map(|(app, it)| Some((app.as_str().to_owned(), it.content.clone()?)));
            contents.collect()
        };
        let file = self.0.remembered.clone();
        let text = serde_json::to_vec(&contents).unwrap_or_default();
        if let Some(Err(error)) = in_background(move || replace(&file, &text, Rights::Kept)).await {
            tracing::warn!(file = %self.0.remembered.display(), %error, "which files of settings were taken is not remembered");
        }
    }
}

#[async_trait]
impl api::SettingsFiles for SettingsFiles {
    async fn rewrite(&self, app: &AppName, settings: Arc<AppSettings>) {
        let Some(folder) = self.0.folders.read().get(app).cloned() else { return };
        {
            let mut known = self.0.known.lock().await;
            let known = known.entry(app.clone()).or_default();
            let reading = folder.clone();
            let before = match in_background(move || reading.properties()).await {
                Some(Ok(Some(bytes))) if self.0.is_alone && !known.has(&bytes) => {
                    // Somebody has just changed it: it is taken first, and written then. Or it has mistakes, and is theirs to mend.
                    tracing::warn!(%app, "the file of the settings was changed by hand and is not taken yet: it is not rewritten");
                    return;
                }
                Some(Ok(Some(bytes))) => bytes,
                Some(Ok(None)) => format!("# Settings of the application {app}.\n").into_bytes(),
                Some(Err(error)) => return mistaken(app, &error),
                None => return,
            };
            self.write(&folder, known, &settings, &before).await;
        }
        self.remember().await;
    }
}

/// Runs what waits for the disk where nobody waits for it; `None`: the node ends.
pub async fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

fn show(app: &AppName, loaded: &LoadedSettings) {
    for notice in &loaded.notices {
        tracing::warn!(%app, "{notice}");
    }
}

fn complain(app: &AppName, folder: &AppFolder, problems: &[Finding]) {
    for Finding { field, what } in problems {
        tracing::error!(%app, file = %folder.settings_file.display(), "{field} {what}");
    }
}

fn mistaken(app: &AppName, error: &ConfigError) {
    tracing::error!(%app, %error, "nothing is taken from the file");
}
