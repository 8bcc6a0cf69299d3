use base::{ManualClock, SeededRandomness, SystemClock, SystemRandomness, WallTime};

use super::*;
use crate::testing::{InMemory, planes, seals};
use crate::{Endpoint, Matching, PlayListItem, SortKey};

fn broadcasts(meta: Arc<dyn Meta>) -> Broadcasts {
    Broadcasts::new(meta, seals(), Arc::new(SystemClock), Arc::new(SystemRandomness), "node1")
}

fn app() -> AppName {
    AppName::new("LiveApp").unwrap()
}

fn id(name: &str) -> StreamId {
    StreamId::new(name).unwrap()
}

fn named(stream: &str) -> Broadcast {
    Broadcast { stream_id: Some(stream.to_owned()), ..Broadcast::default() }
}

fn started() -> StreamStarted {
    StreamStarted {
        publish_type: "RTMP".to_owned(),
        remote_ip: "192.0.2.7".to_owned(),
        ..StreamStarted::default()
    }
}

#[tokio::test]
async fn a_broadcast_lives_from_creation_to_deletion() {
    for plane in planes() {
        let broadcasts = broadcasts(plane);
        let made = broadcasts.create(&app(), named(" s "), None).await.unwrap();
        assert_eq!(made.stream_id.as_deref(), Some("s"));
        assert_eq!(broadcasts.get(&app(), &id("s")).await.unwrap(), Some(made));
        let patch = BroadcastPatch::parse(br#"{"name":"n"}"#).unwrap();
        assert_eq!(broadcasts.patch(&app(), &id("s"), patch.clone()).await, Ok(true));
        broadcasts.started(&app(), &id("s"), started()).await.unwrap();
        assert_eq!(broadcasts.count(&app(), Which::Live).await, Ok(1));
        assert_eq!(broadcasts.heartbeat(&app(), &id("s"), Heartbeat::default()).await, Ok(true));
        broadcasts.ended(&app(), &id("s")).await.unwrap();
        assert_eq!(broadcasts.heartbeat(&app(), &id("s"), Heartbeat::default()).await, Ok(false));
        let over = broadcasts.get_local(&app(), &id("s")).await.unwrap().unwrap();
        assert_eq!((over.status.clone(), over.name.as_deref()), (Status::Finished, Some("n")));
        assert_eq!((over.origin_adress.as_deref(), over.user_agent.as_deref()), (Some("node1"), Some("N/A")));
        assert_eq!(broadcasts.delete(&app(), &id("s")).await, Ok(true));
        assert_eq!(broadcasts.delete(&app(), &id("s")).await, Ok(false));
        assert_eq!(broadcasts.patch(&app(), &id("s"), patch).await, Ok(false));
    }
}

#[tokio::test]
async fn a_cameras_password_is_sealed_where_it_is_stored() {
    for plane in planes() {
        let broadcasts = broadcasts(plane);
        let sealed = async || {
            let every = broadcasts.every(&app(), Which::All).await.unwrap();
            let [stored] = &every[..] else { panic!("{every:?}") };
            stored.password.clone().filter(|password| password.starts_with("sealed:1:")).unwrap()
        };
        let password = |broadcast: &Broadcast| broadcast.password.clone();
        let hunter = Some("hunter2".to_owned());
        let draft = Broadcast { password: hunter.clone(), ..named("s") };
        let made = broadcasts.create(&app(), draft, None).await.unwrap();
        let before = sealed().await;
        assert_eq!(broadcasts.get(&app(), &id("s")).await.unwrap(), Some(Arc::clone(&made)));
        assert_eq!(password(&made), hunter);

        let patch = BroadcastPatch::parse(br#"{"password":"swordfish","name":"n"}"#).unwrap();
        broadcasts.patch(&app(), &id("s"), patch).await.unwrap();
        assert_ne!(sealed().await, before);
        let sorted = Order { by: SortKey::Date, descending: false };
        for shown in [
            broadcasts.list(&app(), Which::All, 0, 10).await.unwrap(),
            broadcasts.list_sorted(&app(), Which::All, sorted, 0, 10).await.unwrap(),
        ] {
            assert_eq!(password(&shown[0]), Some("swordfish".to_owned()));
        }
        // Nor does it open for another stream, or stand for a password itself.
        let copied = Broadcast { password: Some(before), ..named("t") };
        let command = Command::CreateBroadcast { app: app(), stream: id("t"), broadcast: Box::new(copied) };
        broadcasts.proposer.propose(command).await.unwrap();
        assert_eq!(password(&broadcasts.get(&app(), &id("t")).await.unwrap().unwrap()), None);
    }
}

#[tokio::test]
async fn urls_that_carry_a_secret_are_sealed_and_others_are_not() {
    let text = |text: &str| Some(text.to_owned());
    let draft = Broadcast {
        stream_url: text("rtsp://u:hunter2@192.0.2.7/x"),
        ip_addr: text("192.0.2.7"),
        listener_hook_url: text("https://a.example/hook?key=hunter2"),
        end_point_list: Some(vec![
            Endpoint { endpoint_url: text("rtmp://a.example/live/hunter2"), ..Endpoint::default() },
            Endpoint::default(),
        ]),
        play_list_item_list: Some(vec![
            PlayListItem { stream_url: text("https://u:hunter2@a.example/1.mp4"), ..PlayListItem::default() },
            PlayListItem { stream_url: text("https://a.example/2.mp4"), ..PlayListItem::default() },
        ]),
        ..named("s")
    };
    for plane in planes() {
        let broadcasts = broadcasts(plane);
        let stored = async || {
            let every = broadcasts.every(&app(), Which::All).await.unwrap();
            serde_json::to_string(&every[0]).unwrap()
        };
        let made = broadcasts.create(&app(), draft.clone(), None).await.unwrap();
        let before = stored().await;
        assert!(!before.contains("hunter2") && before.contains("https://a.example/2.mp4"), "{before}");
        assert_eq!(before.matches("sealed:1:").count(), 4, "{before}");
        assert_eq!(broadcasts.get(&app(), &id("s")).await.unwrap(), Some(Arc::clone(&made)));
        assert_eq!(
            made.end_point_list.as_ref().unwrap()[0].endpoint_url,
            draft.end_point_list.as_ref().unwrap()[0].endpoint_url
        );

        let patch = br#"{"streamUrl":"sealed:1:AAAA","endPointList":[{"rtmpUrl":"rtmp://b.example/live/swordfish"}],"name":"n"}"#;
        broadcasts.patch(&app(), &id("s"), BroadcastPatch::parse(patch).unwrap()).await.unwrap();
        let after = stored().await;
        assert!(!after.contains("swordfish") && after.matches("sealed:1:").count() == 4, "{after}");
        let shown = broadcasts.get(&app(), &id("s")).await.unwrap().unwrap();
        assert_eq!((shown.stream_url.as_deref(), shown.name.as_deref()), (Some("sealed:1:AAAA"), Some("n")));
        let targets = shown.end_point_list.as_ref().unwrap();
        assert_eq!(targets[0].endpoint_url.as_deref(), Some("rtmp://b.example/live/swordfish"));
        assert_eq!(
            (shown.ip_addr.as_deref(), &shown.listener_hook_url),
            (Some("192.0.2.7"), &draft.listener_hook_url)
        );
    }
}

#[tokio::test]
async fn an_unregistered_stream_leaves_nothing_behind() {
    for plane in planes() {
        let broadcasts = broadcasts(plane);
        broadcasts.started(&app(), &id("s"), started()).await.unwrap();
        let live = broadcasts.get(&app(), &id("s")).await.unwrap().unwrap();
        assert!(live.zombi);
        assert_eq!(live.rtmp_url.as_deref(), Some("rtmp://node1/LiveApp/s"));
        broadcasts.ended(&app(), &id("s")).await.unwrap();
        assert_eq!(broadcasts.get(&app(), &id("s")).await, Ok(None));
        // Deleted meanwhile: nothing to do.
        broadcasts.ended(&app(), &id("s")).await.unwrap();
    }
}

#[tokio::test]
async fn creation_sets_what_ams_sets_and_keeps_the_rest() {
    let clock = Arc::new(ManualClock::new(WallTime(1_700_000_000_000)));
    let meta = Arc::new(InMemory::new(Arc::clone(&clock) as _));
    let broadcasts = Broadcasts::new(meta, seals(), clock, Arc::new(SeededRandomness::new(1)), "node1");
    let draft = Broadcast {
        status: Status::Broadcasting,
        date: 5,
        origin_adress: Some("elsewhere".to_owned()),
        rtmp_url: Some("x".to_owned()),
        zombi: true,
        name: Some(" n ".to_owned()),
        ..named("s")
    };
    let made = broadcasts.create(&app(), draft.clone(), Some("media.example")).await.unwrap();
    let expected = Broadcast {
        status: Status::Created,
        date: 1_700_000_000_000,
        origin_adress: Some("node1".to_owned()),
        rtmp_url: Some("rtmp://media.example/LiveApp/s".to_owned()),
        kind: Some("liveStream".to_owned()),
        ..draft
    };
    assert_eq!(*made, expected);

    for blank in [Broadcast::default(), named(""), named("  ")] {
        let made = broadcasts.create(&app(), blank, Some("")).await.unwrap();
        let generated = made.stream_id.clone().unwrap();
        let (letters, digits) = generated.split_at(16);
        assert!(letters.bytes().all(|b| b.is_ascii_alphanumeric()), "{generated}");
        assert!(digits.len() >= 13 && digits.bytes().all(|b| b.is_ascii_digit()), "{generated}");
        assert_eq!(made.rtmp_url, Some(format!("rtmp://node1/LiveApp/{generated}")));
    }
}

#[tokio::test]
async fn creation_is_refused_in_the_words_of_ams() {
    for plane in planes() {
        let broadcasts = broadcasts(plane);
        broadcasts.create(&app(), named("s"), None).await.unwrap();
        let error = broadcasts.create(&app(), named("s"), None).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "Stream id is already being used. Please change stream id or keep it empty"
        );
        let error = broadcasts.create(&app(), named("a b"), None).await.unwrap_err();
        assert_eq!(error.to_string(), "Stream id is not valid.");
        let up = Broadcast { sub_folder: Some("../x".to_owned()), ..named("t") };
        let error = broadcasts.create(&app(), up, None).await.unwrap_err();
        assert_eq!(error, CreateError::InvalidSubFolder);
        for (kind, field) in [("ipCamera", "not an address"), ("streamSource", "file:///etc/passwd")] {
            let source = Broadcast {
                kind: Some(kind.to_owned()),
                ip_addr: Some(field.to_owned()),
                stream_url: Some(field.to_owned()),
                ..named("t")
            };
            let error = broadcasts.create(&app(), source, None).await.unwrap_err();
            assert_eq!(error.to_string(), "Stream url is not valid. ");
        }
        assert_eq!(broadcasts.count(&app(), Which::All).await, Ok(1));
    }
}

#[tokio::test]
async fn endpoints_begin_as_created_and_empty_items_are_left_out() {
    let broadcasts = broadcasts(Arc::new(InMemory::new(Arc::new(SystemClock))));
    let item = |url: Option<&str>| PlayListItem { stream_url: url.map(str::to_owned), ..Default::default() };
    let draft = Broadcast {
        kind: Some("playlist".to_owned()),
        end_point_list: Some(vec![Endpoint::default()]),
        play_list_item_list: Some(vec![item(None), item(Some("http://a/b.mp4")), item(Some(""))]),
        ..named("s")
    };
    let made = broadcasts.create(&app(), draft, None).await.unwrap();
    let endpoint = Endpoint { status: Some("created".to_owned()), ..Endpoint::default() };
    assert_eq!(made.end_point_list, Some(vec![endpoint]));
    assert_eq!(made.play_list_item_list, Some(vec![item(Some("http://a/b.mp4"))]));
}

/// Every implementation's list, searched, narrowed down, sorted and paged.
#[tokio::test]
async fn lists_are_narrowed_down_sorted_and_paged() {
    for plane in planes() {
        let broadcasts = broadcasts(plane);
        for (id, name, kind, room) in [
            ("b", Some("Zebra"), "liveStream", None),
            ("a", Some("apple"), "VoD", Some("room")),
            ("d", None, "liveStream", Some("room")),
            ("c", Some("Mango"), "liveStream", Some("Room")),
        ] {
            let draft = Broadcast {
                name: name.map(str::to_owned),
                kind: Some(kind.to_owned()),
                main_track_stream_id: room.map(str::to_owned),
                ..named(id)
            };
            broadcasts.create(&app(), draft, None).await.unwrap();
        }
        let app = app();
        let of = |kind: &str, part: &str| Which::from(Matching::new(Some(kind.to_owned()), Some(part)));
        let ids = |rows: Vec<Arc<Broadcast>>| -> String {
            rows.iter().filter_map(|row| row.stream_id.clone()).collect()
        };
        let page = |which, offset, size| broadcasts.list(&app, which, offset, size);
        assert_eq!(ids(page(of("", "A"), 0, 9).await.unwrap()), "abc");
        assert_eq!(ids(page(of("", "a"), 1, 1).await.unwrap()), "b");
        assert_eq!(ids(page(of("liveStream", "a"), 0, 9).await.unwrap()), "bc");
        assert_eq!(broadcasts.count(&app, of("", "a")).await, Ok(3));
        let by_name = Order { by: SortKey::Name, descending: true };
        let sorted = |which, offset, size| broadcasts.list_sorted(&app, which, by_name, offset, size);
        assert_eq!(ids(sorted(Which::All, 0, 9).await.unwrap()), "bcad");
        assert_eq!(ids(sorted(Which::All, 1, 2).await.unwrap()), "ca");
        assert_eq!(ids(sorted(of("liveStream", ""), 1, 9).await.unwrap()), "cd");
        assert_eq!(broadcasts.subtracks(&app, &id("room")).await, Ok(vec![id("a"), id("d")]));
        assert_eq!(broadcasts.subtracks(&app, &id("a")).await, Ok(vec![]));
    }
}

#[tokio::test]
async fn a_list_is_capped() {
    let broadcasts = broadcasts(Arc::new(InMemory::new(Arc::new(SystemClock))));
    for n in 0..260 {
        broadcasts.create(&app(), named(&format!("s{n:03}")), None).await.unwrap();
    }
    let app = app();
    let page = |offset, size| broadcasts.list(&app, Which::All, offset, size);
    assert_eq!(page(0, usize::MAX).await.unwrap().len(), 250);
    let last = page(250, 250).await.unwrap();
    assert_eq!(last.len(), 10);
    assert_eq!(last[0].stream_id.as_deref(), Some("s250"));
    assert_eq!(page(usize::MAX, 5).await.unwrap().len(), 0);
    assert_eq!(broadcasts.list(&app, Which::Live, 0, 5).await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_restart_is_swept_to_its_end() {
    let broadcasts = broadcasts(Arc::new(InMemory::new(Arc::new(SystemClock))));
    broadcasts.create(&app(), named("idle"), None).await.unwrap();
    for n in 0..1_500 {
        broadcasts.started(&app(), &id(&format!("s{n}")), started()).await.unwrap();
    }
    broadcasts.reset_after_restart().await.unwrap();
    assert_eq!(broadcasts.count(&app(), Which::All).await, Ok(1));
}
