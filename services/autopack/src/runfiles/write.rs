//! Files that appear whole.
//!
//! Invariant: a reader sees the old content or the new one; nobody but the owner can read either.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// Files by relative path.
pub(crate) type Pack = BTreeMap<PathBuf, Vec<u8>>;

/// Makes a folder that only we can read.
pub(super) fn folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes beside, syncs, and moves into place, unless the content is there already.
pub(super) fn file(path: &Path, content: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|there| there == content) {
        return Ok(());
    }
    let beside = beside(path, "new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

/// Makes a folder hold exactly these files; `None`: the folder goes.
pub(super) fn replace_folder(path: &Path, files: Option<&Pack>) -> io::Result<()> {
    let (new, old) = (beside(path, "new"), beside(path, "old"));
    remove(&new)?;
    remove(&old)?;
    let Some(files) = files else {
        return remove(path);
    };
    folder(&new)?;
    for (name, content) in files {
        let at = new.join(name);
        folder(at.parent().unwrap_or(&new))?;
        file(&at, content)?;
    }
    if path.exists() {
        fs::rename(path, &old)?;
    }
    fs::rename(&new, path)?;
    remove(&old)
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{end}"));
    path.with_file_name(name)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_holds_exactly_the_pack_and_goes_without_one() {
        let root = std::env::temp_dir().join(format!("autopack-write-{}", std::process::id()));
        folder(&root).unwrap();
        let path = root.join("incident");
        let pack = |names: &[&str]| -> Pack {
            names
                .iter()
                .map(|n| (PathBuf::from(n), n.as_bytes().to_vec()))
                .collect()
        };
        replace_folder(&path, Some(&pack(&["a", "phases/P1/b"]))).unwrap();
        replace_folder(&path, Some(&pack(&["c"]))).unwrap();
        assert!(!path.join("a").exists() && fs::read(path.join("c")).unwrap() == b"c");
        replace_folder(&path, None).unwrap();
        assert!(!path.exists());
        assert_eq!(
            fs::read_dir(&root).unwrap().count(),
            0,
            "nothing is left beside"
        );
        fs::remove_dir_all(root).unwrap();
    }
}
