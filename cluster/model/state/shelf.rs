//! Rows of one kind, by application first.

use std::collections::BTreeMap;
use std::ops::{Bound, RangeFrom};
use std::sync::Arc;

use base::{AppName, limits};

use crate::Refusal;

/// Rows of one kind. An application without any leaves no empty map, so that equal states compare equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shelf<K, V>(BTreeMap<AppName, BTreeMap<K, Arc<V>>>);

impl<K, V> Default for Shelf<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Clone, V> Shelf<K, V> {
    pub fn get(&self, app: &AppName, key: &K) -> Option<&Arc<V>> {
        self.0.get(app)?.get(key)
    }

    /// The rows of an application in the order of their keys.
    pub fn of(&self, app: &AppName) -> impl Iterator<Item = (&K, &Arc<V>)> {
        self.0.get(app).into_iter().flatten()
    }

    /// The same from a key on.
    pub fn of_from(&self, app: &AppName, first: RangeFrom<K>) -> impl Iterator<Item = (&K, &Arc<V>)> {
        self.0.get(app).into_iter().flat_map(move |rows| rows.range(first.clone()))
    }

    pub fn all(&self) -> impl Iterator<Item = (&AppName, &K, &Arc<V>)> {
        self.0.iter().flat_map(|(app, rows)| rows.iter().map(move |(key, row)| (app, key, row)))
    }

    /// The rows behind one, those of the applications that follow included; all without one.
    pub fn behind(&self, place: Option<(AppName, K)>) -> impl Iterator<Item = (&AppName, &K, &Arc<V>)> {
        let (first, rest) = match place {
            None => (None, self.0.range::<AppName, _>(..)),
            Some((app, key)) => {
                let first = self.0.get_key_value(&app);
                let first =
                    first.map(|(app, rows)| (app, rows.range((Bound::Excluded(key), Bound::Unbounded))));
                (first, self.0.range((Bound::Excluded(app), Bound::Unbounded)))
            }
        };
        let first = first.into_iter().flat_map(|(app, rows)| rows.map(move |(key, row)| (app, key, row)));
        first.chain(rest.flat_map(|(app, rows)| rows.iter().map(move |(key, row)| (app, key, row))))
    }

    pub fn len_of(&self, app: &AppName) -> usize {
        self.0.get(app).map_or(0, BTreeMap::len)
    }

    /// Whether an application may have one more row, of `rows_max`; `full` if not.
    pub fn room(&self, app: &AppName, rows_max: usize, full: Refusal) -> Result<(), Refusal> {
        match self.0.get(app) {
            Some(rows) if rows.len() >= rows_max => Err(full),
            None if self.0.len() >= limits::APPLICATIONS_MAX => Err(Refusal::TooManyApplications),
            _ => Ok(()),
        }
    }

    /// Stores or removes a row and returns what was there.
    pub fn set(&mut self, app: &AppName, key: K, now: Option<Arc<V>>) -> Option<Arc<V>> {
        match now {
            Some(row) => self.0.entry(app.clone()).or_default().insert(key, row),
            None => {
                let rows = self.0.get_mut(app)?;
                let before = rows.remove(&key);
                if rows.is_empty() {
                    self.0.remove(app);
                }
                before
            }
        }
    }
}
