//! Makes and deletes applications while the node runs, and follows what other nodes made and deleted.
//!
//! What is stored is the truth: an application has settings, or a tombstone where it was deleted. Whoever makes or deletes one
//! stores that, and every node of the cluster sees to it that it serves what has settings and nothing else. A node that is alone
//! follows nothing: there the folders of `data.webapps` are what people make of them.
//!
//! One task does all of it, one thing after the other. It runs on the Arbiter of the actors that it starts.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use api::{ApplicationFault, ApplicationKeeper, CorsFilters, StoredData};
use async_trait::async_trait;
use base::{AppName, AppNames, Clock, ExitReason, Randomness, limits};
use cluster_model::{NotApplied, PutSettingsError, Settings, StoredSettings};
use config::{AppFolder, AppSettings, Found};
use security::Gate;
use streams::Applications;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use crate::application_data::Data;
use crate::settings_files::{SettingsFiles, in_background};

/// Everything on this node that knows applications.
pub struct Rooms {
    /// `data.webapps`.
    pub webapps: PathBuf,
    /// Whether other nodes have a say.
    pub is_alone: bool,
    /// The applications that are served.
    pub names: AppNames,
    /// What is stored of them.
    pub settings: Settings,
    /// Their files of settings.
    pub files: SettingsFiles,
    /// Who lets in.
    pub gate: Arc<Gate>,
    /// Their actors.
    pub actors: Applications,
    /// What pages of other origins may do with them.
    pub cors: Arc<CorsFilters>,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
    /// Draws the secrets of new ones.
    pub randomness: Arc<dyn Randomness>,
}

enum Wanted {
    Create,
    Delete,
}

struct Request {
    app: AppName,
    wanted: Wanted,
    done: oneshot::Sender<Result<(), ApplicationFault>>,
}

/// Who asks for applications to be made and deleted.
pub struct Keeper {
    requests: mpsc::Sender<Request>,
    data: Data,
}

impl Keeper {
    /// Begins to keep the applications of a node. To be called on the Arbiter of their actors.
    pub fn start(rooms: Rooms, data: Data) -> Self {
        let (requests, asked) = mpsc::channel(limits::APPLICATION_REQUESTS_MAX);
        let keeping = Keeping { rooms, left: BTreeSet::new(), told: BTreeSet::new() };
        actix_rt::spawn(keeping.run(asked));
        Self { requests, data }
    }

    async fn ask(&self, app: &AppName, wanted: Wanted) -> Result<(), ApplicationFault> {
        let (done, answer) = oneshot::channel();
        let busy = || ApplicationFault::Meta(NotApplied::Busy.into());
        self.requests.try_send(Request { app: app.clone(), wanted, done }).map_err(|_| busy())?;
        // Nobody answers when the node ends.
        answer.await.map_err(|_| busy())?
    }
}

#[async_trait]
impl ApplicationKeeper for Keeper {
    async fn create(&self, app: &AppName) -> Result<(), ApplicationFault> {
        self.ask(app, Wanted::Create).await
    }

    async fn delete(&self, app: &AppName, data: StoredData) -> Result<(), ApplicationFault> {
        let deleted = self.ask(app, Wanted::Delete).await;
        if data == StoredData::Kept
            || matches!(deleted, Err(ApplicationFault::Absent | ApplicationFault::Meta(_)))
        {
            return deleted;
        }
        // Goes on when whoever asked does not wait for it.
        let (rows, app) = (self.data.clone(), app.clone());
        let emptied = actix_rt::spawn(async move { rows.delete(&app).await }).await;
        emptied.map_err(|_| ApplicationFault::Refused("The node is being stopped".to_owned()))??;
        deleted
    }
}

struct Keeping {
    rooms: Rooms,
    /// Deleted ones whose folders could not be moved yet.
    left: BTreeSet<AppName>,
    /// Those that cannot be served here, which the log has been told.
    told: BTreeSet<AppName>,
}

