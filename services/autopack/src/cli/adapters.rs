//! Arguments of the commands around agents' adapters.
//!
//! Invariant: only adapters that exist can be named.

use autopack_domain::plan::Adapter;
use clap::{Args, Subcommand};

/// `adapter`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum AdapterCommand {
    /// Play transcripts and faults to an adapter, and print what it makes of them
    Test(AdapterTestArgs),
}

/// `adapter test`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  autopack adapter test claude
  autopack adapter test --all

A stand-in plays every fault; no agent is started and no model is asked. Exits 1 if anything fails.")]
pub(crate) struct AdapterTestArgs {
    /// Name of the adapter
    #[arg(value_parser = Adapter::spellings(), required_unless_present = "all")]
    pub(crate) name: Option<String>,
    /// All adapters
    #[arg(long, conflicts_with = "name")]
    pub(crate) all: bool,
}
