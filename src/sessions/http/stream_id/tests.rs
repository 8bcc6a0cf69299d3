use super::*;

/// Paths and whose they are, as AMS's own tests have them; `-`: nobody's.
const CASES: &[(&str, &str)] = &[
    // Playlists.
    ("/liveapp/streams/streamId.m3u8", "streamId"),
    ("/liveapp/streams/streamId_adaptive.m3u8", "streamId"),
    ("/liveapp/streams/streamId_underline_test.m3u8", "streamId_underline_test"),
    ("/liveapp/streams/subfolder/stream_Id_underline_test_240p.m3u8", "stream_Id_underline_test"),
    ("/liveapp/streams/stream_Id_underline_test_500kbps.m3u8", "stream_Id_underline_test"),
    ("/liveapp/streams/subfolder/stream_Id_underline_test_480p300kbps.m3u8", "stream_Id_underline_test"),
    ("/liveapp/streams/test_streamId_davut_adaptive.m3u8", "test_streamId_davut"),
    ("/live_app/streams/test_test_streamId_adaptive.m3u8", "test_test_streamId"),
    ("/live_app/streams/test_test_streamId.m3u8", "test_test_streamId"),
    ("/liveapp/streams/streamId_240p.m3u8", "streamId"),
    ("/liveapp/streams/streamId_300kbps.m3u8", "streamId"),
    ("/liveapp/streams/streamId_240p300kbps.m3u8", "streamId"),
    ("/live_app/streams/test_test_streamId_240p.m3u8", "test_test_streamId"),
    ("/live_app/streams/test_test_streamId_240p300kbps.m3u8", "test_test_streamId"),
    ("/live_app/streams/test_test_streamId_300kbps.m3u8", "test_test_streamId"),
    ("/LiveApp/streams/stream_p.m3u8", "stream_p"),
    ("/LiveApp/streams/stream_kbps.m3u8", "stream_kbps"),
    ("/LiveApp/streams/stream_35.m3u8", "stream_35"),
    ("/LiveApp/streams/stream123456789.m3u8", "stream123456789"),
    // Low latency, and ids that end in `_`.
    ("/LiveApp/streams/ll-hls/stream1/stream1__master.m3u8", "stream1"),
    ("/LiveApp/streams/ll-hls/stream1/480/stream1__lowlatency.m3u8", "stream1"),
    ("/LiveApp/streams/stream1___240p500kbps.m3u8", "stream1_"),
    ("/LiveApp/streams/stream1__240p500kbps.m3u8", "stream1_"),
    ("/LiveApp/streams/stream1__500kbps000000001.ts", "stream1_"),
    ("/LiveApp/streams/stream1___adaptive.m3u8", "stream1__"),
    ("/LiveApp/streams/stream1_.m3u8", "stream1_"),
    ("/LiveApp/streams/subfolder/ll-hls/stream1__lowlatency.m3u8", "stream1"),
    ("/LiveApp/streams/subfolder/ll-hls/stream1/stream1__anything.ts", "stream1"),
    ("/LiveApp/streams/subfolder/ll-hls/stream1/stream1_anything.ts", "-"),
    ("/streams/streamId_oG1q04IqJ__720p2000kbps.m3u8", "streamId_oG1q04IqJ_"),
    ("/streams/streamId_QBmxJHmjO__720p2000kbps000000266.ts", "streamId_QBmxJHmjO_"),
    // Segments.
    ("/liveapp/streams/streamId000000000.ts", "streamId"),
    ("/liveapp/streams/streamId000000017.fmp4", "streamId"),
    ("/liveapp/streams/streamId_240p300kbps000000001.ts", "streamId"),
    ("/liveapp/streams/streamId_240p300kbps000000001.fmp4", "streamId"),
    ("/liveapp/streams/streamId_240p000000001.ts", "streamId"),
    ("/liveapp/streams/streamId_300kbps000000001.ts", "streamId"),
    ("/liveapp/streams/test_test_streamId_240p300kbps000000001.ts", "test_test_streamId"),
    ("/liveapp/streams/test_test_streamId000000001.ts", "test_test_streamId"),
    ("/liveapp/streams/streamId_0p0000.ts", "streamId"),
    ("/liveapp/streams/streamId_240p0000.ts", "streamId"),
    ("/liveapp/streams/streamId_240p300kbps0000.ts", "streamId"),
    ("/liveapp/streams/test_test_streamId_0p0000.ts", "test_test_streamId"),
    ("/liveapp/streams/test_test_streamId_240p0000.ts", "test_test_streamId"),
    ("/liveapp/streams/streamId0000.ts", "streamId"),
    ("/LiveApp/streams/monstercat060218000.ts", "monstercat"),
    ("/LiveApp/streams/stream1.ts", "-"),
    ("/LiveApp/streams/stream0001.fmp4", "-"),
    ("/LiveApp/streams/000000001.ts", "-"),
    // Recordings.
    ("/liveapp/streams/streamId.mp4", "streamId"),
    ("/liveapp/streams/streamId.webm", "streamId"),
    ("/liveapp/streams/streamId.mp3", "streamId"),
    ("/liveapp/streams/streamId_1.mp4", "streamId"),
    ("/liveapp/streams/streamId_12.webm", "streamId"),
    ("/liveapp/streams/streamId_480p.mp4", "streamId"),
    ("/liveapp/streams/streamId_480p_1.mp4", "streamId"),
    ("/liveapp/streams/streamId_480p500kbps.mp4", "streamId"),
    ("/liveapp/streams/streamId_480p500kbps_1.mp4", "streamId"),
    ("/liveapp/streams/streamId_500kbps_2.mp4", "streamId"),
    ("/liveapp/streams/streamId_480p500kbps.webm", "streamId"),
    ("/live_app/streams/test_test_streamId.mp4", "test_test_streamId"),
    ("/liveapp/streams/test_test_streamId_1.mp4", "test_test_streamId"),
    ("/liveapp/streams/test_test_streamId_480p_1.mp4", "test_test_streamId"),
    ("/liveapp/streams/streamId-2021-05-18_11-26-26.842.mp4", "streamId"),
    ("/liveapp/streams/streamId-2021-05-18_11-26-26.842_240p500kbps.mp4", "streamId"),
    ("/liveapp/streams/streamId-2021-05-18_11-26-26.842_240p.mp4", "streamId"),
    ("/liveapp/streams/streamId_underline_test-2021-05-18_11-26-26.842.mp4", "streamId_underline_test"),
    (
        "/liveapp/streams/streamId_underline_test-2021-05-18_11-26-26.842_360p500kbps.mp4",
        "streamId_underline_test",
    ),
    ("/liveapp/streams/test-test-streamId-2021-05-18_11-26-26.842.mp4", "test-test-streamId"),
    ("/liveapp/streams/541211332342978513714151.mp4", "541211332342978513714151"),
    ("/liveapp/streams/541211332342978513714151_480p_1.mp4", "541211332342978513714151"),
    ("/liveapp/streams/s_kedi_adaptive_123_480p600kbps_1.mp4", "s_kedi_adaptive_123"),
    ("/liveapp/streams/subfolder/s_kedi_adaptive_12.webm", "s_kedi_adaptive"),
    ("/liveapp/streams/streamId-2021-12-26_19-13-39.524_240p500kbps.webm", "streamId"),
    // Its quirk: a number behind a `_` anywhere has all behind the last `_` cut off.
    ("/LiveApp/streams/stream_35.mp4", "stream"),
    ("/LiveApp/streams/cam_1_main.mp4", "cam_1"),
    ("/LiveApp/streams/cam_main.mp4", "cam_main"),
    // Folders.
    ("/LiveApp/streams/sub/folder/streamId.m3u8", "streamId"),
    ("/LiveApp/streams/sub/streamId_adaptive.m3u8", "streamId"),
    ("/LiveApp/streams/sub/streamId_240p300kbps000000001.ts", "streamId"),
    ("/LiveApp/streams/sub/streamId_1.mp4", "streamId"),
    ("/LiveApp/streams/streamId/streamId.mpd", "streamId"),
    ("/LiveApp/streams/streamId/streamId_0segment00001.m4s", "streamId"),
    ("/LiveApp/streams/sub/streamId/streamId.mpd", "sub/streamId"),
    ("/LiveApp/streams/drm/streamId/master.mpd", "streamId"),
    ("/LiveApp/streams/drm/streamId/master.m3u8", "streamId"),
    ("/LiveApp/chunked/streamId/master.m3u8", "streamId"),
    ("/LiveApp/chunked/streamId/media_1.m3u8", "streamId"),
    ("/LiveApp/streams/chunked/streamId/media_1.m3u8", "streamId"),
    ("chunked/streamId/master.m3u8", "streamId"),
    // Nobody's.
    ("/liveapp/streams/streamId.u8", "-"),
    ("/liveapp/streams/x.txt", "-"),
    ("/liveapp/streams/", "-"),
    ("/liveapp/streams", "-"),
    ("/liveapp/streams/.m3u8", "-"),
    ("/liveapp/streams/_adaptive.m3u8", "-"),
    ("/liveapp/streams/streamId.m3u8/", "-"),
    ("/liveapp/streams/streamId.mpd", "-"),
    ("", "-"),
    // Hazards, as AMS has them.
    ("/LiveApp/streams/mystreams.m3u8", "mystreams"),
    ("/LiveApp/streams/m4sful/a.m3u8", "m4sful"),
    ("/streamsApp/streams/a/b.m3u8", "b"),
];

