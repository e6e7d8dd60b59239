//! Reading the target's references as they are now.
//!
//! Invariant: nothing here writes; a branch counts as checked out when any worktree's `HEAD` names it, by itself or
//! through symbolic branches, or a rebase in progress will return to it.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::call::Git;
use crate::clone::OwnClone;
use crate::error::GitError;
use crate::oid::Oid;
use crate::refs::{self, branch_ref};
use crate::target::{Target, TargetKind};

/// How many symbolic references git follows.
const DEPTH: usize = 5;

impl OwnClone {
    /// The commit of a branch in the target, read now.
    pub async fn read_branch(
        &self,
        target: &Target,
        branch: &str,
    ) -> Result<Option<Oid>, GitError> {
        let full = branch_ref(branch)?;
        read_ref(&self.git, target, &full).await
    }

    /// The full reference that a branch of the target stands for, if it is a symbolic one. A host that keeps it to
    /// itself is not found out.
    pub async fn symbolic_branch(
        &self,
        target: &Target,
        branch: &str,
    ) -> Result<Option<String>, GitError> {
        let full = branch_ref(branch)?;
        let TargetKind::LocalPath { common_dir, .. } = &target.kind else {
            let call = self.git.call(Path::new("/"), "ls-remote").transport();
            let call = call.args(["--quiet", "--symref", "--", &target.location, &full]);
            let output = call.ok().await?.stdout;
            let told = String::from_utf8_lossy(&output);
            return Ok(told.lines().find_map(|line| {
                let (to, name) = line.strip_prefix("ref: ")?.split_once('\t')?;
                (name == full).then(|| to.to_owned())
            }));
        };
        symbolic(&self.git, common_dir, &full).await
    }

    /// Refuses a branch of a target on this machine that is a symbolic reference; elsewhere the receiving side moves
    /// what it stands for.
    pub(crate) async fn check_symbolic_file(
        &self,
        target: &Target,
        branch: &str,
    ) -> Result<(), GitError> {
        let TargetKind::LocalPath { common_dir, .. } = &target.kind else {
            return Ok(());
        };
        match symbolic(&self.git, common_dir, &branch_ref(branch)?).await? {
            Some(target) => Err(GitError::SymbolicBranch {
                branch: branch.to_owned(),
                target,
            }),
            None => Ok(()),
        }
    }

    /// The folder in which the target has the branch checked out, if any. Always `None` for a URL.
    pub async fn is_checked_out(
        &self,
        target: &Target,
        branch: &str,
    ) -> Result<Option<PathBuf>, GitError> {
        let full = branch_ref(branch)?;
        let TargetKind::LocalPath {
            git_dir,
            common_dir,
            work_tree,
            bare,
            ..
        } = &target.kind
        else {
            return Ok(None);
        };
        let main_head = read_small(&common_dir.join("HEAD"))?;
        if main_head.as_deref() == Some(NO_FILES) {
            return ask_worktrees(&self.git, common_dir, &full).await;
        }
        if !bare && uses(common_dir, common_dir, &full)? {
            let known = work_tree.clone().filter(|_| git_dir == common_dir);
            return Ok(Some(known.unwrap_or_else(|| main_work_tree(common_dir))));
        }
        let linked = common_dir.join("worktrees");
        let Ok(entries) = fs::read_dir(&linked) else {
            return Ok(None);
        };
        for entry in entries {
            let dir = entry
                .map_err(|e| GitError::io("reading", &linked, e))?
                .path();
            if uses(&dir, common_dir, &full)? {
                let at = read_small(&dir.join("gitdir"))?.unwrap_or_default();
                let dot_git = dir.join(Path::new(std::ffi::OsStr::from_bytes(&at)));
                return Ok(Some(dot_git.parent().unwrap_or(&dir).to_owned()));
            }
        }
        Ok(None)
    }
}

/// One reference of the target, by its full name.
pub(crate) async fn read_ref(
    git: &Git,
    target: &Target,
    full: &str,
) -> Result<Option<Oid>, GitError> {
    let output = match &target.kind {
        TargetKind::LocalPath { common_dir, .. } => {
            let call = git.call(common_dir, "for-each-ref").git_dir(common_dir);
            call.args(["--format=%(objectname) %(refname)", full])
                .ok()
                .await?
        }
        TargetKind::Url => {
            let call = git.call(Path::new("/"), "ls-remote").transport();
            call.args(["--quiet", "--", &target.location, full])
                .ok()
                .await?
        }
    };
    Ok(refs::parse(&output.stdout)?
        .into_iter()
        .find(|(name, _)| name == full)
        .map(|(_, oid)| oid))
}

