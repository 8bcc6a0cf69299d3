//! Reads the configuration file and the environment over it, held to the schema.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use base::limits;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use super::schema::{ENVIRONMENT_PREFIX, Key, Role, Schema};
use super::{ClusterConfig, ClusterRole, NodeConfig};
use crate::file::read_bounded;
use crate::nearest::nearest;
use crate::{ConfigError, Place, Problem, is_range};

/// Read when no other file is named and it is there.
const DEFAULT_FILE: &str = "penstock.toml";

/// Variables of ours that are no keys: the file's name, and how tests rewrite generated files.
const OTHER_VARIABLES: &[&str] = &["PENSTOCK_CONFIG", "PENSTOCK_BLESS"];

/// What Docker links and Kubernetes put into the environment when a service is called `penstock`.
const FOREIGN_PREFIXES: &[&str] = &["PENSTOCK_SERVICE_", "PENSTOCK_PORT_"];
const FOREIGN_VARIABLES: &[&str] = &["PENSTOCK_PORT", "PENSTOCK_NAME"];

impl NodeConfig {
    /// Reads the configuration: the defaults, over them the file at `path` (without one `penstock.toml`
    /// of the current folder, if it is there), over it the variables `PENSTOCK_*` of `environment`.
    ///
    /// # Errors
    /// The file cannot be read or is no TOML; a key or variable is unknown; a value is of a wrong type,
    /// out of range or contradicts another. Everything found is listed.
    pub fn load(
        path: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let file = match path {
            Some(path) => Some((path, read_bounded(path, "name a configuration file that is there")?)),
            None => {
                let path = Path::new(DEFAULT_FILE);
                match read_bounded(path, "let the node's user read it, or move it away") {
                    Ok(bytes) => Some((path, bytes)),
                    Err(ConfigError::Unreadable { why, .. }) if why.kind() == ErrorKind::NotFound => None,
                    Err(error) => return Err(error),
                }
            }
        };
        let config: Self =
            resolve(file.as_ref().map(|(path, bytes)| (*path, bytes.as_slice())), environment)?;
        ConfigError::unless_empty(contradictions(&config))?;
        Ok(config)
    }
}

/// A value somebody gave for a key.
struct Given {
    value: Value,
    place: Place,
}

/// Values by `section.key`.
type Layer = BTreeMap<String, Given>;

/// Reads a configuration of any type.
fn resolve<T>(
    file: Option<(&Path, &[u8])>,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<T, ConfigError>
where
    T: JsonSchema + Serialize + DeserializeOwned + Default,
{
    let schema = Schema::of::<T>();
    let mut problems = Vec::new();
    let in_file = match file {
        Some((path, bytes)) => read_file(&schema, path, bytes, &mut problems),
        None => Layer::new(),
    };
    let in_environment = read_environment(&schema, environment, &mut problems);
    let values = overlay(&schema, in_file, in_environment, &mut problems);
    ConfigError::unless_empty(problems)?;
    serde_json::from_value(values).map_err(|error| {
        // The schema has let it pass; the type knows better.
        ConfigError::Invalid(vec![Problem { place: Place::Whole, what: error.to_string() }])
    })
}

fn read_file(schema: &Schema, path: &Path, bytes: &[u8], problems: &mut Vec<Problem>) -> Layer {
    let mut layer = Layer::new();
    let place = |line| Place::File { path: path.to_owned(), line };
    let line_at = |offset: usize| Some(bytes.iter().take(offset).filter(|byte| **byte == b'\n').count() + 1);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => {
            let what = "is not UTF-8; save it as UTF-8".into();
            problems.push(Problem { place: place(line_at(e.valid_up_to())), what });
            return layer;
        }
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // The message alone: the error's own display quotes the line, which may hold a secret.
        problems.extend(errors.iter().map(|error| Problem {
            place: place(error.span().and_then(|span| line_at(span.start))),
            what: format!("is not TOML: {}", error.message()),
        }));
        return layer;
    }
    for (section, content) in table.get_ref() {
        let place = |offset| place(line_at(offset));
        let name = section.get_ref().as_ref();
        let known = schema.sections.iter().find(|known| known.name == name);
        match (known, content.get_ref()) {
            (None, _) => {
                let names = schema.sections.iter().map(|section| section.name.as_str());
                let what = unknown(
                    "key",
                    name,
                    nearest(name, names.chain(schema.keys().map(|key| key.path.as_str()))),
                );
                problems.push(Problem { place: place(section.span().start), what });
            }
            (Some(known), DeValue::Table(keys)) => {
                for (key, value) in keys {
                    let path = format!("{name}.{}", key.get_ref());
                    let place = place(key.span().start);
                    match known.keys.iter().find(|known| known.path == path) {
                        None => {
                            let what = unknown(
                                "key",
                                &path,
                                nearest(&path, schema.keys().map(|key| key.path.as_str())),
                            );
                            problems.push(Problem { place, what });
                        }
                        Some(key) => match key.kind.read_toml(value.get_ref()) {
                            Some(value) => drop(layer.insert(path, Given { value, place })),
                            None => {
                                let what = wrong(key, &path, &shown(value.get_ref()));
                                problems.push(Problem { place, what });
                            }
                        },
                    }
                }
            }
            (Some(_), _) => {
                let what =
                    format!("{name} is a section; write [{name}] on a line of its own, its keys below");
                problems.push(Problem { place: place(section.span().start), what });
            }
        }
    }
    layer
}

