use super::*;

#[test]
fn a_stream_has_the_times_of_its_commands() {
    let mut run = Run::default();
    run.at(1_000, started("s"));
    let live = run.broadcast("s");
    assert_eq!((live.date, live.start_time, live.update_time), (1_000, 1_000, 1_000));
    assert_eq!((live.kind.as_deref(), live.publish_type.as_deref()), (Some("liveStream"), Some("RTMP")));
    assert_eq!((live.remote_ip.as_deref(), live.user_agent.as_deref()), (Some("192.0.2.7"), Some("N/A")));
    assert_eq!(live.rtmp_url.as_deref(), Some("rtmp://node/a/s"));
    run.at(11_000, beat("s"));
    let live = run.broadcast("s");
    assert_eq!((live.start_time, live.update_time), (1_000, 11_000));
    assert_eq!((live.width, live.height, live.web_rtc_viewer_count), (640, 360, 4));
}

/// A publisher says which room a new stream is in, and changes nothing in that of one that is stored.
#[test]
fn a_publishers_room_is_that_of_a_stream_nobody_has_stored() {
    let in_room = |stream: &str| {
        let Command::StreamStarted { app, stream, mut facts, epoch } = started(stream) else {
            unreachable!()
        };
        facts.main_track = Some(id("room"));
        Command::StreamStarted { app, stream, facts, epoch }
    };
    let mut run = Run::default();
    run.out(1, create("stored"));
    for stream in ["stored", "new"] {
        run.out(2, in_room(stream));
    }
    let room = |stream: &str| run.broadcast(stream).main_track_stream_id.clone();
    assert_eq!((room("stored"), room("new")), (None, Some("room".to_owned())));
}

#[test]
fn a_publisher_names_its_stream_and_one_that_does_not_leaves_what_is_there() {
    let named = |name: &str, meta_data: &str| {
        let Command::StreamStarted { app, stream, mut facts, epoch } = started("s") else { unreachable!() };
        let said = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        (facts.name, facts.meta_data) = (said(name), said(meta_data));
        Command::StreamStarted { app, stream, facts, epoch }
    };
    let mut run = Run::default();
    run.at(1, create("s"));
    let is = |run: &Run, name: Option<&str>, meta_data: Option<&str>| {
        let stored = run.broadcast("s");
        assert_eq!((stored.name.as_deref(), stored.meta_data.as_deref()), (name, meta_data));
    };
    run.at(2, named("Hall", "{\"seats\":3}"));
    is(&run, Some("Hall"), Some("{\"seats\":3}"));
    run.at(3, named("", ""));
    is(&run, Some("Hall"), Some("{\"seats\":3}"));
    run.at(4, named("", "new"));
    is(&run, Some("Hall"), Some("new"));
    // What would make the record too large changes nothing.
    let refused = run.at(5, named("x", &"x".repeat(limits::BROADCAST_BYTES_MAX)));
    assert_eq!(refused.outcome, Outcome::Refused(Refusal::TooLarge));
    is(&run, Some("Hall"), Some("new"));
}

#[test]
fn time_never_goes_back() {
    let mut run = Run::default();
    run.at(5_000, started("s"));
    run.at(3_000, beat("s"));
    assert_eq!(run.broadcast("s").update_time, 5_000);
    assert_eq!(run.state.now(), WallTime(5_000));
}

#[test]
fn a_new_publish_forgets_the_figures_of_the_last_one() {
    let mut run = Run::default();
    run.at(1, create("s"));
    run.at(2, started("s"));
    run.at(3, beat("s"));
    run.at(4, ended("s"));
    let over = run.broadcast("s");
    assert_eq!((over.width, over.web_rtc_viewer_count), (640, 0));
    run.at(5, started("s"));
    assert_eq!(run.broadcast("s").width, 0);
}

#[test]
fn a_restart_is_swept_in_bounded_steps_and_leaves_nothing_to_sweep() {
    let mut run = Run::default();
    let rows = limits::META_SWEEP_ROWS_MAX + 5;
    for n in 0..rows {
        run.at(1, started(&format!("s{n}")));
    }
    run.at(1, create("idle"));
    let first = run.at(2, Command::ResetAfterRestart);
    assert_eq!(first.outcome, Outcome::Swept { more: true });
    assert_eq!(first.changes.len(), limits::META_SWEEP_ROWS_MAX);
    let second = run.at(2, Command::ResetAfterRestart);
    assert_eq!((second.outcome, second.changes.len()), (Outcome::Swept { more: false }, 5));
    assert_eq!(run.state.broadcasts_len(&app("a")), 1);
    assert_eq!(run.at(2, Command::ResetAfterRestart).changes, []);
}

