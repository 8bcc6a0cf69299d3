//! The commands of the metadata plane.

mod name;

use std::fmt;

use base::{AppName, SessionId, StreamId, WallTime};
use serde::{Deserialize, Serialize};

use crate::request::{decode, encode};
use crate::{
    Broadcast, BroadcastPatch, CodesSeen, Contention, Direction, Epoch, Fact, Fingerprint, FormatError,
    HeldClaim, Incarnation, NodeCard, NodeId, Owner, PutWhen, Ratio, RequestId, SettingsDocument,
    SubscriberId, SubscriberTerms, TokenId, TokenTerms, User, UserName, Vod, VodId,
};

/// Version byte of a command.
const COMMAND_FORMAT: u8 = 1;

/// One wish to change the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Stores a new broadcast; [`crate::Outcome::Exists`] when the id is taken.
    CreateBroadcast {
        /// The application.
        app: AppName,
        /// The id, also put into the record.
        stream: StreamId,
        /// Everything else.
        broadcast: Box<Broadcast>,
    },
    /// Changes fields of a broadcast.
    PatchBroadcast {
        /// The application.
        app: AppName,
        /// The broadcast.
        stream: StreamId,
        /// The fields.
        patch: BroadcastPatch,
    },
    /// Removes a broadcast.
    DeleteBroadcast {
        /// The application.
        app: AppName,
        /// The broadcast.
        stream: StreamId,
    },
    /// A publisher is in: the broadcast is live. One that is absent is made with `zombi: true`.
    StreamStarted {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// What is known of the publisher.
        facts: Box<PublishFacts>,
        /// The claim it is published under. Another one than the current: refused, somebody else has the
        /// stream. `None`: nobody claimed it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        epoch: Option<Epoch>,
    },
    /// The stream is over: a zombi goes, another one is `finished`.
    StreamEnded {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// As in [`Command::StreamStarted`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        epoch: Option<Epoch>,
    },
    /// A live stream reports. Never brings a stream that is over back to life.
    StreamHeartbeat {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// The figures.
        heartbeat: Heartbeat,
        /// As in [`Command::StreamStarted`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        epoch: Option<Epoch>,
    },
    /// The node starts and nobody publishes: zombis go, live broadcasts are `finished`, viewer counts
    /// are 0. Does at most [`base::limits::META_SWEEP_ROWS_MAX`] rows; say it again while
    /// [`crate::Outcome::Swept`] has more.
    ResetAfterRestart,
    /// Stores settings if their version is still `expected`; 0: if there are none.
    PutSettings {
        /// The application.
        app: AppName,
        /// The version the writer saw.
        expected: u64,
        /// The settings.
        document: SettingsDocument,
    },
    /// Stores a new token; [`crate::Outcome::Exists`] when the stream has one of this text.
    CreateToken {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// Its text.
        token: TokenId,
        /// What it is for.
        terms: TokenTerms,
    },
    /// Opens one session with a token. The same session may say it again; for any other it is spent.
    SpendToken {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// Its text.
        token: TokenId,
        /// What the session wants.
        direction: Direction,
        /// The session.
        session: SessionId,
        /// What the gate knows the presenter by.
        fingerprint: Fingerprint,
        /// The session is not in the token's room: it spends a room's token, too, as AMS does where no room is named.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        outside_room: bool,
    },
    /// Removes one token.
    RevokeToken {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// Its text.
        token: TokenId,
    },
    /// Voids every token a stream has now, however many. They are swept later.
    RevokeTokens {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
    },
    /// Stores a subscriber, or replaces what is said of one. Its block and its registration stay.
    PutSubscriber {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// Its id.
        subscriber: SubscriberId,
        /// What is said of it.
        terms: SubscriberTerms,
    },
    /// Removes a subscriber. Slots of its sessions stay until those end.
    DeleteSubscriber {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// Its id.
        subscriber: SubscriberId,
    },
    /// Removes the subscribers of a stream and their history, at most [`base::limits::META_SWEEP_ROWS_MAX`]
    /// rows; say it again while [`crate::Outcome::Swept`] has more.
    DeleteSubscribers {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
    },
    /// Blocks a subscriber, which is made if there is none.
    BlockSubscriber {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// Its id.
        subscriber: SubscriberId,
        /// `play`, `publish`, `publish_play`; other texts block nothing, as in AMS.
        kind: String,
        /// For so long from the stamp on; 0: no longer.
        seconds: u64,
    },
    /// Takes one of a subscriber's connections, of which it has as many as its limit says, or one when it is
    /// not registered. The same session may say it again, also on another node.
    AcquireSlot {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// The subscriber.
        subscriber: SubscriberId,
        /// The session that connects.
        session: SessionId,
        /// The node that serves it.
        owner: Owner,
    },
    /// Gives it back. Only who has it may.
    ReleaseSlot {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// The subscriber.
        subscriber: SubscriberId,
        /// The session that held it.
        session: SessionId,
        /// The node that served it.
        owner: Owner,
    },
    /// A publisher is to be let in: its node claims the stream.
    ClaimStream {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// Who claims.
        owner: Owner,
        /// What the leader knows against the present owner, if anything.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        against: Option<Contention>,
    },
    /// Prolongs claims of one node, at most [`base::limits::CLAIMS_PER_RENEWAL_MAX`]; those that are no longer
    /// current are counted and left.
    RenewStreams {
        /// Whose they are.
        owner: Owner,
        /// Which ones.
        claims: Vec<HeldClaim>,
    },
    /// The publisher is gone: anybody may claim the stream.
    ReleaseStream {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// Under which claim it was published.
        epoch: Epoch,
    },
    /// A node begins a life: what its former one owned is void.
    NodeJoined {
        /// The node.
        node: NodeId,
        /// What it says of itself.
        card: NodeCard,
    },
    /// A node has not been heard of for too long: that life of it is over. Whoever says so has waited for longer
    /// than [`base::limits::CLAIM_LEASE`], since what the node owns is free at once.
    NodeExpired {
        /// The node.
        node: NodeId,
        /// The life that is over; another one is not concerned.
        incarnation: Incarnation,
    },
    /// Removes a node that is dead from the list.
    ForgetNode {
        /// The node.
        node: NodeId,
    },
    /// Stores a user on a condition; [`crate::Outcome::Exists`] or [`crate::Outcome::Absent`] when it does
    /// not hold.
    PutUser {
        /// Its name.
        name: UserName,
        /// The condition.
        when: PutWhen,
        /// The user.
        user: Box<User>,
    },
    /// Removes a user.
    DeleteUser {
        /// Its name.
        name: UserName,
    },
    /// Stores a VoD record, or replaces it.
    PutVod {
        /// The application.
        app: AppName,
        /// Its id, also put into the record.
        vod: VodId,
        /// The record.
        record: Box<Vod>,
    },
    /// Removes a VoD record.
    DeleteVod {
        /// The application.
        app: AppName,
        /// Its id.
        vod: VodId,
    },
    /// Facts of a life of a node, in its order: the next batch is taken, an earlier one was, a later one must
    /// wait.
    RecordFacts {
        /// Who reports.
        owner: Owner,
        /// The number of the batch; the first is 1.
        sequence: u64,
        /// The facts, at most [`base::limits::FACTS_PER_BATCH_MAX`].
        facts: Vec<Fact>,
    },
    /// Removes what is over at a time, which is at most the greatest that any command carried. At most
    /// [`base::limits::META_SWEEP_ROWS_MAX`] rows; say it again while [`crate::Outcome::Swept`] has more.
    Expire {
        /// The time.
        up_to: WallTime,
    },
    /// A publisher waits for a stream that is claimed: whoever has it is told, and gives it back if its own publisher gives way.
    /// Another claim than the current: refused.
    ContestStream {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// The claim that is in the way.
        epoch: Epoch,
    },
    /// A session is to end wherever it is, or everything of a stream's publisher: every node that serves it hears of it.
    EndSession {
        /// The application.
        app: AppName,
        /// The stream.
        stream: StreamId,
        /// The session; `None`: whoever publishes the stream.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<SessionId>,
    },
    /// A node tells the others what codes of subscribers it saw, at most [`base::limits::CODES_TOLD_MAX`] of networks.
    TellCodes {
        /// Who saw them.
        node: NodeId,
        /// What it saw.
        seen: Vec<CodesSeen>,
    },
    /// The data was restored from a copy, and what happened after the copy is lost: every claim and every
    /// unspent one-time token of before is void.
    RaiseGeneration {
        /// The new generation, greater than all before.
        to: u64,
    },
}

