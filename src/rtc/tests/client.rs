//! A player: offers nothing, answers, checks, handshakes, opens what it gets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use rtc_crypto::{HashAlgorithm, RTCCryptoProvider};
use rtc_dtls::config::{ConfigBuilder, ExtendedMasterSecretType};
use rtc_dtls::crypto::Certificate;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_rtcp::packet::Packet;
use rtc_rtcp::receiver_report::ReceiverReport;
use rtc_rtcp::reception_report::ReceptionReport;
use rtc_rtcp::sender_report::SenderReport;
use rtc_shared::TransportProtocol;
use rtc_srtp::config::{Config, LABEL_EXTRACTOR_DTLS_SRTP};
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;
use rtc_stun::attributes::{ATTR_PRIORITY, ATTR_USE_CANDIDATE, ATTR_USERNAME, RawAttribute};
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{BINDING_REQUEST, Message, TransactionId};
use rtc_stun::textattrs::TextAttribute;

use super::data_client::DataEnd;
use crate::{Datagram, demux};

/// How a client differs from a browser.
#[derive(Clone)]
pub struct Manner {
    pub address: &'static str,
    pub profiles: Vec<SrtpProtectionProfile>,
    /// Bytes of a handshake fragment: a small one spreads the hello over datagrams.
    pub mtu: usize,
    /// Answers with the fingerprint of somebody else's certificate.
    pub wrong_fingerprint: bool,
    /// Takes H.264 only as the baseline.
    pub baseline_only: bool,
    /// Shows no certificate.
    pub no_certificate: bool,
    /// Cryptography that is not what it should be.
    pub provider: Option<Arc<dyn RTCCryptoProvider>>,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            address: "198.51.100.7:4444",
            profiles: vec![
                SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
                SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
            ],
            mtu: 0,
            wrong_fingerprint: false,
            baseline_only: false,
            no_certificate: false,
            provider: None,
        }
    }
}

/// One RTP packet as the client got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub sequence: u16,
    pub timestamp: u32,
    pub payload_type: u8,
    /// The one element of the header extension.
    pub playout_delay: Option<u32>,
    pub marker: bool,
    pub payload: Vec<u8>,
    /// As it came from the link.
    pub sealed: Vec<u8>,
    pub at: Instant,
}

pub struct Client {
    pub address: SocketAddr,
    server: SocketAddr,
    provider: Arc<dyn RTCCryptoProvider>,
    endpoint: Endpoint,
    manner: Manner,
    certificate: Certificate,
    pub ufrag: String,
    pub remote_ufrag: String,
    pub remote_password: String,
    pub video_ssrc: u32,
    pub audio_ssrc: u32,
    incoming: Option<Context>,
    outgoing: Option<Context>,
    pub profile: Option<SrtpProtectionProfile>,
    pub stun_answers: usize,
    pub closed: bool,
    pub video: Vec<Received>,
    pub audio: Vec<Received>,
    pub reports: Vec<Box<dyn Packet>>,
    /// Its data channels, once it began with them.
    pub data: Option<DataEnd>,
    /// The newest sender report of the video: the middle of its NTP time, and when it came.
    last_report: Option<(u32, Instant)>,
    transactions: u8,
}

fn line_value<'a>(sdp: &'a str, start: &str) -> &'a str {
    sdp.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_else(|| panic!("no {start} in {sdp}"))
}

fn ssrc_of(sdp: &str, kind: &str) -> u32 {
    let Some((_, section)) = sdp.split_once(&format!("m={kind} ")) else { return 0 };
    line_value(section, "a=ssrc:").split(' ').next().unwrap().parse().unwrap()
}

