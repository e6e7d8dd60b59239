//! What can go wrong in starting or talking to a child process.
//!
//! Invariant: what the command itself does is never an error here: it is an [`End`](crate::End).

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a process could not be run or its result not be had.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The specification cannot be run by anybody.
    #[error("the command cannot be run: {0}")]
    InvalidSpec(String),
    /// The supervisor program did not start.
    #[error("cannot start the supervisor {}: {source}", path.display())]
    Supervisor {
        /// The configured program.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A trusted program did not start.
    #[error("cannot start `{program}`: {source}")]
    Spawn {
        /// The program as given.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// A trusted program ran past its time-out and was killed.
    #[error("`{program}` did not end within {after:?} and was killed")]
    TimedOut {
        /// The program as given.
        program: String,
        /// The time-out.
        after: Duration,
    },
    /// A trusted program wrote more than its caller can take and was killed.
    #[error("`{program}` wrote more than {limit} bytes and was killed")]
    OutputTooLarge {
        /// The program as given.
        program: String,
        /// The limit on its standard output.
        limit: usize,
    },
    /// Talking to the child failed.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The redaction list is too large to search for.
    #[error("cannot build the redaction patterns: {0}")]
    Redaction(String),
}
