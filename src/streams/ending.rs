//! How a session learns that it is over.

use std::sync::Arc;

use base::ExitReason;
use tokio::sync::watch;

/// The one end of one session, shared by everybody who takes part in it: the connection's task,
/// its actor, the shard that serves it. The first reason given wins; everybody sees the same one.
#[derive(Clone, Debug)]
pub struct Ending(Arc<watch::Sender<Option<ExitReason>>>);

impl Default for Ending {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Ending {
    /// A session that goes on.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the session; `false` when it had ended before, and that reason stands.
    pub fn end(&self, reason: ExitReason) -> bool {
        self.0.send_if_modified(|held| {
            let first = held.is_none();
            if first {
                *held = Some(reason);
            }
            first
        })
    }

    /// Whether both are the end of the same session.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The reason, once there is one.
    pub fn reason(&self) -> Option<ExitReason> {
        *self.0.borrow()
    }

    /// Waits for the end.
    pub async fn ended(&self) -> ExitReason {
        let mut receiver = self.0.subscribe();
        match receiver.wait_for(Option::is_some).await.map(|reason| *reason) {
            Ok(Some(reason)) => reason,
            // Unreachable while `self` holds the sender; an end all the same.
            Ok(None) | Err(_) => ExitReason::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_wins_and_everybody_sees_it() {
        let ending = Ending::new();
        let waiting = tokio::spawn({
            let ending = ending.clone();
            async move { ending.ended().await }
        });
        assert_eq!(ending.reason(), None);
        assert!(ending.end(ExitReason::Kicked));
        assert!(!ending.end(ExitReason::Finished));
        assert_eq!(waiting.await.unwrap(), ExitReason::Kicked);
        assert_eq!(ending.ended().await, ExitReason::Kicked);
    }
}
