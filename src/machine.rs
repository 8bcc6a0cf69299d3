//! What the machine must give a node: checked at start, and said where it falls short.

use sessions::rtc::{BoundPort, SOCKET_BUFFER_BYTES};

/// Open files a node with some thousand connections needs.
const OPEN_FILES_WANTED: u64 = 65_536;

/// Raises the open-file limit as far as it goes.
pub fn open_files() {
    match rlimit::increase_nofile_limit(OPEN_FILES_WANTED) {
        Ok(limit) if limit < OPEN_FILES_WANTED => tracing::warn!(
            limit,
            wanted = OPEN_FILES_WANTED,
            "few open files are allowed: raise `ulimit -n` (or LimitNOFILE of the service) for more connections"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the open-file limit could not be read"),
    }
}

/// Says whether the kernel granted the UDP buffers asked for.
pub fn udp_buffers(ports: &[BoundPort]) {
    let Some(port) = ports.first() else { return };
    match port.buffer_bytes() {
        Ok((receive, send)) if receive < SOCKET_BUFFER_BYTES || send < SOCKET_BUFFER_BYTES => tracing::warn!(
            receive,
            send,
            wanted = SOCKET_BUFFER_BYTES,
            "small UDP buffers: many viewers may lose packets; raise them with \
             `sysctl -w net.core.rmem_max={SOCKET_BUFFER_BYTES} net.core.wmem_max={SOCKET_BUFFER_BYTES}`"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the UDP buffers could not be read"),
    }
}

/// As many as configured; one per core where that is 0.
pub fn per_core(configured: u16) -> u16 {
    if configured > 0 {
        return configured;
    }
    std::thread::available_parallelism().map_or(1, |cores| u16::try_from(cores.get()).unwrap_or(u16::MAX))
}

/// What the machine is called.
pub fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}
