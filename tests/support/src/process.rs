//! Processes a test started: who descends from them, and how they end.

use std::collections::{HashMap, HashSet};
use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// The process ids of everybody that descends from `root`, `root` first.
pub fn descendants(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for process in all() {
        children.entry(process.parent).or_default().push(process.pid);
    }
    let mut family = vec![root];
    let mut seen = HashSet::from([root]);
    let mut next = 0;
    while let Some(&pid) = family.get(next) {
        next += 1;
        for &child in children.get(&pid).into_iter().flatten() {
            if seen.insert(child) {
                family.push(child);
            }
        }
    }
    family
}

/// Kills `root` and everybody that descends from it, each by its process id.
pub fn end_tree(root: u32) {
    for pid in descendants(root) {
        signal(pid, Signal::KILL);
    }
}

/// Asks a process to end (SIGTERM).
pub fn terminate(pid: u32) {
    signal(pid, Signal::TERM);
}

/// Stops a process where it stands (SIGSTOP): its connections stay open and say nothing.
pub fn freeze(pid: u32) {
    signal(pid, Signal::STOP);
}

/// Lets a frozen process go on (SIGCONT).
pub fn thaw(pid: u32) {
    signal(pid, Signal::CONT);
}

/// Sends a signal; a process that is gone is none of our business any more.
fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// A process as `/proc/<pid>/stat` tells it.
pub(crate) struct Process {
    /// Its id.
    pub pid: u32,
    /// Its parent's id.
    pub parent: u32,
    /// Clock ticks it has computed, with its children that it has waited for.
    pub ticks: u64,
}

/// Every process of the machine.
pub(crate) fn all() -> Vec<Process> {
    let Ok(folder) = fs::read_dir("/proc") else { return Vec::new() };
    folder
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
        })
        .collect()
}

fn parse(pid: u32, stat: &str) -> Option<Process> {
    // The name stands in brackets and may hold anything: fields are counted from its end.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let ticks = number(11)? + number(12)? + number(13)? + number(14)?;
    Some(Process { pid, parent: fields.get(1)?.parse().ok()?, ticks })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_tree_ends_with_its_grandchildren() {
        let mut shell = Command::new("sh").args(["-c", "sleep 60 & wait"]).spawn().unwrap();
        let family = loop {
            let family = descendants(shell.id());
            if family.len() == 2 {
                break family;
            }
            std::thread::yield_now();
        };
        end_tree(shell.id());
        shell.wait().unwrap();
        // The grandchild belongs to init now, which may need a moment to bury it: a zombie is dead too.
        while fs::read_to_string(format!("/proc/{}/stat", family[1])).is_ok_and(|stat| !stat.contains(") Z"))
        {
            std::thread::yield_now();
        }
    }

    #[test]
    fn names_with_brackets_are_read() {
        let stat = "7 (a) b) S 3 7 7 0 -1 4194304 1 0 0 0 10 20 30 40 20 0 1 0 5 0 0";
        let process = parse(7, stat).unwrap();
        assert_eq!((process.parent, process.ticks), (3, 100));
    }
}
