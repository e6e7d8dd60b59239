//! Whether a folder holds what it should.
//!
//! Invariant: nothing is changed, no link is followed, and no file is read beyond the size it should have.

use std::{io, path::Path};

use super::{
    folder::Folder,
    render::Rendered,
    write::{extra, holds, mark},
};

/// What a folder is, against what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Every file is as it should be.
    Same,
    /// There is no such folder.
    Missing,
    /// It was not written by the projector for this run.
    Foreign,
    /// These files differ, are missing, or do not belong there; the first few, and how many in all.
    Differs(Vec<String>, usize),
}

/// Files that are named.
const SHOWN: usize = 5;

/// Compares a run's folder with its files. Blocks.
pub(crate) fn compare(base: &Path, files: &Rendered) -> io::Result<Standing> {
    let Some(base) = Folder::there(base)? else {
        return Ok(Standing::Missing);
    };
    let Some(folder) = base.open(&files.folder)? else {
        return Ok(Standing::Missing);
    };
    if mark(&folder)?.is_none() {
        let empty = folder.entries(1)?.is_empty();
        return Ok(if empty {
            Standing::Missing
        } else {
            Standing::Foreign
        });
    }
    let mut odd = extra(&folder, &files.run)?;
    for (path, content) in &files.run {
        if !holds(&folder, path, content)? {
            odd.push(path.clone());
        }
    }
    if odd.is_empty() {
        return Ok(Standing::Same);
    }
    odd.sort();
    let shown = odd.iter().take(SHOWN);
    let shown = shown.map(|path| path.display().to_string()).collect();
    Ok(Standing::Differs(shown, odd.len()))
}
