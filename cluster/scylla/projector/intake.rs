//! From the metadata plane into the outbox, at the plane's pace.

use std::convert::Infallible;

use cluster_model::{Change, Filter, Revision, WatchEvent};

use super::task::Task;
use crate::projection::project;
use crate::{Stamp, Stopped};

impl Task {
    /// Puts whatever changes into the outbox, as changes of `generation`, until the plane closes.
    pub(super) async fn take_in(&self, generation: u64) -> Result<Infallible, Stopped> {
        let mut watch = self.parts.meta.watch(Filter::All, self.outbox.resumed().await);
        loop {
            let event = tokio::select! {
                at = self.outbox.resumed() => {
                    watch.resume(at);
                    continue;
                }
                event = watch.next() => event,
            };
            match event {
                WatchEvent::Changed { revision, changes } => self.put(generation, revision, &changes),
                WatchEvent::Relist => {
                    self.outbox.fall_behind();
                    watch.resume(self.outbox.resumed().await);
                }
                WatchEvent::Closed => return Err(Stopped::Closed),
            }
        }
    }

    fn put(&self, generation: u64, revision: Revision, changes: &[Change]) {
        match project(Stamp::new(generation, revision), changes, self.horizon()) {
            Ok(item) => self.outbox.push(item),
            // What is stored can be written, or it would never have been applied: the state is right, so list it.
            Err(error) => {
                tracing::error!("the changes of revision {revision} cannot be projected: {error}");
                self.outbox.fall_behind();
            }
        }
    }
}
