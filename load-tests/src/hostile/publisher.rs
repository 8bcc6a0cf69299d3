//! A publisher by WHIP that does what no browser does.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use base::{Clock, SystemClock, SystemRandomness};
use test_support::offer::{H264, offered_data, offered_media, publish_offer};
use tokio::net::UdpSocket;
use tokio::time::{interval, timeout};

use super::sctp::{self, Association, Step};
use super::{STEP_MAX, Sending, TURN};
use crate::link::{Credentials, Identity, Link, Profile, Remote, Stage};

/// The payload type of pictures in its offer.
pub const PICTURES: u8 = 102;
/// The source of pictures in its offer.
pub const PICTURES_SSRC: u32 = 2_002;
/// The first byte of STUN messages, at most (RFC 7983).
const STUN_MAX: u8 = 3;
/// Its own tag.
const TAG: u32 = 0x0102_0304;
/// Between two INITs that get no answer.
const INIT_REST: Duration = Duration::from_millis(300);
/// The end of the digest in `test_support`'s offers.
const NOBODYS_DIGEST: &str = "CD";

/// What it shows of itself in its offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The digest of its certificate.
    Itself,
    /// The digest of a certificate that it has not.
    SomebodyElse,
}

/// One publisher that was answered. Whatever it does next is the caller's choice; dropped, it is silent.
pub struct HostilePublisher {
    socket: UdpSocket,
    link: Link,
    association: Association,
    last_check: Vec<u8>,
}

impl HostilePublisher {
    /// Offers to publish at a WHIP address; no more than that.
    ///
    /// # Errors
    /// It was refused, or the answer cannot be read.
    pub async fn ask(url: &str, identity: &Arc<Identity>, shown: Shown) -> anyhow::Result<Self> {
        let randomness = SystemRandomness;
        let own = Credentials::random(&randomness);
        let mut offer = publish_offer(&[offered_media("video", "0", &[H264]), offered_data("1")])
            .replace("ice-ufrag:them", &format!("ice-ufrag:{}", own.ufrag))
            .replace("ice-pwd:0123456789012345678901", &format!("ice-pwd:{}", own.password));
        if shown == Shown::Itself {
            offer = offer.replace(&[NOBODYS_DIGEST; 32].join(":"), &identity.fingerprint);
        }
        let answer = test_support::ask("POST", url, &[("Content-Type", "application/sdp")], &offer).await?;
        ensure!(answer.status == 201, "{url}: {} {}", answer.status, answer.text());
        let remote = Remote::read(&answer.text())?;
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await.context("no UDP port")?;
        socket.connect(remote.server).await.context("no way to the node's UDP port")?;
        socket.writable().await.context("UDP")?;
        let link = Link::new(identity, remote, &own, Profile::Cm, &randomness, SystemClock.now());
        let (link, association) = (link.holding_back(), Association::default());
        Ok(Self { socket, link, association, last_check: Vec::new() })
    }

    /// Asks, has its address checked, and shakes hands.
    ///
    /// # Errors
    /// As [`ask`](Self::ask); it came no further within 10 s.
    pub async fn connect(url: &str, identity: &Arc<Identity>) -> anyhow::Result<Self> {
        let mut publisher = Self::ask(url, identity, Shown::Itself).await?;
        publisher.be_checked().await?;
        publisher.shake_hands().await?;
        Ok(publisher)
    }

    /// Has its address checked.
    ///
    /// # Errors
    /// Nobody answered within 10 s.
    pub async fn be_checked(&mut self) -> anyhow::Result<()> {
        self.behave_until(|publisher| publisher.link.reachable_at().is_some()).await
    }

    /// Shakes hands with DTLS.
    ///
    /// # Errors
    /// The node did not, within 10 s.
    pub async fn shake_hands(&mut self) -> anyhow::Result<()> {
        self.link.say_hello(SystemClock.now());
        self.behave_until(|publisher| publisher.link.connected_at().is_some()).await
    }

    /// Has an association of SCTP, where FORWARD TSN is agreed on.
    ///
    /// # Errors
    /// There was none within 10 s.
    pub async fn associate(&mut self) -> anyhow::Result<()> {
        let mut said: Option<Instant> = None;
        let associate = async {
            let mut turn = interval(TURN);
            while !self.association.stands {
                turn.tick().await;
                let now = SystemClock.now();
                if self.association.tag.is_none() && said.is_none_or(|said| now >= said + INIT_REST) {
                    said = Some(now);
                    let init = sctp::packet(0, &[sctp::init(TAG, sctp::FIRST_TSN)]);
                    self.send_record(&init)?;
                }
                self.behave()?;
                while let Some(packet) = self.association.came.pop_front() {
                    if let Step::Say(packet) = self.association.take(&packet)? {
                        self.send_record(&packet)?;
                    }
                }
            }
            anyhow::Ok(())
        };
        timeout(STEP_MAX, associate).await.context("no association")?
    }

