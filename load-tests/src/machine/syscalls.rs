//! System calls of a process, counted by the kernel's trace points through `perf`.

use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::process::Command;

/// How long is counted, seconds. Counting takes a few percent of a busy node, so it has a second of its own.
const SECONDS: &str = "1";
const ALL: &str = "raw_syscalls:sys_enter";
const SENDS: [&str; 3] =
    ["syscalls:sys_enter_sendmsg", "syscalls:sys_enter_sendmmsg", "syscalls:sys_enter_sendto"];
const RECEIVES: [&str; 3] =
    ["syscalls:sys_enter_recvmsg", "syscalls:sys_enter_recvmmsg", "syscalls:sys_enter_recvfrom"];
const WAITS: [&str; 3] =
    ["syscalls:sys_enter_epoll_wait", "syscalls:sys_enter_epoll_pwait", "syscalls:sys_enter_epoll_pwait2"];

/// System calls per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Syscalls {
    /// All.
    pub all: u64,
    /// `sendmsg`, `sendmmsg` and `sendto`: one may carry sixteen packets.
    pub sends: u64,
    /// `recvmsg`, `recvmmsg` and `recvfrom`.
    pub receives: u64,
    /// `epoll_wait` and its kin.
    pub waits: u64,
}

impl Syscalls {
    /// Counts for a second.
    ///
    /// # Errors
    /// There is no `perf` (Debian: `linux-perf`), or it may not count: that takes root, or
    /// `kernel.perf_event_paranoid` at -1.
    pub async fn count(pid: u32) -> anyhow::Result<Self> {
        let events = [&[ALL][..], &SENDS, &RECEIVES, &WAITS].concat().join(",");
        let output = Command::new("perf")
            .args(["stat", "--field-separator", ",", "--event", &events, "--pid", &pid.to_string()])
            .args(["--", "sleep", SECONDS])
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .context("perf could not be started")?;
        let text = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "perf: {}", text.trim());
        parse(&text).with_context(|| format!("perf did not count: {}", text.trim()))
    }
}

fn parse(text: &str) -> Option<Syscalls> {
    let of = |event: &str| {
        text.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            (fields.get(2) == Some(&event)).then(|| fields.first()?.parse::<u64>().ok())?
        })
    };
    let sum = |events: [&str; 3]| events.into_iter().filter_map(of).sum();
    Some(Syscalls { all: of(ALL)?, sends: sum(SENDS), receives: sum(RECEIVES), waits: sum(WAITS) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_perf_writes_is_read() {
        let text = "109,,raw_syscalls:sys_enter,1231,100.00,88.1,K/sec\n\
                    70,,syscalls:sys_enter_sendmsg,1231,100.00,,\n5,,syscalls:sys_enter_sendto,1231,100.00,,\n\
                    <not supported>,,syscalls:sys_enter_recvmsg,0,100.00,,\n9,,syscalls:sys_enter_epoll_wait,1,100.00,,\n";
        assert_eq!(parse(text), Some(Syscalls { all: 109, sends: 75, receives: 0, waits: 9 }));
        assert_eq!(parse("<not counted>,,raw_syscalls:sys_enter,0,,,\n"), None);
        assert_eq!(parse("event syntax error"), None);
    }
}