#[test]
fn a_restart_clears_viewers_and_leaves_a_clients_own_status() {
    let mut run = Run::default();
    run.at(1, create("s"));
    let patch = BroadcastPatch::parse(br#"{"status":"my own","webRTCViewerCount":3}"#).unwrap();
    run.at(2, Command::PatchBroadcast { app: app("a"), stream: id("s"), patch });
    run.at(3, Command::ResetAfterRestart);
    let now = run.broadcast("s");
    assert_eq!((now.status.as_str(), now.web_rtc_viewer_count), ("my own", 0));
}

#[test]
fn an_application_holds_so_many_broadcasts_and_no_more() {
    let mut run = Run::default();
    let rows: Vec<_> = (0..limits::BROADCASTS_PER_APPLICATION_MAX)
        .map(|n| Change::Broadcast { app: app("a"), stream: id(&format!("s{n}")), now: Some(Arc::default()) })
        .collect();
    run.state.absorb(Revision(7), WallTime(1), &rows);
    let refused = Outcome::Refused(Refusal::TooManyBroadcasts);
    for command in [create("new"), started("new")] {
        let applied = run.at(2, command);
        assert_eq!((applied.outcome, applied.changes), (refused, Vec::new()));
    }
    // What is there may still be published, and another application is not concerned.
    assert_eq!(run.at(3, started("s1")).outcome, Outcome::Started { created: false });
    let elsewhere = Command::CreateBroadcast { app: app("b"), stream: id("s"), broadcast: Box::default() };
    assert_eq!(run.at(4, elsewhere).outcome, Outcome::Done);
}

#[test]
fn there_are_so_many_applications_and_no_more() {
    let mut run = Run::default();
    let put = |n: usize| Command::PutSettings {
        app: app(&format!("a{n}")),
        expected: 0,
        document: SettingsDocument::default(),
    };
    let create_in = |n: usize| Command::CreateBroadcast {
        app: app(&format!("a{n}")),
        stream: id("s"),
        broadcast: Box::default(),
    };
    for n in 0..limits::APPLICATIONS_MAX {
        assert_eq!(run.at(1, put(n)).outcome, Outcome::Stored { version: 1 });
        assert_eq!(run.at(1, create_in(n)).outcome, Outcome::Done);
    }
    let refused = Outcome::Refused(Refusal::TooManyApplications);
    assert_eq!(run.at(2, put(limits::APPLICATIONS_MAX)).outcome, refused);
    assert_eq!(run.at(2, create_in(limits::APPLICATIONS_MAX)).outcome, refused);
}

#[test]
fn oversized_settings_are_refused() {
    let mut run = Run::default();
    let text = "x".repeat(limits::SETTINGS_BYTES_MAX);
    let document = SettingsDocument(serde_json::Map::from_iter([("key".to_owned(), text.into())]));
    let put = Command::PutSettings { app: app("a"), expected: 0, document };
    assert_eq!(run.at(1, put).outcome, Outcome::Refused(Refusal::TooLarge));
    assert_eq!(run.state.settings(&app("a")), None);
}

#[test]
fn the_window_of_remembered_requests_is_bounded() {
    let mut run = Run::default();
    run.at(1, create("s"));
    for _ in 0..limits::META_REQUESTS_REMEMBERED_MAX - 1 {
        run.at(1, beat("absent"));
    }
    let retry = |run: &mut Run| {
        let request = RequestId::from_u128(1);
        apply(&mut run.state, Stamped { request, at: WallTime(2), command: create("s") })
    };
    let again = retry(&mut run);
    assert_eq!((again.revision, again.outcome, again.repeated), (Revision(1), Outcome::Done, true));
    run.at(1, beat("absent"));
    let forgotten = retry(&mut run);
    assert_eq!((forgotten.outcome, forgotten.repeated), (Outcome::Exists, false));
    assert_eq!(run.state.remembered.len(), limits::META_REQUESTS_REMEMBERED_MAX);
    assert_eq!(run.state.remembered_order.len(), limits::META_REQUESTS_REMEMBERED_MAX);
}
