//! Processes of this machine that belong to a test.
//!
//! Invariant: found by what only the test's processes have: its folders in command line, working directory or
//! environment.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::program::within;

/// How long whatever watches over the children of a killed process may take to end them.
const BOUND: Duration = Duration::from_secs(5);

/// Waits until nothing runs that knows one of these folders.
#[track_caller]
pub fn none_left(folders: &[&Path]) {
    none_left_but(folders, &[]);
}

/// Waits until nothing but these processes runs that knows one of these folders.
#[track_caller]
pub fn none_left_but(folders: &[&Path], known: &[u32]) {
    let mut last = Vec::new();
    let what = format!("no process of {} is left", folders[0].display());
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        within(BOUND, &what, || {
            last = of(folders, known);
            last.is_empty().then_some(())
        });
    }));
    assert!(ended.is_ok(), "{what}; still there: {last:#?}");
}

/// Waits until every thread of a process that was sent SIGSTOP has stopped: one that runs goes on until it is told.
#[track_caller]
pub fn await_stopped(id: u32) {
    within(BOUND, &format!("process {id} stops"), || {
        let mut threads = fs::read_dir(format!("/proc/{id}/task")).ok()?;
        threads
            .all(|thread| thread.is_ok_and(|t| is_stopped(&t.path())))
            .then_some(())
    });
}

fn is_stopped(thread: &Path) -> bool {
    // One that has ended in between does nothing either.
    let Ok(text) = fs::read_to_string(thread.join("stat")) else {
        return true;
    };
    let state = text.rsplit(')').next().unwrap_or_default();
    state.trim_start().starts_with(['T', 't', 'Z', 'X'])
}

/// Command lines of the processes that know one of these folders.
fn of(folders: &[&Path], known: &[u32]) -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    entries
        .map(|entry| entry.path())
        .filter(|path| {
            let id = path
                .file_name()
                .and_then(|name| name.to_str()?.parse::<u32>().ok());
            id.is_some_and(|id| !known.contains(&id))
        })
        .filter(|path| !is_zombie(path) && folders.iter().any(|folder| knows(path, folder)))
        .map(|path| {
            let line = fs::read(path.join("cmdline")).unwrap_or_default();
            format!(
                "{}: {}",
                path.display(),
                String::from_utf8_lossy(&line).replace('\0', " ")
            )
        })
        .collect()
}

fn knows(process: &Path, folder: &Path) -> bool {
    let name = folder.as_os_str().as_bytes();
    let holds = |file: &str| {
        let text = fs::read(process.join(file)).unwrap_or_default();
        text.windows(name.len()).any(|window| window == name)
    };
    let cwd: Option<PathBuf> = fs::read_link(process.join("cwd")).ok();
    holds("cmdline") || holds("environ") || cwd.is_some_and(|cwd| cwd.starts_with(folder))
}

/// Ended, and not yet asked for by its parent.
fn is_zombie(process: &Path) -> bool {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    status
        .lines()
        .any(|line| line.starts_with("State:") && line.contains('Z'))
}