#[test]
fn every_case_of_ams_is_understood_as_it_does() {
    for (path, wanted) in CASES {
        let id = stream_id_of_path(path, "%09d");
        assert_eq!(id.unwrap_or("-"), *wanted, "{path}");
    }
    assert!(CASES.len() >= 80, "{}", CASES.len());
}

#[test]
fn segments_may_be_named_as_the_setting_says() {
    let id = |name: &str, format: &str| {
        let path = format!("/LiveApp/streams/{name}.ts");
        stream_id_of_path(&path, format).map(str::to_owned)
    };
    let id = |name, format| id(name, format).unwrap_or_else(|| "-".to_owned());
    assert_eq!(id("stream1202401311700000000", "%Y%m%d%s"), "stream1");
    assert_eq!(id("stream1_240p300kbps202401311700000000", "%Y%m%d%s"), "stream1");
    assert_eq!(id("stream1-24-1700000000", "-%y-%s"), "stream1");
    assert_eq!(id("stream1000042", "%06d"), "stream1");
    for (name, format) in [
        ("s_240p300kbps-20250310-1741579422", "-%Y%m%d-%s"),
        ("s_240p300kbpsx20250310#1741579422", "x%Y%m%d#%s"),
        ("s_240p300kbps-0310-1741579422", "-%m%d-%s"),
        ("s_240p300kbps-10-1741579422", "-%d-%s"),
        ("s_240p300kbps-1741579422", "-%s"),
        ("s_240p300kbps1741579422", "%s"),
        ("s_240p300kbps000000003", "%9d"),
        ("s-1741579422", "-%s"),
    ] {
        assert_eq!(id(name, format), "s", "{name} {format}");
    }
    // What always counted still does.
    assert_eq!(id("stream1000000042", "%Y%m%d%s"), "stream1");
    assert_eq!(id("stream1", "%Y%m%d%s"), "-");
    assert_eq!(id("stream1x", ""), "-");
    assert_eq!(id("stream1", "%099999999999999999999d"), "-");
}

#[test]
fn a_long_path_is_nobodys() {
    let path = format!("/LiveApp/streams/{}.m3u8", "a".repeat(limits::MEDIA_PATH_BYTES_MAX));
    assert_eq!(stream_id_of_path(&path, ""), None);
}

#[test]
fn nothing_makes_it_panic() {
    for (path, _) in CASES {
        for cut in 0..path.len() {
            fuzz(&path.as_bytes()[..cut]);
            fuzz(&[&path.as_bytes()[cut..], "\0%Y%m%d%s\u{e4}%".as_bytes()].concat());
            fuzz(
                &[&path.as_bytes()[..cut], "\u{20ac}_\u{1f600}__".as_bytes(), &path.as_bytes()[cut..]]
                    .concat(),
            );
        }
    }
}
