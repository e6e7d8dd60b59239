//! Real git for tests: a runner on tokio's processes, and repositories made by code.
//!
//! Invariant: the test's own git commands ignore the machine's configuration too, so results do not depend on it.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test module: starts processes, each test uses a part"
)]

pub mod hostile;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use autopack_git::{
    CommitSpec, FetchRefs, Git, GitCommand, GitOutput, Identity, Oid, OwnClone, Runner,
    RunnerError, Settings, Target,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Runs commands with tokio, and counts them.
#[derive(Default)]
pub struct TokioRunner {
    pub started: AtomicUsize,
}

#[async_trait::async_trait]
impl Runner for TokioRunner {
    async fn run(&self, command: GitCommand) -> Result<GitOutput, RunnerError> {
        self.started.fetch_add(1, Ordering::Relaxed);
        let io = |e: std::io::Error| RunnerError::Io {
            detail: e.to_string(),
        };
        let mut child = tokio::process::Command::new("git")
            .args(&command.args)
            .env_clear()
            .envs(command.env.iter().map(|(k, v)| (k, v)))
            .current_dir(&command.cwd)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| RunnerError::Start {
                detail: e.to_string(),
            })?;
        let (mut stdin, mut stdout, mut stderr) = (
            child.stdin.take().unwrap(),
            child.stdout.take().unwrap(),
            child.stderr.take().unwrap(),
        );
        let feed = async move {
            let _ = stdin.write_all(&command.stdin).await;
            drop(stdin);
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let work = async {
            let ((), a, b) = tokio::join!(
                feed,
                stdout.read_to_end(&mut out),
                stderr.read_to_end(&mut err)
            );
            a.and(b)?;
            child.wait().await
        };
        let status = tokio::time::timeout(command.timeout, work).await;
        let status = status
            .map_err(|_| RunnerError::TimedOut {
                after: command.timeout,
            })?
            .map_err(io)?;
        let truncated = out.len() > command.max_stdout;
        out.truncate(command.max_stdout);
        let stderr = String::from_utf8_lossy(&err).into_owned();
        Ok(GitOutput {
            status: status.code().unwrap_or(255),
            stdout: out,
            truncated,
            stderr,
        })
    }
}

/// A data directory with our clone, beside a user's repository.
pub struct World {
    pub temp: TempDir,
    pub runner: Arc<TokioRunner>,
    pub git: Git,
    pub own: OwnClone,
}

impl World {
    pub async fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let runner = Arc::new(TokioRunner::default());
        let git = Git::new(
            runner.clone(),
            Settings::new(std::env::var_os("PATH").unwrap()),
        );
        let own = OwnClone::open_or_create(&git, &temp.path().join("data/clone.git"))
            .await
            .unwrap();
        Self {
            temp,
            runner,
            git,
            own,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    pub async fn discover(&self, path: &Path) -> Target {
        Target::discover(&self.git, path.to_str().unwrap())
            .await
            .unwrap()
    }

    /// Discovers and fetches a repository; returns it with its `main`.
    pub async fn fetched(&self, path: &Path) -> (Target, Oid) {
        let target = self.discover(path).await;
        self.own.fetch(&target, &FetchRefs::All).await.unwrap();
        let base = self.own.resolve_base(&target, "main").await.unwrap();
        (target, base)
    }

    pub fn index(&self, name: &str) -> autopack_git::PooledIndex {
        autopack_git::PooledIndex::new(self.path(&format!("data/{name}.index")))
    }

    pub fn work(&self, name: &str) -> autopack_git::WorkFolder {
        let index = self.path(&format!("data/{name}.work-index"));
        autopack_git::WorkFolder::new(self.path(&format!("data/{name}")), index)
    }

    pub async fn commit(&self, tree: &Oid, parents: &[Oid], message: &str) -> Oid {
        let who = Identity::default();
        let spec = CommitSpec {
            tree,
            parents,
            message,
            author: &who,
            committer: &who,
            time: 1_700_000_000,
        };
        self.own.commit_tree(&spec).await.unwrap()
    }

    /// A commit on `parent` that adds one file, made without a checkout.
    pub async fn commit_adding(&self, parent: &Oid, name: &str, content: &str) -> Oid {
        let patch = new_file_patch(name, content);
        let mut index = self.index("adding");
        let tree = self
            .own
            .apply_patch(parent, &[patch], &mut index)
            .await
            .unwrap();
        self.commit(
            &tree,
            std::slice::from_ref(parent),
            &format!("Add {name}\n"),
        )
        .await
    }
}

/// A patch in git's format that adds a text file.
pub fn new_file_patch(name: &str, content: &str) -> Vec<u8> {
    let lines: String = content.lines().flat_map(|line| ["+", line, "\n"]).collect();
    let count = content.lines().count();
    format!("diff --git a/{name} b/{name}\nnew file mode 100644\n--- /dev/null\n+++ b/{name}\n@@ -0,0 +1,{count} @@\n{lines}")
        .into_bytes()
}

/// Runs git as a user would, without the machine's configuration; the trimmed output.
pub fn git(dir: &Path, args: &[&str]) -> String {
    let output = try_git(dir, args);
    assert!(
        output.status.success(),
        "git {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}

pub fn try_git(dir: &Path, args: &[&str]) -> std::process::Output {
    std::process::Command::new("git")
        .args([
            "-c",
            "user.name=User",
            "-c",
            "user.email=user@example.org",
            "-c",
            "init.defaultBranch=main",
        ])
        .args([
            "-c",
            "protocol.file.allow=always",
            "-c",
            "advice.detachedHead=false",
        ])
        .args(args)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap()
}

pub fn write(dir: &Path, name: &str, content: impl AsRef<[u8]>) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

pub fn named_pipe(path: &Path) {
    assert!(
        std::process::Command::new("mkfifo")
            .arg(path)
            .status()
            .unwrap()
            .success()
    );
}

pub fn executable(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A repository with a few files and one commit on `main`.
pub fn repository(dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    git(dir, &["init", "-q"]);
    write(dir, "README.md", "# Demo\n\nOne\nTwo\nThree\n");
    write(dir, "src/lib.rs", "pub fn one() -> u32 {\n    1\n}\n");
    write(dir, "run.sh", "#!/bin/sh\necho hi\n");
    executable(&dir.join("run.sh"));
    write(dir, ".gitignore", "/target/\n*.log\n");
    git(dir, &["add", "-A"]);
    git(dir, &["commit", "-q", "-m", "First"]);
}

/// Everything of a user's repository that must not change: each file's bytes but for the given branch, its log, and
/// new objects.
pub fn picture(dir: &Path, branch: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.to_string_lossy().into_owned();
            let ours = name.ends_with(&format!("refs/heads/{branch}"))
                || name.ends_with(&format!("logs/refs/heads/{branch}"));
            let meta = fs::symlink_metadata(&path).unwrap();
            if ours || name.ends_with("/objects") || name.contains("/modules/") {
                continue;
            }
            if meta.is_symlink() {
                found.push((
                    path.clone(),
                    fs::read_link(&path)
                        .unwrap()
                        .into_os_string()
                        .into_encoded_bytes(),
                ));
            } else if meta.is_dir() {
                folders.push(path);
            } else {
                found.push((path.clone(), fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}
