//! Who may use whom, as data; `cargo metadata` must agree with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A room, and the rooms it may name in its manifest. What those may use, it may use too.
const ROOMS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("media", &["base"]),
    ("config", &["base"]),
    ("container", &["media"]),
    ("cluster-model", &["base", "config"]),
    ("cluster-core", &["cluster-model"]),
    ("cluster-store", &["cluster-core"]),
    ("cluster-node", &["cluster-store"]),
    ("cluster-link", &["cluster-node"]),
    ("cluster-scylla", &["cluster-core"]),
    ("observe", &["base", "config"]),
    ("security", &["config", "cluster-model", "observe"]),
    ("rtmp", &["media", "container", "config"]),
    ("rtc", &["media", "container", "config"]),
    ("streams", &["media", "config", "security", "cluster-model", "observe"]),
    ("transcode", &["streams", "container"]),
    ("sessions", &["streams", "security", "rtmp", "rtc", "observe"]),
    ("api", &["sessions", "transcode", "streams", "security", "observe", "cluster-model", "config", "media"]),
];

/// Crates outside the rooms that stand above all of them.
const ABOVE: &[&str] = &[
    "penstock",
    "penstock-test-support",
    "penstock-sim",
    "penstock-load-tests",
    "penstock-metadata-load",
    "penstock-fuzz-targets",
];

/// The folders in `src` that are no rooms.
const OF_THE_BINARY: [&str; 2] = ["src/cluster", "src/commands"];

/// Modules of `sessions` that are siblings: none names another.
const SIBLINGS: &[&str] = &["rtmp", "rtc", "http"];

fn allowed(room: &str) -> BTreeSet<&'static str> {
    let mut all = BTreeSet::new();
    let mut next: Vec<&str> = vec![room];
    while let Some(room) = next.pop() {
        let (_, direct) = ROOMS.iter().find(|(name, _)| *name == room).expect("a room of the table");
        for name in *direct {
            if all.insert(*name) {
                next.push(name);
            }
        }
    }
    all
}

/// Edges that the table does not allow, as `room -> room`.
fn forbidden(edges: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (from, to) in edges {
        if ABOVE.contains(&from.as_str()) {
            continue;
        }
        let Some(room) =
            from.strip_prefix("penstock-").filter(|room| ROOMS.iter().any(|(name, _)| name == room))
        else {
            wrong.push(format!("{from} is not in the table of rooms"));
            continue;
        };
        let may = allowed(room);
        for target in to {
            let target_room = target.strip_prefix("penstock-").unwrap_or(target);
            if target_room != room && !may.contains(target_room) {
                wrong.push(format!("{room} -> {target_room}"));
            }
        }
    }
    wrong
}

fn edges() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let name = package["name"].as_str().expect("a name").to_owned();
            let uses = package["dependencies"]
                .as_array()
                .expect("dependencies")
                .iter()
                // What tests use does not shape the house, but it may not reach upwards either.
                .filter_map(|dependency| dependency["name"].as_str())
                .filter(|used| used.starts_with("penstock"))
                .map(str::to_owned)
                .collect();
            (name, uses)
        })
        .collect()
}

#[test]
fn rooms_use_only_the_rooms_they_may() {
    assert_eq!(forbidden(&edges()), Vec::<String>::new());
}

#[test]
fn a_forbidden_edge_is_found() {
    let mut edges = edges();
    edges.entry("penstock-media".into()).or_default().insert("penstock-streams".into());
    edges.entry("penstock-rtmp".into()).or_default().insert("penstock-rtc".into());
    edges.insert("penstock-attic".into(), BTreeSet::new());
    assert_eq!(
        forbidden(&edges),
        ["penstock-attic is not in the table of rooms", "media -> streams", "rtmp -> rtc"]
    );
}

#[test]
fn every_folder_is_a_room_and_every_room_a_folder() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeSet::new();
    for (folder, prefix) in [("src", ""), ("cluster", "cluster-")] {
        for entry in std::fs::read_dir(root.join(folder)).expect("a folder").flatten() {
            if entry.path().is_dir() && !OF_THE_BINARY.iter().any(|of| entry.path() == root.join(of)) {
                found.insert(format!("{prefix}{}", entry.file_name().to_string_lossy()));
            }
        }
    }
    let rooms: BTreeSet<String> = ROOMS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(found, rooms);
}

/// The files of `tests` that are programs, and folders that are crates.
const NO_PROMISES: [&str; 5] = ["alone", "together", "a_death_takes_only_its_own", "sim", "support"];

