//! How a command ended and what it left.
//!
//! Invariant: an outcome is what the supervisor saw, never what the command said.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// It returned this code. A shell's 127 is reported here: the caller classifies it.
    Exited(i32),
    /// A signal ended it that did not come from a limit.
    Signalled(i32),
    /// It ran past its wall-clock time.
    TimedOut,
    /// The tree used more memory than allowed.
    MemoryLimit,
    /// A watched folder or a single file grew past its size.
    DiskLimit,
    /// The tree used more processor time than allowed.
    CpuLimit,
    /// It wrote more output than allowed.
    OutputLimit,
    /// Too many processes were alive at once.
    ProcessLimit,
    /// The caller cancelled.
    Cancelled,
    /// The program, or the interpreter it names, does not exist.
    NotFound,
    /// The program exists and cannot be executed.
    NotExecutable,
    /// It was not started, because these layers were required and are not to be had here.
    Unconfined(String),
    /// It was not started, for this reason.
    SpawnFailed(String),
    /// The supervisor died or stopped answering; the command's session was killed.
    SupervisorLost,
}

impl End {
    /// Whether the command ran to its own end with code 0.
    pub fn success(&self) -> bool {
        matches!(self, Self::Exited(0))
    }
}

/// The output that was kept, standard output and error together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedOutput {
    /// The start; everything, if nothing was dropped.
    pub head: String,
    /// The end, if something was dropped.
    pub tail: String,
    /// Bytes between the two that were not kept.
    pub dropped: u64,
    /// Bytes the command wrote.
    pub total: u64,
}

impl CapturedOutput {
    /// Head and tail with a marker between them that tells how much is missing.
    pub fn text(&self) -> String {
        if self.dropped == 0 {
            return format!("{}{}", self.head, self.tail);
        }
        format!(
            "{}\n[... {} bytes dropped ...]\n{}",
            self.head, self.dropped, self.tail
        )
    }
}

/// What is known after a command has ended and its tree is gone.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// What it wrote.
    pub output: CapturedOutput,
    /// Whether a log file lacks something, because of its limit or of a failed write.
    pub log_truncated: bool,
    /// From the start to the end of the command itself.
    pub wall: Duration,
    /// Processor time of the tree together.
    pub cpu: Duration,
    /// The largest resident memory seen.
    pub peak_memory_bytes: u64,
    /// Processes that outlived the command and were killed.
    pub left_behind: u32,
    /// Processes that could not be killed (stuck in the kernel). Do not reuse the folders unless this is 0.
    pub survivors: u32,
    /// Which layers of confinement were on.
    pub layers: Vec<&'static str>,
}

/// The names that may stand in [`Outcome::layers`].
pub mod layer {
    /// Hidden folders are covered by mounts of the command's own.
    pub const MOUNTS: &str = "mounts";
    /// The kernel refuses writing outside of the command's folders.
    pub const LANDLOCK: &str = "landlock";
    /// Processes outside cannot be signalled.
    pub const NO_SIGNALS: &str = "no-signals";
    /// A network of its own with a loopback interface only.
    pub const NO_NETWORK: &str = "no-network";
    /// The kernel refuses TCP, where a network of its own is not to be had.
    pub const NO_TCP: &str = "no-tcp";
    /// Root's rights over the machine are given up.
    pub const FEWER_RIGHTS: &str = "fewer-rights";
    /// On in every command.
    pub(crate) const ALWAYS: [&str; 5] = [
        "supervisor",
        "subreaper",
        "rlimits",
        "scrubbed-env",
        "no-new-privs",
    ];
    /// All of them, as a requirement may name them.
    pub const ALL: [&str; 11] = [
        "supervisor",
        "subreaper",
        "rlimits",
        "scrubbed-env",
        "no-new-privs",
        MOUNTS,
        LANDLOCK,
        NO_SIGNALS,
        NO_NETWORK,
        NO_TCP,
        FEWER_RIGHTS,
    ];
}
