//! Log-in and users, roles and verbs.

use super::*;

const MANAGEMENT: &str = "/rest/v2";

impl Node {
    async fn send(&self, peer: &str, verb: Method, path: &str, cookie: &str, body: Value) -> ServiceResponse {
        let mut request = from(peer, verb, path);
        if !cookie.is_empty() {
            request = request.insert_header((header::COOKIE, format!("other=1; {cookie}")));
        }
        if !body.is_null() {
            request = request.set_json(body);
        }
        self.call(request).await
    }

    async fn manage(&self, verb: Method, path: &str, cookie: &str, body: Value) -> (StatusCode, Value) {
        json_of(self.send(ELSEWHERE, verb, &format!("{MANAGEMENT}/{path}"), cookie, body).await).await
    }

    async fn first(&self) -> (StatusCode, Value) {
        let user = json!({ "email": "admin@here", "password": "secret" });
        json_of(self.send(HERE, Method::POST, "/rest/v2/users/initial", "", user).await).await
    }

    /// The cookie, and what the log-in said.
    async fn enter(&self, email: &str, password: &str) -> (String, Value) {
        let body = json!({ "email": email, "password": password });
        let response = self.send(ELSEWHERE, Method::POST, "/rest/v2/users/authenticate", "", body).await;
        let cookie = header_of(&response, "set-cookie").split(';').next().unwrap_or_default().to_owned();
        (cookie, json_of(response).await.1)
    }

    async fn add(&self, admin: &str, email: &str, types: Value) {
        let body = json!({ "email": email, "password": "pw", "appNameUserType": types });
        assert_eq!(self.manage(Method::POST, "users", admin, body).await, (StatusCode::OK, done("")));
    }
}

fn initial(success: bool) -> Value {
    json!({ "success": success, "message": "", "dataId": "", "errorId": -1 })
}

#[actix_web::test]
async fn the_first_user_comes_from_the_machine_or_with_the_set_up_code_and_there_is_one_first() {
    let node = Node::new();
    assert_eq!(node.manage(Method::GET, "first-login-status", "", Value::Null).await.1, done(""));
    let first = async |code: &str| {
        let request = from(ELSEWHERE, Method::POST, "/rest/v2/users/initial")
            .insert_header(("Penstock-Setup-Code", code))
            .set_json(json!({ "email": "a@b", "password": "x" }));
        json_of(node.call(request).await).await
    };
    for code in ["", "wrong"] {
        assert_eq!(first(code).await.0, StatusCode::FORBIDDEN);
    }
    let code = node.state.door.users.set_up_code().expose().clone();
    let made = first(&code).await;
    assert_eq!(made, (StatusCode::OK, initial(true)));
    assert_eq!(node.first().await, (StatusCode::OK, initial(false)));
    assert_eq!(node.manage(Method::GET, "first-login-status", "", Value::Null).await.1, refused(""));
    assert_eq!(node.enter("a@b", "x").await.1, done("system/ADMIN"));
}

#[actix_web::test]
async fn a_session_begins_with_a_password_and_ends_with_a_goodbye() {
    let node = Node::new();
    assert_eq!(node.first().await.1, initial(true));
    let body = json!({ "email": "admin@here", "password": "secret" });
    let response = node.send(ELSEWHERE, Method::POST, "/rest/v2/users/authenticate", "", body).await;
    let cookie = header_of(&response, "set-cookie").to_owned();
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    let status =
        async |cookie: &str| node.manage(Method::GET, "authentication-status", cookie, Value::Null).await.1;
    assert_eq!(status(cookie).await, done("system/ADMIN"));
    assert_eq!(status("penstock_session=guess").await, refused(""));
    assert_eq!(node.manage(Method::GET, "version", cookie, Value::Null).await.0, StatusCode::OK);
    assert_eq!(node.manage(Method::DELETE, "users/logout", cookie, Value::Null).await.1, done(""));
    assert_eq!(status(cookie).await, refused(""));
    assert_eq!(
        node.manage(Method::GET, "version", cookie, Value::Null).await,
        (StatusCode::FORBIDDEN, refused("No user in this session"))
    );
}