#[test]
fn every_promise_is_run_by_one_program_and_what_is_measured_has_the_machine_alone() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let read = |path: &Path| std::fs::read_to_string(path).expect("a source file");
    let listed = |program: &str| {
        let text = read(&tests.join(program).with_extension("rs"));
        let names =
            text.lines().filter_map(|line| Some(line.strip_prefix("mod ")?.strip_suffix(';')?.to_owned()));
        names.collect::<BTreeSet<_>>()
    };
    let (alone, together) = (listed("alone"), listed("together"));
    for entry in std::fs::read_dir(&tests).expect("a folder").flatten() {
        let name = entry.path().file_stem().expect("a name").to_string_lossy().into_owned();
        if NO_PROMISES.contains(&&*name) {
            continue;
        }
        let takes_turns = |source: &Path| read(source).contains(concat!("Turn::", "take()"));
        let measures = sources(&tests, &name).iter().any(|(source, _)| takes_turns(source));
        assert_eq!(alone.contains(&name), measures, "{name}: in `alone` is what takes turns");
        assert_eq!(together.contains(&name), !measures, "{name}: in `together` is what does not");
    }
}

/// Every source file of `module` (`rtc.rs` and all below `rtc/`), and the modules it is: `["rtc", "driver"]`.
fn sources(root: &Path, module: &str) -> Vec<(PathBuf, Vec<String>)> {
    let mut found = Vec::new();
    let mut next = vec![root.join(format!("{module}.rs")), root.join(module)];
    while let Some(path) = next.pop() {
        if path.is_dir() {
            next.extend(std::fs::read_dir(&path).expect("a folder").flatten().map(|entry| entry.path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") && path.exists() {
            let inside = path.strip_prefix(root).expect("a path below the root").with_extension("");
            let mut modules: Vec<String> =
                inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            modules.pop_if(|last| last == "mod");
            found.push((path, modules));
        }
    }
    assert!(!found.is_empty(), "there is no module {module}");
    found
}

/// Words and signs of Rust source; `::` is one of them. Comments, strings, characters and lifetimes are
/// left out.
fn tokens(source: &str) -> Vec<&str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut all = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let raw = rest.trim_start_matches(['b', 'c']).strip_prefix('r');
        let hashes = raw.map_or(0, |raw| raw.len() - raw.trim_start_matches('#').len());
        let raw = raw.and_then(|raw| raw[hashes..].strip_prefix('"'));
        rest = if rest.starts_with("//") {
            rest.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            after_comment(comment)
        } else if let Some(raw) = raw {
            raw.split_once(&format!("\"{}", "#".repeat(hashes))).map_or("", |(_, after)| after)
        } else if let Some(text) = rest.strip_prefix('"') {
            after_quote(text, '"')
        } else if let Some(text) = rest.strip_prefix('\'') {
            // 'a is a lifetime, 'a' a character.
            let character = text.starts_with('\\') || text.chars().nth(1) == Some('\'');
            if character { after_quote(text, '\'') } else { text.trim_start_matches(is_word) }
        } else if is_word(first) {
            let (word, after) = rest.split_at(rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
            all.push(word);
            after
        } else if first.is_whitespace() {
            rest.trim_start()
        } else {
            let length = if rest.starts_with("::") { 2 } else { first.len_utf8() };
            let (sign, after) = rest.split_at(length);
            all.push(sign);
            after
        };
    }
    all
}

/// What follows a comment and those within it.
fn after_comment(comment: &str) -> &str {
    let (mut depth, mut rest) = (1, comment);
    while depth > 0 {
        let (next, deeper) = match (rest.find("/*"), rest.find("*/")) {
            (Some(open), Some(close)) if open < close => (open, true),
            (_, Some(close)) => (close, false),
            (_, None) => return "",
        };
        depth = if deeper { depth + 1 } else { depth - 1 };
        rest = &rest[next + 2..];
    }
    rest
}

/// What follows the closing `quote`.
fn after_quote(text: &str, quote: char) -> &str {
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        if character == quote && !escaped {
            return &text[at + quote.len_utf8()..];
        }
        escaped = character == '\\' && !escaped;
    }
    ""
}

