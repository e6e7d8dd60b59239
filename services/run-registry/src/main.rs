//! `run-registry`: the registry as a process of its own.
//!
//! Invariant: no logic here: settings in, the registry on its ports, routes out.

mod figures;
mod settings;

use std::{io::Write as _, process::ExitCode, sync::Arc, time::Duration};

use autopack_artifacts::Artifacts;
use autopack_bus::{Bus, BusError};
use autopack_runtime::{
    Kind, Supervisor,
    config::environment,
    failpoint,
    service::{self, HealthcheckArgs, Process, Program, Service, ServiceArgs, StartError},
    telemetry,
};
use clap::{Parser, Subcommand};
use run_registry::{Ports, Serving};

use crate::settings::Settings;

const PROGRAM: Program = Program {
    name: "run-registry",
    services: &[
        "autopack.registry.v1.RegistryService",
        "autopack.registry.v1.DispatchService",
        "autopack.registry.v1.WorkService",
        "autopack.registry.v1.ArtifactService",
        "autopack.registry.v1.DoctorService",
        "autopack.registry.v1.ImportService",
        "autopack.registry.v1.IssueService",
        "autopack.registry.v1.ReportService",
        "autopack.registry.v1.PromotionService",
        "autopack.registry.v1.ServerService",
    ],
};
/// How long the registry's own tasks may take to end, after the sockets.
const END: Duration = Duration::from_secs(3);

/// Holds runs, phases and leases; the only writer of the database.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    service: ServiceArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Ask the running service how it is
    Healthcheck(HealthcheckArgs),
    /// Bring the database's schema up to date
    Migrate {
        /// Change nothing; list what is missing, and exit with 1 if anything is
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match &cli.command {
        Some(Command::Healthcheck(check)) => {
            service::healthcheck::<Settings>(PROGRAM, &cli.service, check)
        }
        Some(Command::Migrate { check }) => {
            let check = *check;
            service::once::<Settings, _, _>(PROGRAM, &cli.service, |settings| {
                migrate(settings, check)
            })
        }
        None => service::main(PROGRAM, &cli.service, start),
    }
}

async fn start(settings: Settings, process: Process) -> Result<Service, StartError> {
    let bus = settings
        .bus
        .config(process.full_name())
        .map_err(StartError::from)?;
    let connect = || autopack_bus::connect(bus.clone());
    let bus = process
        .bus(connect, BusError::is_transient, Bus::is_connected, |bus| {
            bus.stats().labelled()
        })
        .await?;

    let folder = settings.artifacts(&environment).map_err(StartError::from)?;
    let artifacts = Arc::new(Artifacts::open_local(&folder).map_err(StartError::from)?);
    let config = settings.registry().map_err(StartError::from)?;
    tracing::info!(database = config.database_masked, "the database is opened");
    let ports = Ports {
        clock: Arc::clone(&process.clock),
        ids: Arc::clone(&process.ids),
        bus: Arc::clone(&bus),
        artifacts,
        traces: telemetry::recorder(),
        failpoint: failpoint::hit,
    };
    // Its tasks end after the sockets: what workers report at the end is still written.
    let tasks = Supervisor::new();
    let serving = Serving::start(config, ports, &tasks, process.tasks.token())
        .await
        .map_err(|refusal| StartError(format!("{}: {refusal}", refusal.reason)))?;
    figures::observe(&serving);
    follow_activity(&process, &serving);
    let (broken, token) = (tasks.clone(), process.tasks.token());
    process.tasks.spawn("registry", Kind::Critical, async move {
        tokio::select! {
            () = token.cancelled() => Ok(()),
            () = broken.cancelled() => Err("a task of the registry ended"),
        }
    });
    let routes = serving.routes();
    Ok(Service::new(routes).ending(async move {
        drop(serving);
        bus.close(END).await;
        tasks.shutdown(END).await;
    }))
}

/// Ready while it is the active registry.
fn follow_activity(process: &Process, serving: &Serving) {
    let (ready, token) = (process.ready.clone(), process.tasks.token());
    let mut activity = serving.activity();
    ready.wait_for("active");
    process
        .tasks
        .spawn("registry.readiness", Kind::BestEffort, async move {
            loop {
                let active = activity.borrow_and_update().is_active();
                ready.set("active", active);
                tokio::select! {
                    () = token.cancelled() => return Ok::<(), String>(()),
                    changed = activity.changed() => if changed.is_err() { return Ok(()) },
                }
            }
        });
}

/// Brings the schema up to date, or lists what is missing.
async fn migrate(settings: Settings, check: bool) -> Result<bool, StartError> {
    let config = settings.registry().map_err(StartError::from)?;
    let refuse =
        |refusal: autopack_domain::Refusal| StartError(format!("{}: {refusal}", refusal.reason));
    let steps = if check {
        run_registry::migrate::check(&config).await
    } else {
        run_registry::migrate::apply(&config).await
    };
    let steps = steps.map_err(refuse)?;
    let state = if check { "missing" } else { "applied" };
    let mut text: Vec<String> = steps
        .iter()
        .map(|step| format!("{state} {:04} {}\n", step.version, step.name))
        .collect();
    if steps.is_empty() {
        text.push("the schema is up to date\n".to_owned());
    }
    std::io::stdout()
        .write_all(text.concat().as_bytes())
        .map_err(StartError::from)?;
    Ok(!check || steps.is_empty())
}
