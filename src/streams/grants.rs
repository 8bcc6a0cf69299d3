//! What publishers and players get when they are let in, and why they may not be.

use std::sync::Arc;

use actix::Addr;
use base::{AppName, StreamId, WallTime};
use media::{StreamMedia, StreamPosition};

use crate::ending::Ending;
use crate::subscriber::Subscriber;
use crate::tally::Tally;

/// What is known of a publisher when it begins.
#[derive(Clone, Debug, Default)]
pub struct PublisherFacts {
    /// AMS's `publishType`: `RTMP`, `WebRTC`, ...
    pub publish_type: &'static str,
    /// The publisher's address in full, for the broadcast's `remoteIp`; never logged.
    pub remote_ip: String,
    /// What the encoder calls itself; empty: unknown.
    pub user_agent: String,
    /// What it calls its stream, for the broadcast's `name`; empty: the stored one stays.
    pub name: String,
    /// What it says of its stream, for the broadcast's `metaData`; empty: the stored one stays.
    pub meta_data: String,
}

/// A publisher is in: write tracks to `media`, say `began` once, end with `ending`. Tracks of a publisher before
/// that it does not write are its to remove once its own are known.
///
/// Dropped without an end said before, the publisher is `peer closed`.
#[derive(Debug)]
pub struct PublishGrant {
    /// The stream's media, to write to.
    pub media: Arc<StreamMedia>,
    /// Where the stream's clock stands, when others published the stream before: it goes on from there.
    pub resume: Option<StreamPosition>,
    /// Ends when either side ends it.
    pub ending: Ending,
    pub(crate) began: Option<tokio::sync::oneshot::Sender<()>>,
}

impl PublishGrant {
    /// The stream can be played from now on: its tracks are known. Waiting viewers are told.
    pub fn began(&mut self) {
        if let Some(began) = self.began.take() {
            // A stream that is gone already needs no news.
            let _ = began.send(());
        }
    }
}

impl Drop for PublishGrant {
    fn drop(&mut self) {
        self.ending.end(base::ExitReason::PeerClosed);
    }
}

/// A player is in: read `media`, hand the subscriber what serves the player, end with `ending`.
#[derive(Debug)]
pub struct PlayGrant {
    /// The stream's media, to read from.
    pub media: Arc<StreamMedia>,
    /// The player's actor; give it an [`crate::Attach`] that detaches when dropped.
    pub subscriber: Addr<Subscriber>,
    /// Ends when either side ends it.
    pub ending: Ending,
    /// Where it is counted what the player is sent.
    pub tally: Arc<Tally>,
}

/// Why a publisher that passed the gate did not get in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// No such application on this node.
    #[error("the application does not exist")]
    NoSuchApplication,
    /// The stream has a publisher that does not give way, or its last one is not fully gone.
    #[error("the stream is still live")]
    AlreadyLive,
    /// An actor's mailbox or a limit on streams is full.
    #[error("the node is overloaded")]
    Overloaded,
    /// With what the publisher says of its stream the broadcast would be larger than it may be
    /// ([`base::limits::BROADCAST_BYTES_MAX`]).
    #[error("the record is too large")]
    RecordTooLarge,
    /// The metadata plane did not take the claim in time.
    #[error("the metadata store is not available")]
    StoreUnavailable,
}

/// Why a player that passed the gate did not get in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlayError {
    /// No such application on this node.
    #[error("the application does not exist")]
    NoSuchApplication,
    /// Nobody publishes it, or its tracks are not known yet.
    #[error("the stream is not live")]
    NoSuchStream,
    /// The stream has as many players as a stream may have.
    #[error("the stream has too many players")]
    TooManyPlayers,
    /// An actor's mailbox is full.
    #[error("the node is overloaded")]
    Overloaded,
}

/// A stream that lives on this node.
#[derive(Clone, Debug)]
pub struct LiveStream {
    /// Its application.
    pub app: AppName,
    /// Its id.
    pub id: StreamId,
    /// Its media, for whoever wants to look.
    pub media: Arc<StreamMedia>,
    /// When its publisher was let in.
    pub since: WallTime,
    /// Players now.
    pub players: usize,
}
