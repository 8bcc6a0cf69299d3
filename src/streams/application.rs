//! An application's actor: supervises its streams, and keeps who waits for one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::prelude::*;
use actix_rt::ArbiterHandle;
use base::{AppName, ExitReason, StreamId, limits};
use observe::metric;
use security::Permit;
use tokio::sync::{oneshot, watch};

use crate::applications::{Died, Services};
use crate::ending::Ending;
use crate::fault::{ActorKind, expose};
use crate::grants::{LiveStream, PlayError, PlayGrant, PublishError, PublishGrant, PublisherFacts};
use crate::obituary::{Obituaries, Obituary};
use crate::stream::{Began, BeginPlay, BeginPublish, Birth, Describe, End, Stream, StreamEnd};

/// Between two tries to record the end of a stream that died.
const RECORD_AGAIN: Duration = Duration::from_secs(1);

struct Child {
    incarnation: u64,
    addr: Addr<Stream>,
    /// Ended when the application forgets the stream, or dies.
    life: Ending,
    /// Its tracks are known and it goes on: who waits now need not wait. Shared with the stream.
    playable: Arc<AtomicBool>,
}

impl Drop for Child {
    fn drop(&mut self) {
        self.life.end(ExitReason::StreamEnded);
    }
}

/// Whether it is one of the node's applications.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Open,
    /// It is taken out: no stream begins any more, and those that are there end.
    Closing,
    /// They have: it ends when nothing of them is left to be done.
    Ended,
}

/// One application of the node.
pub struct Application {
    name: AppName,
    services: Arc<Services>,
    streams: BTreeMap<StreamId, Child>,
    incarnations: u64,
    ends: Obituaries<StreamEnd>,
    /// Streams that died before their end was recorded, until it is: none begins under their name before.
    recording: BTreeSet<StreamId>,
    /// Who is to be told when a stream begins.
    waiting: HashMap<StreamId, watch::Sender<bool>>,
    standing: Standing,
    _guard: Obituary<Died>,
}

impl Application {
    pub(crate) fn new(name: AppName, services: Arc<Services>, guard: Obituary<Died>) -> Self {
        Self {
            name,
            services,
            streams: BTreeMap::new(),
            incarnations: 0,
            ends: Obituaries::default(),
            recording: BTreeSet::new(),
            waiting: HashMap::new(),
            standing: Standing::Open,
            _guard: guard,
        }
    }

    fn listen(&self, ctx: &mut Context<Self>) {
        let ends = self.ends.clone();
        ctx.spawn(async move { ends.next().await }.into_actor(self).map(|ends, app, ctx| {
            for end in ends {
                app.stream_gone(end, ctx);
            }
            app.listen(ctx);
        }));
    }

    fn stream_gone(&mut self, end: StreamEnd, ctx: &mut Context<Self>) {
        if self.streams.get(&end.id).is_some_and(|child| child.incarnation == end.incarnation) {
            self.streams.remove(&end.id);
        }
        if end.recorded {
            self.end_if_over(ctx);
            return;
        }
        // The stream died without recording its end: it is done here, and only then is its
        // publisher's seat given back.
        metric::actor_restarts("stream").increment(1);
        self.recording.insert(end.id.clone());
        let (claims, name, id) = (self.services.claims.clone(), self.name.clone(), end.id);
        ctx.spawn(
            async move {
                while let Err(error) = claims.end(&name, &id).await {
                    tracing::error!(app = %name, stream = %id, %error, "the end of the broadcast is not recorded yet");
                    tokio::time::sleep(RECORD_AGAIN).await;
                }
                id
            }
            .into_actor(self)
            .map(move |id, app, ctx| {
                app.recording.remove(&id);
                drop(end.permit);
                app.end_if_over(ctx);
            }),
        );
    }

    /// One that is taken out ends when nothing of its streams is left to be done.
    fn end_if_over(&self, ctx: &mut Context<Self>) {
        if self.standing == Standing::Ended && self.streams.is_empty() && self.recording.is_empty() {
            ctx.stop();
        }
    }

