//! The gate.

mod clauses;
mod explain;
mod guesses;
mod spending;
mod watching;

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{AppName, AppNames, Clock, ExitReason, SessionId, StreamId, limits};
use cluster_model::{
    AcquireError, Broadcast, Broadcasts, MetaError, Operation, Settings, SubscriberId, Subscribers, Tokens,
};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::grounds::Grounds;
use crate::live::{Entered, Live, LiveSession};
use crate::outside::{Authorizer, Plane};
use crate::seats::{Seat, SeatLimits, Seats};
use crate::slots::{GivenBack, OnTheirWay, Slot};
use crate::{Access, Denial, Direction, KeySets, Permit, Viewer};

use clauses::{Clause, Question};
pub use explain::{ClauseShown, Explanation};
use guesses::Guesses;

/// What a gate asks.
pub struct GateParts {
    /// Those this node serves. Who adds one says so to [`Gate::open`] before, and to [`Gate::close`] after it took one out.
    pub applications: AppNames,
    /// What is switched on.
    pub settings: Settings,
    /// Registered streams and their dates.
    pub broadcasts: Broadcasts,
    /// One-time tokens.
    pub tokens: Tokens,
    /// Subscribers, their blocks and their connections.
    pub subscribers: Subscribers,
    /// This node in the metadata plane.
    pub plane: Arc<dyn Plane>,
    /// Whom authorisation webhooks are asked by.
    pub authorizer: Arc<dyn Authorizer>,
    /// What JWTs are checked by.
    pub keys: Arc<KeySets>,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
}

/// Lets publishers and players in, or not. One per node.
pub struct Gate {
    applications: AppNames,
    /// What follows those that are open.
    followers: Mutex<BTreeMap<AppName, [AbortHandle; 2]>>,
    settings: Settings,
    broadcasts: Broadcasts,
    tokens: Tokens,
    subscribers: Subscribers,
    plane: Arc<dyn Plane>,
    authorizer: Arc<dyn Authorizer>,
    keys: Arc<KeySets>,
    clock: Arc<dyn Clock>,
    seats: Arc<Seats>,
    live: Arc<Live>,
    guesses: Arc<Guesses>,
    given_back: mpsc::Sender<GivenBack>,
    on_their_way: Arc<OnTheirWay>,
}

impl Gate {
    /// To be made in a runtime, where it follows what permits rest on for as long as it lives.
    pub fn new(parts: GateParts) -> Arc<Self> {
        let (given_back, slots) = mpsc::channel(limits::SLOTS_GIVEN_BACK_MAX);
        let on_their_way = Arc::<OnTheirWay>::default();
        let gate = Arc::new(Self {
            applications: parts.applications,
            followers: Mutex::default(),
            settings: parts.settings,
            broadcasts: parts.broadcasts.within(limits::GATE_DECISION_MAX),
            tokens: parts.tokens.within(limits::SPEND_RETRY_MAX),
            subscribers: parts.subscribers.within(limits::GATE_DECISION_MAX),
            plane: parts.plane,
            authorizer: parts.authorizer,
            keys: parts.keys,
            clock: parts.clock,
            seats: Arc::default(),
            live: Arc::default(),
            guesses: Arc::default(),
            given_back,
            on_their_way: Arc::clone(&on_their_way),
        });
        tokio::spawn(crate::slots::give_back(slots, gate.subscribers.clone(), on_their_way));
        gate.watch();
        gate
    }

    /// Follows what permits of an application rest on, which must be done before anybody is let in to it. To be called in a
    /// runtime that lives as long as the gate.
    pub fn open(&self, app: &AppName) {
        let followers = self.follow(app);
        let before = self.followers.lock().insert(app.clone(), followers);
        before.into_iter().flatten().for_each(|follower| follower.abort());
    }

    /// Ends whoever is in an application, which must not be among the names any more, and follows nothing of it.
    pub fn close(&self, app: &AppName, reason: ExitReason) {
        self.live.end_application(app, reason);
        let followers = self.followers.lock().remove(app);
        followers.into_iter().flatten().for_each(|follower| follower.abort());
    }

    /// Decides within [`limits::GATE_DECISION_MAX`] for each answer of the metadata plane that it needs,
    /// [`limits::JWKS_FETCH_MAX`] for keys that it has not, and twice [`limits::WEBHOOK_ANSWER_MAX`] where a webhook is asked. The
    /// permit holds the seats it needs; to drop it is to leave.
    pub async fn admit(&self, access: Access) -> Result<Permit, Denial> {
        let decision = self.admit_unsaid(access.clone()).await;
        self.say(&access, &decision);
        decision
    }

    /// The same for who asks again and again whether a seat is free: the decision that counts in the end is to be given to
    /// [`Self::say`], so that one attempt is one line of the log.
    pub async fn admit_unsaid(&self, access: Access) -> Result<Permit, Denial> {
        self.decide(access.without_blanks()).await
    }

