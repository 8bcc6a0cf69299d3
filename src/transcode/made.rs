//! Tracks that another program makes, or that pictures are left out of: while WebRTC players are there and
//! the source is not what they can be sent.
//!
//! One follower per stream and kind. A child that dies is started anew from the newest key frame; one that
//! dies again and again, or has no room, is said to be unmade, with the reason players are told.

mod child;
mod drop_b;
mod take;
mod units;

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{AppName, Clock, StreamId, TrackId, limits};
use config::BFrames;
use media::{Catalogue, Conversion, Demand, Kind, StreamMedia, TrackInfo, Unmade, Way, webrtc_way};
use observe::metric;
use streams::{ReaderFactory, Serving};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// The tracks made, by kind.
const PICTURES_TRACK: &str = "video-in-order";
const SOUND_TRACK: &str = "audio-plain";

const REFUSED: &str = "has B-frames, which WebRTC cannot show, and this node does not transcode them; \
    switch B-frames off in the encoder (bf=0, or tune zerolatency)";

/// How the node makes tracks; shared by all streams.
#[derive(Clone)]
pub struct Making(Arc<Shared>);

struct Shared {
    ffmpeg: PathBuf,
    b_frames: BFrames,
    pictures: Arc<Semaphore>,
    sounds: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
}

impl Making {
    /// At most `pictures_max` streams' pictures at once.
    pub fn new(ffmpeg: PathBuf, b_frames: BFrames, pictures_max: usize, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Shared {
            ffmpeg,
            b_frames,
            pictures: Arc::new(Semaphore::new(pictures_max)),
            sounds: Arc::new(Semaphore::new(limits::SOUND_CHILDREN_MAX)),
            clock,
        }))
    }

    /// The makers of every stream: one per kind.
    pub fn factories(&self) -> [Arc<dyn ReaderFactory>; 2] {
        [Kind::Video, Kind::Audio].map(|kind| Arc::new(Maker { shared: Arc::clone(&self.0), kind }) as _)
    }
}

struct Maker {
    shared: Arc<Shared>,
    kind: Kind,
}

impl ReaderFactory for Maker {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Video => "picture transcoder",
            Kind::Audio => "sound transcoder",
        }
    }

    fn serve(&self, app: &AppName, stream: &StreamId, media: Arc<StreamMedia>) -> Serving {
        let follower = Follower {
            catalogue: media.watch(),
            demand: media.demand(),
            media,
            shared: Arc::clone(&self.shared),
            kind: self.kind,
            app: app.clone(),
            stream: stream.clone(),
        };
        Box::pin(follower.run())
    }
}

/// Why a track is not made any more.
#[derive(Debug)]
enum End {
    /// The stream is over.
    Closed,
    /// Nobody wants it any more.
    Idle,
    /// The source is another, or needs another configuration.
    Changed,
    /// The node has no room for it now.
    NoRoom(&'static str),
    /// It could not be made.
    Failed {
        /// What players are told.
        told: &'static str,
        /// What the log says.
        why: String,
    },
}

impl End {
    fn failed(why: impl ToString) -> Self {
        Self::Failed { told: "the transcoder failed; the node's log says why", why: why.to_string() }
    }
}

/// Follows one stream.
struct Follower {
    media: Arc<StreamMedia>,
    catalogue: watch::Receiver<Arc<Catalogue>>,
    demand: watch::Receiver<Demand>,
    shared: Arc<Shared>,
    kind: Kind,
    app: AppName,
    stream: StreamId,
}

impl Follower {
    async fn run(mut self) {
        let mut failures = 0;
        while let Some(source) = self.for_work().await {
            let began = self.shared.clock.now();
            let end = self.make(&source).await;
            self.media.set_lag(self.kind, Duration::ZERO);
            self.media.remove_track(&self.id());
            let (told, why, given_up) = match end {
                End::Closed | End::Idle | End::Changed => {
                    failures = 0;
                    self.media.say_unmade(&source.id, None);
                    self.pause(limits::CHILD_RESTART_MIN).await;
                    continue;
                }
                End::NoRoom(told) => (told, told.to_owned(), true),
                End::Failed { told, why } => {
                    failures = if self.lasted(began) { 1 } else { failures + 1 };
                    (told, why, failures >= limits::CHILD_FAILURES_MAX)
                }
            };
            tracing::warn!(
                app = %self.app, stream = %self.stream, kind = self.kind.label(), %why, failures,
                "no transcoding for WebRTC players"
            );
            metric::child_failures(self.kind.label()).increment(1);
            if given_up {
                self.rest(&source, told).await;
            } else {
                self.pause(limits::CHILD_RESTART_MIN * failures).await;
            }
        }
    }

    fn id(&self) -> TrackId {
        let name = match self.kind {
            Kind::Video => PICTURES_TRACK,
            Kind::Audio => SOUND_TRACK,
        };
        TrackId::new(name).unwrap_or_else(|_| unreachable!("{name} is a track's name"))
    }

    fn lasted(&self, began: Instant) -> bool {
        self.shared.clock.now().saturating_duration_since(began) > limits::CHILD_STEADY_MIN
    }

