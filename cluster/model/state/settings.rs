//! Settings of applications.

use std::sync::Arc;

use base::{AppName, limits};

use super::{Changes, State, json_len};
use crate::{Change, Outcome, Refusal, SettingsDocument, SettingsRecord};

impl State {
    /// The settings of an application.
    pub fn settings(&self, app: &AppName) -> Option<&Arc<SettingsRecord>> {
        self.settings.get(app)
    }

    pub(super) fn put_settings(
        &mut self,
        app: AppName,
        expected: u64,
        document: SettingsDocument,
        changes: Changes<'_>,
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
        self.change(Change::Settings { app, now: Some(record) }, changes);
        Outcome::Stored { version }
    }
}
