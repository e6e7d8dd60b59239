//! Arguments of the commands around issues and reports.
//!
//! Invariant: values are only parsed here; the registry says whether they are legal.

use clap::{Args, Subcommand};

/// `issues`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  autopack issues demo-1
  autopack issues demo-1 P1.2 --severity major
  autopack issues demo-1 --all --json
  autopack issues resolve docs__readme__stale --project demo --note 'generated elsewhere'")]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct IssuesArgs {
    #[command(subcommand)]
    pub(crate) command: Option<IssuesCommand>,
    /// Id or uid of the run
    #[arg(required = true)]
    pub(crate) run: Option<String>,
    /// Only of this phase
    pub(crate) phase: Option<String>,
    /// Only what counts as minor or major
    #[arg(long, value_name = "SEVERITY")]
    pub(crate) severity: Option<String>,
    /// Those that were cleaned, too
    #[arg(long)]
    pub(crate) all: bool,
}

/// What else is done with issues.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum IssuesCommand {
    /// Close an entry of a project's backlog; it comes back when its key is reported again
    Resolve(ResolveIssueArgs),
}

/// `issues resolve`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Example:
  autopack issues resolve docs__readme__stale --project demo --note 'that file is generated elsewhere'")]
pub(crate) struct ResolveIssueArgs {
    /// Its key, as `autopack backlog` shows it
    pub(crate) key: String,
    /// The project
    #[arg(long, value_name = "NAME")]
    pub(crate) project: String,
    /// Why it is no longer to be counted
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: String,
}

/// `record-issue`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Example:
  autopack record-issue demo-1 docs__readme__stale --phase P1.2 --category docs \\
    --source auditor --severity minor --path README.md --evidence review.md")]
pub(crate) struct RecordIssueArgs {
    /// Id or uid of the run
    pub(crate) run: String,
    /// What tells the issue apart, by custom category__subject__problem
    pub(crate) key: String,
    /// The phase; left out: the run itself
    #[arg(long, value_name = "ID")]
    pub(crate) phase: Option<String>,
    /// minor or major; left out: what the category has
    #[arg(long, value_name = "SEVERITY", default_value = "")]
    pub(crate) severity: String,
    /// Who found it
    #[arg(long, value_name = "WORD", default_value = "operator")]
    pub(crate) source: String,
    /// Such as a task category
    #[arg(long, value_name = "WORD")]
    pub(crate) category: String,
    /// What it is
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) description: String,
    /// Where to look; may be repeated
    #[arg(long, value_name = "REF")]
    pub(crate) evidence: Vec<String>,
    /// An affected path; may be repeated
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Vec<String>,
}

/// `backlog`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  autopack backlog demo
  autopack backlog demo --safety-profile safety_critical
  autopack backlog demo --phases >> plan.yaml     phases that clean what has grown old")]
pub(crate) struct BacklogArgs {
    /// The project
    pub(crate) project: String,
    /// Whose thresholds decide what has grown old: normal or safety_critical
    #[arg(long, value_name = "PROFILE", default_value = "")]
    pub(crate) safety_profile: String,
    /// Print the cleanup phases for the next plan instead, as YAML
    #[arg(long)]
    pub(crate) phases: bool,
}

/// `report`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ReportCommand {
    /// One run: progress, budgets, issues, tiers, and the rules of promotion
    #[command(
        after_help = "Examples:\n  autopack report run demo-1\n  autopack report run demo-1 --json"
    )]
    Run {
        /// Id or uid of the run
        run: String,
    },
    /// Metrics of runs, newest first
    #[command(after_help = "Example:\n  autopack report runs --state DONE_SUCCESS --project demo")]
    Runs {
        /// Only runs in this state
        #[arg(long, value_name = "STATE", default_value = "")]
        state: String,
        /// Only of this project
        #[arg(long, value_name = "NAME", default_value = "")]
        project: String,
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(i32).range(1..=500))]
        limit: i32,
    },
    /// What a project's backlog holds
    #[command(
        after_help = "Example:\n  autopack report backlog demo --safety-profile safety_critical"
    )]
    Backlog {
        /// The project
        project: String,
        /// Whose thresholds decide what has grown old: normal or safety_critical
        #[arg(long, value_name = "PROFILE", default_value = "")]
        safety_profile: String,
    },
    /// Runs that ended with a spent budget, by what spent it
    #[command(after_help = "Example:\n  autopack report budgets --project demo")]
    Budgets {
        /// Only of this project
        #[arg(long, value_name = "NAME", default_value = "")]
        project: String,
        /// How many of the latest are looked at
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(i32).range(1..=500))]
        limit: i32,
    },
}
