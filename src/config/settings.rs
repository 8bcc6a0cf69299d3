//! The settings of one application.

mod change;
mod java;
mod kind;
mod notice;
mod properties;
mod revoked;
mod schema;
mod table;
mod validate;
mod write;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use base::{AppName, Randomness, Secret};
use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

pub use change::{ChangeError, Difference};
pub use notice::{LoadedSettings, Notice};
pub use schema::settings_table_json;
pub use table::Concerns;
pub use validate::{Finding, Findings};
pub use write::WriteError;

use kind::{Kind, RANDOM_TEXT_LENGTH};
use table::ROWS;

/// The value of every setting AMS has, of which Penstock acts on those with an accessor here.
///
/// As JSON it is AMS's settings object: every key is written; on reading, keys nobody knows are ignored
/// and missing ones stand at their default. A value of a wrong type is an error. `Debug` shows what
/// differs from the default, and never a secret.
#[derive(Clone, PartialEq)]
pub struct AppSettings {
    /// One value per row of the table, in its order, each checked against the row's type.
    values: Box<[Value; ROWS.len()]>,
}

/// The JSON key under which AMS also shows the renditions as one text.
const LADDER_TEXT: &str = "encoderSettingsString";
const LADDER: &str = "encoderSettings";

macro_rules! accessors {
    ($($(#[$doc:meta])* fn $name:ident($key:literal) -> $type:ty = $read:ident;)+
     $(private fn $own:ident($own_key:literal) -> $own_type:ty = $own_read:ident;)+) => {
        $(
            $(#[$doc])*
            pub fn $name(&self) -> $type {
                const ROW: usize = table::acted_on($key);
                self.$read(ROW)
            }
        )+
        $(
            fn $own(&self) -> $own_type {
                const ROW: usize = table::acted_on($own_key);
                self.$own_read(ROW)
            }
        )+
    };
}

impl AppSettings {
    /// AMS's defaults for the application `app`, with its own keys drawn.
    pub fn new(app: &AppName, randomness: &dyn Randomness) -> Self {
        const APP_NAME: usize = table::acted_on("appName");
        let mut settings = Self::default();
        settings.values[APP_NAME] = app.as_str().into();
        settings.draw_missing_keys(randomness);
        settings
    }

    /// The same for an application that the node makes, also with a secret of hashes: whoever switches them on need not draw one.
    pub fn of_made(app: &AppName, randomness: &dyn Randomness) -> Self {
        const HASH_SECRET: usize = table::acted_on("tokenHashSecret");
        let mut settings = Self::new(app, randomness);
        settings.values[HASH_SECRET] = randomness.alphanumeric(RANDOM_TEXT_LENGTH).into();
        settings
    }

    /// Draws the keys every application has for itself, where they are blank. Settings that came as JSON
    /// need this, since nothing random happens while reading.
    pub fn draw_missing_keys(&mut self, randomness: &dyn Randomness) {
        for (row, value) in ROWS.iter().zip(self.values.iter_mut()) {
            if matches!(row.kind, Kind::RandomText) && is_off(value) {
                *value = randomness.alphanumeric(RANDOM_TEXT_LENGTH).into();
            }
        }
    }

    /// The value of any setting by its JSON key, whether Penstock acts on it or not.
    pub fn get(&self, json_key: &str) -> Option<&Value> {
        table::by_json(json_key).and_then(|row| self.values.get(row))
    }

    accessors! {
        /// Only streams that were created beforehand may be published.
        fn accept_only_streams_in_data_store("acceptOnlyStreamsInDataStore") -> bool = flag;
        /// Streams may be played by WebRTC.
        fn webrtc_enabled("webRTCEnabled") -> bool = flag;
        /// H.264 may be offered to WebRTC players.
        fn h264_enabled("h264Enabled") -> bool = flag;
        /// VP8 may be offered to WebRTC players.
        fn vp8_enabled("vp8Enabled") -> bool = flag;
        /// The STUN server that pages are told, as a URI; empty: none.
        fn stun_server_uri("stunServerURI") -> &str = text;
        /// The TURN user that pages are told; empty: none.
        fn turn_server_username("turnServerUsername") -> &str = text;
        /// The TURN password that pages are told; empty: none.
        fn turn_server_credential("turnServerCredential") -> Secret<&str> = secret;
        /// A signalling socket may play the same stream only once at a time.
        fn play_webrtc_stream_once_for_each_session("playWebRTCStreamOnceForEachSession") -> bool = flag;
        /// WebRTC players of the whole application; `None`: no limit.
        fn webrtc_viewer_limit("webRTCViewerLimit") -> Option<usize> = limit;
        /// A publisher that sends nothing any more is ended.
        fn drop_webrtc_ingest_if_no_packet_received("dropWebRTCIngestIfNoPacketReceived") -> bool = flag;
        /// Between the key frames that WebRTC publishers are asked for.
        fn webrtc_key_frame_interval("webRTCKeyframeTime") -> Duration = milliseconds;
        /// Bits per second that WebRTC publishers are told to send at most, in all; `None`: no limit.
        fn max_bitrate_accept("maxBitrateAccept") -> Option<u32> = bitrate;
        /// Time from the offer to connected.
        fn webrtc_client_start_timeout("webRTCClientStartTimeoutMs") -> Duration = milliseconds;
        /// Streams published at the same time in the whole application; `None`: no limit.
        fn ingesting_stream_limit("ingestingStreamLimit") -> Option<usize> = limit;
        /// Peers are offered connections by TCP as well.
        fn webrtc_tcp_candidates_enabled("webRTCTcpCandidatesEnabled") -> bool = flag;
        /// IPv6 addresses are not offered as ICE candidates.
        fn disable_ipv6_candidates("disableIPv6Candidates") -> bool = flag;
        /// Publishers and players have data channels, and REST may speak to them. Who joined before the setting changed
        /// keeps what it has.
        fn data_channel_enabled("dataChannelEnabled") -> bool = flag;
        /// Whom messages of players go to: `all`, `publisher`, or nobody.
        fn data_channel_player_distribution("dataChannelPlayerDistribution") -> &str = text;
        /// Sessions of subscribers are recorded, with what they came to.
        fn write_subscriber_events_to_datastore("writeSubscriberEventsToDatastore") -> bool = flag;
        /// Only addresses of `remote_allowed_cidr` may ask the application's REST.
        fn ip_filter_enabled("ipFilterEnabled") -> bool = flag;
        /// Ranges of addresses that may ask the application's REST, separated by commas.
        fn remote_allowed_cidr("remoteAllowedCIDR") -> &str = text;
        /// Who asks the application's REST has to show a JWT.
        fn jwt_control_enabled("jwtControlEnabled") -> bool = flag;
        /// What such a JWT is signed by.
        fn jwt_secret_key("jwtSecretKey") -> Secret<&str> = secret;
        /// Where the keys are published that JWTs are signed by; empty: nowhere.
        fn jwks_url("jwksURL") -> &str = text;
        /// The application's name.
        fn app_name("appName") -> &str = text;
        /// `Content-Security-Policy` of all that the application answers; blank: what its pages say by themselves.
        fn content_security_policy("contentSecurityPolicyHeaderValue") -> &str = text;
        /// Only rooms that were created beforehand may be joined.
        fn accept_only_rooms_in_data_store("acceptOnlyRoomsInDataStore") -> bool = flag;
        /// Seconds that a code of a subscriber without a period of its own is the one for.
        fn time_token_period("timeTokenPeriod") -> u32 = seconds;
        /// Subscribers' codes are asked for in both directions, and only of subscribers that are registered (AMS up to 2.17).
        fn time_token_subscriber_only("timeTokenSubscriberOnly") -> bool = flag;
        /// A session ends when the JWT that let it in does.
        fn jwt_expiry_ends_session("jwtExpiryEndsSession") -> bool = flag;
        /// The secret that hash tokens are made with.
        fn token_hash_secret("tokenHashSecret") -> Secret<&str> = secret;
        /// The one before, by which they are still good.
        fn token_hash_secret_previous("tokenHashSecretPrevious") -> Secret<&str> = secret;
        /// The secret that JWTs of streams are signed with.
        fn jwt_stream_secret("jwtStreamSecretKey") -> Secret<&str> = secret;
        /// Where the keys are published that JWTs of streams are signed by; empty: nowhere, and the secret counts.
        fn jwt_stream_jwks_url("jwtStreamJwksURL") -> &str = text;
        /// The ranges that publishers' addresses have to be in, separated by commas; empty: any.
        fn allowed_publisher_cidr("allowedPublisherCIDR") -> &str = text;
        private fn revoked_tokens("revokedTokens") -> &str = text;
        private fn webhook_authenticate_url("webhookAuthenticateURL") -> &str = text;
        private fn webhook_play_auth_url("webhookPlayAuthUrl") -> &str = text;
        private fn token_control("tokenControlEnabled") -> bool = flag;
        private fn publish_token_control("publishTokenControlEnabled") -> bool = flag;
        private fn play_token_control("playTokenControlEnabled") -> bool = flag;
        private fn publish_hash_control("hashControlPublishEnabled") -> bool = flag;
        private fn play_hash_control("hashControlPlayEnabled") -> bool = flag;
        private fn publish_jwt_control("publishJwtControlEnabled") -> bool = flag;
        private fn play_jwt_control("playJwtControlEnabled") -> bool = flag;
        private fn publish_time_token("enableTimeTokenForPublish") -> bool = flag;
        private fn play_time_token("enableTimeTokenForPlay") -> bool = flag;
        private fn publish_time_token_secret("timeTokenSecretForPublish") -> Secret<&str> = secret;
        private fn play_time_token_secret("timeTokenSecretForPlay") -> Secret<&str> = secret;
    }

    /// One-time tokens are asked for.
    pub fn wants_token(&self, publish: bool) -> bool {
        self.token_control() || if publish { self.publish_token_control() } else { self.play_token_control() }
    }

    /// Hash tokens are asked for.
    pub fn wants_hash(&self, publish: bool) -> bool {
        if publish { self.publish_hash_control() } else { self.play_hash_control() }
    }

    /// JWTs are asked for.
    pub fn wants_jwt(&self, publish: bool) -> bool {
        if publish { self.publish_jwt_control() } else { self.play_jwt_control() }
    }

    /// Subscribers' codes are asked for.
    pub fn wants_totp(&self, publish: bool) -> bool {
        self.time_token_subscriber_only()
            || if publish { self.publish_time_token() } else { self.play_time_token() }
    }

    /// Who is asked whether somebody may publish or play; empty: nobody.
    pub fn authorisation_webhook(&self, publish: bool) -> &str {
        if publish { self.webhook_authenticate_url().trim() } else { self.webhook_play_auth_url().trim() }
    }

    /// Something that not everybody has is asked for.
    pub fn is_guarded(&self, publish: bool) -> bool {
        self.wants_totp(publish)
            || self.wants_token(publish)
            || self.wants_hash(publish)
            || self.wants_jwt(publish)
            || !self.authorisation_webhook(publish).is_empty()
    }

    /// The secret that codes of subscribers without one of their own are derived from.
    pub fn time_token_secret(&self, publish: bool) -> Secret<&str> {
        if publish { self.publish_time_token_secret() } else { self.play_time_token_secret() }
    }

    fn flag(&self, row: usize) -> bool {
        self.values[row].as_bool().unwrap_or_default()
    }

    fn text(&self, row: usize) -> &str {
        self.values[row].as_str().unwrap_or_default()
    }

    fn secret(&self, row: usize) -> Secret<&str> {
        Secret::new(self.text(row))
    }

    /// AMS says "no limit" as -1.
    fn limit(&self, row: usize) -> Option<usize> {
        self.values[row].as_u64().and_then(|limit| usize::try_from(limit).ok())
    }

    /// AMS says "no limit" as 0.
    fn bitrate(&self, row: usize) -> Option<u32> {
        self.values[row].as_u64().and_then(|rate| u32::try_from(rate).ok()).filter(|rate| *rate > 0)
    }

    fn seconds(&self, row: usize) -> u32 {
        self.values[row].as_u64().and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(1)
    }

    fn milliseconds(&self, row: usize) -> Duration {
        Duration::from_millis(self.values[row].as_u64().unwrap_or_default())
    }
}

/// A switch at false, a blank text, nothing.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::String(text) => text.trim().is_empty(),
        Value::Number(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

/// AMS's defaults, with the application's own keys still blank; see [`AppSettings::new`].
impl Default for AppSettings {
    fn default() -> Self {
        Self { values: Box::new(std::array::from_fn(|row| ROWS[row].kind.default_value())) }
    }
}

impl fmt::Debug for AppSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("AppSettings");
        for (row, value) in ROWS.iter().zip(self.values.iter()) {
            match row.secret {
                _ if *value == row.kind.default_value() => {}
                true => drop(shown.field(row.json, &Secret::new(()))),
                false => drop(shown.field(row.json, &format_args!("{value}"))),
            }
        }
        shown.finish_non_exhaustive()
    }
}

impl Serialize for AppSettings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(ROWS.len() + 1))?;
        for (row, value) in ROWS.iter().zip(self.values.iter()) {
            map.serialize_entry(row.json, value)?;
            if row.json == LADDER {
                let empty = value.as_array().is_none_or(Vec::is_empty);
                map.serialize_entry(LADDER_TEXT, &if empty { String::new() } else { value.to_string() })?;
            }
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for AppSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = BTreeMap::<Cow<'de, str>, Value>::deserialize(deserializer)?;
        let mut settings = Self::default();
        for (row, value) in ROWS.iter().zip(settings.values.iter_mut()) {
            let given = match given.get(row.json) {
                None if row.json == LADDER => given.get(LADDER_TEXT),
                given => given,
            };
            if let Some(given) = given {
                *value = row.kind.read_json(given).ok_or_else(|| {
                    D::Error::custom(format_args!("{} must be {}", row.json, row.kind.allowed()))
                })?;
            }
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests;
