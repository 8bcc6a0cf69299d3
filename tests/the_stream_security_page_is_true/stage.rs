//! A node that is set up as a section of the guide says, a browser, and an encoder.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base::{Clock, SystemClock};
use security::credential::totp;
use serde_json::{Value, json};
use test_support::{Browser, BrowserOptions, Marker, MarkerError, MarkerOptions, Node, NodeOptions, request};
use tokio::process::Command;
use tokio::time::timeout;

use super::page::{Must, Role, Section};
use super::rows;

/// The application where the guide leaves it open.
pub const APP: &str = "WebRTCAppEE";
/// The stream of the guide.
pub const STREAM: &str = "stream1";
/// 2030.
pub const LATER: u64 = 1_893_456_000;
pub const PATIENCE: Duration = Duration::from_secs(20);
/// The subscribers' secret in the guide.
const SUBSCRIBERS_SECRET: &str = "mysecret";
/// Pages may use a camera that is none, and a node may have made its own certificate.
const FLAGS: [&str; 3] =
    ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--ignore-certificate-errors"];

pub struct Stage {
    pub node: Node,
    section: Section,
    browser: Browser,
    marker: Option<Marker>,
}

impl Stage {
    pub async fn set(section: Section) -> Result<Self> {
        let mut options = NodeOptions::new(env!("CARGO_BIN_EXE_penstock"));
        for row in rows(section) {
            match row.must {
                Must::BeASetting => {
                    for (key, value) in row.text.lines().filter_map(|line| line.split_once('=')) {
                        options = options.setting(APP, key, value);
                    }
                }
                Must::BeASecret => options = options.setting(APP, "jwtStreamSecretKey", row.text),
                _ => {}
            }
        }
        // What the guide has somebody switch on in the panel.
        let switches: &[&str] = match section {
            Section::OneTimeToken => &["publishTokenControlEnabled", "playTokenControlEnabled"],
            Section::Jwt => &["publishJwtControlEnabled", "playJwtControlEnabled"],
            _ => &[],
        };
        for switch in switches {
            options = options.setting(APP, switch, "true");
        }
        let node = Node::start(options).await?;
        let options = BrowserOptions {
            flags: FLAGS.map(str::to_owned).to_vec(),
            passes_over_policies: true,
            ..BrowserOptions::default()
        };
        let browser = Browser::start_with(options).await?;
        Ok(Self { node, section, browser, marker: None })
    }

