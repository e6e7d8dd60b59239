//! Arguments of the commands.
//!
//! Invariant: values are only parsed here; what they mean for the outside world is decided by the commands.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Subcommand};

/// What `run` and `submit` know about a new run besides its plan.
#[derive(Clone, Debug, Args)]
pub(crate) struct NewRun {
    /// Target repository: a path, or an address that git can fetch from
    #[arg(long, value_name = "DIR_OR_URL")]
    pub(crate) repo: String,
    /// Builder of phases that name none: noop, external, command:CMD, agent:ADAPTER, or JSON as in a plan
    #[arg(long, value_name = "SPEC")]
    pub(crate) builder: Option<String>,
    /// Id of the run, instead of the plan's
    #[arg(long, value_name = "ID")]
    pub(crate) run_id: Option<String>,
    /// Project, if the plan names none
    #[arg(long, value_name = "NAME")]
    pub(crate) project: Option<String>,
    /// Always a new run: a suffix is added if the id is taken
    #[arg(long)]
    pub(crate) new: bool,
    /// Sets a switch for this run only, recorded with it
    #[arg(long, value_name = "VARIABLE=FLAG")]
    pub(crate) switch: Vec<String>,
}

/// `run`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  autopack run plan.yaml --repo .
  autopack run plan.yaml --repo . --builder 'command:./agent.sh' --workers 4
  autopack run a.yaml b.yaml c.yaml --repo ../app --max-concurrent 2

The same command after a crash or Ctrl-C continues the same run; a run that has ended prints its result.
Exits 3 if a run ended DONE_FAILED_*. Ctrl-C hands running phases back; a second one ends at once.")]
pub(crate) struct RunArgs {
    /// Plans, YAML or JSON; `-` reads one from standard input
    #[arg(required = true, value_name = "PLAN")]
    pub(crate) plans: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) new: NewRun,
    /// Phases at a time [default: half the processors, 2 at least, 8 at most]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) workers: Option<u16>,
    /// Runs at a time, with several plans
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) max_concurrent: u16,
}

/// `up`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  autopack up
  autopack up --listen 127.0.0.1:7878 --workers 4
  autopack up --bus nats://127.0.0.1:4222

Callers over TCP send the token of <data>/token as `authorization: Bearer ...`.")]
pub(crate) struct UpArgs {
    /// Address for gRPC over TCP, on the loopback interface; port 0 chooses one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7878")]
    pub(crate) listen: SocketAddr,
    /// Bus: in-process, or nats://HOST:PORT
    #[arg(
        long,
        value_name = "URL",
        default_value = "in-process",
        env = "AUTOPACK_BUS_URL"
    )]
    pub(crate) bus: String,
    /// Phases at a time [default: half the processors, 2 at least, 8 at most]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) workers: Option<u16>,
}

/// `submit`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  autopack submit plan.yaml --repo /srv/app
  autopack submit plan.yaml --repo /srv/app --hold     then `autopack start RUN`
  autopack submit plan.yaml --repo /srv/app --watch")]
pub(crate) struct SubmitArgs {
    /// The plan, YAML or JSON; `-` reads it from standard input
    pub(crate) plan: PathBuf,
    #[command(flatten)]
    pub(crate) new: NewRun,
    /// Wait for `autopack start` after the repository was examined
    #[arg(long)]
    pub(crate) hold: bool,
    /// Follow the run to its end
    #[arg(long)]
    pub(crate) watch: bool,
    /// Check everything and store nothing
    #[arg(long, conflicts_with = "watch")]
    pub(crate) dry_run: bool,
}

/// A run.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunRef {
    /// Id or uid of the run
    pub(crate) run: String,
}

/// A run, or one of its phases.
#[derive(Clone, Debug, Args)]
pub(crate) struct PhaseRef {
    /// Id or uid of the run
    pub(crate) run: String,
    /// Id of the phase
    pub(crate) phase: Option<String>,
}

/// `runs`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  autopack runs\n  autopack runs --state DONE_SUCCESS --project app --limit 10"
)]
pub(crate) struct RunsArgs {
    /// Only runs in this state
    #[arg(long, value_name = "STATE", ignore_case = true, value_parser = autopack_domain::states::RunState::spellings())]
    pub(crate) state: Option<String>,
    /// Only runs of this project
    #[arg(long, value_name = "NAME")]
    pub(crate) project: Option<String>,
    /// At most this many; 0: all
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: usize,
}

/// `cancel`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  autopack cancel demo-1 --why 'wrong base branch'")]
pub(crate) struct CancelArgs {
    /// Id or uid of the run
    pub(crate) run: String,
    /// Recorded with the run
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) why: String,
}

/// `add-phase`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Example:
  autopack add-phase demo-1 T2 phase.yaml

The file holds one phase as in a plan; files that it names are taken relative to it.")]
pub(crate) struct AddPhaseArgs {
    /// Id or uid of the run
    pub(crate) run: String,
    /// Tier that the phase joins
    pub(crate) tier: String,
    /// The phase, YAML or JSON; `-` reads it from standard input
    pub(crate) file: PathBuf,
}

/// `artifact`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Example:
  autopack artifact 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 > output.txt

`autopack attempts RUN` lists the digests.")]
pub(crate) struct ArtifactArgs {
    /// SHA-256 in hex
    pub(crate) digest: String,
}

/// `ruleset`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum RulesetCommand {
    /// Store a project's ruleset
    #[command(after_help = "Example:\n  autopack ruleset import app rules.yaml")]
    Import {
        /// The project
        project: String,
        /// The ruleset, YAML or JSON; `-` reads it from standard input
        file: PathBuf,
    },
    /// Print a project's ruleset
    #[command(after_help = "Example:\n  autopack ruleset show app")]
    Show {
        /// The project
        project: String,
    },
}

