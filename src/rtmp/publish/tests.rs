use super::*;

struct Case {
    app: &'static str,
    tc_url: &'static str,
    name: &'static str,
    /// stream, token, subscriberId, subscriberCode, mainTrack; `-` for none.
    wanted: [&'static str; 5],
}

const fn case(
    app: &'static str,
    tc_url: &'static str,
    name: &'static str,
    wanted: [&'static str; 5],
) -> Case {
    Case { app, tc_url, name, wanted }
}

const CASES: &[Case] = &[
    case("LiveApp", "", "stream1", ["stream1", "-", "-", "-", "-"]),
    case("LiveApp/", "rtmp://h/LiveApp/", "/stream1", ["stream1", "-", "-", "-", "-"]),
    case("LiveApp", "", "", ["", "-", "-", "-", "-"]),
    case("LiveApp", "", "?token=T", ["", "T", "-", "-", "-"]),
    // The query behind the name (ffmpeg, OBS).
    case("LiveApp", "", "s?token=T", ["s", "T", "-", "-", "-"]),
    case(
        "LiveApp",
        "",
        "s?token=T&subscriberId=u&subscriberCode=123456&mainTrack=room&x=y",
        ["s", "T", "u", "123456", "room"],
    ),
    // In `app` and `tcUrl`, as encoders with two fields do; in `tcUrl` alone.
    case("LiveApp?token=T", "rtmp://h/LiveApp?token=T", "s", ["s", "T", "-", "-", "-"]),
    case("LiveApp", "rtmp://h:1935/LiveApp?token=T&subscriberId=u", "s", ["s", "T", "u", "-", "-"]),
    case("LiveApp?token=app", "rtmp://h/LiveApp?token=url", "s?token=name", ["s", "name", "-", "-", "-"]),
    case("LiveApp?token=app", "rtmp://h/LiveApp?token=url", "s?x=1", ["s", "app", "-", "-", "-"]),
    // The path form, whole, with %2F, and as ffmpeg cuts it.
    case("LiveApp", "", "s/T/u/123456", ["s", "T", "u", "123456", "-"]),
    case("LiveApp", "", "s%2FT%2fu%2F123456", ["s", "T", "u", "123456", "-"]),
    case("LiveApp/s", "rtmp://h/LiveApp/s", "T/u/123456", ["s", "T", "u", "123456", "-"]),
    case("LiveApp", "", "s/T/u/c/more", ["s", "T", "u", "c", "-"]),
    // An instance is the stream, and the name its token.
    case("LiveApp/inst", "", "x", ["inst", "x", "-", "-", "-"]),
    case("LiveApp/s", "rtmp://h/LiveApp/s", "", ["s", "-", "-", "-", "-"]),
    // A parameter counts before its place in the path.
    case("LiveApp", "", "s/P?token=Q", ["s", "Q", "-", "-", "-"]),
    case("LiveApp", "", "s/P?token=", ["s", "P", "-", "-", "-"]),
    // Lone keys, empty pairs, doubles, a second question mark, percent signs.
    case("LiveApp", "", "s?abc", ["s", "-", "-", "-", "-"]),
    case("LiveApp", "", "s?abc&&=&token=T&token=U", ["s", "T", "-", "-", "-"]),
    case("LiveApp", "", "s?token=a%2Fb%3D%25&x=%zz%", ["s", "a/b=%", "-", "-", "-"]),
    case("LiveApp", "", "s?token=a?b=c", ["s", "a?b=c", "-", "-", "-"]),
    case("LiveApp", "", "s?token=%ff", ["s", "%ff", "-", "-", "-"]),
    case("LiveApp", "", "s?token=a+b", ["s", "a+b", "-", "-", "-"]),
    // Names the gate will refuse arrive as they are.
    case("LiveApp", "", "we ird", ["we ird", "-", "-", "-", "-"]),
    case("LiveApp", "", "mp4:s", ["mp4:s", "-", "-", "-", "-"]),
    case("LiveApp", "", "a%20b", ["a b", "-", "-", "-", "-"]),
    case("Live%41pp", "", "s", ["s", "-", "-", "-", "-"]),
];

#[test]
fn every_form_of_the_url_is_understood() {
    for Case { app, tc_url, name, wanted } in CASES {
        let request = PublishRequest::read(app, tc_url, "", name).unwrap();
        let secret = |value: &Option<Secret>| value.as_ref().map_or("-".to_owned(), |it| it.expose().clone());
        let plain = |value: &Option<String>| value.clone().unwrap_or("-".to_owned());
        let read = [
            request.stream.clone(),
            secret(&request.token),
            plain(&request.subscriber_id),
            secret(&request.subscriber_code),
            plain(&request.main_track),
        ];
        assert_eq!(read, *wanted, "{app} + {name} ({tc_url})");
        assert_eq!(request.app.as_str(), "LiveApp");
    }
}

#[test]
fn all_parameters_are_kept_once() {
    let request = PublishRequest::read("a?k=1&token=T", "rtmp://h/a?k=1&token=T", "", "s?lone&k=2").unwrap();
    let pairs: Vec<_> =
        request.query.iter().map(|(key, value)| (key.as_str(), value.expose().as_str())).collect();
    assert_eq!(pairs, [("lone", ""), ("k", "2"), ("k", "1"), ("token", "T")]);
}

#[test]
fn what_names_no_application_or_too_many_parameters_is_refused() {
    for app in ["", "/", "?token=T", "a b/s", "ä", &"x".repeat(300)] {
        assert_eq!(PublishRequest::read(app, "", "", "s"), Err(UrlError::BadApplication), "{app}");
    }
    let pairs = |count: usize| (0..count).map(|index| format!("&k{index}=v")).collect::<String>();
    assert!(PublishRequest::read("a", "", "", &format!("s?{}", pairs(limits::RTMP_QUERY_PAIRS_MAX))).is_ok());
    assert_eq!(
        PublishRequest::read("a", "", "", &format!("s?{}", pairs(limits::RTMP_QUERY_PAIRS_MAX + 1))),
        Err(UrlError::TooManyParameters)
    );
}

#[test]
fn no_secret_is_shown_and_flash_ver_is_cut() {
    let request = PublishRequest::read(
        "a",
        "rtmp://h/a/s/hunter2",
        &"ä".repeat(1_000),
        "s/hunter2/u/hunter2?token=hunter2&hunter2",
    )
    .unwrap();
    assert!(!format!("{request:?}").contains("hunter2"));
    assert_eq!(request.flash_ver.len(), limits::RTMP_TEXT_BYTES_MAX);
}
