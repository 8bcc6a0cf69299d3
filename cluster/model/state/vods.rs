//! Records of recordings.

use std::sync::Arc;

use base::{AppName, limits};

use super::{Changes, State, json_len};
use crate::{Change, Outcome, Refusal, Vod, VodId};

impl State {
    /// One record.
    pub fn vod(&self, app: &AppName, vod: &VodId) -> Option<&Arc<Vod>> {
        self.vods.get(app, vod)
    }

    /// The records of an application in byte order of their ids.
    pub fn vods(&self, app: &AppName) -> impl Iterator<Item = (&VodId, &Arc<Vod>)> {
        self.vods.of(app)
    }

    pub(super) fn put_vod(&mut self, app: AppName, vod: VodId, record: Vod, changes: Changes<'_>) -> Outcome {
        let record = Vod { vod_id: Some(vod.as_str().to_owned()), ..record };
        let max = limits::VODS_PER_APPLICATION_MAX;
        if self.vod(&app, &vod).is_none()
            && let Err(full) = self.vods.room(&app, max, Refusal::TooManyVods)
        {
            return Outcome::Refused(full);
        }
        if json_len(&record).is_none_or(|len| len > limits::VOD_BYTES_MAX) {
            return Outcome::Refused(Refusal::TooLarge);
        }
        self.change(Change::Vod { app, vod, now: Some(Arc::new(record)) }, changes);
        Outcome::Done
    }

    pub(super) fn delete_vod(&mut self, app: AppName, vod: VodId, changes: Changes<'_>) -> Outcome {
        if self.vod(&app, &vod).is_none() {
            return Outcome::Absent;
        }
        self.change(Change::Vod { app, vod, now: None }, changes);
        Outcome::Done
    }
}
