//! What WebRTC players are sent and report.

use sessions::rtc::{
    KindFigures, PlayProtocol, Rates, Received, ReceivedFigures, ReceivedStats, SentStats, TrackStats,
};

use super::*;

const AT: WallTime = WallTime(1_700_000_000_123);
const VIDEO: SentStats =
    SentStats { packets: 2_100, bytes: 2_400_000, frames: 300, resent: 60, nacks: 50, plis: 2, firs: 1 };
const AUDIO: SentStats =
    SentStats { packets: 500, bytes: 100_000, frames: 500, resent: 0, nacks: 0, plis: 0, firs: 0 };
const OF_VIDEO: Rates = Rates { packets: 215.4, bytes: 240_000.0, frames: 30.0 };
const OF_AUDIO: Rates = Rates { packets: 50.0, bytes: 10_000.0, frames: 50.0 };

/// How the player of that number fares; the first has reported nothing yet.
pub fn figures(number: i32) -> ClientFigures {
    let received = ReceivedStats {
        fraction_lost: 0.25,
        lost: 7,
        jitter: Duration::from_micros(4_500),
        path_packets: 1_500,
        path_lost: 60,
    };
    let of_sound = ReceivedStats { path_packets: 500, path_lost: 20, ..ReceivedStats::default() };
    let mut client = ClientFigures {
        number,
        ip: "192.0.2.9".parse().unwrap(),
        protocol: PlayProtocol::WebSocket,
        info: "hall \"3\"".to_owned(),
        at: AT,
        round_trip: Some(Duration::from_micros(51_250)),
        video: KindFigures { stats: TrackStats { sent: VIDEO, received }, rates: OF_VIDEO },
        audio: KindFigures { stats: TrackStats { sent: AUDIO, received: of_sound }, rates: OF_AUDIO },
    };
    if number == 1 {
        client.round_trip = None;
        (client.protocol, client.info) = (PlayProtocol::Whep, String::new());
        (client.video, client.audio) = (KindFigures::default(), KindFigures::default());
    }
    client
}

pub fn sent() -> SentFigures {
    SentFigures { at: Some(AT), video: (VIDEO, OF_VIDEO), audio: (AUDIO, OF_AUDIO) }
}

const VIDEO_SENT: &str = r#"{"videoFirCount":1,"videoPliCount":2,"videoNackCount":50,"videoPacketsSent":2100,"videoFramesEncoded":300,"videoBytesSent":2400000,"videoPacketsSentPerSecond":215,"videoBytesSentPerSecond":240000,"videoFramesEncodedPerSecond":30,"timeMs":1700000000123}"#;
const AUDIO_SENT: &str = r#"{"audioPacketsSent":500,"audioBytesSent":100000,"audioPacketsPerSecond":50,"audioBytesSentPerSecond":10000,"timeMs":1700000000123}"#;

pub fn received() -> Received {
    let video = ReceivedFigures {
        packets: 5_000,
        bytes: 5_500_000,
        lost: 12,
        frames: 900,
        nacks: 40,
        key_frame_requests: 15,
        jitter: Duration::from_micros(3_250),
        rates: Rates { packets: 180.0, bytes: 200_000.0, frames: 29.7 },
        lost_per_second: 20.0,
    };
    Received {
        video,
        audio: ReceivedFigures { packets: 1_500, bytes: 120_000, ..ReceivedFigures::default() },
    }
}

#[actix_web::test]
async fn what_comes_from_publishers_is_told_in_amss_words() {
    let node = Node::new();
    let (status, text) =
        text_of(node.get("/LiveApp/rest/v2/broadcasts/webrtc-receive-low-level-stats").await).await;
    let expected = r#"{"audioReceiveStats":{"audioPacketsReceived":1500,"audioBytesReceived":120000,"audioPacketsLost":0,"audioJitter":0.0,"audioFractionLost":0.0,"audioPacketsReceivedPerSecond":0,"audioBytesReceivedPerSecond":0},"videoReceiveStats":{"videoFirCount":0,"videoPliCount":15,"videoNackCount":40,"videoPacketsReceived":5000,"videoPacketsLost":12,"videoFractionLost":0.1,"videoFrameReceived":900,"videoBytesReceived":5500000,"videoPacketsReceivedPerSecond":180,"videoBytesReceivedPerSecond":200000,"videoFrameReceivedPerSecond":30,"jitter":0.00325}}"#;
    assert_eq!((status, text.as_str()), (StatusCode::OK, expected));
}

