//! A session, as facts name it.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use base::{AppName, Clock, ExitReason, SessionId, StreamId};
use cluster_model::{Connection, Fact, FactKind, Figures, SubscriberId};
use security::Permit;

use super::FactLog;
use crate::applications::Services;
use crate::ending::Ending;
use crate::tally::Tally;

/// Whose session it is and since when: all that is needed to report of it once its permit is gone.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    app: AppName,
    stream: StreamId,
    session: SessionId,
    /// Nobody known, too, if what the peer called itself is no name.
    subscriber: Option<SubscriberId>,
    since: Instant,
    at: base::WallTime,
    protocol: &'static str,
    tally: Arc<Tally>,
}

impl Who {
    /// The session of a permit, which begins now.
    pub(crate) fn of(permit: &Permit, clock: &dyn Clock) -> Self {
        Self {
            app: permit.app().clone(),
            stream: permit.stream().clone(),
            session: permit.session(),
            subscriber: permit.subscriber_id().and_then(|id| SubscriberId::new(id).ok()),
            since: clock.now(),
            at: clock.wall(),
            protocol: permit.protocol(),
            tally: Arc::default(),
        }
    }

    /// By what it came.
    pub(crate) const fn protocol(&self) -> &'static str {
        self.protocol
    }

    /// What it was sent.
    pub(crate) const fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    pub(crate) const fn app(&self) -> &AppName {
        &self.app
    }

    pub(crate) const fn stream(&self) -> &StreamId {
        &self.stream
    }

    pub(crate) const fn session(&self) -> SessionId {
        self.session
    }

    pub(crate) const fn is_subscriber(&self) -> bool {
        self.subscriber.is_some()
    }

    fn connected(&self, permit: &Permit) -> Fact {
        let direction = match permit.direction() {
            security::Direction::Publish => cluster_model::Direction::Publish,
            security::Direction::Play => cluster_model::Direction::Play,
        };
        let connection = Connection {
            direction,
            protocol: permit.protocol().to_owned(),
            peer: Some(permit.peer().ip().to_string()),
            proof: None,
        };
        self.fact(self.at, FactKind::Connected(connection))
    }

    /// It goes on.
    pub(crate) fn summary(&self, clock: &dyn Clock) -> Fact {
        self.fact(clock.wall(), FactKind::Summary(self.figures(clock)))
    }

    fn disconnected(&self, reason: ExitReason, clock: &dyn Clock) -> Fact {
        let (reason, figures) = (reason.label().to_owned(), self.figures(clock));
        self.fact(clock.wall(), FactKind::Disconnected { reason, figures })
    }

    fn figures(&self, clock: &dyn Clock) -> Figures {
        let duration = clock.now().saturating_duration_since(self.since);
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.tally.figures(duration_ms)
    }

    fn fact(&self, at: base::WallTime, what: FactKind) -> Fact {
        Fact {
            app: self.app.clone(),
            stream: self.stream.clone(),
            subscriber: self.subscriber.clone(),
            session: self.session,
            at,
            what,
        }
    }
}

/// A session that has begun: noted when it is made, and over when it is dropped, however that comes about.
pub(crate) struct Attendance {
    who: Who,
    ending: Ending,
    facts: FactLog,
    clock: Arc<dyn Clock>,
}

impl Attendance {
    /// The session of a permit begins now; `ending` is its end.
    pub(crate) fn begin(permit: &Permit, ending: &Ending, services: &Services) -> Self {
        let (facts, clock) = (services.facts.clone(), Arc::clone(&services.clock));
        let who = Who::of(permit, &*clock);
        facts.note(who.connected(permit));
        Self { who, ending: ending.clone(), facts, clock }
    }

    /// Whose it is.
    pub(crate) const fn who(&self) -> &Who {
        &self.who
    }

    /// Its end.
    pub(crate) const fn ending(&self) -> &Ending {
        &self.ending
    }

    /// Why it is over.
    pub(crate) fn reason(&self) -> ExitReason {
        self.ending.reason().unwrap_or(ExitReason::Failed)
    }
}

impl fmt::Debug for Attendance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attendance(session {})", self.who.session)
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        self.facts.note(self.who.disconnected(self.reason(), &*self.clock));
    }
}
