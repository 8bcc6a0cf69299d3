//! What WebRTC players are sent, and how it comes to them: AMS's figures with its names, and behind them some that AMS
//! does not have.

use actix_web::HttpResponse;
use base::limits::REST_CLIENTS_MAX;
use base::{AppName, StreamId, WallTime};
use serde::Serialize;
use sessions::rtc::{ClientFigures, KindFigures, Rates, SentStats};
use utoipa::ToSchema;

use crate::ApiState;
use crate::answer::{not_found, ok};
use crate::lists::page;

/// Pictures sent; bytes are those of whole RTP packets.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = WebRTCVideoSendStats)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VideoSent {
    video_fir_count: u64,
    video_pli_count: u64,
    video_nack_count: u64,
    video_packets_sent: u64,
    /// Frames sent: none is encoded for one player.
    video_frames_encoded: u64,
    video_bytes_sent: u64,
    video_packets_sent_per_second: u64,
    video_bytes_sent_per_second: u64,
    video_frames_encoded_per_second: u64,
    /// When this was so, milliseconds since 1970.
    time_ms: u64,
}

/// Sound sent; bytes are those of whole RTP packets.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = WebRTCAudioSendStats)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AudioSent {
    audio_packets_sent: u64,
    audio_bytes_sent: u64,
    audio_packets_per_second: u64,
    audio_bytes_sent_per_second: u64,
    /// When this was so, milliseconds since 1970.
    time_ms: u64,
}

/// What all WebRTC players of an application that are there now were sent together.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = WebRTCSendStats)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SendStats {
    audio_send_stats: AudioSent,
    video_send_stats: VideoSent,
}

/// One WebRTC player. Everything from `protocol` on is not in AMS.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = WebRTCClientStats)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClientStats {
    /// Bits per second of what is sent that arrive, by the player's reports.
    measured_bitrate: i32,
    /// Bits per second sent within the last second, packets sent again among them.
    send_bitrate: i32,
    /// Milliseconds from one picture to the next within the last second; 0: there was none.
    video_frame_send_period: f64,
    /// Milliseconds from one packet of sound to the next within the last second; 0: there was none.
    audio_frame_send_period: f64,
    /// The number of the player on this node.
    client_id: i32,
    video_packet_count: u64,
    audio_packet_count: u64,
    video_sent_stats: VideoSent,
    audio_sent_stats: AudioSent,
    /// `viewerInfo` of the player's `play`.
    client_info: String,
    client_ip: String,
    /// `websocket` or `whep`.
    protocol: &'static str,
    /// Milliseconds to the player and back, by its last report; null before there is one.
    round_trip_ms: Option<f64>,
    /// Share of the packets sent in the last 5 to 10 s that did not arrive, 0 to 1, each counted as often as it was
    /// sent; null before the player has reported.
    loss_share: Option<f64>,
    /// Share of pictures' packets that are missing, 0 to 1, by the player's last report (RFC 3550). What arrived when it was sent
    /// again is not missing.
    video_fraction_lost: f64,
    /// The same of sound.
    audio_fraction_lost: f64,
    /// Pictures' packets that are missing so far, by the player's last report.
    video_packets_lost: u32,
    /// The same of sound.
    audio_packets_lost: u32,
    /// How unevenly pictures' packets arrive, milliseconds (RFC 3550).
    video_jitter_ms: f64,
    /// The same of sound.
    audio_jitter_ms: f64,
    /// Pictures' packets that were sent again, each as often as it was.
    video_packets_resent: u64,
    /// The same of sound.
    audio_packets_resent: u64,
}

impl VideoSent {
    fn new(sent: &SentStats, rates: &Rates, at: WallTime) -> Self {
        Self {
            video_fir_count: sent.firs,
            video_pli_count: sent.plis,
            video_nack_count: sent.nacks,
            video_packets_sent: sent.packets,
            video_frames_encoded: sent.frames,
            video_bytes_sent: sent.bytes,
            video_packets_sent_per_second: whole(rates.packets),
            video_bytes_sent_per_second: whole(rates.bytes),
            video_frames_encoded_per_second: whole(rates.frames),
            time_ms: at.as_millis(),
        }
    }
}

