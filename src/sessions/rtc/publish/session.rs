//! A publisher's life, from its offer to its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::{AppName, ExitReason, PeerAddr, SessionId, limits};
use config::AppSettings;
use media::Kind;
use parking_lot::Mutex;
use rtc::sdp::{self, Simplified, TakenCodec};
use rtc::{IceCredentials, RemoteOffer};
use streams::PublishGrant;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::super::context::SignallingContext;
use super::super::guests::GuestPort;
use super::channel::converse;
use super::feed::Feed;
use super::peer::{Peer, PeerEvent};
use super::sources::Sources;
use super::{Answer, NoAnswer, Offered, Started, allowed};
use crate::connections::OpenConnection;

/// How often what is due is looked at: holes that were waited for long enough, key frames to be asked for.
const TICK: Duration = Duration::from_millis(50);

/// How often a publisher is told how much it may send: as often as browsers say it. One may be lost.
const RATE_TOLD_EVERY: Duration = Duration::from_secs(1);

/// Between a connection that closes and the word that the publisher stops, which makes it a clean end.
const GOODBYE_MAX: Duration = Duration::from_millis(500);

/// A publisher that has its stream.
pub(super) struct Session {
    pub(super) context: Arc<SignallingContext>,
    pub(super) id: SessionId,
    pub(super) peer: PeerAddr,
    pub(super) settings: Arc<AppSettings>,
    pub(super) port: Arc<GuestPort>,
    pub(super) grant: PublishGrant,
    pub(super) app: AppName,
}

/// A publisher that was answered.
struct Answered {
    peer: Peer,
    feed: Arc<Mutex<Feed>>,
}

impl Session {
    /// Serves the publisher to its end. Runs on the publishers' thread.
    pub(super) async fn run(
        mut self,
        mut offers: mpsc::Receiver<Offered>,
        started: oneshot::Sender<Started>,
        _open: OpenConnection,
    ) {
        let reason = self.serve(&mut offers, started).await;
        self.grant.ending.end(reason);
        // Whoever ended it first has said why.
        let reason = self.grant.ending.reason().unwrap_or(reason);
        tracing::info!(session = %self.id, peer = %self.peer, %reason, "WebRTC publisher's connection ended");
    }

    async fn serve(
        &mut self,
        offers: &mut mpsc::Receiver<Offered>,
        started: oneshot::Sender<Started>,
    ) -> ExitReason {
        let start_max = self.settings.webrtc_client_start_timeout().min(limits::PLAY_CONNECT_SETTING_MAX);
        let deadline = self.context.clock.now() + start_max;
        let ending = self.grant.ending.clone();
        let answered = tokio::select! {
            answered = self.await_offer(offers) => answered,
            reason = ending.ended() => return reason,
            () = sleep_until(deadline.into()) => return ExitReason::TimedOut,
        };
        let Some(mut answered) = answered else { return ExitReason::PeerClosed };
        let _showing = self.context.receptions.show(self.app.clone(), &answered.feed);
        let reason = self.receive(&mut answered, offers, started, deadline).await;
        answered.peer.close().await;
        let (lost, broken) = answered.feed.lock().flaws();
        if lost + broken > 0 {
            tracing::info!(session = %self.id, lost, broken, "the publisher's media had flaws");
        }
        reason
    }

    /// The first offer that can be answered; `None`: nobody will make one any more.
    async fn await_offer(&self, offers: &mut mpsc::Receiver<Offered>) -> Option<Answered> {
        while let Some(Offered { sdp, reply }) = offers.recv().await {
            match self.answer(sdp).await {
                Ok((answered, answer)) => {
                    // Whoever asked may be gone; then the publisher is never heard of.
                    let _ = reply.send(Ok(answer));
                    return Some(answered);
                }
                Err(why) => {
                    tracing::info!(session = %self.id, peer = %self.peer, %why, "a publisher's offer was not answered");
                    let _ = reply.send(Err(why));
                }
            }
        }
        None
    }

    async fn answer(&self, text: String) -> Result<(Answered, Answer), NoAnswer> {
        let offer = RemoteOffer::read_publish(&text)?;
        let taken = taken(&offer, allowed(&self.settings))?;
        let randomness = &*self.context.randomness;
        let credentials = IceCredentials::random(&self.port.prefix(), randomness);
        let clock = &self.context.clock;
        let simplified = Simplified::of(&text, &offer, &taken, self.settings.data_channel_enabled());
        let sources = Sources::new(&taken, &simplified.sources);
        let feed = Arc::new(Mutex::new(Feed::new(&self.grant, &taken, sources, Arc::clone(clock))));
        let stay = self.port.admit(credentials.clone(), simplified.credentials.clone());
        let restarts = stay.restarts();
        let ending = self.grant.ending.clone();
        let making =
            Peer::answering(&simplified, &taken, &credentials, stay, &feed, ending, Arc::clone(clock));
        let (peer, sdp) = making.await.map_err(|error| NoAnswer::Connection(error.to_string()))?;
        let candidates = self.candidates();
        let (place, mid) = simplified.first(&sdp);
        let answer = Answer {
            sdp: simplified.answer(&sdp, &candidates, self.settings.max_bitrate_accept()),
            candidates: candidates.into_iter().map(|line| (place, mid.clone(), line)).collect(),
            ufrags: offer.ufrags(),
            restarts,
        };
        Ok((Answered { peer, feed }, answer))
    }