    /// The guide names one application here and another there.
    const fn app(&self) -> &'static str {
        match self.section {
            Section::Beginning => "LiveApp",
            _ => APP,
        }
    }

    /// A snippet with everything filled in that the guide leaves open.
    pub fn filled(&self, snippet: &str, token: &str) -> String {
        let ends = self.node.endpoints();
        let (wss, ws) = (ends.https.replacen("https", "wss", 1), ends.http.replacen("http", "ws", 1));
        let fillings: &[(&str, &str)] = &[
            ("https://YOUR_AMS_SERVER", &ends.https),
            ("wss://SERVER_NAME:5443", &wss),
            ("ws://SERVER_NAME:5080", &ws),
            ("http://[IP_Address]:5080", &ends.http),
            ("http://[IP_Address]", &ends.http),
            ("http://localhost:5080", &ends.http),
            ("rtmp://IP_Address", &ends.rtmp),
            ("srt://IP_Address", "srt://127.0.0.1"),
            // The guide's own slips of the pen.
            ("`/streams/`", "/streams/"),
            ("<Application_Name>", APP),
            ("Application_Name", APP),
            ("<Stream_Id_or_Source_Name>", STREAM),
            ("<Stream_Id>", STREAM),
            ("<Expire_Date>", &LATER.to_string()),
            ("StreamId?", &format!("{STREAM}?")),
            ("streamID", STREAM),
            ("streamid,", &format!("{STREAM},")),
            ("\"tokenId\"", &format!("\"{token}\"")),
            ("\"hash\"", &format!("\"{token}\"")),
            ("token=tokenId", &format!("token={token}")),
            ("token=hash", &format!("token={token}")),
            ("subscriberCode=440456", &format!("subscriberCode={}", code())),
            ("subscriberCode=438610", &format!("subscriberCode={}", code())),
        ];
        let fill = |text: String, (from, to): &(&str, &str)| text.replace(from, to);
        fillings.iter().fold(snippet.to_owned(), fill)
    }

    /// Runs a line of the guide in a shell.
    pub async fn shell(&self, line: &str) -> Result<String> {
        run(Command::new("sh").arg("-c").arg(self.filled(line, ""))).await
    }

    /// The hash that coreutils find.
    pub async fn sha256(&self, text: &str) -> Result<String> {
        let said = run(Command::new("sh").args(["-c", "printf %s \"$1\" | sha256sum", "sh", text])).await?;
        Ok(said.split(' ').next().unwrap_or_default().to_owned())
    }

    /// A token as the section of the guide has it made.
    pub async fn credential(&self, role: Role) -> Result<String> {
        match self.section {
            Section::OneTimeToken | Section::Jwt => {
                let make = rows(self.section).find(|row| row.must == Must::MakeAToken(role));
                let make = make.context("the section makes no token")?.text;
                let answer = request("GET", &self.filled(make, ""), None).await?.json();
                Ok(answer["tokenId"].as_str().with_context(|| format!("no token: {answer}"))?.to_owned())
            }
            Section::Hash => {
                let setting = rows(self.section).find(|row| row.must == Must::BeASetting);
                let lines = setting.map(|row| row.text.lines()).into_iter().flatten();
                let secret = lines.filter_map(|line| line.strip_prefix("tokenHashSecret=")).next();
                self.sha256(&format!("{STREAM}{}{}", role.word(), secret.context("no secret")?)).await
            }
            _ => Ok(String::new()),
        }
    }

    /// Changes settings of the guide's application; what they were.
    pub async fn change(&self, changes: Value) -> Result<Value> {
        let path = format!("/rest/v2/applications/settings/{APP}");
        let before = self.node.get(&path).await?.json();
        let answer = self.node.send("PATCH", &path, &changes).await?;
        ensure!(answer.status == 200 && answer.json()["success"] == true, "{}", answer.text());
        Ok(before)
    }

    fn encoder(address: &str) -> Result<Marker, MarkerError> {
        Marker::start(MarkerOptions {
            width: 640,
            height: 360,
            video_bitrate: 500_000,
            ..MarkerOptions::to_rtmp(address.to_owned())
        })
    }

    /// ffmpeg publishes at an address, until it is live; then it leaves.
    pub async fn publishes(&self, address: &str) -> Result<()> {
        let marker = Self::encoder(address)?;
        let live = |broadcast: &Value| broadcast["status"] == "broadcasting";
        self.node.until_broadcast(self.app(), STREAM, PATIENCE, live).await?;
        marker.stop()?;
        self.until_nobody_publishes().await
    }

    /// ffmpeg is told that it may not publish there.
    pub async fn is_refused(&self, address: &str) -> Result<()> {
        let error = Self::encoder(address)?.finish(PATIENCE).err().context("ffmpeg was let in")?;
        ensure!(matches!(error, MarkerError::Encoder { status: Some(_), .. }), "{error}");
        self.until_nobody_publishes().await
    }

    /// The stream is live, by a publisher of the test's.
    pub async fn be_live(&mut self) -> Result<()> {
        if self.marker.is_some() {
            return Ok(());
        }
        let query = match self.section {
            Section::OneTimeToken | Section::Hash | Section::Jwt => {
                format!("?token={}", self.credential(Role::Publish).await?)
            }
            Section::Totp => format!("?subscriberId=publisherA&subscriberCode={}", code()),
            _ => String::new(),
        };
        let before = self.pictures().await?;
        let address = format!("{}{query}", self.node.rtmp_url(self.app(), STREAM));
        self.marker = Some(Self::encoder(&address)?);
        let video = ["kind=\"video\""];
        self.node.until_metric("penstock_units_total", &video, PATIENCE, |now| now > before + 60.0).await?;
        Ok(())
    }

    async fn pictures(&self) -> Result<f64> {
        Ok(self.node.metric("penstock_units_total", &["kind=\"video\""]).await?)
    }

    /// Nobody publishes the stream.
    pub async fn be_silent(&mut self) -> Result<()> {
        if let Some(marker) = self.marker.take() {
            marker.stop()?;
        }
        self.until_nobody_publishes().await
    }

    async fn until_nobody_publishes(&self) -> Result<()> {
        let path = format!("/{}/rest/v2/broadcasts/{STREAM}/sessions/0/50", self.app());
        let nobody = async || {
            let sessions = self.node.get(&path).await.ok()?.json();
            sessions.as_array()?.iter().all(|one| one["direction"] != "publish").then_some(())
        };
        Node::eventually(PATIENCE, nobody).await.context("somebody still publishes")
    }

    pub async fn until_nobody_publishes_but_the_marker(&self) -> Result<()> {
        if self.marker.is_some() { Ok(()) } else { self.until_nobody_publishes().await }
    }

    async fn is(&self, state: &str) -> Result<()> {
        let script = format!("return document.body.dataset.state === '{state}'");
        Ok(self.browser.wait_until(state, PATIENCE, &script).await?)
    }

    /// Somebody opens an address to publish, and presses what there is to press.
    pub async fn broadcast(&mut self, address: &str) -> Result<()> {
        self.be_silent().await?;
        self.browser.open(&self.filled(address, "")).await?;
        self.browser.run("document.querySelector('#publish button').click()").await?;
        self.is("ready").await?;
        self.browser.run("document.getElementById('toggle').click()").await?;
        self.is("live").await?;
        let live =
            |broadcast: &Value| broadcast["status"] == "broadcasting" && broadcast["publishType"] == "WebRTC";
        self.node.until_broadcast(self.app(), STREAM, PATIENCE, live).await?;
        self.browser.run("document.getElementById('toggle').click()").await?;
        self.is("stopped").await?;
        self.until_nobody_publishes().await
    }

    /// Somebody opens an address to watch.
    pub async fn show(&mut self, address: &str) -> Result<()> {
        self.be_live().await?;
        let mut open = self.filled(address, &self.credential(Role::Play).await?);
        if !address.contains("name=") {
            // The guide leaves out which stream: the page asks for it.
            self.browser.open(&open).await?;
            self.is("refused").await?;
            let text = self.browser.text().await?;
            ensure!(text.contains("Add its name: play.html?id=stream1"), "{text}");
            open = format!("{open}{}id={STREAM}", if open.contains('?') { '&' } else { '?' });
        }
        self.browser.open(&open).await?;
        self.is("playing").await?;
        if address.contains("token=") {
            self.browser.open(&self.filled(address, "no-token-of-this-node")).await?;
            self.is("refused").await?;
        }
        // The next address finds nobody who plays.
        Ok(self.browser.open("about:blank").await?)
    }

    /// A page opens a socket and pings.
    pub async fn open_socket(&self, address: &str) -> Result<()> {
        let answer = self.exchange(&self.filled(address, ""), "{ command: 'ping' }").await?;
        ensure!(answer["command"] == "pong", "{answer}");
        Ok(())
    }

    /// A page sends what the guide prints, which is an object of JavaScript; the first answer that decides.
    pub async fn says_over_socket(&self, message: &str) -> Result<Value> {
        let address = rows(Section::OneTimeToken).find(|row| row.must == Must::OpenASocket);
        let address = address.context("no socket")?.text;
        self.exchange(&self.filled(address, ""), message).await
    }

    async fn exchange(&self, address: &str, message: &str) -> Result<Value> {
        self.browser.open(&self.node.http_url(&format!("/{APP}/"))).await?;
        let script = format!(
            "const socket = new WebSocket({});
             const say = () => socket.send(JSON.stringify(({message})));
             window.answer = null;
             socket.onopen = say;
             socket.onmessage = ({{ data }}) => {{
               const heard = JSON.parse(data);
               if (heard.definition === 'streaming_started') say();
               else if (['pong', 'start', 'takeConfiguration'].includes(heard.command)
                 || (heard.command === 'error' && heard.definition !== 'no_stream_exist')) {{
                 window.answer = heard;
                 socket.close();
               }}
             }};",
            json!(address)
        );
        self.browser.run(&script).await?;
        self.browser.wait_until("an answer", PATIENCE, "return window.answer !== null").await?;
        Ok(self.browser.run("return window.answer").await?)
    }
}

