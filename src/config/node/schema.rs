//! The keys of a configuration, derived from its types: name, type, range, default, comment.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::kind::Kind;

/// What every environment variable of the node begins with.
pub const ENVIRONMENT_PREFIX: &str = "PENSTOCK_";

/// A configuration of sections with keys.
#[derive(Debug)]
pub struct Schema {
    /// The JSON schema it was read from, with the keys for secrets kept in files added.
    pub json: Value,
    /// What it says of the whole.
    pub text: String,
    /// The sections in the order of the type.
    pub sections: Vec<Section>,
}

/// A section: one table of the TOML file.
#[derive(Debug)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// Its comment.
    pub text: String,
    /// Its keys in the order of the type.
    pub keys: Vec<Key>,
}

/// A key of a section.
#[derive(Debug)]
pub struct Key {
    /// `section.key`.
    pub path: String,
    /// Its own name.
    pub name: String,
    /// Its comment.
    pub text: String,
    /// What may stand there.
    pub kind: Kind,
    /// Whether it is a secret or says where one is.
    pub role: Role,
    /// The default.
    pub default: Value,
}

/// What a key has to do with secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nothing.
    Plain,
    /// It is one: never shown, and `<key>_file` may name a file that holds it.
    Secret,
    /// It is the `<key>_file` of the secret before it.
    SecretFile,
}

/// What the name of a secret's file ends with.
pub const FILE_SUFFIX: &str = "_file";

impl Schema {
    /// Reads the schema of `T`, a struct whose fields are structs whose fields are values. A field that
    /// is never serialized is a secret.
    ///
    /// # Panics
    /// The type has another shape: a mistake in the program, which every test that calls this finds.
    pub fn of<T: JsonSchema + Serialize + Default>() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        let mut json = settings.into_generator().into_root_schema_for::<T>().to_value();
        let order = order(&T::default());
        let mut sections = Vec::new();
        for (name, section) in properties_mut(&mut json) {
            let mut keys = Vec::new();
            let mut secret_files = Map::new();
            for (key, schema) in properties_mut(section) {
                let secret = schema["writeOnly"] == true;
                let role = if secret { Role::Secret } else { Role::Plain };
                keys.push(Key::read(name, key, schema, role));
                if secret {
                    let text = format!("File that holds {name}.{key}, so that it need not stand here.");
                    let key = format!("{key}{FILE_SUFFIX}");
                    let schema = json!({ "type": "string", "default": "", "description": text });
                    keys.push(Key::read(name, &key, &schema, Role::SecretFile));
                    secret_files.insert(key, schema);
                }
            }
            properties_mut(section).extend(secret_files);
            // Secrets are not written, so they and their files come last, each pair together.
            keys.sort_by_key(|key| position(&order, &key.path));
            sections.push(Section { name: name.clone(), text: text(section), keys });
        }
        sections.sort_by_key(|section| position(&order, &section.name));
        Self { text: text(&json), json, sections }
    }

    /// All keys.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.sections.iter().flat_map(|section| &section.keys)
    }
}

impl Key {
    fn read(section: &str, name: &str, schema: &Value, role: Role) -> Self {
        let default = schema.get("default").cloned().unwrap_or_else(|| "".into());
        let kind = Kind::of(schema);
        Self { path: format!("{section}.{name}"), name: name.into(), text: text(schema), kind, role, default }
    }

    /// The environment variable that overrides it.
    pub fn environment(&self) -> String {
        format!("{ENVIRONMENT_PREFIX}{}", self.path.replace('.', "_").to_ascii_uppercase())
    }
}

fn text(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().to_owned()
}

/// The fields of a struct.
#[expect(clippy::panic, reason = "a property of the program's types, not of any input")]
fn properties_mut(schema: &mut Value) -> &mut Map<String, Value> {
    match schema.get_mut("properties").and_then(Value::as_object_mut) {
        Some(properties) => properties,
        None => panic!("a configuration consists of sections, and sections of keys"),
    }
}

/// Sections and keys in the order of their declaration, which a JSON schema does not keep.
#[expect(clippy::expect_used, reason = "a property of the program's types, not of any input")]
fn order<T: Serialize>(value: &T) -> Vec<String> {
    let toml = toml::to_string(value).expect("a configuration can be written as TOML");
    let mut section = "";
    let mut order = Vec::new();
    for line in toml.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name;
            order.push(section.to_owned());
        } else if let Some((key, _)) = line.split_once(" = ") {
            order.push(format!("{section}.{key}"));
        }
    }
    order
}

fn position(order: &[String], path: &str) -> usize {
    order.iter().position(|at| at == path).unwrap_or(usize::MAX)
}