#[actix_web::test]
async fn a_page_of_another_origin_has_nothing_of_a_session() {
    let node = Node::new();
    node.first().await;
    let (cookie, _) = node.enter("admin@here", "secret").await;
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "cross-site"),
    ] {
        for path in ["/rest/v2/version", "/LiveApp/rest/v2/broadcasts/list/0/10"] {
            let request = from(ELSEWHERE, Method::GET, path)
                .insert_header((header::COOKIE, cookie.clone()))
                .insert_header((name, value));
            assert_eq!(node.call(request).await.status(), StatusCode::FORBIDDEN, "{name} {path}");
        }
    }
    let own = from(ELSEWHERE, Method::GET, "/rest/v2/version")
        .insert_header((header::COOKIE, cookie))
        .insert_header(("origin", "http://localhost:5080"));
    assert_eq!(node.call(own).await.status(), StatusCode::OK);
    let login = from(ELSEWHERE, Method::POST, "/rest/v2/users/authenticate")
        .insert_header(("origin", "https://evil.example"))
        .set_json(json!({ "email": "admin@here", "password": "secret" }));
    assert_eq!(node.call(login).await.status(), StatusCode::FORBIDDEN);
}

#[actix_web::test]
async fn three_wrong_passwords_block_a_name_with_amss_words() {
    let node = Node::new();
    node.first().await;
    let blocked = refused("Too many login attempts. User is blocked for 300 secs");
    for email in ["admin@here", "nobody@here"] {
        let path = format!("users/{email}/blocked");
        assert_eq!(node.manage(Method::GET, &path, "", Value::Null).await.1, refused(""));
        for _ in 0..3 {
            assert_eq!(node.enter(email, "wrong").await, (String::new(), refused("")));
        }
        assert_eq!(node.enter(email, "secret").await, (String::new(), blocked.clone()));
        assert_eq!(node.manage(Method::GET, &path, "", Value::Null).await.1, done(""));
    }
    node.clock.advance(Duration::from_secs(300));
    assert_eq!(node.enter("admin@here", "secret").await.1, done("system/ADMIN"));
}

/// AMS's matrix of roles and verbs (its `AuthenticationFilterTest`).
#[actix_web::test]
async fn each_role_may_what_ams_lets_it() {
    let node = Node::new();
    node.first().await;
    let (admin, _) = node.enter("admin@here", "secret").await;
    for (email, types) in [
        ("reader", json!({ "system": "READ_ONLY" })),
        ("user", json!({ "system": "USER" })),
        ("app-admin", json!({ "LiveApp": "ADMIN" })),
        ("both", json!({ "LiveApp": "USER", "WebRTCAppEE": "READ_ONLY" })),
    ] {
        node.add(&admin, email, types).await;
    }
    let live = "/LiveApp/rest/v2/broadcasts/create";
    let other = "/WebRTCAppEE/rest/v2/broadcasts/create";
    let (list, other_list) = (live.replace("create", "list/0/1"), other.replace("create", "list/0/1"));
    let proxied =
        |path: &str| format!("/rest/v2/request?_path={}", path.trim_start_matches('/').replace('/', "%2F"));
    for (email, reads, writes, reads_other, writes_other, manages) in [
        ("admin@here", true, true, true, true, true),
        ("reader", true, false, true, false, false),
        ("user", true, true, true, true, false),
        ("app-admin", true, true, false, false, false),
        ("both", true, true, true, false, false),
    ] {
        let password = if email == "admin@here" { "secret" } else { "pw" };
        let (cookie, said) = node.enter(email, password).await;
        assert_eq!(said["success"], true, "{email}: {said}");
        for (verb, path, may) in [
            (Method::GET, list.as_str(), reads),
            (Method::POST, live, writes),
            (Method::GET, other_list.as_str(), reads_other),
            (Method::POST, other, writes_other),
        ] {
            let body = if verb == Method::POST { json!({}) } else { Value::Null };
            let expected = if may { StatusCode::OK } else { StatusCode::FORBIDDEN };
            for path in [path.to_owned(), proxied(path)] {
                for peer in [ELSEWHERE, HERE] {
                    let response = node.send(peer, verb.clone(), &path, &cookie, body.clone()).await;
                    assert_eq!(response.status(), expected, "{email} {verb} {path} {peer}");
                }
            }
        }
        let status = |status: StatusCode| status == StatusCode::OK;
        let body = json!({ "email": format!("by-{email}"), "password": "x", "appNameUserType": { "system": "USER" } });
        assert_eq!(status(node.manage(Method::POST, "users", &cookie, body).await.0), manages, "{email}");
        // Settings are read by who may look, secrets by administrators; applications are made and deleted by those of the system.
        let settings = node.manage(Method::GET, "applications/settings/LiveApp", &cookie, Value::Null).await;
        assert!(status(settings.0), "{email}");
        let sees_secrets = ["admin@here", "app-admin"].contains(&email);
        assert_eq!(settings.1.get("tokenHashSecret").is_some(), sees_secrets, "{email}: {}", settings.1);
        let other = node.manage(Method::GET, "applications/settings/WebRTCAppEE", &cookie, Value::Null).await;
        assert_eq!(status(other.0), reads_other, "{email}");
        if !manages {
            for verb in [Method::POST, Method::DELETE] {
                let (said, _) = node.manage(verb, "applications/LiveApp", &cookie, Value::Null).await;
                assert_eq!(said, StatusCode::FORBIDDEN, "{email}");
            }
        }
        assert!(status(node.manage(Method::GET, "version", &cookie, Value::Null).await.0), "{email}");
        let admin_status = node.manage(Method::GET, "admin-status", &cookie, Value::Null).await.1;
        assert_eq!(admin_status["success"], manages, "{email}");
        // A backup holds all secrets: it is for the machine, whoever asks.
        assert!(!status(node.manage(Method::GET, "backup", &cookie, Value::Null).await.0), "{email}");
    }
    assert_eq!(
        node.enter("both", "pw").await.1["message"],
        r#"{"LiveApp":"USER","WebRTCAppEE":"READ_ONLY"}"#
    );
    // A stranger reaches nothing by the way of the panel either.
    let (status, _) =
        json_of(node.send(ELSEWHERE, Method::GET, &proxied(&list), "", Value::Null).await).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    for nowhere in ["", "NoApp/rest/v2/version", "rest/v2/backup", "LiveApp/index.html", "../rest/v2/version"]
    {
        let path = format!("request?_path={nowhere}");
        assert_eq!(
            node.manage(Method::GET, &path, &admin, Value::Null).await.0,
            StatusCode::NOT_FOUND,
            "{nowhere}"
        );
    }
}

