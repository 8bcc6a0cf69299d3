//! Binding every port before anything starts, so that a used one is told at once and by name.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::Path;

use anyhow::Context;
use config::NodeConfig;
use sessions::rtc::BoundPort;
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that wait in the kernel to be accepted.
const BACKLOG: i32 = 1024;

/// What the node listens on.
pub struct Listeners {
    /// Plain HTTP and WebSocket.
    pub http: Vec<TcpListener>,
    /// HTTPS and WSS.
    pub https: Vec<TcpListener>,
    /// RTMP; empty when switched off.
    pub rtmp: Vec<TcpListener>,
    /// Media over TCP.
    pub media_tcp: Vec<TcpListener>,
    /// One port per play shard.
    pub media: Vec<BoundPort>,
    /// Other nodes; empty when this one is alone.
    pub cluster: Vec<TcpListener>,
}

impl Listeners {
    /// Binds everything the configuration names.
    pub fn bind(config: &NodeConfig, shards: u16) -> anyhow::Result<Self> {
        let http = tcp("http.port", &config.http.bind_addresses, config.http.port)?;
        let https = tcp("http.https_port", &config.http.bind_addresses, config.http.https_port)?;
        let rtmp = if config.rtmp.enabled {
            tcp("rtmp.port", &config.rtmp.bind_addresses, config.rtmp.port)?
        } else {
            Vec::new()
        };
        let media_tcp = tcp("webrtc.tcp_port", &[], config.webrtc.tcp_port)?;
        let media = (0..shards)
            .map(|shard| {
                let port = match config.webrtc.udp_port_base {
                    0 => 0,
                    base => base
                        .checked_add(shard)
                        .context("webrtc.udp_port_base leaves no room for all shards")?,
                };
                BoundPort::bind(port).map_err(|error| used("webrtc.udp_port_base", "UDP", port, error))
            })
            .collect::<anyhow::Result<_>>()?;
        let cluster = if config.cluster.enabled {
            tcp("cluster.port", &config.cluster.bind_addresses, config.cluster.port)?
        } else {
            Vec::new()
        };
        Ok(Self { http, https, rtmp, media_tcp, media, cluster })
    }
}

/// Where the node can be reached, for scripts: `endpoints.json` in the data folder.
pub struct Ports {
    /// Plain HTTP and WebSocket.
    pub http: u16,
    /// HTTPS and WSS.
    pub https: u16,
    /// RTMP; 0 when switched off.
    pub rtmp: u16,
    /// Media over TCP.
    pub media_tcp: u16,
    /// Of each play shard.
    pub media: Vec<u16>,
}

impl Ports {
    /// Those that were bound.
    pub fn of(listeners: &Listeners) -> Self {
        Self {
            http: port(&listeners.http),
            https: port(&listeners.https),
            rtmp: port(&listeners.rtmp),
            media_tcp: port(&listeners.media_tcp),
            media: listeners.media.iter().map(BoundPort::port).collect(),
        }
    }

    /// Writes them down.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let text = serde_json::json!({
            "http": format!("http://127.0.0.1:{}", self.http),
            "https": format!("https://127.0.0.1:{}", self.https),
            "rtmp": format!("rtmp://127.0.0.1:{}", self.rtmp),
            "media_udp_ports": self.media,
            "media_tcp_port": self.media_tcp,
            "pid": std::process::id(),
        });
        // Renamed into place: whoever sees the file sees all of it.
        let (file, new) = (folder.join("endpoints.json"), folder.join("endpoints.json.new"));
        std::fs::write(&new, text.to_string())
            .and_then(|()| std::fs::rename(&new, &file))
            .with_context(|| format!("{} cannot be written", file.display()))
    }
}

/// The port all of these listen on.
pub fn port(listeners: &[TcpListener]) -> u16 {
    listeners.first().and_then(|listener| listener.local_addr().ok()).map_or(0, |address| address.port())
}

/// Listens on one port of several addresses (none: all the machine has); 0: any that is free.
fn tcp(key: &str, addresses: &[IpAddr], port: u16) -> anyhow::Result<Vec<TcpListener>> {
    const ALL: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let addresses = if addresses.is_empty() { &ALL } else { addresses };
    let mut listeners = Vec::new();
    let mut port = port;
    for address in addresses {
        let bound = listen(SocketAddr::new(*address, port));
        match bound {
            Ok(listener) => {
                port = listener.local_addr()?.port();
                listeners.push(listener);
            }
            // A machine without IPv6 listens on IPv4 alone.
            Err(error)
                if address.is_ipv6()
                    && !listeners.is_empty()
                    && matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::Unsupported) => {}
            Err(error) => return Err(used(key, "TCP", port, error)),
        }
    }
    Ok(listeners)
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restarted node must not wait for its old connections to time out.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn used(key: &str, protocol: &str, port: u16, error: std::io::Error) -> anyhow::Error {
    let variable = format!("PENSTOCK_{}", key.replace('.', "_").to_uppercase());
    let what = match error.kind() {
        ErrorKind::AddrInUse => format!(
            "{protocol} port {port} is in use by another program: end it, or give another port with {key} in \
             penstock.toml or {variable}"
        ),
        ErrorKind::PermissionDenied => {
            format!(
                "{protocol} port {port} needs more rights: give a port above 1023 with {key} or {variable}"
            )
        }
        _ => format!("{protocol} port {port} ({key}) cannot be bound"),
    };
    anyhow::Error::new(error).context(what)
}
