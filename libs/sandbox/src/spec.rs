//! What to run and within which limits.
//!
//! Invariant: a specification is complete. The command inherits nothing from the worker that is not written here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{SandboxError, layer};

/// The longest time limit.
const LONGEST: Duration = Duration::from_hours(30 * 24);
/// The most of either end of the output that is kept in memory.
const MOST_KEPT: usize = 64 * 1024 * 1024;

/// One untrusted command.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spec {
    /// Program and arguments; the program is looked up in the `PATH` of `env`. See [`Spec::shell`].
    pub argv: Vec<String>,
    /// The working folder.
    pub cwd: PathBuf,
    /// The whole environment; see [`env::scrubbed`](crate::env::scrubbed).
    pub env: BTreeMap<String, String>,
    /// What the command reads from standard input; `None` is `/dev/null`.
    #[serde(skip)]
    pub stdin: Option<Vec<u8>>,
    /// The limits.
    pub limits: Limits,
    /// Folders whose size together counts against [`Limits::disk_bytes`].
    pub watch_dirs: Vec<PathBuf>,
    /// Where the output is also written, up to [`Limits::log_bytes`]; replaced if it exists.
    pub log_file: Option<PathBuf>,
    /// Where standard output alone is also written, up to [`Limits::log_bytes`]. With it the two streams come through
    /// separate pipes, so that their order in the captured output is approximate.
    pub stdout_file: Option<PathBuf>,
    /// Confinement beyond the limits.
    pub confine: Confine,
}

impl Spec {
    /// A command with default limits and an empty environment.
    pub fn new(argv: Vec<String>, cwd: PathBuf) -> Self {
        Self {
            argv,
            cwd,
            env: BTreeMap::new(),
            stdin: None,
            limits: Limits::default(),
            watch_dirs: Vec::new(),
            log_file: None,
            stdout_file: None,
            confine: Confine::default(),
        }
    }

    /// A line for `/bin/sh -c`.
    pub fn shell(line: &str, cwd: PathBuf) -> Self {
        Self::new(vec!["/bin/sh".into(), "-c".into(), line.into()], cwd)
    }

    /// Refuses what no supervisor could run.
    pub(crate) fn check(&self) -> Result<(), SandboxError> {
        let refuse = |why: &str| Err(SandboxError::InvalidSpec(why.to_owned()));
        if self.argv.first().is_none_or(String::is_empty) {
            return refuse("no program is given");
        }
        if self.argv.iter().any(|word| word.contains('\0')) {
            return refuse("an argument contains a NUL byte");
        }
        if let Some((name, _)) = self.env.iter().find(|(name, value)| {
            name.is_empty() || name.contains(['\0', '=']) || value.contains('\0')
        }) {
            return Err(SandboxError::InvalidSpec(format!(
                "the environment variable {name:?} is not valid"
            )));
        }
        let Limits {
            wall,
            cpu,
            output_keep_head,
            output_keep_tail,
            ..
        } = &self.limits;
        if (*wall).max(cpu.unwrap_or_default()) > LONGEST {
            return refuse("a time limit is longer than 30 days");
        }
        if (*output_keep_head).max(*output_keep_tail) > MOST_KEPT {
            return refuse("more than 64 MiB of output are to be kept; write a log file instead");
        }
        if !self.cwd.is_absolute() {
            return refuse("the working folder must be an absolute path");
        }
        if let Some(name) = self
            .confine
            .require
            .iter()
            .find(|name| !layer::ALL.contains(&name.as_str()))
        {
            return Err(SandboxError::InvalidSpec(format!(
                "`{name}` is no layer; there are {}",
                layer::ALL.join(", ")
            )));
        }
        let confined = self.confine.files.iter().flat_map(Files::all);
        let files = self
            .log_file
            .iter()
            .chain(&self.stdout_file)
            .chain(&self.watch_dirs)
            .chain(confined);
        if files.into_iter().any(|path| !path.is_absolute()) {
            return refuse("log files, watched and confined folders must be absolute paths");
        }
        Ok(())
    }
}

/// What a command may use. Each limit that is passed ends the whole tree.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Limits {
    /// Wall-clock time.
    pub wall: Duration,
    /// Processor time of the tree together.
    pub cpu: Option<Duration>,
    /// Resident memory of the tree together; sampled, so a short peak may pass.
    pub memory_bytes: Option<u64>,
    /// Bytes on disk in the watched folders together, and the size of any one file.
    pub disk_bytes: Option<u64>,
    /// How much is kept of the start of the output.
    pub output_keep_head: usize,
    /// How much is kept of the end of the output.
    pub output_keep_tail: usize,
    /// The size of output at which the command is killed; `None` only drops what does not fit.
    pub output_bytes: Option<u64>,
    /// The size at which the log files stop growing.
    pub log_bytes: u64,
    /// Processes of the tree alive at once; sampled.
    pub processes: Option<u32>,
    /// Open files of one process.
    pub open_files: Option<u64>,
    /// How long a command that was asked to end may take before it is killed; see
    /// [`Sandbox::run_until`](crate::Sandbox::run_until).
    pub stop_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall: Duration::from_mins(10),
            cpu: None,
            memory_bytes: None,
            disk_bytes: None,
            output_keep_head: 64 * 1024,
            output_keep_tail: 192 * 1024,
            output_bytes: None,
            log_bytes: 64 * 1024 * 1024,
            processes: Some(1024),
            open_files: None,
            stop_grace: Duration::from_secs(5),
        }
    }
}

/// Confinement beyond the limits. What the host does not allow is left out, and missing in
/// [`Outcome::layers`](crate::Outcome::layers).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confine {
    /// Whether the command may use the network; `false` leaves it a loopback interface of its own.
    pub network: bool,
    /// Which files it may use; `None`: all that the user may.
    pub files: Option<Files>,
    /// Layers without which the command is not started; see [`layer`](crate::layer).
    pub require: Vec<String>,
}

impl Default for Confine {
    fn default() -> Self {
        Self {
            network: true,
            files: None,
            require: Vec::new(),
        }
    }
}

/// Which files a command may use. Paths are absolute and resolved; one that does not exist is passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files {
    /// Folders and files that it may write; nothing else.
    pub write: Vec<PathBuf>,
    /// What it may read although it lies below something hidden.
    pub read: Vec<PathBuf>,
    /// Folders and files that it does not see.
    pub hide: Vec<PathBuf>,
    /// A folder that stands in for `/tmp` and `/var/tmp`, where the host allows mounts.
    pub tmp: Option<PathBuf>,
}

impl Files {
    fn all(&self) -> impl Iterator<Item = &PathBuf> {
        let lists = self.write.iter().chain(&self.read).chain(&self.hide);
        lists.chain(&self.tmp)
    }
}
