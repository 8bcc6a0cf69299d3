//! What a player was offered of its stream, and how the stream has changed since.

use std::sync::Arc;

use media::Catalogue;
use tokio::sync::watch;

use super::policy::{self, Allowed, Sendable};

/// What can be sent from now on, or why nothing can, in words.
pub(super) type Change = Result<Sendable, String>;

/// Compares a stream with what was offered of it.
pub(super) struct Follow {
    catalogue: watch::Receiver<Arc<Catalogue>>,
    allowed: Allowed,
    offered: Sendable,
}

impl Follow {
    /// Follows a stream of which `offered` is what `catalogue` has now.
    pub(super) const fn new(
        catalogue: watch::Receiver<Arc<Catalogue>>,
        allowed: Allowed,
        offered: Sendable,
    ) -> Self {
        Self { catalogue, allowed, offered }
    }

    /// Waits until the stream is no longer what was offered; then that counts as offered. Never done while
    /// it stays what it was. Cancel-safe.
    pub(super) async fn changed(&mut self) -> Change {
        loop {
            match policy::sendable(&self.catalogue.borrow_and_update(), self.allowed).transpose() {
                Some(Ok(now)) if now == self.offered => {}
                Some(Ok(now)) => {
                    self.offered = now;
                    return Ok(now);
                }
                Some(Err(unsendable)) => return Err(unsendable.why),
                // It is being made.
                None => {}
            }
            if self.catalogue.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
