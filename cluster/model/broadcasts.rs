//! The façade for broadcasts.

use std::sync::Arc;
use std::time::Duration;

use base::{AppName, Clock, IdError, Randomness, StreamId, limits};

use crate::broadcast::millis;
use crate::proposer::Proposer;
use crate::source_url::{is_camera_address, is_source_url};
use crate::{
    Answer, Broadcast, BroadcastPatch, Command, Consistency, Epoch, FormatError, Heartbeat, Meta, MetaError,
    Order, Outcome, PublishFacts, Query, Seals, Status, Which,
};

/// Letters and digits of a generated stream id before its time stamp (AMS).
const GENERATED_LETTERS: usize = 16;

/// Broadcasts of all applications; the passwords of their cameras, where they are pushed to, and URLs that carry a secret are
/// sealed where they are stored. Cheap to clone. Every
/// method answers within [`limits::META_ANSWER_MAX`], or what [`Broadcasts::within`] says.
#[derive(Clone)]
pub struct Broadcasts {
    proposer: Proposer,
    seals: Arc<Seals>,
    host: Arc<str>,
    epoch: Option<Epoch>,
}

/// What is known of a publisher when its stream starts.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StreamStarted {
    /// AMS's `publishType`: `RTMP`, `WebRTC`, `SRT`, `Pull`.
    pub publish_type: String,
    /// The publisher's address as REST shows it; empty: unknown.
    pub remote_ip: String,
    /// What the publisher calls itself; empty: unknown, shown as `N/A`.
    pub user_agent: String,
    /// What it calls its stream; empty: the stored name stays.
    pub name: String,
    /// What it says of its stream; empty: what is stored stays.
    pub meta_data: String,
    /// The room that it is published in, where nothing is stored of the stream yet.
    pub main_track: Option<StreamId>,
    /// The stream is live and goes on with another publisher: its start and figures stand.
    pub goes_on: bool,
}