/// The paths of source that begin at the crate's root, with `crate`, `super` or `self`; `modules` are the
/// modules of the file. An empty path is the root itself under another name.
fn local_paths<'a>(source: &'a str, modules: &'a [String]) -> Vec<Vec<&'a str>> {
    let tokens = tokens(source);
    let mut here: Vec<&str> = modules.iter().map(String::as_str).collect();
    // How deep in braces each module inside this file begins.
    let mut inner = Vec::new();
    let mut depth = 0usize;
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&token) = tokens.get(at) {
        let next = tokens.get(at + 1).copied();
        match token {
            "mod" if tokens.get(at + 2) == Some(&"{") => {
                here.extend(next);
                inner.push(depth);
                depth += 1;
                at += 3;
                continue;
            }
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                if inner.pop_if(|begin| *begin == depth).is_some() {
                    here.pop();
                }
            }
            "crate" | "super" | "self" if matches!(next, Some("::" | "as")) => {
                at = follow(&tokens, at, here.clone(), &mut found);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Reads one path, or the tree of a `use`, that begins at the token `at` in the module `path`. Gives the
/// token behind it.
fn follow<'a>(
    tokens: &[&'a str],
    mut at: usize,
    mut path: Vec<&'a str>,
    found: &mut Vec<Vec<&'a str>>,
) -> usize {
    while let Some(&token) = tokens.get(at) {
        at += 1;
        match token {
            "{" => {
                while tokens.get(at).is_some_and(|token| *token != "}") {
                    at = follow(tokens, at, path.clone(), found);
                    while tokens.get(at).is_some_and(|token| !matches!(*token, "," | "}")) {
                        at += 1;
                    }
                    at += usize::from(tokens.get(at) == Some(&","));
                }
                return at + 1;
            }
            "crate" => path.clear(),
            "super" => drop(path.pop()),
            "self" => {}
            "<" => break,
            name => path.push(name),
        }
        if tokens.get(at) != Some(&"::") {
            break;
        }
        at += 1;
    }
    if !path.is_empty() || tokens.get(at) == Some(&"as") {
        found.push(path);
    }
    at
}

/// How a file of the sibling `modules[0]` names another one, or the crate's root as a whole.
fn named_siblings(source: &str, modules: &[String]) -> Vec<String> {
    let own = modules.first().map_or("", String::as_str);
    let others = |name: &str| name == "*" || (name != own && SIBLINGS.contains(&name));
    local_paths(source, modules)
        .into_iter()
        .filter(|path| path.first().is_none_or(|first| others(first)))
        .map(|path| format!("crate::{}", path.join("::")))
        .collect()
}

#[test]
fn sessions_of_different_protocols_do_not_know_each_other() {
    let sessions = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sessions");
    let mut wrong = Vec::new();
    for own in SIBLINGS {
        for (file, modules) in sources(&sessions, own) {
            let text = std::fs::read_to_string(&file).expect("a source file");
            for path in named_siblings(&text, &modules) {
                wrong.push(format!("{} names {path}", file.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_sibling_is_found_however_it_is_named() {
    let modules = ["rtmp".to_owned(), "writer".to_owned()];
    for (source, path) in [
        ("use crate::rtc::Shards;", "crate::rtc::Shards"),
        ("use crate::{connections::{A, B as C}, rtc};", "crate::rtc"),
        ("use crate::{\n    connections::*,\n    http::{tls as t},\n};", "crate::http::tls"),
        ("use super::super::rtc;", "crate::rtc"),
        ("use super::{super::rtc, listener};", "crate::rtc"),
        ("use self::super::super::rtc::{self as r};", "crate::rtc"),
        ("fn f<'a>(c: char) { if c == '\"' { crate :: rtc :: f::<u8>() } }", "crate::rtc::f"),
        ("mod tests { mod deep { use super::super::super::super::rtc; } }", "crate::rtc"),
        ("/* a /* b *//* d */ c */ pub(in crate::rtc) struct A;", "crate::rtc"),
        ("use crate::*;", "crate::*"),
        ("use crate as root;", "crate::"),
        ("use crate::{self as root};", "crate::"),
        ("use super::super as root;", "crate::"),
    ] {
        assert_eq!(named_siblings(source, &modules), [path], "{source}");
    }
    for source in [
        "use crate::rtmp::{self, listener}; pub(crate) use crate::connections::{rtc, http};",
        "use super::rtc; use super::*; use self::rtc::A;",
        "// crate::rtc\n/// [`crate::rtc`]\n/* crate::rtc /* */ crate::rtc */ fn f() {}",
        "const A: &str = \"\\\"crate::rtc\"; const B: &str = r#\"\"crate::rtc\"#; const C: &[u8] = br\"crate::rtc\";",
        "mod tests { use super::super::listener; use super::super::*; } fn f(&self) -> self::rtc {}",
        "use rtc::Shard; use other::crate_::rtc; pub(super) fn f(self) -> u8 { self.rtc as u8 }",
    ] {
        assert_eq!(named_siblings(source, &modules), Vec::<String>::new(), "{source}");
    }
}

#[test]
fn streams_and_security_know_no_protocol() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for room in ["streams", "security"] {
        for (path, _) in sources(&root, room) {
            let text = std::fs::read_to_string(&path).expect("a source file");
            for word in ["use rtmp", "use rtc", "rtmp::", "rtc::", "hls::", "srt::"] {
                if text.contains(word) {
                    wrong.push(format!("{} says {word}", path.display()));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
