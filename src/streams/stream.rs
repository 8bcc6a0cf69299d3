//! A stream's actor: supervises its publisher, its subscribers and its readers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::prelude::*;
use actix_rt::ArbiterHandle;
use base::{AppName, ExitReason, MediaTime, SessionId, StreamId, WallTime, limits};
use cluster_model::StreamStarted;
use media::StreamMedia;
use observe::metric;
use security::Permit;

use crate::applications::Services;
use crate::ending::Ending;
use crate::fault::{ActorKind, expose};
use crate::grants::{LiveStream, PlayError, PlayGrant, PublishError, PublishGrant, PublisherFacts};
use crate::obituary::{Obituaries, Obituary};
use crate::publisher::{Publisher, PublisherEnd};
use crate::reader::ReaderFactory;
use crate::statistics::Measured;
use crate::subscriber::{Subscriber, SubscriberEnd};

/// How often the broadcast's numbers are written (AMS: 10 s).
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How often they are measured, for whoever asks meanwhile.
const SAMPLE: Duration = Duration::from_secs(1);

/// What a stream's end says to its application.
#[derive(Debug)]
pub(crate) struct StreamEnd {
    pub id: StreamId,
    pub incarnation: u64,
    /// The publisher's permit: its seat is free once the application has forgotten the stream.
    pub permit: Option<Permit>,
    /// The end of the broadcast is written; after a panic it is not.
    pub recorded: bool,
}

enum Note {
    Publisher(PublisherEnd),
    Subscriber(SubscriberEnd),
}

/// Ends every player when the stream goes, in whatever way it goes.
#[derive(Default)]
struct Players(HashMap<SessionId, Ending>);

impl Players {
    fn end(&mut self, reason: ExitReason) {
        for ending in self.0.values() {
            ending.end(reason);
        }
    }
}

impl Drop for Players {
    fn drop(&mut self) {
        self.end(ExitReason::StreamEnded);
    }
}

struct PublisherChild {
    ending: Ending,
    _addr: Addr<Publisher>,
}

impl PublisherChild {
    fn new(ending: Ending, addr: Addr<Publisher>) -> Self {
        metric::publishers().increment(1.0);
        Self { ending, _addr: addr }
    }
}

impl Drop for PublisherChild {
    fn drop(&mut self) {
        metric::publishers().decrement(1.0);
        self.ending.end(ExitReason::StreamEnded);
    }
}

struct MediaOwner(Arc<StreamMedia>);

impl Drop for MediaOwner {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What a stream shares with its application.
pub(crate) struct Birth {
    /// Ended when the application forgets the stream, or dies.
    pub life: Ending,
    /// Players may come: set when the tracks are known, cleared at the end.
    pub playable: Arc<AtomicBool>,
}

pub(crate) struct Stream {
    app: AppName,
    id: StreamId,
    services: Arc<Services>,
    media: MediaOwner,
    /// What it shares with its application.
    birth: Birth,
    since: WallTime,
    ending: bool,
    publisher: Option<PublisherChild>,
    players: Players,
    statistics: Measured,
    publisher_ends: Obituaries<PublisherEnd>,
    subscriber_ends: Obituaries<SubscriberEnd>,
    guard: Obituary<StreamEnd>,
}

impl Stream {
    pub(crate) fn new(
        app: AppName,
        id: StreamId,
        services: Arc<Services>,
        birth: Birth,
        guard: Obituary<StreamEnd>,
    ) -> Self {
        let media = StreamMedia::new(&services.media);
        let statistics = services.statistics.follow(&app, &id, &media, &services.clock);
        Self {
            app,
            id,
            since: services.clock.wall(),
            media: MediaOwner(media),
            statistics,
            services,
            birth,
            ending: false,
            publisher: None,
            players: Players::default(),
            publisher_ends: Obituaries::default(),
            subscriber_ends: Obituaries::default(),
            guard,
        }
    }

    fn listen(&self, ctx: &mut Context<Self>) {
        let publishers = self.publisher_ends.clone();
        let subscribers = self.subscriber_ends.clone();
        let next = async move {
            tokio::select! {
                ends = publishers.next() => ends.into_iter().map(Note::Publisher).collect::<Vec<_>>(),
                ends = subscribers.next() => ends.into_iter().map(Note::Subscriber).collect(),
            }
        };
        ctx.spawn(next.into_actor(self).map(|notes, stream, ctx| {
            for note in notes {
                match note {
                    Note::Publisher(end) => stream.publisher_gone(end, ctx),
                    Note::Subscriber(end) => stream.subscriber_gone(&end),
                }
            }
            stream.listen(ctx);
        }));
    }

