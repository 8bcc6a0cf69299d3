//! How settings are changed: wholly, as AMS does, or key by key.

use base::AppName;
use serde_json::{Map, Value};

use super::revoked::KEY as REVOKED;
use super::table::{self, ROWS};
use super::{AppSettings, LADDER, LADDER_TEXT};
use crate::nearest::nearest;

/// Why a change cannot be read. Never holds a secret's value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// There is no such setting.
    #[error("there is no setting {key}{}", hint(.nearest.as_deref()))]
    Unknown {
        /// The key, as it was given, cut.
        key: String,
        /// The one it resembles most.
        nearest: Option<String>,
    },
    /// The value is of another type.
    #[error("{key} must be {allowed}")]
    WrongType {
        /// The JSON key.
        key: &'static str,
        /// What is allowed, in words.
        allowed: String,
    },
    /// It is the server's own.
    #[error("{key} cannot be changed")]
    Fixed {
        /// The JSON key.
        key: &'static str,
    },
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default()
}

/// One setting that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Its JSON key.
    pub key: &'static str,
    /// Its value is for nobody's eyes.
    pub secret: bool,
    /// What it was.
    pub before: Value,
    /// What it is.
    pub after: Value,
}

/// The key by which an application is named, which follows its folder.
const APP_NAME: &str = "appName";

impl AppSettings {
    /// As AMS replaces settings: what `given` does not name is at its default again. But secrets that were not given stay, and
    /// so do the application's name and what is revoked.
    #[must_use]
    pub fn replaced_by(&self, given: Self, named: impl Fn(&str) -> bool) -> Self {
        let mut after = given;
        for ((row, value), held) in ROWS.iter().zip(after.values.iter_mut()).zip(self.values.iter()) {
            // An application draws some for itself: it has none without.
            let is_drawn = matches!(row.kind, super::Kind::RandomText) && super::is_off(value);
            if row.json == APP_NAME || row.json == REVOKED || is_drawn || (row.secret && !named(row.json)) {
                value.clone_from(held);
            }
        }
        after
    }

    /// With the settings that `changes` names changed; null is the default.
    ///
    /// # Errors
    /// The first key that is none, or has a value of a wrong type.
    pub fn patched(&self, changes: &Map<String, Value>) -> Result<Self, ChangeError> {
        let mut after = self.clone();
        for (key, value) in changes {
            let key = if key == LADDER_TEXT { LADDER } else { key.as_str() };
            let Some(at) = table::by_json(key) else {
                return Err(ChangeError::Unknown {
                    key: key
                        .chars()
                        .filter(|c| !c.is_control())
                        .take(base::limits::REST_REPEATED_CHARS_MAX)
                        .collect(),
                    nearest: nearest(key, ROWS.iter().map(|row| row.json)).map(str::to_owned),
                });
            };
            let row = &ROWS[at];
            let value = match value {
                // An application draws those for itself: it has none without.
                blank if matches!(row.kind, super::Kind::RandomText) && super::is_off(blank) => continue,
                Value::Null => row.kind.default_value(),
                given => row
                    .kind
                    .read_json(given)
                    .ok_or_else(|| ChangeError::WrongType { key: row.json, allowed: row.kind.allowed() })?,
            };
            if row.json == APP_NAME && value != after.values[at] {
                return Err(ChangeError::Fixed { key: row.json });
            }
            after.values[at] = value;
        }
        Ok(after)
    }

    /// What differs in `after`.
    pub fn differences(&self, after: &Self) -> Vec<Difference> {
        let values = self.values.iter().zip(after.values.iter());
        ROWS.iter()
            .zip(values)
            .filter(|(_, (before, after))| before != after)
            .map(|(row, (before, after))| Difference {
                key: row.json,
                secret: row.secret,
                before: before.clone(),
                after: after.clone(),
            })
            .collect()
    }

    /// With what was changed from `before` to `after` changed here, too; but what is revoked stays so.
    #[must_use]
    pub fn with_changes_of(&self, before: &Self, after: &Self) -> Self {
        let mut changed = self.clone();
        let values = before.values.iter().zip(after.values.iter());
        for ((row, value), (before, after)) in ROWS.iter().zip(changed.values.iter_mut()).zip(values) {
            if before != after && row.json != REVOKED {
                value.clone_from(after);
            }
        }
        changed
    }

    /// The JSON of the settings for whoever may see them but no secret: those keys are left out, so that sending it back changes
    /// none of them.
    pub fn without_secrets(&self) -> Map<String, Value> {
        let shown = ROWS.iter().zip(self.values.iter()).filter(|(row, _)| !row.secret);
        shown.map(|(row, value)| (row.json.to_owned(), value.clone())).collect()
    }

    /// Whether one of them is a secret that is set.
    pub fn has_secrets(&self) -> bool {
        let secrets = ROWS.iter().zip(self.values.iter()).filter(|(row, _)| row.secret);
        secrets.into_iter().any(|(row, value)| *value != Value::Null && *value != row.kind.default_value())
    }

