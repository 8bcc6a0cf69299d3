//! A stream's media: its catalogue, its demands, its messages, and the wake-ups for all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base::{TrackId, limits};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::bell::{Bell, Bells};
use crate::budget::{MediaBudget, UnfinishedMessages};
use crate::catalogue::{Catalogue, TrackInfo, Unmade};
use crate::clock::{StreamClock, StreamPosition};
use crate::codec::{CodecConfig, Kind};
use crate::messages::{DataMessage, MessageError, MessageRing};
use crate::track::{Track, TrackWriter};

/// What readers of a stream want that its source may not send; whoever makes derived tracks
/// (`transcode`) follows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// WebRTC players, who need what the codec table says.
    pub webrtc: usize,
}

/// The media of one stream, shared by its writer, its readers and the actors that own it.
///
/// The catalogue is a watched value: readers see the newest version, never a queue of versions.
#[derive(Debug)]
pub struct StreamMedia {
    catalogue: watch::Sender<Arc<Catalogue>>,
    change: Mutex<()>,
    /// Grows with every change of the catalogue and at the end: what a reader of many streams looks at.
    changes: AtomicU64,
    bells: Bells,
    demand: watch::Sender<Demand>,
    closed: watch::Sender<bool>,
    /// Bytes its publishers sent.
    received: AtomicU64,
    picture_lag_us: AtomicU64,
    sound_lag_us: AtomicU64,
    budget: Arc<MediaBudget>,
    clock: Arc<StreamClock>,
    messages: Arc<MessageRing>,
}

impl StreamMedia {
    /// A stream without tracks; what they will hold is charged to `budget`.
    pub fn new(budget: &Arc<MediaBudget>) -> Arc<Self> {
        Arc::new(Self {
            catalogue: watch::Sender::new(Arc::new(Catalogue::default())),
            change: Mutex::new(()),
            changes: AtomicU64::new(0),
            bells: Bells::default(),
            demand: watch::Sender::new(Demand::default()),
            closed: watch::Sender::new(false),
            received: AtomicU64::new(0),
            picture_lag_us: AtomicU64::new(0),
            sound_lag_us: AtomicU64::new(0),
            budget: Arc::clone(budget),
            clock: Arc::default(),
            messages: MessageRing::new(budget),
        })
    }

