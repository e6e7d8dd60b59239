//! The commands, one a file; this one chooses.
//!
//! Invariant: a command returns its exit code or an error, and prints data only through [`crate::output`].

mod adapters;
mod approvals;
mod artifact;
mod bench;
mod control;
mod dlq;
mod doctor;
mod explain;
mod export;
mod import;
mod info;
mod issues;
mod plan;
mod plan_new;
mod preflight;
mod probe;
mod promote;
mod queue;
mod reads;
mod report;
mod ruleset;
mod run;
mod runs;
mod schema;
mod submissions;
mod submit;
mod up;
mod watch;
mod wip;
mod workers;

use std::time::Duration;

use autopack_runtime::{
    config::environment,
    telemetry::{self, Guard, TelemetryConfig},
};
use clap::CommandFactory as _;

use crate::{
    aliases::Settings,
    cli::{AdapterCommand, Cli, Command, Global},
    connect::{Connection, connect},
    error::{CliError, Exit, Outcome},
    output::{self, Ui},
};

/// What every command needs.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// The environment and the data directory.
    pub(crate) settings: Settings,
    /// `--registry`.
    pub(crate) registry: Option<String>,
    /// How to print.
    pub(crate) ui: Ui,
}

impl Context {
    /// A registry without workers of our own.
    pub(crate) async fn connect(&self) -> Result<Connection, CliError> {
        connect(&self.settings, self.registry.as_deref()).await
    }
}

/// Runs one command line to its exit code.
pub(crate) async fn run(cli: Cli) -> Exit {
    let ui = Ui::new(&cli.global);
    let telemetry = match start_telemetry(&cli.global, matches!(cli.command, Command::Up(_))) {
        Ok(guard) => guard,
        Err(error) => {
            ui.error(&error);
            return error.exit;
        }
    };
    let exit = match Box::pin(dispatch(cli, ui)).await {
        Ok(exit) => exit,
        Err(error) => {
            ui.error(&error);
            error.exit
        }
    };
    telemetry.shutdown(Duration::from_secs(2)).await;
    exit
}

fn start_telemetry(global: &Global, serves: bool) -> Result<Guard, CliError> {
    let mut config = TelemetryConfig::from_environment("autopack", &environment);
    let named = environment("AUTOPACK_LOG").or_else(|| environment("RUST_LOG"));
    if named.is_none() {
        let filter = match (global.verbose, global.quiet, serves) {
            (0, true, _) => "error",
            (0, false, false) => "warn",
            (0, false, true) | (1, ..) => "info",
            _ => "debug,h2=info,hyper=info,tower=info,tonic=info,sqlx=info",
        };
        filter.clone_into(&mut config.log_filter);
    }
    telemetry::init(&config).map_err(|error| CliError::usage(error.to_string()))
}

async fn dispatch(cli: Cli, ui: Ui) -> Outcome {
    // These need neither environment nor data directory.
    match &cli.command {
        Command::Explain(args) => return explain::run(ui, args),
        Command::Completions { shell } => return Ok(completions(*shell)),
        Command::Bench(args) => return bench::run(ui, args).await,
        Command::Adapters => return Box::pin(adapters::list(ui)).await,
        Command::Adapter(AdapterCommand::Test(args)) => {
            return Box::pin(adapters::test(ui, args)).await;
        }
        _ => {}
    }
    let settings = match Settings::read(&cli.global) {
        Err(error) if matches!(cli.command, Command::Doctor(_)) => {
            return Ok(doctor::configuration(ui, &error));
        }
        settings => settings?,
    };
    let context = Context {
        settings,
        registry: cli
            .global
            .registry
            .clone()
            .filter(|address| !address.is_empty()),
        ui,
    };
    for warning in &context.settings.warnings {
        ui.say(&format!("warning: {warning}"));
    }
    match cli.command {
        Command::Run(args) => run::run(&context, args).await,
        Command::Up(args) => Box::pin(up::run(&context, args)).await,
        Command::Submit(args) => Box::pin(submit::run(&context, args)).await,
        Command::Watch(args) => watch::run(&context, &args.run).await,
        Command::Status(args) => reads::status(&context, &args.run).await,
        Command::Runs(args) => runs::run(&context, args).await,
        Command::Workers => workers::run(&context).await,
        Command::Start(args) => control::start(&context, args.run).await,
        Command::Pause(args) => control::pause(&context, args.run).await,
        Command::Resume(args) => control::resume(&context, args.run).await,
        Command::Cancel(args) => control::cancel(&context, args).await,
        Command::Retry(args) => control::retry(&context, args).await,
        Command::AddPhase(args) => Box::pin(control::add_phase(&context, args)).await,
        Command::SubmitResult(args) => Box::pin(submissions::result(&context, args)).await,
        Command::Audit(args) => Box::pin(submissions::audit(&context, args)).await,
        Command::Approvals(args) => Box::pin(approvals::approvals(&context, args)).await,
        Command::SetPhase(args) => Box::pin(submissions::set_phase(&context, args)).await,
        Command::Why(args) => Box::pin(reads::why(&context, args)).await,
        Command::Queue(args) => Box::pin(queue::queue(&context, args)).await,
        Command::Limits(args) => Box::pin(queue::limits(&context, args)).await,
        Command::Lane(command) => Box::pin(queue::lane(&context, command)).await,
        Command::Attempts(args) => Box::pin(reads::attempts(&context, args)).await,
        Command::Issues(args) => Box::pin(issues::list(&context, args)).await,
        Command::RecordIssue(args) => Box::pin(issues::record(&context, args)).await,
        Command::Backlog(args) => Box::pin(issues::backlog(&context, args)).await,
        Command::Report(command) => Box::pin(report::run(&context, command)).await,
        Command::Preflight(args) => Box::pin(preflight::run(&context, args)).await,
        Command::Promote(args) => Box::pin(promote::promote(&context, args)).await,
        Command::Integration(args) => Box::pin(promote::integration(&context, args)).await,
        Command::Artifact(args) => artifact::run(&context, &args.digest).await,
        Command::Wip(command) => Box::pin(wip::run(&context, command)).await,
        Command::Export(args) => Box::pin(export::run(&context, args)).await,
        Command::Dlq(command) => dlq::run(&context, command).await,
        Command::Import(args) => Box::pin(import::run(&context, args)).await,
        Command::Ruleset(command) => ruleset::run(&context, command).await,
        Command::Plan(command) => plan::run(&context, command).await,
        Command::Info => info::run(&context).await,
        Command::Doctor(args) => Box::pin(doctor::run(&context, args)).await,
        Command::Schema { subject } => schema::run(&context, subject).await,
        Command::Explain(_)
        | Command::Completions { .. }
        | Command::Bench(_)
        | Command::Adapters
        | Command::Adapter(_) => Ok(Exit::Success),
    }
}

fn completions(shell: clap_complete::Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "autopack", &mut script);
    output::stdout_bytes(&script);
    Exit::Success
}