/// The code of now.
fn code() -> String {
    let key = totp::key_of_base32(SUBSCRIBERS_SECRET).expect("a secret of the guide");
    totp::code(&key, 60, SystemClock.wall())
}

async fn run(command: &mut Command) -> Result<String> {
    let done = command.output().await?;
    ensure!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    Ok(String::from_utf8(done.stdout)?)
}

/// Whether the machine's ffmpeg knows a protocol.
pub fn ffmpeg_speaks(protocol: &str) -> bool {
    let listed = std::process::Command::new("ffmpeg").args(["-hide_banner", "-protocols"]).output();
    listed.is_ok_and(|listed| {
        String::from_utf8_lossy(&listed.stdout).lines().any(|line| line.trim() == protocol)
    })
}

/// ffmpeg publishes to an `srt://` address and fails; what it says of that.
pub async fn send_by_srt(address: &str) -> Result<String> {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30"]);
    ffmpeg.args(["-t", "1", "-c:v", "libx264", "-f", "mpegts", address]).stdin(Stdio::null());
    ffmpeg.kill_on_drop(true);
    let done = timeout(PATIENCE, ffmpeg.output()).await.context("ffmpeg goes on")??;
    ensure!(!done.status.success(), "ffmpeg was let in");
    Ok(String::from_utf8_lossy(&done.stderr).into_owned())
}
