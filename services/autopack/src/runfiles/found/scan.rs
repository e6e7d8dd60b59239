//! Which folders below a base folder are runs.
//!
//! Invariant: a bounded number of entries is looked at, down to a bounded depth, and no link is followed; a run's own
//! folders are not looked into.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::super::{
    folder::Folder,
    layout::{FOLDERS, SUMMARY},
    names::is_taken,
};

/// Entries that are looked at.
pub(crate) const MAX_ENTRIES: usize = 200_000;
/// How deep runs may lie: the older system's last layout was `<project>/runs/<family>/<run>`.
const DEPTH: usize = 4;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// Folders of runs below the base folder, by path.
    pub(crate) runs: Vec<PathBuf>,
    /// Folders that look like a run's and cannot be read as one, and why.
    pub(crate) odd: Vec<(PathBuf, String)>,
    /// There was more than is looked at.
    pub(crate) more: bool,
}

/// How much is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Entries of all folders.
    pub(super) entries: usize,
    /// Entries of one folder.
    pub(super) folder: usize,
}

/// Looks for runs. Blocks.
pub(crate) fn scan(base: &Path) -> io::Result<Scan> {
    let bounds = Bounds {
        entries: MAX_ENTRIES,
        folder: MAX_ENTRIES / 2,
    };
    scan_within(base, bounds)
}

pub(super) fn scan_within(base: &Path, bounds: Bounds) -> io::Result<Scan> {
    let mut scan = Scan::default();
    let Some(base) = Folder::there(base)? else {
        return Ok(scan);
    };
    let mut left = bounds.entries;
    let mut open = vec![(PathBuf::new(), 0)];
    while let Some((path, depth)) = open.pop() {
        let folder = match base.open(&path) {
            Ok(Some(folder)) => folder,
            // Gone in the meantime.
            Ok(None) => continue,
            Err(error) => {
                scan.odd.push((path, error.to_string()));
                continue;
            }
        };
        let most = left.min(bounds.folder);
        let entries = match folder.entries(most + 1) {
            Ok(entries) => entries,
            Err(error) => {
                scan.odd.push((path, error.to_string()));
                continue;
            }
        };
        scan.more |= entries.len() > most;
        left = left.saturating_sub(entries.len());
        let is_run = entries.iter().any(|entry| entry.name == SUMMARY);
        if depth > 0 && is_run {
            scan.runs.push(path);
            continue;
        }
        let part = |entry: &&super::Entry| FOLDERS.iter().any(|part| entry.name == *part);
        if depth > 0 && entries.iter().filter(part).any(|entry| entry.is_folder) {
            let problem = format!("holds parts of a run, and no `{SUMMARY}`");
            scan.odd.push((path, problem));
            continue;
        }
        for entry in entries.into_iter().take(most) {
            let text = entry.name.to_string_lossy();
            let below = path.join(&entry.name);
            // Our own places; but the older system kept runs in `runs`.
            if text.starts_with('.') || (depth == 0 && is_taken(&text) && text != "runs") {
                continue;
            }
            if entry.is_folder && depth < DEPTH {
                open.push((below, depth + 1));
            } else if entry.is_link && depth == 0 {
                let problem = "is a symbolic link, which is not followed".to_owned();
                scan.odd.push((below, problem));
            }
        }
    }
    scan.runs.sort();
    scan.odd.sort();
    Ok(scan)
}
