//! What the guide "Stream security" of Ant Media Server prints, in its order and to the letter, and what must happen when
//! somebody does as it says.
//!
//! The guide itself is not in this repository, so nothing compares the two: **this list is kept complete by hand**. Whoever
//! takes up another version of the guide goes through its code blocks and the addresses, properties and formulas in its
//! text, and puts what is new here; each row is tried by a test, or says why it cannot be.

/// A section of the guide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    Beginning,
    OneTimeToken,
    Cors,
    Hash,
    Address,
    Jwt,
    Totp,
}

/// Into the node or out of it, as the guide calls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Publish,
    Play,
}

impl Role {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Play => "play",
        }
    }
}

/// What must happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Must {
    /// A browser opens it and is, after the buttons that somebody presses there, live.
    BroadcastInABrowser,
    /// A browser opens it and shows the stream, which the address may have to be told as well.
    ShowInABrowser,
    /// REST answers with a token for this.
    MakeAToken(Role),
    /// ffmpeg publishes there with the right token, and with another one it is refused.
    PublishByRtmp,
    /// A browser opens the socket and is answered.
    OpenASocket,
    /// A browser sends it over the signalling socket, as JSON, and is let in; with another token it is refused.
    LetInBySocket(Role),
    /// Put into `web.xml` of the application, or of the node's own pages, it lets pages of all origins in.
    LetAllOriginsIn { root: bool },
    /// Put into `red5-web.properties` before the start, it acts on all other rows of its section.
    BeASetting,
    /// The hash of the text in the brackets lets its role in.
    BeAHash,
    /// A secret by which tokens are signed, whatever else they hold.
    BeASecret,
    /// A shell runs it, and AMS's answer comes.
    AddASubscriber,
    /// A shell runs it, and the sessions of the subscribers are there.
    ListStatistics,
    /// There is no such thing yet, for this reason. Who asks passes the gate, or does not, and is told that there is nothing.
    HaveNoFile(&'static str),
    /// Nobody listens there, for this reason, and a real client says so.
    HaveNoListener(&'static str),
    /// Nothing that can be tried, for this reason.
    OnlyBeRead(&'static str),
}

/// A snippet of the guide.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub section: Section,
    pub text: &'static str,
    pub must: Must,
}

const fn row(section: Section, text: &'static str, must: Must) -> Row {
    Row { section, text, must }
}

const NO_SRT: &str = "nothing is published by SRT yet";
const NO_HLS: &str = "no HLS is made yet";
const NO_RECORDING: &str = "nothing is recorded yet";
const THE_RULE: &str = "it explains the formula";
const A_PLACE: &str = "it says where a file is, and the file is put there in every test";

const SECURE_SOCKET: &str = "wss://SERVER_NAME:5443/WebRTCAppEE/websocket";
const SOCKET: &str = "ws://SERVER_NAME:5080/WebRTCAppEE/websocket";
const RTMP_TOKEN: &str = "rtmp://IP_Address/Application_Name/StreamId?token=tokenId";
const SRT_TOKEN: &str = "srt://IP_Address:4200?Application_Name/streamid,token=tokenId";
const MP4: &str = "http://[IP_Address]/<Application_Name>/streams/streamID.mp4?token=tokenId";
const M3U8: &str = "http://[IP_Address]/<Application_Name>/streams/streamID.m3u8?token=tokenId";
const PLAY_PAGE: &str =
    "http://[IP_Address]/<Application_Name>/play.html?name=streamID&playOrder=hls&token=tokenId";
const FORMULA: &str = "STREAM_ID: The id of stream, generated in Ant Media Server.\nROLE: It is either \"play or \
                       \"publish\"\nSECRET: Shared secret key (should be defined in the setting file)";

/// All of them.
pub const PAGE: &[Row] = &[
    row(Section::Beginning, "https://YOUR_AMS_SERVER/LiveApp/", Must::BroadcastInABrowser),
    row(Section::Beginning, "https://YOUR_AMS_SERVER/LiveApp/player.html", Must::ShowInABrowser),
    // One Time Token Control
    row(
        Section::OneTimeToken,
        "http://[IP_Address]:5080/<Application_Name>/rest/v2/broadcasts/<Stream_Id>/token?expireDate=<Expire_Date>&type=publish",
        Must::MakeAToken(Role::Publish),
    ),
    row(
        Section::OneTimeToken,
        "http://[IP_Address]:5080/<Application_Name>/rest/v2/broadcasts/<Stream_Id>/token?expireDate=<Expire_Date>&type=play",
        Must::MakeAToken(Role::Play),
    ),
    row(Section::OneTimeToken, RTMP_TOKEN, Must::PublishByRtmp),
    row(Section::OneTimeToken, SRT_TOKEN, Must::HaveNoListener(NO_SRT)),
    row(Section::OneTimeToken, MP4, Must::HaveNoFile(NO_RECORDING)),
    row(Section::OneTimeToken, M3U8, Must::HaveNoFile(NO_HLS)),
    // By WebRTC: the page passes over `playOrder`, since there is nothing else to play.
    row(Section::OneTimeToken, PLAY_PAGE, Must::ShowInABrowser),
    row(Section::OneTimeToken, SECURE_SOCKET, Must::OpenASocket),
    row(Section::OneTimeToken, SOCKET, Must::OpenASocket),
    row(
        Section::OneTimeToken,
        "{\ncommand : \"play\",\nstreamId : \"stream1\",\ntoken : \"tokenId\",\n}",
        Must::LetInBySocket(Role::Play),
    ),
    row(
        Section::OneTimeToken,
        "{\ncommand : \"publish\",\nstreamId : \"stream1\",\ntoken : \"tokenId\",\n}",
        Must::LetInBySocket(Role::Publish),
    ),
    // CORS Filter
    row(Section::Cors, "SERVER_FOLDER/webapps/{Application}/WEB-INF/web.xml", Must::OnlyBeRead(A_PLACE)),
    row(Section::Cors, CORS_OF_AN_APPLICATION, Must::LetAllOriginsIn { root: false }),
    row(Section::Cors, "SERVER_FOLDER/webapps/root/WEB-INF/web.xml", Must::OnlyBeRead(A_PLACE)),
    row(Section::Cors, CORS_OF_THE_ROOT, Must::LetAllOriginsIn { root: true }),
    // Hash-Based Token
    row(
        Section::Hash,
        "SERVER_FOLDER/webapp/{Application}/ WEB-INF/red5-web.properties",
        Must::OnlyBeRead(A_PLACE),
    ),
    row(
        Section::Hash,
        "settings.hashControlPublishEnabled=true\nsettings.hashControlPlayEnabled=true\ntokenHashSecret=PLEASE_WRITE_YOUR_SECRET_KEY",
        Must::BeASetting,
    ),
    row(Section::Hash, FORMULA, Must::OnlyBeRead(THE_RULE)),
    row(Section::Hash, "sha256(STREAM_ID+ROLE+SECRET)", Must::OnlyBeRead(THE_RULE)),
    row(Section::Hash, "sha256(stream1publishthis_is_secret)", Must::BeAHash),
    row(Section::Hash, "rtmp://IP_Address/Application_Name/StreamId?token=hash", Must::PublishByRtmp),
    row(
        Section::Hash,
        "srt://IP_Address:4200?Application_Name/streamid,token=hash",
        Must::HaveNoListener(NO_SRT),
    ),
    row(
        Section::Hash,
        "{\n  command : \"publish\",\n  streamId : \"stream1\",\n  token : \"hash\",\n}",
        Must::LetInBySocket(Role::Publish),
    ),
    row(
        Section::Hash,
        "http://[IP_Address]/<Application_Name>`/streams/`<Stream_Id_or_Source_Name>?token=hash",
        Must::HaveNoFile(NO_HLS),
    ),
    row(
        Section::Hash,
        "{\n  command : \"play\",\n  streamId : \"stream1\",\n  token : \"hash\",\n}",
        Must::LetInBySocket(Role::Play),
    ),
    // Publisher IP Filter
    row(
        Section::Address,
        "AMS_DIR/webapps/<App_Name>/WEB_INF/red5.properties",
        Must::OnlyBeRead("Ant Media Server has no such file, either: red5-web.properties is meant"),
    ),
    row(Section::Address, "settings.allowedPublisherCIDR=10.20.30.40/24,127.0.0.1/32", Must::BeASetting),
    // JWT Stream Security Filter
    row(Section::Jwt, "zautXStXM9iW3aD3FuyPH0TdK4GHPmHq", Must::BeASecret),
    row(
        Section::Jwt,
        "http://[IP_Address]:5080/<Application_Name>/rest/v2/broadcasts/<Stream_Id>/jwt-token?expireDate=<Expire_Date>&type=publish",
        Must::MakeAToken(Role::Publish),
    ),
    row(
        Section::Jwt,
        "http://[IP_Address]:5080/<Application_Name>/rest/v2/broadcasts/<Stream_Id>/jwt-token?expireDate=<Expire_Date>&type=play",
        Must::MakeAToken(Role::Play),
    ),
    row(Section::Jwt, RTMP_TOKEN, Must::PublishByRtmp),
    row(Section::Jwt, SRT_TOKEN, Must::HaveNoListener(NO_SRT)),
    row(Section::Jwt, MP4, Must::HaveNoFile(NO_RECORDING)),
    row(Section::Jwt, M3U8, Must::HaveNoFile(NO_HLS)),
    row(Section::Jwt, PLAY_PAGE, Must::ShowInABrowser),
    row(
        Section::Jwt,
        "{\n  command : \"play\",\n  streamId : \"stream1\",\n  token : \"tokenId\",\n}",
        Must::LetInBySocket(Role::Play),
    ),
    row(
        Section::Jwt,
        "{\n  command : \"publish\",\n  streamId : \"stream1\",\n  token : \"tokenId\",\n}",
        Must::LetInBySocket(Role::Publish),
    ),
    // Time based One Time Password
    row(Section::Totp, "settings.timeTokenSubscriberOnly=true", Must::BeASetting),
    row(Section::Totp, "settings.timeTokenPeriod=60", Must::BeASetting),
    row(
        Section::Totp,
        r#"curl -X POST -H "Accept: Application/json" -H "Content-Type: application/json" http://localhost:5080/WebRTCAppEE/rest/v2/broadcasts/stream1/subscribers -d '{"subscriberId":"publisherA", "b32Secret":"mysecret", "type":"publish"}'"#,
        Must::AddASubscriber,
    ),
    row(
        Section::Totp,
        r#"curl -X POST -H "Accept: Application/json" -H "Content-Type: application/json" http://localhost:5080/WebRTCAppEE/rest/v2/broadcasts/stream1/subscribers -d '{"subscriberId":"playerB", "b32Secret":"mysecret", "type":"play"}'"#,
        Must::AddASubscriber,
    ),
    row(
        Section::Totp,
        "http://localhost:5080/WebRTCAppEE/?subscriberId=publisherA&subscriberCode=440456",
        Must::BroadcastInABrowser,
    ),
    row(
        Section::Totp,
        "http://localhost:5080/WebRTCAppEE/play.html?subscriberId=playerB&subscriberCode=438610",
        Must::ShowInABrowser,
    ),
    row(
        Section::Totp,
        r#"curl -i -H "Accept: Application/json" -X GET "http://localhost:5080/WebRTCAppEE/rest/v2/broadcasts/stream1/subscriber-stats/list/0/5""#,
        Must::ListStatistics,
    ),
];

const CORS_OF_AN_APPLICATION: &str = include_str!("../support/guide/cors_filter.xml");

const CORS_OF_THE_ROOT: &str = r" <filter>
  <filter-name>CorsFilter</filter-name>
  <filter-class>io.antmedia.filter.CorsHeaderFilter</filter-class>
  <init-param>
    <param-name>cors.allowed.origins</param-name>
    <param-value>*</param-value>
  </init-param>
  <init-param>
    <param-name>cors.allowed.methods</param-name>
    <param-value>GET,POST,HEAD,OPTIONS,PUT,DELETE</param-value>
  </init-param>
</filter>
<filter-mapping>
  <filter-name>CorsFilter</filter-name>
  <url-pattern>/*</url-pattern>
</filter-mapping>";