    /// Logs and counts a decision.
    pub fn say(&self, access: &Access, decision: &Result<Permit, Denial>) {
        let Access { app, peer, session, direction, .. } = access;
        let outcome = match decision {
            Ok(_) => "admitted",
            Err(denial) => denial.label(),
        };
        metrics::counter!(
            "penstock_gate_decisions_total", "direction" => direction.label(), "outcome" => outcome
        )
        .increment(1);
        match decision {
            Ok(permit) => {
                let proof = permit.proof().unwrap_or("none");
                tracing::info!(%direction, %app, stream = %permit.stream(), %session, %peer, proof, "admitted");
            }
            // What the peer asked for is not logged: it may be anything.
            Err(denial) => {
                tracing::info!(%direction, %app, %session, %peer, clause = denial.label(), reason = %denial, "denied")
            }
        }
    }

    /// The sessions that live on this node with a permit for `stream`.
    pub fn sessions(&self, app: &AppName, stream: &StreamId) -> Vec<LiveSession> {
        self.live.list(app, stream)
    }

    /// Has every node end a session of a stream, or its publisher (`None`), as kicked. Said when all that are in touch with
    /// the metadata plane will hear of it.
    pub async fn kick(
        &self,
        app: &AppName,
        stream: &StreamId,
        session: Option<SessionId>,
    ) -> Result<(), MetaError> {
        self.subscribers.end_session(app, stream, session).await
    }

    /// Name and application, then AMS's order of clauses, then what has to be taken: seat, token, connection.
    async fn decide(&self, access: Access) -> Result<Permit, Denial> {
        let question = self.question(&access, false).await?;
        let grounds = self.pass(&question).await?;
        self.let_in(&question, grounds).await
    }

