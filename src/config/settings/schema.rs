//! The table of application settings as JSON, for pages that make a form of it.

use serde::Serialize;
use serde_json::Value;

use super::kind::Kind;
use super::table::{Concerns, ROWS, Row};

/// What a page has to know of one setting.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    key: &'static str,
    /// `flag`, `integer`, `decimal`, `text`, `object` or `ladder`.
    kind: &'static str,
    default: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<i64>,
    /// It may be null, which is not the same as empty.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    nullable: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    secret: bool,
    /// The node does what it says; others are kept and change nothing.
    acted_on: bool,
    /// What it protects: `publish`, `play`, `both` directions, `rest` or `pages`.
    #[serde(skip_serializing_if = "Option::is_none")]
    gates: Option<&'static str>,
}

impl From<&Row> for Described {
    fn from(row: &Row) -> Self {
        let (min, max) = match row.kind {
            Kind::Integer { min, max, .. } => (Some(min), Some(max)),
            _ => (None, None),
        };
        Self {
            key: row.json,
            kind: match row.kind {
                Kind::Flag(_) => "flag",
                Kind::Integer { .. } => "integer",
                Kind::Decimal(_) => "decimal",
                Kind::Text(_) | Kind::OptionalText | Kind::RandomText => "text",
                Kind::Object(_) => "object",
                Kind::Ladder => "ladder",
            },
            default: row.kind.default_value(),
            min,
            max,
            nullable: matches!(row.kind, Kind::OptionalText),
            secret: row.secret,
            acted_on: row.acted_on,
            gates: row.gates.map(|concerns| match concerns {
                Concerns::Publish => "publish",
                Concerns::Play => "play",
                Concerns::Both => "both",
                Concerns::Rest => "rest",
                Concerns::Pages => "pages",
            }),
        }
    }
}

/// All settings in the order of the table, one a line: the file `schemas/settings.json`, which the management page
/// makes its form of.
pub fn settings_table_json() -> String {
    let rows: Vec<String> =
        ROWS.iter().map(Described::from).filter_map(|row| serde_json::to_string(&row).ok()).collect();
    format!("[\n{}\n]\n", rows.join(",\n"))
}
