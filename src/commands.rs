//! What scripts and operators ask of the node that runs on a data folder, by its REST:
//! `penstock token|subscriber|hash|jwt|settings`, `user` and `backup`.

pub mod ask;
mod settings;
mod subscribers;
mod tokens;
mod users;

use clap::{Args, Subcommand, ValueEnum};
use config::NodeConfig;

use ask::Node;
pub use users::{UserCommand, run as about_users};

/// What can be asked.
#[derive(Subcommand)]
pub enum RestCommand {
    /// One-time tokens, by which one session may publish or play a stream.
    #[command(subcommand)]
    Token(tokens::TokenCommand),
    /// Subscribers of a stream, who publish or play it by codes.
    #[command(subcommand)]
    Subscriber(subscribers::SubscriberCommand),
    /// Print the hash token of a stream, by the application's tokenHashSecret. It never expires.
    Hash(tokens::HashCommand),
    /// Print a JWT for a stream, signed by the application's jwtStreamSecretKey.
    Jwt(tokens::JwtCommand),
    /// The settings of an application.
    #[command(subcommand)]
    Settings(settings::SettingsCommand),
}

/// Runs a command; what it says is returned.
pub fn run(command: &RestCommand, config: &NodeConfig) -> anyhow::Result<String> {
    let node = Node::of(config)?;
    match command {
        RestCommand::Token(command) => tokens::run(command, &node),
        RestCommand::Subscriber(command) => subscribers::run(command, &node),
        RestCommand::Hash(command) => tokens::hash(command, &node),
        RestCommand::Jwt(command) => tokens::jwt(command, &node),
        RestCommand::Settings(command) => settings::run(command, &node),
    }
}

/// The stream that is meant.
#[derive(Args)]
pub struct Stream {
    /// The application.
    app: String,
    /// The stream's id.
    stream: String,
}

impl Stream {
    /// Where REST has it.
    fn path(&self) -> String {
        format!("/{}/rest/v2/broadcasts/{}", ask::part(&self.app), ask::part(&self.stream))
    }
}

/// Into the node or out of it.
#[derive(Clone, Copy, ValueEnum)]
pub enum Direction {
    /// Send the stream.
    Publish,
    /// Watch the stream.
    Play,
}

impl Direction {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Play => "play",
        }
    }
}

/// How the answer is printed.
#[derive(Args)]
pub struct Output {
    /// As the node's own JSON.
    #[arg(long)]
    json: bool,
}

impl Output {
    /// The answer itself, or what `words` makes of it.
    fn of(&self, answer: &serde_json::Value, words: impl FnOnce(&serde_json::Value) -> String) -> String {
        if self.json { format!("{answer:#}\n") } else { words(answer) }
    }
}
