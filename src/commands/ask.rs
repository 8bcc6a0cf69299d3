//! Asks the running node.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use base::limits;
use config::{NodeConfig, ProxyProtocol};
use serde_json::Value;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{ConnectionDetails, Connector, TcpConnector, Transport};

/// Time for one answer: longer than the node itself waits for its metadata.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// What a connection begins with that speaks for nobody but itself: `LOCAL` of the PROXY protocol, version 2.
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// Begins connections so, where the node closes those that do not.
#[derive(Debug)]
struct SpeaksForItself(ProxyProtocol);

impl<In: Transport> Connector<In> for SpeaksForItself {
    type Out = In;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<In>, ureq::Error> {
        let Some(mut connection) = chained else { return Ok(None) };
        if self.0 == ProxyProtocol::Required {
            let begin = connection.buffers().output().get_mut(..LOCAL.len());
            begin.ok_or(ureq::Error::ConnectionFailed)?.copy_from_slice(LOCAL);
            connection.transmit_output(LOCAL.len(), details.timeout)?;
        }
        Ok(Some(connection))
    }
}

/// The node that runs on the data folder of a configuration.
pub struct Node {
    address: String,
    agent: ureq::Agent,
}

impl Node {
    /// Finds it by what it wrote when it started.
    pub fn of(config: &NodeConfig) -> anyhow::Result<Self> {
        let endpoints = config.data.folder.join("endpoints.json");
        let text = std::fs::read_to_string(&endpoints).with_context(|| {
            format!("{} cannot be read: is a node running on this data folder?", endpoints.display())
        })?;
        let endpoints: Value = serde_json::from_str(&text).context("endpoints.json is damaged")?;
        let address = endpoints["http"].as_str().context("endpoints.json names no address")?.to_owned();
        // It is on this machine: no proxy of the environment is asked.
        let settings = ureq::Agent::config_builder().http_status_as_error(false).proxy(None);
        let settings = settings.timeout_global(Some(ANSWER_MAX)).build();
        let connector = TcpConnector::default().chain(SpeaksForItself(config.http.proxy_protocol));
        Ok(Self { address, agent: ureq::Agent::with_parts(settings, connector, DefaultResolver::default()) })
    }

    /// The bytes that a GET is answered with; a refusal is an error that begins with `refused`.
    pub fn bytes(&self, path: &str, refused: &str) -> anyhow::Result<Vec<u8>> {
        let request = ureq::http::Request::get(self.url(path)).body(()).context("that is no request")?;
        // As long as there is much of them.
        let request = self.agent.configure_request(request).timeout_global(None).build();
        let mut answer = self.reached(self.agent.run(request))?;
        let body = answer.body_mut().with_config().limit(limits::RAFT_SNAPSHOT_BYTES_MAX);
        let bytes = body.read_to_vec().context("the answer did not come whole")?;
        ensure!(answer.status().is_success(), "{refused}: {}", String::from_utf8_lossy(&bytes));
        Ok(bytes)
    }

    /// The answer to a GET.
    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        let request = ureq::http::Request::get(self.url(path)).body(()).context("that is no request")?;
        self.answer(self.agent.run(request))
    }

    /// The answer to a DELETE.
    pub fn delete(&self, path: &str) -> anyhow::Result<Value> {
        let request = ureq::http::Request::delete(self.url(path)).body(()).context("that is no request")?;
        self.answer(self.agent.run(request))
    }

    /// The answer to a request with a body.
    pub fn send(
        &self,
        verb: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> anyhow::Result<Value> {
        let mut request = ureq::http::Request::builder()
            .method(verb)
            .uri(self.url(path))
            .header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.to_string()).context("that is no request")?;
        self.answer(self.agent.run(request))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{}", self.address, way(path))
    }

    fn reached(&self, answer: Answer) -> anyhow::Result<ureq::http::Response<ureq::Body>> {
        answer.with_context(|| format!("the node does not answer at {}: is it running?", self.address))
    }

    fn answer(&self, answer: Answer) -> anyhow::Result<Value> {
        let mut answer = self.reached(answer)?;
        let status = answer.status();
        let body = answer.body_mut().with_config().limit(limits::RAFT_SNAPSHOT_BYTES_MAX);
        let text = body.read_to_string().context("the answer did not come whole")?;
        let said: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        if status.is_success() && status != 204 && said["success"] != false {
            return Ok(said);
        }
        let message = said.as_str().or_else(|| said["message"].as_str()).filter(|it| !it.is_empty());
        match message {
            _ if status == 204 => bail!("there is no such application"),
            Some("Not Found") => {
                bail!("the node knows nothing of that: is the name of the application right?")
            }
            Some(message) => bail!("the node refuses: {message}"),
            None if status.is_success() => {
                bail!("the node refuses, without a word: it has nothing of the kind")
            }
            None => bail!("the node refuses with status {status}"),
        }
    }
}

type Answer = Result<ureq::http::Response<ureq::Body>, ureq::Error>;

/// Where `path` is asked for: what is of an application by way of the node, as the panel asks. There the machine itself has all
/// rights, whatever the application's own filters say of JWTs and of loopback.
fn way(path: &str) -> String {
    if path.starts_with("/rest/v2/") {
        return path.to_owned();
    }
    format!("/rest/v2/request?_path={}", part(path))
}

/// A text as one part of a path, or as a value of a query.
pub fn part(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    let encoded = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encoded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_an_application_is_asked_for_by_way_of_the_node() {
        assert_eq!(way("/rest/v2/user-list"), "/rest/v2/user-list");
        // What stood encoded in the path is encoded once more: the node reads it as a value, and then as a path.
        let path = format!("/{}/rest/v2/broadcasts/{}/token?type=play", part("rest"), part("a b"));
        let asked = "/rest/v2/request?_path=%2Frest%2Frest%2Fv2%2Fbroadcasts%2Fa%2520b%2Ftoken%3Ftype%3Dplay";
        assert_eq!(way(&path), asked);
    }
}
