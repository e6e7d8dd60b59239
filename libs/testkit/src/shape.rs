//! Awkward kinds of repositories: each takes a repository and makes it so.
//!
//! Invariant: every kind keeps `main` at the commit it had, so that one expected result holds for all.

use std::fs;
use std::path::PathBuf;

use crate::git::git;
use crate::repo::{TempRepo, branch};

/// An LFS pointer file.
pub const POINTER: &str = "version https://git-lfs.github.com/spec/v1\n\
    oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

impl TempRepo {
    /// With a modified, a staged, a deleted and untracked files.
    pub fn dirty(self) -> Self {
        self.write("README.md", "# App\n\nchanged, not staged\n");
        self.write("staged.txt", "staged\n");
        self.git(&["add", "staged.txt"]);
        self.write("staged.txt", "staged, then changed\n");
        self.write("untracked.txt", "untracked\n");
        self.write("notes/deep/untracked.txt", "untracked too\n");
        self.write("ignored.log", "ignored\n");
        fs::remove_file(self.path().join("conftest.py")).unwrap();
        self
    }

    /// With HEAD at a commit instead of a branch.
    pub fn detached(self) -> Self {
        self.git(&["checkout", "-q", "--detach", "HEAD"]);
        self
    }

    /// A bare clone of it, beside it.
    pub fn bare(self) -> Self {
        self.cloned("app.git", &["--bare"])
    }

    /// A clone that knows only the last commit.
    pub fn shallow(self) -> Self {
        self.write("later.txt", "later\n");
        self.commit("Later");
        let url = format!("file://{}", self.path().display());
        let path = self.outside().join("shallow");
        git(
            self.outside(),
            &["clone", "-q", "--depth", "1", &url, path.to_str().unwrap()],
        );
        assert_eq!(
            git(&path, &["rev-parse", "--is-shallow-repository"]),
            "true"
        );
        self.moved_to(path)
    }

    fn cloned(self, name: &str, how: &[&str]) -> Self {
        let (from, to) = (self.path().to_owned(), self.outside().join(name));
        let mut args = vec!["clone", "-q"];
        args.extend(how);
        args.extend([from.to_str().unwrap(), to.to_str().unwrap()]);
        git(self.outside(), &args);
        self.moved_to(to)
    }

    /// With a submodule `vendor/lib`, checked out.
    pub fn with_submodule(self) -> Self {
        let lib = self.outside().join("lib");
        fs::create_dir(&lib).unwrap();
        git(&lib, &["init", "-q", "-b", "main"]);
        crate::repo::write(&lib, "lib.txt", "library\n");
        git(&lib, &["add", "-A"]);
        git(&lib, &["commit", "-q", "-m", "Library"]);
        self.git(&[
            "submodule",
            "--quiet",
            "add",
            lib.to_str().unwrap(),
            "vendor/lib",
        ]);
        self.commit("Submodule");
        self
    }

    /// With LFS pointers in the tree, and attributes that ask for the filter.
    pub fn with_lfs_pointers(self) -> Self {
        self.write(
            ".gitattributes",
            "*.bin filter=lfs diff=lfs merge=lfs -text\n",
        );
        self.write("assets/big.bin", POINTER);
        self.commit("Pointers");
        self
    }

    /// A second worktree on its own branch `side`; the first stays on `main`.
    pub fn worktree(self) -> Self {
        let path: PathBuf = self.outside().join("side");
        self.git(&[
            "worktree",
            "add",
            "-q",
            "-b",
            "side",
            path.to_str().unwrap(),
        ]);
        self.moved_to(path)
    }

    /// With somebody else's `autonomous/<run>`.
    pub fn with_branch(self, run: &str) -> Self {
        let tree = self.git(&["rev-parse", "HEAD^{tree}"]);
        let foreign = self.git(&["commit-tree", &tree, "-p", "HEAD", "-m", "Somebody else's"]);
        self.git(&["update-ref", &branch(run), &foreign]);
        self
    }

    /// With `autonomous/<run>` checked out.
    pub fn on_branch(self, run: &str) -> Self {
        self.git(&["checkout", "-q", "-b", &format!("autonomous/{run}")]);
        self
    }
}
