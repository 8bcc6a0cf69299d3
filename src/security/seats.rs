//! Who sits where on this node.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use base::{AppName, StreamId};
use parking_lot::Mutex;

use crate::slots::{Slot, Whose};
use crate::{Denial, Direction, Viewer};

/// The limits a seat is taken under; `None`: any number.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SeatLimits {
    pub publishers_of_app: Option<usize>,
    pub players_of_app: Option<usize>,
    pub players_of_stream: Option<usize>,
}

/// All seats of a node. Bounded by the sessions of the node.
#[derive(Debug, Default)]
pub(crate) struct Seats(Mutex<BTreeMap<AppName, AppSeats>>);

#[derive(Debug, Default)]
struct AppSeats {
    publishers: usize,
    /// Of its streams as they go.
    players: usize,
    streams: BTreeMap<StreamId, StreamSeats>,
}

#[derive(Debug, Default)]
struct StreamSeats {
    publisher: Option<Arc<Holder>>,
    players: Players,
}

/// Players of a stream, by the limit they count in.
#[derive(Debug, Default)]
struct Players {
    streamed: usize,
    playlist: usize,
    manifest: usize,
    file: usize,
}

impl Players {
    const fn of(&mut self, viewer: Viewer) -> &mut usize {
        match viewer {
            Viewer::Streamed => &mut self.streamed,
            Viewer::Playlist => &mut self.playlist,
            Viewer::Manifest => &mut self.manifest,
            Viewer::File => &mut self.file,
        }
    }

    const fn is_empty(&self) -> bool {
        self.streamed == 0 && self.playlist == 0 && self.manifest == 0 && self.file == 0
    }
}

impl StreamSeats {
    /// Whether somebody publishes who does not give way.
    fn is_held(&self) -> bool {
        self.publisher.as_ref().is_some_and(|holder| !holder.gives_way())
    }
}

/// Whether whoever has a publish seat gives way now. Asked with the seats locked: it must not ask the gate.
type GivesWay = Box<dyn Fn() -> bool + Send + Sync>;

/// Who publishes a stream. It is the same publisher while it is the same allocation.
#[derive(Default)]
pub(crate) struct Holder {
    gives_way: Mutex<Option<GivesWay>>,
    /// Whose seat it took: a takeover that comes to nothing gives it back.
    before: Weak<Self>,
    /// Its seat was freed. Changed with the seats locked.
    is_over: AtomicBool,
    /// The connection that it has as a subscriber. Given back with the seat, or before.
    slot: Mutex<Option<Slot>>,
}

impl Holder {
    fn gives_way(&self) -> bool {
        self.gives_way.lock().as_ref().is_some_and(|gives_way| gives_way())
    }
}

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Holder")
    }
}

impl Seats {
    /// Whether the stream has a publisher that does not give way.
    pub(crate) fn is_held(&self, app: &AppName, stream: &StreamId) -> bool {
        let apps = self.0.lock();
        apps.get(app).and_then(|app| app.streams.get(stream)).is_some_and(StreamSeats::is_held)
    }

    /// Checks the limits and takes a seat in one step. The seat of a publisher that gives way is taken from
    /// it, and is one seat as before.
    pub(crate) fn take(
        self: &Arc<Self>,
        app: &AppName,
        stream: &StreamId,
        (direction, viewer): (Direction, Viewer),
        limits: SeatLimits,
    ) -> Result<Seat, Denial> {
        let full = |taken: usize, limit: Option<usize>| limit.is_some_and(|limit| taken >= limit);
        let mut apps = self.0.lock();
        let app_seats = apps.entry(app.clone()).or_default();
        let (app_publishers, app_players) = (app_seats.publishers, app_seats.players);
        let stream_seats = app_seats.streams.entry(stream.clone()).or_default();
        let before = stream_seats.publisher.as_ref().map(Arc::downgrade);
        let taken_over = before.is_some();
        let mut holder = None;
        let denial = match direction {
            Direction::Publish if stream_seats.is_held() => Some(Denial::AlreadyLive),
            Direction::Publish if !taken_over && full(app_publishers, limits.publishers_of_app) => {
                Some(Denial::IngestLimit)
            }
            Direction::Play
                if full(app_players, limits.players_of_app)
                    || full(*stream_seats.players.of(viewer), limits.players_of_stream) =>
            {
                Some(Denial::ViewerLimit)
            }
            Direction::Publish => {
                let next = Holder { before: before.unwrap_or_default(), ..Holder::default() };
                stream_seats.publisher = Some(Arc::clone(holder.insert(Arc::new(next))));
                app_seats.publishers += usize::from(!taken_over);
                None
            }
            Direction::Play => {
                *stream_seats.players.of(viewer) += 1;
                app_seats.players += usize::from(viewer == Viewer::Streamed);
                None
            }
        };
        match denial {
            Some(denial) => {
                sweep(&mut apps, app, stream);
                Err(denial)
            }
            None => {
                let seats = Arc::clone(self);
                Ok(Seat { seats, app: app.clone(), stream: stream.clone(), holder, viewer })
            }
        }
    }

