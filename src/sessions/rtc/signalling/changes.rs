//! Streams that change while they are played: the player is offered again what there is now, on the same
//! connection, as AMS does for tracks that come and go (its SDK answers an offer whenever one comes).

use actix::prelude::*;
use actix_web_actors::ws;
use base::{ExitReason, StreamId, limits};
use rtc::{AddError, OfferAgainError};
use streams::Ending;
use tokio::sync::watch;

use super::super::follow::{Change, Follow};
use super::super::message;
use super::super::shards::OfferError;
use super::Signalling;

impl Signalling {
    /// Offers a player again whenever its stream is no longer what it was offered, one offer at a time.
    pub(super) fn follow(
        &mut self,
        stream: &StreamId,
        ending: &Ending,
        mut follow: Follow,
        ctx: &mut ws::WebsocketContext<Self>,
    ) {
        let Some(playing) = self.plays.get(stream).filter(|playing| playing.ending.is(ending)) else {
            return;
        };
        let (mut answered, of_player) = (playing.answered.subscribe(), ending.clone());
        let watching = async move {
            let changed = async {
                answered.wait_for(|answered| *answered).await.ok()?;
                Some(follow.changed().await)
            };
            let changed = tokio::select! {
                changed = changed => changed?,
                _ = of_player.ended() => return None,
            };
            Some((changed, follow))
        };
        let (stream, ending) = (stream.clone(), ending.clone());
        ctx.spawn(watching.into_actor(self).map(move |news, session, ctx| {
            if let Some((change, follow)) = news {
                session.offer_again(stream, ending, change, follow, ctx);
            }
        }));
    }

    fn offer_again(
        &mut self,
        stream: StreamId,
        ending: Ending,
        change: Change,
        follow: Follow,
        ctx: &mut ws::WebsocketContext<Self>,
    ) {
        let Some(playing) = self.plays.get(&stream).filter(|playing| playing.ending.is(&ending)) else {
            return;
        };
        let Some(control) = playing.control.clone() else { return };
        let sendable = match change {
            Ok(sendable) => sendable,
            Err(why) => {
                tracing::info!(app = %self.app, %stream, %why, "a player cannot follow its stream's change");
                ending.end(ExitReason::CodecChanged);
                return;
            }
        };
        playing.answered.send_replace(false);
        let offer = async move { control.offer_again(sendable.kinds()).await };
        ctx.spawn(offer.into_actor(self).map(move |outcome, session, ctx| match outcome {
            Ok(offer) => {
                let Some(playing) = session.plays.get(&stream).filter(|playing| playing.ending.is(&ending))
                else {
                    return;
                };
                let answered = playing.answered.subscribe();
                let subscriber = playing.subscriber_id.clone();
                let offer =
                    message::offer(stream.as_str(), &offer.sdp, &offer.id_mapping, subscriber.as_deref());
                session.send(&offer, ctx);
                ctx.spawn(answered_in_time(answered, ending.clone()).into_actor(session));
                session.follow(&stream, &ending, follow, ctx);
            }
            Err(error) => {
                tracing::info!(app = %session.app, %stream, %error, "a player was not offered its stream's change");
                ending.end(match error {
                    OfferError::Overloaded => ExitReason::LimitExceeded,
                    OfferError::Refused(OfferAgainError::Nothing(AddError::NothingToPlay)) => {
                        ExitReason::StreamEnded
                    }
                    OfferError::Refused(_) => ExitReason::CodecChanged,
                });
            }
        }));
    }
}

/// Ends a player that leaves a further offer unanswered.
async fn answered_in_time(mut answered: watch::Receiver<bool>, ending: Ending) {
    tokio::select! {
        _ = answered.wait_for(|answered| *answered) => {}
        _ = ending.ended() => {}
        () = tokio::time::sleep(limits::OFFER_ANSWER_MAX) => {
            ending.end(ExitReason::TimedOut);
        }
    }
}
