//! The names of a node's applications, which come and go while it runs.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::AppName;

/// The applications that a node serves. Clones are the same set: whoever holds one sees what comes and goes, without a lock.
#[derive(Clone, Debug, Default)]
pub struct AppNames(Arc<ArcSwap<BTreeSet<AppName>>>);

impl AppNames {
    /// Whether there is an application of this name, which is case-sensitive.
    pub fn contains(&self, name: &str) -> bool {
        self.0.load().contains(name)
    }

    /// The application of this name.
    pub fn get(&self, name: &str) -> Option<AppName> {
        self.0.load().get(name).cloned()
    }

    /// All of them as they are now, in order.
    pub fn all(&self) -> Arc<BTreeSet<AppName>> {
        self.0.load_full()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.load().len()
    }

    /// Adds one.
    pub fn insert(&self, name: &AppName) {
        self.change(|names| {
            names.insert(name.clone());
        });
    }

    /// Takes one out.
    pub fn remove(&self, name: &AppName) {
        self.change(|names| {
            names.remove(name);
        });
    }

    fn change(&self, change: impl Fn(&mut BTreeSet<AppName>)) {
        self.0.rcu(|names| {
            let mut names = BTreeSet::clone(names);
            change(&mut names);
            names
        });
    }
}

impl FromIterator<AppName> for AppNames {
    fn from_iter<I: IntoIterator<Item = AppName>>(names: I) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(names.into_iter().collect())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_the_names_sees_them_come_and_go() {
        let name = |text| AppName::new(text).unwrap();
        let names: AppNames = [name("b"), name("a")].into_iter().collect();
        let held = names.clone();
        let before = held.all();
        names.insert(&name("c"));
        names.remove(&name("a"));
        assert!(held.contains("c") && !held.contains("a") && !held.contains("C"));
        assert_eq!(held.get("b"), Some(name("b")));
        assert_eq!(held.all().iter().map(AppName::as_str).collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!((held.count(), before.len()), (2, 2));
    }
}