fn read_environment(
    schema: &Schema,
    environment: impl Iterator<Item = (String, String)>,
    problems: &mut Vec<Problem>,
) -> Layer {
    let known: BTreeMap<String, &Key> = schema.keys().map(|key| (key.environment(), key)).collect();
    let mut layer = Layer::new();
    for (name, text) in environment {
        let Some(tail) = name.strip_prefix(ENVIRONMENT_PREFIX) else { continue };
        let place = Place::Environment { name: name.clone() };
        match known.get(&name) {
            Some(key) => match key.kind.read_text(&text) {
                Some(value) => drop(layer.insert(key.path.clone(), Given { value, place })),
                None => problems.push(Problem { place, what: wrong(key, &key.path, &format!("{text:?}")) }),
            },
            None if is_no_key(&name) => {}
            None => {
                // Compared without what all of them share, or each would resemble each.
                let tails = known.keys().filter_map(|name| name.strip_prefix(ENVIRONMENT_PREFIX));
                let nearest = nearest(tail, tails).map(|tail| format!("{ENVIRONMENT_PREFIX}{tail}"));
                problems.push(Problem { place, what: unknown("variable", &name, nearest.as_deref()) });
            }
        }
    }
    layer
}

fn is_no_key(name: &str) -> bool {
    OTHER_VARIABLES.contains(&name)
        || FOREIGN_VARIABLES.contains(&name)
        || FOREIGN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The environment over the file, secrets taken from their files, as JSON of sections.
fn overlay(schema: &Schema, file: Layer, environment: Layer, problems: &mut Vec<Problem>) -> Value {
    let mut layers = [environment, file];
    let mut sections = Map::new();
    for section in &schema.sections {
        let mut values = Map::new();
        for key in &section.keys {
            let value = match key.role {
                Role::Plain => {
                    layers.iter_mut().find_map(|layer| layer.remove(&key.path)).map(|given| given.value)
                }
                Role::Secret => secret(key, &mut layers, problems).map(Value::String),
                Role::SecretFile => None,
            };
            values.extend(value.map(|value| (key.name.clone(), value)));
        }
        sections.insert(section.name.clone(), values.into());
    }
    sections.into()
}

/// A secret, from the topmost layer that has the key or the file. Blank ones count as not given, so that
/// an empty variable of a container does not undo what the file says.
fn secret(key: &Key, layers: &mut [Layer; 2], problems: &mut Vec<Problem>) -> Option<String> {
    let file_key = format!("{}{}", key.path, super::schema::FILE_SUFFIX);
    for layer in layers {
        let mut take = |path: &str| {
            let Given { value, place } = layer.remove(path)?;
            value.as_str().filter(|text| !text.trim().is_empty()).map(|text| (text.to_owned(), place))
        };
        match (take(&key.path), take(&file_key)) {
            (None, None) => {}
            (Some((text, _)), None) => return Some(text),
            (Some(_), Some((_, place))) => {
                let what = format!("{} and {file_key} are both given; keep one", key.path);
                problems.push(Problem { place, what });
                return None;
            }
            (None, Some((path, place))) => match secret_in(Path::new(&path)) {
                Ok(text) => return Some(text),
                Err(why) => {
                    problems.push(Problem { place, what: format!("{file_key} names {path:?}, which {why}") });
                    return None;
                }
            },
        }
    }
    None
}

/// The content of a secret's file without the line end.
fn secret_in(path: &Path) -> Result<String, String> {
    let bytes = read_bounded(path, "").map_err(|error| match error {
        ConfigError::Unreadable { why, .. } => format!("cannot be read: {why}"),
        error @ ConfigError::Invalid(_) => error.to_string(),
    })?;
    let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.trim().is_empty() { Err("is empty".into()) } else { Ok(text.to_owned()) }
}

fn unknown(what: &str, name: &str, nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("the {what} {name} is unknown; did you mean {nearest}?"),
        None => format!("the {what} {name} is unknown; remove it"),
    }
}