/// `dlq`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum DlqCommand {
    /// List jobs that the bus gave up on, newest first
    #[command(after_help = "Examples:\n  autopack dlq list\n  autopack dlq list --json --limit 0")]
    List {
        /// At most this many; 0: all
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Show one with its headers and body
    #[command(after_help = "Example:\n  autopack dlq show 18c2f0a1b2c3d4e5-17")]
    Show {
        /// Id of the dead letter
        id: String,
    },
    /// Offer its job again, if the run still waits for it
    #[command(after_help = "Example:\n  autopack dlq requeue 18c2f0a1b2c3d4e5-17")]
    Requeue {
        /// Id of the dead letter
        id: String,
    },
    /// Forget it, once nobody waits for its job
    #[command(after_help = "Example:\n  autopack dlq discard 18c2f0a1b2c3d4e5-17")]
    Discard {
        /// Id of the dead letter
        id: String,
    },
}

/// `plan`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum PlanCommand {
    /// Make a plan from a goal and a list, or from Markdown
    New(super::PlanNewArgs),
    /// Report every fault of a plan at once; stores nothing
    Validate(PlanValidateArgs),
    /// Print the normalised plan with the source of each value, and the strategy
    Explain(PlanExplainArgs),
}

/// `plan validate`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  autopack plan validate plan.yaml\n  autopack plan validate plan.yaml --repo . --json"
)]
pub(crate) struct PlanValidateArgs {
    /// The plan, YAML or JSON; `-` reads it from standard input
    pub(crate) plan: PathBuf,
    /// Check it against this repository as a run would
    #[arg(long, value_name = "DIR_OR_URL")]
    pub(crate) repo: Option<String>,
    /// Builder of phases that name none
    #[arg(long, value_name = "SPEC")]
    pub(crate) builder: Option<String>,
}

/// `plan explain`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  autopack plan explain plan.yaml --repo .")]
pub(crate) struct PlanExplainArgs {
    /// The plan, YAML or JSON; `-` reads it from standard input
    pub(crate) plan: PathBuf,
    /// Repository that names the project
    #[arg(long, value_name = "DIR_OR_URL")]
    pub(crate) repo: Option<String>,
    /// Builder of phases that name none
    #[arg(long, value_name = "SPEC")]
    pub(crate) builder: Option<String>,
    /// Ruleset to compile the strategy with, YAML or JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) ruleset: Option<PathBuf>,
}

/// `explain`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  autopack explain GATE_FAILED\n  autopack explain           every code"
)]
pub(crate) struct ExplainArgs {
    /// A cause or reason, such as GATE_FAILED; left out: list all
    pub(crate) code: Option<String>,
}

/// `doctor`.
#[derive(Clone, Debug, Default, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Examples:
  autopack doctor                         what is stored, git, disk, bus, clock
  autopack doctor --verify --run demo-1   one run against its branch, too
  autopack doctor --fix                   mend what the reviewed alias table knows, and files of runs
  autopack doctor --plan > findings.json  one phase a finding
  autopack doctor ids                     how runs and phases are named
  autopack doctor --probe complete        a run of its own, by the live system's workers

Exits 1 on an error; a warning alone exits 0. With nobody serving it opens the database itself.")]
pub(crate) struct DoctorArgs {
    #[command(subcommand)]
    pub(crate) command: Option<DoctorCommand>,
    /// Compare every run with its branch and its own counters; exit 1 on any difference
    #[arg(long)]
    pub(crate) verify: bool,
    /// Only this run
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// Mend what is safe, and record it
    #[arg(long)]
    pub(crate) fix: bool,
    /// Print the findings as a plan
    #[arg(long)]
    pub(crate) plan: bool,
    /// Instead: drive a run of its own through the live system, and compare what is read with what was written
    #[arg(long, value_name = "PROBE", conflicts_with_all = ["verify", "run", "fix", "plan"])]
    pub(crate) probe: Option<ProbeKind>,
    /// Repository of the probe's run, as the workers reach it [default: one in the data directory]
    #[arg(long, value_name = "DIR_OR_URL", requires = "probe")]
    pub(crate) repo: Option<String>,
    /// Seconds that the probe's run may take
    #[arg(long, value_name = "SECONDS", default_value_t = 120, requires = "probe", value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) timeout: u32,
}

/// What `--probe` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ProbeKind {
    /// A held run is stored, paused, resumed and cancelled
    RunState,
    /// Issues of a held run are recorded and counted
    Issues,
    /// A run that changes nothing is worked on to its end
    Complete,
}

impl ProbeKind {
    /// As it is written on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::RunState => "run-state",
            Self::Issues => "issues",
            Self::Complete => "complete",
        }
    }
}

/// `doctor ids`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum DoctorCommand {
    /// Count how runs and phases are named, infer the rule, list what departs from it
    #[command(after_help = "Example:\n  autopack doctor ids --project app --json")]
    Ids {
        /// Only runs of this project
        #[arg(long, value_name = "NAME")]
        project: Option<String>,
    },
}

/// `bench`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  autopack bench\n  autopack bench --quick --json")]
pub(crate) struct BenchArgs {
    /// A tenth of the work
    #[arg(long)]
    pub(crate) quick: bool,
    /// Measure these scenarios only
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = crate::bench::SCENARIOS)]
    pub(crate) only: Vec<String>,
    /// Folder on the disk to measure; a scratch folder in it is removed at the end [default: the system's]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}
