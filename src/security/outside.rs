//! What the gate asks of the node around it.

use async_trait::async_trait;
use cluster_model::{Authority, Owner};
use serde_json::Value;

/// This node in the metadata plane.
pub trait Plane: Send + Sync {
    /// The life that connection slots are held by.
    fn owner(&self) -> Owner;

    /// How well this node knows what the plane knows.
    fn authority(&self) -> Authority;
}

/// Asks those whom `webhookAuthenticateURL` and `webhookPlayAuthUrl` name.
#[async_trait]
pub trait Authorizer: Send + Sync {
    /// Posts `question` to `url`. Only an answer of 200 allows; none in time does not. Bounded in time and number by who
    /// implements it.
    async fn allows(&self, url: &str, question: Value) -> bool;
}