impl Keeping {
    async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut changes = self.rooms.settings.changes();
        loop {
            let is_behind = !self.catch_up().await;
            tokio::select! {
                request = requests.recv() => {
                    let Some(Request { app, wanted, done }) = request else { return };
                    let answer = match wanted {
                        Wanted::Create => self.create(&app).await,
                        Wanted::Delete => self.delete(&app).await,
                    };
                    // Whoever asked may be gone.
                    let _ = done.send(answer);
                }
                changed = changes.changed() => if changed.is_err() { return },
                () = sleep(limits::APPLICATION_TRIED_AGAIN), if is_behind => {}
            }
        }
    }

    /// Does what is stored of applications, where others store it. Whether all is done.
    async fn catch_up(&mut self) -> bool {
        let mut all = true;
        if !self.rooms.is_alone {
            for (app, deleted) in self.rooms.settings.heard_of() {
                match (deleted, self.rooms.names.contains(app.as_str())) {
                    (None, false) => all &= self.appear(&app).await,
                    (Some(_), true) => {
                        tracing::warn!(%app, "the application was deleted on another node");
                        self.close(&app).await;
                        let _ = self.set_aside(&app).await;
                    }
                    _ => {}
                }
            }
        }
        for app in self.left.clone() {
            let _ = self.set_aside(&app).await;
        }
        all && self.left.is_empty()
    }

    /// Serves an application that has settings and is not served here. Whether that was done.
    async fn appear(&mut self, app: &AppName) -> bool {
        let Some(settings) = self.rooms.settings.snapshot(app) else { return true };
        match self.try_to_appear(app, settings).await {
            Ok(()) => {
                self.told.remove(app);
                tracing::info!(%app, "an application that another node made is served here, too");
                true
            }
            Err(why) => {
                if self.told.insert(app.clone()) {
                    tracing::error!(%app, %why, "an application of the cluster is not served here; it is tried again");
                }
                false
            }
        }
    }

    async fn try_to_appear(&mut self, app: &AppName, settings: Arc<AppSettings>) -> Result<(), String> {
        // One that was deleted before and whose folder is here still is not this one.
        if self.left.contains(app) {
            self.set_aside(app).await?;
        }
        let folder = self.folder(app);
        match self.look_or_make(&folder).await? {
            Found::Other => return Err(in_the_way(&folder)),
            Found::Application => {
                self.rooms.files.take_in(&folder).await.map_err(|error| format!("{error:#}"))?
            }
            Found::Nothing => self.rooms.files.take_new(&folder, settings).await,
        }
        self.open(app).await;
        Ok(())
    }

    async fn create(&mut self, app: &AppName) -> Result<(), ApplicationFault> {
        if self.rooms.names.contains(app.as_str()) {
            return Err(ApplicationFault::Exists);
        }
        self.may_be_made(app)?;
        let stored = self.rooms.settings.stored(app).await?;
        if !self.rooms.is_alone && matches!(stored, StoredSettings::Settings { .. }) {
            // Another node was first.
            return Err(ApplicationFault::Exists);
        }
        if self.left.contains(app) {
            self.set_aside(app).await.map_err(ApplicationFault::Refused)?;
        }
        let folder = self.folder(app);
        match self.look_or_make(&folder).await.map_err(ApplicationFault::Refused)? {
            Found::Other => return Err(ApplicationFault::Refused(in_the_way(&folder))),
            // Somebody made it by hand, and could have started the node again instead.
            Found::Application => {
                let taken = self.rooms.files.take_in(&folder).await;
                taken.map_err(|error| ApplicationFault::Refused(format!("{error:#}")))?;
            }
            Found::Nothing => {
                let settings = AppSettings::of_made(app, &*self.rooms.randomness);
                if let Err(error) = self.rooms.settings.put(app, stored.version(), &settings).await {
                    in_background(move || folder.take_back()).await;
                    return Err(match error {
                        PutSettingsError::Conflict { .. } => ApplicationFault::Exists,
                        PutSettingsError::Meta(error) => error.into(),
                    });
                }
                self.rooms.files.take_new(&folder, Arc::new(settings)).await;
            }
        }
        self.open(app).await;
        tracing::info!(%app, "an application was made");
        Ok(())
    }

    fn may_be_made(&self, app: &AppName) -> Result<(), ApplicationFault> {
        let refused = |why: String| Err(ApplicationFault::Refused(why));
        if app.as_str().len() > limits::APPLICATION_NAME_BYTES_MAX {
            let max = limits::APPLICATION_NAME_BYTES_MAX;
            return refused(format!("An application's name has at most {max} characters"));
        }
        if !config::may_be_made(&self.rooms.webapps, app) {
            return refused(
                "This name is one of the node's own addresses. Please choose another one".to_owned(),
            );
        }
        if self.rooms.names.count() >= limits::APPLICATIONS_MADE_MAX {
            return refused(format!("There are {} applications already", limits::APPLICATIONS_MADE_MAX));
        }
        Ok(())
    }

    async fn delete(&mut self, app: &AppName) -> Result<(), ApplicationFault> {
        let was_stored = self.rooms.settings.delete(app).await?;
        if !self.rooms.names.contains(app.as_str()) {
            // It may be one that could not be served here.
            return if was_stored { Ok(()) } else { Err(ApplicationFault::Absent) };
        }
        self.close(app).await;
        tracing::warn!(%app, "the application was deleted");
        self.set_aside(app).await.map_err(|why| {
            ApplicationFault::Refused(format!(
                "The application is deleted, but its folder is still there: {why}"
            ))
        })
    }

    /// Has everybody know an application; who is let in comes last.
    async fn open(&self, app: &AppName) {
        self.rooms.actors.open(app);
        self.rooms.gate.open(app);
        self.rooms.names.insert(app);
        self.look_at_cors().await;
    }

    /// The other way round.
    async fn close(&mut self, app: &AppName) {
        self.told.remove(app);
        self.rooms.names.remove(app);
        let ends = self.rooms.actors.close(app, ExitReason::Kicked);
        if timeout(limits::APPLICATION_ENDS_WAIT_MAX, ends).await.is_err() {
            tracing::warn!(%app, "some streams of the deleted application did not end in time");
        }
        self.rooms.gate.close(app, ExitReason::Kicked);
        self.rooms.files.forget(app).await;
        self.look_at_cors().await;
    }

    async fn look_at_cors(&self) {
        let cors = Arc::clone(&self.rooms.cors);
        in_background(move || cors.look()).await;
    }

    fn folder(&self, app: &AppName) -> AppFolder {
        AppFolder::of(&self.rooms.webapps, app.clone())
    }

    /// What was there before, which is made if it was nothing.
    async fn look_or_make(&self, folder: &AppFolder) -> Result<Found, String> {
        let place = folder.clone();
        let looked = in_background(move || {
            let found = place.look()?;
            if found == Found::Nothing {
                place.make()?;
            }
            Ok(found)
        });
        let failed =
            |error: std::io::Error| format!("the folder {} cannot be made: {error}", folder.folder.display());
        looked
            .await
            .unwrap_or_else(|| Err(std::io::Error::other("the node is being stopped")))
            .map_err(failed)
    }

    /// Moves the folder of a deleted application out of the way, now or later.
    async fn set_aside(&mut self, app: &AppName) -> Result<(), String> {
        let (folder, now) = (self.folder(app), self.rooms.clock.wall());
        let place = folder.clone();
        let moved = in_background(move || place.set_aside(now)).await;
        match moved.unwrap_or_else(|| Err(std::io::Error::other("the node is being stopped"))) {
            Ok(aside) => {
                self.left.remove(app);
                if let Some(aside) = aside {
                    tracing::info!(%app, folder = %aside.display(), "the folder of the deleted application is here now");
                }
                Ok(())
            }
            Err(error) => {
                let why = format!("{} cannot be moved: {error}", folder.folder.display());
                if self.left.insert(app.clone()) {
                    tracing::error!(%app, %why, "the folder of a deleted application stays where it is; it is tried again");
                }
                Err(why)
            }
        }
    }
}

fn in_the_way(folder: &AppFolder) -> String {
    format!(
        "There is something else at {}: an application's folder has a WEB-INF. Move it out of the way",
        folder.folder.display()
    )
}