/// Why a broadcast was not created. The texts are AMS's and go to the client as they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// The id is taken.
    #[error("Stream id is already being used. Please change stream id or keep it empty")]
    Exists,
    /// The id breaks the rule for names.
    #[error("Stream id is not valid.")]
    InvalidStreamId(#[source] IdError),
    /// The folder leads out of where recordings go.
    #[error("Subfolder is not valid. ")]
    InvalidSubFolder,
    /// An IP camera or a pulled stream without an address that could be pulled from.
    #[error("Stream url is not valid. ")]
    InvalidStreamUrl,
    /// The metadata plane did not do its part.
    #[error(transparent)]
    Meta(#[from] MetaError),
}

impl Broadcasts {
    /// `host` is this node's name or address: `originAdress`, and the host of `rtmpURL` where the server
    /// has no other name.
    pub fn new(
        meta: Arc<dyn Meta>,
        seals: Arc<Seals>,
        clock: Arc<dyn Clock>,
        randomness: Arc<dyn Randomness>,
        host: &str,
    ) -> Self {
        Self { proposer: Proposer::new(meta, clock, randomness), seals, host: host.into(), epoch: None }
    }

    /// The same with another time for each answer.
    pub fn within(&self, patience: Duration) -> Self {
        Self { proposer: self.proposer.within(patience), ..self.clone() }
    }

    /// The same for a publisher whose node has claimed the stream: [`Broadcasts::started`],
    /// [`Broadcasts::heartbeat`] and [`Broadcasts::ended`] are refused as [`crate::Refusal::Superseded`] once
    /// somebody else has it.
    pub fn under(&self, epoch: Epoch) -> Self {
        Self { epoch: Some(epoch), ..self.clone() }
    }

    /// One broadcast, as of now. For decisions.
    pub async fn get(&self, app: &AppName, stream: &StreamId) -> Result<Option<Arc<Broadcast>>, MetaError> {
        self.one(app, stream, Consistency::Linearizable).await
    }

    /// One broadcast as this node knows it. For showing, and for allowing what need not be certain.
    pub async fn get_local(
        &self,
        app: &AppName,
        stream: &StreamId,
    ) -> Result<Option<Arc<Broadcast>>, MetaError> {
        self.one(app, stream, Consistency::Local).await
    }

    /// Stores `draft` as a new broadcast and returns it as stored. As in AMS the id is trimmed and
    /// generated when blank; status, date, origin and RTMP URL are ours whatever the draft says, endpoints
    /// begin as `created`, and items without a source are left out of a playlist.
    ///
    /// `server_name` is the name clients know the server by, if it has one.
    pub async fn create(
        &self,
        app: &AppName,
        draft: Broadcast,
        server_name: Option<&str>,
    ) -> Result<Arc<Broadcast>, CreateError> {
        let stream = match draft.stream_id.as_deref().map(str::trim) {
            None | Some("") => StreamId::new(&self.generated_id()),
            Some(wanted) => StreamId::new(wanted),
        }
        .map_err(CreateError::InvalidStreamId)?;
        let draft = checked(draft)?;
        let broadcast = Broadcast {
            stream_id: Some(stream.as_str().to_owned()),
            status: Status::Created,
            date: millis(self.proposer.clock.wall()),
            origin_adress: Some(self.host.as_ref().to_owned()),
            rtmp_url: Some(self.rtmp_url(app, &stream, server_name)),
            kind: draft.kind.filter(|kind| !kind.is_empty()).or_else(|| Some("liveStream".to_owned())),
            ..draft
        };
        let mut stored = Box::new(broadcast.clone());
        self.seal(app, &stream, &mut stored).map_err(MetaError::from)?;
        let command = Command::CreateBroadcast { app: app.clone(), stream, broadcast: stored };
        match self.proposer.propose(command).await? {
            (_, Outcome::Done) => Ok(Arc::new(broadcast)),
            (_, Outcome::Exists) => Err(CreateError::Exists),
            _ => Err(MetaError::WrongAnswer.into()),
        }
    }

    /// Changes fields; `false` when there is no such broadcast.
    pub async fn patch(
        &self,
        app: &AppName,
        stream: &StreamId,
        patch: BroadcastPatch,
    ) -> Result<bool, MetaError> {
        let patch = patch.changed(|broadcast| self.seal(app, stream, broadcast))?;
        let command = Command::PatchBroadcast { app: app.clone(), stream: stream.clone(), patch };
        self.proposer.done_or_absent(command).await
    }

    /// Removes it; `false` when there was none.
    pub async fn delete(&self, app: &AppName, stream: &StreamId) -> Result<bool, MetaError> {
        let command = Command::DeleteBroadcast { app: app.clone(), stream: stream.clone() };
        self.proposer.done_or_absent(command).await
    }

    /// A page in byte order of the ids, at most [`limits::BROADCASTS_PER_LIST_MAX`] of them.
    pub async fn list(
        &self,
        app: &AppName,
        which: Which,
        offset: usize,
        size: usize,
    ) -> Result<Vec<Arc<Broadcast>>, MetaError> {
        let size = size.min(limits::BROADCASTS_PER_LIST_MAX);
        let query = Query::Broadcasts { app: app.clone(), which, offset, size };
        match self.proposer.read(query, Consistency::Local).await? {
            (_, Answer::Broadcasts(page)) => Ok(self.all_opened(app, page)),
            _ => Err(MetaError::WrongAnswer),
        }
    }

    /// A page of those in `order`, at most [`limits::BROADCASTS_PER_LIST_MAX`] of them.
    pub async fn list_sorted(
        &self,
        app: &AppName,
        which: Which,
        order: Order,
        offset: usize,
        size: usize,
    ) -> Result<Vec<Arc<Broadcast>>, MetaError> {
        let mut rows = self.every(app, which).await?;
        order.sort(&mut rows, self.proposer.clock.wall());
        let size = size.min(limits::BROADCASTS_PER_LIST_MAX);
        Ok(self.all_opened(app, rows.into_iter().skip(offset).take(size)))
    }

    /// The ids of a room's tracks.
    pub async fn subtracks(&self, app: &AppName, room: &StreamId) -> Result<Vec<StreamId>, MetaError> {
        let rows = self.every(app, Which::SubtracksOf(room.clone())).await?;
        Ok(rows.iter().filter_map(|row| StreamId::new(row.stream_id.as_deref()?).ok()).collect())
    }

    /// Those with a publisher, as stored, with what is secret of them sealed: for sums over all of them.
    pub async fn live(&self, app: &AppName) -> Result<Vec<Arc<Broadcast>>, MetaError> {
        self.every(app, Which::Live).await
    }

    /// All of them as they are stored: as many as an application may have, shared and not copied.
    async fn every(&self, app: &AppName, which: Which) -> Result<Vec<Arc<Broadcast>>, MetaError> {
        let query = Query::Broadcasts { app: app.clone(), which, offset: 0, size: usize::MAX };
        match self.proposer.read(query, Consistency::Local).await? {
            (_, Answer::Broadcasts(rows)) => Ok(rows),
            _ => Err(MetaError::WrongAnswer),
        }
    }

    /// How many there are.
    pub async fn count(&self, app: &AppName, which: Which) -> Result<u64, MetaError> {
        let query = Query::BroadcastCount { app: app.clone(), which };
        match self.proposer.read(query, Consistency::Local).await? {
            (_, Answer::Count(count)) => Ok(count),
            _ => Err(MetaError::WrongAnswer),
        }
    }

    /// A publisher is in: the broadcast is `broadcasting` from now on. An unregistered id gets one with
    /// `zombi: true`.
    pub async fn started(
        &self,
        app: &AppName,
        stream: &StreamId,
        started: StreamStarted,
    ) -> Result<(), MetaError> {
        let known = |text: String| Some(text).filter(|text| !text.is_empty());
        let facts = PublishFacts {
            publish_type: started.publish_type,
            remote_ip: known(started.remote_ip),
            user_agent: known(started.user_agent),
            origin: self.host.as_ref().to_owned(),
            rtmp_url: self.rtmp_url(app, stream, None),
            name: known(started.name),
            meta_data: known(started.meta_data),
            main_track: started.main_track,
            goes_on: started.goes_on,
        };
        let command = Command::StreamStarted {
            app: app.clone(),
            stream: stream.clone(),
            facts: Box::new(facts),
            epoch: self.epoch,
        };
        match self.proposer.propose(command).await? {
            (_, Outcome::Started { .. }) => Ok(()),
            _ => Err(MetaError::WrongAnswer),
        }
    }

    /// The stream is over: a zombi goes, another broadcast is `finished`. Nothing to do when it was
    /// deleted meanwhile.
    pub async fn ended(&self, app: &AppName, stream: &StreamId) -> Result<(), MetaError> {
        let command = Command::StreamEnded { app: app.clone(), stream: stream.clone(), epoch: self.epoch };
        match self.proposer.propose(command).await? {
            (_, Outcome::Ended { .. } | Outcome::Absent) => Ok(()),
            _ => Err(MetaError::WrongAnswer),
        }
    }

    /// A live stream reports; `false` when it is no longer live or was deleted. AMS's period is 10 s, and
    /// beyond [`crate::STREAM_TIMEOUT`] of silence readers are shown `terminated_unexpectedly`.
    pub async fn heartbeat(
        &self,
        app: &AppName,
        stream: &StreamId,
        heartbeat: Heartbeat,
    ) -> Result<bool, MetaError> {
        let command = Command::StreamHeartbeat {
            app: app.clone(),
            stream: stream.clone(),
            heartbeat,
            epoch: self.epoch,
        };
        self.proposer.done_or_absent(command).await
    }

    /// To be called once at the start of a node, before anybody may publish: zombis go, live broadcasts
    /// are `finished`, viewer counts 0.
    pub async fn reset_after_restart(&self) -> Result<(), MetaError> {
        self.proposer.sweep(Command::ResetAfterRestart).await
    }

    async fn one(
        &self,
        app: &AppName,
        stream: &StreamId,
        consistency: Consistency,
    ) -> Result<Option<Arc<Broadcast>>, MetaError> {
        let query = Query::Broadcast { app: app.clone(), stream: stream.clone() };
        match self.proposer.read(query, consistency).await? {
            (_, Answer::Broadcast(broadcast)) => Ok(broadcast.map(|broadcast| self.opened(app, broadcast))),
            _ => Err(MetaError::WrongAnswer),
        }
    }

    fn seal(&self, app: &AppName, stream: &StreamId, broadcast: &mut Broadcast) -> Result<(), FormatError> {
        let owner = owner(app, stream.as_str());
        for text in broadcast
            .secrets_mut()
            .filter_map(|(kind, text)| text.as_mut().filter(|text| kind.is_secret(text)))
        {
            *text = self.seals.seal(&owner, text.as_bytes(), &*self.proposer.randomness)?;
        }
        Ok(())
    }

    /// The same with its secrets in clear; without those that do not open, for nothing is decided by them, and a stream is
    /// not to be refused over them.
    fn opened(&self, app: &AppName, mut stored: Arc<Broadcast>) -> Arc<Broadcast> {
        if !stored.is_sealed() {
            return stored;
        }
        let stream = stored.stream_id.clone().unwrap_or_default();
        let owner = owner(app, &stream);
        for (_, text) in Arc::make_mut(&mut stored).secrets_mut() {
            let Some(sealed) = text.as_deref() else { continue };
            match self.seals.open_text(&owner, sealed) {
                Ok(None) => {}
                Ok(Some(opened)) => *text = Some(opened),
                Err(error) => {
                    tracing::debug!(%app, stream, %error, "a secret of a stream cannot be read until it is put again");
                    *text = None;
                }
            }
        }
        stored
    }

    fn all_opened(
        &self,
        app: &AppName,
        stored: impl IntoIterator<Item = Arc<Broadcast>>,
    ) -> Vec<Arc<Broadcast>> {
        stored.into_iter().map(|broadcast| self.opened(app, broadcast)).collect()
    }

    fn rtmp_url(&self, app: &AppName, stream: &StreamId, server_name: Option<&str>) -> String {
        let host = server_name.filter(|name| !name.is_empty()).unwrap_or(&self.host);
        format!("rtmp://{host}/{app}/{stream}")
    }

    /// AMS: 16 letters and digits, then the digits of a clock.
    fn generated_id(&self) -> String {
        let letters = self.proposer.randomness.alphanumeric(GENERATED_LETTERS);
        format!("{letters}{}", self.proposer.clock.wall().as_millis())
    }
}

/// To whom what is sealed of a stream belongs.
fn owner(app: &AppName, stream: &str) -> String {
    format!("broadcast {app}/{stream}")
}

/// Puts a draft right where AMS does, and refuses what it refuses.
fn checked(mut draft: Broadcast) -> Result<Broadcast, CreateError> {
    let lacks = |address: &Option<String>, good: fn(&str) -> bool| !address.as_deref().is_some_and(good);
    let bad_url = match draft.kind.as_deref() {
        Some("ipCamera") => lacks(&draft.ip_addr, is_camera_address),
        Some("streamSource") => lacks(&draft.stream_url, is_source_url),
        _ => false,
    };
    if bad_url {
        return Err(CreateError::InvalidStreamUrl);
    }
    if draft.sub_folder.as_deref().is_some_and(|folder| folder.contains("..")) {
        return Err(CreateError::InvalidSubFolder);
    }
    for endpoint in draft.end_point_list.iter_mut().flatten() {
        endpoint.status.get_or_insert_with(|| Status::Created.as_str().to_owned());
    }
    if let Some(items) = &mut draft.play_list_item_list {
        items.retain(|item| item.stream_url.as_ref().is_some_and(|url| !url.is_empty()));
    }
    Ok(draft)
}

#[cfg(test)]
mod tests;
