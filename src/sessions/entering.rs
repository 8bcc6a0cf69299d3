//! How a publisher of any protocol gets in: the gate, then the stream.

use std::sync::Arc;
use std::time::Duration;

use base::Clock;
use security::{Access, Denial, Gate};
use streams::{Applications, PublishError, PublishGrant, PublisherFacts};

/// How long a publisher of a stream that is still live waits for it to end.
const REPUBLISH_WAIT_MAX: Duration = Duration::from_millis(500);

/// Why a publisher did not get in.
#[derive(Debug)]
pub(crate) enum NotIn {
    /// The gate said no.
    Denied(Denial),
    /// It passed the gate and did not get its stream.
    NotBegun(PublishError),
}

impl NotIn {
    const fn is_live_already(&self) -> bool {
        matches!(self, Self::Denied(Denial::AlreadyLive) | Self::NotBegun(PublishError::AlreadyLive))
    }
}

/// Asks the gate and the stream; while the same stream's last publisher is just going, for a moment
/// longer: an encoder that restarts is back before the end is noticed or recorded.
pub(crate) async fn enter(
    gate: &Gate,
    applications: &Applications,
    clock: &Arc<dyn Clock>,
    access: &Access,
    facts: &PublisherFacts,
) -> Result<PublishGrant, NotIn> {
    let began = clock.now();
    loop {
        let decision = gate.admit_unsaid(access.clone()).await;
        let is_late = clock.now().duration_since(began) >= REPUBLISH_WAIT_MAX;
        if is_late || !matches!(decision, Err(Denial::AlreadyLive)) {
            gate.say(access, &decision);
        }
        let refused = match decision {
            Ok(permit) => match applications.publish(permit, facts.clone()).await {
                Ok(grant) => return Ok(grant),
                Err(error) => NotIn::NotBegun(error),
            },
            Err(denial) => NotIn::Denied(denial),
        };
        if is_late || !refused.is_live_already() {
            return Err(refused);
        }
        tokio::time::sleep(REPUBLISH_WAIT_MAX / 10).await;
    }
}
