//! Arguments of the commands around the queue.
//!
//! Invariant: values are only parsed here; the registry says whether they are legal.

use clap::{Args, Subcommand};

/// `why`.
#[derive(Clone, Debug, Args)]
pub(crate) struct WhyArgs {
    /// Id or uid of the run
    pub(crate) run: String,
    /// Id of the phase
    pub(crate) phase: Option<String>,
    /// Scheduler, if it has an address of its own: unix:PATH or http://HOST:PORT
    #[arg(long, value_name = "ADDR", env = "AUTOPACK_SCHEDULER")]
    pub(crate) scheduler: Option<String>,
}

/// `queue`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  autopack queue\n  autopack queue --lane gpu --limit 10")]
pub(crate) struct QueueArgs {
    /// Only this lane
    #[arg(long, value_name = "NAME")]
    pub(crate) lane: Option<String>,
    /// Only this project
    #[arg(long, value_name = "NAME")]
    pub(crate) project: Option<String>,
    /// At most this many; 0: all
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
    /// Scheduler, if it has an address of its own: unix:PATH or http://HOST:PORT
    #[arg(long, value_name = "ADDR", env = "AUTOPACK_SCHEDULER")]
    pub(crate) scheduler: Option<String>,
}

/// `limits`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  autopack limits app
  autopack limits app --share 3 --max-running 8
  autopack limits app --per-run 4 --label gpu=1:2
  autopack limits app --max-running 0      no limit any more")]
pub(crate) struct LimitsArgs {
    /// The project
    pub(crate) project: String,
    /// Its part of the offers, relative to other projects that wait: 1 to 1000
    #[arg(long, value_name = "N")]
    pub(crate) share: Option<u32>,
    /// Attempts at a time; 0: no limit
    #[arg(long, value_name = "N")]
    pub(crate) max_running: Option<u32>,
    /// Attempts of one run at a time; 0: no limit
    #[arg(long, value_name = "N")]
    pub(crate) per_run: Option<u32>,
    /// Attempts at a time of phases with a label; 0: no limit; may be repeated
    #[arg(long, value_name = "LABEL=VALUE:N", value_parser = label)]
    pub(crate) label: Vec<(String, u32)>,
}

impl LimitsArgs {
    /// Whether anything is to be changed.
    pub(crate) fn is_change(&self) -> bool {
        self.share.is_some()
            || self.max_running.is_some()
            || self.per_run.is_some()
            || !self.label.is_empty()
    }
}

/// `lane`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum LaneCommand {
    /// Offer nothing more in a lane; running attempts finish
    #[command(after_help = "Example:\n  autopack lane pause gpu")]
    Pause(LaneArgs),
    /// End the pause of a lane
    #[command(after_help = "Example:\n  autopack lane resume gpu")]
    Resume(LaneArgs),
}

/// A lane.
#[derive(Clone, Debug, Args)]
pub(crate) struct LaneArgs {
    /// The lane, as the label `lane` of phases names it
    #[arg(default_value = autopack_domain::lane::DEFAULT)]
    pub(crate) lane: String,
    /// Scheduler, if it has an address of its own: unix:PATH or http://HOST:PORT
    #[arg(long, value_name = "ADDR", env = "AUTOPACK_SCHEDULER")]
    pub(crate) scheduler: Option<String>,
}

fn label(text: &str) -> Result<(String, u32), String> {
    let wrong = || "must be LABEL=VALUE:N, such as gpu=1:2".to_owned();
    let (label, n) = text.rsplit_once(':').ok_or_else(wrong)?;
    Ok((label.to_owned(), n.parse().map_err(|_| wrong())?))
}