#[actix_web::test]
async fn users_are_made_changed_listed_and_deleted_with_amss_words() {
    let node = Node::new();
    node.first().await;
    let (admin, _) = node.enter("admin@here", "secret").await;
    let send = async |verb, path: &str, body| node.manage(verb, path, &admin, body).await.1;
    let bob =
        json!({ "email": "bob", "password": "one", "userType": "USER", "firstName": "Bob", "lastName": "B" });
    assert_eq!(send(Method::POST, "users", bob.clone()).await, done(""));
    assert_eq!(send(Method::POST, "users", bob).await, refused("User with the same e-mail already exists"));
    assert_eq!(send(Method::POST, "users", Value::Null).await, refused("User object is null"));
    let wrong = json!({ "email": "eve", "password": "x", "userType": "ROOT" });
    assert_eq!(send(Method::POST, "users", wrong).await["success"], false);
    let empty = json!({ "email": "eve", "password": "", "userType": "USER" });
    assert_eq!(send(Method::POST, "users", empty).await["success"], false);

    let listed = send(Method::GET, "user-list", Value::Null).await;
    assert_eq!(
        listed[1],
        json!({ "email": "bob", "userType": "USER", "scope": "system", "appNameUserType": { "system": "USER" },
            "firstName": "Bob", "lastName": "B", "fullName": "Bob B", "picture": null })
    );
    assert!(!listed.to_string().contains("argon"), "{listed}");

    let (bobs, _) = node.enter("bob", "one").await;
    let change = json!({ "email": "bob", "newPassword": "two", "userType": "ADMIN" });
    assert_eq!(send(Method::PUT, "users", change).await, done(""));
    let status = node.manage(Method::GET, "authentication-status", &bobs, Value::Null).await.1;
    assert_eq!(status["success"], false, "a new password ends sessions");
    let (bobs, said) = node.enter("bob", "two").await;
    assert_eq!(said, done("system/ADMIN"));
    // Who sends no map means type and scope, and no unknown type passes for one beside a map.
    node.add(&admin, "eve", json!({ "LiveApp": "ADMIN", "Other": "USER" })).await;
    let odd = json!({ "email": "eve", "userType": "ROOT", "appNameUserType": { "LiveApp": "ADMIN" } });
    assert_eq!(send(Method::PUT, "users", odd).await["success"], false);
    for half in [json!({ "email": "eve", "userType": "USER" }), json!({ "email": "eve", "scope": "LiveApp" })]
    {
        assert_eq!(
            send(Method::PUT, "users", half).await["success"],
            false,
            "which scope is meant nobody sees"
        );
    }
    let less = json!({ "email": "eve", "userType": "READ_ONLY", "scope": "LiveApp" });
    assert_eq!(send(Method::PUT, "users", less).await, done(""));
    assert_eq!(node.enter("eve", "pw").await.1, done("LiveApp/READ_ONLY"));
    assert_eq!(send(Method::DELETE, "users/eve", Value::Null).await, done(""));

    let own = json!({ "email": "bob", "userType": "ADMIN" });
    assert_eq!(node.manage(Method::PUT, "users", &bobs, own).await.1, refused("User cannot edit itself"));
    assert_eq!(
        node.manage(Method::DELETE, "users/bob", &bobs, Value::Null).await.1,
        refused("You cannot delete yourself")
    );
    let password = |old: &str| json!({ "password": old, "newPassword": "three" });
    let changed = node.manage(Method::POST, "users/password", &bobs, password("one")).await.1;
    assert_eq!(changed, refused("User not exist with that name and password"));
    assert_eq!(node.manage(Method::POST, "users/password", &bobs, password("two")).await.1, done(""));
    assert_eq!(node.manage(Method::GET, "version", &bobs, Value::Null).await.0, StatusCode::OK);

    assert_eq!(send(Method::DELETE, "users/bob", Value::Null).await, done(""));
    assert_eq!(send(Method::DELETE, "users/bob", Value::Null).await, refused(""));
    assert_eq!(node.manage(Method::GET, "version", &bobs, Value::Null).await.0, StatusCode::FORBIDDEN);
    assert_eq!(send(Method::PUT, "users", json!({ "email": "bob" })).await["success"], false);
}

