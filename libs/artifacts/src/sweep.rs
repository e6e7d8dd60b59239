//! Removes what interrupted writers left in a local store.
//!
//! Invariant: only files that no reader can name are removed: those written aside, and the local
//! store's own staging files, whose names hold a `#`.

use std::{fs, io, path::Path};

use crate::store::ASIDE;

/// Removes them and returns how many there were.
pub(crate) fn unfinished(folder: &Path) -> io::Result<usize> {
    let mut removed = remove(&folder.join(ASIDE), |_| true)?;
    for group in entries(&folder.join("sha256"))? {
        removed += remove(&group?.path(), |name| name.contains('#'))?;
    }
    Ok(removed)
}

fn remove(folder: &Path, condemned: impl Fn(&str) -> bool) -> io::Result<usize> {
    let mut removed = 0;
    for entry in entries(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() && condemned(&entry.file_name().to_string_lossy()) {
            fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// The entries of a folder; none if it does not exist.
fn entries(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<fs::DirEntry>>> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(Some(entries).into_iter().flatten()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None.into_iter().flatten()),
        Err(error) => Err(error),
    }
}