    /// Does what an ordinary publisher does until `enough`.
    ///
    /// # Errors
    /// It was not within 10 s, or the connection ended.
    pub async fn behave_until(&mut self, enough: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        let behave = async {
            let mut turn = interval(TURN);
            while !enough(self) {
                turn.tick().await;
                self.behave()?;
            }
            anyhow::Ok(())
        };
        timeout(STEP_MAX, behave).await.context("a hostile publisher came no further")?
    }

    /// Sends `per_second` datagrams that `make` makes of their numbers for so long, and otherwise does what an ordinary
    /// publisher does; how many were sent.
    ///
    /// # Errors
    /// `make` failed. An end of the connection is none: it may be what `make` is for.
    pub async fn storm(
        &mut self,
        length: Duration,
        per_second: f64,
        mut make: impl FnMut(&mut Self, u64) -> anyhow::Result<Vec<u8>>,
    ) -> anyhow::Result<u64> {
        let mut sending = Sending::new(length, per_second);
        let mut number = 0;
        while let Some(due) = sending.turn().await {
            let _ended = self.behave();
            for _ in 0..due {
                let datagram = make(self, number)?;
                number += 1;
                self.send(&datagram);
            }
        }
        Ok(number)
    }

    /// Sends one datagram as it is; a full socket loses it, as the network may.
    pub fn send(&self, datagram: &[u8]) {
        let _lost = self.socket.try_send(datagram);
    }

    /// An authentic packet of RTP with what is in `plain`, whatever that is.
    ///
    /// # Errors
    /// There are no keys, or `plain` does not begin like RTP.
    pub fn seal_rtp(&mut self, plain: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.link.keys().context("no keys")?.seal_rtp(plain).map(|sealed| sealed.to_vec())
    }

    /// An authentic packet of RTCP with what is in `plain`, whatever that is.
    ///
    /// # Errors
    /// There are no keys.
    pub fn seal_rtcp(&mut self, plain: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.link.keys().context("no keys")?.seal_rtcp(plain).map(|sealed| sealed.to_vec())
    }

    /// An authentic record of DTLS with `plain` as its application data.
    ///
    /// # Errors
    /// There is no connection.
    pub fn record(&mut self, plain: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.link.record(plain, SystemClock.now())
    }

    /// The node's tag of the association.
    pub fn tag(&self) -> u32 {
        self.association.tag.unwrap_or_default()
    }

    /// The last check it sent, for who overhears it.
    pub fn last_check(&self) -> &[u8] {
        &self.last_check
    }

    /// The node's name for this publisher's checks.
    pub fn name(&self) -> &str {
        &self.link.remote.ufrag
    }

    /// Where the node takes datagrams.
    pub const fn server(&self) -> SocketAddr {
        self.link.remote.server
    }

    /// Why the connection ended, as far as it was told.
    pub fn ended(&self) -> Option<&str> {
        match self.link.stage() {
            Stage::Closed(why) => Some(why),
            _ => None,
        }
    }

    fn send_record(&mut self, plain: &[u8]) -> anyhow::Result<()> {
        let record = self.record(plain)?;
        self.send(&record);
        Ok(())
    }

    /// Takes what came, and sends what is due.
    fn behave(&mut self) -> anyhow::Result<()> {
        let now = SystemClock.now();
        let mut buffer = [0; 2_048];
        while let Ok(length) = self.socket.try_recv(&mut buffer) {
            let packets = self.link.handle(buffer.get(..length).unwrap_or_default(), now);
            self.association.came.extend(packets);
        }
        self.link.handle_timeout(now)?;
        while let Some(datagram) = self.link.poll_transmit() {
            self.send(&datagram);
            if datagram.first().is_some_and(|first| *first <= STUN_MAX) {
                self.last_check = datagram;
            }
        }
        match self.ended() {
            Some(why) => bail!("{why}"),
            None => Ok(()),
        }
    }
}

/// A packet of RTP in the clear; `kind` is the payload type with the marker.
pub fn rtp(kind: u8, sequence: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let (sequence, timestamp) = (sequence.to_be_bytes(), timestamp.to_be_bytes());
    [&[0x80, kind][..], &sequence, &timestamp, &ssrc.to_be_bytes(), payload].concat()
}