    /// The settings of `app` that nobody has changed, beside those here: with the keys it drew for itself.
    #[must_use]
    pub fn defaults(&self, app: &AppName) -> Self {
        let mut defaults = Self::default();
        for ((row, value), held) in ROWS.iter().zip(defaults.values.iter_mut()).zip(self.values.iter()) {
            if row.json == APP_NAME {
                *value = app.as_str().into();
            } else if matches!(row.kind, super::Kind::RandomText) {
                value.clone_from(held);
            }
        }
        defaults
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(value: Value) -> AppSettings {
        serde_json::from_value(value).unwrap()
    }

    fn changes(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_secret_that_is_set_is_seen() {
        assert!(!AppSettings::default().has_secrets());
        assert!(!settings(json!({ "maxViewerCount": 3, "jwtSecretKey": "" })).has_secrets());
        assert!(settings(json!({ "jwtSecretKey": "j" })).has_secrets());
    }

    #[test]
    fn a_replacement_keeps_secrets_that_were_not_given_and_the_name() {
        let held = settings(json!({
            "appName": "LiveApp", "tokenHashSecret": "s", "jwtSecretKey": "j", "clusterCommunicationKey": "c",
            "webRTCViewerLimit": 7,
        }));
        let given = json!({ "jwtSecretKey": "", "appName": "Other", "h264Enabled": false });
        let after = held.replaced_by(settings(given.clone()), |key| given.get(key).is_some());
        let text = |key: &str| after.get(key).unwrap().as_str().unwrap().to_owned();
        assert_eq!(
            [text("appName"), text("tokenHashSecret"), text("jwtSecretKey"), text("clusterCommunicationKey")],
            ["LiveApp", "s", "", "c"]
        );
        assert!(!after.h264_enabled());
        assert_eq!(after.webrtc_viewer_limit(), None, "what was not named is at its default");
    }

    #[test]
    fn a_patch_changes_what_it_names_and_nothing_else() {
        let held = settings(json!({ "appName": "LiveApp", "tokenHashSecret": "s", "webRTCViewerLimit": 7 }));
        let after = held
            .patched(&changes(
                json!({ "h264Enabled": "false", "tokenHashSecret": "new", "webRTCViewerLimit": null }),
            ))
            .unwrap();
        let differences = held.differences(&after);
        let told: Vec<_> = differences.iter().map(|d| (d.key, d.secret, &d.after)).collect();
        assert_eq!(
            told,
            [
                ("tokenHashSecret", true, &json!("new")),
                ("h264Enabled", false, &json!(false)),
                ("webRTCViewerLimit", false, &json!(-1))
            ]
        );
        assert_eq!(held.patched(&Map::new()).unwrap(), held);
        for (change, error) in [
            (json!({ "h264Enable": true }), "there is no setting h264Enable; did you mean h264Enabled?"),
            (json!({ "h264Enabled": "maybe" }), "h264Enabled must be true or false"),
            (json!({ "tokenHashSecret": ["hunter2"] }), "tokenHashSecret must be a text"),
            (json!({ "appName": "Other" }), "appName cannot be changed"),
        ] {
            assert_eq!(held.patched(&changes(change)).unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn changes_of_two_hands_meet() {
        let base = settings(json!({ "webRTCViewerLimit": 1, "ingestingStreamLimit": 1 }));
        let rest = base.patched(&changes(json!({ "webRTCViewerLimit": 2 }))).unwrap();
        let file = base.patched(&changes(json!({ "ingestingStreamLimit": 3 }))).unwrap();
        let both = rest.with_changes_of(&base, &file);
        assert_eq!((both.webrtc_viewer_limit(), both.ingesting_stream_limit()), (Some(2), Some(3)));
    }

    /// Neither by what was shown before a token was revoked, nor by a file that was opened before.
    #[test]
    fn only_a_patch_makes_good_what_was_revoked() {
        let shown = AppSettings::default();
        let print = "0123456789abcdef0123456789abcdef";
        let held = shown.with_revoked(print, None, 0).unwrap();
        assert!(held.replaced_by(shown.clone(), |_| true).is_revoked(print));
        assert!(held.with_changes_of(&held, &shown).is_revoked(print));
        assert!(!held.patched(&changes(json!({ "revokedTokens": "" }))).unwrap().is_revoked(print));
    }

    #[test]
    fn what_is_shown_without_secrets_can_be_sent_back() {
        let held = settings(json!({ "tokenHashSecret": "hunter2", "webRTCViewerLimit": 7 }));
        let shown = held.without_secrets();
        assert!(!serde_json::to_string(&shown).unwrap().contains("hunter2"));
        let back = held.replaced_by(settings(Value::Object(shown.clone())), |key| shown.contains_key(key));
        assert_eq!(back, held);
    }
}