    fn subscriber_gone(&mut self, end: &SubscriberEnd) {
        self.players.0.remove(&end.session);
        self.statistics.set_players(self.players.0.len());
        let reason = end.ending.reason().unwrap_or(ExitReason::Failed);
        metric::player_ended(reason.label()).increment(1);
        tracing::info!(app = %self.app, stream = %self.id, session = %end.session, %reason, "player ended");
    }

    fn publisher_gone(&mut self, end: PublisherEnd, ctx: &mut Context<Self>) {
        let reason = end.ending.reason().unwrap_or(ExitReason::Failed);
        metric::publisher_ended(reason.label()).increment(1);
        tracing::info!(app = %self.app, stream = %self.id, %reason, "publisher ended");
        self.publisher = None;
        self.finish(reason, ctx);
    }

    /// Ends players and media, records the end of the broadcast, and stops.
    fn finish(&mut self, reason: ExitReason, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.ending, true) {
            return;
        }
        self.birth.playable.store(false, Ordering::Release);
        self.players.end(match reason {
            ExitReason::Finished | ExitReason::Kicked => ExitReason::Finished,
            ExitReason::Draining => ExitReason::Draining,
            _ => ExitReason::StreamEnded,
        });
        self.media.0.close();
        let broadcasts = self.services.broadcasts.clone();
        let (app, id) = (self.app.clone(), self.id.clone());
        let record = async move { broadcasts.ended(&app, &id).await };
        ctx.spawn(record.into_actor(self).map(|outcome, stream, ctx| {
            match outcome {
                Ok(()) => stream.guard.edit(|note| note.recorded = true),
                Err(error) => {
                    tracing::error!(app = %stream.app, stream = %stream.id, %error, "the end of the broadcast was not recorded");
                }
            }
            ctx.stop();
        }));
    }

    fn is_playable(&self) -> bool {
        self.birth.playable.load(Ordering::Acquire)
    }

    fn beat(&self, ctx: &mut Context<Self>) {
        if self.ending {
            return;
        }
        let (broadcasts, app, id) = (self.services.broadcasts.clone(), self.app.clone(), self.id.clone());
        let beat = self.statistics.figures().heartbeat;
        ctx.spawn(async move { broadcasts.heartbeat(&app, &id, beat).await }.into_actor(self).map(
            |outcome, stream, _| {
                if let Err(error) = outcome {
                    tracing::warn!(app = %stream.app, stream = %stream.id, %error, "statistics were not recorded");
                }
            },
        ));
    }
}

impl Actor for Stream {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        expose::<Self>(ActorKind::Stream, ctx);
        ctx.set_mailbox_capacity(limits::MAILBOX_MESSAGES_MAX);
        metric::streams().increment(1.0);
        self.listen(ctx);
        let life = self.birth.life.clone();
        ctx.spawn(
            async move { life.ended().await }
                .into_actor(self)
                .map(|reason, stream, ctx| stream.finish(reason, ctx)),
        );
        ctx.run_interval(HEARTBEAT, |stream, ctx| stream.beat(ctx));
        ctx.run_interval(SAMPLE, |stream, _| stream.statistics.sample());
        for factory in &self.services.readers {
            actix_rt::spawn(serve(
                Arc::clone(factory),
                self.app.clone(),
                self.id.clone(),
                Arc::clone(&self.media.0),
            ));
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        metric::streams().decrement(1.0);
    }
}

