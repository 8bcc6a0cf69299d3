//! The web pages: which file, with which headers.

use super::*;

#[actix_web::test]
async fn pages_come_from_the_application_first_and_from_the_shared_ones_else() {
    let node = Node::new();
    for (path, text) in [
        ("/", "<h1>root"),
        ("/index.html", "<h1>root"),
        ("/app/play.js", "export {};"),
        ("/LiveApp/", "<h1>shared index"),
        ("/LiveApp/own.html", "<h1>own"),
        ("/LiveApp/play.html?id=s", "<h1>LiveApp's play"),
        ("/WebRTCAppEE/play.html?id=s", "<h1>shared play"),
        ("/WebRTCAppEE/play%2Ehtml", "<h1>shared play"),
    ] {
        let answer = text_of(node.call(from(ELSEWHERE, Method::GET, path)).await).await;
        assert_eq!(answer, (StatusCode::OK, text.to_owned()), "{path}");
    }
    let response = node.get("/LiveApp?id=a&token=b").await;
    assert_eq!(response.status(), StatusCode::FOUND);
    assert_eq!(header_of(&response, "location"), "/LiveApp/?id=a&token=b");
}

#[actix_web::test]
async fn pages_are_found_by_the_names_ant_media_server_gives_them() {
    let node = Node::new();
    for (path, location) in [
        ("/LiveApp/player.html?id=a&token=b", "/LiveApp/play.html?id=a&token=b"),
        ("/WebRTCAppEE/audio_player.html", "/WebRTCAppEE/play.html"),
        ("/LiveApp/samples/publish_webrtc.html?id=s", "/LiveApp/publish.html?id=s"),
        ("/LiveApp/%73amples/publish_webrtc.html?a=//elsewhere", "/LiveApp/publish.html?a=//elsewhere"),
    ] {
        let response = node.call(from(ELSEWHERE, Method::GET, path)).await;
        assert_eq!(response.status(), StatusCode::FOUND, "{path}");
        assert_eq!(header_of(&response, "location"), location);
    }
    // Of an application's own files the first is the one that is asked for.
    std::fs::write(node.state.webapps.join("LiveApp/player.html"), "<h1>own player").unwrap();
    let own = text_of(node.get("/LiveApp/player.html").await).await;
    assert_eq!(own, (StatusCode::OK, "<h1>own player".to_owned()));
    // They are names of applications' pages, and of whole pages.
    for path in ["/player.html", "/app/player.html", "/WebRTCAppEE/player.html/", "/LiveApp/x/player.html"] {
        assert_eq!(node.get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[actix_web::test]
async fn nothing_but_pages_can_be_read() {
    let node = Node::new();
    for path in [
        "/LiveApp/WEB-INF/x.html",
        "/LiveApp/web-inf/x.html",
        "/LiveApp/WEB%2DINF/x.html",
        "/LiveApp/WEB-INF/red5-web.properties",
        "/LiveApp/notes.properties",
        "/LiveApp/streams/s.html",
        "/LiveApp/%73treams/s.html",
        "/LiveApp/.git.html",
        "/LiveApp/..%2foutside.html",
        "/LiveApp/../outside.html",
        "/LiveApp/%2e%2e/outside.html",
        "/LiveApp/%252e%252e/outside.html",
        "/LiveApp/..%5coutside.html",
        "/../outside.html",
        "/%2e%2e/outside.html",
        "/outside.html",
        "/LiveApp/own.html/",
        "/LiveApp/own.html/x.html",
        "/LiveApp/own.html%00.html",
        "/LiveApp/own",
        "/app",
        "/nothing.html",
    ] {
        let (status, text) = text_of(node.get(path).await).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}: {text}");
    }
    for path in ["//LiveApp/own.html", "/LiveApp//own.html", "/LiveApp/%zz.html", "/%ff"] {
        assert_eq!(node.get(path).await.status(), StatusCode::BAD_REQUEST, "{path}");
    }
    let response = node.call(from(HERE, Method::POST, "/LiveApp/own.html")).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(header_of(&response, "allow"), "GET, HEAD");
}

#[actix_web::test]
async fn pages_say_what_they_are_and_what_they_may() {
    let node = Node::new();
    let player = node.get("/WebRTCAppEE/play.html").await;
    assert_eq!(header_of(&player, "content-type"), "text/html; charset=utf-8");
    assert_eq!(header_of(&player, "cache-control"), "no-cache");
    assert_eq!(header_of(&player, "x-content-type-options"), "nosniff");
    assert_eq!(header_of(&player, "referrer-policy"), "no-referrer");
    let policy = header_of(&player, "content-security-policy");
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    assert!(!policy.contains("frame-ancestors") && header_of(&player, "x-frame-options").is_empty());
    assert_eq!(header_of(&node.get("/").await, "x-frame-options"), "DENY");
    let script = node.get("/LiveApp/play.js").await;
    assert_eq!(header_of(&script, "content-type"), "text/javascript; charset=utf-8");
}

#[actix_web::test]
async fn an_unchanged_page_is_not_sent_again() {
    let node = Node::new();
    let first = node.get("/LiveApp/own.html").await;
    let (tag, date) = (header_of(&first, "etag").to_owned(), header_of(&first, "last-modified").to_owned());
    let again = |name: &'static str, value: &str| {
        let value = value.to_owned();
        node.call(from(HERE, Method::GET, "/LiveApp/own.html").insert_header((name, value)))
    };
    let unchanged = again("if-none-match", &tag).await;
    assert_eq!(unchanged.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(header_of(&unchanged, "etag"), tag);
    assert_eq!(again("if-modified-since", &date).await.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(again("if-none-match", "\"other\"").await.status(), StatusCode::OK);
    std::fs::write(node.state.webapps.join("LiveApp/own.html"), "<h1>new").unwrap();
    assert_eq!(again("if-none-match", &tag).await.status(), StatusCode::OK);
}

#[actix_web::test]
async fn the_pages_learn_whether_rest_would_answer_them() {
    let node = Node::new();
    let (_, here) = json_of(node.get("/node.json").await).await;
    assert_eq!(here["applications"], json!(["LiveApp", "WebRTCAppEE"]));
    assert_eq!((&here["rtmpPort"], &here["restAnswersYou"]), (&json!(1935), &json!(true)));
    assert_eq!((&here["httpsPort"], &here["httpsWarns"]), (&json!(5443), &json!(true)));
    let (status, elsewhere) = json_of(node.call(from(ELSEWHERE, Method::GET, "/node.json")).await).await;
    assert_eq!((status, &elsewhere["restAnswersYou"]), (StatusCode::OK, &json!(false)));
}

#[test]
fn the_pages_of_this_repository_run_no_inline_script_and_ask_nobody_else() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../webapps/root");
    let mut seen = 0;
    for folder in [pages.clone(), pages.join("app")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().path();
            if file.is_dir() {
                continue;
            }
            let name = file.display().to_string();
            let text = std::fs::read_to_string(&file).unwrap();
            seen += 1;
            if name.ends_with(".html") {
                for forbidden in ["<style", " style=", " onclick=", " onload=", "javascript:"] {
                    assert!(!text.contains(forbidden), "{name} holds {forbidden}");
                }
                for script in text.split("<script").skip(1) {
                    let tag = script.split("</script>").next().unwrap();
                    assert!(tag.contains(" src=") && tag.trim_end().ends_with('>'), "{name}: inline script");
                }
            }
            let foreign = text.replace("http://www.w3.org/2000/svg", "");
            assert!(
                !foreign.contains("http://") && !foreign.contains("https://"),
                "{name} names another host"
            );
        }
    }
    assert!(seen > 8, "only {seen} files");
}

#[actix_web::test]
async fn the_management_page_is_part_of_the_program_and_its_sources_are_no_pages() {
    let node = Node::new();
    let folder = node.state.webapps.join("root/panel");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("index.html"), "<h1>source").unwrap();
    std::fs::write(folder.join("package.json"), "{}").unwrap();
    let response = node.get("/panel").await;
    assert_eq!((response.status(), header_of(&response, "location")), (StatusCode::FOUND, "/panel/"));
    // Either the page, or what says that it was not built.
    for path in ["/panel/", "/panel/index.html"] {
        let (status, text) = text_of(node.get(path).await).await;
        assert!([StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE].contains(&status), "{status}");
        assert!(text.contains("anagement") && !text.contains("<h1>source"), "{text}");
    }
    let (_, text) = text_of(node.get("/panel/package.json").await).await;
    assert_ne!(text, "{}");
    let response = node.call(from(HERE, Method::POST, "/panel/")).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
}
