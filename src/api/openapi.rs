//! The description of REST for client generators: paths and verbs from the route table, shapes from the types
//! that are read and answered.

mod descriptions;

use cluster_model::{Broadcast, EncoderSettings, Endpoint, HlsParameters, PlayListItem, Shown, Vod};
use utoipa::openapi::path::{
    HttpMethod, Operation as PathOperation, OperationBuilder, ParameterBuilder, ParameterIn, PathItem, Paths,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ComponentsBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, RefOr, Required, ResponseBuilder,
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
use descriptions::{Description, describe, named};

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
        .schema_from::<Vod>()
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
             is false. Below `/{app}` once per application. Lists and counts are what the node that is asked has, and \
             say in `penstock-age-ms` how old that is at most; so do answers of one object while the metadata plane is away. \
             `penstock-lagging` stands on answers of the past that may lack the newest of it, `penstock-partial` on those that \
             may have the newest of it alone.",
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
