//! Which broadcasts of an application are wanted, and in which order these and recordings are.

use std::cmp::Reverse;
use std::sync::Arc;

use base::{StreamId, WallTime};
use serde::{Deserialize, Serialize};

use crate::{Broadcast, Vod};

/// Which broadcasts of an application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Which {
    /// All of them.
    All,
    /// Those with a publisher, as stored (a silent one still counts).
    Live,
    /// Those of a kind, or with a text in them.
    Matching(Matching),
    /// The tracks of this room.
    SubtracksOf(StreamId),
}

impl Which {
    /// Whether `broadcast` is one of them.
    pub fn takes(&self, broadcast: &Broadcast) -> bool {
        match self {
            Self::All => true,
            Self::Live => broadcast.status.is_live(),
            Self::Matching(matching) => matching.takes(broadcast),
            Self::SubtracksOf(room) => {
                broadcast.main_track_stream_id.as_deref().is_some_and(|id| id == room.as_str())
            }
        }
    }
}

/// What a list is narrowed down to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matching {
    kind: Option<String>,
    /// In lower case.
    part: Option<String>,
}

impl Matching {
    /// Broadcasts of exactly this type, whose name or id holds `part` in whatever case (AMS). Empty texts
    /// narrow nothing down.
    pub fn new(kind: Option<String>, part: Option<&str>) -> Self {
        Self {
            kind: kind.filter(|kind| !kind.is_empty()),
            part: part.filter(|part| !part.is_empty()).map(str::to_lowercase),
        }
    }

    fn takes(&self, broadcast: &Broadcast) -> bool {
        let holds = |text: &Option<String>, part: &str| {
            text.as_ref().is_some_and(|text| text.to_lowercase().contains(part))
        };
        self.kind.as_ref().is_none_or(|kind| broadcast.kind.as_ref() == Some(kind))
            && self
                .part
                .as_ref()
                .is_none_or(|part| holds(&broadcast.stream_id, part) || holds(&broadcast.name, part))
    }
}

impl From<Matching> for Which {
    fn from(matching: Matching) -> Self {
        if matching == Matching::default() { Self::All } else { Self::Matching(matching) }
    }
}

/// What a list is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    /// The name in whatever case; those without one come last, in either direction.
    Name,
    /// The creation.
    Date,
    /// The status as it is shown.
    Status,
}

/// The order of a list. Equals stay in byte order of their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub by: SortKey,
    /// The greatest first.
    pub descending: bool,
}

impl Order {
    /// Sorts rows that are in byte order of their ids.
    pub fn sort(self, rows: &mut [Arc<Broadcast>], now: WallTime) {
        match self.by {
            SortKey::Name => self.sort_by_name(rows, |row| row.name.as_deref()),
            SortKey::Date => self.sort_by(rows, |row| row.date),
            SortKey::Status => self.sort_by(rows, |row| row.status_at(now).as_str().to_owned()),
        }
    }

    /// Sorts records of recordings that are in byte order of their ids; they have no status.
    pub fn sort_vods(self, rows: &mut [Arc<Vod>]) {
        match self.by {
            SortKey::Name => self.sort_by_name(rows, |row| row.vod_name.as_deref()),
            SortKey::Date => self.sort_by(rows, |row| row.creation_date),
            SortKey::Status => {}
        }
    }

    fn sort_by_name<T>(self, rows: &mut [Arc<T>], name: impl Fn(&T) -> Option<&str>) {
        rows.sort_by_cached_key(|row| name(row).is_none());
        let named = rows.partition_point(|row| name(row).is_some());
        self.sort_by(&mut rows[..named], |row| name(row).map(str::to_lowercase));
    }

    fn sort_by<T, K: Ord>(self, rows: &mut [Arc<T>], key: impl Fn(&T) -> K) {
        if self.descending {
            rows.sort_by_cached_key(|row| Reverse(key(row)));
        } else {
            rows.sort_by_cached_key(|row| key(row));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;

    fn row(id: &str, name: Option<&str>, date: i64, status: Status) -> Arc<Broadcast> {
        Arc::new(Broadcast {
            stream_id: Some(id.to_owned()),
            name: name.map(str::to_owned),
            date,
            status,
            ..Broadcast::default()
        })
    }

    fn sorted(by: SortKey, descending: bool) -> Vec<String> {
        let mut rows = [
            row("a", None, 3, Status::Created),
            row("b", Some("zebra"), 1, Status::Finished),
            row("c", Some("Apple"), 2, Status::Created),
            row("d", Some("apple"), 2, Status::Broadcasting),
            row("e", None, 9, Status::Created),
        ];
        Order { by, descending }.sort(&mut rows, WallTime(0));
        rows.iter().filter_map(|row| row.stream_id.clone()).collect()
    }

    #[test]
    fn equals_stay_in_order_of_their_ids_and_the_nameless_come_last() {
        assert_eq!(sorted(SortKey::Name, false), ["c", "d", "b", "a", "e"]);
        assert_eq!(sorted(SortKey::Name, true), ["b", "c", "d", "a", "e"]);
        assert_eq!(sorted(SortKey::Date, false), ["b", "c", "d", "a", "e"]);
        assert_eq!(sorted(SortKey::Date, true), ["e", "a", "c", "d", "b"]);
        assert_eq!(sorted(SortKey::Status, false), ["d", "a", "c", "e", "b"]);
        assert_eq!(sorted(SortKey::Status, true), ["b", "a", "c", "e", "d"]);
    }

    #[test]
    fn recordings_are_sorted_as_broadcasts_are() {
        let sorted = |by, descending| {
            let row = |id: &str, name: Option<&str>, creation_date| {
                let (vod_id, vod_name) = (Some(id.to_owned()), name.map(str::to_owned));
                Arc::new(Vod { vod_id, vod_name, creation_date, ..Vod::default() })
            };
            let mut rows = [row("a", None, 3), row("b", Some("zebra"), 1), row("c", Some("Apple"), 2)];
            Order { by, descending }.sort_vods(&mut rows);
            rows.iter().filter_map(|row| row.vod_id.clone()).collect::<Vec<_>>()
        };
        assert_eq!(sorted(SortKey::Name, false), ["c", "b", "a"]);
        assert_eq!(sorted(SortKey::Name, true), ["b", "c", "a"]);
        assert_eq!(sorted(SortKey::Date, true), ["a", "c", "b"]);
        assert_eq!(sorted(SortKey::Status, true), ["a", "b", "c"]);
    }

    #[test]
    fn a_text_is_looked_for_in_id_and_name_and_a_kind_must_be_equal() {
        let row = Broadcast {
            kind: Some("ipCamera".to_owned()),
            ..Broadcast::clone(&row("Gate-1", Some("Ärger"), 0, Status::Created))
        };
        let takes = |kind: Option<&str>, part: Option<&str>| {
            Which::from(Matching::new(kind.map(str::to_owned), part)).takes(&row)
        };
        assert!(takes(None, None) && takes(Some(""), Some("")));
        assert!(takes(Some("ipCamera"), Some("GATE")) && takes(None, Some("ärg")));
        assert!(
            !takes(Some("ipcamera"), None)
                && !takes(None, Some("gate2"))
                && !takes(Some("VoD"), Some("gate"))
        );
        assert_eq!(Which::from(Matching::new(None, Some(""))), Which::All);
    }
}