/// Runs a reader until the stream is closed; one that panics is made anew.
async fn serve(factory: Arc<dyn ReaderFactory>, app: AppName, id: StreamId, media: Arc<StreamMedia>) {
    loop {
        let serving = factory.serve(&app, &id, Arc::clone(&media));
        match tokio::spawn(serving).await {
            Ok(()) => return,
            Err(_) if media.is_closed() => return,
            Err(error) => {
                metric::actor_restarts(factory.name()).increment(1);
                tracing::error!(%app, stream = %id, reader = factory.name(), %error, "a reader died and is made anew");
                // One that dies at once must not spin.
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }
}

/// A publisher that passed the gate begins.
#[derive(Message)]
#[rtype(result = "Result<PublishGrant, PublishError>")]
pub(crate) struct BeginPublish {
    pub permit: Permit,
    pub facts: PublisherFacts,
    pub began: tokio::sync::oneshot::Sender<()>,
}

impl Handler<BeginPublish> for Stream {
    type Result = ResponseActFuture<Self, Result<PublishGrant, PublishError>>;

    fn handle(&mut self, begin: BeginPublish, _: &mut Self::Context) -> Self::Result {
        let (broadcasts, app, id) = (self.services.broadcasts.clone(), self.app.clone(), self.id.clone());
        let started = StreamStarted {
            publish_type: begin.facts.publish_type.to_owned(),
            remote_ip: begin.facts.remote_ip,
            user_agent: begin.facts.user_agent,
        };
        let record = async move { broadcasts.started(&app, &id, started).await };
        let (permit, began) = (begin.permit, begin.began);
        Box::pin(record.into_actor(self).map(move |outcome, stream, ctx| {
            if let Err(error) = outcome {
                tracing::error!(app = %stream.app, stream = %stream.id, %error, "the start of the broadcast was not recorded");
                stream.guard.edit(|note| note.permit = Some(permit));
                stream.finish(ExitReason::Failed, ctx);
                return Err(PublishError::StoreUnavailable);
            }
            let life = permit.life();
            // The seat is free only when the application has forgotten the stream, in whatever way it ends.
            stream.guard.edit(|note| note.permit = Some(permit));
            if stream.ending {
                return Err(PublishError::Overloaded);
            }
            let ending = Ending::new();
            let end = PublisherEnd { ending: ending.clone() };
            let publisher = Publisher::new(ending.clone(), life, stream.publisher_ends.guard(end));
            stream.publisher = Some(PublisherChild::new(ending.clone(), publisher.start()));
            Ok(PublishGrant {
                media: Arc::clone(&stream.media.0),
                start: MediaTime::ZERO,
                ending,
                began: Some(began),
            })
        }))
    }
}

/// A player that passed the gate joins; its actor runs on `arbiter`.
#[derive(Message)]
#[rtype(result = "Result<PlayGrant, PlayError>")]
pub(crate) struct BeginPlay {
    pub permit: Permit,
    pub ending: Ending,
    pub arbiter: ArbiterHandle,
}

impl Handler<BeginPlay> for Stream {
    type Result = Result<PlayGrant, PlayError>;

    fn handle(&mut self, begin: BeginPlay, _: &mut Self::Context) -> Self::Result {
        if !self.is_playable() {
            return Err(PlayError::NoSuchStream);
        }
        if self.players.0.len() >= limits::SUBSCRIBERS_PER_STREAM_MAX {
            return Err(PlayError::TooManyPlayers);
        }
        let session = begin.permit.session();
        let ending = begin.ending;
        let end = SubscriberEnd { session, ending: ending.clone() };
        let guard = self.subscriber_ends.guard(end);
        self.players.0.insert(session, ending.clone());
        self.statistics.set_players(self.players.0.len());
        tracing::info!(app = %self.app, stream = %self.id, %session, peer = %begin.permit.peer(), "player begins");
        let permit = begin.permit;
        let of_subscriber = ending.clone();
        let subscriber = Subscriber::start_in_arbiter(&begin.arbiter, move |ctx| {
            ctx.set_mailbox_capacity(limits::SUBSCRIBER_MAILBOX_MESSAGES_MAX);
            Subscriber::new(permit, of_subscriber, guard)
        });
        Ok(PlayGrant { media: Arc::clone(&self.media.0), subscriber, ending })
    }
}

/// The publisher's tracks are known: players may come.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Began;

impl Handler<Began> for Stream {
    type Result = ();

    fn handle(&mut self, _: Began, ctx: &mut Self::Context) {
        if !self.ending {
            self.birth.playable.store(true, Ordering::Release);
            self.beat(ctx);
        }
    }
}

/// Ends the stream's publisher, and with it the stream.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct End(pub ExitReason);

impl Handler<End> for Stream {
    type Result = ();

    fn handle(&mut self, End(reason): End, ctx: &mut Self::Context) {
        match &self.publisher {
            Some(publisher) => {
                publisher.ending.end(reason);
            }
            None => self.finish(reason, ctx),
        }
    }
}

/// What the stream is now.
#[derive(Message)]
#[rtype(result = "Option<LiveStream>")]
pub(crate) struct Describe;

impl Handler<Describe> for Stream {
    type Result = Option<LiveStream>;

    fn handle(&mut self, _: Describe, _: &mut Self::Context) -> Self::Result {
        self.is_playable().then(|| LiveStream {
            app: self.app.clone(),
            id: self.id.clone(),
            media: Arc::clone(&self.media.0),
            since: self.since,
            players: self.players.0.len(),
        })
    }
}
