//! One git command under construction: its complete environment and configuration.
//!
//! Invariant: no command leaves this crate by another way, so the hygiene below holds for all of them. Configuration
//! given by environment has command scope: it beats whatever a repository's own file says.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::error::GitError;
use crate::runner::{GitCommand, GitOutput, Runner};

/// Cap on output that is meant to be read whole.
const MAX_STDOUT: usize = 256 * 1024 * 1024;
/// Protocols that a command with a remote may use; `ext` and unknown helpers never.
const REMOTE_PROTOCOLS: &str = "file:git:http:https:ssh";

/// Configuration of every command. The last word: command scope overrides the repository's file.
const CONFIG: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.untrackedCache", "false"),
    ("core.splitIndex", "false"),
    ("core.autocrlf", "false"),
    ("core.safecrlf", "false"),
    ("core.symlinks", "true"),
    ("core.fileMode", "true"),
    ("core.ignoreCase", "false"),
    ("core.precomposeUnicode", "false"),
    ("core.quotePath", "false"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("core.alternateRefsCommand", "true"),
    (
        "core.sshCommand",
        "ssh -o BatchMode=yes -o ConnectTimeout=20 -o ServerAliveInterval=15 -o ServerAliveCountMax=4",
    ),
    // A transfer that stands still for a minute has ended.
    ("http.lowSpeedLimit", "1"),
    ("http.lowSpeedTime", "60"),
    ("core.askPass", ""),
    ("core.pager", "cat"),
    ("core.filesRefLockTimeout", "5000"),
    ("core.packedRefsTimeout", "10000"),
    ("core.commitGraph", "false"),
    ("commit.gpgSign", "false"),
    ("tag.gpgSign", "false"),
    ("push.gpgSign", "false"),
    ("push.followTags", "false"),
    ("push.useForceIfIncludes", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("receive.autogc", "false"),
    ("fetch.writeCommitGraph", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("submodule.recurse", "false"),
    ("protocol.ext.allow", "never"),
    ("log.showSignature", "false"),
    ("safe.directory", "*"),
    ("advice.addEmbeddedRepo", "false"),
];

/// For an index of our own: git reads its checksum in `fsck` only, and computing it is a good part of a small change.
const OWN_INDEX: (&str, &str) = ("index.skipHash", "true");

/// What is the same for all commands of a process.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `PATH` of git and of the helpers that it starts.
    pub path: OsString,
    /// `HOME`: a folder that is empty or absent.
    pub home: PathBuf,
    /// Variables for commands with a remote URL only, such as `SSH_AUTH_SOCK`, `GIT_ASKPASS` or a proxy.
    pub remote_env: Vec<(OsString, OsString)>,
    /// Deadline of a command on local repositories.
    pub local_timeout: Duration,
    /// Deadline of a command with a remote URL.
    pub remote_timeout: Duration,
}

impl Settings {
    /// Settings with this `PATH`, no home, no remote variables, 5 and 30 minutes.
    pub fn new(path: impl Into<OsString>) -> Self {
        Self {
            path: path.into(),
            home: PathBuf::from("/nonexistent"),
            remote_env: Vec::new(),
            local_timeout: Duration::from_mins(5),
            remote_timeout: Duration::from_mins(30),
        }
    }
}

/// The git program on this machine, behind a [`Runner`]. Cheap to clone.
#[derive(Clone)]
pub struct Git {
    runner: Arc<dyn Runner>,
    settings: Arc<Settings>,
}

impl Git {
    /// Binds a runner to settings.
    pub fn new(runner: Arc<dyn Runner>, settings: Settings) -> Self {
        Self {
            runner,
            settings: Arc::new(settings),
        }
    }

    /// Begins a command in `cwd`.
    pub(crate) fn call(&self, cwd: &Path, subcommand: &str) -> Call {
        Call {
            git: self.clone(),
            name: subcommand.to_owned(),
            args: vec![subcommand.into()],
            env: Vec::new(),
            cwd: cwd.to_owned(),
            stdin: Vec::new(),
            remote: false,
            writes: false,
            own_index: false,
            finishes: false,
            max_stdout: MAX_STDOUT,
        }
    }
}

/// A command under construction; made by [`Git::call`].
pub(crate) struct Call {
    git: Git,
    name: String,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    cwd: PathBuf,
    stdin: Vec<u8>,
    remote: bool,
    writes: bool,
    own_index: bool,
    finishes: bool,
    max_stdout: usize,
}

impl Call {
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub(crate) fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.into(), value.as_ref().to_owned()));
        self
    }

    pub(crate) fn git_dir(self, dir: &Path) -> Self {
        self.env("GIT_DIR", dir)
    }

    /// Works on a private index, which no other program reads.
    pub(crate) fn index(mut self, path: &Path) -> Self {
        self.own_index = true;
        self.env("GIT_INDEX_FILE", path)
    }

    pub(crate) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// The command may take locks.
    pub(crate) fn writes(mut self) -> Self {
        self.writes = true;
        self
    }

    /// The command talks to another repository: protocols are allowed.
    pub(crate) fn transport(mut self) -> Self {
        self.remote = true;
        self
    }

    /// The command locks what is not ours; it is not ended half-way.
    pub(crate) fn finishes(mut self) -> Self {
        self.finishes = true;
        self
    }

    pub(crate) fn max_stdout(mut self, bytes: usize) -> Self {
        self.max_stdout = bytes;
        self
    }

    fn into_command(self) -> (GitCommand, Git) {
        let settings = &self.git.settings;
        let mut env: Vec<(OsString, OsString)> = vec![
            ("PATH".into(), settings.path.clone()),
            ("HOME".into(), settings.home.clone().into()),
        ];
        let fixed = [
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_SYSTEM", "/dev/null"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            ("GIT_NO_LAZY_FETCH", "1"),
            (
                "GIT_ALLOW_PROTOCOL",
                if self.remote { REMOTE_PROTOCOLS } else { "" },
            ),
            ("LC_ALL", "C"),
            ("TZ", "UTC"),
            ("GIT_AUTHOR_NAME", "Autopack"),
            ("GIT_AUTHOR_EMAIL", "autopack@localhost"),
            ("GIT_COMMITTER_NAME", "Autopack"),
            ("GIT_COMMITTER_EMAIL", "autopack@localhost"),
        ];
        let own: Vec<&OsString> = self.env.iter().map(|(key, _)| key).collect();
        env.extend(
            fixed
                .iter()
                .map(|(k, v)| (OsString::from(k), OsString::from(v)))
                .filter(|(k, _)| !own.contains(&k)),
        );
        if !self.writes {
            env.push(("GIT_OPTIONAL_LOCKS".into(), "0".into()));
        }
        let mut count = 0;
        for (key, value) in CONFIG.iter().chain(self.own_index.then_some(&OWN_INDEX)) {
            env.push((format!("GIT_CONFIG_KEY_{count}").into(), key.into()));
            env.push((format!("GIT_CONFIG_VALUE_{count}").into(), value.into()));
            count += 1;
        }
        env.push(("GIT_CONFIG_COUNT".into(), count.to_string().into()));
        env.extend(self.env);
        if self.remote {
            env.extend(settings.remote_env.iter().cloned());
        }
        let timeout = if self.remote {
            settings.remote_timeout
        } else {
            settings.local_timeout
        };
        let command = GitCommand {
            args: self.args,
            env,
            cwd: self.cwd,
            stdin: self.stdin,
            timeout,
            max_stdout: self.max_stdout,
            finishes: self.finishes,
        };
        (command, self.git)
    }

    /// Runs the command; any status is an answer, and output may be cut at the cap.
    pub(crate) async fn output(self) -> Result<GitOutput, GitError> {
        let name = self.name.clone();
        let (command, git) = self.into_command();
        let output = git.runner.run(command).await?;
        tracing::trace!(command = name, status = output.status, "git");
        Ok(output)
    }

    /// Runs the command; any status is an answer, cut output is an error.
    pub(crate) async fn whole(self) -> Result<GitOutput, GitError> {
        let (name, limit) = (self.name.clone(), self.max_stdout);
        let output = self.output().await?;
        if output.truncated {
            return Err(GitError::OutputTooLarge {
                command: name,
                limit,
            });
        }
        Ok(output)
    }

    /// Runs the command; a status other than 0 is an error.
    pub(crate) async fn ok(self) -> Result<GitOutput, GitError> {
        let name = self.name.clone();
        let output = self.whole().await?;
        if output.status == 0 {
            Ok(output)
        } else {
            Err(GitError::failed(&name, output.status, &output.stderr))
        }
    }
}
