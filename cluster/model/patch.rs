//! Which fields of a broadcast a client may change, and how.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Broadcast, Unreadable};

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
    /// Reads what a client sent: null changes nothing, fields that AMS ignores are dropped, a key that
    /// the record does not have or a value of the wrong type is refused.
    pub fn parse(json: &[u8]) -> Result<Self, Unreadable> {
        let Value::Object(mut fields) =
            serde_json::from_slice(json).map_err(|error| Unreadable::Malformed(error.to_string()))?
        else {
            return Err(Unreadable::Malformed("not an object".to_owned()));
        };
        if let Some(unknown) = fields.keys().find(|key| !Broadcast::knows(key)) {
            return Err(Unreadable::UnrecognizedField(unknown.clone()));
        }
        fields.retain(|key, value| !value.is_null() && !IGNORED.contains(&key.as_str()));
        let patch = Self(fields);
        patch.applied_to(&Broadcast::default())?;
        Ok(patch)
    }

    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn applied_to(&self, broadcast: &Broadcast) -> Result<Broadcast, Unreadable> {
        let malformed = |error: serde_json::Error| Unreadable::Malformed(error.to_string());
        let Value::Object(mut fields) = serde_json::to_value(broadcast).map_err(malformed)? else {
            return Err(Unreadable::Malformed("not an object".to_owned()));
        };
        fields.extend(self.0.clone());
        serde_json::from_value(Value::Object(fields)).map_err(malformed)
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
    fn unknown_keys_and_wrong_types_are_refused() {
        assert_eq!(
            BroadcastPatch::parse(br#"{"nmae":"n"}"#),
            Err(Unreadable::UnrecognizedField("nmae".to_owned()))
        );
        assert!(matches!(BroadcastPatch::parse(br#"{"width":"wide"}"#), Err(Unreadable::Malformed(_))));
        assert!(matches!(BroadcastPatch::parse(b"[]"), Err(Unreadable::Malformed(_))));
    }
}