/// `HEAD` of a repository whose references are not files.
const NO_FILES: &[u8] = b"ref: refs/heads/.invalid";

/// What a reference stands for, if it is symbolic. Such a reference is always a file of its own where references are
/// files, so the usual landing costs no process.
async fn symbolic(git: &Git, common_dir: &Path, full: &str) -> Result<Option<String>, GitError> {
    if read_small(&common_dir.join("HEAD"))?.as_deref() != Some(NO_FILES) {
        return Ok(chain(common_dir, full)?.pop());
    }
    let call = git.call(common_dir, "symbolic-ref").git_dir(common_dir);
    let output = call.args(["--quiet", full]).whole().await?;
    let told = String::from_utf8_lossy(&output.stdout);
    Ok((output.status == 0).then(|| told.trim().to_owned()))
}

/// What a branch stands for, one after the other; empty for one that is not symbolic.
fn chain(common_dir: &Path, full: &str) -> Result<Vec<String>, GitError> {
    let mut found: Vec<String> = Vec::new();
    while found.len() < DEPTH {
        let last = found.last().map_or(full, String::as_str);
        // What a file names may be anything.
        let branch = last.strip_prefix("refs/heads/");
        if branch.is_none_or(|branch| refs::check_branch_name(branch).is_err()) {
            break;
        }
        match names(&common_dir.join(last))? {
            Some(next) => found.push(next),
            None => break,
        }
    }
    Ok(found)
}

/// The reference that a file of a symbolic one names.
fn names(path: &Path) -> Result<Option<String>, GitError> {
    let Some(bytes) = read_small(path)? else {
        return Ok(None);
    };
    let name = bytes.strip_prefix(b"ref:").map(<[u8]>::trim_ascii);
    Ok(name.map(|name| String::from_utf8_lossy(name).into_owned()))
}

/// Whether the checkout with this git folder is on the branch, or was before a rebase.
fn uses(git_dir: &Path, common_dir: &Path, full: &str) -> Result<bool, GitError> {
    let mut on = vec![names(&git_dir.join("HEAD"))?];
    for state in ["rebase-merge/head-name", "rebase-apply/head-name"] {
        let name = read_small(&git_dir.join(state))?;
        on.push(name.map(|name| String::from_utf8_lossy(&name).into_owned()));
    }
    for name in on.into_iter().flatten() {
        if name == full || chain(common_dir, &name)?.iter().any(|n| n == full) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A small file without its last newline; `None` if there is none. A symbolic link in place of a reference is git's
/// old form of a symbolic one.
fn read_small(path: &Path) -> Result<Option<Vec<u8>>, GitError> {
    if let Ok(link) = fs::read_link(path)
        && link.is_relative()
        && link.starts_with("refs")
    {
        return Ok(Some([b"ref: ", link.as_os_str().as_bytes()].concat()));
    }
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes.trim_ascii_end().to_vec())),
        Err(e)
            if matches!(
                e.kind(),
                // Below a folder of that name are other references.
                std::io::ErrorKind::NotFound
                    | std::io::ErrorKind::NotADirectory
                    | std::io::ErrorKind::IsADirectory
            ) =>
        {
            Ok(None)
        }
        Err(e) => Err(GitError::io("reading", path, e)),
    }
}

fn main_work_tree(common_dir: &Path) -> PathBuf {
    let parent = common_dir.parent().filter(|_| common_dir.ends_with(".git"));
    parent.unwrap_or(common_dir).to_owned()
}

/// The way for repositories whose references are not files.
async fn ask_worktrees(
    git: &Git,
    common_dir: &Path,
    full: &str,
) -> Result<Option<PathBuf>, GitError> {
    let call =
        git.call(common_dir, "worktree")
            .git_dir(common_dir)
            .args(["list", "--porcelain", "-z"]);
    let output = call.ok().await?;
    let (mut folder, mut bare) = (PathBuf::new(), false);
    for line in output.stdout.split(|b| *b == 0) {
        if let Some(path) = line.strip_prefix(b"worktree ") {
            (folder, bare) = (PathBuf::from(std::ffi::OsStr::from_bytes(path)), false);
        } else if line == b"bare" {
            bare = true;
        } else if !bare
            && line
                .strip_prefix(b"branch ")
                .is_some_and(|name| name == full.as_bytes())
        {
            return Ok(Some(folder));
        }
    }
    Ok(None)
}