/// What is known of a publisher and its node when a stream starts.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishFacts {
    /// `RTMP`, `WebRTC`, `SRT`, `Pull`.
    pub publish_type: String,
    /// The publisher's address as REST shows it.
    pub remote_ip: Option<String>,
    /// What the publisher calls itself.
    pub user_agent: Option<String>,
    /// The node that ingests, as `originAdress` shows it.
    pub origin: String,
    /// Where an encoder publishes, for a broadcast made on the way.
    pub rtmp_url: String,
    /// What the publisher calls its stream; `None` leaves what is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the publisher says of its stream; `None` leaves what is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta_data: Option<String>,
    /// The room that it is published in, where nothing is stored of the stream yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub main_track: Option<StreamId>,
    /// The stream is live and goes on with another publisher: its start and figures stand.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub goes_on: bool,
}

impl fmt::Debug for PublishFacts {
    /// Without the address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublishFacts({})", self.publish_type)
    }
}

/// Absolute figures of a live stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Heartbeat {
    /// Bits per second from the publisher.
    pub bitrate_bps: u64,
    /// Bytes from the publisher.
    pub received_bytes: u64,
    /// Since the publisher began.
    pub duration_ms: u64,
    /// Media time per wall time; 1.0 is healthy.
    pub speed: Ratio,
    /// Pixels, 0 while unknown.
    pub width: u32,
    /// Pixels, 0 while unknown.
    pub height: u32,
    /// WebRTC viewers.
    pub webrtc_viewers: u32,
    /// HLS viewers.
    pub hls_viewers: u32,
    /// RTMP viewers.
    pub rtmp_viewers: u32,
}

impl Heartbeat {
    /// Counts viewers that came by `protocol`, as facts name it. AMS has counters for WebRTC, HLS, DASH and RTMP; whoever
    /// is sent RTMP's media by another way (`flv`) counts as RTMP, which that way is nearest to.
    pub fn count_viewers(&mut self, protocol: &str, viewers: u32) {
        let counter = match protocol {
            "webrtc" => &mut self.webrtc_viewers,
            "hls" => &mut self.hls_viewers,
            _ => &mut self.rtmp_viewers,
        };
        *counter = counter.saturating_add(viewers);
    }
}

impl Command {
    /// The stored and sent form: a version byte, then JSON.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        encode(COMMAND_FORMAT, self)
    }

    /// Reads the stored or sent form.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        decode(COMMAND_FORMAT, bytes)
    }
}

/// A command, who wants it and when it was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamped {
    /// Known again when it is retried.
    pub request: RequestId,
    /// The clock of the node that accepted it.
    pub at: WallTime,
    /// What is wanted.
    pub command: Command,
}

#[cfg(test)]
mod tests;
