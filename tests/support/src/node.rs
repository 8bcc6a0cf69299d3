//! A real penstock process on free ports, with its own data folder and its own applications.

mod error;
mod log;
mod options;
mod starting;
mod waiting;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use base::{Clock, SystemClock};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::http::{self, HttpError, Response};
use crate::process;

use log::{Discretion, Log};

pub use error::NodeError;
pub use options::NodeOptions;
pub use starting::Starting;

/// Time for a node to be ready.
const START_MAX: Duration = Duration::from_secs(20);
/// Time for a node to end after SIGTERM.
const STOP_MAX: Duration = Duration::from_secs(20);
/// The nap between two looks at something that has no event.
const NAP: Duration = Duration::from_millis(10);

/// Where a node listens, as it says in `endpoints.json`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Endpoints {
    /// `http://127.0.0.1:port`.
    pub http: String,
    /// `https://127.0.0.1:port`.
    pub https: String,
    /// `rtmp://127.0.0.1:port`.
    pub rtmp: String,
    /// UDP ports of media, one per shard.
    pub media_udp_ports: Vec<u16>,
    /// The process that listens there.
    pub pid: u32,
}

/// A running node. Dropping it kills the process and removes its folder.
pub struct Node {
    /// First, because it looks into the folder.
    discretion: Discretion,
    options: NodeOptions,
    folder: TempDir,
    running: Running,
    log: Log,
}

struct Running {
    child: Child,
    endpoints: Endpoints,
}

impl Node {
    /// Starts a node and waits until it says it is ready.
    ///
    /// # Errors
    /// It did not start; the error carries its last log lines.
    pub async fn start(options: NodeOptions) -> Result<Self, NodeError> {
        Starting::spawn(options)?.ready().await
    }

    /// Starts the process again on the same folders, after [`kill9`](Self::kill9) or
    /// [`terminate`](Self::terminate). Ports are new ones.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn restart(&mut self) -> Result<(), NodeError> {
        let mut child = spawn(&self.options, self.folder.path(), &self.log)?;
        let endpoints = until_ready(&mut child, &self.options, self.folder.path(), &self.log).await?;
        self.running = Running { child, endpoints };
        Ok(())
    }

    /// Kills the process without a warning and waits until it is gone.
    ///
    /// # Errors
    /// The process could not be waited for.
    pub async fn kill9(&mut self) -> Result<(), NodeError> {
        self.running.child.kill().await?;
        self.log.read_to_the_end().await;
        Ok(())
    }

    /// Asks the process to end (SIGTERM).
    pub fn ask_to_end(&self) {
        if let Some(pid) = self.running.child.id() {
            process::terminate(pid);
        }
    }

    /// Asks the process to end and waits for it.
    ///
    /// # Errors
    /// It did not end within 20 s and was killed.
    pub async fn terminate(&mut self) -> Result<ExitStatus, NodeError> {
        self.ask_to_end();
        match timeout(STOP_MAX, self.running.child.wait()).await {
            Ok(status) => {
                self.log.read_to_the_end().await;
                Ok(status?)
            }
            Err(_) => {
                self.kill9().await?;
                Err(NodeError::NotEnded)
            }
        }
    }

    /// Where the node listens.
    pub const fn endpoints(&self) -> &Endpoints {
        &self.running.endpoints
    }

    /// The node's process id.
    pub const fn pid(&self) -> u32 {
        self.running.endpoints.pid
    }

    /// The address of a page or a REST call; `path` begins with a slash.
    pub fn http_url(&self, path: &str) -> String {
        format!("{}{path}", self.running.endpoints.http)
    }

    /// The signalling address of an application.
    pub fn signalling_url(&self, application: &str) -> String {
        self.http_url(&format!("/{application}/websocket")).replacen("http://", "ws://", 1)
    }

    /// Where an encoder publishes.
    pub fn rtmp_url(&self, application: &str, stream: &str) -> String {
        format!("{}/{application}/{stream}", self.running.endpoints.rtmp)
    }

    /// `127.0.0.1:port` of the RTMP listener.
    pub fn rtmp_address(&self) -> &str {
        self.running.endpoints.rtmp.trim_start_matches("rtmp://")
    }

    /// The folder of the node's data.
    pub fn data_folder(&self) -> PathBuf {
        data_of(&self.options, self.folder.path())
    }

    /// An application's `red5-web.properties`.
    pub fn properties(&self, application: &str) -> PathBuf {
        properties_of(self.folder.path(), application)
    }

    /// Sends a GET.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn get(&self, path: &str) -> Result<Response, HttpError> {
        http::request("GET", &self.http_url(path), None).await
    }

    /// Sends a request with a JSON body.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn send(&self, method: &str, path: &str, body: &Value) -> Result<Response, HttpError> {
        http::request(method, &self.http_url(path), Some(body)).await
    }

    /// The sum of a metric over all label values that hold every one of `labels` (as `name="value"`);
    /// 0 when it has not been counted yet.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn metric(&self, name: &str, labels: &[&str]) -> Result<f64, HttpError> {
        Ok(sum_metric(&self.metrics_text().await?, name, labels))
    }

    /// The lines of a metric as `/metrics` has them, for telling what was counted instead.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn metric_lines(&self, name: &str) -> Result<Vec<String>, HttpError> {
        let text = self.metrics_text().await?;
        Ok(text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect())
    }

    /// Every number of ours in `/metrics`, by its name and labels as they stand there.
    ///
    /// # Errors
    /// See [`HttpError`].
    pub async fn metrics(&self) -> Result<BTreeMap<String, f64>, HttpError> {
        let lines = self.metric_lines("penstock_").await?;
        let numbers = lines.iter().filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Ok(numbers.collect())
    }

    async fn metrics_text(&self) -> Result<String, HttpError> {
        let text = self.get("/metrics").await?.text();
        self.discretion.metrics_were(&text);
        Ok(text)
    }

    /// The log lines so far, oldest first; the newest 20,000.
    pub fn log_lines(&self) -> Vec<String> {
        self.log.lines()
    }

    /// Waits for a log line, those written already included; `None` when it did not come in time.
    pub async fn wait_for_log(&self, patience: Duration, wanted: impl Fn(&str) -> bool) -> Option<String> {
        self.log.wait_for(patience, wanted).await
    }
}

