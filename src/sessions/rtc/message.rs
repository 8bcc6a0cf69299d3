//! The JSON of the signalling WebSocket: what comes in, and what goes out.
//!
//! Shapes and texts are those of Ant Media Server; keys that are absent, `null` or `""` are the
//! same thing on the way in.

use std::collections::BTreeMap;

use base::{Secret, StreamId, limits};
use serde_json::{Value, json};

/// What a client asks for.
#[derive(Debug)]
pub enum Request {
    /// Keep-alive; the SDK sends it every 3 s.
    Ping,
    /// Which STUN and TURN servers to use.
    GetIceServerConfig,
    /// Play a stream.
    Play(Play),
    /// An SDP: a player's answer, or a publisher's offer.
    TakeConfiguration {
        /// The stream it is about.
        stream: StreamId,
        /// `offer` or `answer`.
        kind: String,
        /// The SDP.
        sdp: String,
    },
    /// An ICE candidate of the client. This node is ICE-lite and needs none.
    TakeCandidate {
        /// The stream it is about.
        stream: StreamId,
    },
    /// Stop playing or publishing.
    Stop(StreamId),
    /// Renditions of a stream.
    GetStreamInfo(StreamId),
    /// The broadcast's record.
    GetBroadcastObject(StreamId),
    /// Stop or go on sending pictures.
    ToggleVideo(StreamId, bool),
    /// Stop or go on sending sound.
    ToggleAudio(StreamId, bool),
    /// Publish a stream.
    Publish(Publish),
    /// What is said of a stream that is published over this socket, from now on.
    UpdateStreamMetaData(StreamId, String),
    /// A command this node does not know: ignored, as AMS does.
    Unknown,
}

/// The fields of `play`.
#[derive(Debug)]
pub struct Play {
    /// The stream.
    pub stream: StreamId,
    /// What the viewer says of itself, for statistics. Longer than [`limits::VIEWER_INFO_CHARS_MAX`]: cut.
    pub viewer_info: String,
    /// One-time token, hash or JWT.
    pub token: Option<Secret>,
    /// Who plays.
    pub subscriber_id: Option<String>,
    /// Their time-based code.
    pub subscriber_code: Option<Secret>,
    /// The room that it is played in.
    pub room: Option<String>,
    /// What is said along, for whom an authorisation webhook asks; empty: nothing.
    pub meta_data: String,
}

/// The fields of `publish`.
#[derive(Debug)]
pub struct Publish {
    /// The stream.
    pub stream: StreamId,
    /// One-time token, hash or JWT.
    pub token: Option<Secret>,
    /// Who publishes.
    pub subscriber_id: Option<String>,
    /// Their time-based code.
    pub subscriber_code: Option<Secret>,
    /// The room that the stream is a track of.
    pub main_track: Option<String>,
    /// What the stream is called; empty: not said.
    pub name: String,
    /// What is said of the stream; empty: nothing.
    pub meta_data: String,
}

/// Why a message is no request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not a JSON object with a text `command`: logged, not answered, as in AMS.
    #[error("not a JSON object with a command")]
    Malformed,
    /// `streamId` is missing or empty.
    #[error("no stream id was given")]
    NoStreamName,
    /// `streamId` breaks the rule of names. It is sent back, cut to a sane length.
    #[error("the stream id is not valid")]
    InvalidStreamName(String),
}

