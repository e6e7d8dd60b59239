//! `run-registry`: the registry as a process of its own.
//!
//! Invariant: no logic here: settings in, the registry on its ports, routes out.

mod figures;
mod settings;

use std::{process::ExitCode, sync::Arc, time::Duration};

use autopack_artifacts::Artifacts;
use autopack_bus::BusError;
use autopack_domain::ErrorKind;
use autopack_runtime::{
    Kind, Supervisor,
    config::environment,
    failpoint,
    service::{self, HealthcheckArgs, Process, Program, Service, ServiceArgs, StartError},
};
use clap::{Parser, Subcommand};
use run_registry::{Ports, Registry, RegistryConfig};

use crate::settings::Settings;

const PROGRAM: Program = Program {
    name: "run-registry",
    services: &[
        "autopack.registry.v1.RegistryService",
        "autopack.registry.v1.DispatchService",
        "autopack.registry.v1.WorkService",
        "autopack.registry.v1.ArtifactService",
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
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match &cli.command {
        Some(Command::Healthcheck(check)) => {
            service::healthcheck::<Settings>(PROGRAM, &cli.service, check)
        }
        None => service::main(PROGRAM, &cli.service, start),
    }
}

async fn start(settings: Settings, process: Process) -> Result<Service, StartError> {
    let name = format!("{}/{}", process.name, process.instance);
    let bus = settings.bus.config(name).map_err(StartError::from)?;
    let connect = || autopack_bus::connect(bus.clone());
    let bus = process
        .persist("bus", BusError::is_transient, connect)
        .await?;
    let (connected, counted) = (Arc::clone(&bus), Arc::clone(&bus));
    process.follow_bus(
        move || connected.is_connected(),
        move || counted.stats().labelled(),
    );

    let folder = settings.artifacts(&environment).map_err(StartError::from)?;
    let artifacts = Arc::new(Artifacts::open_local(&folder).map_err(StartError::from)?);
    let config = RegistryConfig {
        switches: process.switches.on().map(ToOwned::to_owned).collect(),
        ..settings.registry().map_err(StartError::from)?
    };
    tracing::info!(
        database = config.database_masked,
        identity = config.database_identity,
        "the database is opened"
    );
    let ports = Ports {
        clock: Arc::clone(&process.clock),
        ids: Arc::clone(&process.ids),
        bus: Arc::clone(&bus),
        artifacts,
        failpoint: failpoint::hit,
    };
    let transient = |refusal: &autopack_domain::Refusal| refusal.kind() == ErrorKind::Unavailable;
    let (registry, tasks) = process
        .persist("database", transient, || {
            let (config, ports) = (config.clone(), ports.clone());
            async move {
                let tasks = Supervisor::new();
                match Registry::start(config, ports, &tasks).await {
                    Ok(registry) => Ok((registry, tasks)),
                    Err(refusal) => {
                        tasks.shutdown(END).await;
                        Err(refusal)
                    }
                }
            }
        })
        .await?;
    figures::observe(&registry);
    let (broken, token) = (tasks.clone(), process.tasks.token());
    process.tasks.spawn("registry", Kind::Critical, async move {
        tokio::select! {
            () = token.cancelled() => Ok(()),
            () = broken.cancelled() => Err("a task of the registry ended"),
        }
    });
    let routes = registry.routes(process.tasks.token());
    Ok(Service::new(routes).ending(async move {
        drop(registry);
        bus.close(END).await;
        tasks.shutdown(END).await;
    }))
}
