//! Where a process spends its time on a processor, sampled by `perf`.

use std::collections::BTreeMap;
use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::process::Command;

/// Samples per second, off the beat of anything that happens a thousand times a second.
const RATE: &str = "997";
/// Functions that are named.
const FUNCTIONS: usize = 20;

/// Shares of the time of a process.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Samples {
    /// How many there are. Below a few thousand a percent is a guess.
    pub count: usize,
    /// Percent by what the time was for.
    pub parts: BTreeMap<Part, f64>,
    /// Percent by function, the largest first.
    pub functions: Vec<(String, f64)>,
}

/// What time was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The receivers' half of loopback, which runs in the sender's time: with a network card it is not there.
    KernelReceivers,
    /// From `sendmsg` to the device.
    KernelSending,
    /// `recvmsg`.
    KernelReceiving,
    /// `epoll_wait`, and going to sleep.
    KernelWaiting,
    /// Timers, page faults, interrupts.
    KernelRest,
    /// The cipher and its tag.
    Cipher,
    /// `memcpy` and its kin: most of it payload into the send buffer.
    Copying,
    /// The shard: who gets what when, headers, timers, ICE, RTCP.
    Shard,
    /// Sessions, ingest, rings, signalling.
    OursRest,
    /// Runtime, codecs, allocator, handshakes.
    Libraries,
}

impl Part {
    /// As the JSON has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KernelReceivers => "kernel: the receivers' half of loopback",
            Self::KernelSending => "kernel: sending",
            Self::KernelReceiving => "kernel: receiving",
            Self::KernelWaiting => "kernel: waiting",
            Self::KernelRest => "kernel: the rest",
            Self::Cipher => "cipher",
            Self::Copying => "copying",
            Self::Shard => "ours: the shard",
            Self::OursRest => "ours: the rest",
            Self::Libraries => "libraries",
        }
    }
}

impl serde::Serialize for Part {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Samples {
    /// Samples a process for some seconds.
    ///
    /// # Errors
    /// There is no `perf` (Debian: `linux-perf`), or it may not sample.
    pub async fn record(pid: u32, seconds: u64) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("perf.data");
        let recorded = Command::new("perf")
            // A clock, not a counter of the processor: virtual machines have none.
            .args(["record", "--event", "cpu-clock", "--freq", RATE, "--call-graph", "fp", "--pid"])
            .args([&pid.to_string(), "--output"])
            .arg(&data)
            .args(["--", "sleep", &seconds.to_string()])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .context("perf could not be started")?;
        ensure!(recorded.status.success(), "perf: {}", String::from_utf8_lossy(&recorded.stderr).trim());
        let script = Command::new("perf")
            .args(["script", "--fields", "ip,sym,dso", "--input"])
            .arg(&data)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .context("perf could not be started")?;
        ensure!(script.status.success(), "perf: {}", String::from_utf8_lossy(&script.stderr).trim());
        parse(&String::from_utf8_lossy(&script.stdout)).context("perf took no sample")
    }
}

struct Call<'a> {
    function: &'a str,
    in_kernel: bool,
}

/// A line is an address, a function and, in brackets, where it is from.
fn call(line: &str) -> Option<Call<'_>> {
    let (_, rest) = line.trim().split_once(' ')?;
    let (function, object) = rest.trim().rsplit_once(" (")?;
    Some(Call { function, in_kernel: object.starts_with("[kernel") })
}

fn part(stack: &[Call<'_>]) -> Option<Part> {
    let leaf = stack.first()?;
    let named = |words: &[&str]| words.iter().any(|word| leaf.function.contains(word));
    if !leaf.in_kernel {
        return Some(match () {
            () if named(&["ring_core", "ring::", "aes", "ghash", "Aead", "sha1", "hmac"]) => Part::Cipher,
            () if named(&["memcpy", "memmove"]) => Part::Copying,
            () if named(&["penstock_rtc"]) => Part::Shard,
            () if named(&["penstock_"]) => Part::OursRest,
            () => Part::Libraries,
        });
    }
    let through =
        |words: &[&str]| stack.iter().any(|call| words.iter().any(|word| call.function.contains(word)));
    Some(match () {
        () if through(&["net_rx_action"]) => Part::KernelReceivers,
        () if through(&["sendmsg", "sendmmsg", "sendto"]) => Part::KernelSending,
        () if through(&["recvmsg", "recvmmsg", "recvfrom"]) => Part::KernelReceiving,
        () if through(&["epoll_wait", "epoll_pwait", "schedule"]) => Part::KernelWaiting,
        () => Part::KernelRest,
    })
}

/// Samples are stacks, the innermost function first, with an empty line between.
fn parse(script: &str) -> Option<Samples> {
    let mut count = 0;
    let mut parts: BTreeMap<Part, usize> = BTreeMap::new();
    let mut functions: BTreeMap<String, usize> = BTreeMap::new();
    for sample in script.split("\n\n") {
        let stack: Vec<Call<'_>> = sample.lines().filter_map(call).collect();
        let (Some(leaf), Some(part)) = (stack.first(), part(&stack)) else { continue };
        count += 1;
        *parts.entry(part).or_default() += 1;
        let place = if leaf.in_kernel { " [kernel]" } else { "" };
        *functions.entry(format!("{}{place}", leaf.function)).or_default() += 1;
    }
    let percent = |samples: usize| samples as f64 * 100.0 / count as f64;
    let mut functions: Vec<(String, f64)> =
        functions.into_iter().map(|(function, samples)| (function, percent(samples))).collect();
    functions.sort_by(|a, b| b.1.total_cmp(&a.1));
    functions.truncate(FUNCTIONS);
    let parts = parts.into_iter().map(|(part, samples)| (part, percent(samples))).collect();
    (count > 0).then_some(Samples { count, parts, functions })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_told_apart_by_their_stacks() {
        let script = "\
            \n ffffffff1 _raw_spin_unlock_irqrestore ([kernel.kallsyms])\n ffffffff2 net_rx_action ([kernel.kallsyms])\n ffffffff3 __sys_sendmsg ([kernel.kallsyms])\n\n \
            ffffffff2 loopback_xmit ([kernel.kallsyms])\n ffffffff3 __sys_sendmsg ([kernel.kallsyms])\n\n \
            5566 <rtc_crypto::RingAead as rtc_crypto::AeadCipher>::seal_in_place (/bin/penstock)\n\n \
            5567 penstock_rtc::shard::send::send_live (/bin/penstock)\n\n";
        let samples = parse(script).unwrap();
        assert_eq!(samples.count, 4);
        let parts: Vec<(Part, f64)> = samples.parts.into_iter().collect();
        assert_eq!(
            parts,
            [
                (Part::KernelReceivers, 25.0),
                (Part::KernelSending, 25.0),
                (Part::Cipher, 25.0),
                (Part::Shard, 25.0)
            ]
        );
        assert!(samples.functions.iter().any(|(name, _)| name == "loopback_xmit [kernel]"));
        assert_eq!(parse(""), None);
    }
}