impl Request {
    /// Reads one text message of at most [`limits::SIGNALLING_MESSAGE_BYTES_MAX`] bytes.
    pub fn read(text: &str) -> Result<Self, RequestError> {
        if text.len() > limits::SIGNALLING_MESSAGE_BYTES_MAX {
            return Err(RequestError::Malformed);
        }
        let Ok(Value::Object(message)) = serde_json::from_str::<Value>(text) else {
            return Err(RequestError::Malformed);
        };
        let field = |name: &str| message.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let command = field("command").ok_or(RequestError::Malformed)?;
        match command {
            "ping" => return Ok(Self::Ping),
            "getIceServerConfig" => return Ok(Self::GetIceServerConfig),
            _ => {}
        }
        let name = field("streamId").ok_or(RequestError::NoStreamName)?;
        let stream = StreamId::new(name).map_err(|_| {
            RequestError::InvalidStreamName(name.chars().take(limits::STREAM_ID_BYTES_MAX).collect())
        })?;
        let secret = |name: &str| field(name).map(|text| Secret::new(text.to_owned()));
        let enabled = || match message.get("enabled") {
            Some(Value::Bool(enabled)) => *enabled,
            Some(Value::String(text)) => text == "true",
            _ => true,
        };
        // Pages keep JSON in it, and not all of them make a text of it first.
        let meta_data = || match message.get("metaData") {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        Ok(match command {
            "play" => Self::Play(Play {
                stream,
                viewer_info: field("viewerInfo").map_or_else(String::new, |info| {
                    info.chars().take(limits::VIEWER_INFO_CHARS_MAX).collect()
                }),
                token: secret("token"),
                subscriber_id: field("subscriberId").map(str::to_owned),
                subscriber_code: secret("subscriberCode"),
                room: field("room").map(str::to_owned),
                meta_data: meta_data(),
            }),
            "takeConfiguration" => Self::TakeConfiguration {
                stream,
                kind: field("type").unwrap_or_default().to_owned(),
                sdp: field("sdp").unwrap_or_default().to_owned(),
            },
            "takeCandidate" => Self::TakeCandidate { stream },
            "stop" => Self::Stop(stream),
            "getStreamInfo" => Self::GetStreamInfo(stream),
            "getBroadcastObject" => Self::GetBroadcastObject(stream),
            "toggleVideo" => Self::ToggleVideo(stream, enabled()),
            "toggleAudio" => Self::ToggleAudio(stream, enabled()),
            "publish" => Self::Publish(Publish {
                stream,
                token: secret("token"),
                subscriber_id: field("subscriberId").map(str::to_owned),
                subscriber_code: secret("subscriberCode"),
                main_track: field("mainTrack").map(str::to_owned),
                name: field("streamName").unwrap_or_default().to_owned(),
                meta_data: meta_data(),
            }),
            "updateStreamMetaData" => Self::UpdateStreamMetaData(stream, meta_data()),
            _ => Self::Unknown,
        })
    }
}

/// `{"command":"pong"}`
pub fn pong() -> Value {
    json!({"command": "pong"})
}

/// Which STUN and TURN servers the application's settings name.
pub fn ice_server_config(stun: &str, turn_user: &str, turn_credential: &str) -> Value {
    json!({
        "command": "iceServerConfig",
        "stunServerUri": stun,
        "turnServerUsername": turn_user,
        "turnServerCredential": turn_credential,
    })
}

/// An error that concerns no stream.
pub fn error(definition: &str) -> Value {
    json!({"command": "error", "definition": definition})
}

/// An error that concerns a stream.
pub fn stream_error(definition: &str, stream: &str) -> Value {
    json!({"command": "error", "definition": definition, "streamId": stream})
}

/// An error with words for people; AMS's clients ignore the extra key.
pub fn explained_error(definition: &str, stream: &str, information: &str) -> Value {
    json!({"command": "error", "definition": definition, "streamId": stream, "information": information})
}

/// The stream is not live (the viewer waits), or cannot be played.
pub fn no_stream_exist(stream: &str, information: &str) -> Value {
    json!({
        "command": "error",
        "definition": "no_stream_exist",
        "error_code": "404",
        "information": information,
        "streamId": stream,
    })
}

/// The server's offer to a player.
pub fn offer(
    stream: &str,
    sdp: &str,
    id_mapping: &BTreeMap<String, String>,
    subscriber: Option<&str>,
) -> Value {
    json!({
        "command": "takeConfiguration",
        "streamId": stream,
        "type": "offer",
        "sdp": sdp,
        "idMapping": id_mapping,
        "linkSession": null,
        "subscriberId": subscriber,
    })
}

/// A publisher is in, and may make its offer.
pub fn start(stream: &str, subscriber: Option<&str>) -> Value {
    json!({"command": "start", "streamId": stream, "subscriberId": subscriber})
}

/// The server's answer to a publisher.
pub fn answer(stream: &str, sdp: &str, subscriber: Option<&str>) -> Value {
    json!({
        "command": "takeConfiguration",
        "streamId": stream,
        "type": "answer",
        "sdp": sdp,
        "linkSession": null,
        "subscriberId": subscriber,
    })
}

/// One of the server's candidates.
pub fn candidate(stream: &str, label: usize, mid: &str, candidate: &str, subscriber: Option<&str>) -> Value {
    json!({
        "command": "takeCandidate",
        "streamId": stream,
        "label": label,
        "id": mid,
        "candidate": candidate,
        "linkSession": null,
        "subscriberId": subscriber,
    })
}

/// Something happened to a stream the client plays or waits for.
pub fn notification(definition: &str, stream: &str) -> Value {
    json!({"command": "notification", "definition": definition, "streamId": stream})
}

/// The same, naming the subscriber (which may be null).
pub fn subscriber_notification(definition: &str, stream: &str, subscriber: Option<&str>) -> Value {
    json!({"command": "notification", "definition": definition, "streamId": stream, "subscriberId": subscriber})
}

/// A play has ended. `information` says why, in the words of [`base::ExitReason`]; AMS's clients ignore
/// the extra key.
pub fn play_finished(stream: &str, subscriber: Option<&str>, information: &str) -> Value {
    finished("play_finished", stream, subscriber, information)
}

/// The same of a publish.
pub fn publish_finished(stream: &str, subscriber: Option<&str>, information: &str) -> Value {
    finished("publish_finished", stream, subscriber, information)
}

fn finished(definition: &str, stream: &str, subscriber: Option<&str>, information: &str) -> Value {
    json!({
        "command": "notification",
        "definition": definition,
        "streamId": stream,
        "subscriberId": subscriber,
        "information": information,
    })
}

/// The node is going down: the SDK reconnects at once.
pub fn server_will_stop() -> Value {
    json!({"command": "notification", "definition": "server_will_stop"})
}

/// The broadcast's record, as JSON text inside JSON.
pub fn broadcast_object(stream: &str, broadcast: &str) -> Value {
    json!({
        "command": "notification",
        "definition": "broadcastObject",
        "streamId": stream,
        "broadcast": broadcast,
    })
}

/// One rendition of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendition {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Bits per second, measured.
    pub video_bitrate: u64,
    /// Bits per second, measured.
    pub audio_bitrate: u64,
    /// AMS's name of the codec; empty without video.
    pub video_codec: &'static str,
}

