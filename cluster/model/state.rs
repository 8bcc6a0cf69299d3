//! The state of the metadata plane and how a command changes it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use base::{AppName, StreamId, WallTime, limits};

use crate::broadcast::millis;
use crate::{
    Broadcast, BroadcastPatch, Change, Command, Filter, Heartbeat, Outcome, PublishFacts, Refusal, RequestId,
    Revision, SettingsDocument, SettingsRecord, Stamped, Status,
};

/// Everything the metadata plane knows. Ordered by application first.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct State {
    revision: Revision,
    now: WallTime,
    broadcasts: BTreeMap<AppName, BTreeMap<StreamId, Arc<Broadcast>>>,
    settings: BTreeMap<AppName, Arc<SettingsRecord>>,
    remembered: BTreeMap<RequestId, (Revision, Outcome)>,
    remembered_order: VecDeque<RequestId>,
}

/// What came of a command: its revision, its outcome and what it changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The revision it was applied at; for a retry, the one of the first time.
    pub revision: Revision,
    /// What it came to.
    pub outcome: Outcome,
    /// What it changed, as absolute values; nothing for a retry.
    pub changes: Vec<Change>,
    /// Whether this was a retry of something already applied.
    pub repeated: bool,
}

/// Applies `stamped` to `state`. Deterministic: the same state and command give the same result on
/// every node. A request id that is still remembered changes nothing and is answered as before.
pub fn apply(state: &mut State, stamped: Stamped) -> Applied {
    let Stamped { request, at, command } = stamped;
    if let Some(&(revision, outcome)) = state.remembered.get(&request) {
        return Applied { revision, outcome, changes: Vec::new(), repeated: true };
    }
    // Time never goes back: a new leader's clock may be behind the old one's.
    state.now = state.now.max(at);
    state.revision = state.revision.next();
    let mut changes = Vec::new();
    let outcome = state.run(command, &mut changes);
    state.remember(request, state.revision, outcome);
    Applied { revision: state.revision, outcome, changes, repeated: false }
}

