//! The files of runs within bounds: the longest ended go first.
//!
//! Invariant: only folders whose summary is ours and says that the run has ended are touched, and never the one that was
//! written last; one that cannot be read or removed keeps no other from it. The registry still knows the runs whose files
//! went.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::SystemTime,
};

use autopack_domain::fault::Fault;

use super::{folder::Folder, layout::SUMMARY_JSON, write};

/// How many runs keep files, and how much these may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Folders at most.
    pub(crate) entries: usize,
    /// Bytes of all of them at most.
    pub(crate) bytes: u64,
}

/// What went, and what could not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Folders that went.
    pub(crate) removed: usize,
    /// When the youngest of them was written, in microseconds; 0: none went.
    pub(crate) until_us: i64,
    /// Folders that could not be read or removed, and why.
    pub(crate) failed: Vec<(PathBuf, String)>,
}

/// A folder of a run: when its summary was written, its bytes, and where it is.
type Entry = (SystemTime, u64, PathBuf);

impl Default for Bounds {
    fn default() -> Self {
        Self {
            entries: 1000,
            bytes: 1 << 30,
        }
    }
}

impl Bounds {
    /// The least of the first bound: as many runs as are looked at after a start.
    const LEAST: usize = 100;

    /// Reads `AUTOPACK_RUN_FILES` and `AUTOPACK_RUN_FILES_MIB`; every fault at once.
    pub(crate) fn read(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut number = |name: &str, least: u64| {
            let text = lookup(name).filter(|text| !text.trim().is_empty())?;
            let number = text.trim().parse::<u64>().ok();
            let found = number.filter(|number| (least..=1 << 40).contains(number));
            if found.is_none() {
                let fault = Fault::new(name, format!("`{text}` is not a number from {least} on"));
                faults.push(fault.example("1000"));
            }
            found
        };
        let usual = Self::default();
        let entries = number("AUTOPACK_RUN_FILES", Self::LEAST as u64);
        let mib = number("AUTOPACK_RUN_FILES_MIB", 1);
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            entries: entries.map_or(usual.entries, |n| usize::try_from(n).unwrap_or(usize::MAX)),
            bytes: mib.map_or(usual.bytes, |mib| mib << 20),
        })
    }

    /// Removes the longest ended until the rest is few and small enough. Blocks.
    pub(crate) fn keep(self, folder: &Path, last: &Path) -> std::io::Result<Kept> {
        let (mut all, mut kept) = (Vec::new(), Kept::default());
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            match look(&entry) {
                Ok(found) => all.extend(found),
                Err(error) => kept.failed.push((entry.path(), error.to_string())),
            }
        }
        all.sort();
        let mut left = all.len();
        let mut size: u64 = all.iter().map(|(_, bytes, _)| bytes).sum();
        for (written, bytes, path) in all {
            if left <= self.entries && size <= self.bytes {
                break;
            }
            if path == last {
                continue;
            }
            match remove(folder, &path) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(error) => {
                    kept.failed.push((path, error.to_string()));
                    continue;
                }
            }
            left -= 1;
            size = size.saturating_sub(bytes);
            kept.removed += 1;
            let since = written.duration_since(std::time::UNIX_EPOCH);
            let until = since.map_or(0, |since| since.as_micros());
            kept.until_us = i64::try_from(until).unwrap_or(i64::MAX);
        }
        Ok(kept)
    }
}

/// What a folder takes; `None`: it is no folder with a summary.
fn look(entry: &fs::DirEntry) -> std::io::Result<Option<Entry>> {
    let path = entry.path();
    let summary = match fs::symlink_metadata(path.join(SUMMARY_JSON)) {
        // Somebody else's, or removed in the meantime.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        found => found?,
    };
    if !entry.file_type()?.is_dir() || !summary.is_file() {
        return Ok(None);
    }
    Ok(Some((summary.modified()?, bytes(&path)?, path)))
}

/// Removes a folder that is ours and whose run has ended; `false`: it is another one.
fn remove(base: &Path, path: &Path) -> std::io::Result<bool> {
    let name = Path::new(path.file_name().unwrap_or_default());
    let folder = Folder::there(base)?
        .map(|base| base.open(name))
        .transpose()?;
    let mark = folder.flatten().map(|folder| write::mark(&folder));
    if !mark.transpose()?.flatten().is_some_and(|mark| mark.ended) {
        return Ok(false);
    }
    fs::remove_dir_all(path)?;
    Ok(true)
}

