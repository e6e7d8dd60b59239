//! Arguments of `autopack export`.

use std::path::PathBuf;

use clap::Args;

use crate::runfiles::Layout;

/// `export`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  autopack export demo-1
  autopack export demo-1 --to .autonomous_runs
  autopack export demo-1 --to /tmp/old --layout legacy --json
  autopack export --follow --to /srv/runs --registry http://registry:7878

Layout guide writes DIR/RUN and the project's files in DIR; layout legacy writes DIR/.autonomous_runs/RUN and the
project's files in DIR. The same run gives the same bytes. What is not ours is moved to DIR/.originals first.")]
pub(crate) struct ExportArgs {
    /// Id or uid of the run
    #[arg(required_unless_present = "follow", conflicts_with = "follow")]
    pub(crate) run: Option<String>,
    /// Names and places of the files
    #[arg(long, value_enum, default_value_t)]
    pub(crate) layout: Layout,
    /// Base folder [default: $AUTONOMOUS_RUNS_DIR, else <data>/runs]
    #[arg(long, value_name = "DIR")]
    pub(crate) to: Option<PathBuf>,
    /// Write every run that changes, until SIGTERM or SIGINT
    #[arg(long, conflicts_with = "layout")]
    pub(crate) follow: bool,
}
