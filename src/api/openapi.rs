//! The description of REST for client generators: paths and verbs from the route table, shapes from the types
//! that are read and answered.

use cluster_model::{Broadcast, EncoderSettings, Endpoint, HlsParameters, PlayListItem, Shown};
use utoipa::ToSchema;
use utoipa::openapi::path::{
    HttpMethod, Operation as PathOperation, OperationBuilder, ParameterBuilder, ParameterIn, PathItem, Paths,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ArrayBuilder, ComponentsBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required,
    ResponseBuilder,
};

use crate::admission::{Asked, Clause, Explained, SessionShown};
use crate::answer::{Outcome, SimpleStat};
use crate::applications::{ApplicationInfo, BroadcastInfo};
use crate::clients::{AudioSent, ClientStats, SendStats, VideoSent};
use crate::cluster::{ClusterNode, ClusterStatus};
use crate::history::ConnectionEventShown;
use crate::management::{Liveness, Version};
use crate::publishers::{AudioReceived, ReceiveStats, VideoReceived};
use crate::routes::{Operation, ROUTES, Role, Route, Scope};
use crate::settings::{SettingChange, SettingFinding, SettingsOutcome};
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

const TOKEN: &[Parameter] = &[
    ("expireDate", "Until when it is good, in Unix seconds"),
    ("type", "play or publish"),
    ("roomId", "A room: the token is not spent and lives until it expires"),
];

const DRY_RUN: Parameter = ("dryRun", "true only tells what would change");

/// What the table does not say of a route.
struct Description {
    summary: &'static str,
    query: &'static [Parameter],
    body: Option<RefOr<Schema>>,
    answer: RefOr<Schema>,
    /// Another status than 200 that has a meaning of its own.
    failure: Option<(&'static str, &'static str)>,
}

fn describe(operation: Operation) -> Description {
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
                "Lists when sessions of a stream began and ended, oldest first, at most 250 at a time",
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
        Operation::GetStreamInfo => {
            plain("Shows the renditions of a live stream", array(named::<BasicStreamInfo>()))
        }
        Operation::SendMessage => Description {
            body: Some(ObjectBuilder::new().schema_type(Type::String).into()),
            ..plain(
                "Says the body, as it stands, to the players of a live stream and to its publisher",
                named::<Outcome>(),
            )
        },
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
            "Shows the settings of an application, their version as ETag; 204 if there is no such application",
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

/// The document as JSON, as it is served and stands in `schemas/openapi.json`.
///
/// # Errors
/// It cannot be written as JSON.
pub fn openapi_json() -> serde_json::Result<String> {
    document().to_pretty_json().map(|text| text + "\n")
}

fn document() -> OpenApi {
    let mut paths = Paths::new();
    for route in ROUTES {
        let item = PathItem::new(verb(route), operation(route));
        match paths.paths.get_mut(&route.full_path()) {
            Some(there) => there.merge_operations(item),
            None => {
                paths.paths.insert(route.full_path(), item);
            }
        }
    }
    let components = ComponentsBuilder::new()
        .schema_from::<Broadcast>()
        .schema_from::<Shown>()
        .schema_from::<Endpoint>()
        .schema_from::<PlayListItem>()
        .schema_from::<HlsParameters>()
        .schema_from::<EncoderSettings>()
        .schema_from::<Outcome>()
        .schema_from::<SessionShown>()
        .schema_from::<Asked>()
        .schema_from::<Explained>()
        .schema_from::<Clause>()
        .schema_from::<SimpleStat>()
        .schema_from::<BroadcastStatistics>()
        .schema_from::<AppBroadcastStatistics>()
        .schema_from::<BasicStreamInfo>()
        .schema_from::<ClientStats>()
        .schema_from::<VideoSent>()
        .schema_from::<AudioSent>()
        .schema_from::<SendStats>()
        .schema_from::<VideoReceived>()
        .schema_from::<AudioReceived>()
        .schema_from::<ReceiveStats>()
        .schema_from::<ConnectionEventShown>()
        .schema_from::<TokenShown>()
        .schema_from::<TokenGiven>()
        .schema_from::<SubscriberView>()
        .schema_from::<SubscriberGiven>()
        .schema_from::<SubscriberStats>()
        .schema_from::<SubscriberDetails>()
        .schema_from::<ApplicationInfo>()
        .schema_from::<BroadcastInfo>()
        .schema_from::<SettingsOutcome>()
        .schema_from::<SettingChange>()
        .schema_from::<SettingFinding>()
        .schema_from::<ClusterNode>()
        .schema_from::<ClusterStatus>()
        .schema_from::<Version>()
        .schema_from::<Liveness>()
        .schema_from::<Sent>()
        .schema_from::<UserShown>();
    let licence = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0"));
    let info = InfoBuilder::new()
        .title("Penstock REST v2")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Ant Media Server's REST v2, as far as Penstock speaks it. A failure is mostly a 200 whose `success` \
             is false. Below `/{app}` once per application.",
        ))
        .license(Some(licence.build()));
    OpenApiBuilder::new().info(info.build()).paths(paths).components(Some(components.build())).build()
}

