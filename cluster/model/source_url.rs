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
}
