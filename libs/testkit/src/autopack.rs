//! The real binary, with a data directory and a home of its own.
//!
//! Invariant: its environment holds what is set here and nothing else, so a machine's settings have no part in it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{self, Done};

/// How long one command may take.
const BOUND: Duration = Duration::from_mins(2);

/// The command line on one data directory.
#[derive(Debug)]
pub struct Autopack {
    temp: TempDir,
    data: PathBuf,
    env: Vec<(String, String)>,
}

/// A command's end, with its standard output read as JSON.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The process.
    pub done: Done,
    /// Its standard output; `null` if there was none.
    pub json: Value,
}

/// The folder with the built binaries.
#[track_caller]
pub fn bin_dir() -> PathBuf {
    if let Some(named) = std::env::var_os("AUTOPACK_BIN_DIR") {
        return PathBuf::from(named);
    }
    let exe = std::env::current_exe().unwrap();
    let found = exe
        .ancestors()
        .skip(1)
        .find(|folder| folder.join("autopack").is_file());
    match found {
        Some(folder) => folder.to_owned(),
        None => panic!("build the binaries first: cargo build --workspace --bins"),
    }
}

impl Default for Autopack {
    fn default() -> Self {
        Self::new()
    }
}

impl Autopack {
    /// On a new data directory; failed attempts are repeated at once.
    pub fn new() -> Self {
        let temp = tempfile::Builder::new()
            .prefix("autopack-data-")
            .tempdir()
            .unwrap();
        let data = temp.path().join("data");
        std::fs::create_dir(temp.path().join("home")).unwrap();
        let env = vec![("BACKOFF_SECONDS".to_owned(), "0".to_owned())];
        Self { temp, data, env }
    }

    /// Sets a variable of its environment.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lets builders and gates of its runs write a new folder of this name, too.
    pub fn sharing(self, name: &str) -> Self {
        let folder = self.folder(name);
        let shown = folder.to_str().unwrap().to_owned();
        self.with("AUTOPACK_SANDBOX_WRITE", &shown)
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The home folder that it sees.
    pub fn home(&self) -> PathBuf {
        self.temp.path().join("home")
    }

    /// A new folder for plans.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.temp.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    /// The command, on this data directory.
    #[track_caller]
    pub fn command(&self, args: &[&str]) -> Command {
        let bin = bin_dir().join("autopack");
        assert!(
            bin.is_file(),
            "{} is missing: cargo build --workspace --bins",
            bin.display()
        );
        let mut command = Command::new(bin);
        command
            .args(args)
            .env_clear()
            .env(
                "PATH",
                std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into()),
            )
            .env("HOME", self.home())
            .env("USER", "tester")
            .env("LANG", "C.UTF-8")
            .env("NO_COLOR", "1")
            .env("AUTOPACK_DATA_DIR", &self.data)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(self.temp.path());
        command
    }

    /// Runs a command to its end.
    #[track_caller]
    pub fn call(&self, args: &[&str]) -> Done {
        program::run(&mut self.command(args), BOUND)
    }

    /// Runs a command with `--json`; what it printed must be JSON.
    #[track_caller]
    pub fn ask(&self, args: &[&str]) -> Answer {
        let mut all = args.to_vec();
        all.push("--json");
        let done = self.call(&all);
        let json = match done.stdout.trim() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|error| {
                panic!(
                    "{args:?} printed no JSON: {error}\n{}\n{}",
                    done.stdout, done.stderr
                )
            }),
        };
        Answer { done, json }
    }

    /// Runs a command with `--json` that must succeed.
    #[track_caller]
    pub fn read(&self, args: &[&str]) -> Value {
        let answer = self.ask(args);
        answer.done.expect_code(0);
        answer.json
    }

    /// `autopack run PLAN --repo REPO --json`.
    #[track_caller]
    pub fn run(&self, plan: &Path, repo: &Path) -> Answer {
        self.ask(&[
            "run",
            plan.to_str().unwrap(),
            "--repo",
            repo.to_str().unwrap(),
        ])
    }

    /// `autopack status RUN --json`.
    #[track_caller]
    pub fn status(&self, run: &str) -> Value {
        self.read(&["status", run])
    }

    /// `autopack attempts RUN --json`: the list.
    #[track_caller]
    pub fn attempts(&self, run: &str) -> Vec<Value> {
        let found = self.read(&["attempts", run]);
        let list = if found.is_array() {
            &found
        } else {
            &found["attempts"]
        };
        list.as_array()
            .unwrap_or_else(|| panic!("no attempts in {found:#}"))
            .clone()
    }

    /// An artifact's bytes as text.
    #[track_caller]
    pub fn artifact(&self, digest: &str) -> String {
        self.call(&["artifact", digest])
            .expect_code(0)
            .stdout
            .clone()
    }

    /// Every file below the data directory whose path contains all of these words.
    pub fn files(&self, words: &[&str]) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open = vec![self.data.clone()];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder)
                .into_iter()
                .flatten()
                .filter_map(Result::ok)
            {
                let path = entry.path();
                let kind = entry.file_type().unwrap();
                let shown = path.to_string_lossy();
                if kind.is_dir() {
                    open.push(path);
                } else if words.iter().all(|word| shown.contains(word)) {
                    found.push(path);
                }
            }
        }
        found.sort();
        found
    }
}