    /// `holder`: the publisher whose seat it was; `None`: that of such a player.
    fn free(&self, app: &AppName, stream: &StreamId, holder: Option<&Arc<Holder>>, viewer: Viewer) {
        let mut apps = self.0.lock();
        if let Some(app_seats) = apps.get_mut(app)
            && let Some(stream_seats) = app_seats.streams.get_mut(stream)
        {
            match holder {
                Some(holder) => {
                    holder.is_over.store(true, Ordering::Relaxed);
                    // It may have been taken over.
                    if stream_seats.publisher.take_if(|held| Arc::ptr_eq(held, holder)).is_some() {
                        let before = holder.before.upgrade();
                        stream_seats.publisher =
                            before.filter(|before| !before.is_over.load(Ordering::Relaxed));
                        let freed = usize::from(stream_seats.publisher.is_none());
                        app_seats.publishers = app_seats.publishers.saturating_sub(freed);
                    }
                }
                None => {
                    let players = stream_seats.players.of(viewer);
                    *players = players.saturating_sub(1);
                    let freed = usize::from(viewer == Viewer::Streamed);
                    app_seats.players = app_seats.players.saturating_sub(freed);
                }
            }
        }
        sweep(&mut apps, app, stream);
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}

/// Nobody's rows go, so that names that were only tried leave nothing behind.
fn sweep(apps: &mut BTreeMap<AppName, AppSeats>, app: &AppName, stream: &StreamId) {
    let Some(app_seats) = apps.get_mut(app) else {
        return;
    };
    if app_seats
        .streams
        .get(stream)
        .is_some_and(|stream| stream.publisher.is_none() && stream.players.is_empty())
    {
        app_seats.streams.remove(stream);
    }
    if app_seats.streams.is_empty() {
        apps.remove(app);
    }
}

/// One taken seat. Freed by its drop.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    app: AppName,
    stream: StreamId,
    /// A publisher's.
    holder: Option<Arc<Holder>>,
    /// A player's.
    viewer: Viewer,
}

impl Seat {
    /// Says when a publisher's seat may be taken by another; until this is said, never.
    pub(crate) fn give_way_when(&self, gives_way: impl Fn() -> bool + Send + Sync + 'static) {
        if let Some(holder) = &self.holder {
            *holder.gives_way.lock() = Some(Box::new(gives_way));
        }
    }

    /// Takes a subscriber's connection along where it is a publisher's, who may have to give it back before its seat; a player's
    /// it leaves.
    pub(crate) fn keep(&self, slot: Slot) -> Option<Slot> {
        let Some(holder) = &self.holder else { return Some(slot) };
        *holder.slot.lock() = Some(slot);
        None
    }

    /// The publisher is gone: it is connected no more, though its seat is kept for who comes next.
    pub(crate) fn gives_back_connection(&self) {
        let given_back = self.holder.as_ref().and_then(|holder| holder.slot.lock().take());
        drop(given_back);
    }

    /// The publisher whose seat this was gives back its connection, too, if it is the same subscriber; whether there was one.
    pub(crate) fn takes_over_connection_of(&self, whose: &Whose) -> bool {
        let before = self.holder.as_ref().and_then(|holder| holder.before.upgrade());
        let given_back = before.and_then(|before| before.slot.lock().take_if(|slot| slot.is_of(whose)));
        given_back.is_some()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.free(&self.app, &self.stream, self.holder.as_ref(), self.viewer);
    }
}

#[cfg(test)]
mod tests;
