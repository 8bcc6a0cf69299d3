use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use base::{Randomness, SeededRandomness};

use super::*;

/// Mutations tried per file of a corpus: the whole test takes a few seconds.
const MUTATIONS_PER_FILE: u64 = 3_000;
/// Larger files get fewer, so that they cost no more than the small ones.
const MUTATED_BYTES_PER_FILE: u64 = 4_000_000;

fn fuzz_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = fuzz_folder().join("corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn run(target: Target, data: &[u8], what: &str) {
    if catch_unwind(|| target(data)).is_err() {
        let start: String = data.iter().take(2_000).map(|byte| format!("{byte:02x}")).collect();
        panic!("{what} fails with {} bytes: {start}", data.len());
    }
}

fn number(randomness: &SeededRandomness, below: usize) -> usize {
    usize::try_from(randomness.next_u64() % u64::try_from(below.max(1)).unwrap()).unwrap()
}

/// Changes a few places, cuts, repeats or mixes in a piece of another file.
fn mutate(data: &[u8], other: &[u8], randomness: &SeededRandomness) -> Vec<u8> {
    const TELLING: [u8; 10] = [0, 1, 2, 3, 0x0a, 0x10, 0x7f, 0x80, 0xc0, 0xff];
    let mut data = data.to_vec();
    for _ in 0..=number(randomness, 4) {
        let at = number(randomness, data.len());
        match (number(randomness, 7), data.get_mut(at)) {
            (0, Some(byte)) => *byte ^= 1 << number(randomness, 8),
            (1, Some(byte)) => *byte = TELLING[number(randomness, TELLING.len())],
            (2, _) => data.truncate(at),
            (3, Some(_)) => {
                data.remove(at);
            }
            (4, _) => data.insert(at, TELLING[number(randomness, TELLING.len())]),
            (5, _) => {
                let end = (at + 1 + number(randomness, 64)).min(data.len());
                let piece = data[at.min(end)..end].to_vec();
                data.splice(at..at, piece);
            }
            (6, _) => {
                let from = number(randomness, other.len());
                let to = (from + 1 + number(randomness, 64)).min(other.len());
                data.splice(at..at, other[from.min(to)..to].iter().copied());
            }
            _ => {}
        }
    }
    data
}

#[test]
fn no_kept_input_and_no_mutation_of_one_trips_a_target() {
    for &(name, target) in TARGETS {
        let files = corpus(name);
        assert!(!files.is_empty(), "the corpus of {name} is empty");
        run(target, &[], name);
        let randomness = SeededRandomness::new(7);
        for (path, data) in &files {
            let what = format!("{name}: {}", path.file_name().unwrap().display());
            run(target, data, &what);
            let bytes = u64::try_from(data.len()).unwrap().max(1);
            for index in 0..MUTATIONS_PER_FILE.min(MUTATED_BYTES_PER_FILE / bytes) {
                let other = &files[number(&randomness, files.len())].1;
                let mutated = mutate(data, other, &randomness);
                run(target, &mutated, &format!("{what}, mutation {index}"));
            }
        }
    }
}

#[test]
fn every_target_has_its_fuzzer_and_every_fuzzer_its_target() {
    let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let listed = |folder: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(fuzz_folder().join(folder)).unwrap();
        entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed("fuzz_targets"), names);
    assert_eq!(listed("corpus"), names);
    let manifest = fs::read_to_string(fuzz_folder().join("Cargo.toml")).unwrap();
    for name in names {
        assert!(
            manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")),
            "{name} is not in fuzz/Cargo.toml"
        );
    }
}
