//! Arguments of `autopack wip`.
//!
//! Invariant: values are only parsed here; the registry says whether run and phase exist.

use clap::{Args, Subcommand};

/// `wip`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum WipCommand {
    /// List attempts that left work and did not land
    #[command(after_help = "Example:\n  autopack wip list demo-1")]
    List {
        /// Id or uid of the run
        run: String,
    },
    /// Make the tree of such an attempt again, as a new branch
    Restore(RestoreArgs),
}

/// `wip restore`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  autopack wip restore demo-1 P1.2
  autopack wip restore demo-1 P1.2 --attempt 1 --branch look/at-this --repo ../mine

The branch is new and holds one commit: the attempt's very tree, on the tip that it was built on.")]
pub(crate) struct RestoreArgs {
    /// Id or uid of the run
    pub(crate) run: String,
    /// The phase
    pub(crate) phase: String,
    /// Its attempt [default: the last one that left work]
    #[arg(long, value_name = "N")]
    pub(crate) attempt: Option<u32>,
    /// The branch to be made [default: wip/RUN/PHASE-N]
    #[arg(long, value_name = "NAME")]
    pub(crate) branch: Option<String>,
    /// The repository to make it in [default: the run's]
    #[arg(long, value_name = "DIR|URL")]
    pub(crate) repo: Option<String>,
}