/// The renditions of a live stream.
pub fn stream_information(stream: &str, renditions: &[Rendition]) -> Value {
    let renditions: Vec<_> = renditions
        .iter()
        .map(|rendition| {
            json!({
                "streamWidth": rendition.width,
                "streamHeight": rendition.height,
                "videoBitrate": rendition.video_bitrate,
                "audioBitrate": rendition.audio_bitrate,
                "videoCodec": rendition.video_codec,
            })
        })
        .collect();
    json!({"command": "streamInformation", "streamId": stream, "streamInfo": renditions})
}

/// Reads any bytes, for the fuzzer: no input may panic.
pub fn fuzz(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Request::read(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ping_and_ice_config_need_no_stream() {
        assert!(matches!(Request::read(r#"{"command":"ping"}"#), Ok(Request::Ping)));
        assert!(matches!(
            Request::read(r#"{"command":"getIceServerConfig"}"#),
            Ok(Request::GetIceServerConfig)
        ));
    }

    #[test]
    fn every_other_command_needs_a_valid_stream_id() {
        for text in [
            r#"{"command":"play"}"#,
            r#"{"command":"play","streamId":""}"#,
            r#"{"command":"x","streamId":7}"#,
        ] {
            assert_eq!(Request::read(text).unwrap_err(), RequestError::NoStreamName, "{text}");
        }
        assert_eq!(
            Request::read(r#"{"command":"play","streamId":"a/b"}"#).unwrap_err(),
            RequestError::InvalidStreamName("a/b".into())
        );
    }

    #[test]
    fn empty_and_null_credentials_are_absent() {
        let text =
            r#"{"command":"play","streamId":"s1","token":"","subscriberId":null,"subscriberCode":"1"}"#;
        let Ok(Request::Play(play)) = Request::read(text) else { panic!("{text}") };
        assert!(play.token.is_none() && play.subscriber_id.is_none() && play.subscriber_code.is_some());
    }

    #[test]
    fn what_is_said_of_a_stream_or_along_with_a_play_is_a_text() {
        let said = |command: &str, meta_data: Value| {
            let text =
                json!({"command": command, "streamId": "s1", "streamName": "Hall", "metaData": meta_data});
            match Request::read(&text.to_string()) {
                Ok(Request::Publish(Publish { name, meta_data, .. })) => (name, meta_data),
                Ok(Request::Play(Play { stream, meta_data, .. })) => (stream.to_string(), meta_data),
                Ok(Request::UpdateStreamMetaData(stream, meta_data)) => (stream.to_string(), meta_data),
                other => panic!("{text}: {other:?}"),
            }
        };
        for (command, first) in [("publish", "Hall"), ("play", "s1"), ("updateStreamMetaData", "s1")] {
            for (given, text) in [
                (Value::Null, ""),
                (json!(""), ""),
                (json!("{\"seats\":3}"), "{\"seats\":3}"),
                (json!({"seats": 3}), "{\"seats\":3}"),
            ] {
                assert_eq!(said(command, given), (first.to_owned(), text.to_owned()));
            }
        }
    }

    #[test]
    fn what_a_viewer_says_of_itself_is_cut() {
        let said = |info: &str| {
            let text = json!({"command": "play", "streamId": "s1", "viewerInfo": info}).to_string();
            let Ok(Request::Play(play)) = Request::read(&text) else { panic!("{text}") };
            play.viewer_info
        };
        assert_eq!((said(""), said("hall 3, \"left\"")), (String::new(), "hall 3, \"left\"".to_owned()));
        assert_eq!(said(&"ä".repeat(5_000)), "ä".repeat(limits::VIEWER_INFO_CHARS_MAX));
    }

    #[test]
    fn what_is_no_request_is_named_so() {
        for text in ["", "[]", "7", "{}", r#"{"command":7}"#, r#"{"command":"play","#, &"[".repeat(10_000)] {
            assert_eq!(Request::read(text).unwrap_err(), RequestError::Malformed, "{text:.20}");
        }
        assert!(matches!(Request::read(r#"{"command":"dance","streamId":"s"}"#), Ok(Request::Unknown)));
    }

    #[test]
    fn a_logged_request_shows_no_credential() {
        let text = r#"{"command":"play","streamId":"s1","token":"hunter2","subscriberCode":"hunter2"}"#;
        assert!(!format!("{:?}", Request::read(text)).contains("hunter2"));
    }
}