    /// Waits for a source that has to be made into something else for somebody. `None`: the stream is over.
    async fn for_work(&mut self) -> Option<TrackInfo> {
        loop {
            let catalogue = Arc::clone(&self.catalogue.borrow_and_update());
            let wanted = self.demand.borrow_and_update().webrtc > 0;
            if self.media.is_closed() {
                return None;
            }
            // That it is refused has to be known before the first player comes.
            let wanted = wanted || self.refuses();
            if let Some(source) = catalogue.source(self.kind).filter(|source| wanted && needs_making(source))
            {
                return Some(source.clone());
            }
            tokio::select! {
                () = self.media.closed() => return None,
                changed = self.catalogue.changed() => changed.ok()?,
                changed = self.demand.changed() => changed.ok()?,
            }
        }
    }

    fn refuses(&self) -> bool {
        self.kind == Kind::Video && self.shared.b_frames == BFrames::Refuse
    }

    async fn make(&mut self, source: &TrackInfo) -> End {
        if self.refuses() {
            self.media.say_unmade(&source.id, Some(Unmade { why: REFUSED.into(), for_now: false }));
            return self.until_changed(source).await;
        }
        if self.kind == Kind::Video && self.shared.b_frames == BFrames::Drop {
            return self.until_needless(source, drop_b::drop_b_frames(&self.media, source, &self.id())).await;
        }
        let Some(_room) = self.room() else {
            return End::NoRoom(match self.kind {
                Kind::Video => "all transcoders of this node are busy (limits.video_transcoders)",
                Kind::Audio => "all transcoders of this node are busy",
            });
        };
        let _counted = Counted::new(self.kind);
        self.until_needless(source, child::by_child(&self.media, &self.shared, source, &self.id())).await
    }

    fn room(&self) -> Option<OwnedSemaphorePermit> {
        let room = match self.kind {
            Kind::Video => &self.shared.pictures,
            Kind::Audio => &self.shared.sounds,
        };
        Arc::clone(room).try_acquire_owned().ok()
    }

    /// Makes until it fails, or is not needed any more.
    async fn until_needless(&self, source: &TrackInfo, making: impl Future<Output = End>) -> End {
        let (catalogue, demand) = (self.catalogue.clone(), self.demand.clone());
        tokio::select! {
            biased;
            () = self.media.closed() => End::Closed,
            () = changed(catalogue, source) => End::Changed,
            () = idle(demand) => End::Idle,
            end = making => end,
        }
    }

    async fn until_changed(&self, source: &TrackInfo) -> End {
        tokio::select! {
            () = self.media.closed() => End::Closed,
            () = changed(self.catalogue.clone(), source) => End::Changed,
        }
    }

    /// A source that changes at every turn starts no program at every turn.
    async fn pause(&self, time: Duration) {
        tokio::select! {
            () = self.media.closed() => {}
            () = tokio::time::sleep(time) => {}
        }
    }

    /// Tells players why there is nothing for them, until it is tried again. When that was for nothing too, they
    /// were not told otherwise meanwhile.
    async fn rest(&self, source: &TrackInfo, told: &str) {
        let why = format!("has to be transcoded, and cannot be now: {told}").into();
        self.media.say_unmade(&source.id, Some(Unmade { why, for_now: true }));
        let mut demand = self.demand.clone();
        tokio::select! {
            () = self.media.closed() => return,
            () = tokio::time::sleep(limits::CHILD_REST) => return,
            () = changed(self.catalogue.clone(), source) => {}
            // Whoever comes then is to be tried for.
            _ = demand.wait_for(|demand| demand.webrtc == 0) => {}
        }
        self.media.say_unmade(&source.id, None);
    }
}

/// Whether what players get of this source is made here.
fn needs_making(source: &TrackInfo) -> bool {
    matches!(webrtc_way(source), Way::Transcode(Conversion::PicturesInOrder | Conversion::PlainAacThenOpus))
}

/// Waits until a stream's source is not what it was.
async fn changed(mut catalogue: watch::Receiver<Arc<Catalogue>>, source: &TrackInfo) {
    let same = |now: &TrackInfo| {
        Arc::ptr_eq(&now.track, &source.track) && now.generation == source.generation && needs_making(now)
    };
    // An error: the stream is gone, which somebody else waits for.
    let gone = catalogue.wait_for(|now| !now.source(source.kind()).is_some_and(same)).await.is_err();
    if gone {
        std::future::pending::<()>().await;
    }
}

/// Waits until nobody has wanted anything for a while.
async fn idle(mut demand: watch::Receiver<Demand>) {
    loop {
        let nobody = demand.wait_for(|demand| demand.webrtc == 0).await.is_ok();
        if !nobody {
            return std::future::pending().await;
        }
        let mut again = demand.clone();
        let somebody = pin!(again.wait_for(|demand| demand.webrtc > 0));
        if tokio::time::timeout(limits::TRANSCODER_IDLE_MAX, somebody).await.is_err() {
            return;
        }
    }
}

/// Counts the children at work.
struct Counted(Kind);

impl Counted {
    fn new(kind: Kind) -> Self {
        metric::children(kind.label()).increment(1.0);
        Self(kind)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metric::children(self.0.label()).decrement(1.0);
    }
}

#[cfg(test)]
mod tests;
