//! The throwaway repository that a builder sees in its folder.
//!
//! Invariant: it is made for the builder alone. Nothing here runs git in it, before or after: a snapshot looks at the
//! folder with our own git folder and index, so what a builder writes into this configuration acts on nobody.

use std::fs;
use std::path::Path;

use crate::clean::remove;
use crate::clone::{ObjectFormat, OwnClone};
use crate::commit::{CommitSpec, Identity};
use crate::error::GitError;
use crate::oid::Oid;
use crate::workfolder::WorkFolder;

/// Where the throwaway repository finds its objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ThrowawayObjects {
    /// In our clone, named in `objects/info/alternates`: cheap, needs the clone readable from where the builder runs.
    #[default]
    Shared,
    /// In a pack of its own: for builders that must not see the clone.
    Copied,
}

/// How to make a throwaway repository.
#[derive(Debug, Clone, Copy)]
pub struct Throwaway<'a> {
    /// Message of its only commit.
    pub message: &'a str,
    /// Time of that commit, in seconds since 1970, UTC.
    pub time: i64,
    /// Where its objects are.
    pub objects: ThrowawayObjects,
}

impl OwnClone {
    /// Puts a plain `.git` into a checked-out folder: branch `work`, one commit with the folder's tree, a clean index,
    /// no remote. An older `.git` there is removed.
    pub async fn init_throwaway(
        &self,
        work: &WorkFolder,
        how: Throwaway<'_>,
    ) -> Result<Oid, GitError> {
        let Some(tree_ish) = work.holds() else {
            return Err(GitError::ObjectMissing {
                name: format!("tree of {}", work.path.display()),
            });
        };
        let tree = self.tree_of(tree_ish).await?;
        let who = Identity::default();
        let spec = CommitSpec {
            tree: &tree,
            parents: &[],
            message: how.message,
            author: &who,
            committer: &who,
            time: how.time,
        };
        let commit = self.commit_tree(&spec).await?;
        let dot_git = work.path.join(".git");
        write_skeleton(self, work, &dot_git, &commit, how.objects)
            .map_err(|e| GitError::io("making the repository", &dot_git, e))?;
        if how.objects == ThrowawayObjects::Copied {
            let call = self.read("pack-objects").args(["-q", "--revs"]);
            call.arg(dot_git.join("objects/pack/pack"))
                .stdin(format!("{commit}\n"))
                .ok()
                .await?;
        }
        Ok(commit)
    }
}

fn write_skeleton(
    own: &OwnClone,
    work: &WorkFolder,
    dot_git: &Path,
    commit: &Oid,
    objects: ThrowawayObjects,
) -> std::io::Result<()> {
    if fs::symlink_metadata(dot_git).is_ok() {
        remove(&work.path, dot_git)?;
    }
    for folder in [
        "objects/info",
        "objects/pack",
        "refs/heads",
        "refs/tags",
        "info",
    ] {
        fs::create_dir_all(dot_git.join(folder))?;
    }
    fs::write(dot_git.join("HEAD"), "ref: refs/heads/work\n")?;
    fs::write(dot_git.join("refs/heads/work"), format!("{commit}\n"))?;
    fs::write(dot_git.join("config"), config(own.format))?;
    if objects == ThrowawayObjects::Shared {
        let line = [own.objects().as_os_str().as_encoded_bytes(), b"\n"].concat();
        fs::write(dot_git.join("objects/info/alternates"), line)?;
    }
    // What is known of the files on disk comes along, so that the builder's first `git status` reads none of them.
    fs::copy(work.index.path(), dot_git.join("index")).map(drop)
}

fn config(format: ObjectFormat) -> String {
    let (version, extension) = match format {
        ObjectFormat::Sha1 => (0, ""),
        ObjectFormat::Sha256 => (1, "[extensions]\n\tobjectformat = sha256\n"),
    };
    format!(
        "[core]\n\trepositoryformatversion = {version}\n\tfilemode = true\n\tbare = false\n\
         \tlogallrefupdates = true\n{extension}\
         [user]\n\tname = Autopack builder\n\temail = builder@localhost\n\
         [commit]\n\tgpgsign = false\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n"
    )
}
