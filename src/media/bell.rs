//! Wake-ups: a reader of many rings sleeps on one bell.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// What a reader sleeps on. Rung by every ring it was hung on; rings that arrive while nobody
/// sleeps are kept (at most one), so no wake-up is lost.
#[derive(Clone, Debug, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    /// A silent bell.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wakes the sleeper, or the next one to lie down.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    /// Sleeps until the bell is rung.
    pub async fn rung(&self) {
        self.0.notified().await;
    }
}

/// The bells hung on one ring. They are held weakly: a reader that is gone is forgotten.
#[derive(Debug, Default)]
pub struct Bells(Mutex<Vec<Weak<Notify>>>);

impl Bells {
    /// Hangs `bell` here; a bell that already hangs is not hung twice.
    pub fn hang(&self, bell: &Bell) {
        let mut bells = self.0.lock();
        bells.retain(|held| held.strong_count() > 0);
        if !bells.iter().any(|held| std::ptr::eq(held.as_ptr(), Arc::as_ptr(&bell.0))) {
            bells.push(Arc::downgrade(&bell.0));
        }
    }

    /// Takes `bell` down again.
    pub fn take_down(&self, bell: &Bell) {
        self.0
            .lock()
            .retain(|held| held.strong_count() > 0 && !std::ptr::eq(held.as_ptr(), Arc::as_ptr(&bell.0)));
    }

    /// Rings them all.
    pub fn ring(&self) {
        for bell in self.0.lock().iter() {
            if let Some(notify) = bell.upgrade() {
                notify.notify_one();
            }
        }
    }
}