#[actix_web::test]
async fn the_nodes_own_rest_has_a_jwt_and_a_filter_of_its_own() {
    let secret = "a secret of thirty-two characters";
    let node = Node::with(|state| {
        state.door.management_jwt =
            Some(crate::ManagementJwt { secret: Secret::new(secret.to_owned()), jwks_url: String::new() });
    });
    let ask = async |header: &str, value: &str| {
        let request =
            from(ELSEWHERE, Method::GET, "/rest/v2/version").insert_header((header.to_owned(), value));
        json_of(node.call(request).await).await
    };
    let good = security::credential::jwt::sign(secret, &json!({})).unwrap();
    assert_eq!(ask("ProxyAuthorization", &good).await.0, StatusCode::OK);
    assert_eq!(ask("ProxyAuthorization", &format!("Bearer {good}")).await.0, StatusCode::OK);
    let invalid = (StatusCode::FORBIDDEN, refused("Invalid Server JWT Token"));
    assert_eq!(ask("ProxyAuthorization", "x").await, invalid);
    assert_eq!(ask("Authorization", &good).await.1, refused("Not authenticated user"));

    let narrow = Node::with(|state| state.door.management_allowed = AddressRanges::read("10.0.0.0/8"));
    for path in ["/rest/v2/version", "/rest/v2/first-login-status"] {
        let outside = narrow.call(from(ELSEWHERE, Method::GET, path)).await;
        assert_eq!(json_of(outside).await.1, refused("Not allowed IP"), "{path}");
    }
    let liveness = from(ELSEWHERE, Method::GET, "/rest/v2/liveness");
    assert_eq!(narrow.call(liveness).await.status(), StatusCode::OK);
    let inside = from("10.1.1.1:9", Method::GET, "/rest/v2/first-login-status");
    assert_eq!(narrow.call(inside).await.status(), StatusCode::OK);
    // No list shuts the machine's own command line out.
    assert_eq!(narrow.get("/rest/v2/version").await.status(), StatusCode::OK);
}
