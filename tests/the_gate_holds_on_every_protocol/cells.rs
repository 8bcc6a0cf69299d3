//! The table: what there is to try, and what is expected of it.

use serde_json::{Value, json};

use super::clients::Outcome;

/// Into the node or out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Publish,
    Play,
}

impl Direction {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Play => "play",
        }
    }
}

/// By what somebody comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Rtmp,
    WebSocket,
    Whip,
    Whep,
    Flv,
}

impl Protocol {
    pub const ALL: [Self; 5] = [Self::Rtmp, Self::WebSocket, Self::Whip, Self::Whep, Self::Flv];

    const fn word(self) -> &'static str {
        match self {
            Self::Rtmp => "RTMP",
            Self::WebSocket => "WebSocket",
            Self::Whip => "WHIP",
            Self::Whep => "WHEP",
            Self::Flv => "HTTP-FLV",
        }
    }
}

/// What may stand before a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    OneTimeToken,
    Hash,
    Jwt,
    Totp,
    Registered,
    Address,
    Window,
    Block,
    Connections,
    Webhook,
    ViewerLimit,
}

/// All of them.
pub const MECHANISMS: &[Mechanism] = &[
    Mechanism::OneTimeToken,
    Mechanism::Hash,
    Mechanism::Jwt,
    Mechanism::Totp,
    Mechanism::Registered,
    Mechanism::Address,
    Mechanism::Window,
    Mechanism::Block,
    Mechanism::Connections,
    Mechanism::Webhook,
    Mechanism::ViewerLimit,
];

impl Mechanism {
    pub const fn word(self) -> &'static str {
        match self {
            Self::OneTimeToken => "one-time token",
            Self::Hash => "hash",
            Self::Jwt => "JWT",
            Self::Totp => "TOTP",
            Self::Registered => "registered streams only",
            Self::Address => "publisher's address",
            Self::Window => "time window",
            Self::Block => "block",
            Self::Connections => "one connection at a time",
            Self::Webhook => "webhook",
            Self::ViewerLimit => "viewer limit",
        }
    }

    /// Whether it asks for something that a client brings.
    pub const fn has_credentials(self) -> bool {
        matches!(self, Self::OneTimeToken | Self::Hash | Self::Jwt | Self::Totp)
    }

    /// The settings that switch it on or off in a direction.
    pub fn switch(self, direction: Direction, on: bool) -> Value {
        let key = match (self, direction) {
            (Self::OneTimeToken, Direction::Publish) => "publishTokenControlEnabled",
            (Self::OneTimeToken, Direction::Play) => "playTokenControlEnabled",
            (Self::Hash, Direction::Publish) => "hashControlPublishEnabled",
            (Self::Hash, Direction::Play) => "hashControlPlayEnabled",
            (Self::Jwt, Direction::Publish) => "publishJwtControlEnabled",
            (Self::Jwt, Direction::Play) => "playJwtControlEnabled",
            // The limit of connections counts those who come by a code (AMS).
            (Self::Totp | Self::Connections, Direction::Publish) => "enableTimeTokenForPublish",
            (Self::Totp | Self::Connections, Direction::Play) => "enableTimeTokenForPlay",
            _ => {
                return json!({
                    "acceptOnlyStreamsInDataStore": false, "allowedPublisherCIDR": "", "webRTCViewerLimit": -1,
                    "webhookAuthenticateURL": "", "webhookPlayAuthUrl": ""
                });
            }
        };
        json!({ key: on })
    }

    /// The clause that refuses, as it is counted.
    const fn clause(self) -> &'static str {
        match self {
            Self::OneTimeToken => "one-time token",
            Self::Hash => "hash",
            Self::Jwt => "JWT",
            Self::Totp => "subscriber code",
            Self::Registered => "unregistered",
            Self::Address => "address",
            Self::Window => "outside window",
            Self::Block => "blocked",
            Self::Connections => "connections",
            Self::Webhook => "webhook",
            Self::ViewerLimit => "viewer limit",
        }
    }
}

/// What a client brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Absent,
    Valid,
    Expired,
    WrongStream,
    WrongType,
    Replayed,
    Tampered,
    Revoked,
}

