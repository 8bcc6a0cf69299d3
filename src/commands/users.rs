//! `penstock user`: users of the management pages, from the machine itself.

use std::fmt::Write as _;
use std::io::{BufRead, IsTerminal};

use anyhow::{Context, ensure};
use clap::{Subcommand, ValueEnum};
use config::NodeConfig;
use serde_json::json;

use super::ask::{Node, part};

/// Where REST has them.
const USERS: &str = "/rest/v2/users";

/// What can be done. Passwords are read from the first line of standard input, so that no list of processes shows them.
#[derive(Subcommand)]
pub enum UserCommand {
    /// List the users.
    List,
    /// Make a user; unless more is said, an administrator of everything.
    Add {
        /// Its e-mail address, which is its name.
        email: String,
        /// What it may do.
        #[arg(long, value_enum, default_value_t = Kind::Admin)]
        kind: Kind,
        /// Where: "system" is everywhere, else an application.
        #[arg(long, default_value = "system")]
        scope: String,
    },
    /// Give a user another password, which ends its sessions, and a block after wrong ones.
    Password {
        /// Its e-mail address.
        email: String,
    },
    /// Delete a user.
    Delete {
        /// Its e-mail address.
        email: String,
    },
}

/// AMS's types of users.
#[derive(Clone, Copy, ValueEnum)]
pub enum Kind {
    /// Everything.
    Admin,
    /// Looks, and changes broadcasts and recordings.
    User,
    /// Looks.
    ReadOnly,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Admin => "ADMIN",
            Self::User => "USER",
            Self::ReadOnly => "READ_ONLY",
        }
    }
}

/// Asks the node that runs on this data folder; what it says is returned.
pub fn run(command: &UserCommand, config: &NodeConfig) -> anyhow::Result<String> {
    let node = Node::of(config)?;
    match command {
        UserCommand::List => list(&node),
        UserCommand::Add { email, kind, scope } => {
            let types = json!({ scope.as_str(): kind.name() });
            let user = json!({ "email": email, "password": password()?, "userType": kind.name(), "scope": scope,
                "appNameUserType": types });
            node.send("POST", USERS, &[], &user)?;
            Ok(format!("{email} is a user now: {scope}/{}\n", kind.name()))
        }
        UserCommand::Password { email } => {
            let user = json!({ "email": email, "newPassword": password()? });
            node.send("PUT", USERS, &[], &user)?;
            Ok(format!("{email} has the new password; its sessions are over\n"))
        }
        UserCommand::Delete { email } => {
            node.delete(&format!("{USERS}/{}", part(email)))?;
            Ok(format!("{email} is no user any more\n"))
        }
    }
}

#[expect(clippy::print_stderr, reason = "a question to who types")]
fn password() -> anyhow::Result<String> {
    if std::io::stdin().is_terminal() {
        eprintln!("The password, and Enter (it is shown as you type):");
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("no password can be read")?;
    let password = line.trim_end_matches(['\r', '\n']);
    ensure!(!password.is_empty(), "no password was given on standard input");
    Ok(password.to_owned())
}

fn list(node: &Node) -> anyhow::Result<String> {
    let users = node.get("/rest/v2/user-list")?;
    let mut text = String::new();
    for user in users.as_array().context("the node does not list its users")? {
        let types = user["appNameUserType"].as_object();
        let types: Vec<_> = types
            .into_iter()
            .flatten()
            .map(|(scope, kind)| format!("{scope}/{}", kind.as_str().unwrap_or_default()))
            .collect();
        let _ = writeln!(text, "{}: {}", user["email"].as_str().unwrap_or_default(), types.join(", "));
    }
    if text.is_empty() {
        text.push_str("there is no user yet: \"penstock user add\" makes the first one\n");
    }
    Ok(text)
}