fn verb(route: &Route) -> HttpMethod {
    match route.verb.as_str() {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "DELETE" => HttpMethod::Delete,
        "PATCH" => HttpMethod::Patch,
        _ => HttpMethod::Get,
    }
}

fn operation(route: &Route) -> PathOperation {
    let Description { summary, query, body, answer, failure } = describe(route.operation);
    let reach = match route.role {
        Role::Everyone => "Answers everyone.",
        Role::Application => "Answers whom the application's IP and JWT filters let in, and its users.",
        Role::Reader => "Answers users of every type, and the machine itself.",
        Role::Admin => "Answers administrators, and the machine itself.",
        Role::Machine => "Answers the machine itself alone.",
    };
    let mut operation = OperationBuilder::new()
        .operation_id(Some(operation_id(route)))
        .tag(match route.scope {
            Scope::Application => "application",
            Scope::Node => "node",
        })
        .summary(Some(summary))
        .description(Some(reach))
        .response("200", ResponseBuilder::new().description("The answer").content(JSON, content(answer)));
    if let Some((status, when)) = failure {
        let response = ResponseBuilder::new().description(when).content(JSON, content(named::<Outcome>()));
        operation = operation.response(status, response);
    }
    if let Some(body) = body {
        let body = RequestBodyBuilder::new().required(Some(Required::False)).content(JSON, content(body));
        operation = operation.request_body(Some(body.build()));
    }
    let path = route.full_path();
    for part in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
        let kind = if matches!(part, "offset" | "size") { Type::Integer } else { Type::String };
        let parameter = parameter(part, ParameterIn::Path, Required::True, kind);
        operation = operation.parameter(parameter);
    }
    for &(name, meaning) in query {
        let parameter = parameter(name, ParameterIn::Query, Required::False, Type::String);
        operation = operation.parameter(parameter.description(Some(meaning)));
    }
    operation.build()
}

/// One name for each operation, which several verbs of one path share in the table.
fn operation_id(route: &Route) -> String {
    match route.operation {
        Operation::AskApplication => format!("{:?}By{}", route.operation, route.verb),
        operation => format!("{operation:?}"),
    }
}

const JSON: &str = "application/json";

fn parameter(name: &str, place: ParameterIn, required: Required, kind: Type) -> ParameterBuilder {
    let schema = ObjectBuilder::new().schema_type(kind);
    ParameterBuilder::new().name(name).parameter_in(place).required(required).schema(Some(schema))
}

fn content(schema: RefOr<Schema>) -> utoipa::openapi::Content {
    ContentBuilder::new().schema(Some(schema)).build()
}

fn named<T: ToSchema>() -> RefOr<Schema> {
    Ref::from_schema_name(T::name()).into()
}

fn array(of: RefOr<Schema>) -> RefOr<Schema> {
    ArrayBuilder::new().items(of).into()
}

fn object() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::Object).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_route_is_described_and_every_name_is_explained() {
        let text = openapi_json().unwrap();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        for route in ROUTES {
            let verb = route.verb.as_str().to_lowercase();
            let described = &document["paths"][route.full_path()][verb];
            assert_eq!(described["operationId"], json!(operation_id(route)), "{route:?}");
        }
        for name in text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }

    #[test]
    fn the_shapes_have_the_names_of_the_wire() {
        let document: serde_json::Value = serde_json::from_str(&openapi_json().unwrap()).unwrap();
        let schemas = &document["components"]["schemas"];
        let described = schemas["Broadcast"]["properties"].as_object().unwrap();
        let written = serde_json::to_value(Broadcast::default()).unwrap();
        assert_eq!(
            described.keys().collect::<Vec<_>>(),
            written.as_object().unwrap().keys().collect::<Vec<_>>()
        );
        assert!(schemas["Result"]["properties"]["dataId"].is_object());
    }
}
