//! The route table as a client meets it.

use std::collections::BTreeSet;

use super::*;
use crate::{Operation, ROUTES, Role, Route};

fn path_of(route: &Route) -> String {
    let path = route.full_path().replace("{app}", "LiveApp").replace("{offset}/{size}", "0/10");
    let path = path.replace("{seconds}", "60");
    let path = path.replace(['{', '}'], "");
    // Without these it is a mistake of the asker's.
    if path.ends_with("token") { path + "?expireDate=4102444800&type=play" } else { path }
}

/// Walks the table: each row is answered by its handler, each other verb is refused, and no handler is
/// without a row.
#[actix_web::test]
async fn the_table_is_what_the_server_answers() {
    let node = Node::new();
    let settings = json!({ "appName": "LiveApp", "jwtStreamSecretKey": "zautXStXM9iW3aD3FuyPH0TdK4GHPmHq" });
    node.set(settings).await;
    let verbs = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH];
    // It says what the application says.
    let routes = || ROUTES.iter().filter(|route| route.operation != Operation::AskApplication);
    for path in routes().map(path_of).collect::<BTreeSet<_>>() {
        let mut allowed: Vec<_> =
            routes().filter(|route| path_of(route) == path).map(|route| route.verb.clone()).collect();
        for verb in &verbs {
            // A row without a handler is 404, and so is what is not there: it is there.
            node.create(json!({ "streamId": "id" })).await;
            node.ask(Method::PUT, "/id/subscribers/subscriber/block/0/play").await;
            let asked = from(HERE, verb.clone(), &path);
            // Without a body there is nothing to explain.
            let asked = if path.ends_with("/explain") {
                asked.set_json(json!({ "streamId": "id", "type": "play" }))
            } else {
                asked
            };
            let response = node.call(asked).await;
            let known = allowed.contains(verb);
            let expected = if known { StatusCode::OK } else { StatusCode::METHOD_NOT_ALLOWED };
            assert_eq!(response.status(), expected, "{verb} {path}");
        }
        let response = node.call(from(HERE, Method::OPTIONS, &path)).await;
        let status = response.status();
        let mut told: Vec<_> = header_of(&response, "allow").split(", ").map(str::to_owned).collect();
        if allowed.contains(&Method::GET) {
            allowed.push(Method::HEAD);
            let head = node.call(from(HERE, Method::HEAD, &path)).await;
            let get = node.call(from(HERE, Method::GET, &path)).await;
            assert_eq!(head.status(), get.status(), "{path}");
        }
        allowed.push(Method::OPTIONS);
        let mut allowed: Vec<_> = allowed.iter().map(|verb| verb.as_str().to_owned()).collect();
        told.sort();
        allowed.sort();
        assert_eq!((status, told), (StatusCode::OK, allowed), "{path}");
    }
}

#[actix_web::test]
async fn liveness_and_the_log_in_are_for_everyone_and_nothing_else_is() {
    let open = ROUTES.iter().filter(|route| route.role == Role::Everyone);
    let open: Vec<_> = open.map(|route| format!("{} {}", route.verb, route.full_path())).collect();
    assert_eq!(
        open,
        [
            "GET /rest/v2/liveness",
            "POST /rest/v2/users/initial",
            "GET /rest/v2/first-login-status",
            "POST /rest/v2/users/authenticate",
            "DELETE /rest/v2/users/logout",
            "GET /rest/v2/authentication-status",
            "GET /rest/v2/users/{mail}/blocked",
        ]
    );
    let (status, text) =
        text_of(Node::new().call(from(ELSEWHERE, Method::GET, "/rest/v2/liveness")).await).await;
    assert_eq!((status, text.as_str()), (StatusCode::OK, r#"{"host":"node1","status":"ok"}"#));
}

/// What is generated from the table stands in `schemas`.
#[test]
fn the_files_in_schemas_are_the_codes_own() {
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    for (name, generated) in
        [("routes.json", crate::routes_json()), ("openapi.json", crate::openapi_json().unwrap())]
    {
        let path = schemas.join(name);
        if std::env::var_os("PENSTOCK_BLESS").is_some() {
            std::fs::write(&path, &generated).unwrap();
        }
        let held = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(held == generated, "schemas/{name} is old: run `make fix`");
        serde_json::from_str::<Value>(&held).unwrap();
    }
}

#[actix_web::test]
async fn every_rest_path_is_closed_to_strangers() {
    let node = Node::new();
    let closed = ROUTES.iter().filter(|route| route.role != Role::Everyone);
    let paths = closed.map(|route| (route.verb.clone(), path_of(route), route.role));
    let unknown = [
        ("/LiveApp/rest/v2/nothing", Role::Application),
        ("/rest/v2/nothing", Role::Admin),
        ("/rest", Role::Admin),
        ("/LiveApp/%72est/v2/broadcasts/a", Role::Application),
    ];
    let unknown = unknown.map(|(path, role)| (Method::GET, path.to_owned(), role));
    for (verb, path, role) in paths.chain(unknown) {
        let words = match role {
            Role::Application | Role::Machine => "Not allowed IP",
            _ => "Not authenticated user",
        };
        for (peer, header) in
            [(ELSEWHERE, "x-forwarded-for"), (ELSEWHERE, "x-none"), (HERE, "x-real-ip"), (HERE, "forwarded")]
        {
            let request = from(peer, verb.clone(), &path).insert_header((header, "127.0.0.1"));
            let answer = json_of(node.call(request).await).await;
            assert_eq!(answer, (StatusCode::FORBIDDEN, refused(words)), "{path} {peer} {header}");
        }
    }
}

#[actix_web::test]
async fn what_the_route_table_lacks_is_404_and_a_wrong_verb_names_the_right_ones() {
    let node = Node::new();
    for path in [
        "/rest/v2/nothing",
        "/rest",
        "/rest/v1/version",
        "/LiveApp/rest/v2/broadcasts/a/token/b",
        "/LiveApp/rest/v2/broadcasts/a/b",
        "/NoApp/rest/v2/broadcasts/a",
        "/liveapp/rest/v2/broadcasts/a",
    ] {
        let answer = json_of(node.get(path).await).await;
        assert_eq!(answer, (StatusCode::NOT_FOUND, refused("Not Found")), "{path}");
    }
    let response = node.call(from(HERE, Method::PATCH, "/LiveApp/rest/v2/broadcasts/a")).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(header_of(&response, "allow"), "GET, HEAD, PUT, DELETE, OPTIONS");
}
