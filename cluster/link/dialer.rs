//! Asks a node something, once: for the command line, and for nodes that have no cluster yet.

use std::sync::Arc;

use base::{Randomness, limits};
use rustls::ClientConfig;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tonic::{Response, Status};

use crate::authority::Credentials;
use crate::connect::Connection;
use crate::lane::said;
use crate::{Introduction, LinkError, Order, PeerName, Report, Secrets, proto};

/// Asks nodes by their addresses, each time over a connection of its own.
#[derive(Clone)]
pub struct Dialer {
    tls: Arc<ClientConfig>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It is not there, or does not let us in.
    #[error("{address}: {reason}")]
    Unreachable {
        /// Where it was sought.
        address: String,
        /// What went wrong, in words for an operator.
        reason: String,
    },
    /// It will not, for the reason it gives.
    #[error("{0}")]
    Refused(String),
    /// It answered too late. Whether it did what it was told is not known.
    #[error("{address}: no answer within {max:?}; what was asked for may have been done", max = limits::CLUSTER_CALL_MAX)]
    Late {
        /// Where it is.
        address: String,
    },
    /// Its answer cannot be read.
    #[error("{address}: its answer cannot be read: {reason}; are both of one version?")]
    Senseless {
        /// Where it is.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Dialer {
    /// Shows itself as `name` by a certificate of the first secret. [`PeerName::Admin`] is the command line.
    ///
    /// # Errors
    /// No certificate could be made.
    pub fn new(secrets: &Secrets, name: PeerName, randomness: &dyn Randomness) -> Result<Self, LinkError> {
        Ok(Self::of(&Credentials::new(secrets, name, randomness)?))
    }

    pub(crate) fn of(credentials: &Credentials) -> Self {
        Self { tls: Arc::clone(&credentials.client) }
    }

    /// Introduces us to the node at `address` (host:port), and has it introduce itself.
    ///
    /// # Errors
    /// It is not reached, refuses, or makes no sense.
    pub async fn introduce(&self, address: &str, ours: Introduction) -> Result<Introduction, CallError> {
        let connection = self.connect(address).await?;
        let mut client = connection.client();
        let answer = answered(address, client.introduce(proto::Introduction::from(ours))).await?;
        let theirs: Introduction = answer.try_into().map_err(|error| senseless(address, error))?;
        if theirs.node != connection.peer.node() {
            return Err(senseless(address, "it says that it is another node than its certificate names"));
        }
        Ok(theirs)
    }

    /// Gives an order to the node at `address` (host:port).
    ///
    /// # Errors
    /// It is not reached, refuses, or makes no sense.
    pub async fn operate(&self, address: &str, order: Order) -> Result<Report, CallError> {
        let connection = self.connect(address).await?;
        let mut client = connection.client();
        let answer = answered(address, client.operate(proto::Order::from(order))).await?;
        answer.try_into().map_err(|error| senseless(address, error))
    }

    async fn connect(&self, address: &str) -> Result<Connection, CallError> {
        Connection::open(address, Arc::new(Semaphore::new(1)), Arc::clone(&self.tls))
            .await
            .map_err(|error| unreachable(address, error.to_string()))
    }
}

async fn answered<T>(
    address: &str,
    asking: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, CallError> {
    match timeout(limits::CLUSTER_CALL_MAX, asking).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) if std::error::Error::source(&status).is_some() => {
            Err(unreachable(address, said(&status)))
        }
        Ok(Err(status)) => Err(CallError::Refused(said(&status))),
        Err(_) => Err(CallError::Late { address: address.to_owned() }),
    }
}

fn unreachable(address: &str, reason: String) -> CallError {
    CallError::Unreachable { address: address.to_owned(), reason }
}

fn senseless(address: &str, reason: impl ToString) -> CallError {
    CallError::Senseless { address: address.to_owned(), reason: reason.to_string() }
}