impl Client {
    pub fn new(offer: &str, server: SocketAddr, manner: Manner) -> Self {
        let provider = manner.provider.clone().unwrap_or_else(|| rtc_crypto::default_provider().unwrap());
        let certificate =
            Certificate::generate_self_signed(vec!["client".to_owned()], provider.crypto()).unwrap();
        let address = manner.address.parse().unwrap();
        Self {
            address,
            server,
            endpoint: Endpoint::new(address, TransportProtocol::UDP, None),
            certificate,
            ufrag: "them".to_owned(),
            remote_ufrag: line_value(offer, "a=ice-ufrag:").to_owned(),
            remote_password: line_value(offer, "a=ice-pwd:").to_owned(),
            video_ssrc: ssrc_of(offer, "video"),
            audio_ssrc: ssrc_of(offer, "audio"),
            incoming: None,
            outgoing: None,
            profile: None,
            stun_answers: 0,
            closed: false,
            video: Vec::new(),
            audio: Vec::new(),
            reports: Vec::new(),
            data: None,
            last_report: None,
            transactions: 0,
            provider,
            manner,
        }
    }

    /// Takes what a further offer names.
    pub fn follow(&mut self, offer: &str) {
        self.video_ssrc = ssrc_of(offer, "video");
        self.audio_ssrc = ssrc_of(offer, "audio");
    }

    /// What it says its certificate's fingerprint is.
    pub fn fingerprint(&self) -> String {
        let certificate = self.certificate.certificate[0].as_ref();
        let mut digest = self.provider.crypto().hash(HashAlgorithm::Sha256, certificate).unwrap();
        if self.manner.wrong_fingerprint {
            digest[0] ^= 1;
        }
        crate::sdp::fingerprint_text(&digest.try_into().unwrap())
    }

    pub fn answer(&self, offer: &str) -> String {
        let digest = self.fingerprint();
        let mut answer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n".to_owned();
        answer += &format!("a=group:{}\r\n", line_value(offer, "a=group:"));
        for line in offer.lines().filter(|line| line.starts_with("m=")) {
            let section = &offer[offer.find(line).unwrap()..];
            let section = section.split("\r\nm=").next().unwrap();
            let direction = if section.contains("a=inactive") { "inactive" } else { "recvonly" };
            let mut words: Vec<&str> = line.split(' ').collect();
            if line.starts_with("m=video") {
                if self.manner.baseline_only {
                    words.remove(3);
                }
                words.truncate(4);
            }
            answer += &format!("{}\r\nc=IN IP4 0.0.0.0\r\n", words.join(" "));
            let mid = line_value(section, "a=mid:");
            answer += &format!(
                "a=ice-ufrag:{}\r\na=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 {digest}\r\n\
                 a=setup:active\r\na=mid:{mid}\r\na={direction}\r\na=rtcp-mux\r\na=rtcp-fb:* nack\r\n",
                self.ufrag
            );
            if line.starts_with("m=video") {
                answer += &offer
                    .lines()
                    .filter(|line| line.starts_with("a=extmap:"))
                    .map(|line| format!("{line}\r\n"))
                    .collect::<String>();
            }
        }
        answer
    }

    /// A connectivity check.
    pub fn check(&mut self, nominate: bool) -> Vec<u8> {
        self.check_with(nominate, &self.remote_password.clone())
    }

