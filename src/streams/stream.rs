//! A stream's actor: supervises its publisher, its subscribers and its readers.

mod children;
mod playing;
mod publishing;
mod report;
mod tenure;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::prelude::*;
use base::{AppName, ExitReason, StreamId, WallTime, limits};
use media::StreamMedia;
use observe::metric;
use security::Permit;

use crate::applications::Services;
use crate::ending::Ending;
use crate::fault::{ActorKind, expose};
use crate::obituary::{Obituaries, Obituary};
use crate::publisher::PublisherEnd;
use crate::reader::ReaderFactory;
use crate::statistics::Measured;
use crate::subscriber::SubscriberEnd;
use children::{MediaOwner, Players, PublisherChild};
use tenure::{Held, Tenure};

pub(crate) use playing::BeginPlay;
pub(crate) use publishing::BeginPublish;
pub(crate) use report::Describe;

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
    /// How the newest publisher has the stream; `None` before the first.
    tenure: Option<Arc<Tenure>>,
    /// A publisher is being let in.
    coming: bool,
    /// It will be told when the stream is another node's.
    claim_watched: bool,
    /// The end of the wait for a publisher to come back.
    waiting: Option<SpawnHandle>,
    players: Players,
    /// It is over, and goes when its last player has.
    waits_for_players: bool,
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
            tenure: None,
            coming: false,
            claim_watched: false,
            waiting: None,
            players: Players::default(),
            waits_for_players: false,
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
                    Note::Publisher(end) => stream.publisher_gone(&end, ctx),
                    Note::Subscriber(end) => stream.subscriber_gone(&end, ctx),
                }
            }
            stream.listen(ctx);
        }));
    }

    /// Ends the stream, with its publisher if it has one.
    fn end(&mut self, reason: ExitReason, ctx: &mut Context<Self>) {
        // A publisher that is told now takes the stream with it. One that had ended before, and whose end is still on
        // its way, would be waited for.
        let told = self.publisher.as_ref().is_some_and(|publisher| publisher.ending.end(reason));
        if !told || self.coming {
            self.finish(reason, ctx);
        }
    }

    /// Ends players and media, records the end of the broadcast, and stops.
    fn finish(&mut self, reason: ExitReason, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.ending, true) {
            return;
        }
        self.birth.playable.store(false, Ordering::Release);
        if let Some(tenure) = &self.tenure {
            tenure.set(Held::Ending);
        }
        tracing::info!(app = %self.app, stream = %self.id, %reason, "the stream ends");
        self.players.end(match reason {
            ExitReason::Finished | ExitReason::Kicked => ExitReason::Finished,
            ExitReason::Draining => ExitReason::Draining,
            _ => ExitReason::StreamEnded,
        });
        self.media.0.close();
        let claims = self.services.claims.clone();
        let (app, id) = (self.app.clone(), self.id.clone());
        let record = async move { claims.end(&app, &id).await };
        ctx.spawn(record.into_actor(self).map(move |outcome, stream, ctx| {
            match outcome {
                Ok(()) => stream.guard.edit(|note| note.recorded = true),
                Err(error) => {
                    tracing::error!(app = %stream.app, stream = %stream.id, %error, "the end of the broadcast was not recorded");
                }
            }
            // A node that stops waits for nobody but its streams.
            stream.waits_for_players = reason == ExitReason::Draining && !stream.players.0.is_empty();
            if !stream.waits_for_players {
                ctx.stop();
            }
        }));
    }

    fn is_playable(&self) -> bool {
        self.birth.playable.load(Ordering::Acquire)
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
        ctx.run_interval(report::HEARTBEAT, |stream, ctx| stream.beat(ctx));
        ctx.run_interval(limits::FACT_SUMMARY_EVERY, |stream, _| stream.sum_up());
        ctx.run_interval(report::SAMPLE, |stream, _| {
            stream.statistics.sample();
            stream.media.0.messages().forget_old(stream.services.clock.now());
        });
        for factory in &self.services.readers {
            actix_rt::spawn(serve(
                Arc::clone(factory),
                self.app.clone(),
                self.id.clone(),
                Arc::clone(&self.media.0),
            ));
        }
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.tell_of_the_rest();
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

/// Ends the stream, with its publisher if it has one.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct End(pub ExitReason);

impl Handler<End> for Stream {
    type Result = ();

    fn handle(&mut self, End(reason): End, ctx: &mut Self::Context) {
        self.end(reason, ctx);
    }
}
