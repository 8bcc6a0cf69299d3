//! A node on its cores, with all that comes to it from one address allowed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use base::limits;
use serde_json::Value;
use test_support::{Node, NodeOptions};
use tokio::time::sleep;

use crate::link::{Identity, Profile};
use crate::machine::{self, Cores, Gauge, Usage};
use crate::source::{Asking, Ledger, Publisher, Recording, WebRtcPublishers};
use crate::swarm::{Listening, Opening, Pace, Swarm, SwarmOptions};

const APPLICATION: &str = "LiveApp";
/// Time for a published stream to be there.
const LIVE_MAX: Duration = Duration::from_secs(15);
/// Time for the last players to have media after they were all asked to join.
const JOINING_MAX: Duration = Duration::from_secs(20);
/// Between the last join and a measurement: replays of joins are over then.
pub(crate) const SETTLING: Duration = Duration::from_secs(3);

/// How to start a node.
#[derive(Clone, Debug)]
pub struct BenchOptions {
    /// The penstock program.
    pub node: PathBuf,
    /// Who runs where.
    pub cores: Cores,
    /// Players, and publishers, that may be there at once; they all come from one address.
    pub players: usize,
    /// Whether a busy node refuses players.
    pub admission: Admission,
    /// Further environment variables of the node.
    pub environment: Vec<(String, String)>,
}

/// Whether a busy node refuses players.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// As it does unless told otherwise.
    On,
    /// Never for that: to see what becomes of those who play.
    Off,
}

/// A running node.
pub struct Bench {
    node: Node,
    identity: Arc<Identity>,
    streams: usize,
}

/// Players to start on a stream.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// The stream they play.
    pub stream: String,
    /// How many.
    pub players: usize,
    /// How they come.
    pub pace: Pace,
    /// What they offer.
    pub profile: Profile,
    /// Which of them decrypt what they get.
    pub opening: Opening,
    /// Who takes data channels; `None`: nobody.
    pub listening: Option<Listening>,
}

impl Bench {
    /// Starts a node on its cores, one shard on each, and leaves the calling thread on the players' core.
    ///
    /// # Errors
    /// The node did not start.
    pub async fn start(options: &BenchOptions) -> anyhow::Result<Self> {
        let BenchOptions { node, cores, players, admission, environment } = options;
        let allowed = (players + 16).to_string();
        let mut node = NodeOptions::new(node)
            .environment("PENSTOCK_HTTP_BIND_ADDRESSES", "127.0.0.1")
            .environment("PENSTOCK_WEBRTC_PUBLIC_ADDRESSES", "127.0.0.1")
            .environment("PENSTOCK_WEBRTC_SHARDS", &cores.node.len().to_string())
            .environment("PENSTOCK_HTTP_WORKERS", "1")
            .environment("PENSTOCK_LOG_LEVEL", "warn");
        for limit in ["SIGNALLING_SOCKETS", "PLAYERS", "JOINS", "WEBRTC_PUBLISHERS"] {
            node = node.environment(&format!("PENSTOCK_LIMITS_{limit}_PER_ADDRESS"), &allowed);
        }
        if *admission == Admission::Off {
            node = node.environment("PENSTOCK_LIMITS_SHARD_BUSY_PERCENT", "100");
        }
        for (name, value) in environment {
            node = node.environment(name, value);
        }
        // A process starts on the cores of the thread that starts it.
        machine::pin_to(&cores.node)?;
        let started = Node::start(node).await;
        machine::pin(cores.players)?;
        Ok(Self { node: started?, identity: Arc::new(Identity::new()?), streams: 0 })
    }

    /// The node.
    pub const fn node(&self) -> &Node {
        &self.node
    }

    /// Publishes a recording, and waits until the stream has pictures.
    ///
    /// # Errors
    /// It did not begin.
    pub async fn publish(&mut self, recording: &Arc<Recording>, stream: &str) -> anyhow::Result<Publisher> {
        let mut publisher = Publisher::start(recording, self.node.rtmp_address(), APPLICATION, stream)?;
        self.streams += 1;
        // A stream is there before its tracks are: those need a picture.
        let has_pictures = |broadcast: &Value| broadcast["width"].as_u64() > Some(0);
        let began = self.node.until_broadcast(APPLICATION, stream, LIVE_MAX, has_pictures).await;
        publisher.check()?;
        began?;
        Ok(publisher)
    }

