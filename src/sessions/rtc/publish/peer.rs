//! One publisher's peer connection.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use base::{Clock, limits};
use parking_lot::Mutex;
use rtc::sdp::{Simplified, TakenCodec};
use streams::Ending;
use tokio::sync::mpsc;
use webrtc::data_channel::DataChannel;
use webrtc::error::Result;
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
    RTCPeerConnectionState, RTCSessionDescription,
};

use super::super::guests::{GuestRuntime, Stay};
use super::engine;
use super::feed::Feed;
use super::intake::{Intake, Requests};
use rtc::IceCredentials;

/// What a connection tells its session.
pub(super) enum PeerEvent {
    /// The publisher is connected.
    Connected,
    /// It is not any more: it closed, or was not heard of for too long.
    Closed,
    /// See `Closed`.
    Lost,
    /// The publisher opened a data channel.
    Channel(Arc<dyn DataChannel>),
}

struct Handler(mpsc::Sender<PeerEvent>);

impl Handler {
    /// The session takes its events at once; one that has too many waiting has ended.
    fn tell(&self, event: PeerEvent) {
        if self.0.try_send(event).is_err() {
            tracing::debug!("an event of a publisher's connection was not taken");
        }
    }
}

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        match state {
            RTCPeerConnectionState::Connected => self.tell(PeerEvent::Connected),
            RTCPeerConnectionState::Closed => self.tell(PeerEvent::Closed),
            RTCPeerConnectionState::Failed => self.tell(PeerEvent::Lost),
            _ => {}
        }
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        self.tell(PeerEvent::Channel(channel));
    }
}

/// A publisher's connection. Dropped without [`Peer::close`] it ends when its driver notices.
pub(super) struct Peer {
    connection: Arc<dyn PeerConnection>,
    pub(super) events: mpsc::Receiver<PeerEvent>,
    /// For the publisher.
    pub(super) requests: Requests,
    _stay: Stay,
}

/// Where the connection binds a socket, of which nothing but the name is used.
const SOCKET: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

impl Peer {
    /// Makes a connection of an offer, and its answer.
    pub(super) async fn answering(
        offer: &Simplified,
        taken: &[TakenCodec],
        credentials: &IceCredentials,
        stay: Stay,
        feed: &Arc<Mutex<Feed>>,
        ending: Ending,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, String)> {
        let (tell, events) = mpsc::channel(limits::PUBLISHER_EVENTS_MAX);
        let mut media = engine::media_engine(taken)?;
        let requests = Requests::default();
        let interceptors = engine::interceptors(&mut media, |feedback| {
            let streams = engine::streams(taken, offer.transport_cc);
            Intake::new(feedback, streams, Arc::clone(feed), ending, requests.clone())
        })?;
        let connection = PeerConnectionBuilder::new()
            .with_configuration(RTCConfigurationBuilder::default().build())
            .with_media_engine(media)
            .with_interceptor_registry(interceptors)
            .with_setting_engine(engine::settings(credentials, offer.is_server))
            .with_runtime(Arc::new(GuestRuntime::new(Arc::clone(stay.guest()), clock)))
            .with_handler(Arc::new(Handler(tell)))
            .with_udp_addrs(vec![SOCKET])
            .build()
            .await?;
        let peer = Self { connection: Arc::new(connection), events, requests, _stay: stay };
        match peer.answer(offer.offer.clone()).await {
            Ok(answer) => Ok((peer, answer)),
            Err(error) => {
                peer.close().await;
                Err(error)
            }
        }
    }

    async fn answer(&self, offer: String) -> Result<String> {
        self.connection.set_remote_description(RTCSessionDescription::offer(offer)?).await?;
        let answer = self.connection.create_answer(None).await?;
        let sdp = answer.sdp.clone();
        self.connection.set_local_description(answer).await?;
        Ok(sdp)
    }

    /// Ends the connection; the publisher is told.
    pub(super) async fn close(&self) {
        if let Err(error) = self.connection.close().await {
            tracing::debug!(%error, "a publisher's connection was closed before");
        }
    }
}
