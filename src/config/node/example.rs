//! The annotated `penstock.toml` and the JSON schema, generated from the types.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::NodeConfig;
use super::schema::{Key, Schema};

/// The annotated configuration file: every key with its comment, its environment variable and its
/// default, switched off by a leading `#`.
pub fn example_toml() -> String {
    toml_of(&Schema::of::<NodeConfig>())
}

/// The JSON schema of the configuration file, for editors.
pub fn json_schema() -> String {
    let schema = sorted(Schema::of::<NodeConfig>().json);
    // The alternate form is indented.
    format!("{schema:#}\n")
}

fn toml_of(schema: &Schema) -> String {
    let mut toml = comment(&schema.text);
    for section in &schema.sections {
        let _ = write!(toml, "\n\n{}[{}]\n", comment(&section.text), section.name);
        for key in &section.keys {
            toml.push('\n');
            toml.push_str(&entry(key));
        }
    }
    toml
}

fn entry(key: &Key) -> String {
    let about = format!("{}\nEnvironment: {}", key.text, key.environment());
    // Every default is a flag, a number, a text without special characters or an empty list, and all of
    // those look the same in JSON and TOML. A test reads the example back.
    format!("{}#{} = {}\n", comment(&about), key.name, key.default)
}

fn comment(text: &str) -> String {
    text.lines().map(|line| format!("# {line}").trim_end().to_owned() + "\n").collect()
}

/// With keys in alphabetical order, whatever map the JSON crate was built with.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(Map::from_iter(entries))
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}
