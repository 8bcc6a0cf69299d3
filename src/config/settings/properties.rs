//! Reads `red5-web.properties`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use base::{AppName, Randomness};

use super::java::{Entry, entries};
use super::kind::Kind;
use super::table::{self, ROWS, Row};
use super::{AppSettings, LoadedSettings, Notice};
use crate::file::read_bounded;
use crate::nearest::nearest;
use crate::{AppFolder, ConfigError, Place, Problem};

const APP_NAME: usize = table::acted_on("appName");

impl AppSettings {
    /// Reads the settings of an application from its properties file.
    ///
    /// # Errors
    /// The file cannot be read, is larger than [`base::limits::SETTINGS_FILE_BYTES_MAX`], or holds values of
    /// a wrong type; all of those are listed.
    pub fn load(app: &AppFolder, randomness: &dyn Randomness) -> Result<LoadedSettings, ConfigError> {
        let hint = "let the node's user read it, or remove the application";
        let bytes = read_bounded(&app.settings_file, hint)?;
        Self::from_properties(&app.name, &app.settings_file, &bytes, randomness)
    }

    /// Reads the content of a properties file over `held`, the settings that were in force: the keys every application has for
    /// itself stay those of `held` unless the file names others, so that an unchanged file gives equal settings. `path` names it
    /// in errors.
    ///
    /// # Errors
    /// As [`AppSettings::load`].
    pub fn from_properties_again(
        app: &AppName,
        path: &Path,
        bytes: &[u8],
        held: &Self,
        randomness: &dyn Randomness,
    ) -> Result<LoadedSettings, ConfigError> {
        let mut base = Self::new(app, randomness);
        for ((row, value), held) in ROWS.iter().zip(base.values.iter_mut()).zip(held.values.iter()) {
            if matches!(row.kind, super::kind::Kind::RandomText) {
                value.clone_from(held);
            }
        }
        base.overlay(app, path, bytes, randomness)
    }

    /// Reads the settings of `app` from the content of a properties file; `path` names it in errors.
    ///
    /// Every setting may stand as `name`, as `settings.name` and under the further names AMS 2.17 read;
    /// AMS 3's name wins. The file is UTF-8 (Java's own encoding turns other characters than ASCII into
    /// something nobody meant).
    ///
    /// # Errors
    /// As [`AppSettings::load`].
    pub fn from_properties(
        app: &AppName,
        path: &Path,
        bytes: &[u8],
        randomness: &dyn Randomness,
    ) -> Result<LoadedSettings, ConfigError> {
        Self::new(app, randomness).overlay(app, path, bytes, randomness)
    }

    pub(super) fn overlay(
        self,
        app: &AppName,
        path: &Path,
        bytes: &[u8],
        randomness: &dyn Randomness,
    ) -> Result<LoadedSettings, ConfigError> {
        let place = |line| Place::File { path: path.to_owned(), line };
        let entries = entries(bytes).map_err(|(line, why)| {
            ConfigError::Invalid(vec![Problem { place: place(Some(line)), what: why.to_string() }])
        })?;
        let mut settings = self;
        let mut notices = Vec::new();
        let mut problems = Vec::new();
        for (row, entry) in chosen(entries, &mut notices) {
            let Entry { key, value, line } = entry;
            let Row { kind, secret, .. } = &ROWS[row];
            // Spring fills such a placeholder in. Taken as it stands, `${SECRET}` would be the secret.
            if value.contains("${") {
                let what =
                    format!("{key} holds a placeholder ${{…}}, which is not filled in; write the value");
                problems.push(Problem { place: place(Some(line)), what });
            } else if let Some(read) = kind.read_text(&value) {
                settings.values[row] = read;
            } else {
                let given = if *secret { "***".into() } else { format!("{value:?}") };
                let what = format!("{key} is {given}; it must be {}", kind.allowed());
                problems.push(Problem { place: place(Some(line)), what });
            }
        }
        ConfigError::unless_empty(problems)?;
        if settings.app_name() != app.as_str() {
            if !settings.app_name().trim().is_empty() {
                notices.push(Notice::OtherAppName { named: settings.app_name().to_owned() });
            }
            settings.values[APP_NAME] = app.as_str().into();
        }
        // A blank key would let anybody sign.
        settings.draw_missing_keys(randomness);
        notices.extend(without_effect(&settings));
        Ok(LoadedSettings { settings, notices })
    }
}

/// The entry that counts for each setting, with its row, in the order of the file; says what does not.
pub(super) fn chosen(entries: Vec<Entry>, notices: &mut Vec<Notice>) -> Vec<(usize, Entry)> {
    let mut names = HashMap::new();
    for (row, names_of_row) in ROWS.iter().map(Row::names).enumerate() {
        for (rank, name) in names_of_row.into_iter().enumerate() {
            // Two of a setting's names may be one and the same: the first counts.
            names.entry(name).or_insert((row, rank));
        }
    }
    let mut chosen: BTreeMap<usize, (usize, Entry)> = BTreeMap::new();
    for entry in entries {
        let Some(&(row, rank)) = names.get(&entry.key) else {
            if !table::is_container_key(&entry.key) {
                let nearest = nearest_name(&entry.key, names.keys());
                notices.push(Notice::UnknownKey { key: entry.key, line: entry.line, nearest });
            }
            continue;
        };
        match chosen.get(&row) {
            None => {}
            Some((_, other)) if other.key == entry.key => {
                notices.push(Notice::Repeated { key: entry.key.clone(), line: entry.line });
            }
            Some((better, other)) if *better < rank => {
                notices.push(Notice::TwoNames { used: other.key.clone(), ignored: entry.key });
                continue;
            }
            Some((_, other)) => {
                notices.push(Notice::TwoNames { used: entry.key.clone(), ignored: other.key.clone() });
            }
        }
        chosen.insert(row, (rank, entry));
    }
    let mut chosen: Vec<_> = chosen.into_iter().map(|(row, (_, entry))| (row, entry)).collect();
    chosen.sort_by_key(|(_, entry)| entry.line);
    chosen
}

/// Looks among names of the same form only: `settings.x` is not answered by a bare `x`.
fn nearest_name<'a>(key: &str, names: impl Iterator<Item = &'a String>) -> Option<String> {
    const PREFIX: &str = "settings.";
    let prefixed = key.starts_with(PREFIX);
    // Compared without what all of them share, or every `settings.x` resembles every other.
    let tails = names
        .filter(|name| name.starts_with(PREFIX) == prefixed)
        .map(|name| name.strip_prefix(PREFIX).unwrap_or(name));
    let found = nearest(key.strip_prefix(PREFIX).unwrap_or(key), tails)?;
    Some(if prefixed { format!("{PREFIX}{found}") } else { found.to_owned() })
}

/// Settings that were made and do nothing yet.
fn without_effect(settings: &AppSettings) -> Vec<Notice> {
    let mut notices = Vec::new();
    let keys: Vec<_> = ROWS
        .iter()
        .zip(settings.values.iter())
        .filter(|(row, _)| !row.acted_on && row.gates.is_none() && !matches!(row.kind, Kind::RandomText))
        .filter(|(row, value)| **value != row.kind.default_value())
        .map(|(row, _)| row.json)
        .collect();
    if !keys.is_empty() {
        notices.push(Notice::NoEffectYet { keys });
    }
    notices
}
