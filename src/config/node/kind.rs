//! The types of a configuration's values, read from TOML and from the environment.

use std::net::IpAddr;

use serde_json::Value;
use toml::de::DeValue;

/// The type of a key's value.
#[derive(Debug)]
pub enum Kind {
    /// true or false.
    Flag,
    /// A whole number within `min..=max`.
    Integer {
        /// The smallest value allowed.
        min: i64,
        /// The largest value allowed.
        max: i64,
    },
    /// A text.
    Text {
        /// Whether it may be empty.
        empty: bool,
    },
    /// One of these words.
    Choice(Vec<String>),
    /// An IP address.
    Address,
    /// A list of values of one type.
    List(Box<Kind>),
}

impl Kind {
    /// Reads a type from its JSON schema.
    ///
    /// # Panics
    /// The schema says something the reader of configurations could not hold a value to: a mistake in the
    /// program.
    #[expect(clippy::panic, reason = "a property of the program's types, not of any input")]
    pub fn of(schema: &Value) -> Self {
        let number = |name: &str| schema[name].as_i64();
        let words = || schema["enum"].as_array().map(|all| all.iter().filter_map(Value::as_str));
        match (schema["type"].as_str(), number("minimum"), number("maximum")) {
            (Some("boolean"), ..) => Self::Flag,
            (Some("integer"), Some(min), Some(max)) => Self::Integer { min, max },
            (Some("array"), ..) => Self::List(Box::new(Self::of(&schema["items"]))),
            (Some("string"), ..) if schema["format"] == "ip" => Self::Address,
            (Some("string"), ..) => match words() {
                Some(words) => Self::Choice(words.map(str::to_owned).collect()),
                None => Self::Text { empty: number("minLength").unwrap_or_default() == 0 },
            },
            _ => panic!("a type that the reader of configurations does not know: {schema}"),
        }
    }

    /// What is allowed, in words.
    pub fn allowed(&self) -> String {
        match self {
            Self::Flag => "true or false".into(),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Text { empty: true } => "a text".into(),
            Self::Text { empty: false } => "a text that is not empty".into(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Address => "an IP address".into(),
            Self::List(item) => format!("a list, each item {}", item.allowed()),
        }
    }

    /// Reads a value of a TOML file; `None` when it is not of this type.
    pub fn read_toml(&self, value: &DeValue<'_>) -> Option<Value> {
        match (self, value) {
            (Self::Flag, DeValue::Boolean(flag)) => Some((*flag).into()),
            (Self::Integer { .. }, DeValue::Integer(number)) => {
                self.integer(i64::from_str_radix(number.as_str(), number.radix()).ok()?)
            }
            (Self::Text { .. } | Self::Choice(_) | Self::Address, DeValue::String(text)) => self.text(text),
            (Self::List(item), DeValue::Array(items)) => items
                .iter()
                .map(|value| item.read_toml(value.get_ref()))
                .collect::<Option<Vec<_>>>()
                .map(Value::from),
            _ => None,
        }
    }

    /// Reads an environment variable; `None` when it is not of this type. Lists are separated by commas.
    pub fn read_text(&self, text: &str) -> Option<Value> {
        match self {
            Self::Flag => text.parse::<bool>().ok().map(Value::from),
            Self::Integer { .. } => self.integer(text.parse().ok()?),
            Self::Text { .. } | Self::Choice(_) | Self::Address => self.text(text),
            Self::List(_) if text.trim().is_empty() => Some(Vec::<Value>::new().into()),
            Self::List(item) => text
                .split(',')
                .map(|part| item.read_text(part.trim()))
                .collect::<Option<Vec<_>>>()
                .map(Value::from),
        }
    }

    fn integer(&self, number: i64) -> Option<Value> {
        match self {
            Self::Integer { min, max } => (*min..=*max).contains(&number).then(|| number.into()),
            _ => None,
        }
    }

    fn text(&self, text: &str) -> Option<Value> {
        let fits = match self {
            Self::Text { empty } => *empty || !text.is_empty(),
            Self::Choice(words) => words.iter().any(|word| word == text),
            Self::Address => text.parse::<IpAddr>().is_ok(),
            _ => false,
        };
        fits.then(|| text.into())
    }
}
