//! `play`: a node under N players, and publishers: rows of a table, or one of the situations that a node must survive.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};
use penstock_load_tests::asking::serve_plain;
use penstock_load_tests::bare::Pattern;
use penstock_load_tests::machine::{self, Cores};
use penstock_load_tests::report::{median_table, medians, row_lines, write_plots};
use penstock_load_tests::scenario::{
    self, BurstsOptions, JoinsOptions, LagOptions, MessagesOptions, OverloadOptions, PublishersOptions,
    RejoinOptions, RestOptions, SourcesOptions, Stage,
};
use penstock_load_tests::{Case, Profile, Recording, RecordingOptions, Row, RowOptions};
use serde_json::{Value, json};
use tokio::task::LocalSet;

/// Starts nodes and publishers, lets players join, and says what they got and what they cost.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Common {
    /// The penstock program, a release build.
    #[arg(long)]
    node: PathBuf,
    /// Play shards, and cores for them.
    #[arg(long, default_value_t = 1)]
    shards: usize,
    /// Further settings of the node, PENSTOCK_NAME=value.
    #[arg(long = "set", value_parser = setting)]
    settings: Vec<(String, String)>,
    /// Write JSON, and plots where there are any, into this folder.
    #[arg(long)]
    results: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Rows of players that play one stream, admission off.
    Rows(RowsArguments),
    /// Joins one after the other on an idle node, then as many as it takes.
    Joins(JoinsArguments),
    /// Admission on, and more come than the node can carry.
    Overload(OverloadArguments),
    /// Key frames of 300 KB for a full shard, and an ordinary stream beside.
    Bursts(BurstsArguments),
    /// Many come at once, 7 s into a group of pictures of 8.3 s.
    Rejoin(RejoinArguments),
    /// Messages to a thousand, one of whom takes none.
    Messages(MessagesArguments),
    /// One publishes by WebRTC and a few play: how late the node makes it.
    Lag(LagArguments),
    /// Many publish by WebRTC: what they cost, and whether all of it arrives.
    Publishers(PublishersArguments),
    /// Players of an RTMP publisher and of a WebRTC one: whether they cost the same.
    Sources(SourcesArguments),
    /// One broadcast asked for by REST, by all that opens its door, against a plain server.
    Rest(RestArguments),
    /// That server: started by `rest`.
    #[command(hide = true)]
    Plain {
        /// Bytes of its body.
        bytes: usize,
    },
    /// Where the node's time goes under players, sampled by perf.
    Profile(ProfileArguments),
}

