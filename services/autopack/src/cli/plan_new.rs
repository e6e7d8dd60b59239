//! Arguments of `plan new`.
//!
//! Invariant: as in [`super`].

use std::path::PathBuf;

use clap::Args;

/// `plan new`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  autopack plan new                                        asks, on a terminal
  autopack plan new --goal 'Durations are parsed' --item 'Parse 1h30m in src/time.rs' --item 'Document it'
  autopack plan new --from notes.md --repo . --output plan.yaml

Markdown: a phase for each heading with a list, a tier for each heading above those. Any other text: the goal in its first
line, a phase for each other line. Nothing is written unless the whole plan is sound.")]
pub(crate) struct PlanNewArgs {
    /// Markdown, or a goal and a list, a line each; `-` reads it from standard input
    #[arg(long, value_name = "FILE", conflicts_with = "item")]
    pub(crate) from: Option<PathBuf>,
    /// What should be true at the end of the run; wins over that of the file
    #[arg(long, value_name = "TEXT")]
    pub(crate) goal: Option<String>,
    /// Something to deliver, a phase each; may be repeated
    #[arg(long, value_name = "TEXT")]
    pub(crate) item: Vec<String>,
    /// Id of the run [default: made from the goal]; its phases are called ID-phase1 and so on
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Branch, tag or commit to start from
    #[arg(long, value_name = "REF")]
    pub(crate) base: Option<String>,
    /// How careful the run is
    #[arg(long, value_name = "PROFILE", value_parser = ["normal", "safety_critical"], default_value = "normal")]
    pub(crate) safety_profile: String,
    /// Builder of every phase: noop, external, command:CMD, or JSON as in a plan
    #[arg(long, value_name = "SPEC")]
    pub(crate) builder: Option<String>,
    /// Check it against this repository as a run would; and, with --registry, let the registry check it
    #[arg(long, value_name = "DIR_OR_URL")]
    pub(crate) repo: Option<String>,
    /// Write it here; `-` is standard output
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    pub(crate) output: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    pub(crate) force: bool,
}