/// What the files below a folder hold.
fn bytes(folder: &Path) -> std::io::Result<u64> {
    let mut open: Vec<PathBuf> = vec![folder.to_owned()];
    let mut sum = 0;
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let found = entry.metadata()?;
            if found.is_dir() {
                open.push(entry.path());
            } else {
                sum += found.len();
            }
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Folders `a` to `d` of 1000 bytes each, ended one after the other, and one that is not ours.
    fn filled() -> tempfile::TempDir {
        let runs = tempfile::tempdir().unwrap();
        for (n, name) in ["a", "b", "c", "d"].iter().enumerate() {
            let folder = runs.path().join(name);
            fs::create_dir_all(folder.join("incident")).unwrap();
            fs::write(folder.join("incident/log"), vec![b'x'; 900]).unwrap();
            let summary = folder.join(SUMMARY_JSON);
            fs::write(&summary, mark("DONE_SUCCESS")).unwrap();
            date(&summary, n as u64);
        }
        fs::create_dir(runs.path().join("other")).unwrap();
        runs
    }

    /// As if it was written then.
    fn date(path: &Path, second: u64) {
        let file = fs::File::options().write(true).open(path).unwrap();
        let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second);
        file.set_modified(at).unwrap();
    }

    /// A summary of 100 bytes.
    fn mark(state: &str) -> String {
        let mark = serde_json::json!({ "uid": "u", "version": 1, "state": state });
        format!("{:100}", mark.to_string())
    }

    fn left(runs: &Path) -> Vec<String> {
        let names = fs::read_dir(runs).unwrap().flatten();
        let mut names: Vec<String> = names
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_longest_ended_go_by_number_and_by_size() {
        let (runs, usual) = (filled(), Bounds::default());
        let last = runs.path().join("d");
        assert_eq!(usual.keep(runs.path(), &last).unwrap(), Kept::default());
        let few = Bounds {
            entries: 3,
            ..usual
        };
        let kept = few.keep(runs.path(), &last).unwrap();
        assert_eq!((kept.removed, kept.until_us), (1, 0));
        assert_eq!(left(runs.path()), ["b", "c", "d", "other"]);
        let small = Bounds {
            bytes: 2500,
            ..usual
        };
        let kept = small.keep(runs.path(), &last).unwrap();
        assert_eq!((kept.removed, kept.until_us), (1, 1_000_000));
        assert_eq!(left(runs.path()), ["c", "d", "other"]);
    }

    #[test]
    fn one_folder_in_the_way_keeps_no_other_from_going() {
        let runs = filled();
        let write = |path: &str, text: &str| fs::write(runs.path().join(path), text).unwrap();
        write("a/run_summary.json", "somebody else's");
        write("b/run_summary.json", &mark("PHASE_EXECUTION"));
        for (n, name) in ["a", "b"].iter().enumerate() {
            date(&runs.path().join(name).join(SUMMARY_JSON), n as u64);
        }
        let few = Bounds {
            entries: 1,
            ..Bounds::default()
        };
        let kept = few.keep(runs.path(), &runs.path().join("d")).unwrap();
        assert_eq!((kept.removed, kept.until_us), (1, 2_000_000), "{kept:?}");
        assert_eq!(left(runs.path()), ["a", "b", "d", "other"]);
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_named_and_the_others_go() {
        let runs = filled();
        // What is deeper than the system takes at once cannot be read by root either.
        let folder = runs.path().join("a");
        let deep = (0..20).fold(folder, |at, _| at.join("x".repeat(250)));
        let made = deep_folder(&deep);
        let few = Bounds {
            entries: 1,
            ..Bounds::default()
        };
        let kept = few.keep(runs.path(), &runs.path().join("d")).unwrap();
        assert!(made && kept.removed == 2, "{kept:?}");
        assert_eq!(kept.failed.len(), 1, "{kept:?}");
        assert_eq!(kept.failed[0].0, runs.path().join("a"));
        assert_eq!(left(runs.path()), ["a", "d", "other"]);
    }

    /// A folder whose whole path is longer than the system takes at once.
    fn deep_folder(path: &Path) -> bool {
        let mut at: Option<std::os::fd::OwnedFd> = None;
        let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
        for part in path.components() {
            let part: &Path = part.as_ref();
            let from = at
                .as_ref()
                .map_or(rustix::fs::CWD, |fd| std::os::fd::AsFd::as_fd(fd));
            let _ = rustix::fs::mkdirat(from, part, rustix::fs::Mode::RWXU);
            let Ok(fd) = rustix::fs::openat(from, part, flags, rustix::fs::Mode::empty()) else {
                return false;
            };
            at = Some(fd);
        }
        true
    }

    #[test]
    fn what_was_written_last_stays_whatever_it_takes() {
        let runs = filled();
        let none = Bounds {
            entries: 0,
            bytes: 0,
        };
        none.keep(runs.path(), &runs.path().join("a")).unwrap();
        assert_eq!(left(runs.path()), ["a", "other"]);
    }

    #[test]
    fn bounds_are_read_and_nonsense_is_told() {
        let from = |pairs: &[(&str, &str)]| {
            Bounds::read(&|name| {
                let found = pairs.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(from(&[]), Ok(Bounds::default()));
        let both = [
            ("AUTOPACK_RUN_FILES", "100"),
            ("AUTOPACK_RUN_FILES_MIB", "2"),
        ];
        let (entries, bytes) = (100, 2 << 20);
        assert_eq!(from(&both), Ok(Bounds { entries, bytes }));
        let bad = [
            ("AUTOPACK_RUN_FILES", "99"),
            ("AUTOPACK_RUN_FILES_MIB", "x"),
        ];
        assert_eq!(from(&bad).unwrap_err().len(), 2);
    }
}