    /// Where the publisher reaches this node.
    fn candidates(&self) -> Vec<String> {
        let all = self.context.addresses.all(self.peer, self.settings.disable_ipv6_candidates());
        let udp = all.map(|ip| sdp::Candidate::Udp(SocketAddr::new(ip, self.port.number())));
        let tcp = self.context.tcp_addresses(self.peer, &self.settings).into_iter().map(sdp::Candidate::Tcp);
        udp.chain(tcp).enumerate().map(|(index, candidate)| sdp::candidate(index, candidate)).collect()
    }

    async fn receive(
        &mut self,
        answered: &mut Answered,
        offers: &mut mpsc::Receiver<Offered>,
        started: oneshot::Sender<Started>,
        deadline: Instant,
    ) -> ExitReason {
        let ending = self.grant.ending.clone();
        let mut started = Some(started);
        let mut asked: Option<Instant> = None;
        let rate_max = self.settings.max_bitrate_accept();
        let mut told: Option<Instant> = None;
        let mut channels = 0;
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                reason = ending.ended() => return reason,
                event = answered.peer.events.recv() => match event {
                    Some(PeerEvent::Connected) => {
                        tracing::debug!(session = %self.id, "WebRTC publisher connected");
                    }
                    Some(PeerEvent::Lost) => return ExitReason::TimedOut,
                    Some(PeerEvent::Closed) | None => {
                        // Pages close the connection and then say that they stop.
                        let said = tokio::time::timeout(GOODBYE_MAX, ending.ended()).await;
                        return said.unwrap_or(ExitReason::PeerClosed);
                    }
                    Some(PeerEvent::Channel(channel)) => {
                        channels += 1;
                        if channels <= limits::DATA_PUBLISHER_CHANNELS_MAX {
                            let (media, clock) = (Arc::clone(&self.grant.media), Arc::clone(&self.context.clock));
                            tokio::spawn(converse(channel, media, clock, ending.clone(), channels == 1));
                        }
                    }
                },
                Some(again) = offers.recv() => {
                    let _ = again.reply.send(Err(NoAnswer::AlreadyAnswered));
                }
                _ = ticks.tick() => {
                    if let Err(reason) = answered.feed.lock().tick() {
                        return reason;
                    }
                    if started.is_some() && answered.feed.lock().begins() {
                        self.grant.began();
                        if let Some(started) = started.take() {
                            // Whoever waited may be gone.
                            let _ = started.send(Started { goes_on: self.grant.resume.is_some() });
                        }
                    }
                    let now = self.context.clock.now();
                    if started.is_some() && now >= deadline || self.is_silent(&answered.feed, now) {
                        return ExitReason::TimedOut;
                    }
                    let pictures = answered.feed.lock().pictures();
                    if let Some(source) = pictures
                        && self.wants_key_frame(&answered.feed, asked, now)
                    {
                        asked = Some(now);
                        answered.peer.requests.key_frame(source);
                        answered.feed.lock().asked_for_key_frame();
                    }
                    // It is told nothing where there is no limit: what arrived when it is told anyway (transport-wide
                    // congestion control), and it estimates its path better than this node could.
                    if let (Some(_), Some(rate_max)) = (pictures, rate_max)
                        && told.is_none_or(|told| now.saturating_duration_since(told) >= RATE_TOLD_EVERY)
                    {
                        told = Some(now);
                        let sources = answered.feed.lock().heard_sources();
                        answered.peer.requests.rate_max(sources, rate_max);
                    }
                }
            }
        }
    }

    /// Whether nothing has come for longer than the application allows.
    fn is_silent(&self, feed: &Mutex<Feed>, now: Instant) -> bool {
        self.settings.drop_webrtc_ingest_if_no_packet_received()
            && feed.lock().heard().is_some_and(|heard| {
                now.saturating_duration_since(heard) > self.settings.webrtc_client_start_timeout()
            })
    }

    /// Browsers make key frames when they are asked, and hardly else. So they are asked at the application's own pace,
    /// which is what those wait for who come in the middle, and again soon while nothing can be shown.
    fn wants_key_frame(&self, feed: &Mutex<Feed>, asked: Option<Instant>, now: Instant) -> bool {
        let since = asked.map(|asked| now.saturating_duration_since(asked));
        let wanted = feed.lock().wants_key_frame();
        match since {
            Some(since) if wanted => since >= limits::KEY_FRAME_REQUEST_INTERVAL,
            Some(since) => {
                since >= self.settings.webrtc_key_frame_interval().max(limits::KEY_FRAME_REQUEST_INTERVAL)
            }
            None => true,
        }
    }
}

/// What is taken of an offer. Who offers pictures is not let in with sound alone; sound that is not taken is left out.
fn taken(offer: &RemoteOffer, allowed: sdp::PublishCodecs) -> Result<Vec<TakenCodec>, NoAnswer> {
    let take = |kind| sdp::publish_codec(offer, kind, allowed);
    let (video, audio) = (take(Kind::Video), take(Kind::Audio));
    if video.is_none() && offer.codecs(Kind::Video).is_some() {
        return Err(NoAnswer::Codec(Kind::Video.label()));
    }
    let taken: Vec<_> = video.into_iter().chain(audio).collect();
    if taken.is_empty() { Err(NoAnswer::Codec(Kind::Audio.label())) } else { Ok(taken) }
}
