//! `metadata`: what the metadata plane and the gate over it carry on this machine, against their goals and against etcd.
//!
//! Real stores (files, synced) and the real link between nodes, in this one process; only the process that restarts is
//! another one. `load-tests/README.md` says what the figures mean.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod apply;
mod commits;
mod drive;
mod etcd;
mod facts;
mod gate;
mod goals;
mod machine;
mod million;
mod restart;
mod rows;
mod spends;
mod trio;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use serde_json::{Value, json};

/// Measures the metadata plane and the gate: real stores and links in this process.
#[derive(Parser)]
struct Arguments {
    /// Where stores are made; they are removed again. What is measured is this folder's disk.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    folder: PathBuf,
    /// How long each row is measured, seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Subscribers of the large state, and as many tokens.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Write metadata.json into this folder.
    #[arg(long)]
    results: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Commits per second on three voters, by their link and by memory.
    Commits,
    /// etcd's, if there is one.
    Etcd,
    /// Tokens spent, by so many at a time and at a steady rate.
    Spends,
    /// Admissions by the gate of one node, on one core.
    Gate,
    /// Time and memory of a node that starts with the large state.
    Restart,
    /// The longest that one command takes in it.
    Apply,
    /// Bytes of log of a large cluster.
    Facts,
}

const PARTS: [Part; 7] =
    [Part::Commits, Part::Etcd, Part::Spends, Part::Gate, Part::Restart, Part::Apply, Part::Facts];

#[derive(Subcommand)]
enum Command {
    /// These parts, or all.
    Measure {
        /// Which.
        parts: Vec<Part>,
    },
    /// The process that restarts: started by `measure restart`.
    #[command(hide = true)]
    Start {
        /// Its file.
        #[arg(long)]
        store: PathBuf,
    },
}

fn main() -> ExitCode {
    let run = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("no runtime")
        .and_then(|runtime| runtime.block_on(run(Arguments::parse())));
    match run {
        Ok(kept) => kept,
        Err(error) => {
            eprintln!("metadata: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::Start { store } => {
            println!("{}", restart::start(store, arguments.rows).await?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Measure { parts } => {
            let parts = if parts.is_empty() { &PARTS[..] } else { parts };
            let mut results = known(arguments.results.as_deref())?;
            for part in parts {
                let before = machine::work()?;
                let found = measure(*part, &arguments).await?;
                let foreign = machine::work()?.foreign_percent(&before);
                results[name(*part)] = json!({ "foreign_percent": foreign, "found": found });
                println!("{}", serde_json::to_string_pretty(&json!({ name(*part): results[name(*part)] }))?);
            }
            results["machine"] = machine::describe().into();
            if let Some(folder) = &arguments.results {
                let text = serde_json::to_string_pretty(&results)? + "\n";
                std::fs::write(file(folder), text).context("the results cannot be written")?;
            }
            Ok(goals::judge(&results))
        }
    }
}

async fn measure(part: Part, arguments: &Arguments) -> anyhow::Result<Value> {
    let (folder, length) = (arguments.folder.as_path(), Duration::from_secs(arguments.seconds));
    let found = match part {
        Part::Commits => serde_json::to_value(commits::commits(folder, length).await?),
        Part::Etcd => {
            let found = etcd::etcd(folder, length).await?;
            if found.is_none() {
                eprintln!("metadata: SKIPPED: there is no etcd on this machine: no yardstick");
            }
            serde_json::to_value(found)
        }
        Part::Spends => serde_json::to_value(spends::spends(folder, length).await?),
        Part::Gate => serde_json::to_value(gate::gate(folder)?),
        Part::Restart => serde_json::to_value(restart::restart(folder, arguments.rows)?),
        Part::Apply => serde_json::to_value(apply::apply(arguments.rows)),
        Part::Facts => serde_json::to_value(facts::log_bytes(300, 100_000)?),
    };
    found.context("a figure is none")
}

fn name(part: Part) -> &'static str {
    match part {
        Part::Commits => "commits",
        Part::Etcd => "etcd",
        Part::Spends => "spends",
        Part::Gate => "gate",
        Part::Restart => "restart",
        Part::Apply => "apply",
        Part::Facts => "facts",
    }
}

/// What was written before: parts that are not measured now stay.
fn known(folder: Option<&Path>) -> anyhow::Result<Value> {
    match folder.map(|folder| std::fs::read(file(folder))) {
        Some(Ok(bytes)) => serde_json::from_slice(&bytes).context("the results of before cannot be read"),
        _ => Ok(json!({})),
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("metadata.json")
}
