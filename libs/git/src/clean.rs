//! Emptying a work folder of everything that a tree does not hold.
//!
//! Invariant: symbolic links are removed, never followed; nothing outside the folder is touched; hostile depth and
//! permissions cannot stop it or exhaust the stack. No process may be running in the folder.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::GitError;
use crate::oid::Mode;

/// What may stay in a folder.
pub(crate) struct Layout {
    files: HashMap<Vec<u8>, Mode>,
    dirs: HashSet<Vec<u8>>,
    keep: HashSet<Vec<u8>>,
    above_kept: HashSet<Vec<u8>>,
}

impl Layout {
    /// From a tree's files and the relative paths to keep.
    pub(crate) fn new(files: Vec<(Mode, Vec<u8>)>, keep: &[PathBuf]) -> Result<Self, GitError> {
        let mut layout = Self {
            files: HashMap::new(),
            dirs: HashSet::new(),
            keep: HashSet::new(),
            above_kept: HashSet::new(),
        };
        for (mode, path) in files {
            add_parents(&mut layout.dirs, &path);
            layout.files.insert(path, mode);
        }
        for path in keep {
            let raw = normal(path)?;
            add_parents(&mut layout.above_kept, &raw);
            layout.keep.insert(raw);
        }
        Ok(layout)
    }
}

/// A relative path without `.`, `..` or `.git`, as git writes it.
pub(crate) fn normal(path: &Path) -> Result<Vec<u8>, GitError> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            std::path::Component::Normal(name) if !name.eq_ignore_ascii_case(".git") => {
                parts.push(name.as_bytes());
            }
            std::path::Component::CurDir => {}
            _ => {
                return Err(GitError::BadPath {
                    path: path.display().to_string(),
                });
            }
        }
    }
    if parts.is_empty() {
        return Err(GitError::BadPath {
            path: path.display().to_string(),
        });
    }
    Ok(parts.join(&b'/'))
}

fn add_parents(dirs: &mut HashSet<Vec<u8>>, path: &[u8]) {
    let mut end = path.len();
    while let Some(slash) = path[..end].iter().rposition(|b| *b == b'/') {
        if !dirs.insert(path[..slash].to_vec()) {
            return;
        }
        end = slash;
    }
}

/// Removes everything below `root` that is neither in the tree nor kept, and whatever has the wrong type. Files of the
/// tree are left for git to compare.
pub(crate) fn clean(root: &Path, layout: &Layout) -> Result<(), GitError> {
    let mut folders: Vec<Vec<u8>> = vec![Vec::new()];
    while let Some(relative) = folders.pop() {
        let folder = root.join(OsStr::from_bytes(&relative));
        open_up(&folder).map_err(|e| GitError::io("opening", &folder, e))?;
        let entries = fs::read_dir(&folder).map_err(|e| GitError::io("reading", &folder, e))?;
        for entry in entries {
            let entry = entry.map_err(|e| GitError::io("reading", &folder, e))?;
            let mut path = relative.clone();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(entry.file_name().as_bytes());
            let full = entry.path();
            let meta =
                fs::symlink_metadata(&full).map_err(|e| GitError::io("reading", &full, e))?;
            match verdict(layout, &path, &meta) {
                Verdict::Keep => {}
                Verdict::Enter => folders.push(path),
                Verdict::Remove => {
                    remove(root, &full).map_err(|e| GitError::io("removing", &full, e))?;
                }
                Verdict::Empty => {
                    remove(root, &full).map_err(|e| GitError::io("removing", &full, e))?;
                    fs::create_dir(&full).map_err(|e| GitError::io("creating", &full, e))?;
                }
            }
        }
    }
    Ok(())
}

enum Verdict {
    Keep,
    Enter,
    Remove,
    Empty,
}

fn verdict(layout: &Layout, path: &[u8], meta: &Metadata) -> Verdict {
    let kind = meta.file_type();
    // A kept link could lead anywhere: caches are real files and folders.
    if layout.keep.contains(path) && (kind.is_dir() || kind.is_file()) {
        return Verdict::Keep;
    }
    match layout.files.get(path) {
        Some(mode) if mode.is_gitlink() => {
            return if kind.is_dir() {
                Verdict::Empty
            } else {
                Verdict::Remove
            };
        }
        Some(mode) if mode.is_symlink() => {
            return if kind.is_symlink() {
                Verdict::Keep
            } else {
                Verdict::Remove
            };
        }
        Some(_) => {
            return if kind.is_file() {
                Verdict::Keep
            } else {
                Verdict::Remove
            };
        }
        None => {}
    }
    let needed = layout.dirs.contains(path) || layout.above_kept.contains(path);
    if needed && kind.is_dir() {
        Verdict::Enter
    } else {
        Verdict::Remove
    }
}

/// Removes a file, a link, or a folder with all below it.
///
/// Folders are moved up beside each other before they are emptied: no recursion, and no path grows with the depth.
pub(crate) fn remove(root: &Path, victim: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(victim)?.is_dir() {
        return fs::remove_file(victim);
    }
    let mut counter = 0_u64;
    let mut fresh = move || loop {
        counter += 1;
        let name = root.join(format!(".autopack-removed-{counter}"));
        if fs::symlink_metadata(&name).is_err() {
            return name;
        }
    };
    let mut folders = vec![victim.to_owned()];
    while let Some(folder) = folders.pop() {
        open_up(&folder)?;
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if fs::symlink_metadata(&path)?.is_dir() {
                open_up(&path)?;
                let aside = fresh();
                fs::rename(&path, &aside)?;
                folders.push(aside);
            } else {
                fs::remove_file(&path)?;
            }
        }
        fs::remove_dir(&folder)?;
    }
    Ok(())
}

/// Gives us back the rights on a folder that a builder took away.
fn open_up(folder: &Path) -> io::Result<()> {
    let mode = fs::symlink_metadata(folder)?.permissions().mode();
    if mode & 0o700 == 0o700 {
        return Ok(());
    }
    fs::set_permissions(folder, Permissions::from_mode(mode | 0o700))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deep_and_locked_folder_goes() {
        let root = tempfile::tempdir().unwrap();
        let victim = root.path().join("v");
        let mut at = victim.clone();
        for _ in 0..300 {
            at.push("deeper");
        }
        fs::create_dir_all(&at).unwrap();
        fs::write(at.join("f"), "x").unwrap();
        fs::set_permissions(victim.join("deeper"), Permissions::from_mode(0o000)).unwrap();
        remove(root.path(), &victim).unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn kept_paths_stay_inside() {
        for bad in ["../x", "/etc", "", ".", "a/../../b", ".git", "a/.GIT/b"] {
            assert!(normal(Path::new(bad)).is_err(), "{bad}");
        }
        assert_eq!(normal(Path::new("./a//b/")).unwrap(), b"a/b");
    }
}
