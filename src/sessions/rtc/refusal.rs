//! The gate's and the streams' answers in AMS's words.

use std::borrow::Cow;

use observe::metric;
use security::Denial;

use super::policy::Unsendable;

/// An error answer to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// AMS's error definition.
    pub definition: &'static str,
    /// The key `information`, where AMS has one or a person needs one.
    pub information: Option<Cow<'static, str>>,
    /// The client is told when the stream begins.
    pub wait: bool,
    /// The client brought no token where one is wanted.
    pub wants_token: bool,
}

impl Refusal {
    pub(super) const fn new(definition: &'static str) -> Self {
        Self { definition, information: None, wait: false, wants_token: false }
    }

    /// The same, with words for people.
    pub(super) const fn explained(definition: &'static str, why: String) -> Self {
        Self { definition, information: Some(Cow::Owned(why)), wait: false, wants_token: false }
    }

    /// The node has no room for the player: which limit says so is counted, and not for the client.
    pub(super) fn no_room(limit: &'static str) -> Self {
        metric::admissions_refused("play", limit).increment(1);
        Self::new("highResourceUsage")
    }

    /// Nobody publishes the stream: the viewer is kept in the waiting list.
    pub(super) const fn not_live() -> Self {
        Self {
            definition: "no_stream_exist",
            information: Some(Cow::Borrowed("stream_not_exist_or_not_streaming")),
            wait: true,
            wants_token: false,
        }
    }

    /// Another node publishes the stream: the viewer is told which, and kept in the waiting list in case it comes here.
    pub(super) fn elsewhere(node: &str) -> Self {
        Self {
            definition: "no_stream_exist",
            information: Some(Cow::Owned(format!("the stream is published on another node: {node}"))),
            wait: true,
            wants_token: false,
        }
    }

    /// The application does not play by WebRTC.
    pub(super) const fn not_enabled() -> Self {
        Self {
            definition: "no_stream_exist",
            information: Some(Cow::Borrowed("webrtc_not_enabled")),
            wait: false,
            wants_token: false,
        }
    }

    /// The stream's pictures cannot be played by WebRTC, and whether that passes by itself.
    pub(super) fn unsendable(Unsendable { why, for_now }: Unsendable) -> Self {
        if for_now { Self::explained("encoderNotOpened", why) } else { Self::codec(why) }
    }

    /// What the publisher says of its stream does not fit into the broadcast's record. AMS has no word for it: it has no
    /// such limit.
    pub(super) const fn broadcast_too_large() -> Self {
        Self {
            definition: "broadcast_too_large",
            information: Some(Cow::Borrowed(
                "streamName and metaData are too long for the broadcast's record",
            )),
            wait: false,
            wants_token: false,
        }
    }

    /// The stream cannot be played by WebRTC; why, in words.
    pub(super) const fn codec(why: String) -> Self {
        Self::explained("no_codec_enabled_in_the_server", why)
    }
}

/// What AMS answers where the gate said no. Which clause failed is for the log alone.
pub(super) const fn of_denial(denial: &Denial) -> Refusal {
    let mut refusal = Refusal::new(match denial {
        Denial::UnknownApplication | Denial::NotInitialised => "not_initialized_yet",
        Denial::InvalidStreamId(_) => "invalidStreamName",
        Denial::Unregistered | Denial::RoomUnregistered => "not_allowed_unregistered_streams",
        Denial::AlreadyLive => "streamIdInUse",
        Denial::OutsideWindow => "stream_not_active_or_expired",
        Denial::RoomOutsideWindow => "room_not_active_or_expired",
        Denial::Blocked => "user_blocked",
        Denial::IngestLimit => "highResourceUsage",
        Denial::ViewerLimit => "viewerLimitReached",
        Denial::DataStoreNotAvailable => "data_store_not_available",
        // The same for every credential, whatever is wrong with it.
        Denial::Address
        | Denial::Webhook
        | Denial::TokenMissing
        | Denial::Token(_)
        | Denial::TokenInUse
        | Denial::Hash
        | Denial::JwtMissing
        | Denial::Jwt(_)
        | Denial::Totp(_)
        | Denial::Connections { .. }
        | Denial::AuthorityLost => "unauthorized_access",
    });
    // A hash that is wrong and none at all are one denial: whether one was brought the request says.
    refusal.wants_token = matches!(denial, Denial::TokenMissing | Denial::JwtMissing | Denial::Hash);
    refusal
}