#[derive(Args)]
struct ProfileArguments {
    #[command(flatten)]
    offer: Offer,
    /// How many players.
    #[arg(long, default_value_t = 900)]
    players: usize,
    /// How long is sampled, seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

#[derive(Args)]
struct JoinsArguments {
    #[command(flatten)]
    offer: Offer,
    /// Joins one after the other.
    #[arg(long, default_value_t = 50)]
    single: usize,
    /// Joins at full speed.
    #[arg(long, default_value_t = 2_000)]
    many: usize,
    /// How many of those at a time.
    #[arg(long, default_value_t = 64)]
    at_once: usize,
}

#[derive(Args)]
struct OverloadArguments {
    #[command(flatten)]
    offer: Offer,
    /// Players that are there.
    #[arg(long, default_value_t = 600)]
    existing: usize,
    /// Players that come: twice what the node can carry.
    #[arg(long, default_value_t = 1_800)]
    joiners: usize,
    /// Within which time, seconds.
    #[arg(long, default_value_t = 10)]
    within: u64,
}

#[derive(Args)]
struct BurstsArguments {
    #[command(flatten)]
    offer: Offer,
    /// Players of the stream with large key frames.
    #[arg(long, default_value_t = 900)]
    players: usize,
    /// Players of the other stream.
    #[arg(long, default_value_t = 8)]
    others: usize,
    /// How long is measured, seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

#[derive(Args)]
struct RejoinArguments {
    #[command(flatten)]
    offer: Offer,
    /// Players that are there.
    #[arg(long, default_value_t = 500)]
    existing: usize,
    /// Players that come.
    #[arg(long, default_value_t = 50)]
    joiners: usize,
}

#[derive(Args)]
struct MessagesArguments {
    #[command(flatten)]
    offer: Offer,
    /// Players with data channels.
    #[arg(long, default_value_t = 1_000)]
    players: usize,
    /// Those of them that acknowledge nothing.
    #[arg(long, default_value_t = 1)]
    deaf: usize,
    /// How long something is said, seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

#[derive(Args)]
struct LagArguments {
    #[command(flatten)]
    offer: Offer,
    /// Players, all of whom open media.
    #[arg(long, default_value_t = 10)]
    players: usize,
    /// How long is measured, seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

#[derive(Args)]
struct PublishersArguments {
    #[command(flatten)]
    offer: Offer,
    /// Publishers, each with a stream of 2 Mbit/s.
    #[arg(long, default_value_t = 100)]
    publishers: usize,
    /// How long is measured without players, and then with one on each stream, seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

#[derive(Args)]
struct SourcesArguments {
    #[command(flatten)]
    offer: Offer,
    /// How many players.
    #[arg(long, default_value_t = 900)]
    players: usize,
    /// How often each source is measured, in turn.
    #[arg(long, default_value_t = 2)]
    turns: usize,
    /// How long is measured each time, seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

#[derive(Args)]
struct RestArguments {
    #[command(flatten)]
    offer: Offer,
    /// Connections that ask at a time.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// How often each way is measured, in turn.
    #[arg(long, default_value_t = 3)]
    turns: usize,
    /// How long is measured each time, seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

#[derive(Args)]
struct Offer {
    /// What players offer: GCM as browsers do, or CM alone.
    #[arg(long, value_enum, default_value = "gcm")]
    profile: OfferedProfile,
    /// Joins begun per second before it begins.
    #[arg(long, default_value_t = 50.0)]
    joins: f64,
}

#[derive(Args)]
struct RowsArguments {
    /// How many players; each number is a case of its own, each with a node of its own.
    #[arg(long, value_delimiter = ',', default_value = "100")]
    players: Vec<usize>,
    /// What players offer: GCM as browsers do, or CM alone. Two are two cases for each number of players.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "gcm")]
    profile: Vec<OfferedProfile>,
    /// How often all cases are measured, one after the other each time.
    #[arg(long, default_value_t = 1)]
    repeats: usize,
    /// How long is measured, seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How long each bare loop sends, seconds.
    #[arg(long, default_value_t = 2.0)]
    bare_seconds: f64,
    /// Joins begun per second.
    #[arg(long, default_value_t = 50.0)]
    joins: f64,
    /// Bits per second of the picture.
    #[arg(long, default_value_t = 2_000_000)]
    bitrate: u32,
    /// How many players decrypt what they get and know each picture again.
    #[arg(long, default_value_t = 8)]
    opening: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum OfferedProfile {
    Gcm,
    Cm,
}

impl From<OfferedProfile> for Profile {
    fn from(offered: OfferedProfile) -> Self {
        match offered {
            OfferedProfile::Gcm => Self::Gcm,
            OfferedProfile::Cm => Self::Cm,
        }
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if name.starts_with("PENSTOCK_") => Ok((name.to_owned(), value.to_owned())),
        _ => Err("not PENSTOCK_NAME=value".to_owned()),
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // It has a runtime of its own.
    if let Command::Plain { bytes } = arguments.command {
        return match serve_plain(bytes) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("play: {error:#}");
                ExitCode::FAILURE
            }
        };
    }
    let run = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime")
        .and_then(|runtime| runtime.block_on(LocalSet::new().run_until(run(arguments))));
    match run {
        Ok(kept) => kept,
        Err(error) => {
            eprintln!("play: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(Arguments { common, command }: Arguments) -> anyhow::Result<ExitCode> {
    machine::raise_open_files()?;
    let cores = Cores::choose(common.shards)?;
    if !cores.are_apart() {
        eprintln!("play: node and players share a core: their figures are of both");
    }
    machine::pin(cores.players)?;
    if let Some(folder) = &common.results {
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    let stage = |offer: &Offer| Stage {
        node: common.node.clone(),
        cores: cores.clone(),
        profile: offer.profile.into(),
        joins: offer.joins,
        environment: common.settings.clone(),
    };
    let outcome = match command {
        Command::Profile(ProfileArguments { offer, players, seconds }) => {
            let profile = scenario::profile(&stage(&offer), players, seconds).await?;
            print!("{profile}");
            return keep(&common, "profile", &json!({"cores": cores, "profile": profile}));
        }
        Command::Rows(arguments) => return rows(&common, cores, &arguments).await,
        Command::Joins(JoinsArguments { offer, single, many, at_once }) => {
            scenario::joins(&stage(&offer), JoinsOptions { single, many, at_once }).await?
        }
        Command::Overload(OverloadArguments { offer, existing, joiners, within }) => {
            let within = Duration::from_secs(within);
            scenario::overload(&stage(&offer), OverloadOptions { existing, joiners, within }).await?
        }
        Command::Bursts(BurstsArguments { offer, players, others, seconds }) => {
            let window = Duration::from_secs(seconds);
            scenario::bursts(&stage(&offer), BurstsOptions { players, others, window }).await?
        }
        Command::Messages(MessagesArguments { offer, players, deaf, seconds }) => {
            let window = Duration::from_secs(seconds);
            scenario::messages(&stage(&offer), MessagesOptions { players, deaf, window }).await?
        }
        Command::Lag(LagArguments { offer, players, seconds }) => {
            let window = Duration::from_secs(seconds);
            scenario::lag(&stage(&offer), LagOptions { players, window }).await?
        }
        Command::Publishers(PublishersArguments { offer, publishers, seconds }) => {
            let window = Duration::from_secs(seconds);
            scenario::publishers(&stage(&offer), PublishersOptions { publishers, window }).await?
        }
        Command::Sources(SourcesArguments { offer, players, turns, seconds }) => {
            let window = Duration::from_secs(seconds);
            scenario::sources(&stage(&offer), SourcesOptions { players, turns, window }).await?
        }
        Command::Rest(RestArguments { offer, connections, turns, seconds }) => {
            let window = Duration::from_secs(seconds);
            scenario::rest(&stage(&offer), RestOptions { connections, turns, window }).await?
        }
        // Before any of this.
        Command::Plain { .. } => return Ok(ExitCode::SUCCESS),
        Command::Rejoin(RejoinArguments { offer, existing, joiners }) => {
            scenario::rejoin(&stage(&offer), RejoinOptions { existing, joiners }).await?
        }
    };
    print!("{outcome}");
    let kept = keep(&common, outcome.scenario, &json!({"cores": cores, "outcome": outcome}))?;
    Ok(if outcome.is_missed() { ExitCode::FAILURE } else { kept })
}

/// Writes what was measured, and on which machine, where that was asked for.
fn keep(common: &Common, name: &str, measured: &Value) -> anyhow::Result<ExitCode> {
    if let Some(folder) = &common.results {
        let all = json!({"machine": machine::describe(), name: measured});
        fs::write(folder.join(format!("{name}.json")), serde_json::to_string_pretty(&all)? + "\n")?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn rows(common: &Common, cores: Cores, arguments: &RowsArguments) -> anyhow::Result<ExitCode> {
    ensure!(
        arguments.joins > 0.0 && arguments.bare_seconds > 0.0,
        "--joins and --bare-seconds must be above 0"
    );
    ensure!(arguments.players.iter().all(|players| *players > 0), "a row has players");
    let recording = RecordingOptions { bitrate: arguments.bitrate, ..RecordingOptions::default() };
    let recording = Arc::new(Recording::make(recording).await?);
    let pattern = Pattern::new(&recording)?;
    let options = RowOptions {
        node: common.node.clone(),
        cores,
        window: Duration::from_secs(arguments.seconds),
        bare: Duration::from_secs_f64(arguments.bare_seconds),
        joins: arguments.joins,
        opening: arguments.opening,
        environment: common.settings.clone(),
    };
    let mut rows = Vec::new();
    for repeat in 0..arguments.repeats {
        for &profile in &arguments.profile {
            for &players in &arguments.players {
                let case = Case { profile: profile.into(), players };
                let row = Row::measure(&options, case, repeat, &recording, &pattern).await?;
                print!("{}", row_lines(&row));
                rows.push(row);
            }
        }
    }
    let medians = medians(&rows);
    println!("\n{}", median_table(&medians));
    if let Some(folder) = &common.results {
        write_plots(&medians, folder)?;
    }
    keep(common, "rows", &json!({"cores": options.cores, "medians": medians, "rows": rows}))
}
