//! `telemetry`: metrics from events and usage, as a process of its own.
//!
//! Invariant: no logic here: settings in, the service on its ports, routes out.

mod settings;

use std::{process::ExitCode, sync::Arc, time::Duration};

use autopack_bus::{Bus, BusError};
use autopack_runtime::service::{self, Process, Program, Service, StartError};
use telemetry::{Ports, api};

use crate::settings::Settings;

const PROGRAM: Program = Program {
    name: "telemetry",
    services: &["autopack.telemetry.v1.TelemetryService"],
};
/// For `--help`.
const ABOUT: &str = "Turns events and usage into metrics; reads only";
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
    let shared = telemetry::start(settings.telemetry(), ports, &process.tasks);
    let routes = api::routes(shared, process.tasks.token());
    Ok(Service::new(routes).ending(async move { bus.close(END).await }))
}
