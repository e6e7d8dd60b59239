//! `phase-scheduler`: the scheduler as a process of its own; any number of them.
//!
//! Invariant: no logic here: settings in, the scheduler on its ports, routes out.

mod settings;

use std::{process::ExitCode, sync::Arc, time::Duration};

use autopack_bus::BusError;
use autopack_runtime::{
    Kind,
    service::{self, HealthcheckArgs, Process, Program, Service, ServiceArgs, StartError},
};
use clap::{Parser, Subcommand};
use phase_scheduler::Ports;

use crate::settings::Settings;

const PROGRAM: Program = Program {
    name: "phase-scheduler",
    services: &["autopack.scheduler.v1.SchedulerService"],
};
/// How long the bus may take to close.
const END: Duration = Duration::from_secs(1);

/// Decides which phases run next, and asks the registry for them.
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
    let clients = process.clients(&settings.registry)?;
    process.follow_registry(&clients);
    let name = format!("{}/{}", process.name, process.instance);
    let bus = settings
        .bus
        .config(name)
        .map_err(StartError::from)?
        .binding();
    let connect = || autopack_bus::connect(bus.clone());
    let bus = process
        .persist("bus", BusError::is_transient, connect)
        .await?;
    let (connected, counted) = (Arc::clone(&bus), Arc::clone(&bus));
    process.follow_bus(
        move || connected.is_connected(),
        move || counted.stats().labelled(),
    );
    let ports = Ports {
        clients,
        bus: Arc::clone(&bus),
        clock: Arc::clone(&process.clock),
    };
    let scheduler = phase_scheduler::build(settings.scheduler(), ports);
    let routes = scheduler.routes();
    let tasks = &process.tasks;
    tasks.spawn("scheduler", Kind::Critical, scheduler.run(tasks.token()));
    Ok(Service::new(routes).ending(async move { bus.close(END).await }))
}
