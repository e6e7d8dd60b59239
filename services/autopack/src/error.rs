//! What went wrong, for a person and for a program, and the exit code that says so.
//!
//! Invariant: an error that has a stable code names it, its remedy, and the command that explains it.

use std::{collections::BTreeMap, process::ExitCode};

use autopack_domain::{Fault, Reason, Refusal};
use autopack_git::GitError;
use autopack_wire::status::RemoteError;

/// Exit codes of the command line; documented in docs/reference/cli.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Success,
    /// Not done.
    Error,
    /// The command line is wrong.
    Usage,
    /// The run ended `DONE_FAILED_*`.
    RunFailed,
    /// Ended by SIGINT or SIGTERM.
    Interrupted,
}

impl Exit {
    /// The number.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Error => 1,
            Self::Usage => 2,
            Self::RunFailed => 3,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error of the command line.
#[derive(Clone, Debug)]
pub(crate) struct CliError {
    /// The exit code.
    pub(crate) exit: Exit,
    /// The stable code; empty if there is none.
    pub(crate) code: String,
    /// What is wrong.
    pub(crate) message: String,
    /// Variables of the message.
    pub(crate) metadata: BTreeMap<String, String>,
    /// Every fault of the input.
    pub(crate) faults: Vec<Fault>,
    /// What mends it.
    pub(crate) hints: Vec<String>,
    /// The registry could not be reached; another one may answer.
    pub(crate) unreachable: bool,
}

/// What a command returns.
pub(crate) type Outcome = Result<Exit, CliError>;

impl CliError {
    /// An error without a code.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Error,
            code: String::new(),
            message: message.into(),
            metadata: BTreeMap::new(),
            faults: Vec::new(),
            hints: Vec::new(),
            unreachable: false,
        }
    }

    /// Wrong use of the command line.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            ..Self::new(message)
        }
    }

    /// An error with a stable code.
    pub(crate) fn reason(reason: Reason, message: impl Into<String>) -> Self {
        Refusal::new(reason, message).into()
    }

    /// Faults of an input.
    pub(crate) fn faults(reason: Reason, message: impl Into<String>, faults: Vec<Fault>) -> Self {
        Self {
            message: message.into(),
            ..Refusal::invalid(reason, faults).into()
        }
    }

    /// Adds what mends it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Names a file that could not be used.
    pub(crate) fn io(action: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(format!("{action} {}: {error}", path.display()))
    }

    /// The lines for a terminal.
    pub(crate) fn render(&self) -> String {
        let code = if self.code.is_empty() {
            String::new()
        } else {
            format!("{}: ", self.code)
        };
        // A refusal's text repeats its faults; each is shown once.
        let message = if self.faults.is_empty() {
            self.message.as_str()
        } else {
            self.message.lines().next().unwrap_or_default()
        };
        let mut text = format!("error: {code}{message}");
        for fault in &self.faults {
            text.push_str("\n  ");
            text.push_str(&fault.to_string());
        }
        for hint in &self.hints {
            text.push_str("\nhint: ");
            text.push_str(hint);
        }
        text
    }

    /// The same for a program.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::json!({ "error": {
            "code": self.code,
            "message": self.message,
            "metadata": self.metadata,
            "faults": self.faults,
            "hints": self.hints,
            "exit_code": self.exit.code(),
        }})
    }
}

impl From<Refusal> for CliError {
    fn from(refusal: Refusal) -> Self {
        let code = refusal.reason.code();
        Self {
            code: code.to_owned(),
            metadata: refusal.metadata,
            faults: refusal.faults,
            hints: vec![
                refusal.reason.remedy().to_owned(),
                format!("more: autopack explain {code}"),
            ],
            ..Self::new(refusal.message)
        }
    }
}

impl From<RemoteError> for CliError {
    fn from(error: RemoteError) -> Self {
        let unreachable = error.code == tonic::Code::Unavailable;
        let known = error.reason.is_some();
        let code = error.reason_code.clone();
        let refusal = Self::from(error.into_refusal());
        Self {
            // A transport's error has no reason of its own, a newer peer's may be unknown here.
            code: if known || code.is_empty() {
                refusal.code.clone()
            } else {
                code
            },
            unreachable,
            ..refusal
        }
    }
}

impl From<tonic::Status> for CliError {
    fn from(status: tonic::Status) -> Self {
        RemoteError::from(status).into()
    }
}

impl From<GitError> for CliError {
    fn from(error: GitError) -> Self {
        let reason = match &error {
            GitError::TargetMissing { .. }
            | GitError::NotARepository { .. }
            | GitError::UnusableRepository { .. }
            | GitError::UnsupportedUrl { .. } => Reason::RepositoryInvalid,
            GitError::VersionTooOld { .. }
            | GitError::VersionUnreadable { .. }
            | GitError::Runner(autopack_git::RunnerError::Start { .. }) => Reason::GitUnsupported,
            _ => return Self::new(error.to_string()),
        };
        Self::reason(reason, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_rendered_once_each_with_a_remedy_and_the_command_that_explains() {
        let faults = vec![
            Fault::new("a.b", "is missing").example("1"),
            Fault::new("c", "is odd"),
        ];
        let error = CliError::faults(Reason::PlanInvalid, "plan.yaml has 2 faults", faults);
        let text = error.render();
        assert_eq!(text.matches("is missing").count(), 1, "{text}");
        assert!(text.starts_with("error: PLAN_INVALID: plan.yaml has 2 faults\n  a.b: is missing; example: 1\n  c: is odd\nhint: "), "{text}");
        assert!(
            text.ends_with("hint: more: autopack explain PLAN_INVALID"),
            "{text}"
        );
        assert_eq!(error.json()["error"]["faults"][1]["path"], "c");
    }

    #[test]
    fn exit_codes_are_those_of_the_design() {
        let codes = [Exit::Success, Exit::Error, Exit::Usage, Exit::RunFailed].map(Exit::code);
        assert_eq!(codes, [0, 1, 2, 3]);
    }
}
