//! `penstock settings`.

use std::fmt::Write;

use anyhow::Context;
use base::AppName;
use clap::Subcommand;
use config::AppSettings;
use serde_json::{Map, Value};

use super::Output;
use super::ask::{Node, part};

/// About settings.
#[derive(Subcommand)]
pub enum SettingsCommand {
    /// Print settings as key=value: all of them but secrets, or those that are named.
    Get {
        /// The application.
        app: String,
        /// The keys of the settings.
        keys: Vec<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Change settings, at once and everywhere.
    Set {
        /// The application.
        app: String,
        /// Settings as key=value; key=@file reads the value from a file, which is the way for secrets.
        #[arg(required = true)]
        changes: Vec<String>,
        /// Only tell what would change.
        #[arg(long)]
        dry_run: bool,
        /// Change them only if they are still at this version.
        #[arg(long)]
        if_version: Option<u64>,
        #[command(flatten)]
        output: Output,
    },
    /// Tell what differs from the defaults; with key=value what these would change.
    Diff {
        /// The application.
        app: String,
        /// Settings as key=value.
        changes: Vec<String>,
        #[command(flatten)]
        output: Output,
    },
}

/// Runs a command about settings.
pub fn run(command: &SettingsCommand, node: &Node) -> anyhow::Result<String> {
    match command {
        SettingsCommand::Get { app, keys, output } => get(node, app, keys, output),
        SettingsCommand::Set { app, changes, dry_run, if_version, output } => {
            change(node, app, changes, *dry_run, *if_version, output)
        }
        SettingsCommand::Diff { app, changes, output } if changes.is_empty() => differing(node, app, output),
        SettingsCommand::Diff { app, changes, output } => change(node, app, changes, true, None, output),
    }
}

fn path(app: &str) -> String {
    format!("/rest/v2/applications/settings/{}", part(app))
}

fn get(node: &Node, app: &str, keys: &[String], output: &Output) -> anyhow::Result<String> {
    let all = node.get(&path(app))?;
    let shown = if keys.is_empty() {
        if output.json {
            return Ok(format!("{all:#}\n"));
        }
        read(all)?.without_secrets()
    } else {
        let named = keys.iter().map(|key| {
            let value = all.get(key).with_context(|| format!("there is no setting {key}"))?;
            Ok((key.clone(), value.clone()))
        });
        named.collect::<anyhow::Result<Map<_, _>>>()?
    };
    Ok(output.of(&Value::Object(shown), |shown| {
        let lines = shown.as_object().into_iter().flatten();
        lines.map(|(key, value)| format!("{key}={}\n", plain(value))).collect()
    }))
}

fn change(
    node: &Node,
    app: &str,
    changes: &[String],
    dry_run: bool,
    if_version: Option<u64>,
    output: &Output,
) -> anyhow::Result<String> {
    let mut body = Map::new();
    for change in changes {
        let (key, value) = change.split_once('=').with_context(|| format!("{change} is no key=value"))?;
        let value = match value.strip_prefix('@') {
            Some(file) => {
                let text = std::fs::read_to_string(file).with_context(|| format!("{file} cannot be read"))?;
                text.trim_end_matches(['\r', '\n']).to_owned()
            }
            None => value.to_owned(),
        };
        body.insert(key.to_owned(), Value::String(value));
    }
    let tag = if_version.map(|version| format!("\"{version}\""));
    let headers: Vec<_> = tag.iter().map(|tag| ("if-match", tag.as_str())).collect();
    let query = if dry_run { "?dryRun=true" } else { "" };
    let told = node.send("PATCH", &format!("{}{query}", path(app)), &headers, &Value::Object(body))?;
    Ok(output.of(&told, |told| {
        let mut text = String::new();
        for it in told["changes"].as_array().into_iter().flatten() {
            text += &line(it["key"].as_str().unwrap_or_default(), it.get("before"), it.get("after"));
        }
        if text.is_empty() {
            text += "nothing changes\n";
        }
        for it in told["warnings"].as_array().into_iter().flatten() {
            let of = |key: &str| it[key].as_str().unwrap_or_default();
            let _ = writeln!(text, "warning: {} {}", of("field"), of("what"));
        }
        text += &match dry_run {
            true => "nothing was stored\n".to_owned(),
            false => format!("the settings are at version {} now\n", told["version"]),
        };
        text
    }))
}

/// What differs from the defaults.
fn differing(node: &Node, app: &str, output: &Output) -> anyhow::Result<String> {
    let name = AppName::new(app).context("that is no name of an application")?;
    let settings = read(node.get(&path(app))?)?;
    let differences = settings.defaults(&name).differences(&settings);
    let shown = differences.into_iter().map(|it| {
        let value = if it.secret { Value::from("***") } else { it.after };
        let before = if it.secret { Value::from("***") } else { it.before };
        (it.key.to_owned(), Value::from(vec![before, value]))
    });
    let shown = Value::Object(shown.collect());
    Ok(output.of(&shown, |shown| {
        let lines = shown.as_object().into_iter().flatten();
        let text: String = lines.map(|(key, two)| line(key, two.get(0), two.get(1))).collect();
        if text.is_empty() { "nothing differs\n".to_owned() } else { text }
    }))
}

fn read(settings: Value) -> anyhow::Result<AppSettings> {
    serde_json::from_value(settings).context("the node's settings cannot be read")
}

/// A secret has neither.
fn line(key: &str, before: Option<&Value>, after: Option<&Value>) -> String {
    let shown = |value: Option<&Value>| value.map_or_else(|| "***".to_owned(), plain);
    format!("{key}: {} -> {}\n", shown(before), shown(after))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
