//! What the route table does not say of each operation: one table.

use cluster_model::{Broadcast, Shown, Vod};
use utoipa::ToSchema;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};

use crate::admission::{Asked, Explained, SessionShown};
use crate::answer::{Outcome, SimpleStat};
use crate::applications::{ApplicationInfo, BroadcastInfo};
use crate::clients::{ClientStats, SendStats};
use crate::cluster::{ClusterNode, ClusterStatus};
use crate::history::ConnectionEventShown;
use crate::management::{Liveness, Version};
use crate::publishers::ReceiveStats;
use crate::routes::Operation;
use crate::settings::SettingsOutcome;
use crate::statistics::{AppBroadcastStatistics, BasicStreamInfo, BroadcastStatistics};
use crate::subscribers::{SubscriberDetails, SubscriberGiven, SubscriberStats, SubscriberView};
use crate::tokens::{TokenGiven, TokenShown};
use crate::users::{Sent, Shown as UserShown};

/// A parameter of a query and what it does.
type Parameter = (&'static str, &'static str);

const LIST: &[Parameter] = &[
    ("type_by", "Only broadcasts of this type"),
    ("sort_by", "name, date or status; sorts only together with order_by"),
    ("order_by", "desc for descending, else ascending"),
    ("search", "Only broadcasts whose id or name holds this text, in whatever case"),
];

const VODS: &[Parameter] = &[
    ("streamId", "Only those made of this stream"),
    ("sort_by", "name or date; sorts only together with order_by"),
    ("order_by", "desc for descending, else ascending"),
    ("search", "Only those in one of whose names or ids this text stands, in whatever case"),
];

const TOKEN: &[Parameter] = &[
    ("expireDate", "Until when it is good, in Unix seconds"),
    ("type", "play or publish"),
    ("roomId", "A room: for all of it, where the token is not spent and lives until it expires"),
];

const DRY_RUN: Parameter = ("dryRun", "true only tells what would change");

/// What the table does not say of a route.
pub(super) struct Description {
    pub(super) summary: &'static str,
    pub(super) query: &'static [Parameter],
    pub(super) body: Option<RefOr<Schema>>,
    pub(super) answer: RefOr<Schema>,
    /// Another status than 200 that has a meaning of its own.
    pub(super) failure: Option<(&'static str, &'static str)>,
}

