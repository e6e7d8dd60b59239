//! Files that appear whole, in folders that nobody can swap for others.
//!
//! Invariant: a reader sees the old content or the new one; no symbolic link below the base folder is followed; what
//! is not ours is moved aside, never overwritten.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    io,
    ops::Bound,
    path::{Path, PathBuf},
};

use super::{
    folder::{Entry, Folder},
    layout::{FOLDERS, SUMMARY_JSON},
    render::Rendered,
    summary::Mark,
};

/// Files by relative path.
pub(crate) type Pack = BTreeMap<PathBuf, Vec<u8>>;

/// Where folders go that we did not make and whose place is needed.
const ORIGINALS: &str = ".originals";
/// From so many files on, the file system is synced as a whole.
const MANY: usize = 32;
/// Bytes of the summary for programs.
pub(crate) const MAX_MARK: u64 = 64 << 20;

/// Writes a run's files and those of its project. Blocks.
pub(crate) fn write(base: &Path, files: &Rendered) -> io::Result<()> {
    let base = Folder::base(base)?;
    // Before the run's: whoever sees its mark finds all the rest.
    put(&base, &files.project)?;
    let (parent, name) = match (files.folder.parent(), files.folder.file_name()) {
        (Some(parent), Some(name)) => (base.make(parent)?, name),
        _ => return Err(io::Error::other("a run without a folder")),
    };
    match parent.open(Path::new(name))? {
        Some(there) => {
            let mark = mark(&there)?;
            if mark.is_none() && !there.entries(1)?.is_empty() {
                set_aside(&base, &parent, name)?;
                first(&parent, name, &files.run)?;
            } else {
                tidy(&there, &files.run)?;
                put(&there, &files.run)?;
            }
        }
        None => first(&parent, name, &files.run)?,
    }
    Ok(())
}

/// Whose folder it is; `None`: not ours.
pub(crate) fn mark(folder: &Folder) -> io::Result<Option<Mark>> {
    let found = match folder.read(Path::new(SUMMARY_JSON), MAX_MARK) {
        // Something of that name that we did not write.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
        found => found?,
    };
    Ok(found.and_then(|content| Mark::read(&String::from_utf8_lossy(&content))))
}

/// A new folder is filled beside its place and appears as a whole.
fn first(parent: &Folder, name: &OsStr, files: &Pack) -> io::Result<()> {
    let beside = hidden(name);
    let new = parent.make(Path::new(&beside))?;
    put(&new, files)?;
    // An earlier try may have been of another version.
    tidy(&new, files)?;
    parent.rename(&beside, parent, name)?;
    parent.sync()
}

/// Writes what differs: all of it beside, then synced, then moved into place, the mark last.
fn put(folder: &Folder, files: &Pack) -> io::Result<()> {
    let mut ready: Vec<(Folder, OsString)> = Vec::new();
    let marked = files.get_key_value(Path::new(SUMMARY_JSON));
    let rest = files
        .iter()
        .filter(|(path, _)| path.as_os_str() != SUMMARY_JSON);
    let mut changed = Vec::new();
    for (path, content) in rest.chain(marked) {
        if !holds(folder, path, content)? {
            changed.push((path, content));
        }
    }
    let one_by_one = changed.len() < MANY;
    for (path, content) in changed {
        let at = folder.make(path.parent().unwrap_or(Path::new("")))?;
        let name = path.file_name().unwrap_or_default();
        at.create(&hidden(name), content, one_by_one)?;
        ready.push((at, name.to_owned()));
    }
    if !one_by_one {
        folder.sync_all()?;
    }
    let mut touched = None;
    for (at, name) in ready {
        at.rename(&hidden(&name), &at, &name)?;
        touched = Some(at);
    }
    // One call makes all the moves last: journals keep their order.
    touched.map_or(Ok(()), |at| at.sync())
}

/// Whether a file holds exactly this.
pub(crate) fn holds(folder: &Folder, path: &Path, content: &[u8]) -> io::Result<bool> {
    match folder.read(path, content.len() as u64) {
        Ok(found) => Ok(found.is_some_and(|found| found == content)),
        // Larger, a link, a folder: in any case something else.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(false),
        Err(error) => Err(error),
    }
}

/// Files in the folders of ours that are not in the pack.
pub(crate) fn extra(folder: &Folder, files: &Pack) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for name in FOLDERS {
        let top = Path::new(name);
        let mut open = vec![top.to_owned()];
        while let Some(path) = open.pop() {
            let Some(at) = folder.open(&path)? else {
                continue;
            };
            for Entry {
                name, is_folder, ..
            } in at.entries(usize::MAX)?
            {
                let path = path.join(&name);
                if name == "incident" || path.starts_with("incident") {
                    if is_folder {
                        open.push(path.clone());
                    }
                } else if is_folder || !looks_like_ours(&name) {
                    continue;
                }
                if !is_needed(files, &path) {
                    found.push(path);
                }
            }
        }
        if name == "incident" && !is_needed(files, top) && folder.open(top)?.is_some() {
            found.push(top.to_owned());
        }
    }
    // What is in a folder goes before it.
    found.sort();
    found.reverse();
    Ok(found)
}

/// Whether a path is a file of the pack or leads to one.
fn is_needed(files: &Pack, path: &Path) -> bool {
    // Paths are in the order of their parts: what is below a folder comes right after it.
    let mut after = files.range::<Path, _>((Bound::Included(path), Bound::Unbounded));
    after.next().is_some_and(|(file, _)| file.starts_with(path))
}

/// Names that one of the layouts gives.
fn looks_like_ours(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let prefixes = ["tier_", "phase_", "run_issue_index", ".tier_", ".phase_"];
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

fn tidy(folder: &Folder, files: &Pack) -> io::Result<()> {
    let mut gone = BTreeSet::new();
    for path in extra(folder, files)? {
        let at = folder.open(path.parent().unwrap_or(Path::new("")))?;
        if let (Some(at), Some(name)) = (at, path.file_name())
            && gone.insert(path.clone())
        {
            at.remove(name)?;
        }
    }
    Ok(())
}

/// Moves a folder to where nobody needs its place.
fn set_aside(base: &Folder, parent: &Folder, name: &OsStr) -> io::Result<()> {
    let originals = base.make(Path::new(ORIGINALS))?;
    for n in 1..1000 {
        let mut free = name.to_owned();
        if n > 1 {
            free.push(format!(".{n}"));
        }
        if !originals.has(&free)? {
            return parent.rename(name, &originals, &free);
        }
    }
    Err(io::Error::other(
        "`.originals` holds a thousand folders of this name: remove some",
    ))
}

/// The name of a file that is being written.
fn hidden(name: &OsStr) -> OsString {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(".new");
    hidden
}

/// Writes one file, whole.
pub(crate) fn one(folder: &Folder, name: &str, content: &[u8]) -> io::Result<()> {
    put(
        folder,
        &Pack::from([(PathBuf::from(name), content.to_vec())]),
    )
}
