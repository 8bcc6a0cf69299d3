//! Every application setting AMS has: the one table that the reader of `red5-web.properties`, the JSON
//! form and the typed accessors go by.
//!
//! Source: the `@Value` annotations of AMS's `AppSettings` (3.0 development branch, and 2.17 for keys and
//! names removed since). A setting that Penstock begins to honour gets `.acted_on()` here and an accessor
//! in `settings.rs`; nothing else changes.
//!
//! This file is one table and longer than others for that reason.

use super::kind::Kind;

/// One application setting.
#[derive(Debug)]
pub struct Row {
    /// The key in JSON, which is the name of AMS's Java field.
    pub json: &'static str,
    /// The key in a properties file as AMS 3 names it.
    property: &'static str,
    /// A further key that AMS 2.17 and older read.
    legacy: Option<&'static str>,
    /// Type and default.
    pub kind: Kind,
    /// Must never be shown in a log line.
    pub secret: bool,
    /// Penstock does what the setting says.
    pub acted_on: bool,
    /// AMS keeps it itself: it is not read from properties files.
    internal: bool,
    /// What it protects, when it is a security mechanism.
    pub gates: Option<Concerns>,
}

/// What a security mechanism stands before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concerns {
    /// Publishing only.
    Publish,
    /// Playing only.
    Play,
    /// Publishing and playing.
    Both,
    /// The application's REST.
    Rest,
    /// Whoever takes the application's pages into its own.
    Pages,
}

impl Concerns {
    /// Whether publishing is concerned.
    pub const fn publish(self) -> bool {
        matches!(self, Self::Publish | Self::Both)
    }

    /// Whether playing is concerned.
    pub const fn play(self) -> bool {
        matches!(self, Self::Play | Self::Both)
    }
}

impl Row {
    /// The names this setting has in a properties file; an earlier one wins over a later one.
    pub fn names(&self) -> Vec<String> {
        if self.internal {
            return Vec::new();
        }
        let mut names = vec![self.property.to_owned(), self.json.to_owned()];
        names.extend(self.legacy.map(str::to_owned));
        names.extend([format!("settings.{}", self.property), format!("settings.{}", self.json)]);
        names
    }

    const fn property(mut self, name: &'static str) -> Self {
        self.property = name;
        self
    }

    const fn legacy(mut self, name: &'static str) -> Self {
        self.legacy = Some(name);
        self
    }

    const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    const fn acted_on(mut self) -> Self {
        self.acted_on = true;
        self
    }

    const fn internal(mut self) -> Self {
        self.internal = true;
        self
    }

    const fn gates(mut self, concerns: Concerns) -> Self {
        self.gates = Some(concerns);
        self
    }
}

const fn row(json: &'static str, kind: Kind) -> Row {
    let (secret, acted_on, internal) = (false, false, false);
    Row { json, property: json, legacy: None, kind, secret, acted_on, internal, gates: None }
}

const fn flag(default: bool) -> Kind {
    Kind::Flag(default)
}

const fn int(default: i64) -> Kind {
    Kind::Integer { default, min: i32::MIN as i64, max: i32::MAX as i64 }
}

/// AMS leaves its `int`s unbounded; where Penstock acts on one, nonsense is refused.
const fn int_from(min: i64, default: i64) -> Kind {
    Kind::Integer { default, min, max: i32::MAX as i64 }
}

const fn long(default: i64) -> Kind {
    Kind::Integer { default, min: i64::MIN, max: i64::MAX }
}

const fn decimal(default: f64) -> Kind {
    Kind::Decimal(default)
}

const fn text(default: &'static str) -> Kind {
    Kind::Text(default)
}

const fn object(default: &'static str) -> Kind {
    Kind::Object(default)
}

/// The row of the setting `json`, for constants: an unknown name or one that Penstock does not act on
/// does not compile.
#[expect(clippy::panic, reason = "evaluated by the compiler only")]
pub const fn acted_on(json: &str) -> usize {
    let mut at = 0;
    while at < ROWS.len() {
        if same(ROWS[at].json, json) {
            assert!(ROWS[at].acted_on, "an accessor for a setting that is not acted on");
            return at;
        }
        at += 1;
    }
    panic!("no such setting")
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// The row with this JSON key.
pub fn by_json(json: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.json == json)
}

