//! Who sits where on this node.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{AppName, StreamId};
use parking_lot::Mutex;

use crate::{Denial, Direction};

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
    players: usize,
    streams: BTreeMap<StreamId, StreamSeats>,
}

#[derive(Debug, Default)]
struct StreamSeats {
    published: bool,
    players: usize,
}

impl Seats {
    pub(crate) fn is_published(&self, app: &AppName, stream: &StreamId) -> bool {
        let apps = self.0.lock();
        apps.get(app).and_then(|app| app.streams.get(stream)).is_some_and(|stream| stream.published)
    }

    /// Checks the limits and takes a seat in one step.
    pub(crate) fn take(
        self: &Arc<Self>,
        app: &AppName,
        stream: &StreamId,
        direction: Direction,
        limits: SeatLimits,
    ) -> Result<Seat, Denial> {
        let full = |taken: usize, limit: Option<usize>| limit.is_some_and(|limit| taken >= limit);
        let mut apps = self.0.lock();
        let app_seats = apps.entry(app.clone()).or_default();
        let (app_publishers, app_players) = (app_seats.publishers, app_seats.players);
        let stream_seats = app_seats.streams.entry(stream.clone()).or_default();
        let denial = match direction {
            Direction::Publish if stream_seats.published => Some(Denial::AlreadyLive),
            Direction::Publish if full(app_publishers, limits.publishers_of_app) => Some(Denial::IngestLimit),
            Direction::Play
                if full(app_players, limits.players_of_app)
                    || full(stream_seats.players, limits.players_of_stream) =>
            {
                Some(Denial::ViewerLimit)
            }
            Direction::Publish => {
                stream_seats.published = true;
                app_seats.publishers += 1;
                None
            }
            Direction::Play => {
                stream_seats.players += 1;
                app_seats.players += 1;
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
                Ok(Seat { seats, app: app.clone(), stream: stream.clone(), direction })
            }
        }
    }

    fn free(&self, app: &AppName, stream: &StreamId, direction: Direction) {
        let mut apps = self.0.lock();
        if let Some(app_seats) = apps.get_mut(app)
            && let Some(stream_seats) = app_seats.streams.get_mut(stream)
        {
            match direction {
                Direction::Publish => {
                    stream_seats.published = false;
                    app_seats.publishers = app_seats.publishers.saturating_sub(1);
                }
                Direction::Play => {
                    stream_seats.players = stream_seats.players.saturating_sub(1);
                    app_seats.players = app_seats.players.saturating_sub(1);
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
    if app_seats.streams.get(stream).is_some_and(|stream| !stream.published && stream.players == 0) {
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
    direction: Direction,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.free(&self.app, &self.stream, self.direction);
    }
}