/// AMS's names in AMS's order, then ours.
#[actix_web::test]
async fn a_player_is_shown_as_ams_does_and_with_what_it_reports() {
    let node = Node::new();
    let (status, text) =
        text_of(node.get("/LiveApp/rest/v2/broadcasts/live1/webrtc-client-stats/1/1").await).await;
    let expected = format!(
        r#"[{{"measuredBitrate":1920000,"sendBitrate":2000000,"videoFrameSendPeriod":33.333,"audioFrameSendPeriod":20.0,"clientId":2,"videoPacketCount":2100,"audioPacketCount":500,"videoSentStats":{VIDEO_SENT},"audioSentStats":{AUDIO_SENT},"clientInfo":"hall \"3\"","clientIp":"192.0.2.9","protocol":"websocket","roundTripMs":51.25,"lossShare":0.04,"videoFractionLost":0.25,"audioFractionLost":0.0,"videoPacketsLost":7,"audioPacketsLost":0,"videoJitterMs":4.5,"audioJitterMs":0.0,"videoPacketsResent":60,"audioPacketsResent":0}}]"#
    );
    assert_eq!((status, text), (StatusCode::OK, expected));
}

#[actix_web::test]
async fn what_is_not_known_yet_is_null_or_nothing() {
    let node = Node::new();
    let first = &node.ask(Method::GET, "/live1/webrtc-client-stats/0/1").await[0];
    for key in ["roundTripMs", "lossShare"] {
        assert!(first[key].is_null() && first.get(key).is_some(), "{first}");
    }
    assert_eq!((&first["protocol"], &first["clientInfo"]), (&json!("whep"), &json!("")));
    assert_eq!((&first["videoFrameSendPeriod"], &first["sendBitrate"]), (&json!(0.0), &json!(0)));
}

#[actix_web::test]
async fn players_are_paged_by_fifty_and_nobody_plays_what_nobody_knows() {
    let node = Node::new();
    let page = |path: &'static str| {
        let node = &node;
        async move {
            let list = node.ask(Method::GET, &format!("/{path}")).await;
            let ids = list.as_array().unwrap().iter().map(|client| client["clientId"].as_i64().unwrap());
            ids.collect::<Vec<_>>()
        }
    };
    let range = |from: i64, to: i64| (from..=to).collect::<Vec<_>>();
    for (path, expected) in [
        ("live1/webrtc-client-stats/0/20", range(1, 20)),
        ("live1/webrtc-client-stats/0/60", range(1, 50)),
        ("live1/webrtc-client-stats/20/40/", range(21, 60)),
        ("live1/webrtc-client-stats/60/50", range(61, 70)),
        ("live1/webrtc-client-stats/-10/10", range(1, 10)),
        ("live1/webrtc-client-stats/70/10", vec![]),
        ("live1/webrtc-client-stats/0/0", vec![]),
        ("unknown/webrtc-client-stats/0/10", vec![]),
        ("no%20id/webrtc-client-stats/0/10", vec![]),
    ] {
        assert_eq!(page(path).await, expected, "{path}");
    }
    for path in ["x/10", "0/y", "0/99999999999", "0/1.5"] {
        let response =
            node.get(&format!("/LiveApp/rest/v2/broadcasts/live1/webrtc-client-stats/{path}")).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[actix_web::test]
async fn what_an_application_sends_is_the_sum_of_its_players() {
    let node = Node::new();
    let (status, text) =
        text_of(node.get("/LiveApp/rest/v2/broadcasts/webrtc-send-low-level-stats").await).await;
    let expected = format!(r#"{{"audioSendStats":{AUDIO_SENT},"videoSendStats":{VIDEO_SENT}}}"#);
    assert_eq!((status, text), (StatusCode::OK, expected));
    let none = json_of(node.get("/WebRTCAppEE/rest/v2/broadcasts/webrtc-send-low-level-stats").await).await.1;
    assert_eq!(
        (&none["videoSendStats"]["timeMs"], &none["audioSendStats"]["audioPacketsSent"]),
        (&json!(0), &json!(0))
    );
}
