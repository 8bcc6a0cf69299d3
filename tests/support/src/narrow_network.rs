//! A network namespace that is reached over a narrow line: what the kernel does, not what we say it does.

use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Number of the next namespace of this process.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// Networks of four addresses in 198.18.0.0/15, the range for tests of devices (RFC 2544).
const NETWORKS: u32 = 1 << 15;

/// Why there is no such network: the machine cannot make one, or we may not.
#[derive(Debug)]
pub struct NetworkError(String);

impl std::fmt::Display for NetworkError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NetworkError {}

/// How narrow the line into the namespace is, in the words of `tc` (tc-tbf(8)).
#[derive(Clone, Copy, Debug)]
pub struct Bottleneck<'a> {
    /// Such as `5mbit`.
    pub rate: &'a str,
    /// Bytes that may go at once, such as `16kb`.
    pub burst: &'a str,
    /// Bytes that wait before more are dropped, such as `256kb`.
    pub limit: &'a str,
}

/// A network namespace with one link to ours. Dropping it removes both.
pub struct NarrowNetwork {
    name: String,
    link: String,
    outside: Ipv4Addr,
}

impl NarrowNetwork {
    /// Makes a namespace; what goes into it passes the bottleneck, what comes out does not.
    ///
    /// # Errors
    /// Not root, no `ip` or `tc`, or a kernel without network namespaces, veth or tbf.
    pub fn new(bottleneck: Bottleneck<'_>) -> Result<Self, NetworkError> {
        let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let index = process.wrapping_mul(4).wrapping_add(number) % NETWORKS;
        let first = u32::from(Ipv4Addr::new(198, 18, 0, 0)) + 4 * index;
        let (outside, inside) = (Ipv4Addr::from(first + 1), Ipv4Addr::from(first + 2));
        let name = format!("penstock-{process}-{number}");
        // A name of a link has 15 characters at most.
        let (link, peer) = (format!("ps{process}-{number}a"), format!("ps{process}-{number}b"));
        run("ip", &["netns", "add", &name])?;
        // From here on its end removes what was made, whatever fails.
        let network = Self { name, link, outside };
        let (name, link) = (&network.name, &network.link);
        run("ip", &["link", "add", link, "type", "veth", "peer", "name", &peer, "netns", name])?;
        run("ip", &["address", "add", &format!("{outside}/30"), "dev", link])?;
        run("ip", &["link", "set", link, "up"])?;
        run("ip", &["-n", name, "address", "add", &format!("{inside}/30"), "dev", &peer])?;
        run("ip", &["-n", name, "link", "set", &peer, "up"])?;
        run("ip", &["-n", name, "link", "set", "lo", "up"])?;
        let Bottleneck { rate, burst, limit } = bottleneck;
        let shaper =
            ["qdisc", "add", "dev", link, "root", "tbf", "rate", rate, "burst", burst, "limit", limit];
        run("tc", &shaper)?;
        Ok(network)
    }

    /// Our address on the link: where those inside reach us.
    pub const fn outside(&self) -> Ipv4Addr {
        self.outside
    }

    /// What to put before a command so that it runs inside.
    pub fn launcher(&self) -> Vec<String> {
        ["ip", "netns", "exec", &self.name].map(str::to_owned).to_vec()
    }

    /// Takes the line away: whoever is inside is gone without a word.
    ///
    /// # Errors
    /// `ip` failed.
    pub fn cut(&self) -> Result<(), NetworkError> {
        run("ip", &["link", "set", &self.link, "down"]).map(|_| ())
    }

    /// Gives the line back.
    ///
    /// # Errors
    /// `ip` failed.
    pub fn mend(&self) -> Result<(), NetworkError> {
        run("ip", &["link", "set", &self.link, "up"]).map(|_| ())
    }

    /// What `tc` says went over the bottleneck, and what it dropped.
    ///
    /// # Errors
    /// `tc` failed.
    pub fn traffic(&self) -> Result<String, NetworkError> {
        run("tc", &["-s", "qdisc", "show", "dev", &self.link])
    }
}

impl Drop for NarrowNetwork {
    fn drop(&mut self) {
        // Where the making failed half way, a part is not there.
        let _ = run("ip", &["link", "delete", &self.link]);
        let _ = run("ip", &["netns", "delete", &self.name]);
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<String, NetworkError> {
    let command = || format!("{program} {}", arguments.join(" "));
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| NetworkError(format!("{}: {error}", command())))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(NetworkError(format!("{}: {}", command(), said.trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::skipped;

    #[test]
    fn it_is_there_while_it_is_held_and_gone_afterwards() {
        let bottleneck = Bottleneck { rate: "5mbit", burst: "16kb", limit: "256kb" };
        let network = match NarrowNetwork::new(bottleneck) {
            Ok(network) => network,
            Err(error) => return skipped("narrow_network", &error.to_string()),
        };
        assert!(network.traffic().unwrap().contains("tbf"));
        let (name, link) = (network.name.clone(), network.link.clone());
        let inside = network.launcher();
        let outside = network.outside().to_string();
        let route =
            Command::new(&inside[0]).args(&inside[1..]).args(["ip", "route", "get", &outside]).output();
        assert!(route.unwrap().status.success());
        drop(network);
        assert!(!run("ip", &["netns", "list"]).unwrap().contains(&name));
        assert!(run("ip", &["link", "show", &link]).is_err());
    }

    #[test]
    fn a_machine_that_cannot_says_why_and_keeps_nothing() {
        let before = run("ip", &["netns", "list"]);
        let error =
            NarrowNetwork::new(Bottleneck { rate: "no rate", burst: "1kb", limit: "1kb" }).err().unwrap();
        assert!(!error.to_string().is_empty());
        let ours = format!("penstock-{}-", std::process::id());
        let count = |list: String| list.matches(&ours).count();
        if let (Ok(before), Ok(after)) = (before, run("ip", &["netns", "list"])) {
            assert!(count(after) <= count(before) + 1, "the other test may hold one");
        }
    }
}
