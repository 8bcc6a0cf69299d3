//! Readiness: a node takes work when everything it named as necessary says so.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

type States = BTreeMap<&'static str, Option<Cow<'static, str>>>;

/// The parts a node needs before it takes work. Clones are the same set.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<States>>);

/// A part that is not ready, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The part's name.
    pub component: &'static str,
    /// Why it is not ready, in words.
    pub reason: Cow<'static, str>,
}

/// One part's say. Dropped, it says "gone": a part that died is not ready, whatever it said last.
#[derive(Debug)]
#[must_use = "a component that is dropped is not ready"]
pub struct Component {
    name: &'static str,
    states: Arc<Mutex<States>>,
}

impl Readiness {
    /// An empty set, which is ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a part that is not ready until it says so. A name given twice is the same part.
    pub fn component(&self, name: &'static str) -> Component {
        let component = Component { name, states: Arc::clone(&self.0) };
        component.not_ready("starting");
        component
    }

    /// The parts that are not ready, by name; empty means ready.
    pub fn missing(&self) -> Vec<Missing> {
        let states = self.0.lock();
        states
            .iter()
            .filter_map(|(&component, state)| state.clone().map(|reason| Missing { component, reason }))
            .collect()
    }

    /// Whether every part is ready.
    pub fn is_ready(&self) -> bool {
        self.0.lock().values().all(Option::is_none)
    }
}

impl Component {
    /// This part can take work.
    pub fn ready(&self) {
        self.states.lock().insert(self.name, None);
    }

    /// This part cannot take work, and why; no secrets, `/readyz` shows it.
    pub fn not_ready(&self, reason: impl Into<Cow<'static, str>>) {
        self.states.lock().insert(self.name, Some(reason.into()));
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        self.not_ready("gone");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(readiness: &Readiness) -> Vec<(&'static str, String)> {
        readiness.missing().into_iter().map(|m| (m.component, m.reason.into_owned())).collect()
    }

    #[test]
    fn a_node_is_ready_when_all_its_parts_are() {
        let readiness = Readiness::new();
        let (rtmp, store) = (readiness.component("rtmp"), readiness.component("store"));
        assert_eq!(names(&readiness), [("rtmp", "starting".into()), ("store", "starting".into())]);
        rtmp.ready();
        assert_eq!(names(&readiness), [("store", "starting".into())]);
        store.ready();
        assert!(readiness.is_ready() && readiness.missing().is_empty());
        store.not_ready("disk full");
        assert_eq!(names(&readiness), [("store", "disk full".into())]);
        assert!(!readiness.is_ready());
    }

    #[test]
    fn a_part_that_died_is_not_ready() {
        let readiness = Readiness::new();
        let store = readiness.component("store");
        store.ready();
        drop(store);
        assert_eq!(names(&readiness), [("store", "gone".into())]);
    }
}
