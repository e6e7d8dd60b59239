//! The machine as jobs see it: git, our clones, tools, and the environment that untrusted commands get.
//!
//! Invariant: usable without a registry, so that a plan can be checked before it is submitted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use autopack_adapters::probe::Probe;
use autopack_git::{Git, Settings, Version, check_version};
use autopack_sandbox::{env, trusted};

use crate::config::WorkerConfig;
use crate::error::WorkerError;
use crate::git_runner::TrustedRunner;
use crate::models::{List, Models};
use crate::profile;
use crate::repo::Repos;
use crate::repo::caches::Caches;
use crate::tools;

/// How long a tool may take to tell its version.
const VERSION_TIME: Duration = Duration::from_secs(20);
/// With less free space a command cannot be expected to do its work, MiB.
const FULL_MB: u64 = 8;
/// Where toolchains live below the home folder of whoever runs the worker, unless a variable says otherwise.
const TOOL_HOMES: &[(&str, &str)] = &[
    ("RUSTUP_HOME", ".rustup"),
    ("CARGO_HOME", ".cargo"),
    ("PYENV_ROOT", ".pyenv"),
];

/// Git, clones and tools of this machine.
pub struct Host {
    pub(crate) git_version: Version,
    pub(crate) repos: Repos,
    pub(crate) caches: Caches,
    pub(crate) models: Models,
    data_dir: PathBuf,
    path: OsString,
    /// Tools by which workers are told apart.
    pub(crate) announced: BTreeSet<String>,
    passthrough: Vec<String>,
    tool_homes: BTreeMap<String, String>,
    versions: Mutex<HashMap<String, Option<String>>>,
    probes: Mutex<HashMap<ProbeKey, Probe>>,
}

/// An adapter, its program's file, and when that was changed: another version is asked anew.
type ProbeKey = (String, PathBuf, Option<SystemTime>);

impl Host {
    /// Prepares the data directory and checks git. The caller holds the lock of `config.data_dir`.
    pub async fn open(config: &WorkerConfig) -> Result<Self, WorkerError> {
        for name in ["repos", "workspaces", "caches", "tmp"] {
            let path = config.data_dir.join(name);
            make_private(&path).map_err(|source| WorkerError::DataDir { path, source })?;
        }
        let data_dir = config.data_dir.canonicalize();
        let data_dir = data_dir.map_err(|source| WorkerError::DataDir {
            path: config.data_dir.clone(),
            source,
        })?;
        let models = match &config.models {
            Some(list) => list.clone(),
            None => List::read(&|name| std::env::var(name).ok()).map_err(WorkerError::Config)?,
        };
        let mut settings = Settings::new(config.path.clone());
        settings.remote_env.clone_from(&config.git_remote_env);
        let git = Git::new(Arc::new(TrustedRunner), settings);
        let git_version = check_version(&git).await?;
        Ok(Self {
            repos: Repos::new(git, data_dir.clone(), config.slots),
            caches: Caches::of(&data_dir),
            models: Models::new(models, config.providers),
            announced: profile::announced(config),
            git_version,
            data_dir,
            path: config.path.clone(),
            passthrough: config.env_passthrough.clone(),
            tool_homes: tool_homes(),
            versions: Mutex::default(),
            probes: Mutex::default(),
        })
    }

    /// `PATH` of builders and gates.
    pub(crate) fn path(&self) -> &OsStr {
        &self.path
    }

    /// The data directory, resolved.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Free space of the data directory, MiB; `None` if the system does not say.
    pub(crate) fn free_mb(&self) -> Option<u64> {
        let stat = rustix::fs::statvfs(&self.data_dir).ok()?;
        Some(stat.f_bavail.saturating_mul(stat.f_frsize) >> 20)
    }

    /// Whether nothing of use can be written any more.
    pub(crate) fn is_full(&self) -> bool {
        self.free_mb().is_some_and(|free| free < FULL_MB)
    }

