//! Users of the management pages, from the machine itself: the set-up code of a new node, and `penstock user`.

use std::fmt::Write as _;
use std::io::{BufRead, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::{Subcommand, ValueEnum};
use config::NodeConfig;
use security::door::Users;
use serde_json::{Value, json};

/// Time between two tries to learn whether there is a user.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// What can be done. Passwords are read from the first line of standard input, so that no list of processes shows them.
#[derive(Subcommand)]
pub enum UserCommand {
    /// List the users.
    List,
    /// Make a user. The first one is an administrator of everything.
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
        UserCommand::List => node.list(),
        UserCommand::Add { email, kind, scope } => {
            let types = json!({ scope.as_str(): kind.name() });
            let user = json!({ "email": email, "password": password()?, "userType": kind.name(), "scope": scope,
                "appNameUserType": types });
            node.ask("POST", "users", Some(&user))?;
            Ok(format!("{email} is a user now: {scope}/{}\n", kind.name()))
        }
        UserCommand::Password { email } => {
            let user = json!({ "email": email, "newPassword": password()? });
            node.ask("PUT", "users", Some(&user))?;
            Ok(format!("{email} has the new password; its sessions are over\n"))
        }
        UserCommand::Delete { email } => {
            node.ask("DELETE", &format!("users/{}", escaped(email)), None)?;
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

/// As one part of a path.
fn escaped(text: &str) -> String {
    let mut path = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte) {
            path.push(char::from(byte));
        } else {
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path
}

/// The node that runs on a data folder.
struct Node {
    address: String,
    agent: ureq::Agent,
}

impl Node {
    fn of(config: &NodeConfig) -> anyhow::Result<Self> {
        let endpoints = config.data.folder.join("endpoints.json");
        let text = std::fs::read_to_string(&endpoints).with_context(|| {
            format!("{} cannot be read: is a node running on this data folder?", endpoints.display())
        })?;
        let endpoints: Value = serde_json::from_str(&text).context("endpoints.json is damaged")?;
        let address = endpoints["http"].as_str().context("endpoints.json names no address")?.to_owned();
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Ok(Self { address, agent })
    }

    fn ask(&self, verb: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let url = format!("{}/rest/v2/{path}", self.address);
        let request = ureq::http::Request::builder().method(verb).uri(&url);
        let request = request.header("Content-Type", "application/json");
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut answer = self
            .agent
            .run(request.body(body)?)
            .with_context(|| format!("the node does not answer at {}: is it running?", self.address))?;
        let text = answer.body_mut().read_to_string().context("the answer did not come whole")?;
        let said: Value = serde_json::from_str(&text).unwrap_or_default();
        if said["success"] == false || !answer.status().is_success() {
            match said["message"].as_str() {
                Some("") | None => {
                    bail!("the node refuses (status {}): is there such a user?", answer.status().as_u16())
                }
                Some(message) => bail!("the node refuses: {message}"),
            }
        }
        Ok(said)
    }

    fn list(&self) -> anyhow::Result<String> {
        let users = self.ask("GET", "user-list", None)?;
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
}

/// Says by which code the first user can be made from another machine, once it is known that there is none.
#[expect(clippy::print_stderr, reason = "a secret for who starts the node, and for no log")]
pub async fn tell_set_up_code(users: Arc<Users>) {
    loop {
        match users.is_none_there().await {
            Ok(true) => {
                let code = users.set_up_code().expose();
                eprintln!(
                    "penstock: there is no user yet. The first one is made by \"penstock user add\" on this machine, or from \
                     another one with the set-up code {code}"
                );
                return;
            }
            Ok(false) => return,
            Err(error) => tracing::debug!(%error, "whether there is a user is not known yet"),
        }
        actix_rt::time::sleep(ASK_AGAIN).await;
    }
}
