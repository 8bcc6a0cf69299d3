//! Authorisation webhooks: asks somebody else whether somebody may publish or play.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use base::limits;
use parking_lot::Mutex;
use security::Authorizer;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Posts questions, so many at a time.
pub struct Webhooks {
    agent: ureq::Agent,
    room: Arc<Semaphore>,
    /// The share of each URL that is asked now, or waited for.
    shares: Mutex<HashMap<String, Arc<Semaphore>>>,
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
            shares: Mutex::default(),
        }
    }

    fn share_of(&self, url: &str) -> Arc<Semaphore> {
        let mut shares = self.shares.lock();
        // What nobody asks or waits for is held by the list alone.
        shares.retain(|_, share| Arc::strong_count(share) > 1);
        let new = || Arc::new(Semaphore::new(limits::WEBHOOKS_TO_ONE_AT_ONCE_MAX));
        Arc::clone(shares.entry(url.to_owned()).or_insert_with(new))
    }

    /// Waits for the share of the URL first: who waits for that takes no room from others.
    async fn room_for(&self, url: &str) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let share = self.share_of(url).acquire_owned().await.ok()?;
        Some((share, Arc::clone(&self.room).acquire_owned().await.ok()?))
    }
}

#[async_trait]
impl Authorizer for Webhooks {
    async fn allows(&self, url: &str, question: Value) -> bool {
        let room = tokio::time::timeout(limits::WEBHOOK_ANSWER_MAX, self.room_for(url));
        let Ok(Some(room)) = room.await else {
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn who_does_not_answer_keeps_nobody_else_waiting() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let answering = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = |of: &TcpListener| format!("http://{}/", of.local_addr().unwrap());
        let (silent_url, answering_url) = (url(&silent), url(&answering));
        std::thread::spawn(move || {
            let (mut asked, _) = answering.accept().unwrap();
            let _ = asked.read(&mut [0; 4_096]);
            asked.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        });
        let webhooks = Arc::new(Webhooks::new());
        for _ in 0..2 * limits::WEBHOOKS_AT_ONCE_MAX {
            let (webhooks, url) = (Arc::clone(&webhooks), silent_url.clone());
            tokio::spawn(async move { webhooks.allows(&url, Value::Null).await });
        }
        while webhooks.room.available_permits() == limits::WEBHOOKS_AT_ONCE_MAX {
            tokio::task::yield_now().await;
        }
        let asked =
            tokio::time::timeout(Duration::from_secs(3), webhooks.allows(&answering_url, Value::Null));
        assert!(asked.await.expect("others are waited for"));
        assert!(webhooks.shares.lock().len() <= 2);
    }
}
