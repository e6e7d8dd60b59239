//! Arguments of the commands for builders and auditors outside.
//!
//! Invariant: values are only parsed here; the registry says whether they are legal.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `submit-result`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  git diff --binary | autopack submit-result demo-1 P1.2 --builder bot-7 --patch -
  autopack submit-result demo-1 P1.2 --builder bot-7 --edits edits.json --tokens 12000
  autopack submit-result demo-1 P1.2 --builder bot-7 --failed --notes 'the API is gone'
  autopack submit-result demo-1 P1.2 --document result.json --json")]
pub(crate) struct SubmitResultArgs {
    /// Id or uid of the run
    pub(crate) run: String,
    /// The phase; its builder is `external`
    pub(crate) phase: String,
    /// Who built it; somebody else must audit it
    #[arg(long, value_name = "NAME", required_unless_present = "document")]
    pub(crate) builder: Option<String>,
    #[command(flatten)]
    pub(crate) content: ContentArgs,
    /// Somebody else must approve it before it is gated
    #[arg(long, conflicts_with_all = ["failed", "document"])]
    pub(crate) needs_review: bool,
    /// A file that it claims to change; may be repeated
    #[arg(long, value_name = "PATH", conflicts_with = "document")]
    pub(crate) changed_file: Vec<String>,
    /// Tokens that it used
    #[arg(long, value_name = "N", conflicts_with = "document")]
    pub(crate) tokens: Option<u64>,
    /// For people
    #[arg(long, value_name = "TEXT", conflicts_with = "document")]
    pub(crate) notes: Option<String>,
    /// The same id makes a repetition harmless [default: a new one]
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<String>,
}

/// What is submitted: exactly one of these.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ContentArgs {
    /// A unified or git-format diff; - reads standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) patch: Option<PathBuf>,
    /// A JSON list of edits; - reads standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) edits: Option<PathBuf>,
    /// The whole document, JSON; - reads standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) document: Option<PathBuf>,
    /// There is no result: the attempt failed
    #[arg(long)]
    pub(crate) failed: bool,
}

/// What an auditor recommends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Verdict {
    /// The result may be gated and landed
    Approve,
    /// It goes back to its builder with the notes
    Revise,
    /// A person must look: the phase fails
    Escalate,
    /// No verdict: ask for an audit of the phase's results
    Request,
}

/// `audit`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  autopack audit demo-1 P1.2 request
  autopack audit demo-1 P1.2 approve --auditor ada
  autopack audit demo-1 P1.2 approve --auditor ada --patch typo.patch
  autopack audit demo-1 P1.2 revise --auditor ada --notes 'a negative length is accepted'")]
pub(crate) struct AuditArgs {
    /// Id or uid of the run
    pub(crate) run: String,
    /// The phase; its builder is `external`
    pub(crate) phase: String,
    /// approve, revise, escalate, or request
    pub(crate) verdict: Verdict,
    /// Who audits; not who built it
    #[arg(long, value_name = "NAME", required_if_eq_any = [("verdict", "approve"), ("verdict", "revise"), ("verdict", "escalate")])]
    pub(crate) auditor: Option<String>,
    /// What is right or wrong with it
    #[arg(long, value_name = "TEXT")]
    pub(crate) notes: Option<String>,
    /// A patch to apply on top of the result, with an approval; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) patch: Vec<PathBuf>,
    /// Tokens that the audit used
    #[arg(long, value_name = "N")]
    pub(crate) tokens: Option<u64>,
    /// The same id makes a repetition harmless [default: a new one]
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<String>,
}

/// `set-phase`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  autopack set-phase demo-1 P1.2 SKIPPED --why 'done by hand'
  autopack set-phase demo-1 P1.2 FAILED --why 'the builder is gone'
  autopack set-phase demo-1 P1.2 QUEUED")]
pub(crate) struct SetPhaseArgs {
    /// Id or uid of the run
    pub(crate) run: String,
    /// The phase; its builder is `external`
    pub(crate) phase: String,
    /// FAILED or SKIPPED for a waiting phase, QUEUED for one that failed
    pub(crate) state: String,
    /// Why, for people
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) why: String,
}
