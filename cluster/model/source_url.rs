//! Addresses that a stream could be pulled from, by AMS's rules.

use std::net::Ipv4Addr;

const CAMERA_SCHEMES: [&str; 6] = ["http://", "https://", "rtmp://", "rtmps://", "srt://", "rtsp://"];
const SOURCE_SCHEMES: [&str; 8] =
    ["http://", "https://", "rtmp://", "rtmps://", "rtsps://", "rtsp://", "udp://", "srt://"];

/// Whether a `streamSource` could be pulled from `url`: its scheme is one AMS knows.
pub fn is_source_url(url: &str) -> bool {
    SOURCE_SCHEMES.iter().any(|scheme| url.starts_with(scheme))
}

/// Whether an `ipCamera` could have this address: a URL, or an IPv4 address with what may follow one.
pub(crate) fn is_camera_address(address: &str) -> bool {
    if CAMERA_SCHEMES.iter().any(|scheme| address.starts_with(scheme)) {
        return true;
    }
    let host = address.split_once('@').map_or(address, |(_, host)| host);
    host.split([':', '/', '?']).next().is_some_and(|host| host.parse::<Ipv4Addr>().is_ok())
}

/// `url`, which may be an address alone, without the name and the password in front of its host.
pub(crate) fn without_credentials(url: &str) -> String {
    let (scheme, rest) = url.find("://").map_or(("", url), |at| url.split_at(at + 3));
    let host_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let at = rest[..host_end].rfind('@').map_or(0, |at| at + 1);
    format!("{scheme}{}", &rest[at..])
}

/// `url` with `***` in the place of what follows the last `/` of its path.
pub(crate) fn without_key(url: &str) -> String {
    let path = url.find("://").map_or(0, |at| at + 3);
    let path_end = url[path..].find(['?', '#']).map_or(url.len(), |at| path + at);
    match url[path..path_end].rfind('/') {
        Some(at) => format!("{}/***", &url[..path + at]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_known_by_their_beginnings() {
        for good in ["http://a", "rtsps://a/b", "udp://239.0.0.1:5000"] {
            assert!(is_source_url(good), "{good}");
        }
        for bad in ["", "a", "file:///etc/passwd", "HTTP://a", "192.0.2.7"] {
            assert!(!is_source_url(bad), "{bad}");
        }
        for good in ["192.0.2.7", "192.0.2.7:8080/onvif", "u:p@192.0.2.7", "rtsp://camera"] {
            assert!(is_camera_address(good), "{good}");
        }
        for bad in ["", "camera", "192.0.2.300", "udp://192.0.2.7", "file:///x"] {
            assert!(!is_camera_address(bad), "{bad}");
        }
    }

    #[test]
    fn credentials_and_keys_are_taken_out_of_urls_and_nothing_else_is() {
        for (url, shown) in [
            ("rtsp://u:p@192.0.2.7:554/x?a=b@c", "rtsp://192.0.2.7:554/x?a=b@c"),
            ("rtsp://u:p@ss@camera", "rtsp://camera"),
            ("u:p@192.0.2.7", "192.0.2.7"),
            ("http://a/b@c", "http://a/b@c"),
            ("", ""),
        ] {
            assert_eq!(without_credentials(url), shown, "{url}");
        }
        for (url, shown) in [
            ("rtmp://a.example/live2/ab-cd", "rtmp://a.example/live2/***"),
            ("rtmp://a.example/live/k?x=/1", "rtmp://a.example/live/***"),
            ("rtmp://a.example", "rtmp://a.example"),
            ("srt://a.example?streamid=k", "srt://a.example?streamid=k"),
        ] {
            assert_eq!(without_key(url), shown, "{url}");
        }
    }
}
