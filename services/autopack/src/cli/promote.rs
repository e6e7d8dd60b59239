//! Arguments of the commands around results: `preflight`, `promote`, `integration`.
//!
//! Invariant: values are only parsed here; the registry says whether they are legal.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `preflight`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  autopack preflight
  MAX_ATTEMPTS=1 autopack preflight --profile strict --repo ../demo

Runs the steps that are inferred for phases. Tries MAX_ATTEMPTS times (3), BACKOFF_SECONDS apart (5).")]
pub(crate) struct PreflightArgs {
    /// normal: unit and integration; strict: everything [default: CI_PROFILE, else normal]
    #[arg(long, value_name = "PROFILE")]
    pub(crate) profile: Option<String>,
    /// The checkout
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) repo: PathBuf,
}

/// `promote`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  autopack promote demo-1
  autopack promote demo-1 --to release --strategy squash
  autopack promote demo-1 --pull-request --to main
  autopack promote demo-1 --abandon --why 'the repository is gone'

Exits 3 if a rule of promotion does not hold, and names each. A branch that is checked out is never moved.
A pull request needs a token in the environment (AUTOPACK_HOST_TOKEN, GH_TOKEN, GITEA_TOKEN), or `gh` for GitHub.")]
pub(crate) struct PromoteArgs {
    /// Id or uid of the run
    pub(crate) run: String,
    /// How the result joins the branch: ff, merge or squash
    #[arg(long, value_name = "STRATEGY", default_value = "ff")]
    pub(crate) strategy: String,
    /// The branch that is to hold the result [default: the plan's base]
    #[arg(long, value_name = "BRANCH", default_value = "")]
    pub(crate) to: String,
    /// Only if that branch is at this commit
    #[arg(long, value_name = "COMMIT", default_value = "")]
    pub(crate) expected_tip: String,
    /// Open a pull request on the repository's host instead of moving the branch
    #[arg(long, conflicts_with_all = ["strategy", "expected_tip"])]
    pub(crate) pull_request: bool,
    /// Give up a promotion whose move may have happened, and whose branch no worker can read any more
    #[arg(long, conflicts_with_all = ["strategy", "to", "expected_tip", "pull_request"])]
    pub(crate) abandon: bool,
    /// Why it is given up, for the record
    #[arg(long, value_name = "TEXT", default_value = "", requires = "abandon")]
    pub(crate) why: String,
    #[command(flatten)]
    pub(crate) host: HostArgs,
}

/// The host of a repository.
#[derive(Clone, Debug, Args)]
pub(crate) struct HostArgs {
    /// What the host speaks [default: github for github.com, else gitea]
    #[arg(long, value_name = "KIND", requires = "pull_request")]
    pub(crate) host: Option<HostKind>,
    /// Base address of the host's API; needed for every host but github.com
    #[arg(long, value_name = "URL", env = "AUTOPACK_HOST_API")]
    pub(crate) host_api: Option<String>,
}

/// What a host speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HostKind {
    /// GitHub's API, version 3
    Github,
    /// Gitea's API, which Forgejo speaks too
    Gitea,
}

/// `integration`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  autopack integration demo-1
  autopack integration demo-1 --refresh --to release --json")]
pub(crate) struct IntegrationArgs {
    /// Id or uid of the run
    pub(crate) run: String,
    /// Have a worker look now
    #[arg(long)]
    pub(crate) refresh: bool,
    /// A branch to compare with, beside the plan's base
    #[arg(long, value_name = "BRANCH", default_value = "", requires = "refresh")]
    pub(crate) to: String,
}
