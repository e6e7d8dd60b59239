//! The command line: names, flags and help.
//!
//! Invariant: every command's help holds an example; what a flag means is said here and nowhere else.

mod adapters;
mod approvals;
mod args;
mod export;
mod import;
mod issues;
mod plan_new;
mod promote;
mod queue;
mod submissions;
mod wip;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use adapters::{AdapterCommand, AdapterTestArgs};
pub(crate) use approvals::{ApprovalsArgs, DecideArgs, DecideCommand};
pub(crate) use args::{
    AddPhaseArgs, ArtifactArgs, BenchArgs, CancelArgs, DlqCommand, DoctorArgs, DoctorCommand,
    ExplainArgs, NewRun, PhaseRef, PlanCommand, PlanExplainArgs, PlanValidateArgs, ProbeKind,
    RulesetCommand, RunArgs, RunRef, RunsArgs, SubmitArgs, UpArgs,
};
pub(crate) use export::ExportArgs;
pub(crate) use import::{ImportArgs, Source as ImportSource};
pub(crate) use issues::{
    BacklogArgs, IssuesArgs, IssuesCommand, RecordIssueArgs, ReportCommand, ResolveIssueArgs,
};
pub(crate) use plan_new::PlanNewArgs;
pub(crate) use promote::{HostArgs, HostKind, IntegrationArgs, PreflightArgs, PromoteArgs};
pub(crate) use queue::{LaneCommand, LimitsArgs, QueueArgs, WhyArgs};
pub(crate) use submissions::{AuditArgs, SetPhaseArgs, SubmitResultArgs, Verdict};
pub(crate) use wip::{RestoreArgs, WipCommand};

const START: &str = "\
Examples:
  autopack run plan.yaml --repo .            run a plan to its end and follow it
  autopack status RUN                        what a run has done so far
  autopack why RUN                           why phases are not running
  autopack explain GATE_FAILED               what a code means and what mends it

Exit codes: 0 success, 1 error, 2 usage, 3 the run ended DONE_FAILED_*, 130 interrupted";

