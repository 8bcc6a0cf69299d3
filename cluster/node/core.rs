//! What runs on the thread: a member, or what asks members.

use cluster_core::{
    Backup, Client, MembershipChange, MembershipError, Moment, NodeId, Now, Output, Persist, ReadId, Replica,
    Status, WireError,
};
use cluster_model::{Command, Consistency, Query, RequestId, State};
use cluster_store::{MemberStore, WriteError};

/// Either of them, fed and drained in the same way.
pub(crate) enum Core {
    /// A member, and its disk.
    Member {
        /// It says what is to be written,
        replica: Box<Replica>,
        /// and where.
        store: MemberStore,
    },
    /// Any other node.
    Client(Box<Client>),
}

impl Core {
    pub(crate) fn poll(&mut self) -> Option<Output> {
        match self {
            Self::Member { replica, .. } => replica.poll(),
            Self::Client(client) => client.poll(),
        }
    }

    pub(crate) fn tick(&mut self, now: Now) {
        match self {
            Self::Member { replica, .. } => replica.tick(now),
            Self::Client(client) => client.tick(now),
        }
    }

    pub(crate) fn propose(&mut self, request: RequestId, command: &Command, deadline: Moment, now: Now) {
        match self {
            Self::Member { replica, .. } => replica.propose(request, command, deadline, now),
            Self::Client(client) => client.propose(request, command, deadline, now),
        }
    }

    /// Reads with [`Consistency::Linearizable`].
    pub(crate) fn read(&mut self, id: ReadId, query: Query, deadline: Moment, now: Now) {
        match self {
            Self::Member { replica, .. } => replica.read(id, query, Consistency::Linearizable, deadline, now),
            Self::Client(client) => client.read(id, &query, deadline, now),
        }
    }

    pub(crate) fn receive(&mut self, from: NodeId, bytes: &[u8], now: Now) -> Result<(), WireError> {
        match self {
            Self::Member { replica, .. } => replica.receive(from, bytes, now),
            Self::Client(client) => client.receive(from, bytes, now),
        }
    }

    /// Writes `batch`, as [`MemberStore::write`] does. Nobody but a member wants anything written.
    pub(crate) fn write(&mut self, batch: &[Persist]) -> Result<(), WriteError> {
        match self {
            Self::Member { store, .. } => store.write(batch),
            Self::Client(_) => Ok(()),
        }
    }

    /// The same after a write that failed, as [`MemberStore::write_again`] does.
    pub(crate) fn write_again(&mut self, batch: &[Persist]) -> Result<(), WriteError> {
        match self {
            Self::Member { store, .. } => store.write_again(batch),
            Self::Client(_) => Ok(()),
        }
    }

    pub(crate) fn persisted(&mut self, n: u64, now: Now) {
        if let Self::Member { replica, .. } = self {
            replica.persisted(n, now);
        }
    }

    pub(crate) fn transfer(&mut self, to: NodeId, now: Now) {
        if let Self::Member { replica, .. } = self {
            replica.transfer(to, now);
        }
    }

    pub(crate) fn change_membership(
        &mut self,
        change: MembershipChange,
        now: Now,
    ) -> Result<(), MembershipError> {
        match self {
            Self::Member { replica, .. } => replica.change_membership(change, now),
            Self::Client(_) => Err(MembershipError::NotLeader),
        }
    }

    pub(crate) fn status(&self) -> Status {
        match self {
            Self::Member { replica, .. } => replica.status(),
            Self::Client(client) => client.status(),
        }
    }

    pub(crate) fn fresh_at(&self) -> Option<Moment> {
        match self {
            Self::Member { replica, .. } => replica.fresh_at(),
            Self::Client(client) => client.fresh_at(),
        }
    }

    /// The state for local reads, once there is one.
    pub(crate) fn state(&self) -> Option<&State> {
        match self {
            Self::Member { replica, .. } => Some(replica.state()),
            Self::Client(client) => client.state(),
        }
    }

    /// A copy of all that is applied; a node that is no member has none that a cluster could begin with.
    pub(crate) fn backup(&self) -> Option<Backup> {
        match self {
            Self::Member { replica, .. } => Some(replica.backup()),
            Self::Client(_) => None,
        }
    }
}
