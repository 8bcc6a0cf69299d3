//! The gate.

use std::collections::BTreeSet;
use std::sync::Arc;

use base::{AppName, Clock, StreamId, limits};
use cluster_model::{Broadcast, Broadcasts, MetaError, Settings};
use config::{AppSettings, Unenforced};

use crate::seats::{SeatLimits, Seats};
use crate::{Access, Denial, Direction, Permit};

/// Lets publishers and players in, or not. One per node.
pub struct Gate {
    applications: BTreeSet<AppName>,
    settings: Settings,
    broadcasts: Broadcasts,
    clock: Arc<dyn Clock>,
    seats: Arc<Seats>,
}

impl Gate {
    /// `applications` are those this node serves.
    pub fn new(
        applications: impl IntoIterator<Item = AppName>,
        settings: Settings,
        broadcasts: Broadcasts,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let applications = applications.into_iter().collect();
        let broadcasts = broadcasts.within(limits::GATE_DECISION_MAX);
        Self { applications, settings, broadcasts, clock, seats: Arc::default() }
    }

    /// Decides within [`limits::GATE_DECISION_MAX`]. The permit holds the seats it needs; to drop it is
    /// to leave.
    pub async fn admit(&self, access: Access) -> Result<Permit, Denial> {
        let access = access.without_blanks();
        let direction = access.direction;
        let (app, peer, session) = (access.app.clone(), access.peer, access.session);
        let decision = self.decide(access).await;
        let outcome = match &decision {
            Ok(_) => "admitted",
            Err(denial) => denial.label(),
        };
        metrics::counter!(
            "penstock_gate_decisions_total", "direction" => direction.label(), "outcome" => outcome
        )
        .increment(1);
        match &decision {
            Ok(permit) => {
                tracing::info!(%direction, %app, stream = %permit.stream(), %session, %peer, "admitted");
            }
            // What the peer asked for is not logged: it may be anything.
            Err(denial) => tracing::info!(%direction, %app, %session, %peer, reason = %denial, "denied"),
        }
        decision
    }

    /// AMS's order: name, undefined streams and live already, then the mechanisms, then the window.
    async fn decide(&self, access: Access) -> Result<Permit, Denial> {
        if !self.applications.contains(&access.app) {
            return Err(Denial::UnknownApplication);
        }
        let settings = self.settings.snapshot(&access.app).ok_or(Denial::NotInitialised)?;
        let stream = StreamId::new(&access.stream)?;
        let broadcast = self.broadcast(&access, &stream).await?;
        if access.direction == Direction::Publish {
            if settings.accept_only_streams_in_data_store() && broadcast.is_none() {
                return Err(Denial::Unregistered);
            }
            // Only a look: who is refused by a later clause must not have kept others out meanwhile.
            if self.seats.is_held(&access.app, &stream) {
                return Err(Denial::AlreadyLive);
            }
        }
        if let Some(key) = unenforceable(&settings, &access) {
            return Err(Denial::MechanismNotAvailable { key });
        }
        if access.direction == Direction::Publish
            && broadcast.as_ref().is_some_and(|broadcast| !broadcast.may_be_published_at(self.clock.wall()))
        {
            return Err(Denial::OutsideWindow);
        }
        let limits = SeatLimits {
            publishers_of_app: settings.ingesting_stream_limit(),
            players_of_app: settings.webrtc_viewer_limit(),
            // Negative: no limit.
            players_of_stream: broadcast
                .and_then(|broadcast| usize::try_from(broadcast.web_rtc_viewer_limit).ok()),
        };
        let seat = self.seats.take(&access.app, &stream, access.direction, limits)?;
        Ok(Permit::new(access, stream, seat))
    }

    /// A publisher is decided on by what is true now, a player by what this node knows.
    async fn broadcast(&self, access: &Access, stream: &StreamId) -> Result<Option<Arc<Broadcast>>, Denial> {
        let found = match access.direction {
            Direction::Publish => self.broadcasts.get(&access.app, stream).await,
            Direction::Play => self.broadcasts.get_local(&access.app, stream).await,
        };
        found.map_err(|error: MetaError| {
            tracing::warn!(app = %access.app, %stream, %error, "the gate could not read a broadcast");
            Denial::DataStoreNotAvailable
        })
    }
}

/// The first mechanism that is switched on, concerns `access` and is enforced by nothing yet.
fn unenforceable(settings: &AppSettings, access: &Access) -> Option<&'static str> {
    const ROOMS: &str = "acceptOnlyRoomsInDataStore";
    let concerned = |found: &Unenforced| match access.direction {
        Direction::Publish => found.concerns.publish(),
        Direction::Play => found.concerns.play(),
    };
    let rooms_only = settings.get(ROOMS).and_then(serde_json::Value::as_bool).unwrap_or_default();
    if access.main_track.is_some() && rooms_only {
        return Some(ROOMS);
    }
    settings.unenforced_mechanisms().into_iter().find(concerned).map(|found| found.key)
}

#[cfg(test)]
mod tests;
