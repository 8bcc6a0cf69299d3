//! A client of each protocol that is in, and notices when it is not any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base::{Clock, SystemClock};
use load_tests::{Hostile, HostilePublisher, Identity};
use serde_json::{Value, json};
use test_support::{Node, RtmpClient, Signalling};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{APP, PATIENCE, REACHED_MAX};

/// What somebody is in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    RtmpPublisher,
    SocketPublisher,
    WhipPublisher,
    SocketPlayer,
    WhepPlayer,
    FlvPlayer,
}

impl Kind {
    pub const ALL: [Self; 6] = [
        Self::RtmpPublisher,
        Self::SocketPublisher,
        Self::WhipPublisher,
        Self::SocketPlayer,
        Self::WhepPlayer,
        Self::FlvPlayer,
    ];

    pub const fn publishes(self) -> bool {
        matches!(self, Self::RtmpPublisher | Self::SocketPublisher | Self::WhipPublisher)
    }

    pub const fn direction(self) -> &'static str {
        if self.publishes() { "publish" } else { "play" }
    }

    /// Whether a block pauses it on its connection instead of ending it.
    pub const fn can_pause(self) -> bool {
        matches!(self, Self::SocketPlayer | Self::WhepPlayer)
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::RtmpPublisher => "RTMP publisher",
            Self::SocketPublisher => "WebSocket publisher",
            Self::WhipPublisher => "WHIP publisher",
            Self::SocketPlayer => "WebSocket player",
            Self::WhepPlayer => "WHEP player",
            Self::FlvPlayer => "FLV player",
        }
    }
}

/// What a client says of itself.
pub struct Shown {
    pub stream: String,
    pub subscriber: String,
    pub token: Option<String>,
}

impl Shown {
    fn query(&self) -> String {
        let token = self.token.as_ref().map(|token| format!("&token={token}")).unwrap_or_default();
        format!("?subscriberId={}{token}", self.subscriber)
    }

    fn message(&self, command: &str) -> Value {
        json!({ "command": command, "streamId": self.stream, "video": true, "audio": true,
            "subscriberId": self.subscriber, "token": self.token })
    }
}

/// Who is in.
pub enum Client {
    /// RTMP, or a file that never ends.
    Stream(TcpStream),
    Signalling(Box<Signalling>),
    Player(Box<Hostile>),
    Publisher(Box<HostilePublisher>),
}