fn wrong(key: &Key, path: &str, given: &str) -> String {
    let given = if key.role == Role::Plain { given } else { "***" };
    format!("{path} is {given}; it must be {}", key.kind.allowed())
}

/// A TOML value as an error may show it.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| shown(item.get_ref())).collect();
            format!("[{}]", items.join(", "))
        }
        DeValue::Table(_) => "a table".into(),
    }
}

/// The same of a node in a cluster.
fn of_cluster(cluster: &ClusterConfig, say: &mut impl FnMut(String)) {
    if cluster.secret.expose().trim().is_empty() {
        say("cluster.secret_file is not given: \"penstock cluster secret\" makes one, which all nodes share"
            .into());
    }
    match cluster.members_by_number() {
        Err(wrong) => say(wrong),
        Ok(members) if members.is_empty() => {
            say("cluster.members is empty: list those that vote as \"number@name:port\"".into());
        }
        Ok(members) if cluster.role == ClusterRole::Member && !members.contains_key(&cluster.node) => {
            let node = cluster.node;
            say(format!(
                "cluster.members does not list this node, {node}: add it, or set cluster.role to \"join\" or \"client\""
            ));
        }
        // Two nodes of one number would end each other's life again and again.
        Ok(members) if cluster.role == ClusterRole::Client && members.contains_key(&cluster.node) => {
            let node = cluster.node;
            say(format!(
                "cluster.members lists node {node} as one that votes: give this client another cluster.node; if it is that node and is to vote no more, run \"penstock cluster remove {node}\" and take it off the list first"
            ));
        }
        Ok(_) => {}
    }
}

/// What no single key shows.
fn contradictions(config: &NodeConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut say = |what: String| problems.push(Problem { place: Place::Whole, what });
    let blank = |path: &Path| path.as_os_str().is_empty();
    if blank(&config.tls.certificate_file) != blank(&config.tls.key_file) {
        say("only one of tls.certificate_file and tls.key_file is given; set both or none".into());
    }
    for (key, list) in [
        ("http.trusted_proxies", &config.http.trusted_proxies),
        ("management.allowed_addresses", &config.management.allowed_addresses),
    ] {
        if let Some(bad) = list.iter().find(|range| !is_range(range)) {
            say(format!(
                "{key} has {bad:?}, which is no range of addresses: write as 10.0.0.0/8 or 10.0.0.1"
            ));
        }
    }
    let management = &config.management;
    if management.jwt_control_enabled
        && management.jwks_url.trim().is_empty()
        && management.jwt_secret_key.expose().len() < limits::JWT_KEY_BYTES_MIN
    {
        say(format!(
            "management.jwt_control_enabled is true, and there is no management.jwks_url and no \
             management.jwt_secret_key of {} bytes or more",
            limits::JWT_KEY_BYTES_MIN
        ));
    }
    if !config.scylla.contact_points.is_empty() && !config.cluster.enabled {
        say("scylla.contact_points names a database, and cluster.enabled is false: only a cluster writes to one; a cluster may have a single member".into());
    }
    if config.cluster.enabled {
        of_cluster(&config.cluster, &mut say);
    }
    let rtmp = config.rtmp.enabled.then_some(("rtmp.port", config.rtmp.port));
    let cluster = config.cluster.enabled.then_some(("cluster.port", config.cluster.port));
    let ports = [("http.port", config.http.port), ("http.https_port", config.http.https_port)];
    let ports: Vec<_> = ports.into_iter().chain(rtmp).chain(cluster).filter(|(_, port)| *port != 0).collect();
    for (nth, (name, port)) in ports.iter().enumerate() {
        for (other, _) in ports.iter().skip(nth + 1).filter(|(_, other)| other == port) {
            say(format!("{name} and {other} are both {port}; give each a port of its own"));
        }
    }
    let webrtc = &config.webrtc;
    if webrtc.udp_port_base != 0
        && webrtc.udp_port_base.checked_add(webrtc.shards.saturating_sub(1)).is_none()
    {
        let (base, shards) = (webrtc.udp_port_base, webrtc.shards);
        say(format!(
            "webrtc.udp_port_base {base} leaves fewer than webrtc.shards ({shards}) ports; lower it"
        ));
    }
    for address in &webrtc.public_addresses {
        if address.is_unspecified() || address.is_multicast() {
            say(format!("webrtc.public_addresses has {address}, which nobody can send to; name real ones"));
        }
    }
    problems
}
