//! What of a peer's packets the crate may see once the association has begun.

use base::limits;

use super::SctpEnd;
use super::packet::Chunk;
use super::window::{Admitted, Window};

/// Lets chunks through that move the crate neither far nor without end.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) window: Window,
    /// The last reset of streams that the peer asked for, and how many.
    last_reset: Option<u32>,
    resets: u32,
}

impl Admission {
    /// Of a peer whose first TSN will be `first`, and which may have `most` pieces of messages that are not whole.
    pub(super) const fn new(first: u32, most: usize) -> Self {
        Self { window: Window::new(first, most), last_reset: None, resets: 0 }
    }

    /// Whether the crate may see these chunks; an error says that the peer wants too much.
    pub(super) fn admit(&mut self, chunks: &[Chunk]) -> Result<bool, SctpEnd> {
        for chunk in chunks {
            match chunk {
                Chunk::ForwardTsn { to } if !self.window.may_forward(*to) => return Ok(false),
                // The crate would keep it, and ask again with every chunk. The peer repeats it.
                Chunk::Reset { last_tsn, .. } if !self.window.has(*last_tsn) => return Ok(false),
                // The same again counts for nothing.
                Chunk::Reset { request, .. } if self.last_reset != Some(*request) => {
                    self.last_reset = Some(*request);
                    self.resets += 1;
                    if self.resets > limits::DATA_RESETS_MAX {
                        return Err(SctpEnd::TooManyResets);
                    }
                }
                _ => {}
            }
        }
        let tsns = chunks.iter().filter_map(|chunk| match chunk {
            Chunk::Data { tsn, .. } => Some(*tsn),
            _ => None,
        });
        match self.window.admit(tsns) {
            Admitted::Yes => Ok(true),
            Admitted::TooFar => Ok(false),
            Admitted::TooMuch => Err(SctpEnd::TooMuchHeld),
        }
    }
}