impl Client {
    /// Enters; players have media by then.
    pub async fn enter(node: &Node, kind: Kind, shown: &Shown, identity: &Arc<Identity>) -> Result<Self> {
        let query = shown.query();
        match kind {
            Kind::RtmpPublisher => {
                let name = format!("{}{query}", shown.stream);
                let client = RtmpClient::publishing(node.rtmp_address(), APP, &name).await?;
                let mut stream = client.into_stream();
                until_said(&mut stream, b"NetStream.Publish.Start", 0).await?;
                Ok(Self::Stream(stream))
            }
            Kind::SocketPublisher => {
                let mut socket = Signalling::open(&node.signalling_url(APP)).await?;
                socket.send(&shown.message("publish")).await?;
                let is_answer = |said: &Value| said["command"] == "start" || said["command"] == "error";
                let answer = socket.receive_until(is_answer).await?;
                ensure!(answer["command"] == "start", "{answer}");
                Ok(Self::Signalling(Box::new(socket)))
            }
            Kind::WhipPublisher => {
                let url = node.http_url(&format!("/{APP}/whip/{}{query}", shown.stream));
                Ok(Self::Publisher(Box::new(HostilePublisher::connect(&url, identity).await?)))
            }
            Kind::SocketPlayer => {
                let url = node.signalling_url(APP);
                let asked = Hostile::ask_with(&url, shown.message("play"), identity).await?;
                let player = asked.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
                Self::plays(player).await
            }
            Kind::WhepPlayer => {
                let url = node.http_url(&format!("/{APP}/whep/{}{query}", shown.stream));
                let asked = Hostile::ask_by_whep(&url, &[], identity).await?;
                Self::plays(asked.map_err(|refused| anyhow::anyhow!("{refused:?}"))?).await
            }
            Kind::FlvPlayer => {
                let address =
                    node.http_url("").trim_start_matches("http://").trim_end_matches('/').to_owned();
                let mut stream = TcpStream::connect(&address).await?;
                let path = format!("/{APP}/live/{}.flv{query}", shown.stream);
                stream
                    .write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes())
                    .await?;
                // The header of the file, and tags behind it.
                until_said(&mut stream, b"FLV", 4_096).await?;
                Ok(Self::Stream(stream))
            }
        }
    }

    async fn plays(mut player: Hostile) -> Result<Self> {
        player.answer().await?;
        player.behave_until(|receiver| receiver.first_media_at().is_some()).await?;
        Ok(Self::Player(Box::new(player)))
    }

    /// Goes on as it does, and says when it was told that it is over. What reads is asked before anybody is to end it.
    pub async fn over(mut self) -> Result<Instant> {
        let over = async {
            match &mut self {
                Self::Stream(stream) => {
                    let mut buffer = vec![0; 64 * 1024];
                    // A reset is an end as well.
                    while stream.read(&mut buffer).await.unwrap_or(0) > 0 {}
                }
                Self::Signalling(socket) => {
                    let is_over = |said: &Value| said["definition"] == "publish_finished";
                    socket.receive_until(is_over).await?;
                }
                Self::Player(player) => player.is_told_the_end().await?,
                Self::Publisher(publisher) => {
                    while publisher.ended().is_none() {
                        // Comes back with an error when the connection is over.
                        let turn = SystemClock.now() + Duration::from_millis(5);
                        let _ = publisher.behave_until(|_| SystemClock.now() >= turn).await;
                    }
                }
            }
            Ok(SystemClock.now())
        };
        timeout(PATIENCE, over).await.context("nobody said that it is over")?
    }

    /// Goes, and says so where its protocol has a word for it.
    pub async fn leave(self) {
        if let Self::Player(player) = self {
            player.leave().await;
        }
    }

    /// How long after `since` the last packet came, once none has come for a while; an ordinary player meanwhile.
    pub async fn falls_silent(&mut self, since: Instant) -> Result<Duration> {
        let Self::Player(player) = self else { bail!("it cannot pause") };
        let (mut seen, mut last) = (packets(player), since);
        while SystemClock.now() - last < REACHED_MAX {
            let until = SystemClock.now() + Duration::from_millis(20);
            player.behave_until(|_| SystemClock.now() >= until).await?;
            let now = packets(player);
            if now != seen {
                (seen, last) = (now, SystemClock.now());
            }
            ensure!(SystemClock.now() - since < PATIENCE, "media goes on");
        }
        Ok(last - since)
    }

    /// How long after `since` media comes again.
    pub async fn is_heard(&mut self, since: Instant) -> Result<Duration> {
        let Self::Player(player) = self else { bail!("it cannot pause") };
        let before = packets(player);
        while packets(player) == before {
            let until = SystemClock.now() + Duration::from_millis(5);
            player.behave_until(|_| SystemClock.now() >= until).await?;
            ensure!(SystemClock.now() - since < PATIENCE, "media does not come back");
        }
        Ok(SystemClock.now() - since)
    }
}

fn packets(player: &mut Hostile) -> u64 {
    player.receiver().tracks().iter().map(|track| track.counts().packets).sum()
}

/// Reads until the words came, and so many bytes in all.
async fn until_said(stream: &mut TcpStream, words: &[u8], least: usize) -> Result<()> {
    let mut said = Vec::new();
    let reading = async {
        while said.len() < least || !said.windows(words.len()).any(|window| window == words) {
            if stream.read_buf(&mut said).await? == 0 {
                bail!("the connection was closed");
            }
        }
        anyhow::Ok(())
    };
    let read = timeout(PATIENCE, reading).await.context("no answer").and_then(|read| read);
    read.with_context(|| String::from_utf8_lossy(&said).chars().take(2_000).collect::<String>())
}
