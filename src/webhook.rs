//! Authorisation webhooks: asks somebody else whether somebody may publish or play.

use std::sync::Arc;

use async_trait::async_trait;
use base::limits;
use security::Authorizer;
use serde_json::Value;
use tokio::sync::Semaphore;

/// Posts questions, so many at a time.
pub struct Webhooks {
    agent: ureq::Agent,
    room: Arc<Semaphore>,
}

impl Webhooks {
    /// Nobody asked yet.
    pub fn new() -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_connect(Some(limits::WEBHOOK_CONNECT_MAX))
            .timeout_global(Some(limits::WEBHOOK_ANSWER_MAX))
            .http_status_as_error(false)
            // Only the answer of who was named counts.
            .max_redirects(0)
            .user_agent(concat!("penstock/", env!("CARGO_PKG_VERSION")))
            .build();
        Self {
            agent: ureq::Agent::new_with_config(config),
            room: Arc::new(Semaphore::new(limits::WEBHOOKS_AT_ONCE_MAX)),
        }
    }
}

#[async_trait]
impl Authorizer for Webhooks {
    async fn allows(&self, url: &str, question: Value) -> bool {
        let room = tokio::time::timeout(limits::WEBHOOK_ANSWER_MAX, Arc::clone(&self.room).acquire_owned());
        let Ok(Ok(room)) = room.await else {
            tracing::warn!("an authorisation webhook was not asked: too many are being asked");
            return false;
        };
        let (agent, url) = (self.agent.clone(), url.to_owned());
        let asked = tokio::task::spawn_blocking(move || {
            let _room = room;
            agent
                .post(&url)
                .header("Content-Type", "application/json")
                .send(question.to_string())
                .map(|answer| answer.status().as_u16())
        });
        match asked.await {
            Ok(Ok(200)) => true,
            Ok(Ok(status)) => {
                tracing::debug!(status, "an authorisation webhook said no");
                false
            }
            // The URL may hold a password, and the error the URL.
            Ok(Err(_)) => {
                tracing::warn!("an authorisation webhook could not be asked: nobody is let in by it");
                false
            }
            Err(error) => {
                tracing::error!(%error, "asking an authorisation webhook failed");
                false
            }
        }
    }
}
