//! Fetches sets of keys over HTTP, off the threads that serve requests.

use async_trait::async_trait;
use base::limits;
use security::{JwksFault, JwksSource};

/// The web.
pub struct Web {
    agent: ureq::Agent,
}

impl Web {
    /// Trusts the certificates that browsers do.
    pub fn new() -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(limits::JWKS_FETCH_MAX))
            .max_redirects(3)
            .user_agent(concat!("penstock/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.into() }
    }
}

#[async_trait]
impl JwksSource for Web {
    async fn fetch(&self, url: &str) -> Result<Vec<u8>, JwksFault> {
        let (agent, url) = (self.agent.clone(), url.to_owned());
        let fetching = move || {
            // What is wrong with an address may hold what is in it.
            let failed = |error: ureq::Error| {
                JwksFault::NotFetched(match error {
                    ureq::Error::StatusCode(status) => format!("the address answers with status {status}"),
                    ureq::Error::Timeout(_) => "the address does not answer in time".to_owned(),
                    _ => "the address cannot be reached".to_owned(),
                })
            };
            let mut answer = agent.get(&url).call().map_err(failed)?;
            let body = answer.body_mut().with_config().limit(limits::JWKS_BYTES_MAX as u64);
            body.read_to_vec().map_err(|error| match error {
                ureq::Error::BodyExceedsLimit(_) => JwksFault::TooLarge,
                error => failed(error),
            })
        };
        let stopping = |_| JwksFault::NotFetched("the node is stopping".to_owned());
        tokio::task::spawn_blocking(fetching).await.map_err(stopping)?
    }
}
