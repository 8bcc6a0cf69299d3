//! What no node may say, in any test: secrets and tokens that a test gave to one or was given by one are kept here, and the
//! log of each node, its metrics and the files of its data are searched for them when it is dropped.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use aho_corasick::{AhoCorasick, MatchKind};
use serde_json::Value;

/// No more are kept: tests that make tokens by the thousand are searched for the first of them.
const KNOWN_MAX: usize = 4_096;
/// What is shorter may stand anywhere by chance.
const LENGTH_MIN: usize = 12;

/// How secret something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Secrecy {
    /// In no log.
    Token,
    /// Nor on the disk, unless it is sealed.
    Secret,
}

static KNOWN: Mutex<BTreeMap<String, Secrecy>> = Mutex::new(BTreeMap::new());

/// What a value of this name is: of a setting, a variable of the environment, a field of JSON.
fn secrecy(name: &str) -> Option<Secrecy> {
    let name = name.to_ascii_lowercase();
    let has = |part: &str| name.contains(part);
    match () {
        () if has("secret") || has("password") => Some(Secrecy::Secret),
        () if name == "tokenid" || name.ends_with("_token") => Some(Secrecy::Token),
        () => None,
    }
}

/// Keeps `value` if what is called `name` is secret.
pub(crate) fn learn(name: &str, value: &str) {
    // The place of a secret is none; nor is what there are words for, or what hides it.
    let is_one = value.len() >= LENGTH_MIN && !value.contains(['/', ' ', '*']);
    let Some(secrecy) = secrecy(name).filter(|_| is_one) else { return };
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let has_room = known.len() < KNOWN_MAX;
    match known.get_mut(value) {
        // What has two names is as secret as either.
        Some(so_far) => *so_far = secrecy.max(*so_far),
        None if has_room => drop(known.insert(value.to_owned(), secrecy)),
        None => {}
    }
}

/// Keeps every secret of a body that was sent or came.
pub(crate) fn learn_all(json: &Value) {
    match json {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| match value {
            Value::String(text) => learn(name, text),
            deeper => learn_all(deeper),
        }),
        Value::Array(all) => all.iter().for_each(learn_all),
        _ => {}
    }
}

/// What was written where it must not be, a line each.
pub(crate) fn found(lines: &[String], data: &Path) -> Vec<String> {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut found = Vec::new();
    let all: Vec<_> = known.keys().collect();
    if let Some(search) = search(&all) {
        found.extend(
            lines
                .iter()
                .filter(|line| search.is_match(line))
                .map(|line| format!("its log or metrics: {line}")),
        );
    }
    let secrets: Vec<_> =
        known.iter().filter(|(_, secrecy)| **secrecy == Secrecy::Secret).map(|(text, _)| text).collect();
    if let Some(search) = search(&secrets) {
        let mut paths = vec![data.to_owned()];
        while let Some(path) = paths.pop() {
            // Nobody has to read a folder that is gone; what is no folder has nothing in it, and what is one no bytes.
            paths.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
            let bytes = fs::read(&path).unwrap_or_default();
            if let Some(secret) = search.find(&bytes) {
                let secret = String::from_utf8_lossy(&bytes[secret.range()]);
                found.push(format!("{} holds {secret}", path.display()));
            }
        }
    }
    found
}

fn search(texts: &[&String]) -> Option<AhoCorasick> {
    let search = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(texts).ok()?;
    (!texts.is_empty()).then_some(search)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_learned_is_found_in_logs_and_secrets_also_on_the_disk() {
        learn_all(
            &json!({ "a": [{ "b32Secret": "CANARYOFATESTABC" }], "tokenId": "token-of-a-test-1", "x": "innocent words" }),
        );
        learn("PENSTOCK_CLUSTER_SECRET_FILE", "/tmp/a-file-with-one");
        learn("tokenHashSecret", "short");
        learn("tokenId", "CANARYOFATESTABC");
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("deeper")).unwrap();
        let store = folder.path().join("deeper/store");
        fs::write(&store, b"\x00\xffCANARYOFATESTABC token-of-a-test-1").unwrap();
        let lines =
            ["innocent words", "token=token-of-a-test-1", "/tmp/a-file-with-one", "short"].map(str::to_owned);
        assert_eq!(
            found(&lines, folder.path()),
            [
                "its log or metrics: token=token-of-a-test-1".to_owned(),
                format!("{} holds CANARYOFATESTABC", store.display())
            ]
        );
    }
}