    async fn question<'a>(&self, access: &'a Access, is_look: bool) -> Result<Question<'a>, Denial> {
        if !self.applications.contains(access.app.as_str()) {
            return Err(Denial::UnknownApplication);
        }
        let settings = self.settings.snapshot(&access.app).ok_or(Denial::NotInitialised)?;
        let stream = StreamId::new(&access.stream)?;
        let room = access.main_track.as_deref().and_then(|room| StreamId::new(room).ok());
        let (authority, now) = (self.plane.authority(), self.clock.wall());
        let (broadcast, is_in_room) = (None, false);
        let mut question =
            Question { access, settings, stream, room, is_in_room, broadcast, authority, now, is_look };
        match access.direction {
            Direction::Publish => drop(question.ruling(Operation::NewPublish)?),
            Direction::Play if !question.is_guarded() => drop(question.ruling(Operation::OpenPlay)?),
            Direction::Play => {}
        }
        question.broadcast = self.broadcast(access, &question.stream).await?;
        question.is_in_room = self.is_in_room(&question).await?;
        Ok(question)
    }

    /// Whether the stream is of the room that the peer names. Anybody can name one; what refuses somebody has to be certain.
    async fn is_in_room(&self, question: &Question<'_>) -> Result<bool, Denial> {
        let access = question.access;
        if question.room.is_none()
            || !question.is_guarded()
            || question.says_so(question.broadcast.as_deref())
        {
            return Ok(question.room.is_some());
        }
        if access.direction.is_publish() {
            return Ok(false);
        }
        match self.broadcasts.get(&access.app, &question.stream).await {
            Ok(certain) => Ok(question.says_so(certain.as_deref())),
            // Without the plane what is known here decides.
            Err(_) => Ok(false),
        }
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

    async fn pass(&self, question: &Question<'_>) -> Result<Grounds, Denial> {
        let clauses: &[Clause] = match question.access.direction {
            Direction::Publish => &Clause::OF_PUBLISH,
            Direction::Play => &Clause::OF_PLAY,
        };
        let mut grounds = Grounds::default();
        for (at, clause) in clauses.iter().enumerate() {
            if let Err(denial) = self.ask(*clause, question, &mut grounds).await {
                // Of a token it is only known that it came. One that is worth nothing is told that, before anything is
                // told of what AMS asks later.
                return Err(match question.one_time_token() {
                    Ok(Some(token)) if clauses[..at].contains(&Clause::Token) => {
                        self.token_fault(question, &token).await.unwrap_or(denial)
                    }
                    _ => denial,
                });
            }
        }
        Ok(grounds)
    }

    /// Takes what is taken only once: the seat before the token, so that no token is spent where there is no seat.
    async fn let_in(&self, question: &Question<'_>, mut grounds: Grounds) -> Result<Permit, Denial> {
        let access = question.access;
        let token = question.one_time_token()?;
        if let Some(token) = &token
            && access.direction.is_publish()
        {
            // Nor does a seat that there is one of keep others out while somebody tries tokens.
            if let Some(denial) = self.token_fault(question, token).await
                && !matches!(denial, Denial::Token(cluster_model::TokenFault::Spent))
            {
                return Err(denial);
            }
        }
        let limits = seat_limits(question);
        if !access.direction.is_publish()
            && (limits.players_of_app.is_some() || limits.players_of_stream.is_some())
        {
            question.ruling(Operation::ViewerLimit)?;
        }
        let seated = (access.direction, access.viewer);
        let seat = self.seats.take(&access.app, &question.stream, seated, limits)?;
        let slot = if question.settings.wants_totp(access.direction.is_publish()) {
            seat.keep(self.slot(question, &seat).await?)
        } else {
            None
        };
        if let Some(token) = token {
            grounds.token = Some(self.spend(question, &token).await?);
        }
        let proof = grounds.proof();
        let control = crate::PermitControl::default();
        let rooms = question.rooms();
        let entered =
            self.live.enter(access, (&question.stream, &rooms), control.clone(), grounds, question.now)?;
        self.look_again(question, &control, &entered).await;
        let places = (question.stream.clone(), question.room.clone());
        Ok(Permit::new(access, places, control, proof, (seat, slot, entered)))
    }

    async fn slot(&self, question: &Question<'_>, seat: &Seat) -> Result<Slot, Denial> {
        let access = question.access;
        let id = access.subscriber_id.as_deref().and_then(|id| SubscriberId::new(id).ok());
        let id = id.ok_or(crate::TotpFault::InvalidId)?;
        let owner = self.plane.owner();
        let whose = (access.app.clone(), question.stream.clone(), id.clone());
        let slot = Slot::new(
            whose.clone(),
            (access.session, owner),
            self.given_back.clone(),
            Arc::clone(&self.on_their_way),
        );
        let acquire = || self.subscribers.acquire(&access.app, &question.stream, &id, access.session, owner);
        // Held from here on: an answer that is lost may have taken it.
        let comes_again = self.on_their_way.has(&whose);
        let mut acquired = acquire().await;
        // So does who goes on with the stream of a publisher that gives way: itself, as a rule, after a lost connection.
        if matches!(acquired, Err(AcquireError::Taken { .. }))
            && (comes_again || seat.takes_over_connection_of(&whose))
        {
            self.on_their_way.wait_for(&whose).await;
            acquired = acquire().await;
        }
        match acquired {
            Ok(()) => Ok(slot),
            Err(AcquireError::Taken { limit }) => {
                slot.was_never_taken();
                Err(Denial::Connections { limit })
            }
            Err(AcquireError::Meta(_)) => Err(Denial::DataStoreNotAvailable),
        }
    }

    /// What changed between the question and the entry in the list was told to nobody.
    async fn look_again(&self, question: &Question<'_>, control: &crate::PermitControl, entered: &Entered) {
        let app = &question.access.app;
        if !self.applications.contains(app.as_str()) {
            control.end(ExitReason::Kicked);
        }
        if self.not_blocked(question).await == Err(Denial::Blocked) {
            if question.access.can_pause && !question.access.direction.is_publish() {
                self.review_subscriber(question).await;
            } else {
                control.end(ExitReason::Blocked);
            }
        }
        self.look_at_subscriber(question, control, entered).await;
        if let Some(settings) = self.settings.snapshot(app)
            && !Arc::ptr_eq(&settings, &question.settings)
            && !entered.stands(&settings)
        {
            control.end(ExitReason::Revoked);
        }
        if let Some((home, token)) = entered.token() {
            match self.tokens.row(app, &home, &token).await {
                Ok(Some(_)) => {}
                Ok(None) => control.end(ExitReason::Revoked),
                // It is gone as far as this node knows, and nobody says otherwise.
                Err(_) => control.end(ExitReason::AuthorityLost),
            }
        }
    }
}

fn seat_limits(question: &Question<'_>) -> SeatLimits {
    let of_broadcast = |limit: fn(&Broadcast) -> i32| {
        // Negative: no limit.
        question.broadcast.as_ref().and_then(|broadcast| usize::try_from(limit(broadcast)).ok())
    };
    let (players_of_app, players_of_stream) = match question.access.viewer {
        Viewer::Streamed => {
            (question.settings.webrtc_viewer_limit(), of_broadcast(|it| it.web_rtc_viewer_limit))
        }
        Viewer::Playlist => (None, of_broadcast(|it| it.hls_viewer_limit)),
        Viewer::Manifest => (None, of_broadcast(|it| it.dash_viewer_limit)),
        Viewer::File => (None, None),
    };
    SeatLimits {
        publishers_of_app: question.settings.ingesting_stream_limit(),
        players_of_app,
        players_of_stream,
    }
}

#[cfg(test)]
mod tests;
