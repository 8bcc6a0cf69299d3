//! Publishing by WebRTC: from an offer to tracks.
//!
//! A publisher is one task ([`session`]) around one peer connection of the `webrtc` crate ([`peer`]), whichever way it
//! came: the signalling socket and WHIP both begin it with [`begin`] and give it the offer with
//! [`PublisherControl::offer`]. Its packets are taken in the connection's driver ([`intake`]) and go through [`feed`] into the
//! stream's tracks, on the publishers' own thread; nothing is put together that WebRTC players would have taken apart again.

mod channel;
mod engine;
mod feed;
mod guarded;
mod intake;
mod peer;
mod reception;
mod session;
mod sources;

use std::sync::Arc;

use base::{PeerAddr, limits};
use observe::metric;
use rtc::{OfferError, sdp};
use security::Access;
use streams::{Ending, PublishError, PublisherFacts};
use tokio::sync::{mpsc, oneshot};

use super::context::SignallingContext;
use super::guests::Restarts;
use super::refusal::{Refusal, of_denial};
use crate::connections::OpenConnection;
use crate::entering::{NotIn, enter};
pub use reception::{Received, ReceivedFigures, Receptions};
use session::Session;

/// A publisher that is in.
pub(super) struct Publisher {
    /// Its end, both ways.
    pub(super) ending: Ending,
    /// Told when its tracks are known and players may come.
    pub(super) started: oneshot::Receiver<Started>,
    /// For its offer.
    pub(super) control: PublisherControl,
}

/// A publisher's media flows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Started {
    /// It goes on with the stream of a publisher before.
    pub(super) goes_on: bool,
}

/// The hand on a publisher.
#[derive(Clone)]
pub struct PublisherControl {
    offers: mpsc::Sender<Offered>,
}

/// An offer on its way to the session.
pub(super) struct Offered {
    sdp: String,
    reply: oneshot::Sender<Result<Answer, NoAnswer>>,
}

/// The answer to a publisher's offer.
#[derive(Debug)]
pub(super) struct Answer {
    /// With all candidates in it.
    pub(super) sdp: String,
    /// The candidates once more, for those who want them trickled: m-line index, mid, candidate line.
    pub(super) candidates: Vec<(usize, String, String)>,
    /// The publisher's ICE names.
    pub(super) ufrags: Vec<String>,
    /// For ICE sessions after this one.
    pub(super) restarts: Restarts,
}

/// Why an offer was not answered. The publisher may offer again, unless it is gone.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    /// It is no offer that could be answered.
    #[error(transparent)]
    Offer(#[from] OfferError),
    /// It has pictures or sound, and none of their codecs is taken.
    #[error("none of the {0} codecs of the offer is taken here (h264Enabled, vp8Enabled)")]
    Codec(&'static str),
    /// The offer before was answered: one connection has one.
    #[error("the offer before has been answered")]
    AlreadyAnswered,
    /// The connection could not be made of it.
    #[error("the offer could not be answered: {0}")]
    Connection(String),
    /// The publisher is gone.
    #[error("the publisher is gone")]
    Gone,
}

impl PublisherControl {
    /// Has the publisher's offer answered.
    pub(super) async fn offer(&self, sdp: String) -> Result<Answer, NoAnswer> {
        let (reply, answer) = oneshot::channel();
        self.offers.send(Offered { sdp, reply }).await.map_err(|_| NoAnswer::Gone)?;
        answer.await.map_err(|_| NoAnswer::Gone)?
    }
}

/// The room, the gate, the stream: in this order, and whoever says no says why. `facts` is what the publisher says of
/// itself and its stream.
pub(super) async fn begin(
    context: &Arc<SignallingContext>,
    access: Access,
    facts: PublisherFacts,
) -> Result<Publisher, Refusal> {
    let (peer, id) = (access.peer, access.session);
    // Before the gate: what lets in once must not be spent on a node that has no room.
    if !context.applications.has_room_for_publisher() {
        return Err(Refusal::new("highResourceUsage"));
    }
    let open = room(context, peer)?;
    let port = context.shards.port_for_guest().ok_or_else(|| no_room("no shard"))?;
    let settings =
        context.settings.snapshot(&access.app).ok_or_else(|| Refusal::new("not_initialized_yet"))?;
    if !settings.webrtc_enabled() {
        return Err(Refusal::not_enabled());
    }
    let facts = PublisherFacts { publish_type: "WebRTC", remote_ip: peer.ip().to_string(), ..facts };
    let entering = enter(&context.gate, &context.applications, &context.clock, &access, &facts);
    let grant = entering.await.map_err(|why| match why {
        NotIn::Denied(denial) => of_denial(&denial),
        NotIn::NotBegun(PublishError::NoSuchApplication) => Refusal::new("not_initialized_yet"),
        NotIn::NotBegun(PublishError::AlreadyLive) => Refusal::new("streamIdInUse"),
        NotIn::NotBegun(PublishError::Overloaded) => no_room("requests to the actors"),
        NotIn::NotBegun(PublishError::RecordTooLarge) => Refusal::broadcast_too_large(),
        NotIn::NotBegun(PublishError::StoreUnavailable) => Refusal::new("data_store_not_available"),
    })?;
    let (offers, asked) = mpsc::channel(limits::PUBLISHER_OFFERS_MAX);
    let (started, starts) = oneshot::channel();
    let ending = grant.ending.clone();
    let session = Session { context: Arc::clone(context), id, peer, settings, port, grant, app: access.app };
    if !context.publishers.spawn(session.run(asked, started, open)) {
        ending.end(base::ExitReason::Failed);
        return Err(Refusal::new("server_error_check_logs"));
    }
    Ok(Publisher { ending, started: starts, control: PublisherControl { offers } })
}

/// The publisher's place among those of the node and of its address.
fn room(context: &SignallingContext, peer: PeerAddr) -> Result<OpenConnection, Refusal> {
    context.publishing.open(peer).map_err(|too_many| no_room(too_many.label()))
}

/// There is no room: which limit says so is counted, and not for the client.
fn no_room(limit: &'static str) -> Refusal {
    metric::admissions_refused("publish", limit).increment(1);
    Refusal::new("highResourceUsage")
}

/// Which codecs an application takes from publishers.
fn allowed(settings: &config::AppSettings) -> sdp::PublishCodecs {
    sdp::PublishCodecs { h264: settings.h264_enabled(), vp8: settings.vp8_enabled() }
}