    /// The environment of an untrusted command.
    pub(crate) fn env(
        &self,
        home: &Path,
        tmp: &Path,
        more_passthrough: &[String],
        extra: &BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let mut all = self.tool_homes.clone();
        all.insert("PATH".to_owned(), self.path.to_string_lossy().into_owned());
        all.extend(extra.iter().map(|(k, v)| (k.clone(), v.clone())));
        let names: Vec<&str> = self
            .passthrough
            .iter()
            .chain(more_passthrough)
            .map(String::as_str)
            .collect();
        env::scrubbed(&names, home, tmp, &all)
    }

    /// The first line that a tool prints about its version; `None` if it is not there or does not say. Asked once.
    pub(crate) async fn tool_version(&self, tool: &str) -> Option<String> {
        if let Some(known) = self.lock().get(tool) {
            return known.clone();
        }
        let found = self.ask_version(tool).await;
        self.lock().insert(tool.to_owned(), found.clone());
        found
    }

    /// What an agent's program said when it was asked before, if it is still the same file.
    pub(crate) fn known_probe(&self, adapter: &str, program: &Path) -> Option<Probe> {
        let probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        probes.get(&probe_key(adapter, program)).cloned()
    }

    /// Keeps what it said.
    pub(crate) fn keep_probe(&self, adapter: &str, program: &Path, probe: Probe) {
        let mut probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        probes.insert(probe_key(adapter, program), probe);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Option<String>>> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask_version(&self, tool: &str) -> Option<String> {
        let program = tools::find(tool, &self.path)?;
        let argument = match tool {
            "go" => "version",
            "java" => "-version",
            _ => "--version",
        };
        let tmp = self.data_dir.join("tmp");
        let mut command = trusted::Command::new(program, &tmp)
            .arg(argument)
            .timeout(VERSION_TIME);
        for (name, value) in self.env(&tmp, &tmp, &[], &BTreeMap::new()) {
            command = command.env(name, value);
        }
        let output = trusted::run(command).await.ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &output.stderr;
        let line = text.lines().find(|line| !line.trim().is_empty())?;
        output
            .success()
            .then(|| plain(line).trim().chars().take(200).collect())
    }
}

fn probe_key(adapter: &str, program: &Path) -> ProbeKey {
    let changed = std::fs::metadata(program).and_then(|meta| meta.modified());
    (adapter.to_owned(), program.to_owned(), changed.ok())
}

/// Without colours and other control characters: some tools print them although nobody sees them.
fn plain(line: &str) -> String {
    let mut found = String::with_capacity(line.len());
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' && characters.next_if_eq(&'[').is_some() {
            // Parameters up to the letter that ends the sequence.
            while characters.next().is_some_and(|c| !('@'..='~').contains(&c)) {}
        } else if !character.is_control() {
            found.push(character);
        }
    }
    found
}

/// Variables of the worker that look secret, for redaction.
pub(crate) fn secrets() -> Vec<String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, value)| env::looks_secret(name) && value.len() >= 8 && !value.contains('/'))
        .map(|(_, value)| value)
        .collect()
}

fn tool_homes() -> BTreeMap<String, String> {
    let Some(home) = std::env::var_os("HOME").map(PathBuf::from) else {
        return BTreeMap::new();
    };
    TOOL_HOMES
        .iter()
        .filter(|(name, _)| std::env::var_os(name).is_none())
        .map(|(name, folder)| (*name, home.join(folder)))
        .filter(|(_, folder)| folder.is_dir())
        .map(|(name, folder)| (name.to_owned(), folder.to_string_lossy().into_owned()))
        .collect()
}

/// Makes a folder that only its owner enters.
pub(crate) fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn colours_and_control_characters_go() {
        assert_eq!(
            plain("\u{1b}[1mApache Maven 3.8\u{1b}[m\r"),
            "Apache Maven 3.8"
        );
        assert_eq!(plain("git version 2.39\u{7}"), "git version 2.39");
        assert_eq!(plain("a\u{1b}"), "a");
    }
}
