//! `penstock subscriber`.

use std::fmt::Write;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use base::{Randomness, SystemRandomness};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::ask::{Node, part};
use super::{Direction, Output, Stream};

/// Letters of a secret that is made: 160 bits, as RFC 4226 wants them.
const SECRET_LETTERS: usize = 32;

/// About subscribers.
#[derive(Subcommand)]
pub enum SubscriberCommand {
    /// Register a subscriber, or replace what is said of it.
    Add {
        #[command(flatten)]
        who: Who,
        /// What it may do; who may publish may also play.
        #[arg(long = "type", value_enum, default_value = "play")]
        direction: Direction,
        /// What it is called.
        #[arg(long)]
        name: Option<String>,
        /// A file with its secret in Base32; "-" reads it from the standard input.
        #[arg(long, conflicts_with = "new_secret")]
        secret_file: Option<PathBuf>,
        /// Make a secret and print it. It is shown this once.
        #[arg(long)]
        new_secret: bool,
        /// Connections it may have at a time.
        #[arg(long, default_value_t = 1)]
        connections: u32,
        /// How long each of its codes is the one, in seconds; else as the application says.
        #[arg(long)]
        period: Option<u32>,
    },
    /// List the subscribers of a stream, 250 at a time.
    List {
        #[command(flatten)]
        stream: Stream,
        /// So many are passed over.
        #[arg(long, default_value_t = 0)]
        offset: u32,
        #[command(flatten)]
        output: Output,
    },
    /// Keep a subscriber out for a time, registered or not; what it watches or sends ends.
    Block {
        #[command(flatten)]
        who: Who,
        /// For so long.
        #[arg(long, default_value_t = 3_600)]
        seconds: u32,
        /// What it may not do.
        #[arg(long = "type", value_enum, default_value = "publish-play")]
        kind: Kind,
    },
    /// Let a subscriber in again.
    Unblock {
        #[command(flatten)]
        who: Who,
    },
    /// Delete a subscriber.
    Delete {
        #[command(flatten)]
        who: Who,
    },
    /// Print the code of a subscriber as it is now.
    Code {
        #[command(flatten)]
        who: Who,
        /// Matters where the secret is the application's.
        #[arg(long = "type", value_enum, default_value = "play")]
        direction: Direction,
    },
}

/// The subscriber that is meant.
#[derive(Args)]
pub struct Who {
    #[command(flatten)]
    stream: Stream,
    /// Its id.
    subscriber: String,
}

impl Who {
    fn path(&self) -> String {
        format!("{}/subscribers/{}", self.stream.path(), part(&self.subscriber))
    }

    fn block(&self, node: &Node, seconds: u32, kind: Kind) -> anyhow::Result<()> {
        let path = format!("{}/block/{seconds}/{}", self.path(), kind.as_str());
        node.send("PUT", &path, &[], &Value::Null).map(drop)
    }
}

/// What is blocked.
#[derive(Clone, Copy, ValueEnum)]
pub enum Kind {
    /// Watching.
    Play,
    /// Sending.
    Publish,
    /// Both.
    PublishPlay,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Play => "play",
            Self::Publish => "publish",
            Self::PublishPlay => "publish_play",
        }
    }
}

/// Runs a command about subscribers.
pub fn run(command: &SubscriberCommand, node: &Node) -> anyhow::Result<String> {
    match command {
        SubscriberCommand::Add { who, direction, name, secret_file, new_secret, connections, period } => {
            let secret = match secret_file {
                Some(file) => Some(read_secret(file)?),
                None => new_secret.then(|| make_secret(&SystemRandomness)),
            };
            let body = json!({
                "subscriberId": who.subscriber,
                "subscriberName": name,
                "type": direction.as_str(),
                "b32Secret": secret,
                "concurrentConnectionsLimit": connections,
                "totpExpiryPeriodSeconds": period,
            });
            node.send("POST", &format!("{}/subscribers", who.stream.path()), &[], &body)?;
            Ok(match secret.filter(|_| *new_secret) {
                Some(secret) => format!("{secret}\n"),
                None => "the subscriber is registered\n".to_owned(),
            })
        }
        SubscriberCommand::List { stream, offset, output } => {
            let list = node.get(&format!("{}/subscribers/list/{offset}/250", stream.path()))?;
            Ok(output.of(&list, listed))
        }
        SubscriberCommand::Block { who, seconds, kind } => {
            who.block(node, *seconds, *kind)?;
            Ok(match seconds {
                0 => "the subscriber is blocked no longer\n".to_owned(),
                seconds => format!("the subscriber is blocked for {seconds} seconds\n"),
            })
        }
        SubscriberCommand::Unblock { who } => {
            who.block(node, 0, Kind::PublishPlay)?;
            Ok("the subscriber is blocked no longer\n".to_owned())
        }
        SubscriberCommand::Delete { who } => {
            node.delete(&who.path())?;
            Ok("the subscriber is deleted\n".to_owned())
        }
        SubscriberCommand::Code { who, direction } => {
            let code = node.get(&format!("{}/totp?type={}", who.path(), direction.as_str()))?;
            Ok(format!("{}\n", code["dataId"].as_str().context("the node gave no code")?))
        }
    }
}

fn read_secret(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).context("the standard input cannot be read")?;
    } else {
        text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    }
    Ok(text.trim().to_owned())
}

fn make_secret(randomness: &dyn Randomness) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut bytes = [0; SECRET_LETTERS];
    randomness.fill(&mut bytes);
    // As many letters as a power of two has values: none is likelier than another.
    bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}

fn listed(list: &Value) -> String {
    let mut text = String::new();
    for subscriber in list.as_array().into_iter().flatten() {
        let of = |key: &str| subscriber[key].as_str().unwrap_or_default().to_owned();
        let kind =
            if of("type").is_empty() { "without a type".to_owned() } else { format!("to {}", of("type")) };
        let blocked = match subscriber["blockedType"].as_str() {
            Some(kind) => {
                format!(", blocked ({kind}) until {} ms", subscriber["blockedUntilUnitTimeStampMs"])
            }
            None => String::new(),
        };
        let (has, may) =
            (&subscriber["currentConcurrentConnections"], &subscriber["concurrentConnectionsLimit"]);
        // Into a text nothing fails.
        let _ = writeln!(text, "{} {kind}, {has} of {may} connections{blocked}", of("subscriberId"));
    }
    if text.is_empty() { "there are none\n".to_owned() } else { text }
}