impl State {
    /// The number of commands applied so far.
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// Everything, for a member that lags too far.
    pub fn snapshot(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a snapshot.
    pub fn restore(bytes: &[u8]) -> Result<Self, crate::FormatError> {
        serde_json::from_slice(bytes).map_err(|error| crate::FormatError::Malformed(error.to_string()))
    }

    /// Equal states have equal hashes.
    pub fn hash(&self) -> u64 {
        self.snapshot().iter().fold(0u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
    }

    /// The greatest time a command carried.
    pub const fn now(&self) -> WallTime {
        self.now
    }

    /// One broadcast.
    pub fn broadcast(&self, app: &AppName, stream: &StreamId) -> Option<&Arc<Broadcast>> {
        self.broadcasts.get(app)?.get(stream)
    }

    /// The broadcasts of an application in byte order of their ids, which is AMS's order.
    pub fn broadcasts(&self, app: &AppName) -> impl Iterator<Item = &Arc<Broadcast>> {
        self.broadcasts.get(app).into_iter().flat_map(BTreeMap::values)
    }

    /// The number of broadcasts of an application.
    pub fn broadcasts_len(&self, app: &AppName) -> usize {
        self.broadcasts.get(app).map_or(0, BTreeMap::len)
    }

    /// The settings of an application.
    pub fn settings(&self, app: &AppName) -> Option<&Arc<SettingsRecord>> {
        self.settings.get(app)
    }

    /// Everything `filter` wants, in the form of changes.
    pub fn list(&self, filter: &Filter) -> Vec<Change> {
        let broadcast = |app: &AppName, stream: &StreamId, now: &Arc<Broadcast>| Change::Broadcast {
            app: app.clone(),
            stream: stream.clone(),
            now: Some(Arc::clone(now)),
        };
        match filter {
            Filter::Settings => self
                .settings
                .iter()
                .map(|(app, now)| Change::Settings { app: app.clone(), now: Some(Arc::clone(now)) })
                .collect(),
            Filter::Broadcasts(app) => self
                .broadcasts
                .get(app)
                .into_iter()
                .flatten()
                .map(|(stream, now)| broadcast(app, stream, now))
                .collect(),
            Filter::Broadcast(app, stream) => {
                self.broadcast(app, stream).map(|now| broadcast(app, stream, now)).into_iter().collect()
            }
        }
    }

    /// A replica for reading: the same rows, which are shared, and no remembered requests.
    pub fn replica(&self) -> Self {
        Self {
            revision: self.revision,
            now: self.now,
            broadcasts: self.broadcasts.clone(),
            settings: self.settings.clone(),
            ..Self::default()
        }
    }

    /// Takes over what a command changed elsewhere: a replica for reading, or rows read from disk.
    pub fn absorb(&mut self, revision: Revision, now: WallTime, changes: &[Change]) {
        self.revision = self.revision.max(revision);
        self.now = self.now.max(now);
        for change in changes {
            match change.clone() {
                Change::Broadcast { app, stream, now } => self.set_broadcast(app, stream, now),
                Change::Settings { app, now: Some(now) } => {
                    self.settings.insert(app, now);
                }
                Change::Settings { app, now: None } => {
                    self.settings.remove(&app);
                }
            }
        }
    }

    /// Takes over a remembered request. To be called in the order of the revisions.
    pub fn remember(&mut self, request: RequestId, revision: Revision, outcome: Outcome) {
        if self.remembered.insert(request, (revision, outcome)).is_none() {
            self.remembered_order.push_back(request);
        }
        while self.remembered_order.len() > limits::META_REQUESTS_REMEMBERED_MAX {
            if let Some(oldest) = self.remembered_order.pop_front() {
                self.remembered.remove(&oldest);
            }
        }
    }

    fn run(&mut self, command: Command, changes: &mut Vec<Change>) -> Outcome {
        match command {
            Command::CreateBroadcast { app, stream, broadcast } => {
                self.create(app, stream, *broadcast, changes)
            }
            Command::PatchBroadcast { app, stream, patch } => self.patch(app, stream, &patch, changes),
            Command::DeleteBroadcast { app, stream } => {
                if self.broadcast(&app, &stream).is_none() {
                    return Outcome::Absent;
                }
                self.change_broadcast(app, stream, None, changes);
                Outcome::Done
            }
            Command::StreamStarted { app, stream, facts } => self.started(app, stream, *facts, changes),
            Command::StreamEnded { app, stream } => self.ended(app, stream, changes),
            Command::StreamHeartbeat { app, stream, heartbeat } => {
                self.heartbeat(app, stream, &heartbeat, changes)
            }
            Command::ResetAfterRestart => self.reset(changes),
            Command::PutSettings { app, expected, document } => {
                self.put_settings(app, expected, document, changes)
            }
        }
    }

    fn create(
        &mut self,
        app: AppName,
        stream: StreamId,
        broadcast: Broadcast,
        changes: &mut Vec<Change>,
    ) -> Outcome {
        if self.broadcast(&app, &stream).is_some() {
            return Outcome::Exists;
        }
        if let Err(refusal) = self.room_for_one_more(&app) {
            return Outcome::Refused(refusal);
        }
        let broadcast = Broadcast { stream_id: Some(stream.as_str().to_owned()), ..broadcast };
        self.change_if_small(app, stream, broadcast, changes, Outcome::Done)
    }

    fn patch(
        &mut self,
        app: AppName,
        stream: StreamId,
        patch: &BroadcastPatch,
        changes: &mut Vec<Change>,
    ) -> Outcome {
        let Some(before) = self.broadcast(&app, &stream) else {
            return Outcome::Absent;
        };
        match patch.applied_to(before) {
            Ok(after) => self.change_if_small(app, stream, after, changes, Outcome::Done),
            Err(_) => Outcome::Refused(Refusal::Malformed),
        }
    }

    fn started(
        &mut self,
        app: AppName,
        stream: StreamId,
        facts: PublishFacts,
        changes: &mut Vec<Change>,
    ) -> Outcome {
        let now_ms = millis(self.now);
        let known = self.broadcast(&app, &stream).map(|broadcast| Broadcast::clone(broadcast));
        let created = known.is_none();
        if created && let Err(refusal) = self.room_for_one_more(&app) {
            return Outcome::Refused(refusal);
        }
        let before = known.unwrap_or_else(|| Broadcast {
            stream_id: Some(stream.as_str().to_owned()),
            kind: Some("liveStream".to_owned()),
            zombi: true,
            date: now_ms,
            rtmp_url: Some(facts.rtmp_url),
            ..Broadcast::default()
        });
        let goes_on = facts.goes_on && before.status == Status::Broadcasting;
        let before = Broadcast {
            status: Status::Broadcasting,
            publish_type: Some(facts.publish_type),
            origin_adress: Some(facts.origin),
            remote_ip: facts.remote_ip,
            user_agent: facts.user_agent.or_else(|| Broadcast::default().user_agent),
            name: facts.name.or_else(|| before.name.clone()),
            meta_data: facts.meta_data.or_else(|| before.meta_data.clone()),
            update_time: now_ms,
            ..before
        };
        let after = if goes_on {
            before
        } else {
            Broadcast {
                start_time: now_ms,
                width: 0,
                height: 0,
                duration: 0,
                received_bytes: 0,
                bitrate: 0,
                speed: crate::Ratio::default(),
                hls_viewer_count: 0,
                dash_viewer_count: 0,
                web_rtc_viewer_count: 0,
                rtmp_viewer_count: 0,
                ..before
            }
        };
        self.change_if_small(app, stream, after, changes, Outcome::Started { created })
    }

    fn ended(&mut self, app: AppName, stream: StreamId, changes: &mut Vec<Change>) -> Outcome {
        let Some(before) = self.broadcast(&app, &stream) else {
            return Outcome::Absent;
        };
        let removed = before.zombi;
        let after = (!removed).then(|| over(before, millis(self.now)));
        self.change_broadcast(app, stream, after, changes);
        Outcome::Ended { removed }
    }

    fn heartbeat(
        &mut self,
        app: AppName,
        stream: StreamId,
        heartbeat: &Heartbeat,
        changes: &mut Vec<Change>,
    ) -> Outcome {
        let before = self.broadcast(&app, &stream);
        let Some(after) = before.and_then(|before| before.reported(heartbeat, self.now)) else {
            return Outcome::Absent;
        };
        self.change_broadcast(app, stream, Some(after), changes);
        Outcome::Done
    }

    fn reset(&mut self, changes: &mut Vec<Change>) -> Outcome {
        let now_ms = millis(self.now);
        let mut left = self.broadcasts.iter().flat_map(|(app, streams)| {
            streams.iter().filter(|(_, broadcast)| needs_reset(broadcast)).map(move |(stream, broadcast)| {
                let after = (!broadcast.zombi).then(|| over(broadcast, now_ms));
                (app.clone(), stream.clone(), after)
            })
        });
        let rows: Vec<_> = left.by_ref().take(limits::META_SWEEP_ROWS_MAX).collect();
        let more = left.next().is_some();
        for (app, stream, after) in rows {
            self.change_broadcast(app, stream, after, changes);
        }
        Outcome::Swept { more }
    }

    fn put_settings(
        &mut self,
        app: AppName,
        expected: u64,
        document: SettingsDocument,
        changes: &mut Vec<Change>,
    ) -> Outcome {
        let version = self.settings.get(&app).map_or(0, |record| record.version);
        if version != expected {
            return Outcome::Conflict { version };
        }
        if version == 0 && self.settings.len() >= limits::APPLICATIONS_MAX {
            return Outcome::Refused(Refusal::TooManyApplications);
        }
        if json_len(&document).is_none_or(|len| len > limits::SETTINGS_BYTES_MAX) {
            return Outcome::Refused(Refusal::TooLarge);
        }
        let version = version.saturating_add(1);
        let record = Arc::new(SettingsRecord { version, document });
        self.settings.insert(app.clone(), Arc::clone(&record));
        changes.push(Change::Settings { app, now: Some(record) });
        Outcome::Stored { version }
    }

    fn room_for_one_more(&self, app: &AppName) -> Result<(), Refusal> {
        if self.broadcasts_len(app) >= limits::BROADCASTS_PER_APPLICATION_MAX {
            return Err(Refusal::TooManyBroadcasts);
        }
        if !self.broadcasts.contains_key(app) && self.broadcasts.len() >= limits::APPLICATIONS_MAX {
            return Err(Refusal::TooManyApplications);
        }
        Ok(())
    }

    fn change_if_small(
        &mut self,
        app: AppName,
        stream: StreamId,
        after: Broadcast,
        changes: &mut Vec<Change>,
        outcome: Outcome,
    ) -> Outcome {
        if json_len(&after).is_none_or(|len| len > limits::BROADCAST_BYTES_MAX) {
            return Outcome::Refused(Refusal::TooLarge);
        }
        self.change_broadcast(app, stream, Some(after), changes);
        outcome
    }

    fn change_broadcast(
        &mut self,
        app: AppName,
        stream: StreamId,
        after: Option<Broadcast>,
        changes: &mut Vec<Change>,
    ) {
        let now = after.map(Arc::new);
        self.set_broadcast(app.clone(), stream.clone(), now.clone());
        changes.push(Change::Broadcast { app, stream, now });
    }

    fn set_broadcast(&mut self, app: AppName, stream: StreamId, now: Option<Arc<Broadcast>>) {
        match now {
            Some(broadcast) => {
                self.broadcasts.entry(app).or_default().insert(stream, broadcast);
            }
            None => {
                // An application without broadcasts leaves no empty map: equal states compare equal.
                if let Some(streams) = self.broadcasts.get_mut(&app) {
                    streams.remove(&stream);
                    if streams.is_empty() {
                        self.broadcasts.remove(&app);
                    }
                }
            }
        }
    }
}

/// A broadcast whose publisher is gone. Figures of the ingest stay, viewers do not (AMS, observed).
fn over(before: &Broadcast, now_ms: i64) -> Broadcast {
    let was_live = before.status.is_live();
    Broadcast {
        status: if was_live { Status::Finished } else { before.status.clone() },
        update_time: if was_live { now_ms } else { before.update_time },
        hls_viewer_count: 0,
        dash_viewer_count: 0,
        web_rtc_viewer_count: 0,
        rtmp_viewer_count: 0,
        ..before.clone()
    }
}

fn needs_reset(broadcast: &Broadcast) -> bool {
    let counts = [
        broadcast.hls_viewer_count,
        broadcast.dash_viewer_count,
        broadcast.web_rtc_viewer_count,
        broadcast.rtmp_viewer_count,
    ];
    broadcast.zombi || broadcast.status.is_live() || counts.into_iter().any(|count| count != 0)
}

fn json_len(value: &impl serde::Serialize) -> Option<usize> {
    serde_json::to_vec(value).ok().map(|bytes| bytes.len())
}

#[cfg(test)]
mod tests;
