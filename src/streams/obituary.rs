//! How a parent learns that a child is gone, panic included.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

#[derive(Debug)]
struct Inner<T> {
    notes: Mutex<Vec<T>>,
    news: Notify,
}

/// The parent's side. The list is never longer than the parent has children.
#[derive(Debug)]
pub struct Obituaries<T>(Arc<Inner<T>>);

impl<T> Clone for Obituaries<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Obituaries<T> {
    fn default() -> Self {
        Self(Arc::new(Inner { notes: Mutex::new(Vec::new()), news: Notify::new() }))
    }
}

impl<T> Obituaries<T> {
    /// A guard for a new child: `note` reaches the parent when the guard is dropped.
    pub fn guard(&self, note: T) -> Obituary<T> {
        Obituary { note: Some(note), inner: Arc::clone(&self.0) }
    }

    /// Waits for children that are gone, and takes their notes.
    pub async fn next(&self) -> Vec<T> {
        loop {
            let news = self.0.news.notified();
            let notes = std::mem::take(&mut *self.0.notes.lock());
            if !notes.is_empty() {
                return notes;
            }
            news.await;
        }
    }
}

/// The child's side: held in the actor, dropped with it.
#[derive(Debug)]
pub struct Obituary<T> {
    note: Option<T>,
    inner: Arc<Inner<T>>,
}

impl<T> Obituary<T> {
    /// Completes what the parent will read.
    pub fn edit(&mut self, edit: impl FnOnce(&mut T)) {
        if let Some(note) = &mut self.note {
            edit(note);
        }
    }
}

impl<T> Drop for Obituary<T> {
    fn drop(&mut self) {
        if let Some(note) = self.note.take() {
            self.inner.notes.lock().push(note);
            self.inner.news.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_end_like_any_other() {
        let obituaries = Obituaries::default();
        let mut guard = obituaries.guard(1);
        guard.edit(|note| *note = 7);
        let child = tokio::spawn(async move {
            let _guard = guard;
            panic!("a child panics");
        });
        assert_eq!(obituaries.next().await, vec![7]);
        assert!(child.await.unwrap_err().is_panic());
    }
}
