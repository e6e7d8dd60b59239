//! A git repository below a temporary folder.
//!
//! Invariant: made by code alone, with the same content and the same commit ids each time.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::git;

/// A repository and the folder around it, which lives as long as this value.
#[derive(Debug)]
pub struct TempRepo {
    temp: TempDir,
    path: PathBuf,
}

impl TempRepo {
    /// A repository without commits, on `main`.
    pub fn empty() -> Self {
        let temp = tempfile::Builder::new()
            .prefix("autopack-e2e-")
            .tempdir()
            .unwrap();
        let path = temp.path().join("app");
        fs::create_dir(&path).unwrap();
        git::git(&path, &["init", "-q", "-b", "main"]);
        Self { temp, path }
    }

    /// A small Python package with a test that passes, and one commit.
    pub fn small() -> Self {
        let repo = Self::empty();
        repo.write("README.md", "# App\n\nOne\nTwo\nThree\n");
        repo.write("app/__init__.py", "");
        repo.write("app/core.py", "def double(n):\n    return n * 2\n");
        repo.write("tests/__init__.py", "");
        repo.write("tests/test_core.py", TEST);
        repo.write("conftest.py", "# settings of the tests\n");
        repo.write(
            "check.sh",
            "#!/bin/sh\nexec grep -q 'return n \\* 2' app/core.py\n",
        );
        repo.write(".gitignore", "__pycache__/\n*.log\n/build/\n");
        repo.executable("check.sh");
        repo.commit("First");
        repo
    }

    /// `small` with `count` more files below `src/`, in several folders.
    pub fn with_files(count: usize) -> Self {
        let repo = Self::small();
        for n in 0..count {
            let lines: Vec<String> = (0..20)
                .map(|line| format!("value_{n}_{line} = {line}\n"))
                .collect();
            let body = lines.concat();
            repo.write(&format!("src/part{}/module_{n:03}.py", n % 7), &body);
        }
        repo.commit("More files");
        repo
    }

    /// Another repository in the same temporary folder.
    pub(crate) fn moved_to(self, path: PathBuf) -> Self {
        Self { path, ..self }
    }

    /// The checkout, or the repository itself if it is bare.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder around it, for whatever else a test needs.
    pub fn outside(&self) -> &Path {
        self.temp.path()
    }

    /// The folder with the objects.
    pub fn git_dir(&self) -> PathBuf {
        PathBuf::from(self.git(&["rev-parse", "--absolute-git-dir"]))
    }

    /// Runs git in it.
    #[track_caller]
    pub fn git(&self, args: &[&str]) -> String {
        git::git(&self.path, args)
    }

    /// Writes a file and the folders above it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        write(&self.path, name, content);
    }

    /// Makes a file executable.
    pub fn executable(&self, name: &str) {
        executable(&self.path.join(name));
    }

    /// Commits everything.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// The tip of `autonomous/<run>`, if it is there.
    pub fn branch(&self, run: &str) -> Option<String> {
        git::commit_of(&self.path, &branch(run))
    }

    /// Commits of `autonomous/<run>` after `base`, oldest first.
    pub fn landed(&self, base: &str, run: &str) -> Vec<git::Commit> {
        git::log(&self.path, &format!("{base}..{}", branch(run)))
    }

    /// A file on `autonomous/<run>`.
    pub fn landed_file(&self, run: &str, path: &str) -> Option<String> {
        git::show(&self.path, &branch(run), path)
    }
}

const TEST: &str = "\
import unittest

from app.core import double


class Doubles(unittest.TestCase):
    def test_double(self):
        self.assertEqual(double(4), 8)
";

/// The branch of a run.
pub fn branch(run: &str) -> String {
    format!("refs/heads/autonomous/{run}")
}

/// Writes a file and the folders above it.
pub fn write(dir: &Path, name: &str, content: impl AsRef<[u8]>) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Makes a file executable.
pub fn executable(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