    /// The stream of a publisher that passed the gate: its own, or that of one it may take over.
    fn stream(&mut self, id: &StreamId) -> Result<Addr<Stream>, PublishError> {
        if self.standing != Standing::Open {
            return Err(PublishError::NoSuchApplication);
        }
        if self.recording.contains(id) {
            return Err(PublishError::AlreadyLive);
        }
        if let Some(child) = self.streams.get(id) {
            return Ok(child.addr.clone());
        }
        if self.streams.len() >= limits::STREAMS_PER_APPLICATION_MAX {
            return Err(PublishError::Overloaded);
        }
        self.incarnations += 1;
        let incarnation = self.incarnations;
        let end = StreamEnd { id: id.clone(), incarnation, permit: None, recorded: false };
        let life = Ending::new();
        let playable = Arc::new(AtomicBool::new(false));
        let birth = Birth { life: life.clone(), playable: Arc::clone(&playable) };
        let guard = self.ends.guard(end);
        let addr =
            Stream::new(self.name.clone(), id.clone(), Arc::clone(&self.services), birth, guard).start();
        self.streams.insert(id.clone(), Child { incarnation, addr: addr.clone(), life, playable });
        Ok(addr)
    }
}

impl Actor for Application {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        expose::<Self>(ActorKind::Application, ctx);
        ctx.set_mailbox_capacity(limits::MAILBOX_MESSAGES_MAX);
        self.listen(ctx);
    }
}

/// A publisher that passed the gate begins its stream.
#[derive(Message)]
#[rtype(result = "Result<PublishGrant, PublishError>")]
pub(crate) struct Publish {
    pub permit: Permit,
    pub facts: PublisherFacts,
}

impl Handler<Publish> for Application {
    type Result = ResponseActFuture<Self, Result<PublishGrant, PublishError>>;

    fn handle(&mut self, publish: Publish, ctx: &mut Self::Context) -> Self::Result {
        let id = publish.permit.stream().clone();
        let stream = match self.stream(&id) {
            Ok(stream) => stream,
            Err(error) => return Box::pin(actix::fut::ready(Err(error))),
        };
        let (began, begins) = oneshot::channel();
        let of_began = stream.clone();
        ctx.spawn(
            async move {
                // The publisher may be gone before its tracks were known; then nothing begins.
                begins.await.is_ok() && of_began.send(Began).await.is_ok()
            }
            .into_actor(self)
            .map(move |began, app, _| {
                if !began {
                    return;
                }
                let playable =
                    app.streams.get(&id).is_some_and(|child| child.playable.load(Ordering::Acquire));
                if playable && let Some(waiting) = app.waiting.remove(&id) {
                    waiting.send_replace(true);
                }
            }),
        );
        let begin = BeginPublish { permit: publish.permit, facts: publish.facts, began };
        Box::pin(
            // A stream that is gone meanwhile was live until now.
            async move { stream.send(begin).await.unwrap_or(Err(PublishError::AlreadyLive)) }
                .into_actor(self),
        )
    }
}

/// A player that passed the gate joins a stream.
#[derive(Message)]
#[rtype(result = "Result<PlayGrant, PlayError>")]
pub(crate) struct Play {
    pub permit: Permit,
    pub ending: Ending,
    pub arbiter: ArbiterHandle,
}

impl Handler<Play> for Application {
    type Result = ResponseFuture<Result<PlayGrant, PlayError>>;

    fn handle(&mut self, play: Play, _: &mut Self::Context) -> Self::Result {
        let Some(child) = self.streams.get(play.permit.stream()) else {
            return Box::pin(std::future::ready(Err(PlayError::NoSuchStream)));
        };
        let stream = child.addr.clone();
        let begin = BeginPlay { permit: play.permit, ending: play.ending, arbiter: play.arbiter };
        Box::pin(async move { stream.send(begin).await.unwrap_or(Err(PlayError::NoSuchStream)) })
    }
}

