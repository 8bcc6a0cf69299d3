//! What a publisher's connection is made with: the codecs that are taken, feedback, and what is known of the network.

use std::sync::Arc;

use media::{Codec, Kind};
use rtc::IceCredentials;
use rtc::sdp::{TRANSPORT_CC_URI, TakenCodec};
use webrtc::error::Result;
use webrtc::peer_connection::{
    MediaEngine, Registry, SettingEngine, SettingEngineBuilder, configure_twcc_receiver_only,
};
use webrtc_core::crypto::providers::RingProvider;
use webrtc_core::ice::mdns::MulticastDnsMode;
use webrtc_core::interceptor::{
    self, BoxedInterceptor, Interceptor, NackGeneratorBuilder, RTPHeaderExtension, ReceiverReportBuilder,
    Slot, StreamInfo,
};
use webrtc_core::peer_connection::configuration::setting_engine::SctpMaxMessageSize;
use webrtc_core::peer_connection::transport::RTCDtlsRole;
use webrtc_core::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RtpCodecKind,
};

use base::limits;

use super::guarded::{Guarded, SUITES};

/// What pictures are asked for again with, and what the publisher is told of its path.
const VIDEO_FEEDBACK: [(&str, &str); 4] = [("goog-remb", ""), ("ccm", "fir"), ("nack", ""), ("nack", "pli")];

/// The one codec of each kind, with the publisher's numbers and formats. Without retransmission streams of their own
/// (RFC 4588): what the crate recovers from those it goes on to ask for.
pub(super) fn media_engine(taken: &[TakenCodec]) -> Result<MediaEngine> {
    let mut engine = MediaEngine::default();
    for codec in taken {
        let kind = kind_of(codec.codec.kind());
        let rtp_codec = RTCRtpCodec {
            mime_type: mime_type(codec.codec).to_owned(),
            clock_rate: codec.clock_rate,
            channels: codec.channels.into(),
            sdp_fmtp_line: codec.parameters.clone(),
            rtcp_feedback: feedback(codec.codec.kind())
                .map(|(typ, parameter)| RTCPFeedback { typ, parameter })
                .collect(),
        };
        engine.register_codec(RTCRtpCodecParameters { rtp_codec, payload_type: codec.payload_type }, kind)?;
    }
    Ok(engine)
}

/// What comes, and reports and requests: what arrived is told the publisher's congestion control, what did not is asked
/// for. `intake` is given who does that.
pub(super) fn interceptors<I: Interceptor + 'static>(
    engine: &mut MediaEngine,
    intake: impl FnOnce(BoxedInterceptor) -> I,
) -> Result<Registry> {
    let nacks = NackGeneratorBuilder::new()
        .with_size(limits::RTP_REORDER_PACKETS_MAX as u16)
        .with_interval(limits::PUBLISHER_NACK_INTERVAL)
        .with_max_nacks_per_packet(limits::PUBLISHER_NACKS_PER_PACKET_MAX);
    let registry = Registry::new()
        .with(Slot::NackGenerator, nacks.build())
        .with(Slot::ReceiverReport, ReceiverReportBuilder::new().build());
    let feedback = configure_twcc_receiver_only(registry, engine)?.build();
    Ok(Registry::new().with(Slot::from(0), intake(Box::new(feedback))))
}

/// What feedback needs to know of a source of each codec. `transport_cc` is the publisher's number for the extension that
/// counts all packets of the path.
pub(super) fn streams(taken: &[TakenCodec], transport_cc: Option<u16>) -> Vec<StreamInfo> {
    let extension = transport_cc.map(|id| RTPHeaderExtension { uri: TRANSPORT_CC_URI.to_owned(), id });
    let stream = |codec: &TakenCodec| StreamInfo {
        payload_type: codec.payload_type,
        rtp_header_extensions: extension.clone().into_iter().collect(),
        mime_type: mime_type(codec.codec).to_owned(),
        clock_rate: codec.clock_rate,
        channels: codec.channels.into(),
        rtcp_feedback: feedback(codec.codec.kind())
            .map(|(typ, parameter)| interceptor::RTCPFeedback { typ, parameter })
            .collect(),
        ..StreamInfo::default()
    };
    taken.iter().map(stream).collect()
}

/// What is agreed on as feedback of a kind: types and parameters.
fn feedback(kind: Kind) -> impl Iterator<Item = (String, String)> {
    let feedback = match kind {
        Kind::Video => VIDEO_FEEDBACK.as_slice(),
        Kind::Audio => &[],
    };
    feedback.iter().map(|(typ, parameter)| ((*typ).to_owned(), (*parameter).to_owned()))
}

/// ICE-lite, as players have it: the publisher's checks find this node, which looks for nobody.
pub(super) fn settings(credentials: &IceCredentials, publisher_is_server: bool) -> SettingEngine {
    let role = if publisher_is_server { RTCDtlsRole::Client } else { RTCDtlsRole::Server };
    SettingEngineBuilder::new()
        .with_lite(true)
        .with_ice_credentials(credentials.ufrag.clone(), credentials.password.expose().clone())
        .with_ice_timeouts(
            Some(limits::PUBLISH_PEER_SILENCE_MAX),
            Some(limits::PUBLISH_PEER_SILENCE_MAX),
            Some(limits::PUBLISH_PEER_SILENCE_MAX / 4),
        )
        .with_answering_dtls_role(role)
        // What is sent again stands far behind what is new. The crate's own 64 packets are 100 ms of a few Mbit/s.
        .with_srtp_replay_protection_window(limits::RTP_REORDER_PACKETS_MAX)
        .with_crypto_provider(Arc::new(Guarded::new(Arc::new(RingProvider::new()))))
        .with_dtls_cipher_suites(SUITES.to_vec())
        .with_multicast_dns_mode(MulticastDnsMode::Disabled)
        .with_include_loopback_candidate(true)
        .with_sctp_max_message_size(SctpMaxMessageSize::Bounded(limits::DATA_MESSAGE_BYTES_MAX as u32))
        .with_sctp_max_receive_buffer_size(limits::DATA_PUBLISHER_RECEIVE_BYTES_MAX as u32)
        .build()
}

const fn kind_of(kind: Kind) -> RtpCodecKind {
    match kind {
        Kind::Video => RtpCodecKind::Video,
        Kind::Audio => RtpCodecKind::Audio,
    }
}

const fn mime_type(codec: Codec) -> &'static str {
    match codec {
        Codec::H264 => "video/H264",
        Codec::Vp8 => "video/VP8",
        Codec::Vp9 => "video/VP9",
        Codec::Av1 => "video/AV1",
        Codec::Opus => "audio/opus",
        // Nobody publishes these by WebRTC.
        Codec::Hevc => "video/H265",
        Codec::Aac => "audio/AAC",
    }
}