    /// Publishes a recording by WebRTC to each of the streams, and waits until all of them are there.
    ///
    /// # Errors
    /// One did not begin.
    pub async fn publish_by_webrtc(
        &mut self,
        recording: &Recording,
        streams: &[String],
    ) -> anyhow::Result<WebRtcPublishers> {
        let whip = self.node.http_url(&format!("/{APPLICATION}/whip/"));
        let asking = streams.iter().map(|stream| Asking::Whip(format!("{whip}{stream}"))).collect();
        let publishers = WebRtcPublishers::start(recording, asking, &self.identity)?;
        self.streams += streams.len();
        let live = async || {
            let live = self.node.metric("penstock_streams", &[]).await.ok()?;
            // A stream is there before its tracks are: those need a picture.
            (live >= self.streams as f64 && publishers.all_flow()).then_some(())
        };
        let began = Node::eventually(LIVE_MAX, live).await;
        publishers.check()?;
        began.context("the streams did not begin")?;
        Ok(publishers)
    }

    /// Options for players that come evenly and stay, and where eight of them open media.
    pub fn crowd(stream: &str, players: usize, joins_per_second: f64, profile: Profile) -> Crowd {
        Crowd {
            stream: stream.to_owned(),
            players,
            pace: Pace::PerSecond(joins_per_second),
            profile,
            opening: Opening { count: 8, turn: 0 },
            listening: None,
        }
    }

    /// Lets players join. To be called within a `LocalSet`.
    pub fn start_crowd(&self, crowd: Crowd, ledger: Option<&Arc<Ledger>>) -> Swarm {
        let Crowd { stream, players, pace, profile, opening, listening } = crowd;
        let options = SwarmOptions {
            pace,
            profile,
            opening,
            ledger: ledger.map(Arc::clone),
            listening,
            ..SwarmOptions::new(self.node.signalling_url(APPLICATION), &stream, players)
        };
        Swarm::start(options, Arc::clone(&self.identity))
    }

    /// Lets players join and waits until they have media and their replays are over. Not all may have it: the
    /// summary says who.
    pub async fn settle_crowd(&self, crowd: Crowd, ledger: Option<&Arc<Ledger>>) -> Swarm {
        let joining = match crowd.pace {
            Pace::PerSecond(rate) => Duration::from_secs_f64(crowd.players as f64 / rate),
            Pace::Turns(_) => JOINING_MAX,
        };
        let swarm = self.start_crowd(crowd, ledger);
        swarm.joined(joining + JOINING_MAX).await;
        sleep(SETTLING).await;
        swarm
    }

    /// What the node uses with a full ring and a single player, who is gone afterwards: what the first player
    /// costs for all (sound for browsers) is in it.
    ///
    /// # Errors
    /// Not even one player got media.
    pub async fn usage_of_one(&self, stream: &str, profile: Profile) -> anyhow::Result<Usage> {
        let crowd = Crowd {
            stream: stream.to_owned(),
            players: 1,
            pace: Pace::PerSecond(1.0),
            profile,
            opening: Opening { count: 1, turn: 0 },
            listening: None,
        };
        let scout = self.start_crowd(crowd, None);
        let joined = scout.joined(JOINING_MAX).await && scout.has_media();
        ensure!(joined, "not even one player got media");
        sleep(limits::RING_DURATION_MAX).await;
        machine::usage(self.node.pid())
    }

    /// Begins to measure what the node and this process use.
    ///
    /// # Errors
    /// The node is gone.
    pub fn gauge(&self) -> anyhow::Result<Gauge> {
        Gauge::start(self.node.pid())
    }

    /// Ends the node.
    ///
    /// # Errors
    /// It did not end well.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let status = self.node.terminate().await?;
        ensure!(status.success(), "the node ended with {status}");
        Ok(())
    }
}
