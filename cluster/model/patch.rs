//! Which fields of a broadcast a client may change, and how.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Broadcast, FormatError, Unreadable};

/// Fields that AMS takes in a PUT and silently leaves as they are (observed).
const IGNORED: [&str; 15] = [
    "streamId",
    "type",
    "publishType",
    "publish",
    "date",
    "publicStream",
    "is360",
    "category",
    "mp4Enabled",
    "webMEnabled",
    "expireDurationMS",
    "rtmpURL",
    "zombi",
    "rtmpViewerCount",
    "hlsParameters",
];

/// Fields of a broadcast and their new values; always at least of the record's names and types.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BroadcastPatch(Map<String, Value>);

impl BroadcastPatch {
    /// Reads what a client sent, as [`Broadcast::parse`] does: null changes nothing, and fields that AMS
    /// ignores are read and dropped.
    pub fn parse(json: &[u8]) -> Result<Self, Unreadable> {
        Self::read(serde_json::from_slice(json)?)
    }

    /// The same for what was JSON.
    pub fn read(value: Value) -> Result<Self, Unreadable> {
        let given = value.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        let named: Vec<String> = given.map(|(key, _)| key.clone()).collect();
        let read = Broadcast::read(value).map_err(|error| match error {
            Unreadable::UnrecognizedField { field, class: "Broadcast" } => {
                Unreadable::UnrecognizedField { field, class: "BroadcastUpdate" }
            }
            error => error,
        })?;
        let Value::Object(mut fields) = serde_json::to_value(read)? else {
            return Err(Unreadable::Malformed("not an object".to_owned()));
        };
        fields.retain(|key, _| named.contains(key) && !IGNORED.contains(&key.as_str()));
        Ok(Self(fields))
    }

    /// What it says of a field that is a text; `None` where the field stays.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.0.get(field)?.as_str()
    }

    /// The same patch, by which one field stays as it is.
    #[must_use]
    pub fn without(mut self, field: &str) -> Self {
        self.0.remove(field);
        self
    }

    /// The same patch, what it sets changed by `change`, which is shown a broadcast that has nothing else.
    pub(crate) fn changed(
        mut self,
        change: impl FnOnce(&mut Broadcast) -> Result<(), FormatError>,
    ) -> Result<Self, FormatError> {
        let unreadable = |error: serde_json::Error| FormatError::Malformed(error.to_string());
        let mut broadcast = serde_json::from_value(Value::Object(self.0.clone())).map_err(unreadable)?;
        change(&mut broadcast)?;
        let Value::Object(mut changed) = serde_json::to_value(broadcast).map_err(unreadable)? else {
            return Ok(self);
        };
        for (field, value) in &mut self.0 {
            if let Some(new) = changed.remove(field) {
                *value = new;
            }
        }
        Ok(self)
    }

    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn applied_to(&self, broadcast: &Broadcast) -> Result<Broadcast, Unreadable> {
        let Value::Object(mut fields) = serde_json::to_value(broadcast)? else {
            return Err(Unreadable::Malformed("not an object".to_owned()));
        };
        fields.extend(self.0.clone());
        Ok(serde_json::from_value(Value::Object(fields))?)
    }
}

impl fmt::Debug for BroadcastPatch {
    /// Names only: values may be credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_and_ignored_fields_change_nothing() {
        let patch = BroadcastPatch::parse(br#"{"name":null,"zombi":true,"date":5,"rtmpURL":"x"}"#).unwrap();
        assert!(patch.is_empty());
    }

    #[test]
    fn other_fields_are_applied_and_the_rest_stays() {
        let before = Broadcast { description: Some("kept".into()), ..Broadcast::default() };
        let patch = BroadcastPatch::parse(br#"{"name":"n","status":"whatever","width":5}"#).unwrap();
        let after = patch.applied_to(&before).unwrap();
        assert_eq!(after.name.as_deref(), Some("n"));
        assert_eq!(after.status.as_str(), "whatever");
        assert_eq!(after.width, 5);
        assert_eq!(after.description.as_deref(), Some("kept"));
    }

    #[test]
    fn values_are_stored_in_the_types_of_the_record() {
        let patch =
            BroadcastPatch::parse(br#"{"name":7,"width":"640","playlistLoopEnabled":"false"}"#).unwrap();
        assert_eq!(
            serde_json::to_string(&patch).unwrap(),
            r#"{"name":"7","playlistLoopEnabled":false,"width":640}"#
        );
        // What AMS ignores must be well-formed all the same.
        assert!(BroadcastPatch::parse(br#"{"date":"soon"}"#).is_err());
    }

    #[test]
    fn unknown_keys_and_wrong_types_are_refused() {
        assert_eq!(
            BroadcastPatch::parse(br#"{"nmae":"n"}"#),
            Err(Unreadable::UnrecognizedField { field: "nmae".to_owned(), class: "BroadcastUpdate" })
        );
        assert!(matches!(BroadcastPatch::parse(br#"{"width":"wide"}"#), Err(Unreadable::Malformed(_))));
        assert!(matches!(BroadcastPatch::parse(b"[]"), Err(Unreadable::Malformed(_))));
    }
}