/// Asks to be told when a stream begins; `None` when too many wait already.
#[derive(Message)]
#[rtype(result = "Option<watch::Receiver<bool>>")]
pub(crate) struct Wait(pub StreamId);

impl Handler<Wait> for Application {
    type Result = Option<watch::Receiver<bool>>;

    fn handle(&mut self, Wait(id): Wait, _: &mut Self::Context) -> Self::Result {
        // It may have begun between the asker's try and its wait.
        if self.streams.get(&id).is_some_and(|child| child.playable.load(Ordering::Acquire)) {
            return Some(watch::Sender::new(true).subscribe());
        }
        if self.standing != Standing::Open {
            return None;
        }
        if self.waiting.len() >= limits::WAITERS_PER_APPLICATION_MAX {
            self.waiting.retain(|_, waiting| waiting.receiver_count() > 0);
            if self.waiting.len() >= limits::WAITERS_PER_APPLICATION_MAX {
                return None;
            }
        }
        Some(self.waiting.entry(id).or_insert_with(|| watch::Sender::new(false)).subscribe())
    }
}

/// One stream, if it is live.
#[derive(Message)]
#[rtype(result = "Option<LiveStream>")]
pub(crate) struct Find(pub StreamId);

impl Handler<Find> for Application {
    type Result = ResponseFuture<Option<LiveStream>>;

    fn handle(&mut self, Find(id): Find, _: &mut Self::Context) -> Self::Result {
        let stream = self.streams.get(&id).map(|child| child.addr.clone());
        Box::pin(async move { stream?.send(Describe).await.ok().flatten() })
    }
}

/// Waits until an actor is gone. It has no wake-up for that, so it is looked at.
async fn gone(stream: &Addr<Stream>) {
    while stream.connected() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Ends a stream and waits until it is gone; `false` when it was not live.
#[derive(Message)]
#[rtype(result = "bool")]
pub(crate) struct Stop(pub StreamId, pub ExitReason);

impl Handler<Stop> for Application {
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, Stop(id, reason): Stop, _: &mut Self::Context) -> Self::Result {
        let stream = self.streams.get(&id).map(|child| child.addr.clone());
        Box::pin(async move {
            match stream {
                Some(stream) => {
                    let ended = stream.send(End(reason)).await.is_ok();
                    gone(&stream).await;
                    ended
                }
                None => false,
            }
        })
    }
}

/// Lets nobody in any more, ends every stream, waits until all are gone, and ends.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Close(pub ExitReason);

impl Handler<Close> for Application {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, Close(reason): Close, _: &mut Self::Context) -> Self::Result {
        self.standing = Standing::Closing;
        // Who waits for a stream is told that it need not.
        self.waiting.clear();
        let streams: Vec<_> = self.streams.values().map(|child| child.addr.clone()).collect();
        let ended = async move {
            for stream in &streams {
                // A stream that is gone already is ended.
                let _ = stream.send(End(reason)).await;
            }
            for stream in &streams {
                gone(stream).await;
            }
        };
        Box::pin(ended.into_actor(self).map(|(), app, ctx| {
            app.standing = Standing::Ended;
            app.end_if_over(ctx);
        }))
    }
}

/// Ends every stream and waits until all are gone.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Drain;

impl Handler<Drain> for Application {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        let streams: Vec<_> = self.streams.values().map(|child| child.addr.clone()).collect();
        Box::pin(async move {
            for stream in &streams {
                // A stream that is gone already is drained.
                let _ = stream.send(End(ExitReason::Draining)).await;
            }
            for stream in &streams {
                gone(stream).await;
            }
        })
    }
}

/// Has a stream panic.
#[cfg(test)]
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct FaultStream(pub StreamId);

#[cfg(test)]
impl Handler<FaultStream> for Application {
    type Result = ();

    fn handle(&mut self, FaultStream(id): FaultStream, _: &mut Self::Context) {
        let stream = &self.streams.get(&id).expect("a live stream").addr;
        stream.try_send(crate::fault::Fault).expect("a mailbox with room");
    }
}
