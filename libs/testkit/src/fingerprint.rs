//! What of a user's repository must be the same before and after.
//!
//! Invariant: taken by reading files and listing references only; taking it changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::git::git;
use crate::repo::TempRepo;

/// HEAD, index, configuration, references but `autonomous/*`, and every file of the checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    parts: BTreeMap<String, Vec<u8>>,
}

/// Files of the git folder that must not change; not every repository has each.
const GIT_FILES: &[&str] = &[
    "HEAD",
    "index",
    "config",
    "shallow",
    "packed-refs",
    "FETCH_HEAD",
    "ORIG_HEAD",
    "MERGE_HEAD",
    "logs/HEAD",
    "info/exclude",
    "info/attributes",
];

impl TempRepo {
    /// Takes it.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut parts = BTreeMap::new();
        let git_dir = self.git_dir();
        for name in GIT_FILES {
            if let Ok(bytes) = fs::read(git_dir.join(name)) {
                parts.insert(format!(".git/{name}"), bytes);
            }
        }
        let refs = self.git(&[
            "for-each-ref",
            "--format=%(refname) %(objectname) %(symref)",
        ]);
        let theirs: Vec<&str> = refs
            .lines()
            .filter(|line| !line.starts_with("refs/heads/autonomous/"))
            .collect();
        parts.insert("references".to_owned(), theirs.join("\n").into_bytes());
        let worktrees = self.git(&["worktree", "list", "--porcelain"]);
        parts.insert("worktrees".to_owned(), worktrees.into_bytes());
        if git(self.path(), &["rev-parse", "--is-bare-repository"]) == "false" {
            files(self.path(), &mut parts);
        }
        Fingerprint { parts }
    }
}

impl Fingerprint {
    /// Fails with the names of the parts that differ.
    #[track_caller]
    pub fn expect_same(&self, after: &Self) {
        let names: std::collections::BTreeSet<&String> =
            self.parts.keys().chain(after.parts.keys()).collect();
        let changed: Vec<&&String> = names
            .iter()
            .filter(|name| self.parts.get(**name) != after.parts.get(**name))
            .collect();
        assert!(
            changed.is_empty(),
            "the user's checkout changed: {changed:?}"
        );
    }
}

/// Every file below a folder but those of git folders: its kind, mode and content.
fn files(root: &Path, parts: &mut BTreeMap<String, Vec<u8>>) {
    let mut open: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().is_some_and(|name| name == ".git") {
                continue;
            }
            let about = fs::symlink_metadata(&path).unwrap();
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            let mode = about.permissions().mode();
            if about.is_dir() {
                parts.insert(format!("{name}/ {mode:o}"), Vec::new());
                open.push(path);
            } else if about.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                parts.insert(
                    format!("{name} -> "),
                    target.into_os_string().into_encoded_bytes(),
                );
            } else {
                parts.insert(format!("{name} {mode:o}"), fs::read(&path).unwrap());
            }
        }
    }
}