/// All of them; mechanisms without credentials have the first two alone: against somebody, and for them.
pub const STATES: &[State] = &[
    State::Absent,
    State::Valid,
    State::Expired,
    State::WrongStream,
    State::WrongType,
    State::Replayed,
    State::Tampered,
    State::Revoked,
];

impl State {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Valid => "valid",
            Self::Expired => "expired",
            Self::WrongStream => "wrong stream",
            Self::WrongType => "wrong type",
            Self::Replayed => "replayed",
            Self::Tampered => "tampered",
            Self::Revoked => "revoked",
        }
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    pub mechanism: Mechanism,
    pub direction: Direction,
    pub protocol: Protocol,
    pub state: State,
}

impl Cell {
    /// Its place in the table: of its row, then of it there.
    pub fn row(&self) -> String {
        let (mechanism, direction) = (self.mechanism.word(), self.direction.word());
        format!("{mechanism} | {direction} | {}", self.protocol.word())
    }
}

/// What becomes of a cell; no clause: it is let in.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    pub clause: Option<&'static str>,
}

/// What is expected; else why there is no such cell.
pub fn expected(cell: &Cell) -> Result<Expected, &'static str> {
    use Direction::{Play, Publish};
    match (cell.protocol, cell.direction) {
        (Protocol::Rtmp, Play) => return Err("nothing is played by RTMP yet"),
        (Protocol::Whip, Play) => return Err("WHIP publishes"),
        (Protocol::Whep, Publish) => return Err("WHEP plays"),
        (Protocol::Flv, Publish) => return Err("HTTP-FLV plays"),
        _ => {}
    }
    match (cell.mechanism, cell.direction, cell.state) {
        (Mechanism::Registered | Mechanism::Address | Mechanism::Window, Play, _) => {
            return Err("it concerns publishers");
        }
        (Mechanism::ViewerLimit, Publish, _) => return Err("it concerns players"),
        (Mechanism::Hash, _, State::Expired) => return Err("a hash has no time"),
        _ => {}
    }
    let right = match (cell.mechanism, cell.state) {
        (_, State::Valid) => true,
        // A token is good once; the others as long as they are good (AMS).
        (Mechanism::Hash | Mechanism::Jwt | Mechanism::Totp, State::Replayed) => true,
        // Who may publish may also play (AMS).
        (Mechanism::Totp, State::WrongType) => cell.direction == Play,
        _ => false,
    };
    Ok(Expected { clause: (!right).then(|| cell.mechanism.clause()) })
}

/// What the client is told.
pub fn told(cell: &Cell, expected: &Expected, has_token: bool) -> Outcome {
    if expected.clause.is_none() {
        return Outcome::In;
    }
    let refused = |words: &str| Outcome::Refused(words.to_owned());
    match cell.protocol {
        Protocol::Rtmp => match cell.mechanism {
            Mechanism::Block => refused("NetStream.Failed"),
            _ => refused("NetStream.Publish.BadName"),
        },
        Protocol::WebSocket => refused(match cell.mechanism {
            Mechanism::Registered => "not_allowed_unregistered_streams",
            Mechanism::Window => "stream_not_active_or_expired",
            Mechanism::Block => "user_blocked",
            Mechanism::ViewerLimit => "viewerLimitReached",
            _ => "unauthorized_access",
        }),
        Protocol::Whip | Protocol::Whep => refused(match cell.mechanism {
            Mechanism::ViewerLimit => "503",
            // Who brings none where one is wanted is asked for one.
            Mechanism::OneTimeToken | Mechanism::Hash | Mechanism::Jwt if !has_token => "401",
            _ => "403",
        }),
        Protocol::Flv => refused(match cell.mechanism {
            Mechanism::OneTimeToken => "403 Invalid Token for streamId:live1",
            Mechanism::Hash => "403 Invalid Hash",
            Mechanism::Jwt => "403 Invalid JWT Token",
            Mechanism::Totp => "403 Time Based subscriber id or code is invalid",
            Mechanism::Block => "401 Subscriber is blocked",
            Mechanism::Connections => "403 Time Based subscriber id or code is invalid",
            Mechanism::Webhook => "403 the application's security settings do not let you in",
            _ => "403 Viewer Limit Reached",
        }),
    }
}
