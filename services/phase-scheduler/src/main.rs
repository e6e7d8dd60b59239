//! `phase-scheduler`: the scheduler as a process of its own; any number of them.
//!
//! Invariant: no logic here: settings in, the scheduler on its ports, routes out.

mod settings;

use std::{process::ExitCode, sync::Arc, time::Duration};

use autopack_bus::{Bus, BusError};
use autopack_runtime::{
    Kind,
    service::{self, Process, Program, Service, StartError},
};
use phase_scheduler::Ports;

use crate::settings::Settings;

const PROGRAM: Program = Program {
    name: "phase-scheduler",
    services: &["autopack.scheduler.v1.SchedulerService"],
};
/// For `--help`.
const ABOUT: &str = "Decides which phases run next, and asks the registry for them";
/// How long the bus may take to close.
const END: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    service::plain(PROGRAM, ABOUT, start)
}

async fn start(settings: Settings, process: Process) -> Result<Service, StartError> {
    let clients = process.clients(&settings.registry)?;
    process.follow_registry(&clients);
    let bus = settings
        .bus
        .config(process.full_name())
        .map_err(StartError::from)?
        .binding();
    let connect = || autopack_bus::connect(bus.clone());
    let bus = process
        .bus(connect, BusError::is_transient, Bus::is_connected, |bus| {
            bus.stats().labelled()
        })
        .await?;
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
