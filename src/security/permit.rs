//! The right to be in, for as long as it lasts.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use base::{AppName, ExitReason, PeerAddr, SessionId, StreamId};
use tokio::sync::Notify;

use crate::Direction;
use crate::live::Entered;
use crate::seats::Seat;
use crate::slots::Slot;

/// How a permit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PermitState {
    /// Media may flow.
    Live,
    /// Media must pause; the connection may stay.
    Suspended,
    /// The session must end, for this reason. Final.
    Dead(ExitReason),
}

const LIVE: u8 = 0;
const SUSPENDED: u8 = u8::MAX;

impl PermitState {
    pub(crate) fn to_byte(self) -> u8 {
        match self {
            Self::Live => LIVE,
            Self::Suspended => SUSPENDED,
            Self::Dead(reason) => reason.number(),
        }
    }

    pub(crate) fn from_byte(byte: u8) -> Self {
        match byte {
            LIVE => Self::Live,
            SUSPENDED => Self::Suspended,
            // Only bytes of `to_byte` are ever stored; anything else must not mean "live".
            number => Self::Dead(ExitReason::from_number(number).unwrap_or(ExitReason::Failed)),
        }
    }
}

#[derive(Debug, Default)]
struct Standing {
    state: AtomicU8,
    changed: Notify,
}

impl Standing {
    fn state(&self) -> PermitState {
        PermitState::from_byte(self.state.load(Ordering::Acquire))
    }

    /// Goes to `next` unless the permit is dead.
    fn go(&self, next: PermitState) {
        let went = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |byte| {
            let dead = matches!(PermitState::from_byte(byte), PermitState::Dead(_));
            (!dead).then(|| next.to_byte())
        });
        if went.is_ok() {
            self.changed.notify_waiters();
        }
    }

    async fn changed_from(&self, seen: PermitState) -> PermitState {
        loop {
            // Listening begins before the look, so that no change falls between the two.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let state = self.state();
            if state != seen {
                return state;
            }
            changed.await;
        }
    }

    async fn died(&self) -> ExitReason {
        let mut state = self.state();
        loop {
            match state {
                PermitState::Dead(reason) => return reason,
                alive => state = self.changed_from(alive).await,
            }
        }
    }
}

/// The right of one session to publish or play one stream. Made by [`crate::Gate::admit`] only. Dropping
/// it frees the seats it holds.
pub struct Permit {
    app: AppName,
    stream: StreamId,
    room: Option<StreamId>,
    direction: Direction,
    session: SessionId,
    protocol: &'static str,
    peer: PeerAddr,
    subscriber_id: Option<String>,
    proof: Option<String>,
    standing: Arc<Standing>,
    seat: Seat,
    _slot: Option<Slot>,
    entered: Entered,
}

impl Permit {
    pub(crate) fn new(
        access: &crate::Access,
        (stream, room): (StreamId, Option<StreamId>),
        PermitControl(standing): PermitControl,
        proof: Option<String>,
        (seat, slot, entered): (Seat, Option<Slot>, Entered),
    ) -> Self {
        Self {
            app: access.app.clone(),
            stream,
            room,
            direction: access.direction,
            session: access.session,
            protocol: access.protocol,
            peer: access.peer,
            subscriber_id: access.subscriber_id.clone(),
            proof,
            standing,
            seat,
            _slot: slot,
            entered,
        }
    }

    /// The application.
    pub const fn app(&self) -> &AppName {
        &self.app
    }

    /// The stream.
    pub const fn stream(&self) -> &StreamId {
        &self.stream
    }

    /// The room that it said it belongs to.
    pub const fn room(&self) -> Option<&StreamId> {
        self.room.as_ref()
    }

    /// Publish or play.
    pub const fn direction(&self) -> Direction {
        self.direction
    }

    /// The session it was given to.
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// By what it was asked for.
    pub const fn protocol(&self) -> &'static str {
        self.protocol
    }

    /// Whom it was given to.
    pub const fn peer(&self) -> PeerAddr {
        self.peer
    }

    /// The subscriber, if the peer named one.
    pub fn subscriber_id(&self) -> Option<&str> {
        self.subscriber_id.as_deref()
    }

    /// The mechanisms that let it in, in words; `None`: anybody may.
    pub fn proof(&self) -> Option<&str> {
        self.proof.as_deref()
    }

    /// How it stands: one atomic load.
    pub fn state(&self) -> PermitState {
        self.standing.state()
    }

    /// Waits until the state is another one than `seen`. Cancel-safe.
    pub async fn changed_from(&self, seen: PermitState) -> PermitState {
        self.standing.changed_from(seen).await
    }

    /// Waits for its death. Cancel-safe.
    pub async fn died(&self) -> ExitReason {
        self.standing.died().await
    }

    /// Says when another publisher that passes the gate may take this one's seat: its connection is lost, it
    /// has fallen silent. Until then nobody may. Whoever has taken it owns it: dropping this permit frees
    /// nothing any more. `gives_way` must be quick and must not ask the gate.
    pub fn give_way_when(&self, gives_way: impl Fn() -> bool + Send + Sync + 'static) {
        self.seat.give_way_when(gives_way);
    }

    /// Nobody publishes by it any more, and its seat is kept for who comes next: it is no connection of its subscriber until then.
    pub fn connection_is_lost(&self) {
        self.seat.gives_back_connection();
    }

    /// The session got its stream. A one-time token lets no other session of the same presenter in any more, but for some
    /// seconds after this one was lost.
    pub fn has_begun(&self) {
        self.entered.has_begun();
    }

    /// For those who must see the state without holding the permit.
    pub fn life(&self) -> PermitLife {
        PermitLife(Arc::clone(&self.standing))
    }

    /// For whoever decides over it.
    pub fn control(&self) -> PermitControl {
        PermitControl(Arc::clone(&self.standing))
    }
}

impl Drop for Permit {
    /// A `PermitLife` must not see a permit as live that nobody holds.
    fn drop(&mut self) {
        self.standing.go(PermitState::Dead(ExitReason::Finished));
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Permit({} {}/{}, session {}, {:?})",
            self.direction,
            self.app,
            self.stream,
            self.session,
            self.state()
        )
    }
}

/// Sees how a permit stands.
#[derive(Clone, Debug)]
pub struct PermitLife(Arc<Standing>);

impl PermitLife {
    /// One atomic load. Dead with [`ExitReason::Finished`] once the permit was dropped.
    pub fn state(&self) -> PermitState {
        self.0.state()
    }

    /// Waits until the state is another one than `seen`. Cancel-safe.
    pub async fn changed_from(&self, seen: PermitState) -> PermitState {
        self.0.changed_from(seen).await
    }

    /// Waits for the permit's death. Cancel-safe.
    pub async fn died(&self) -> ExitReason {
        self.0.died().await
    }
}

/// Decides how a permit stands.
#[derive(Clone, Debug, Default)]
pub struct PermitControl(Arc<Standing>);

impl PermitControl {
    /// How it stands now.
    pub fn state(&self) -> PermitState {
        self.0.state()
    }

    /// Media must pause. Nothing happens to a dead permit.
    pub fn suspend(&self) {
        self.0.go(PermitState::Suspended);
    }

    /// Media may flow again. Nothing happens to a dead permit.
    pub fn resume(&self) {
        self.0.go(PermitState::Live);
    }

    /// The session must end. The first reason stands.
    pub fn end(&self, reason: ExitReason) {
        self.0.go(PermitState::Dead(reason));
    }
}