    pub fn check_with(&mut self, nominate: bool, password: &str) -> Vec<u8> {
        self.transactions += 1;
        let name = format!("{}:{}", self.remote_ufrag, self.ufrag);
        let integrity = MessageIntegrity::new_short_term_integrity_with_provider(
            password.to_owned(),
            self.provider.crypto(),
        );
        let attribute = |typ, value: Vec<u8>| RawAttribute { typ, length: 0, value };
        let mut message = Message::new();
        let mut setters: Vec<Box<dyn rtc_stun::message::Setter + '_>> = vec![
            Box::new(BINDING_REQUEST),
            Box::new(TransactionId([self.transactions; 12])),
            Box::new(TextAttribute { attr: ATTR_USERNAME, text: name }),
            Box::new(attribute(ATTR_PRIORITY, vec![0, 0, 0, 1])),
        ];
        if nominate {
            setters.push(Box::new(attribute(ATTR_USE_CANDIDATE, vec![])));
        }
        setters.push(Box::new(integrity));
        setters.push(Box::new(FINGERPRINT));
        message.build(&setters).unwrap();
        message.raw
    }

    /// Begins the DTLS handshake.
    pub fn connect(&mut self, now: Instant) {
        let shown = if self.manner.no_certificate { vec![] } else { vec![self.certificate.clone()] };
        let config = ConfigBuilder::default()
            .with_crypto_provider(Arc::clone(&self.provider))
            .with_certificates(shown)
            .with_srtp_protection_profiles(self.manner.profiles.clone())
            .with_insecure_skip_verify(true)
            .with_extended_master_secret(ExtendedMasterSecretType::Require)
            .with_mtu(self.manner.mtu)
            .build(true, Some(self.server))
            .unwrap();
        self.endpoint.connect(now, self.server, Arc::new(config), None).unwrap();
    }

    pub fn is_connected(&self) -> bool {
        self.incoming.is_some()
    }

    /// Says goodbye.
    pub fn close(&mut self, now: Instant) {
        self.endpoint.close(now).unwrap();
    }

    /// What DTLS wants to send.
    pub fn poll_dtls(&mut self) -> Option<Vec<u8>> {
        self.endpoint.poll_transmit().map(|transmit| transmit.message.to_vec())
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = self.endpoint.handle_timeout(self.server, now);
        let packets = self.data.as_mut().map(|data| data.packets(now)).unwrap_or_default();
        for packet in packets {
            // Who has said goodbye sends no more.
            let _ = self.endpoint.write(now, self.server, &packet);
        }
    }

    /// Begins with data channels.
    pub fn begin_data(&mut self, now: Instant) -> &mut DataEnd {
        self.data.insert(DataEnd::new(now))
    }

    pub fn receive(&mut self, datagram: &[u8], now: Instant) {
        match demux(datagram) {
            Datagram::Stun { .. } => self.stun_answers += 1,
            Datagram::Dtls => self.receive_dtls(datagram, now),
            Datagram::SrtpOrSrtcp if crate::is_rtcp(datagram) => {
                let opened = self.incoming.as_mut().expect("keys").decrypt_rtcp(datagram).expect("authentic");
                for packet in rtc_rtcp::packet::unmarshal(&mut opened.freeze()).unwrap() {
                    let report = packet.as_any().downcast_ref::<SenderReport>();
                    if let Some(report) = report.filter(|report| report.ssrc == self.video_ssrc) {
                        self.last_report = Some(((report.ntp_time >> 16) as u32, now));
                    }
                    self.reports.push(packet);
                }
            }
            Datagram::SrtpOrSrtcp => self.receive_rtp(datagram, now),
            Datagram::Other => panic!("the server sent {datagram:?}"),
        }
    }

    fn receive_rtp(&mut self, datagram: &[u8], now: Instant) {
        let opened = self.incoming.as_mut().expect("keys").decrypt_rtp(datagram).expect("authentic");
        let word = |at: usize| u32::from_be_bytes(opened[at..at + 4].try_into().unwrap());
        let received = Received {
            sequence: u16::from_be_bytes([opened[2], opened[3]]),
            timestamp: word(4),
            payload_type: opened[1] & 0x7f,
            marker: opened[1] & 0x80 != 0,
            playout_delay: (opened[0] & 0x10 != 0).then(|| word(16)),
            payload: opened[if opened[0] & 0x10 != 0 { 20 } else { 12 }..].to_vec(),
            sealed: datagram.to_vec(),
            at: now,
        };
        match word(8) {
            ssrc if ssrc == self.video_ssrc => self.video.push(received),
            ssrc if ssrc == self.audio_ssrc => self.audio.push(received),
            ssrc => panic!("unknown ssrc {ssrc}"),
        }
    }

    fn receive_dtls(&mut self, datagram: &[u8], now: Instant) {
        let events = match self.endpoint.read(now, self.server, None, BytesMut::from(datagram)) {
            Ok(events) => events,
            Err(_) => {
                self.closed = true;
                return;
            }
        };
        for event in events {
            match event {
                EndpointEvent::HandshakeComplete => self.take_keys(),
                EndpointEvent::PeerClosed => self.closed = true,
                EndpointEvent::ApplicationData(packet) => {
                    if let Some(data) = &mut self.data {
                        data.receive(&packet, now);
                    }
                }
                _ => {}
            }
        }
    }

    fn take_keys(&mut self) {
        let state = self.endpoint.get_connection_state(self.server).unwrap();
        let profile = state.srtp_protection_profile();
        self.profile = Some(profile);
        let mut config = Config {
            profile: match profile {
                SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm => ProtectionProfile::AeadAes128Gcm,
                _ => ProtectionProfile::Aes128CmHmacSha1_80,
            },
            ..Config::default()
        };
        let material = state
            .export_keying_material(LABEL_EXTRACTOR_DTLS_SRTP, &[], config.keying_material_len())
            .unwrap();
        config.set_session_keys_from_keying_material(material.as_ref(), true).unwrap();
        let context = |key: &[u8], salt: &[u8]| {
            Context::new(key, salt, config.profile, None, None, self.provider.crypto()).unwrap()
        };
        self.incoming = Some(context(&config.keys.remote_master_key, &config.keys.remote_master_salt));
        self.outgoing = Some(context(&config.keys.local_master_key, &config.keys.local_master_salt));
    }

    /// A report on a video of which nothing is missing, once there are keys.
    pub fn receiver_report(&mut self, now: Instant) -> Option<Vec<u8>> {
        let (last_sender_report, came) = self.last_report?;
        let delay = ((now - came).as_micros() * 65_536 / 1_000_000) as u32;
        let report =
            ReceptionReport { ssrc: self.video_ssrc, last_sender_report, delay, ..Default::default() };
        self.outgoing.as_ref()?;
        Some(self.feedback(&ReceiverReport { ssrc: 1, reports: vec![report], ..Default::default() }))
    }

    pub fn feedback(&mut self, packet: &dyn Packet) -> Vec<u8> {
        self.seal_rtcp(&rtc_rtcp::packet::marshal(&[packet.cloned()]).unwrap())
    }

    /// Seals what may be no RTCP but for its first eight bytes.
    pub fn seal_rtcp(&mut self, compound: &[u8]) -> Vec<u8> {
        self.outgoing.as_mut().expect("keys").encrypt_rtcp(compound).unwrap().to_vec()
    }

    /// Seals an RTP packet; players have none to send.
    pub fn seal_rtp(&mut self, packet: &[u8]) -> Vec<u8> {
        self.outgoing.as_mut().expect("keys").encrypt_rtp(packet).unwrap().to_vec()
    }

    /// The datagram of a DTLS record with application data.
    pub fn write(&mut self, data: &[u8], now: Instant) -> Vec<u8> {
        self.endpoint.write(now, self.server, data).unwrap();
        self.poll_dtls().unwrap()
    }
}

