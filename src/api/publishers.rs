//! What comes from WebRTC publishers: AMS's figures with its names.

use actix_web::HttpResponse;
use base::AppName;
use serde::Serialize;
use sessions::rtc::ReceivedFigures;
use utoipa::ToSchema;

use crate::ApiState;
use crate::answer::ok;
use crate::clients::whole;

/// Pictures received; bytes are those of whole RTP packets.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = WebRTCVideoReceiveStats)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VideoReceived {
    /// Key frames are asked for by PLI: always 0.
    video_fir_count: u64,
    video_pli_count: u64,
    video_nack_count: u64,
    video_packets_received: u64,
    /// Packets that never came, or too late: not those that came when they were asked for again.
    video_packets_lost: u64,
    /// What part of the packets is lost now, 0 to 1.
    video_fraction_lost: f64,
    video_frame_received: u64,
    video_bytes_received: u64,
    video_packets_received_per_second: u64,
    video_bytes_received_per_second: u64,
    video_frame_received_per_second: u64,
    /// Seconds (RFC 3550 6.4.1); of several publishers the greatest.
    jitter: f64,
}

/// Sound received; bytes are those of whole RTP packets.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = WebRTCAudioReceiveStats)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AudioReceived {
    audio_packets_received: u64,
    audio_bytes_received: u64,
    audio_packets_lost: u64,
    /// Seconds (RFC 3550 6.4.1); of several publishers the greatest.
    audio_jitter: f64,
    /// What part of the packets is lost now, 0 to 1.
    audio_fraction_lost: f64,
    audio_packets_received_per_second: u64,
    audio_bytes_received_per_second: u64,
}

/// What comes from all WebRTC publishers of an application that are there now together.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = WebRTCReceiveStats)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReceiveStats {
    audio_receive_stats: AudioReceived,
    video_receive_stats: VideoReceived,
}

impl From<ReceivedFigures> for VideoReceived {
    fn from(received: ReceivedFigures) -> Self {
        Self {
            video_fir_count: 0,
            video_pli_count: received.key_frame_requests,
            video_nack_count: received.nacks,
            video_packets_received: received.packets,
            video_packets_lost: received.lost,
            video_fraction_lost: received.fraction_lost(),
            video_frame_received: received.frames,
            video_bytes_received: received.bytes,
            video_packets_received_per_second: whole(received.rates.packets),
            video_bytes_received_per_second: whole(received.rates.bytes),
            video_frame_received_per_second: whole(received.rates.frames),
            jitter: received.jitter.as_secs_f64(),
        }
    }
}

impl From<ReceivedFigures> for AudioReceived {
    fn from(received: ReceivedFigures) -> Self {
        Self {
            audio_packets_received: received.packets,
            audio_bytes_received: received.bytes,
            audio_packets_lost: received.lost,
            audio_jitter: received.jitter.as_secs_f64(),
            audio_fraction_lost: received.fraction_lost(),
            audio_packets_received_per_second: whole(received.rates.packets),
            audio_bytes_received_per_second: whole(received.rates.bytes),
        }
    }
}

/// `GET /webrtc-receive-low-level-stats`.
pub(crate) fn of_application(state: &ApiState, app: &AppName) -> HttpResponse {
    let received = state.streams.webrtc_received(app);
    ok(&ReceiveStats {
        audio_receive_stats: received.audio.into(),
        video_receive_stats: received.video.into(),
    })
}
