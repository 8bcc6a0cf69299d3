//! A session, as facts name it.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use base::{AppName, Clock, ExitReason, SessionId, StreamId};
use cluster_model::{Connection, Fact, FactKind, Figures, SubscriberId};
use security::Permit;

use super::FactLog;
use crate::applications::Services;
use crate::ending::{Carried, Ending};

/// Whose session it is and since when: all that is needed to report of it once its permit is gone.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    app: AppName,
    stream: StreamId,
    session: SessionId,
    /// Nobody known, too, if what the peer called itself is no name.
    subscriber: Option<SubscriberId>,
    /// Whether anything is noted of it: as the application wanted it when it began, to its end.
    recorded: bool,
    since: Instant,
    at: base::WallTime,
    protocol: &'static str,
}

impl Who {
    /// The session of a permit, which begins now.
    fn of(permit: &Permit, recorded: bool, clock: &dyn Clock) -> Self {
        Self {
            app: permit.app().clone(),
            stream: permit.stream().clone(),
            session: permit.session(),
            subscriber: permit.subscriber_id().and_then(|id| SubscriberId::new(id).ok()),
            recorded,
            since: clock.now(),
            at: clock.wall(),
            protocol: permit.protocol(),
        }
    }

    /// By what it came.
    pub(crate) const fn protocol(&self) -> &'static str {
        self.protocol
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

    /// Whether what it comes to is noted while it runs.
    pub(crate) const fn is_summed_up(&self) -> bool {
        self.recorded && self.subscriber.is_some()
    }

    fn connected(&self, permit: &Permit) -> Fact {
        let connection = Connection {
            direction: permit.direction().into(),
            protocol: permit.protocol().to_owned(),
            peer: Some(permit.peer().ip().to_string()),
            proof: permit.proof().map(str::to_owned),
        };
        self.fact(self.at, FactKind::Connected(connection))
    }

    /// It goes on.
    pub(crate) fn summary(&self, ending: &Ending, clock: &dyn Clock) -> Fact {
        self.fact(clock.wall(), FactKind::Summary(self.figures(ending, clock)))
    }

    fn disconnected(&self, reason: ExitReason, ending: &Ending, clock: &dyn Clock) -> Fact {
        let (reason, figures) = (reason.label().to_owned(), self.figures(ending, clock));
        self.fact(clock.wall(), FactKind::Disconnected { reason, figures })
    }

    fn figures(&self, ending: &Ending, clock: &dyn Clock) -> Figures {
        let duration = clock.now().saturating_duration_since(self.since);
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let Carried { video, audio } = ending.carried();
        Figures { duration_ms, bytes: video.saturating_add(audio), video_bytes: video, audio_bytes: audio }
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
        let who = Who::of(permit, facts.records(permit.app()), &*clock);
        if who.recorded {
            facts.note(who.connected(permit));
        }
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
        if self.who.recorded {
            self.facts.note(self.who.disconnected(self.reason(), &self.ending, &*self.clock));
        }
    }
}