/// The access units in the packets of a track, with their timestamps: parameter sets and NAL units
/// (RFC 6184 5.6 to 5.8). Panics at a sequence hole, or at a frame with two timestamps.
pub fn frames(packets: &[Received]) -> Vec<(u32, Vec<Vec<u8>>)> {
    let mut frames: Vec<(u32, Vec<Vec<u8>>)> = Vec::new();
    let mut open = false;
    for (index, packet) in packets.iter().enumerate() {
        if index > 0 {
            assert_eq!(packet.sequence, packets[index - 1].sequence.wrapping_add(1), "a hole at {index}");
        }
        if !open {
            frames.push((packet.timestamp, Vec::new()));
        }
        let (timestamp, nals) = frames.last_mut().unwrap();
        assert_eq!(*timestamp, packet.timestamp, "two timestamps in one frame");
        let payload = &packet.payload;
        match payload[0] & 0x1f {
            24 => {
                let mut rest = &payload[1..];
                while !rest.is_empty() {
                    let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
                    nals.push(rest[2..2 + length].to_vec());
                    rest = &rest[2 + length..];
                }
            }
            28 => {
                if payload[1] & 0x80 != 0 {
                    nals.push(vec![payload[0] & 0xe0 | payload[1] & 0x1f]);
                }
                nals.last_mut().unwrap().extend_from_slice(&payload[2..]);
            }
            _ => nals.push(payload.clone()),
        }
        open = !packet.marker;
    }
    frames
}
