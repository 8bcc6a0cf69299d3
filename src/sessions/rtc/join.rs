//! What a `play` takes: the gate, the stream, the shard.

use std::sync::Arc;

use base::{AppName, ExitReason, StreamId, limits};
use media::Catalogue;
use rtc::{AddError, Description, Distribution, RemoteOffer};
use security::Access;
use streams::{Attach, Ending, PlayError};
use tokio::sync::{oneshot, watch};

use super::context::SignallingContext;
use super::follow::Follow;
use super::policy::{self, Allowed, Sendable, Unsendable};
use super::refusal::{Refusal, of_denial};
use super::shards::{Join, JoinError, PlayerControl};
use super::statistics::{PlayProtocol, Viewer};

/// What came of a `play`.
pub(super) struct Joined {
    /// The offer it was made, or the answer to its own.
    pub(super) description: Description,
    pub(super) control: PlayerControl,
    /// Tells when the stream is no longer what was offered.
    pub(super) follow: Follow,
}

/// How a player comes.
pub(super) struct Coming {
    pub(super) protocol: PlayProtocol,
    /// What it says of itself.
    pub(super) info: String,
}

/// The gate, the stream, the shard: in this order, and whoever says no says why. `offer` is that of the player, when it
/// brings one.
pub(super) async fn join(
    context: Arc<SignallingContext>,
    access: Access,
    coming: Coming,
    offer: Option<RemoteOffer>,
    ending: Ending,
    started: oneshot::Sender<()>,
) -> Result<Joined, Refusal> {
    let (app, peer) = (access.app.clone(), access.peer);
    // Before the gate: what lets in once must not be spent on a node that has no room.
    let shard = match context.shards.admit() {
        Ok(shard) => shard,
        Err(error) => return Err(no_room_or_not_live(&context, &access, &error).await),
    };
    let permit = context.gate.admit(access).await.map_err(|denial| of_denial(&denial))?;
    let stream = permit.stream().clone();
    let settings =
        context.settings.snapshot(permit.app()).ok_or_else(|| Refusal::new("not_initialized_yet"))?;
    if !settings.webrtc_enabled() {
        return Err(Refusal::not_enabled());
    }
    let grant = match context.applications.play(permit, ending.clone(), shard.arbiter()).await {
        Ok(grant) => grant,
        Err(PlayError::NoSuchStream) => return Err(not_here(&context, &app, &stream).await),
        Err(PlayError::TooManyPlayers) => return Err(Refusal::new("viewerLimitReached")),
        Err(PlayError::Overloaded) => return Err(Refusal::no_room("requests to the actors")),
        Err(PlayError::NoSuchApplication) => return Err(Refusal::new("not_initialized_yet")),
    };
    let mut catalogue = grant.media.watch();
    let demand = grant.media.want_for_webrtc();
    let allowed = Allowed::by(&settings);
    let sendable = sendable(&mut catalogue, allowed, &ending).await?;
    if let Some(why) = policy::why_no_sound(&catalogue.borrow()) {
        tracing::info!(%stream, %why, "a player gets no sound");
    }
    let follow = Follow::new(catalogue, allowed, sendable);
    let viewer = Arc::new(Viewer {
        app,
        stream: stream.clone(),
        peer,
        protocol: coming.protocol,
        info: coming.info,
        number: context.shards.number(),
        ending: ending.clone(),
    });
    let join = Join {
        media: grant.media,
        stream,
        kinds: sendable.kinds(),
        data: settings
            .data_channel_enabled()
            .then(|| Distribution::read(settings.data_channel_player_distribution())),
        offer,
        demand,
        extra_addresses: context.addresses.extra(peer, settings.disable_ipv6_candidates()),
        tcp_addresses: context.tcp_addresses(peer, &settings),
        connect_max: settings.webrtc_client_start_timeout().min(limits::PLAY_CONNECT_SETTING_MAX),
        ending: ending.clone(),
        started,
        viewer,
    };
    let (description, control, attachment) = match shard.join(join).await {
        Ok(joined) => joined,
        Err(error) => {
            ending.end(ExitReason::LimitExceeded);
            return Err(match error {
                JoinError::Refused(AddError::NothingToPlay) => Refusal::not_live(),
                JoinError::Refused(AddError::Codec | AddError::NothingInCommon) => {
                    Refusal::codec(error.to_string())
                }
                _ => no_room(&error),
            });
        }
    };
    if grant.subscriber.try_send(Attach(Box::new(attachment))).is_err() {
        // The subscriber is gone, and with the attachment dropped the player is too.
        let stream_is_gone = ending.reason().is_some();
        ending.end(ExitReason::Failed);
        return Err(if stream_is_gone {
            Refusal::not_live()
        } else {
            Refusal::new("server_error_check_logs")
        });
    }
    Ok(Joined { description, control, follow })
}

/// What the player can be sent; waits for what has to be made first.
async fn sendable(
    catalogue: &mut watch::Receiver<Arc<Catalogue>>,
    allowed: Allowed,
    ending: &Ending,
) -> Result<Sendable, Refusal> {
    let made = async {
        pictures_there(catalogue, allowed, ending).await?;
        // Sound is waited for as well, but not for long: a track that is announced may stay silent.
        let sound = async { catalogue.wait_for(|now| !policy::sound_is_coming(now)).await.is_ok() };
        let _came = tokio::time::timeout(limits::TRANSCODED_SOUND_WAIT_MAX, sound).await;
        pictures_there(catalogue, allowed, ending).await
    };
    tokio::select! {
        made = made => made,
        _ = ending.ended() => Err(Refusal::not_live()),
        () = tokio::time::sleep(limits::TRANSCODED_WAIT_MAX) => {
            ending.end(ExitReason::TimedOut);
            let why = "the stream's video has to be transcoded, and that did not begin in time".to_owned();
            Err(Refusal::unsendable(Unsendable { why, for_now: true }))
        }
    }
}

/// Waits until pictures are there, if there are to be any.
async fn pictures_there(
    catalogue: &mut watch::Receiver<Arc<Catalogue>>,
    allowed: Allowed,
    ending: &Ending,
) -> Result<Sendable, Refusal> {
    loop {
        let sendable = policy::sendable(&catalogue.borrow_and_update(), allowed).map_err(|why| {
            ending.end(ExitReason::Denied);
            Refusal::unsendable(why)
        })?;
        if let Some(sendable) = sendable {
            return Ok(sendable);
        }
        catalogue.changed().await.map_err(|_| Refusal::not_live())?;
    }
}

/// A limit of the shards was reached.
fn no_room(error: &JoinError) -> Refusal {
    tracing::debug!(%error, "no room for a player");
    Refusal::no_room(error.limit())
}

/// Nobody publishes the stream on this node. Nothing is told of streams that is not told to everybody who asks what is
/// live.
async fn not_here(context: &SignallingContext, app: &AppName, stream: &StreamId) -> Refusal {
    match context.applications.elsewhere(app, stream).await {
        Some(node) => Refusal::elsewhere(&node),
        None => Refusal::not_live(),
    }
}

/// Whoever comes before the stream does needs no room yet, and waits as on an idle node. Nothing is
/// told of streams that is not told to everybody who asks what is live.
async fn no_room_or_not_live(context: &SignallingContext, access: &Access, error: &JoinError) -> Refusal {
    let live = match StreamId::new(&access.stream) {
        Ok(stream) => context.applications.find(&access.app, &stream).await.is_some(),
        // The gate would have refused it by its name.
        Err(_) => return Refusal::new("invalidStreamName"),
    };
    if live { no_room(error) } else { Refusal::not_live() }
}
