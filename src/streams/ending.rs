//! How a session learns that it is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::ExitReason;
use media::Kind;
use tokio::sync::watch;

/// The one end of one session, shared by everybody who takes part in it: the connection's task,
/// its actor, the shard that serves it. The first reason given wins; everybody sees the same one.
/// With it goes what the session has carried so far, which is told when it ends.
#[derive(Clone, Debug, Default)]
pub struct Ending(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    reason: watch::Sender<Option<ExitReason>>,
    video: AtomicU64,
    audio: AtomicU64,
}

/// What a session has carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Bytes of pictures, as the protocol counts them.
    pub video: u64,
    /// Bytes of sound.
    pub audio: u64,
}

impl Ending {
    /// A session that goes on.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the session; `false` when it had ended before, and that reason stands.
    pub fn end(&self, reason: ExitReason) -> bool {
        self.0.reason.send_if_modified(|held| {
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
        *self.0.reason.borrow()
    }

    /// The session has carried more.
    pub fn carry(&self, kind: Kind, bytes: u64) {
        let counter = if kind == Kind::Video { &self.0.video } else { &self.0.audio };
        counter.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The session has carried so much in all, for who counts elsewhere. Never goes back.
    pub fn has_carried(&self, Carried { video, audio }: Carried) {
        self.0.video.fetch_max(video, Ordering::Relaxed);
        self.0.audio.fetch_max(audio, Ordering::Relaxed);
    }

    /// What the session has carried so far; of a WebRTC player as of a sample that may be a second old.
    pub fn carried(&self) -> Carried {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Carried { video: read(&self.0.video), audio: read(&self.0.audio) }
    }

    /// Waits for the end.
    pub async fn ended(&self) -> ExitReason {
        let mut receiver = self.0.reason.subscribe();
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
