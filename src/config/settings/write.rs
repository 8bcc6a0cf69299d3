//! Writes settings back into a `red5-web.properties`: what people wrote there stays where it is, but for values that changed.

use std::collections::BTreeMap;
use std::ops::Range;

use base::{AppName, SeededRandomness};
use serde_json::Value;

use super::java::entries;
use super::kind::Kind;
use super::properties::chosen;
use super::table::{ROWS, Row};
use super::{AppSettings, LADDER};

/// Above the settings that a node adds to a file.
const ADDED: &str = "# -- set over REST";

/// Why the settings are not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// What is in the file now is no properties file, so its lines are not touched.
    #[error("line {line} of the file that is there {why}")]
    Unreadable {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// A value would be read as another one, such as one that holds `${`.
    #[error("a properties file cannot hold the value of {key}")]
    Unwritable {
        /// The JSON key.
        key: &'static str,
    },
}

impl AppSettings {
    /// The content of a properties file that says what these settings say, made of `before`, the content it has. Comments,
    /// order, spelling and keys nobody knows stay; what it did not name and is not at its default is added at the end.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn to_properties(&self, app: &AppName, before: &[u8]) -> Result<String, WriteError> {
        let found =
            entries(before).map_err(|(line, why)| WriteError::Unreadable { line, why: why.to_string() })?;
        // It is UTF-8, or it had no entries.
        let text = String::from_utf8_lossy(before).trim_start_matches('\u{feff}').replace("\r\n", "\n");
        let mut lines: Vec<String> = text.split(['\n', '\r']).map(str::to_owned).collect();
        let named: BTreeMap<usize, _> = chosen(found, &mut Vec::new()).into_iter().collect();
        let mut edits: Vec<(Range<usize>, Option<String>)> = Vec::new();
        for (row, entry) in &named {
            let (kind, value) = (&ROWS[*row].kind, &self.values[*row]);
            if is_name(&ROWS[*row]) || kind.read_text(&entry.value).as_ref() == Some(value) {
                continue;
            }
            let extent = extent(&lines, entry.line.saturating_sub(1));
            let line =
                text_of(kind, value).map(|text| format!("{}={}", escaped_key(&entry.key), escaped(&text)));
            edits.push((extent, line));
        }
        edits.sort_by_key(|(extent, _)| std::cmp::Reverse(extent.start));
        for (extent, line) in edits {
            lines.splice(extent, line);
        }
        let mut added = Vec::new();
        for (at, (row, value)) in ROWS.iter().zip(self.values.iter()).enumerate() {
            let drawn = matches!(row.kind, Kind::RandomText);
            if named.contains_key(&at) || is_name(row) || drawn || *value == row.kind.default_value() {
                continue;
            }
            let name = row.names().into_iter().next();
            if let Some((name, text)) = name.zip(text_of(&row.kind, value)) {
                added.push(format!("{}={}", escaped_key(&name), escaped(&text)));
            }
        }
        if !added.is_empty() {
            while lines.last().is_some_and(String::is_empty) {
                lines.pop();
            }
            if !lines.iter().any(|line| line == ADDED) {
                if !lines.is_empty() {
                    lines.push(String::new());
                }
                lines.push(ADDED.to_owned());
            }
            lines.extend(added);
            lines.push(String::new());
        }
        let text = lines.join("\n");
        self.reads_back(app, &text)?;
        Ok(text)
    }

    /// A file that says something else would change the settings as soon as it is read.
    fn reads_back(&self, app: &AppName, text: &str) -> Result<(), WriteError> {
        let path = std::path::Path::new("");
        // Nothing drawn here is looked at.
        let nobodys = SeededRandomness::new(0);
        let read = self.defaults(app).overlay(app, path, text.as_bytes(), &nobodys);
        let differing = match &read {
            Ok(read) => self.differences(&read.settings),
            Err(_) => self.differences(&self.defaults(app)),
        };
        let lost = differing.iter().find(|it| {
            let blank = |value: &Value| value.is_null() || value.as_str().is_some_and(str::is_empty);
            let same = blank(&it.before) && blank(&it.after);
            let placeholder = it.before.to_string().contains("${");
            !same && !is_internal(it.key) && (read.is_ok() || placeholder)
        });
        match lost {
            Some(lost) => Err(WriteError::Unwritable { key: lost.key }),
            None if read.is_err() => Err(WriteError::Unwritable { key: LADDER }),
            None => Ok(()),
        }
    }
}

/// Whether it is the application's name, which is its folder's.
fn is_name(row: &Row) -> bool {
    row.json == "appName"
}

/// Whether no properties file names it.
fn is_internal(key: &str) -> bool {
    ROWS.iter().any(|row| row.json == key && row.names().is_empty())
}

/// The lines of the entry that begins on `first`.
fn extent(lines: &[String], first: usize) -> Range<usize> {
    let goes_on = |line: &String| line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1;
    let more = lines.get(first..).unwrap_or_default().iter().take_while(|line| goes_on(line)).count();
    first..(first + more + 1).min(lines.len())
}

/// The value as a properties file has it; `None`: as a line that is not there.
fn text_of(kind: &Kind, value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(steps) if matches!(kind, Kind::Ladder) && steps.is_empty() => Some(String::new()),
        other => Some(other.to_string()),
    }
}

