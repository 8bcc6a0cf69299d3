//! The body of an FLV player's answer: the server pulls it whenever the socket has taken what it had.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use base::{Clock, ExitReason, limits};
use bytes::Bytes;
use futures_util::stream::{Stream, unfold};
use media::Kind;
use streams::Ending;

use super::reader::{FlvReader, Next};

/// The body was ended before the stream did. The server closes the connection in the middle of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the player was ended: {0}")]
pub(super) struct Cut(pub(super) ExitReason);

/// How the socket takes what there is.
#[derive(Debug, Default)]
pub(super) struct Pull {
    /// When the server was given something, after which it has not come for more.
    given: Cell<Option<Instant>>,
}

impl Pull {
    /// Waits until nothing was taken for too long, though there was something.
    pub(super) async fn stalls(&self) {
        loop {
            let seen = self.given.get();
            match seen {
                // Looked at anew: whatever is given meanwhile is given later than now.
                None => tokio::time::sleep(limits::HTTP_PLAYER_STALL_MAX / 4).await,
                Some(given) => {
                    tokio::time::sleep_until((given + limits::HTTP_PLAYER_STALL_MAX).into()).await;
                    if self.given.get() == seen {
                        return;
                    }
                }
            }
        }
    }
}

/// A player's body. Dropped by the server, the player is gone.
pub(super) struct FlvBody {
    reader: FlvReader,
    ending: Ending,
    pull: Rc<Pull>,
    clock: Arc<dyn Clock>,
}

impl FlvBody {
    pub(super) const fn new(
        reader: FlvReader,
        ending: Ending,
        pull: Rc<Pull>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { reader, ending, pull, clock }
    }

    /// The bytes: they end with the stream, or in the middle when the player has to go.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Bytes, Cut>> {
        unfold(Some(self), |body| async move {
            let mut body = body?;
            let next = body.next().await?;
            // After an error nothing comes.
            let rest = next.is_ok().then_some(body);
            Some((next, rest))
        })
    }

    async fn next(&mut self) -> Option<Result<Bytes, Cut>> {
        self.pull.given.set(None);
        loop {
            if let Some(reason) = self.ending.reason() {
                return match reason {
                    ExitReason::Finished | ExitReason::StreamEnded | ExitReason::Draining => None,
                    reason => Some(Err(Cut(reason))),
                };
            }
            match self.reader.next() {
                Next::Piece(piece) => {
                    let (video, audio) = self.reader.take_counted();
                    self.ending.carry(Kind::Video, video);
                    self.ending.carry(Kind::Audio, audio);
                    self.pull.given.set(Some(self.clock.now()));
                    return Some(Ok(piece));
                }
                Next::Ended(reason) => {
                    self.ending.end(reason);
                }
                Next::Nothing => {
                    tokio::select! {
                        () = self.reader.rung() => {}
                        _ = self.ending.ended() => {}
                    }
                }
            }
        }
    }
}

impl Drop for FlvBody {
    fn drop(&mut self) {
        self.ending.end(ExitReason::PeerClosed);
    }
}
