//! The way of a viewer to a relay: other addresses in the node's offer.

use std::net::SocketAddr;

use serde_json::json;

/// Leads viewers to a relay instead of to the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detour {
    /// The node's media port. Candidates of other ports stay as they are.
    pub(super) node_port: u16,
    /// Where the relay listens.
    pub(super) relay: SocketAddr,
}

impl Detour {
    /// An offer, or a candidate line, with the relay's address in the UDP candidates of the node's port.
    pub fn rewrite(&self, offer: &str) -> String {
        offer.split_inclusive('\n').map(|line| self.rewrite_line(line)).collect()
    }

    fn rewrite_line(&self, line: &str) -> String {
        let mut words: Vec<&str> = line.split(' ').collect();
        let (ip, port) = (self.relay.ip().to_string(), self.relay.port().to_string());
        match words.as_mut_slice() {
            // RFC 8839 5.1: foundation, component, transport, priority, address, port.
            [first, _, transport, _, address, of, "typ", ..]
                if first.trim_start_matches("a=").starts_with("candidate:")
                    && transport.eq_ignore_ascii_case("udp")
                    && of.parse() == Ok(self.node_port) =>
            {
                (*address, *of) = (&ip, &port);
                words.join(" ")
            }
            _ => line.to_owned(),
        }
    }

    /// What a page has to run before its own scripts, so that its connections take the detour.
    pub fn script(&self) -> String {
        let values = json!({
            "node": self.node_port.to_string(),
            "ip": self.relay.ip().to_string(),
            "port": self.relay.port().to_string(),
        });
        format!("(({{ node, ip, port }}) => {{{DETOUR}}})({values});")
    }
}

/// The address of a UDP candidate line of an offer.
pub(super) fn udp_candidate(line: &str) -> Option<SocketAddr> {
    let words: Vec<&str> = line.strip_prefix("a=candidate:")?.split(' ').collect();
    let (transport, ip, port) = (words.get(2)?, words.get(4)?, words.get(5)?);
    if !transport.eq_ignore_ascii_case("udp") {
        return None;
    }
    Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?))
}

const DETOUR: &str = r#"
  const line = new RegExp(`(candidate:\\S+ \\d+ udp \\d+) \\S+ ${node} typ`, "gi");
  const rewrite = (text) => text?.replace(line, `$1 ${ip} ${port} typ`);
  const { setRemoteDescription, addIceCandidate } = RTCPeerConnection.prototype;
  RTCPeerConnection.prototype.setRemoteDescription = function ({ type, sdp }) {
    return setRemoteDescription.call(this, { type, sdp: rewrite(sdp) });
  };
  RTCPeerConnection.prototype.addIceCandidate = function (candidate) {
    if (!candidate) return addIceCandidate.call(this, candidate);
    const { candidate: text, sdpMid, sdpMLineIndex, usernameFragment } = candidate;
    return addIceCandidate.call(this, { candidate: rewrite(text), sdpMid, sdpMLineIndex, usernameFragment });
  };
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_udp_candidates_of_the_nodes_port_change() {
        let detour = Detour { node_port: 7_000, relay: "127.0.0.1:9".parse().unwrap() };
        let offer = "m=video 7000 RTP\r\na=candidate:1 1 udp 5 10.0.0.1 7000 typ host\r\n\
                     a=candidate:2 1 UDP 4 fe80::1 7000 typ host generation 0\r\n\
                     a=candidate:3 1 tcp 5 10.0.0.1 7000 typ host\r\na=candidate:4 1 udp 5 10.0.0.1 7001 typ host\r\n";
        let expected = "m=video 7000 RTP\r\na=candidate:1 1 udp 5 127.0.0.1 9 typ host\r\n\
                        a=candidate:2 1 UDP 4 127.0.0.1 9 typ host generation 0\r\n\
                        a=candidate:3 1 tcp 5 10.0.0.1 7000 typ host\r\na=candidate:4 1 udp 5 10.0.0.1 7001 typ host\r\n";
        assert_eq!(detour.rewrite(offer), expected);
        assert_eq!(
            detour.rewrite("candidate:1 1 udp 5 ::1 7000 typ host"),
            "candidate:1 1 udp 5 127.0.0.1 9 typ host"
        );
    }
}
