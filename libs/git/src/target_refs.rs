//! Reading the target's references as they are now.
//!
//! Invariant: nothing here writes; a branch counts as checked out when any worktree's `HEAD` names it or a rebase in
//! progress will return to it.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::call::Git;
use crate::clone::OwnClone;
use crate::error::GitError;
use crate::oid::Oid;
use crate::refs::{self, branch_ref};
use crate::target::{Target, TargetKind};

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
        if main_head.as_deref() == Some(b"ref: refs/heads/.invalid".as_slice()) {
            return ask_worktrees(&self.git, common_dir, &full).await;
        }
        if !bare && uses(common_dir, &full)? {
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
            if uses(&dir, &full)? {
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

/// Whether the checkout with this git folder is on the branch, or was before a rebase.
fn uses(git_dir: &Path, full: &str) -> Result<bool, GitError> {
    let symbolic = format!("ref: {full}");
    if read_small(&git_dir.join("HEAD"))?.is_some_and(|head| head == symbolic.as_bytes()) {
        return Ok(true);
    }
    for state in ["rebase-merge/head-name", "rebase-apply/head-name"] {
        if read_small(&git_dir.join(state))?.is_some_and(|name| name == full.as_bytes()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A small file without its last newline; `None` if there is none. A symbolic link in place of `HEAD` is git's old
/// form of a symbolic reference.
fn read_small(path: &Path) -> Result<Option<Vec<u8>>, GitError> {
    if path.ends_with("HEAD")
        && let Ok(link) = fs::read_link(path)
    {
        return Ok(Some([b"ref: ", link.as_os_str().as_bytes()].concat()));
    }
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes.trim_ascii_end().to_vec())),
        Err(e)
            if matches!(
                e.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
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