/// Keys of a properties file that are no settings: AMS's servlet container and its choice of database.
pub fn is_container_key(key: &str) -> bool {
    key.starts_with("webapp.") || (key.starts_with("db.") && key != "db.app.name")
}

/// Which role sees which, in conferences.
const VISIBILITY: &str = r#"{"default":["default"],"speaker":["speaker","active_attendee"],"attendee":["speaker","active_attendee"]}"#;

/// All settings. Marked as protecting are the switches, limits and ranges by which somebody is kept out, not the secrets and
/// addresses that go with them.
#[rustfmt::skip] // one line per setting
pub static ROWS: &[Row] = &[
    row("remoteAllowedCIDR", text("127.0.0.1")).acted_on(),
    row("mp4MuxingEnabled", flag(false)),
    row("webMMuxingEnabled", flag(false)),
    row("addDateTimeToMp4FileName", flag(false)),
    row("fileNameFormat", text("%r%b")),
    row("hlsMuxingEnabled", flag(true)),
    row("encoderSettings", Kind::Ladder).property("encoderSettingsString").legacy("settings.encoderSettingsString"),
    row("signalingEnabled", flag(false)).legacy("signaling.enabled"),
    row("signalingAddress", text("")).legacy("signaling.address"),
    row("hlsListSize", text("15")),
    row("hlsTime", text("2")),
    row("uploadExtensionsToS3", int(7)),
    row("s3StorageClass", text("STANDARD")),
    row("endpointHealthCheckPeriodMs", int(2_000)).legacy("settings.endpoint.healthCheckPeriodMs"),
    row("endpointRepublishLimit", int(3)).legacy("settings.endpoint.republishLimit"),
    row("dashSegDuration", text("6")),
    row("dashFragmentDuration", text("0.5")),
    row("targetLatency", text("3.5")).property("dashTargetLatency").legacy("settings.dashTargetLatency"),
    row("dashWindowSize", text("5")),
    row("dashExtraWindowSize", text("5")),
    row("lLDashEnabled", flag(true)).property("dashEnableLowLatency").legacy("settings.dash.llEnabled"),
    row("lLHLSEnabled", flag(false)).property("hlsEnableLowLatency").legacy("settings.dash.llHlsEnabled"),
    row("hlsEnabledViaDash", flag(false)).legacy("settings.dash.hlsEnabled"),
    row("useTimelineDashMuxing", flag(false)).legacy("settings.dash.useTimeline"),
    row("webRTCEnabled", flag(true)).acted_on(),
    row("useOriginalWebRTCEnabled", flag(false)),
    row("deleteHLSFilesOnEnded", flag(true)),
    row("deleteDASHFilesOnEnded", flag(true)),
    row("tokenHashSecret", text("")).secret().acted_on(),
    row("hashControlPublishEnabled", flag(false)).gates(Concerns::Publish).acted_on(),
    row("hashControlPlayEnabled", flag(false)).gates(Concerns::Play).acted_on(),
    row("listenerHookURL", text("")),
    row("acceptOnlyStreamsInDataStore", flag(false)).gates(Concerns::Publish).acted_on(),
    row("acceptOnlyRoomsInDataStore", flag(false)).gates(Concerns::Both).acted_on(),
    row("publishTokenControlEnabled", flag(false)).gates(Concerns::Publish).acted_on(),
    row("playTokenControlEnabled", flag(false)).gates(Concerns::Play).acted_on(),
    row("enableTimeTokenForPlay", flag(false)).gates(Concerns::Play).acted_on(),
    row("timeTokenSecretForPlay", Kind::OptionalText).secret().acted_on(),
    row("enableTimeTokenForPublish", flag(false)).gates(Concerns::Publish).acted_on(),
    row("timeTokenSecretForPublish", Kind::OptionalText).secret().acted_on(),
    row("timeTokenPeriod", int_from(1, 60)).acted_on(),
    row("hlsPlayListType", text("")),
    row("hlsSegmentType", text("mpegts")),
    row("hlsSegmentFileSuffixFormat", text("%09d")),
    row("previewOverwrite", flag(false)),
    row("createPreviewPeriod", int(5_000)),
    row("restartStreamFetcherPeriod", int(0)).legacy("settings.streamFetcherRestartPeriod"),
    row("startStreamFetcherAutomatically", flag(false)).legacy("settings.streamFetcherAutoStart"),
    row("streamFetcherBufferTime", int(0)),
    row("hlsflags", text("delete_segments+program_date_time")),
    row("mySqlClientPath", text("/usr/local/antmedia/mysql")).internal(),
    row("muxerFinishScript", text("")),
    row("streamStartedScript", text("")),
    row("streamEndedScript", text("")),
    row("streamIdleTimeoutScript", text("")),
    row("webRTCFrameRate", int(30)),
    row("webRTCPortRangeMin", int(50_000)).legacy("settings.webrtc.portRangeMin"),
    row("webRTCPortRangeMax", int(60_000)).legacy("settings.webrtc.portRangeMax"),
    row("stunServerURI", text("stun:stun1.l.google.com:19302")).legacy("settings.webrtc.stunServerURI").acted_on(),
    row("turnServerUsername", text("")).legacy("settings.webrtc.turnServerUsername").acted_on(),
    row("turnServerCredential", text("")).legacy("settings.webrtc.turnServerCredential").secret().acted_on(),
    row("webRTCTcpCandidatesEnabled", flag(false)).legacy("settings.webrtc.tcpCandidateEnabled").acted_on(),
    row("webRTCSdpSemantics", text("unifiedPlan")).legacy("settings.webrtc.sdpSemantics"),
    row("portAllocatorFlags", int(0)).legacy("settings.portAllocator.flags"),
    row("encoderName", text("")).legacy("settings.encoding.encoderName"),
    row("encoderParameters", object("{}")),
    row("encoderThreadCount", int(0)).legacy("settings.encoding.threadCount"),
    row("encoderThreadType", int(0)).legacy("settings.encoding.threadType"),
    row("vp8EncoderThreadCount", int(1)).legacy("settings.encoding.vp8.threadCount"),
    row("previewHeight", int(480)),
    row("generatePreview", flag(false)).legacy("settings.previewGenerate"),
    row("previewFormat", text("png")),
    row("previewQuality", int(75)),
    row("writeStatsToDatastore", flag(true)),
    row("encoderSelectionPreference", text("gpu_and_cpu")),
    row("allowedPublisherCIDR", text("")).gates(Concerns::Publish).acted_on(),
    row("excessiveBandwidthValue", int(300_000)).legacy("settings.excessiveBandwidth.threshold"),
    row("excessiveBandwidthCallThreshold", int(3)).legacy("settings.excessiveBandwidth.call.threshold"),
    row("excessiveBandwithTryCountBeforeSwitchback", int(4)).legacy("settings.excessiveBandwith.tryCount.beforeSwitchback"),
    row("excessiveBandwidthAlgorithmEnabled", flag(false)).legacy("settings.excessiveBandwidth_enabled"),
    row("packetLossDiffThresholdForSwitchback", int(10)).legacy("settings.excessiveBandwidth.packetLossDiffThreshold.forSwitchback"),
    row("rttMeasurementDiffThresholdForSwitchback", int(20)).legacy("settings.excessiveBandwidth.rttMeasurementDiffThreshold.forSwitchback"),
    row("replaceCandidateAddrWithServerAddr", flag(false)),
    row("appName", text("")).legacy("db.app.name").acted_on(),
    row("webRTCClientStartTimeoutMs", int_from(1, 10_000)).legacy("settings.webrtc.client.start.timeoutMs").acted_on(),
    row("updateTime", long(0)).internal(),
    row("httpForwardingExtension", text("")).legacy("settings.httpforwarding.extension"),
    row("httpForwardingBaseURL", text("")).legacy("settings.httpforwarding.baseURL"),
    row("maxAnalyzeDurationMS", int(1_500)).legacy("settings.rtmp.maxAnalyzeDurationMS"),
    row("disableIPv6Candidates", flag(true)).acted_on(),
    row("rtspPullTransportType", text("3")),
    row("rtspTimeoutDurationMs", int(5_000)),
    row("maxFpsAccept", int(0)),
    row("maxResolutionAccept", int(0)),
    row("maxBitrateAccept", int(0)).acted_on(),
    row("h264Enabled", flag(true)).acted_on(),
    row("vp8Enabled", flag(false)).acted_on(),
    row("av1Enabled", flag(false)),
    row("h265Enabled", flag(false)),
    row("dataChannelEnabled", flag(true)).acted_on(),
    row("dataChannelPlayerDistribution", text("all")).legacy("settings.dataChannelPlayerDistrubution").acted_on(),
    row("rtmpIngestBufferTimeMs", long(0)),
    row("dataChannelWebHookURL", text("")).legacy("settings.dataChannelWebHook"),
    row("heightRtmpForwarding", int(360)),
    row("audioBitrateSFU", int(96_000)),
    row("dashMuxingEnabled", flag(false)),
    row("aacEncodingEnabled", flag(true)),
    row("gopSize", int(0)),
    row("webRTCViewerLimit", int_from(-1, -1)).gates(Concerns::Play).acted_on(),
    row("appStatus", text("APPLICATION_STATUS_INSTALLED")).internal(),
    row("appInstallationTime", long(0)).internal(),
    row("pullWarFile", flag(false)).internal(),
    row("warFileOriginServerAddress", text("")).internal(),
    row("jwtSecretKey", text("")).secret().acted_on(),
    row("jwtControlEnabled", flag(false)).gates(Concerns::Rest).acted_on(),
    row("ipFilterEnabled", flag(true)).gates(Concerns::Rest).acted_on(),
    row("ingestingStreamLimit", int_from(-1, -1)).gates(Concerns::Publish).acted_on(),
    row("webRTCKeyframeTime", int_from(0, 2_000)).acted_on(),
    row("jwtStreamSecretKey", text("")).secret().acted_on(),
    row("publishJwtControlEnabled", flag(false)).gates(Concerns::Publish).acted_on(),
    row("playJwtControlEnabled", flag(false)).gates(Concerns::Play).acted_on(),
    row("dashHttpStreaming", flag(true)).legacy("settings.dash.httpStreaming"),
    row("subFolder", text("")),
    row("s3StreamsFolderPath", text("streams")).legacy("settings.s3.streams.folder.path"),
    row("s3PreviewsFolderPath", text("previews")).legacy("settings.s3.previews.folder.path"),
    row("dashHttpEndpoint", text("")).legacy("settings.dash.httpEndpoint"),
    row("hlsHttpEndpoint", text("")),
    row("forceDecoding", flag(false)),
    row("addOriginalMuxerIntoHLSPlaylist", flag(true)).legacy("settings.addOriginalMuxerIntoHlsPlaylist"),
    row("s3RecordingEnabled", flag(false)),
    row("s3AccessKey", text("")).secret(),
    row("s3SecretKey", text("")).secret(),
    row("s3BucketName", text("")),
    row("s3RegionName", text("")),
    row("s3Endpoint", text("")),
    row("s3CacheControl", text("no-store, no-cache, must-revalidate, max-age=0")),
    row("s3PathStyleAccessEnabled", flag(false)),
    row("s3Permission", text("public-read")),
    row("s3TransferBufferSizeInBytes", int(10_000_000)),
    row("hlsEncryptionKeyInfoFile", text("")),
    row("jwksURL", text("")).acted_on(),
    row("forceAspectRatioInTranscoding", flag(false)).legacy("settings.forceAspectRationInTranscoding"),
    row("webhookAuthenticateURL", text("")).gates(Concerns::Publish).acted_on(),
    row("maxAudioTrackCount", int(-1)),
    row("maxVideoTrackCount", int(-1)),
    row("vodUploadFinishScript", text("")),
    row("contentSecurityPolicyHeaderValue", text("")).gates(Concerns::Pages).acted_on(),
    row("rtmpPlaybackEnabled", flag(false)),
    row("originEdgeIdleTimeout", int(2)).property("originEdgeConnectionIdleTimeout"),
    row("addDateTimeToHlsFileName", flag(false)),
    row("playWebRTCStreamOnceForEachSession", flag(true)).acted_on(),
    row("statsBasedABREnabled", flag(true)).property("statsBasedABRAlgorithmEnabled"),
    row("abrDownScalePacketLostRatio", decimal(1.0)),
    row("abrUpScalePacketLostRatio", decimal(0.1)),
    row("abrUpScaleRTTMs", int(150)),
    row("abrUpScaleJitterMs", int(30)),
    row("clusterCommunicationKey", Kind::RandomText).secret(),
    row("id3TagEnabled", flag(false)),
    row("sendAudioLevelToViewers", flag(false)),
    row("audioLevelThreshold", int(120)),
    row("hwScalingEnabled", flag(false)).legacy("settings.encoding.hwScalingEnabled"),
    row("hwDecoderEnabled", flag(true)),
    row("firebaseAccountKeyJSON", Kind::OptionalText).secret(),
    row("subscriberAuthenticationKey", Kind::RandomText).secret(),
    row("apnsServer", text("api.sandbox.push.apple.com")),
    row("apnTeamId", Kind::OptionalText),
    row("apnPrivateKey", Kind::OptionalText).secret(),
    row("apnKeyId", Kind::OptionalText),
    row("webhookRetryCount", int(0)),
    row("secureAnalyticEndpoint", flag(false)),
    row("webhookRetryDelay", long(1_000)).property("webhookRetryAttemptDelay"),
    row("webhookStreamStatusUpdatePeriodMs", long(-1)),
    row("webhookPlayAuthUrl", text("")).gates(Concerns::Play).acted_on(),
    row("recordingSubfolder", Kind::OptionalText),
    row("webhookContentType", text("application/json")),
    row("iceGatheringTimeoutMs", long(2_000)),
    row("participantVisibilityMatrix", object(VISIBILITY)),
    row("customSettings", object("{}")).secret(),
    row("relayRTMPMetaDataToMuxers", flag(true)),
    row("dropWebRTCIngestIfNoPacketReceived", flag(false)).acted_on(),
    row("srtReceiveLatencyInMs", int(150)),
    row("encodingQueueSize", int(150)),
    row("writeSubscriberEventsToDatastore", flag(true)).acted_on(), // AMS has it off since 2.12; its guide expects statistics without a switch

    // -- removed in 3.0, read by 2.17 and older
    row("timeTokenSubscriberOnly", flag(false)).gates(Concerns::Both).acted_on(),
    row("vodFolder", text("")),
    row("stalkerDBServer", text("")),
    row("stalkerDBUsername", text("")),
    row("stalkerDBPassword", text("")).secret(),
    row("objectDetectionEnabled", flag(false)),
    row("encoderPreset", text("")).legacy("settings.encoding.preset"),
    row("encoderProfile", text("")).legacy("settings.encoding.profile"),
    row("encoderLevel", text("")).legacy("settings.encoding.level"),
    row("encoderRc", text("")).legacy("settings.encoding.rc"),
    row("encoderSpecific", text("")).legacy("settings.encoding.specific"),
    row("vp8EncoderSpeed", int(4)).legacy("settings.encoding.vp8.speed"),
    row("vp8EncoderDeadline", text("realtime")).legacy("settings.encoding.vp8.deadline"),
    row("encodingTimeout", int(5_000)).legacy("settings.encoding.timeout"),
    row("defaultDecodersEnabled", flag(false)),
    row("h265EncoderPreset", text("")),
    row("h265EncoderProfile", text("")),
    row("h265EncoderRc", text("")),
    row("h265EncoderSpecific", text("")),
    row("h265EncoderLevel", text("")),
    row("constantRateFactor", text("23")),
    row("toBeDeleted", flag(false)),
    row("tokenControlEnabled", flag(false)).gates(Concerns::Both).acted_on(),

    // -- Penstock's own
    row("tokenHashSecretPrevious", text("")).secret().acted_on(),
    row("jwtExpiryEndsSession", flag(false)).acted_on(),
    row("jwtStreamJwksURL", text("")).acted_on(),
    row("revokedTokens", text("")).acted_on(),
];

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn no_two_settings_share_a_name() {
        let mut owners = HashMap::new();
        for row in ROWS {
            for name in row.names() {
                let owner = *owners.entry(name.clone()).or_insert(row.json);
                assert_eq!(owner, row.json, "{name}");
                assert!(!is_container_key(&name), "{name}");
            }
        }
    }

    #[test]
    fn every_default_is_a_value_of_its_own_type() {
        for row in ROWS {
            let default = row.kind.default_value();
            assert_eq!(row.kind.read_json(&default), Some(default), "{}", row.json);
        }
        assert!(serde_json::from_str::<serde_json::Value>(VISIBILITY).is_ok());
    }

    #[test]
    fn what_looks_like_a_secret_is_marked() {
        for row in ROWS {
            let name = row.json.to_ascii_lowercase();
            let looks = ["secret", "credential", "password", "accesskey", "privatekey", "authenticationkey"]
                .iter()
                .any(|word| name.contains(word));
            assert!(!looks || row.secret, "{}", row.json);
        }
    }
}