impl AudioSent {
    fn new(sent: &SentStats, rates: &Rates, at: WallTime) -> Self {
        Self {
            audio_packets_sent: sent.packets,
            audio_bytes_sent: sent.bytes,
            audio_packets_per_second: whole(rates.packets),
            audio_bytes_sent_per_second: whole(rates.bytes),
            time_ms: at.as_millis(),
        }
    }
}

impl From<ClientFigures> for ClientStats {
    fn from(client: ClientFigures) -> Self {
        let (video, audio) = (client.video, client.audio);
        let of = |kind: KindFigures| (kind.stats.received.path_lost, kind.stats.received.path_packets);
        let ((video_lost, of_video), (audio_lost, of_audio)) = (of(video), of(audio));
        let (lost, packets) = (video_lost + audio_lost, of_video + of_audio);
        let loss_share = (packets > 0).then(|| lost as f64 / packets as f64);
        let sent = (video.rates.bytes + audio.rates.bytes) * 8.0;
        let ms = |time: std::time::Duration| time.as_secs_f64() * 1_000.0;
        Self {
            measured_bitrate: int(sent * (1.0 - loss_share.unwrap_or(0.0))),
            send_bitrate: int(sent),
            video_frame_send_period: period_ms(video.rates.frames),
            audio_frame_send_period: period_ms(audio.rates.frames),
            client_id: client.number,
            video_packet_count: video.stats.sent.packets,
            audio_packet_count: audio.stats.sent.packets,
            video_sent_stats: VideoSent::new(&video.stats.sent, &video.rates, client.at),
            audio_sent_stats: AudioSent::new(&audio.stats.sent, &audio.rates, client.at),
            client_info: client.info,
            client_ip: client.ip.to_string(),
            protocol: client.protocol.label(),
            round_trip_ms: client.round_trip.map(|took| rounded(ms(took))),
            loss_share: loss_share.map(rounded),
            video_fraction_lost: rounded(video.stats.received.fraction_lost.into()),
            audio_fraction_lost: rounded(audio.stats.received.fraction_lost.into()),
            video_packets_lost: video.stats.received.lost,
            audio_packets_lost: audio.stats.received.lost,
            video_jitter_ms: rounded(ms(video.stats.received.jitter)),
            audio_jitter_ms: rounded(ms(audio.stats.received.jitter)),
            video_packets_resent: video.stats.sent.resent,
            audio_packets_resent: audio.stats.sent.resent,
        }
    }
}

/// `GET /{id}/webrtc-client-stats/{offset}/{size}`: an array of at most 50, in the order the players came; empty for what
/// nobody plays on this node, known or not. 404 for what is no number, as Jersey does.
pub(crate) fn of_broadcast(
    state: &ApiState,
    app: &AppName,
    id: &str,
    offset: &str,
    size: &str,
) -> HttpResponse {
    let Some((offset, size)) = page(offset, size) else { return not_found() };
    let clients = StreamId::new(id)
        .map(|id| state.streams.webrtc_clients(app, &id, offset, size.min(REST_CLIENTS_MAX)))
        .unwrap_or_default();
    ok(&clients.into_iter().map(ClientStats::from).collect::<Vec<_>>())
}

/// `GET /webrtc-send-low-level-stats`. Times are 0 while nobody plays.
pub(crate) fn of_application(state: &ApiState, app: &AppName) -> HttpResponse {
    let sum = state.streams.webrtc_sent(app);
    let at = sum.at.unwrap_or_default();
    ok(&SendStats {
        audio_send_stats: AudioSent::new(&sum.audio.0, &sum.audio.1, at),
        video_send_stats: VideoSent::new(&sum.video.0, &sum.video.1, at),
    })
}

/// From one of so many in a second to the next.
fn period_ms(in_a_second: f64) -> f64 {
    if in_a_second > 0.0 { rounded(1_000.0 / in_a_second) } else { 0.0 }
}

/// To thousandths.
fn rounded(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

/// As AMS's `int`; what is beyond ends at its bounds.
fn int(number: f64) -> i32 {
    number.round() as i32
}

pub(crate) fn whole(number: f64) -> u64 {
    number.round() as u64
}
