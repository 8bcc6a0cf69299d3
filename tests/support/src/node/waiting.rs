//! Waiting for what a node comes to.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::{NAP, Node};

impl Node {
    /// Asks `question` every few milliseconds until it answers `Some`, for facts that come without an
    /// event; `None` when it did not within `patience`.
    pub async fn eventually<T, F>(patience: Duration, mut question: impl FnMut() -> F) -> Option<T>
    where
        F: Future<Output = Option<T>>,
    {
        let ask = async {
            loop {
                if let Some(answer) = question().await {
                    return answer;
                }
                sleep(NAP).await;
            }
        };
        timeout(patience, ask).await.ok()
    }

    /// Waits until a [`metric`](Self::metric) is as wanted.
    ///
    /// # Errors
    /// It was not within `patience`; the error has its lines.
    pub async fn until_metric(
        &self,
        name: &str,
        labels: &[&str],
        patience: Duration,
        wanted: impl Fn(f64) -> bool,
    ) -> anyhow::Result<f64> {
        let is_so = async || self.metric(name, labels).await.ok().filter(|&value| wanted(value));
        if let Some(value) = Self::eventually(patience, is_so).await {
            return Ok(value);
        }
        let lines = self.metric_lines(name).await.context("the node is gone")?;
        bail!("{name} {labels:?} did not become what it should within {patience:?}: {lines:?}")
    }

    /// A broadcast as REST shows it; null where there is none.
    ///
    /// # Errors
    /// REST answers neither 200 nor 404.
    pub async fn broadcast(&self, application: &str, stream: &str) -> anyhow::Result<Value> {
        let answer = self.get(&format!("/{application}/rest/v2/broadcasts/{stream}")).await?;
        match answer.status {
            200 => Ok(answer.json()),
            404 => Ok(Value::Null),
            status => bail!("{application}/{stream}: {status} {}", answer.text()),
        }
    }

    /// Creates a broadcast that has nothing but its id.
    ///
    /// # Errors
    /// REST answers anything but 200.
    pub async fn create_broadcast(&self, application: &str, stream: &str) -> anyhow::Result<()> {
        let path = format!("/{application}/rest/v2/broadcasts/create");
        let answer = self.send("POST", &path, &json!({ "streamId": stream })).await?;
        if answer.status != 200 {
            bail!("{application}/{stream}: {} {}", answer.status, answer.text());
        }
        Ok(())
    }

    /// Has the node make a credential for a stream: `what` is `token` (good once) or `jwt-token`, `kind` is `publish` or `play`.
    ///
    /// # Errors
    /// It makes none.
    pub async fn mint(
        &self,
        what: &str,
        application: &str,
        stream: &str,
        kind: &str,
        expire_s: i64,
    ) -> anyhow::Result<String> {
        let of_stream = format!("/{application}/rest/v2/broadcasts/{stream}");
        let answer = self.get(&format!("{of_stream}/{what}?expireDate={expire_s}&type={kind}")).await?;
        let token = answer.json()["tokenId"].as_str().map(str::to_owned);
        token.with_context(|| format!("no {what}: {} {}", answer.status, answer.text()))
    }

    /// Waits until a [`broadcast`](Self::broadcast) is as wanted.
    ///
    /// # Errors
    /// It was not within `patience`; the error has it as it is.
    pub async fn until_broadcast(
        &self,
        application: &str,
        stream: &str,
        patience: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let is_so = async || self.broadcast(application, stream).await.ok().filter(|it| wanted(it));
        if let Some(broadcast) = Self::eventually(patience, is_so).await {
            return Ok(broadcast);
        }
        let now = self.broadcast(application, stream).await?;
        bail!("{application}/{stream} did not become what it should within {patience:?}: {now}")
    }

    /// What the log says of panics.
    pub fn panics(&self) -> Vec<String> {
        self.log_lines().into_iter().filter(|line| line.contains("\"target\":\"panic\"")).collect()
    }
}
