//! Who may use whom, as data; `cargo metadata` must agree with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// A room, and the rooms it may name in its manifest. What those may use, it may use too.
const ROOMS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("media", &["base"]),
    ("config", &["base"]),
    ("container", &["media"]),
    ("cluster-model", &["base", "config"]),
    ("cluster-store", &["cluster-model"]),
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
const ABOVE: &[&str] = &["penstock", "penstock-test-support", "penstock-fuzz-targets"];

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
            if entry.path().is_dir() {
                found.insert(format!("{prefix}{}", entry.file_name().to_string_lossy()));
            }
        }
    }
    let rooms: BTreeSet<String> = ROOMS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(found, rooms);
}

#[test]
fn sessions_of_different_protocols_do_not_know_each_other() {
    let sessions = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sessions");
    let mut wrong = Vec::new();
    for own in SIBLINGS {
        let mut files = vec![sessions.join(format!("{own}.rs"))];
        if let Ok(folder) = std::fs::read_dir(sessions.join(own)) {
            files.extend(folder.flatten().map(|entry| entry.path()));
        }
        for file in files {
            let text = std::fs::read_to_string(&file).expect("a source file");
            for other in SIBLINGS.iter().filter(|other| *other != own) {
                if text.contains(&format!("crate::{other}")) {
                    wrong.push(format!("{} names crate::{other}", file.display()));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn streams_and_security_know_no_protocol() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for room in ["streams", "security"] {
        for entry in std::fs::read_dir(root.join(room)).expect("a folder").flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
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
