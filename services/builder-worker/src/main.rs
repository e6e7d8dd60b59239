//! `builder-worker`: the worker as a process of its own; any number of them, each on its own data directory.
//!
//! Invariant: no logic here: whether this is a sandbox's supervisor is decided first; then settings in, the worker on
//! its ports, routes out.

mod settings;

use std::{process::ExitCode, sync::Arc, time::Duration};

use autopack_bus::{Bus, BusError};
use autopack_runtime::{
    DataDir, Kind, Opened,
    config::environment,
    failpoint,
    service::{self, Process, Program, Service, StartError},
};
use builder_worker::{Control, Ports, registry_client::over};

use crate::settings::Settings;

const PROGRAM: Program = Program {
    name: "builder-worker",
    services: &["autopack.worker.v1.WorkerService"],
};
/// For `--help`.
const ABOUT: &str = "Executes leased phases: builds, governs, gates and lands them";
/// How long the bus may take to close.
const END: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    // First of all: a supervisor has one thread and no runtime.
    if let Some(code) = autopack_sandbox::supervisor_main_if_requested() {
        return code;
    }
    service::plain(PROGRAM, ABOUT, start)
}

async fn start(settings: Settings, process: Process) -> Result<Service, StartError> {
    let path = settings.data_dir(&environment).map_err(StartError::from)?;
    let data = match DataDir::open(&path, None).map_err(StartError::from)? {
        Opened::Locked(data) => data,
        Opened::Busy { .. } => {
            let path = path.display();
            return Err(StartError(format!(
                "another process works in {path}; give each worker a data_dir of its own"
            )));
        }
    };
    let clients = process.clients(&settings.registry)?;
    process.follow_registry(&clients);
    let name = process.full_name();
    let bus = settings
        .bus
        .config(name.clone())
        .map_err(StartError::from)?
        .binding();
    let ack_wait = bus.ack_wait;
    let connect = || autopack_bus::connect(bus.clone());
    let bus = process
        .bus(connect, BusError::is_transient, Bus::is_connected, |bus| {
            bus.stats().labelled()
        })
        .await?;
    let clock = Arc::clone(&process.clock);
    let ports = Ports {
        registry: over(&clients),
        bus: Arc::clone(&bus),
        clock: Arc::new(move || clock.now()),
        failpoint: failpoint::hit,
    };
    let mut config = settings.worker(data.path().to_owned(), name);
    config.ack_wait = ack_wait;
    let control = Control::default();
    let routes = control.routes();
    let worker = builder_worker::build_with(config, ports, control);
    let tasks = &process.tasks;
    tasks.spawn("worker", Kind::Critical, worker.run(tasks.token()));
    Ok(Service::new(routes).ending(async move {
        bus.close(END).await;
        // The lock goes last.
        drop(data);
    }))
}
