//! `penstock`: arguments, configuration, wiring, run, drain. Everything else is in the rooms.

mod anteroom;
mod application_data;
mod applications;
mod cluster;
mod commands;
mod control;
#[cfg(feature = "faults")]
mod faults;
mod jwks;
mod known_file;
mod listeners;
mod machine;
mod set_up_code;
mod settings_files;
mod upkeep;
mod webhook;
mod wiring;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use config::NodeConfig;

/// A live-media node: RTMP in, WebRTC out, on the wire of Ant Media Server.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// The configuration file; ./penstock.toml if there is one, else the defaults.
    #[arg(long, env = "PENSTOCK_CONFIG", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the node (what happens without a command).
    Run,
    /// Copy all data of the node that runs on data.folder into a file. It goes on meanwhile.
    Backup {
        /// The file, which must not be there yet. It will hold secrets.
        file: PathBuf,
    },
    /// Make data.folder, which must hold no data yet, from a file that "backup" made.
    Restore {
        /// The file.
        file: PathBuf,
    },
    /// Work on a cluster of nodes.
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
    /// List, make and help the users of the management pages of the node that runs on data.folder. Passwords are read from
    /// standard input.
    #[command(subcommand)]
    User(commands::UserCommand),
    /// About the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Over the REST of the node that runs on data.folder: tokens, subscribers, settings.
    #[command(flatten)]
    Rest(commands::RestCommand),
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Print the annotated example file with every key and its default.
    Example,
    /// Print the JSON schema of the file.
    Schema,
    /// Read file and environment and say whether they are good.
    Check,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match &arguments.command {
        None | Some(Command::Run) => load(&arguments).and_then(wiring::run),
        Some(Command::Backup { file }) => {
            load(&arguments).and_then(|config| cluster::backup(&config, file)).map(|said| say(&said))
        }
        Some(Command::Restore { file }) => {
            load(&arguments).and_then(|config| cluster::restore(&config, file)).map(|said| say(&said))
        }
        Some(Command::Cluster(wanted)) => about_cluster(wanted, &arguments),
        Some(Command::Rest(wanted)) => {
            load(&arguments).and_then(|config| commands::run(wanted, &config)).map(|said| say(&said))
        }
        Some(Command::User(wanted)) => {
            load(&arguments).and_then(|config| commands::about_users(wanted, &config)).map(|said| say(&said))
        }
        Some(Command::Config(wanted)) => about_config(wanted, &arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn about_cluster(wanted: &cluster::ClusterCommand, arguments: &Arguments) -> anyhow::Result<()> {
    // A secret is made before there is a configuration that could hold it.
    let config = match wanted {
        cluster::ClusterCommand::Secret => NodeConfig::default(),
        _ => load(arguments)?,
    };
    let cluster::Said { text, complaint } = cluster::command(wanted, &config)?;
    say(&text);
    complaint.map_or(Ok(()), |complaint| Err(anyhow::anyhow!(complaint)))
}

fn about_config(wanted: &ConfigCommand, arguments: &Arguments) -> anyhow::Result<()> {
    match wanted {
        ConfigCommand::Example => say(&config::example_toml()),
        ConfigCommand::Schema => say(&config::json_schema()),
        ConfigCommand::Check => {
            load(arguments)?;
            say("the configuration is good\n");
        }
    }
    Ok(())
}

fn load(arguments: &Arguments) -> anyhow::Result<NodeConfig> {
    NodeConfig::load(arguments.config.as_deref(), std::env::vars())
        .context("the configuration cannot be used")
}

#[expect(clippy::print_stdout, reason = "what the user asked to see")]
fn say(text: &str) {
    print!("{text}");
}

#[expect(clippy::print_stderr, reason = "the log may not be there yet")]
fn complain(error: &anyhow::Error) {
    eprintln!("penstock: {error:#}");
}