    /// The tracks now.
    pub fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(&self.catalogue.borrow())
    }

    /// Counts bytes that came from the publisher, whatever carried them.
    pub fn count_received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes that came from the publisher so far.
    pub fn received_bytes(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// How often the stream has changed: its catalogue, or its end. One load, no lock.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Hangs a bell that is rung with every change and every message.
    pub fn hang(&self, bell: &Bell) {
        self.bells.hang(bell);
    }

    /// Takes a bell down.
    pub fn take_down(&self, bell: &Bell) {
        self.bells.take_down(bell);
    }

    /// Follows the catalogue.
    pub fn watch(&self) -> watch::Receiver<Arc<Catalogue>> {
        self.catalogue.subscribe()
    }

    /// What is said along with the stream, to be read with a cursor; [`StreamMedia::hang`] tells of what is new.
    pub fn messages(&self) -> &Arc<MessageRing> {
        &self.messages
    }

    /// The account of what a player of the stream has unfinished; dropped, it gives back what it holds.
    pub fn unfinished(&self) -> UnfinishedMessages {
        self.budget.unfinished()
    }

    /// Says something to those it is for: the players, the publisher, never who said it.
    ///
    /// # Errors
    /// It is too large, no text though it is said to be, or the stream has ended; nobody is told of it.
    pub fn send_message(&self, message: DataMessage) -> Result<(), MessageError> {
        self.messages.push(message)?;
        self.bells.ring();
        Ok(())
    }

    /// Adds a track, or takes over the one of that name and codec (its writer is fenced); a
    /// configuration that differs raises the track's generation. A track whose codec changed is
    /// replaced by a new one under its name. `None` beyond [`limits::TRACKS_PER_STREAM_MAX`] and
    /// once the stream is closed.
    pub fn write_track(
        &self,
        id: &TrackId,
        config: &CodecConfig,
        derived_from: Option<&TrackId>,
    ) -> Option<TrackWriter> {
        let _one_at_a_time = self.change.lock();
        if self.is_closed() {
            return None;
        }
        let mut next = (*self.catalogue()).clone();
        let full = next.tracks.len() >= limits::TRACKS_PER_STREAM_MAX;
        let writer = match next.tracks.iter_mut().find(|info| info.id == *id) {
            Some(info) if info.config.codec() == config.codec() => {
                if info.config == *config {
                    return Some(info.track.writer());
                }
                let writer = info.track.reconfigure(config);
                info.config = config.clone();
                info.generation = writer.generation();
                // What was seen before stands, unless this configuration rules it out.
                info.reorders &= matches!(config, CodecConfig::H264(h264) if h264.may_have_b_frames());
                writer
            }
            held => {
                let clock = derived_from.is_none().then(|| Arc::clone(&self.clock));
                let track = Track::in_stream(config.clone(), &self.budget, clock);
                let writer = track.writer();
                let info = TrackInfo {
                    id: id.clone(),
                    config: config.clone(),
                    generation: 1,
                    reorders: false,
                    derived_from: derived_from.cloned(),
                    unmade: None,
                    track,
                };
                match held {
                    Some(old) => std::mem::replace(old, info).track.close(),
                    None if full => return None,
                    None => next.tracks.push(info),
                }
                writer
            }
        };
        self.publish(next);
        Some(writer)
    }

    /// Says whether a track's pictures are shown in another order than they are decoded in.
    pub fn say_reorders(&self, id: &TrackId, reorders: bool) {
        let _one_at_a_time = self.change.lock();
        let mut next = (*self.catalogue()).clone();
        if let Some(info) = next.tracks.iter_mut().find(|info| info.id == *id && info.reorders != reorders) {
            info.reorders = reorders;
            self.publish(next);
        }
    }

    /// Says why what players need is not made from a track, or that it is or will be (`None`).
    pub fn say_unmade(&self, id: &TrackId, why: Option<Unmade>) {
        let _one_at_a_time = self.change.lock();
        let mut next = (*self.catalogue()).clone();
        if let Some(info) = next.tracks.iter_mut().find(|info| info.id == *id && info.unmade != why) {
            info.unmade = why;
            self.publish(next);
        }
    }

    /// How much later than the source's own what WebRTC players get of a kind is, where it is made by another
    /// program; zero where it is not.
    pub fn lag(&self, kind: Kind) -> Duration {
        Duration::from_micros(self.lag_us(kind).load(Ordering::Relaxed))
    }

    /// To be told by who makes tracks for WebRTC players.
    pub fn set_lag(&self, kind: Kind, lag: Duration) {
        self.lag_us(kind).store(u64::try_from(lag.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    const fn lag_us(&self, kind: Kind) -> &AtomicU64 {
        match kind {
            Kind::Video => &self.picture_lag_us,
            Kind::Audio => &self.sound_lag_us,
        }
    }

    /// Where the stream's clock stands; `None` before its source's first unit.
    pub fn position(&self) -> Option<StreamPosition> {
        self.clock.position()
    }

    /// Another publisher takes over: whoever wrote the source's tracks is fenced. The tracks and their
    /// readers stay, for the next [`StreamMedia::write_track`] or [`StreamMedia::remove_track`].
    pub fn take_over(&self) {
        let _one_at_a_time = self.change.lock();
        for info in self.catalogue().tracks.iter().filter(|info| info.derived_from.is_none()) {
            info.track.fence();
        }
    }

    /// Takes a track out and ends it for its readers. Nothing happens if there is none of that name.
    pub fn remove_track(&self, id: &TrackId) {
        let _one_at_a_time = self.change.lock();
        let mut next = (*self.catalogue()).clone();
        if next.track(id).is_none() {
            return;
        }
        next.tracks.retain(|info| {
            let stays = info.id != *id;
            if !stays {
                info.track.close();
            }
            stays
        });
        self.publish(next);
    }

    /// Ends the stream: every track ends for its readers, and no more are added.
    pub fn close(&self) {
        let _one_at_a_time = self.change.lock();
        self.closed.send_replace(true);
        self.messages.close();
        for info in &self.catalogue().tracks {
            info.track.close();
        }
        self.tell();
    }

    /// Whether the stream has ended.
    pub fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Waits for the end of the stream.
    pub async fn closed(&self) {
        let mut closed = self.closed.subscribe();
        // The sender lives as long as `self`, so the wait ends only with the value.
        let _ended = closed.wait_for(|closed| *closed).await;
    }

    /// Says that a WebRTC player needs what can be sent to it, for as long as the guard lives.
    pub fn want_for_webrtc(self: &Arc<Self>) -> DemandGuard {
        self.demand.send_modify(|demand| demand.webrtc += 1);
        DemandGuard { media: Arc::clone(self) }
    }

    /// What readers want now, and how it changes.
    pub fn demand(&self) -> watch::Receiver<Demand> {
        self.demand.subscribe()
    }

    fn publish(&self, mut next: Catalogue) {
        next.version += 1;
        self.catalogue.send_replace(Arc::new(next));
        self.tell();
    }

    fn tell(&self) {
        self.changes.fetch_add(1, Ordering::Release);
        self.bells.ring();
    }
}

/// A player's wish for what it can be sent; dropped, the wish ends.
#[derive(Debug)]
pub struct DemandGuard {
    media: Arc<StreamMedia>,
}

impl Drop for DemandGuard {
    fn drop(&mut self) {
        self.media.demand.send_modify(|demand| demand.webrtc -= 1);
    }
}

#[cfg(test)]
mod tests;