/// The table.
pub(super) fn describe(operation: Operation) -> Description {
    let plain = |summary, answer| Description { summary, query: &[], body: None, answer, failure: None };
    match operation {
        Operation::CreateBroadcast => Description {
            query: &[("autoStart", "true asks to pull a source, which this server refuses in the answer")],
            body: Some(named::<Broadcast>()),
            failure: Some(("400", "The id is taken or invalid, an address or a folder is invalid")),
            ..plain("Stores a new broadcast", named::<Shown>())
        },
        Operation::GetBroadcast => Description {
            failure: Some(("404", "There is no such broadcast")),
            ..plain("Shows one broadcast", named::<Shown>())
        },
        Operation::UpdateBroadcast => Description {
            body: Some(named::<Broadcast>()),
            ..plain("Changes the fields that are not null", named::<Outcome>())
        },
        Operation::DeleteBroadcast => Description {
            query: &[("deleteSubtracks", "false keeps the tracks of a room")],
            ..plain("Ends and deletes a broadcast", named::<Outcome>())
        },
        Operation::DeleteBroadcasts => Description {
            query: &[("ids", "Ids, separated by commas")],
            ..plain("Ends and deletes broadcasts, up to the first that fails", named::<Outcome>())
        },
        Operation::DeleteListedBroadcasts => Description {
            body: Some(array(ObjectBuilder::new().schema_type(Type::String).into())),
            ..plain("Ends and deletes broadcasts, up to the first that fails", named::<Outcome>())
        },
        Operation::StopBroadcast => Description {
            query: &[("stopSubtracks", "false lets the tracks of a room go on")],
            ..plain("Ends the publisher of a broadcast", named::<Outcome>())
        },
        Operation::ListBroadcasts => Description {
            query: LIST,
            failure: Some(("404", "Offset or size is no number")),
            ..plain("Lists broadcasts, at most 250 at a time", array(named::<Shown>()))
        },
        Operation::CountBroadcasts => plain("Counts all broadcasts", named::<SimpleStat>()),
        Operation::CountMatchingBroadcasts => {
            plain("Counts the broadcasts whose id or name holds a text", named::<SimpleStat>())
        }
        Operation::CountLiveBroadcasts => plain("Counts the live broadcasts", named::<SimpleStat>()),
        Operation::GetStatistics => {
            plain("Counts the viewers of a broadcast; -1 is unknown", named::<BroadcastStatistics>())
        }
        Operation::GetTotalStatistics => {
            plain("Counts the viewers of the application", named::<AppBroadcastStatistics>())
        }
        Operation::ListWebrtcClients => Description {
            failure: Some(("404", "Offset or size is no number")),
            ..plain(
                "Shows what the WebRTC players of a broadcast on this node are sent and report, at most 50 at a time",
                array(named::<ClientStats>()),
            )
        },
        Operation::GetWebrtcSendStatistics => {
            plain("Shows what the WebRTC players of the application were sent", named::<SendStats>())
        }
        Operation::GetWebrtcReceiveStatistics => {
            plain("Shows what comes from the WebRTC publishers of the application", named::<ReceiveStats>())
        }
        Operation::ListConnectionEvents => Description {
            query: &[("subscriberId", "Of this subscriber alone")],
            failure: Some(("404", "Offset or size is no number")),
            ..plain(
                "Lists when sessions of a stream began and ended, at most 250 at a time: of each subscriber the oldest first",
                array(named::<ConnectionEventShown>()),
            )
        },
        Operation::ListSessions => Description {
            failure: Some(("404", "Offset or size is no number")),
            ..plain(
                "Lists the live sessions of a stream on this node, oldest first, at most 250 at a time",
                array(named::<SessionShown>()),
            )
        },
        Operation::KickSession => {
            plain("Ends a session as kicked, whichever node it is on", named::<Outcome>())
        }
        Operation::ExplainAccess => Description {
            body: Some(named::<Asked>()),
            failure: Some(("400", "What is asked cannot be read")),
            ..plain("Says what the gate would, clause by clause; nothing is spent", named::<Explained>())
        },
        Operation::CreateToken => Description {
            query: TOKEN,
            failure: Some(("400", "The date or the type is missing or wrong")),
            ..plain("Makes a token that lets one session in, or with a room all of it", named::<TokenShown>())
        },
        Operation::CreateJwtToken => Description {
            query: TOKEN,
            failure: Some((
                "400",
                "The date or the type is missing, or jwtStreamSecretKey is shorter than 32 bytes",
            )),
            ..plain("Signs a JWT for a stream, which is stored nowhere", named::<TokenShown>())
        },
        Operation::ValidateToken => Description {
            body: Some(named::<TokenGiven>()),
            failure: Some(("400", "The body cannot be read")),
            ..plain("Says whether a token is good, and spends it unless a room is named", named::<Outcome>())
        },
        Operation::RevokeTokens => plain("Voids all tokens of a stream", named::<Outcome>()),
        Operation::RevokeToken => {
            plain("Voids one token: a stored one, or a hash or JWT of the stream", named::<Outcome>())
        }
        Operation::ListTokens => Description {
            failure: Some(("404", "Offset or size is no number")),
            ..plain(
                "Lists the tokens of a stream that are not spent, at most 250 at a time",
                array(named::<TokenShown>()),
            )
        },
        Operation::AddSubscriber => Description {
            body: Some(named::<SubscriberGiven>()),
            failure: Some(("400", "The body cannot be read")),
            ..plain("Registers a subscriber, or replaces what is said of it", named::<Outcome>())
        },
        Operation::DeleteSubscribers => {
            plain("Deletes all subscribers of a stream and their connection events", named::<Outcome>())
        }
        Operation::ListSubscribers => Description {
            failure: Some(("404", "Offset or size is no number")),
            ..plain(
                "Lists the subscribers of a stream, at most 250 at a time",
                array(named::<SubscriberView>()),
            )
        },
        Operation::GetSubscriber => Description {
            failure: Some(("404", "There is no such subscriber")),
            ..plain("Shows one subscriber and what its sessions came to", named::<SubscriberDetails>())
        },
        Operation::DeleteSubscriber => plain("Deletes one subscriber", named::<Outcome>()),
        Operation::GetSubscriberCode => Description {
            query: &[("type", "play or publish; matters where the secret is the application's")],
            ..plain("Shows the code of a subscriber as it is now, in dataId", named::<Outcome>())
        },
        Operation::BlockSubscriber => Description {
            failure: Some(("404", "The seconds are no number")),
            ..plain(
                "Blocks a subscriber, registered or not, for so many seconds (0: no longer); the type is play, publish or \
                 publish_play",
                named::<Outcome>(),
            )
        },
        Operation::ListSubscriberStatistics => Description {
            failure: Some(("404", "Offset or size is no number")),
            ..plain(
                "Lists what the sessions of a stream's subscribers came to, at most 250 at a time",
                array(named::<SubscriberStats>()),
            )
        },
        Operation::GetStreamInfo => plain(
            "Shows the renditions of a live stream, whichever node it is on",
            array(named::<BasicStreamInfo>()),
        ),
        Operation::SendMessage => Description {
            body: Some(ObjectBuilder::new().schema_type(Type::String).into()),
            ..plain(
                "Says the body, as it stands, to the players of a live stream and to its publisher; of the node that has it",
                named::<Outcome>(),
            )
        },
        Operation::CountVods => plain("Counts all recordings", named::<SimpleStat>()),
        Operation::CountMatchingVods => {
            plain("Counts the recordings in one of whose names or ids a text stands", named::<SimpleStat>())
        }
        Operation::ListVods => Description {
            query: VODS,
            failure: Some(("404", "Offset or size is no number")),
            ..plain("Lists recordings, at most 250 at a time", array(named::<Vod>()))
        },
        Operation::GetVod => {
            plain("Shows one recording; of an id nobody knows everything is null or 0", named::<Vod>())
        }
        Operation::GetApplicationVersion | Operation::GetVersion => {
            plain("Says what this server is", named::<Version>())
        }
        Operation::ListApplications => plain("Lists the applications", object()),
        Operation::GetApplicationsInfo => {
            plain("Lists the applications with what is in them", array(named::<ApplicationInfo>()))
        }
        Operation::ListLiveStreams => {
            plain("Lists the live streams of an application, at most 250", array(named::<BroadcastInfo>()))
        }
        Operation::CreateApplication => plain(
            "Makes an application on every node; it can be used on this one when this is answered",
            named::<Outcome>(),
        ),
        Operation::DeleteApplication => Description {
            query: &[(
                "deleteDB",
                "true: what is stored of its streams is deleted, too; else it is there again when the application is made anew",
            )],
            ..plain(
                "Deletes an application on every node: its streams end, and its folder is moved out of the way",
                named::<Outcome>(),
            )
        },
        Operation::GetSettings => plain(
            "Shows the settings of an application, their version as ETag; 204 if there is no such application. Users who are no administrators of it are shown no secrets",
            object(),
        ),
        Operation::ReplaceSettings => Description {
            query: &[DRY_RUN],
            body: Some(object()),
            failure: Some(("412", "If-Match names another version than the one they are at")),
            ..plain(
                "Replaces the settings: what is not named is at its default again, but for secrets",
                named::<Outcome>(),
            )
        },
        Operation::PatchSettings => Description {
            query: &[DRY_RUN],
            body: Some(object()),
            failure: Some(("412", "If-Match names another version than the one they are at")),
            ..plain("Changes the settings that are named", named::<SettingsOutcome>())
        },
        Operation::GetLiveness => plain("Says that the node answers", named::<Liveness>()),
        Operation::GetClusterMode => plain("Says whether this node is one of a cluster", named::<Outcome>()),
        Operation::GetClusterStatus => {
            plain("Shows how this node stands in its cluster", named::<ClusterStatus>())
        }
        Operation::CountNodes => {
            plain("Counts the nodes of the cluster; -1 on a node that is alone", named::<SimpleStat>())
        }
        Operation::ListNodes => Description {
            failure: Some(("404", "Offset or size is no number")),
            ..plain("Lists the nodes of the cluster", array(named::<ClusterNode>()))
        },
        Operation::ForgetNode => plain("Takes a dead node off the list", named::<Outcome>()),
        Operation::GetBackup => Description {
            failure: Some(("503", "No copy can be made now")),
            ..plain("Copies all stored data, secrets included, for `penstock restore`", object())
        },
        Operation::GetOpenApi => plain("This description", object()),
        Operation::AskApplication => Description {
            query: &[("_path", "The application's path, as LiveApp/rest/v2/broadcasts/list/0/10")],
            ..plain("Asks an application's REST, as far as who asks may", object())
        },
        Operation::AddFirstUser => Description {
            body: Some(named::<Sent>()),
            failure: Some(("403", "Not from the machine itself, and the set-up code is another one")),
            ..plain("Makes the first user, an administrator; errorId is -1 in any case", named::<Outcome>())
        },
        Operation::GetFirstLoginStatus => plain("Succeeds while there is no user", named::<Outcome>()),
        Operation::LogIn => Description {
            body: Some(named::<Sent>()),
            ..plain("Begins a session, which a cookie names; the message is scope/type", named::<Outcome>())
        },
        Operation::LogOut => plain("Ends the session", named::<Outcome>()),
        Operation::GetAuthenticationStatus => plain("Succeeds while there is a session", named::<Outcome>()),
        Operation::GetAdminStatus => plain("Succeeds for administrators", named::<Outcome>()),
        Operation::GetBlockedStatus => {
            plain("Succeeds while too many wrong passwords came for a user", named::<Outcome>())
        }
        Operation::ListUsers => plain("Lists the users", array(named::<UserShown>())),
        Operation::ChangePassword => Description {
            body: Some(named::<Sent>()),
            ..plain("Changes one's own password, which ends one's other sessions", named::<Outcome>())
        },
        Operation::AddUser => {
            Description { body: Some(named::<Sent>()), ..plain("Makes a user", named::<Outcome>()) }
        }
        Operation::EditUser => Description {
            body: Some(named::<Sent>()),
            ..plain("Changes what is sent of a user", named::<Outcome>())
        },
        Operation::DeleteUser => plain("Deletes a user", named::<Outcome>()),
    }
}

pub(super) fn named<T: ToSchema>() -> RefOr<Schema> {
    Ref::from_schema_name(T::name()).into()
}

fn array(of: RefOr<Schema>) -> RefOr<Schema> {
    ArrayBuilder::new().items(of).into()
}

fn object() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::Object).into()
}