/// The program, without what the caller's own environment says of nodes: that is not meant for this one.
pub(crate) fn penstock(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PENSTOCK_") {
            command.env_remove(name);
        }
    }
    command
}

fn spawn(options: &NodeOptions, folder: &Path, log: &Log) -> Result<Child, NodeError> {
    let data = data_of(options, folder);
    match fs::remove_file(endpoints_of(&data)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let mut command = penstock(&options.binary);
    command
        .current_dir(folder)
        .env("PENSTOCK_HTTP_PORT", "0")
        .env("PENSTOCK_HTTP_HTTPS_PORT", "0")
        .env("PENSTOCK_RTMP_PORT", "0")
        .env("PENSTOCK_WEBRTC_UDP_PORT_BASE", "0")
        .env("PENSTOCK_WEBRTC_TCP_PORT", "0")
        .env("PENSTOCK_DATA_FOLDER", &data)
        .env("PENSTOCK_DATA_WEBAPPS", folder.join("webapps"))
        .env("PENSTOCK_LOG_FORMAT", "json")
        .envs(options.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn()?;
    if let Some(stdout) = child.stdout.take() {
        log.follow(stdout);
    }
    if let Some(stderr) = child.stderr.take() {
        log.follow(stderr);
    }
    Ok(child)
}

/// Waits until the process says that it is ready. One that is not within [`START_MAX`] ends with its `Child`.
async fn until_ready(
    child: &mut Child,
    options: &NodeOptions,
    folder: &Path,
    log: &Log,
) -> Result<Endpoints, NodeError> {
    let endpoints_file = endpoints_of(&data_of(options, folder));
    let deadline = SystemClock.now() + START_MAX;
    while SystemClock.now() < deadline {
        if let Some(status) = child.try_wait()? {
            log.read_to_the_end().await;
            return Err(NodeError::Died { status, last_lines: log.last() });
        }
        if let Some(endpoints) = read_endpoints(&endpoints_file)
            && http::request("GET", &format!("{}/readyz", endpoints.http), None)
                .await
                .is_ok_and(|r| r.status == 200)
        {
            return Ok(endpoints);
        }
        sleep(NAP).await;
    }
    Err(NodeError::NotReady { last_lines: log.last() })
}

fn data_of(options: &NodeOptions, folder: &Path) -> PathBuf {
    options.data.clone().unwrap_or_else(|| folder.join("data"))
}

fn endpoints_of(data: &Path) -> PathBuf {
    data.join("endpoints.json")
}

fn read_endpoints(path: &Path) -> Option<Endpoints> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn properties_of(folder: &Path, application: &str) -> PathBuf {
    folder.join("webapps").join(application).join("WEB-INF/red5-web.properties")
}

/// Sets `key` in a properties file, in place of a line that sets it with or without `settings.`.
fn set_property(path: &Path, key: &str, value: &str) -> io::Result<()> {
    let bare = key.trim_start_matches("settings.");
    let text = fs::read_to_string(path)?;
    let is_it = |line: &str| {
        line.split_once('=').is_some_and(|(name, _)| name.trim().trim_start_matches("settings.") == bare)
    };
    let mut lines: Vec<String> = text.lines().filter(|line| !is_it(line)).map(str::to_owned).collect();
    lines.push(format!("{key}={value}"));
    fs::write(path, lines.join("\n") + "\n")
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn sum_metric(text: &str, name: &str, labels: &[&str]) -> f64 {
    text.lines()
        .filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let (set, value) = match rest.strip_prefix('{') {
                Some(rest) => rest.rsplit_once('}')?,
                None => ("", rest.strip_prefix(' ')?),
            };
            labels.iter().all(|label| set.contains(label)).then(|| value.trim().parse::<f64>().ok())?
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_summed_over_their_labels() {
        let text = "# HELP a_total x\na_total{reason=\"kicked\",k=\"v\"} 2\na_total{reason=\"finished\"} 3\na_total_more 7\nb 1.5\n";
        assert_eq!(sum_metric(text, "a_total", &[]), 5.0);
        assert_eq!(sum_metric(text, "a_total", &["reason=\"kicked\""]), 2.0);
        assert_eq!(sum_metric(text, "b", &[]), 1.5);
        assert_eq!(sum_metric(text, "c", &[]), 0.0);
    }

    #[test]
    fn a_setting_replaces_its_line_whatever_its_spelling() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "# a\nsettings.x = 1\ny=2\n").unwrap();
        set_property(file.path(), "x", "9").unwrap();
        assert_eq!(fs::read_to_string(file.path()).unwrap(), "# a\ny=2\nx=9\n");
    }

    fn script(folder: &Path, text: &str) -> NodeOptions {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.join("node.sh");
        fs::write(&path, format!("#!/bin/sh\n{text}")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        NodeOptions::new(path)
    }

    #[tokio::test]
    async fn a_node_that_dies_at_start_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let options = script(folder.path(), "echo 'port 1935 is in use' >&2; exit 3");
        let Err(NodeError::Died { status, last_lines }) = Node::start(options).await else {
            panic!("it started")
        };
        assert_eq!(status.code(), Some(3));
        assert_eq!(last_lines, ["port 1935 is in use"]);
    }

    #[tokio::test]
    #[should_panic(expected = "a node has told a secret")]
    async fn a_test_whose_node_tells_a_secret_fails() {
        let folder = tempfile::tempdir().unwrap();
        let options = script(folder.path(), "echo \"checking with $A_SECRET\"; sleep 60");
        let node = Starting::spawn(options.environment("A_SECRET", "canary-of-the-support")).unwrap();
        node.wait_for_log(Duration::from_secs(5), |line| line.contains("checking")).await.unwrap();
    }

    #[tokio::test]
    async fn a_node_is_found_by_what_it_writes_and_ends_when_told() {
        let pages = tempfile::tempdir().unwrap();
        fs::write(pages.path().join("readyz"), "ok").unwrap();
        let server = crate::FileServer::start(pages.path()).await.unwrap();
        let http = server.url("").trim_end_matches('/').to_owned();
        let folder = tempfile::tempdir().unwrap();
        let options = script(
            folder.path(),
            &format!(
                "trap 'echo bye; exit 0' TERM\necho hello\n\
                 printf '{{\"http\":\"{http}\",\"https\":\"\",\"rtmp\":\"rtmp://127.0.0.1:1\",\"media_udp_ports\":[1],\"pid\":%d}}' $$ > \"$PENSTOCK_DATA_FOLDER/new\"\n\
                 mv \"$PENSTOCK_DATA_FOLDER/new\" \"$PENSTOCK_DATA_FOLDER/endpoints.json\"\n\
                 while true; do sleep 0.02; done"
            ),
        );
        let mut node = Node::start(options).await.unwrap();
        assert_eq!(node.rtmp_url("LiveApp", "s"), "rtmp://127.0.0.1:1/LiveApp/s");
        assert!(node.wait_for_log(Duration::from_secs(5), |line| line == "hello").await.is_some());
        let first = node.pid();
        assert!(node.terminate().await.unwrap().success());
        assert!(node.wait_for_log(Duration::from_secs(5), |line| line == "bye").await.is_some());
        node.restart().await.unwrap();
        assert_ne!(node.pid(), first);
        node.kill9().await.unwrap();
    }
}
