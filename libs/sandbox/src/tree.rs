//! Reads the process table and ends whole trees.
//!
//! Invariant: only descendants of the given process, or members of the given session, are ever signalled.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Read;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// One line of the process table.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) session: i32,
    pub(crate) zombie: bool,
    pub(crate) threads: u64,
    /// Clock ticks used by the process and the children it has waited for.
    pub(crate) cpu_ticks: u64,
    pub(crate) resident_pages: u64,
}

/// The process table. Processes that end during the walk are left out.
pub(crate) fn scan() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let mut text = Vec::with_capacity(1024);
    entries
        .filter_map(|entry| {
            let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            text.clear();
            fs::File::open(format!("/proc/{pid}/stat"))
                .ok()?
                .read_to_end(&mut text)
                .ok()?;
            parse(pid, &text)
        })
        .collect()
}

/// Reads `/proc/<pid>/stat`. The second field is the program's name in parentheses and may itself contain anything.
fn parse(pid: i32, stat: &[u8]) -> Option<Process> {
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(name_end + 2..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<i64>().ok();
    Some(Process {
        pid,
        parent: number(1)? as i32,
        group: number(2)? as i32,
        session: number(3)? as i32,
        zombie: matches!(*fields.first()?, "Z" | "X"),
        cpu_ticks: (11..=14).filter_map(number).sum::<i64>().unsigned_abs(),
        threads: number(17)?.unsigned_abs(),
        resident_pages: number(21)?.max(0).unsigned_abs(),
    })
}

/// Everything below `root`, `root` itself not included.
pub(crate) fn descendants(root: i32, all: &[Process]) -> Vec<Process> {
    let mut children: HashMap<i32, Vec<&Process>> = HashMap::new();
    for process in all {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut queue = vec![root];
    // A pid that was reused during the walk could close a circle.
    let mut seen = HashSet::from([root]);
    while let Some(pid) = queue.pop() {
        for child in children.get(&pid).into_iter().flatten() {
            if seen.insert(child.pid) {
                queue.push(child.pid);
                found.push((*child).clone());
            }
        }
    }
    found
}

/// Sends SIGKILL to every process of the list and to their groups. A group is killed in one step, so that a
/// fork bomb inside it cannot outrun the list; `own_group` is spared.
pub(crate) fn kill_all(processes: &[Process], own_group: i32) {
    let groups: HashSet<i32> = processes
        .iter()
        .map(|process| process.group)
        .filter(|group| *group > 1 && *group != own_group)
        .collect();
    for group in groups {
        kill_group(group);
    }
    for process in processes
        .iter()
        .filter(|process| !process.zombie && process.pid > 1)
    {
        let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
    }
}

/// Sends SIGKILL to a group in one step.
pub(crate) fn kill_group(group: i32) {
    if group > 1 {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
}

/// Kills the members of a session until none is left, at most `rounds` times. For use from outside the tree, when
/// nobody collects the orphans.
pub(crate) fn kill_session(session: i32, rounds: u32) {
    for _ in 0..rounds {
        let mut members = scan();
        members.retain(|process| process.session == session && !process.zombie);
        if members.is_empty() {
            return;
        }
        kill_all(&members, nix::unistd::getpgrp().as_raw());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// Memory of one process with shared pages counted in proportion, where the kernel tells.
pub(crate) fn proportional_bytes(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(
        line.trim()
            .trim_end_matches("kB")
            .trim_end()
            .parse::<u64>()
            .ok()?
            * 1024,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let stat = b"7 (a) R 1 (x) S 3 4 5 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 9 0 100 5000 77 18446744073709551615";
        let process = parse(7, stat).unwrap();
        assert_eq!((process.parent, process.group, process.session), (3, 4, 5));
        assert_eq!(
            (process.cpu_ticks, process.threads, process.resident_pages),
            (100, 9, 77)
        );
        assert!(!process.zombie);
    }

    #[test]
    fn this_process_is_below_its_parent() {
        let all = scan();
        let me = std::process::id() as i32;
        let parent = all.iter().find(|process| process.pid == me).unwrap().parent;
        assert!(
            descendants(parent, &all)
                .iter()
                .any(|process| process.pid == me)
        );
        assert!(
            !descendants(me, &all)
                .iter()
                .any(|process| process.pid == me)
        );
    }

    #[test]
    fn a_circle_ends() {
        let process = |pid, parent| Process {
            pid,
            parent,
            group: 0,
            session: 0,
            zombie: false,
            threads: 1,
            cpu_ticks: 0,
            resident_pages: 0,
        };
        assert_eq!(
            descendants(5, &[process(6, 5), process(7, 6), process(5, 7)]).len(),
            2
        );
    }
}
