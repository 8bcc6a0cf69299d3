//! Somebody publishes a recording, each picture of which is known again, and somebody plays it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use load_tests::{
    Asking, Identity, Ledger, Manner, Opening, Publisher, Recording, RecordingOptions, Swarm, SwarmOptions,
    WebRtcPublishers,
};
use serde_json::json;
use test_support::Node;
use tokio::time::sleep;

use super::cells::Protocol;
use super::clients::Credential;
use super::{APP, PATIENCE};

/// How long a player watches, and the pictures it has then at least: half of those that are due.
const WATCHED: Duration = Duration::from_millis(500);
const PICTURES_MIN: u64 = 7;

/// What is published.
pub struct Pictures {
    recording: Arc<Recording>,
    identity: Arc<Identity>,
}

/// Publishes until it is dropped.
enum Source {
    Rtmp(Publisher),
    WebRtc(WebRtcPublishers),
}

impl Source {
    /// Whether what it sends is known by now, once the stream has pictures: a browser's tracks come one by one.
    fn flows(&self) -> bool {
        match self {
            Self::Rtmp(_) => true,
            Self::WebRtc(publishers) => publishers.all_flow(),
        }
    }

    fn check(&mut self) -> Result<()> {
        match self {
            Self::Rtmp(publisher) => publisher.check(),
            Self::WebRtc(publishers) => publishers.check(),
        }
    }
}

impl Pictures {
    pub async fn make() -> Result<Self> {
        let options = RecordingOptions { bitrate: 500_000, ..RecordingOptions::default() };
        Ok(Self {
            recording: Arc::new(Recording::make(options).await?),
            identity: Arc::new(Identity::new()?),
        })
    }

    /// Publishes with what is shown until a player has had pictures, and none that was not published.
    pub async fn arrive(
        &self,
        node: &Node,
        protocol: Protocol,
        stream: &str,
        shown: &Credential,
    ) -> Result<()> {
        let (mut source, ledger) = self.publish(node, protocol, stream, shown)?;
        let plays = async || {
            let has_pictures = node.broadcast(APP, stream).await.ok()?["width"].as_u64() > Some(0);
            (has_pictures && source.flows()).then_some(())
        };
        let live = Node::eventually(PATIENCE, plays).await;
        source.check()?;
        live.context("the stream has no pictures")?;
        let options = SwarmOptions {
            opening: Opening { count: 1, turn: 0 },
            ledger: Some(ledger),
            ..SwarmOptions::new(node.signalling_url(APP), stream, 1)
        };
        let swarm = Swarm::start(options, Arc::clone(&self.identity));
        ensure!(swarm.live(PATIENCE).await, "a player did not come to the live pictures");
        let (_, saw) = swarm.measure(sleep(WATCHED)).await;
        source.check()?;
        ensure!(
            saw.ended.is_empty() && saw.frames_known >= PICTURES_MIN && saw.frames_unknown == 0,
            "{saw:?}"
        );
        Ok(())
    }

    /// Publishes with what is shown until it is dropped; there are pictures when this returns.
    pub async fn begin(&self, node: &Node, stream: &str, shown: &Credential) -> Result<Publisher> {
        let named = format!("{stream}{}", shown.query());
        let mut publisher =
            Publisher::start_as(Manner::default(), &self.recording, node.rtmp_address(), APP, &named)?;
        let has_pictures = async || {
            let width = node.broadcast(APP, stream).await.ok()?["width"].as_u64();
            (width > Some(0)).then_some(())
        };
        let live = Node::eventually(PATIENCE, has_pictures).await;
        publisher.check()?;
        live.context("the stream has no pictures")?;
        Ok(publisher)
    }

    fn publish(
        &self,
        node: &Node,
        protocol: Protocol,
        stream: &str,
        shown: &Credential,
    ) -> Result<(Source, Arc<Ledger>)> {
        let named = format!("{stream}{}", shown.query());
        let asking = match protocol {
            Protocol::Rtmp => {
                let manner = Manner::default();
                let publisher =
                    Publisher::start_as(manner, &self.recording, node.rtmp_address(), APP, &named)?;
                let ledger = Arc::clone(publisher.ledger());
                return Ok((Source::Rtmp(publisher), ledger));
            }
            Protocol::Whip => Asking::Whip(node.http_url(&format!("/{APP}/whip/{named}"))),
            Protocol::WebSocket => Asking::Signalling {
                url: node.signalling_url(APP),
                publish: shown.clone().into_json(json!({ "streamId": stream, "video": true, "audio": true })),
            },
            Protocol::Whep | Protocol::Flv => bail!("nobody publishes by it"),
        };
        let publishers = WebRtcPublishers::start(&self.recording, vec![asking], &self.identity)?;
        let ledger = publishers.ledgers().first().context("no ledger")?;
        let ledger = Arc::clone(ledger);
        Ok((Source::WebRtc(publishers), ledger))
    }
}
