//! `penstock token|hash|jwt`.

use std::fmt::Write;

use anyhow::Context;
use base::{Clock, SystemClock};
use clap::{Args, Subcommand};
use security::credential::hash::stream_hash;
use serde_json::Value;

use super::ask::{Node, part};
use super::{Direction, Output, Stream};

/// About one-time tokens.
#[derive(Subcommand)]
pub enum TokenCommand {
    /// Make a token and print it.
    Create {
        #[command(flatten)]
        stream: Stream,
        #[command(flatten)]
        terms: Terms,
        /// A room: the token is not spent, and is good for all of the room until it expires.
        #[arg(long)]
        room: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// List the tokens of a stream that are not spent, 250 at a time.
    List {
        #[command(flatten)]
        stream: Stream,
        /// So many are passed over.
        #[arg(long, default_value_t = 0)]
        offset: u32,
        #[command(flatten)]
        output: Output,
    },
    /// Void a token, or all of a stream.
    Revoke {
        #[command(flatten)]
        stream: Stream,
        /// The token.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        token: Option<String>,
        /// All of them.
        #[arg(long)]
        all: bool,
    },
}

/// What a token is for.
#[derive(Args)]
pub struct Terms {
    /// What it opens.
    #[arg(long = "type", value_enum, default_value = "play")]
    direction: Direction,
    /// Seconds from now until it expires.
    #[arg(long, default_value_t = 3_600, conflicts_with = "expire_date")]
    expires_in: u64,
    /// When it expires, in Unix seconds.
    #[arg(long)]
    expire_date: Option<u64>,
}

impl Terms {
    fn query(&self) -> String {
        let now_s = SystemClock.wall().as_millis() / 1_000;
        let expire_s = self.expire_date.unwrap_or_else(|| now_s.saturating_add(self.expires_in));
        format!("expireDate={expire_s}&type={}", self.direction.as_str())
    }
}

/// About hash tokens.
#[derive(Args)]
pub struct HashCommand {
    #[command(flatten)]
    stream: Stream,
    /// What it opens.
    #[arg(long = "type", value_enum, default_value = "play")]
    direction: Direction,
}

/// About JWTs.
#[derive(Args)]
pub struct JwtCommand {
    #[command(flatten)]
    stream: Stream,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    output: Output,
}

/// Runs a command about tokens.
pub fn run(command: &TokenCommand, node: &Node) -> anyhow::Result<String> {
    match command {
        TokenCommand::Create { stream, terms, room, output } => {
            let room = room.as_deref().map(|room| format!("&roomId={}", part(room))).unwrap_or_default();
            let made = node.get(&format!("{}/token?{}{room}", stream.path(), terms.query()))?;
            Ok(output.of(&made, text))
        }
        TokenCommand::List { stream, offset, output } => {
            let list = node.get(&format!("{}/tokens/list/{offset}/250", stream.path()))?;
            Ok(output.of(&list, listed))
        }
        TokenCommand::Revoke { stream, token, all: _ } => {
            let which = token.as_deref().map(|token| format!("/{}", part(token))).unwrap_or_default();
            node.delete(&format!("{}/tokens{which}", stream.path()))?;
            Ok(if token.is_some() { "the token is void\n" } else { "all tokens of the stream are void\n" }
                .to_owned())
        }
    }
}

/// Makes a JWT.
pub fn jwt(JwtCommand { stream, terms, output }: &JwtCommand, node: &Node) -> anyhow::Result<String> {
    let made = node.get(&format!("{}/jwt-token?{}", stream.path(), terms.query()))?;
    Ok(output.of(&made, text))
}

/// Makes a hash token.
pub fn hash(HashCommand { stream, direction }: &HashCommand, node: &Node) -> anyhow::Result<String> {
    let settings = node.get(&format!("/rest/v2/applications/settings/{}", part(&stream.app)))?;
    let secret = settings["tokenHashSecret"].as_str().filter(|secret| !secret.trim().is_empty());
    let secret = secret.context("the application has no tokenHashSecret: set it first")?;
    let direction = match direction {
        Direction::Publish => security::Direction::Publish,
        Direction::Play => security::Direction::Play,
    };
    Ok(format!("{}\n", stream_hash(&stream.stream, direction, secret)))
}

fn text(token: &Value) -> String {
    format!("{}\n", token["tokenId"].as_str().unwrap_or_default())
}

fn listed(list: &Value) -> String {
    let mut text = String::new();
    for token in list.as_array().into_iter().flatten() {
        let of = |key: &str| token[key].as_str().unwrap_or_default().to_owned();
        let room = token["roomId"].as_str().map(|room| format!(", for room {room}")).unwrap_or_default();
        // Into a text nothing fails.
        let _ = writeln!(text, "{} to {}, until {}{room}", of("tokenId"), of("type"), token["expireDate"]);
    }
    if text.is_empty() { "there are none\n".to_owned() } else { text }
}
