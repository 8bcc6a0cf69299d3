//! Sessions that HTTP requests begin and end: what WHIP (publishers, RFC 9725) and WHEP (players,
//! draft-ietf-wish-whep) have in common.

pub(super) mod answers;
mod endpoint;
mod kept;
pub(super) mod requests;

pub(super) use endpoint::{Asked, Endpoint, mount};
pub use kept::Resources;
pub(super) use kept::{Held, Resource};

/// Ends a session whose asker is gone before it has its answer: nobody could end it.
pub(super) struct Asking(pub(super) Option<streams::Ending>);

impl Drop for Asking {
    fn drop(&mut self) {
        if let Some(ending) = &self.0 {
            ending.end(base::ExitReason::PeerClosed);
        }
    }
}
