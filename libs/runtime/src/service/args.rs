//! The command line that every service has.
//!
//! Invariant: a flag wins over every other layer; each flag is a key of the configuration, or says why not.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Flags of a service.
#[derive(Clone, Debug, Default, Args)]
pub struct ServiceArgs {
    /// Configuration, TOML
    #[arg(long, value_name = "FILE", env = "AUTOPACK_CONFIG")]
    pub config: Option<PathBuf>,
    /// Print the configuration with the source of each value, secrets masked, and end
    #[arg(long)]
    pub print_config: bool,
    /// Address for gRPC; port 0 chooses one
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Address for /metrics, /livez and /readyz; `none`: do not serve them
    #[arg(long, value_name = "ADDR")]
    pub metrics_listen: Option<String>,
    /// Write the bound addresses there, as JSON, once they are bound
    #[arg(long, value_name = "FILE")]
    pub address_file: Option<PathBuf>,
    /// Form of the log
    #[arg(long, value_name = "FORM", value_parser = ["text", "json"])]
    pub log_format: Option<String>,
    /// What to log, such as `info` or `run_registry=debug,warn`
    #[arg(long, value_name = "FILTER")]
    pub log_level: Option<String>,
    /// Sets any key, such as `--set bus.replicas=3`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// The command line of a service that has no commands of its own.
#[derive(Clone, Debug, Parser)]
#[command(version, max_term_width = 100)]
pub(super) struct Plain {
    #[command(flatten)]
    pub(super) service: ServiceArgs,
    #[command(subcommand)]
    pub(super) command: Option<PlainCommand>,
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum PlainCommand {
    /// Ask the running service how it is
    Healthcheck(HealthcheckArgs),
}

/// `healthcheck`: for container probes.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Exits 0 if the service answers, 1 if not.")]
pub struct HealthcheckArgs {
    /// Address of the service [default: `listen` of the configuration]
    #[arg(long, value_name = "ADDR")]
    pub address: Option<String>,
    /// Ask whether it can do its work, not only whether it lives
    #[arg(long)]
    pub ready: bool,
    /// Seconds to wait for the answer
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub timeout: u64,
}
