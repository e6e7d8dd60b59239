//! Patches made by editing a clone, and the tree that plain git makes of them.
//!
//! Invariant: the user's repository is only cloned; what is expected comes from git alone, never from the product.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::git::{command, git, try_git};
use crate::repo::TempRepo;

/// A clone in which one change follows another.
#[derive(Debug)]
pub struct Series {
    path: PathBuf,
}

impl Series {
    /// Starts at a revision of the repository; `name` is new beside it.
    pub fn at(repo: &TempRepo, revision: &str, name: &str) -> Self {
        let path = repo.outside().join(name);
        let (from, to) = (repo.path().to_str().unwrap(), path.to_str().unwrap());
        git(repo.outside(), &["clone", "-q", "--no-checkout", from, to]);
        git(&path, &["checkout", "-q", "--detach", revision]);
        Self { path }
    }

    /// The clone's folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The patch of these edits; the next one starts after them.
    pub fn edit(&self, edits: impl FnOnce(&Path)) -> String {
        edits(&self.path);
        git(&self.path, &["add", "-A", "-f"]);
        let diff = [
            "diff",
            "--cached",
            "--binary",
            "--no-color",
            "--no-ext-diff",
            "-M",
        ];
        let patch = try_git(&self.path, &diff).expect_code(0).stdout.clone();
        git(&self.path, &["commit", "-q", "--allow-empty", "-m", "Edit"]);
        patch
    }

    /// Applies a patch with plain `git apply`, and commits it.
    #[track_caller]
    pub fn apply(&self, patch: &str) {
        let mut apply = command(
            &self.path,
            &["apply", "--index", "--whitespace=nowarn", "-"],
        );
        let mut child = apply.stdin(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), patch.as_bytes()).unwrap();
        assert!(
            child.wait().unwrap().success(),
            "plain git cannot apply\n{patch}"
        );
        git(&self.path, &["commit", "-q", "-m", "Apply"]);
    }

    /// The tree that the changes so far make.
    pub fn tree(&self) -> String {
        crate::git::tree_of(&self.path, "HEAD")
    }
}

/// A patch that adds a text file.
pub fn adding(name: &str, content: &str) -> String {
    let lines: String = content.lines().flat_map(|line| ["+", line, "\n"]).collect();
    let count = content.lines().count();
    format!(
        "diff --git a/{name} b/{name}\nnew file mode 100644\n--- /dev/null\n+++ b/{name}\n@@ -0,0 +1,{count} @@\n{lines}"
    )
}

/// A patch that adds a symbolic link.
pub fn linking(name: &str, target: &str) -> String {
    format!(
        "diff --git a/{name} b/{name}\nnew file mode 120000\n--- /dev/null\n+++ b/{name}\n@@ -0,0 +1 @@\n+{target}\n\\ No newline at end of file\n"
    )
}