fn escaped_key(key: &str) -> String {
    let mut text = String::with_capacity(key.len());
    for character in key.chars() {
        if matches!(character, ' ' | '=' | ':' | '#' | '!') {
            text.push('\\');
        }
        push_escaped(&mut text, character);
    }
    text
}

/// As `java.util.Properties.store` does, but in UTF-8.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for (at, character) in value.char_indices() {
        if at == 0 && character == ' ' {
            text.push('\\');
        }
        push_escaped(&mut text, character);
    }
    text
}

fn push_escaped(text: &mut String, character: char) {
    match character {
        '\\' => text.push_str("\\\\"),
        '\t' => text.push_str("\\t"),
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\x0c' => text.push_str("\\f"),
        other => text.push(other),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn app() -> AppName {
        AppName::new("LiveApp").unwrap()
    }

    fn read(properties: &str) -> AppSettings {
        let randomness = SeededRandomness::new(1);
        AppSettings::from_properties(&app(), Path::new("f"), properties.as_bytes(), &randomness)
            .unwrap()
            .settings
    }

    fn changed(before: &str, changes: Value) -> Result<String, WriteError> {
        let settings = read(before).patched(changes.as_object().unwrap()).unwrap();
        let text = settings.to_properties(&app(), before.as_bytes())?;
        let keys = ["clusterCommunicationKey", "subscriberAuthenticationKey"];
        let differing = settings.differences(&read(&text));
        assert!(differing.iter().all(|it| keys.contains(&it.key)), "{differing:?}: {text}");
        Ok(text)
    }

    #[test]
    fn comments_order_spelling_and_unknown_keys_stay() {
        let before = "# Mine\nwebapp.contextPath=/LiveApp\n\nsettings.hlsTime = 4 \n\n! a\nfoo: bar\nwebRTCEnabled=on\n";
        assert_eq!(changed(before, json!({})).unwrap(), before);
        assert_eq!(
            changed(before, json!({ "hlsTime": "6", "tokenHashSecret": "s3cret" })).unwrap(),
            "# Mine\nwebapp.contextPath=/LiveApp\n\nsettings.hlsTime=6\n\n! a\nfoo: bar\nwebRTCEnabled=on\n\n\
             # -- set over REST\ntokenHashSecret=s3cret\n"
        );
    }

    #[test]
    fn what_is_added_later_stands_with_what_was_added_before() {
        let once = changed("", json!({ "hlsTime": "6" })).unwrap();
        let twice = changed(&once, json!({ "webRTCEnabled": false })).unwrap();
        assert_eq!(twice.matches(ADDED).count(), 1, "{twice}");
        let back = changed(&twice, json!({ "hlsTime": null })).unwrap();
        assert!(back.contains("hlsTime=2\n"), "{back}");
    }

    #[test]
    fn an_entry_of_several_lines_is_replaced_as_a_whole() {
        let text = changed(
            "a=1\\\n  2\ntokenHashSecret=on\\\n   e\\\\\\\n  x\nhlsTime=3\n",
            json!({ "tokenHashSecret": "t" }),
        );
        assert_eq!(text.unwrap(), "a=1\\\n  2\ntokenHashSecret=t\nhlsTime=3\n");
    }

    #[test]
    fn of_two_names_the_one_that_counts_is_changed() {
        let text =
            changed("webRTCEnabled=true\nsettings.webRTCEnabled=true\n", json!({ "webRTCEnabled": false }));
        assert_eq!(text.unwrap(), "webRTCEnabled=false\nsettings.webRTCEnabled=true\n");
    }

    #[test]
    fn any_text_is_read_back_as_it_was() {
        for secret in [" a", "a ", "=a", ":", "a\\b\\", "ä€😀", "a\nb\tc\r\x0c", "#x", "\\u00e4", "a=b c!"]
        {
            changed("", json!({ "tokenHashSecret": secret })).unwrap();
            changed("tokenHashSecret=old\nhlsTime=3\n", json!({ "tokenHashSecret": secret })).unwrap();
        }
        let ladder = json!([{ "height": 480, "videoBitrate": 1, "audioBitrate": 2, "forceEncode": true }]);
        changed("encoderSettingsString=240,1,2\n", json!({ "encoderSettings": ladder })).unwrap();
        changed("encoderSettingsString=240,1,2\n", json!({ "encoderSettings": [] })).unwrap();
        changed("", json!({ "customSettings": { "a": ["b"] }, "abrUpScalePacketLostRatio": 0.25 })).unwrap();
        changed("timeTokenSecretForPlay=a\n", json!({ "timeTokenSecretForPlay": null })).unwrap();
    }

    #[test]
    fn what_cannot_be_written_is_told_by_its_key() {
        assert_eq!(
            changed("", json!({ "tokenHashSecret": "${HOME}" })),
            Err(WriteError::Unwritable { key: "tokenHashSecret" })
        );
        let error = AppSettings::default().to_properties(&app(), b"a=1\nb=\\u00").unwrap_err();
        assert!(matches!(error, WriteError::Unreadable { line: 2, .. }));
    }
}
