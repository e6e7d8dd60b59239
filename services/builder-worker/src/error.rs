//! What can go wrong: calls to the registry, the worker as a whole, and the end of one job.
//!
//! Invariant: a job ends in exactly one way: failed with a cause, interrupted, or refused by the registry.

use std::path::PathBuf;
use std::time::Duration;

use autopack_domain::{Cause, ErrorKind, Reason};
use autopack_git::GitError;
use autopack_sandbox::SandboxError;

/// A call to the registry that was refused or not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// Decides what the worker does.
    pub kind: ErrorKind,
    /// The stable reason, if the registry gave one.
    pub reason: Option<Reason>,
    /// For people.
    pub message: String,
}

impl CallError {
    /// A refusal with this reason.
    pub fn refused(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            kind: reason.kind(),
            reason: Some(reason),
            message: message.into(),
        }
    }

    /// The registry could not be asked.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::refused(Reason::RegistryUnavailable, message)
    }

    /// The message behind its code, where there is one.
    pub(crate) fn told(&self) -> String {
        match self.reason {
            Some(reason) => format!("{reason}: {}", self.message),
            None => self.message.clone(),
        }
    }

    /// Whether the registry gave this reason.
    pub fn is(&self, reason: Reason) -> bool {
        self.reason == Some(reason)
    }

    /// Whether the same call may be repeated: the registry was not reached, or has too much to do.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Unavailable
                | ErrorKind::Deadline
                | ErrorKind::Cancelled
                | ErrorKind::Exhausted
        )
    }

    /// Whether this worker, not the job, is at fault, so that another worker or a later time may do better.
    pub fn is_ours(&self) -> bool {
        self.is_transient()
            || self.is(Reason::DatabaseMismatch)
            || matches!(
                self.kind,
                ErrorKind::Unauthenticated | ErrorKind::Denied | ErrorKind::Bug
            )
    }

    /// Whether the lease, its job or its run is gone.
    pub fn is_gone(&self) -> bool {
        // Another database knows nothing of our leases.
        !self.is(Reason::DatabaseMismatch)
            && matches!(
                self.kind,
                ErrorKind::Precondition | ErrorKind::NotFound | ErrorKind::Exists
            )
    }
}

/// The worker cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// A folder of the data directory cannot be made.
    #[error("cannot prepare {}: {source}; check space and permissions", path.display())]
    DataDir {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Git is missing or too old.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The words to redact cannot be searched for.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The registry refuses this worker.
    #[error("the registry refuses this worker: {}", .0.told())]
    Refused(CallError),
    /// The configuration cannot work.
    #[error("the worker is not configured rightly: {0}")]
    Config(String),
}

/// Why an attempt or job did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The cause that decides what follows.
    pub(crate) cause: Cause,
    /// For people: what, where, and what would be right.
    pub(crate) detail: String,
    /// The text that failed, for its class and signature; empty: the detail.
    pub(crate) raw: String,
    /// How long the next attempt must wait at least.
    pub(crate) pause: Option<Duration>,
}

impl Failure {
    pub(crate) fn new(cause: Cause, detail: impl Into<String>) -> Self {
        Self {
            cause,
            detail: detail.into(),
            raw: String::new(),
            pause: None,
        }
    }

    pub(crate) fn after(mut self, pause: Duration) -> Self {
        self.pause = Some(pause);
        self
    }

    pub(crate) fn with_raw(mut self, raw: impl Into<String>) -> Self {
        self.raw = raw.into();
        self
    }
}

/// Why work on a job stopped before its good end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It failed.
    Failed(Failure),
    /// The lease was cancelled; [`crate::leases::Lease::why`] tells by whom.
    Interrupted,
    /// Only somebody else can go on, such as a cleanup that reads the branch.
    GiveBack(String),
    /// The registry refused or could not be reached.
    Registry(CallError),
}

impl Stop {
    pub(crate) fn failed(cause: Cause, detail: impl Into<String>) -> Self {
        Self::Failed(Failure::new(cause, detail))
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Self {
        Self::Registry(error)
    }
}

impl From<GitError> for Stop {
    fn from(error: GitError) -> Self {
        Self::failed(git_cause(&error), error.to_string())
    }
}

impl From<SandboxError> for Stop {
    fn from(error: SandboxError) -> Self {
        Self::failed(Cause::WorkerError, error.to_string())
    }
}

/// The cause that a failure of the git layer stands for.
pub(crate) fn git_cause(error: &GitError) -> Cause {
    match error {
        GitError::TargetMissing { .. }
        | GitError::NotARepository { .. }
        | GitError::UnusableRepository { .. }
        | GitError::UnsupportedUrl { .. } => Cause::RepositoryUnavailable,
        GitError::RefNameConflict { .. } => Cause::BranchExists,
        // Of an integration branch; promotions have causes of their own.
        GitError::PushDeclined { .. } => Cause::BranchProtected,
        GitError::SymbolicBranch { .. } => Cause::BranchMoved,
        error if error.is_denied() => Cause::RepositoryDenied,
        error if error.is_remote() => Cause::RepositoryUnavailable,
        GitError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
            Cause::DiskFull
        }
        GitError::Failed { detail, .. } if detail.contains("No space left on device") => {
            Cause::DiskFull
        }
        _ => Cause::WorkerError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_decide_what_happens_to_a_job() {
        let gone = CallError::refused(Reason::JobGone, "x");
        assert!(gone.is_gone() && !gone.is_ours());
        let fenced = CallError::refused(Reason::LeaseFenced, "x");
        assert!(fenced.is_gone() && !fenced.is_transient());
        assert!(CallError::refused(Reason::RunNotFound, "x").is_gone());
        let elsewhere = CallError::refused(Reason::DatabaseMismatch, "x");
        assert!(elsewhere.is_ours() && !elsewhere.is_gone() && !elsewhere.is_transient());
        assert!(CallError::unavailable("x").is_transient());
        assert!(CallError::refused(Reason::PermissionDenied, "x").is_ours());
        assert!(!CallError::refused(Reason::PermissionDenied, "x").is_transient());
    }

    #[test]
    fn git_failures_have_causes() {
        let failed = |command: &str, detail: &str| GitError::Failed {
            command: command.into(),
            status: 128,
            detail: detail.into(),
        };
        assert_eq!(
            git_cause(&failed("fetch", "x")),
            Cause::RepositoryUnavailable
        );
        assert_eq!(
            git_cause(&failed("write-tree", "No space left on device")),
            Cause::DiskFull
        );
        assert_eq!(git_cause(&failed("read-tree", "x")), Cause::WorkerError);
    }
}
