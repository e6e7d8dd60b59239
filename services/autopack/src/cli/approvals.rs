//! Arguments of `approvals`.
//!
//! Invariant: values are only parsed here; the registry says whether they are legal.

use clap::{Args, Subcommand};

/// `approvals`.
#[derive(Clone, Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  autopack approvals                     what waits for a person's word
  autopack approvals --run demo-1 --all  with what was decided
  autopack approvals approve demo-1 P2.1 --tree 4b825dc6 --note 'looked at the migration'
  autopack approvals reject demo-1 P2.1 --tree 4b825dc6 --note 'drops a column'"
)]
pub(crate) struct ApprovalsArgs {
    #[command(subcommand)]
    pub(crate) decide: Option<DecideCommand>,
    /// Only this run, by id or uid
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// Also those that were decided on and have not ended
    #[arg(long)]
    pub(crate) all: bool,
}

/// A person's word.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum DecideCommand {
    /// Let the change land if its gate passes
    #[command(
        after_help = "Example:\n  autopack approvals approve demo-1 P2.1 --tree 4b825dc6 --note 'looked at the migration'"
    )]
    Approve(DecideArgs),
    /// End the phase without the change
    #[command(
        after_help = "Example:\n  autopack approvals reject demo-1 P2.1 --tree 4b825dc6 --note 'drops a column'"
    )]
    Reject(DecideArgs),
}

/// On what, by whom.
#[derive(Clone, Debug, Args)]
pub(crate) struct DecideArgs {
    /// Id or uid of the run
    pub(crate) run: String,
    /// Id of the phase
    pub(crate) phase: String,
    /// The tree that was looked at, or its first characters, 7 at least
    #[arg(long, value_name = "TREE")]
    pub(crate) tree: String,
    /// Who decides; not who built the change [default: AUTOPACK_OPERATOR, else user and host]
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) note: String,
    /// The same id makes a repetition harmless [default: a new one]
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<String>,
}