/// Runs the phases of a plan against a git repository, each gated by the repository's own tests.
#[derive(Debug, Parser)]
#[command(name = "autopack", version, arg_required_else_help = true, after_help = START)]
#[command(subcommand_required = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Data directory [default: $AUTONOMOUS_RUNS_DIR, else $XDG_STATE_HOME/autopack]
    #[arg(long, global = true, value_name = "DIR", env = "AUTOPACK_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Registry to talk to: unix:PATH, http://HOST:PORT or https://HOST:PORT, or a list of them with commas [default: the local one]
    #[arg(long, global = true, value_name = "ADDR", env = "AUTOPACK_REGISTRY")]
    pub(crate) registry: Option<String>,
    /// File with the key for the registry [default: AUTOPACK_API_KEY, AUTOPACK_API_KEY_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// Authority that signed the registry's certificate, PEM
    #[arg(long, global = true, value_name = "FILE", env = "AUTOPACK_CA_FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Our certificate, PEM, for a registry that asks for one
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "AUTOPACK_CERTIFICATE_FILE"
    )]
    pub(crate) certificate_file: Option<PathBuf>,
    /// Private key of our certificate, PEM
    #[arg(long, global = true, value_name = "FILE", env = "AUTOPACK_KEY_FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Identity of the database that the registry must keep, as `autopack info` prints it
    #[arg(
        long,
        global = true,
        value_name = "ID",
        env = "AUTOPACK_DATABASE_IDENTITY"
    )]
    pub(crate) database_identity: Option<String>,
    /// Print data as JSON on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print no progress
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Log more: -v what happens, -vv in detail
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Use no colours; so does NO_COLOR
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run plans to their end in this process, and follow them
    Run(RunArgs),
    /// Serve registry, scheduler and worker until SIGTERM or SIGINT
    Up(UpArgs),
    /// Store a run for the serving process to work on
    Submit(SubmitArgs),
    /// Follow a run to its end
    #[command(
        after_help = "Example:\n  autopack watch demo-1\n\nExits 3 if the run ends DONE_FAILED_*. Ctrl-C stops watching, not the run."
    )]
    Watch(RunRef),
    /// Show a run with its tiers and phases
    #[command(after_help = "Example:\n  autopack status demo-1 --json")]
    Status(RunRef),
    /// List runs, newest first
    Runs(RunsArgs),
    /// List workers with what they hold
    #[command(
        after_help = "Examples:\n  autopack workers\n  autopack workers --json --registry http://127.0.0.1:7878"
    )]
    Workers,
    /// Start a run that was submitted with --hold
    #[command(after_help = "Example:\n  autopack start demo-1")]
    Start(RunRef),
    /// Dispatch no new phase; running attempts finish
    #[command(after_help = "Example:\n  autopack pause demo-1")]
    Pause(RunRef),
    /// End a pause
    #[command(after_help = "Example:\n  autopack resume demo-1")]
    Resume(RunRef),
    /// Cancel a run; final
    Cancel(CancelArgs),
    /// Run failed phases again, with fresh attempts
    #[command(
        after_help = "Examples:\n  autopack retry demo-1            every failed phase\n  autopack retry demo-1 P1.2       one, and what was skipped for it"
    )]
    Retry(PhaseRef),
    /// Add a phase to a run that has not ended
    AddPhase(AddPhaseArgs),
    /// Submit the result of a phase whose builder is external
    SubmitResult(SubmitResultArgs),
    /// Audit a submitted result before it is gated
    Audit(AuditArgs),
    /// List changes that wait for a person's word, approve or reject them
    Approvals(ApprovalsArgs),
    /// Give up, skip, or open again a phase whose builder is external
    SetPhase(SetPhaseArgs),
    /// Say why phases are not running, from the rules that dispatch them
    #[command(after_help = "Example:\n  autopack why demo-1 P2.1")]
    Why(WhyArgs),
    /// Show ready phases in the order of their offers, and what holds them
    Queue(QueueArgs),
    /// Show or change a project's share and limits
    Limits(LimitsArgs),
    /// Pause a lane of the queue, or end its pause
    #[command(subcommand)]
    Lane(LaneCommand),
    /// List attempts with their ends and artifacts
    #[command(after_help = "Example:\n  autopack attempts demo-1 P1.2")]
    Attempts(PhaseRef),
    /// List the issues of a run and what they amount to
    Issues(IssuesArgs),
    /// Report an issue of a phase, or of a run
    RecordIssue(RecordIssueArgs),
    /// Show what a project's runs have found, with its age
    Backlog(BacklogArgs),
    /// Figures: a run, all runs, a backlog, spent budgets
    #[command(subcommand)]
    Report(ReportCommand),
    /// Run a repository's gate in its present checkout
    Preflight(PreflightArgs),
    /// Bring the result of a run that succeeded to another branch
    Promote(PromoteArgs),
    /// Show how a run's integration branch stands, and its promotions
    Integration(IntegrationArgs),
    /// Write an artifact to standard output
    Artifact(ArtifactArgs),
    /// Work of attempts that did not land: list it, make its tree again
    #[command(subcommand)]
    Wip(WipCommand),
    /// Write the files of a run: summary, tiers, phases, issues, incident pack
    Export(ExportArgs),
    /// Jobs that the bus gave up on: list, show, requeue, discard
    #[command(subcommand)]
    Dlq(DlqCommand),
    /// Take over runs of an older Autopack
    Import(ImportArgs),
    /// Import or show a project's ruleset
    #[command(subcommand)]
    Ruleset(RulesetCommand),
    /// Make a plan, check one, or show it normalised
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Say what a code means, what it is charged to, and what mends it
    Explain(ExplainArgs),
    /// Version, database, lease, data directory
    #[command(after_help = "Example:\n  autopack info --json")]
    Info,
    /// Check what is stored, this machine, and that registry and repositories agree
    Doctor(DoctorArgs),
    /// List the adapters of coding agents with what this machine has of them
    #[command(
        after_help = "Examples:\n  autopack adapters\n  autopack adapters --json\n\nA worker elsewhere may have others: `autopack workers` lists their tools."
    )]
    Adapters,
    /// Test the adapters of coding agents
    #[command(subcommand)]
    Adapter(AdapterCommand),
    /// Say what tables, plans and requests hold: required, default, allowed values, example
    #[command(
        after_help = "Examples:\n  autopack schema\n  autopack schema phase\n  autopack schema plan\n  autopack schema CreateRunRequest --json"
    )]
    Schema {
        /// A table, `plan`, or a request; left out: list all
        subject: Option<String>,
    },
    /// Measure the embedded form on this machine, as ratios to a calibration
    Bench(BenchArgs),
    /// Print a completion script
    #[command(
        after_help = "Example:\n  autopack completions bash > ~/.local/share/bash-completion/completions/autopack"
    )]
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    /// Every command below this one, with its path.
    fn leaves(command: &clap::Command, path: &str, found: &mut Vec<(String, String)>) {
        let path = format!("{path} {}", command.get_name());
        if command.get_subcommands().next().is_none() {
            let help = command.get_after_help().map(ToString::to_string);
            found.push((path, help.unwrap_or_default()));
            return;
        }
        for sub in command.get_subcommands() {
            leaves(sub, &path, found);
        }
    }

    #[test]
    fn the_definition_is_sound_and_every_help_has_an_example() {
        let command = Cli::command();
        command.clone().debug_assert();
        let mut found = Vec::new();
        leaves(&command, "", &mut found);
        assert!(found.len() >= 24, "{}", found.len());
        for (path, help) in found {
            assert!(
                help.contains("Example") && help.contains("autopack "),
                "{path} has no example"
            );
        }
    }

    #[test]
    fn several_plans_and_global_flags_parse() {
        let cli = Cli::try_parse_from([
            "autopack", "run", "a.yaml", "b.yaml", "--repo", ".", "--json",
        ])
        .unwrap();
        let Command::Run(run) = cli.command else {
            panic!("not run")
        };
        assert!(cli.global.json && run.plans.len() == 2 && run.max_concurrent == 3);
        assert!(
            Cli::try_parse_from(["autopack", "run", "a.yaml"]).is_err(),
            "--repo is required"
        );
        assert!(
            Cli::try_parse_from(["autopack", "run", "a", "--repo", ".", "--workers", "0"]).is_err()
        );
    }
}
