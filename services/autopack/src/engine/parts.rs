//! What stands around a registry: scheduler, worker, sockets.
//!
//! Invariant: all of them speak to the registry through the layers that its sockets share.

use std::{ffi::OsString, net::SocketAddr, path::Path, sync::Arc};

use autopack_bus::Bus;
use autopack_runtime::{
    Clock, DataDir, Kind, RegistryFile, Supervisor,
    config::environment,
    failpoint,
    telemetry::propagation::{extract, inject, inject_caller, set_parent_context},
};
use autopack_wire::{
    client::{ClientOptions, Clients},
    serve::{ServeOptions, bind_uds, serve_tcp, serve_uds_socket},
    server::{Principal, ServerLayer, ServerOptions, TokenTable},
};
use builder_worker::{Confinement, Control, WorkerConfig, WorkerError, registry_client::over};
use phase_scheduler::{Scheduler, SchedulerConfig};
use tonic::service::Routes;

use super::GRACE;
use crate::{error::CliError, runfiles::RunFiles};

/// Variables that git needs to reach a remote repository.
const GIT_REMOTE: &[&str] = &[
    "SSH_AUTH_SOCK",
    "SSH_ASKPASS",
    "GIT_ASKPASS",
    "GIT_SSH_COMMAND",
    "GIT_SSH",
    "GIT_TERMINAL_PROMPT",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
];

/// What the parts of an engine are made from.
pub(super) struct Parts<'a> {
    pub(super) routes: Routes,
    pub(super) layer: ServerLayer,
    pub(super) bus: Arc<dyn Bus>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) services: &'a Supervisor,
    /// What builders and gates may touch.
    pub(super) confinement: Confinement,
}

impl Parts<'_> {
    pub(super) fn clients(&self, principal: Principal) -> Clients {
        let options = match principal {
            Principal::User => ClientOptions::default().inject(Arc::new(inject_caller)),
            _ => ClientOptions::default().inject(Arc::new(inject)),
        };
        Clients::in_process_with(self.routes.clone(), principal, &self.layer, &options)
    }
}

/// A scheduler on the registry's routes; its own service joins them before they are served.
pub(super) fn scheduler(
    registry: &Routes,
    layer: &ServerLayer,
    bus: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
) -> Scheduler {
    let options = ClientOptions::default().inject(Arc::new(inject));
    let clients = Clients::in_process_with(registry.clone(), Principal::Scheduler, layer, &options);
    let ports = phase_scheduler::Ports {
        clients,
        bus,
        clock,
    };
    phase_scheduler::build(SchedulerConfig::default(), ports)
}

impl Parts<'_> {
    /// Starts scheduler and worker.
    pub(super) fn work(
        &self,
        data: &Path,
        slots: usize,
        scheduler: Option<Scheduler>,
        control: Control,
    ) {
        if let Some(scheduler) = scheduler {
            self.services.spawn(
                "scheduler",
                Kind::Critical,
                scheduler.run(self.services.token()),
            );
        }
        let clients = self.clients(Principal::Worker);
        let clock = Arc::clone(&self.clock);
        let ports = builder_worker::Ports {
            registry: over(&clients),
            bus: Arc::clone(&self.bus),
            clock: Arc::new(move || clock.now()),
            failpoint: failpoint::hit,
        };
        let worker = builder_worker::build_with(
            worker_config(data, slots, self.confinement.clone()),
            ports,
            control,
        );
        let token = self.services.token();
        self.services.spawn("worker", Kind::Critical, async move {
            worker.run(token.clone()).await?;
            // A drained worker does not end the registry beside it.
            token.cancelled().await;
            Ok::<_, WorkerError>(())
        });
    }

    /// Writes the files of runs that end.
    pub(super) fn watch_ends(&self, files: RunFiles) {
        let (bus, token) = (Arc::clone(&self.bus), self.services.token());
        self.services
            .spawn("run_files", Kind::BestEffort, files.keep_up(bus, token));
    }

    /// Binds the sockets and starts to serve on them.
    pub(super) async fn listen(
        &self,
        data: &DataDir,
        listen: Option<SocketAddr>,
        mut addresses: RegistryFile,
    ) -> Result<RegistryFile, CliError> {
        let options = ServeOptions {
            layer: self.layer.clone(),
            grace: GRACE,
            ..ServeOptions::default()
        };
        let path = data
            .socket(&environment)
            .map_err(|error| CliError::io("no socket can be made for", data.path(), &error))?;
        let socket = bind_uds(&path)
            .await
            .map_err(|error| CliError::io("cannot listen on", &path, &error))?;
        let end = self.services.token().cancelled_owned();
        self.services.spawn(
            "serve.unix",
            Kind::Critical,
            serve_uds_socket(socket, self.routes.clone(), options.clone(), end),
        );
        addresses.socket = Some(path);
        if let Some(address) = listen {
            let failed = |error: std::io::Error| {
                CliError::new(format!("cannot listen on {address}: {error}"))
                    .hint("choose another port with --listen; port 0 takes any")
            };
            let listener = tokio::net::TcpListener::bind(address)
                .await
                .map_err(failed)?;
            addresses.tcp = Some(listener.local_addr().map_err(failed)?.to_string());
            let end = self.services.token().cancelled_owned();
            self.services.spawn(
                "serve.tcp",
                Kind::Critical,
                serve_tcp(listener, self.routes.clone(), options, end),
            );
        }
        Ok(addresses)
    }
}

/// The token of the data directory is a user's.
pub(super) fn server_options(data: &DataDir) -> Result<ServerOptions, CliError> {
    let token = data
        .token()
        .map_err(|error| CliError::io("cannot make a token in", data.path(), &error))?;
    let tokens = TokenTable::default()
        .with(&token, Principal::User)
        .map_err(|error| CliError::new(error.to_string()))?;
    Ok(ServerOptions {
        tokens,
        extract: Some(Arc::new(|headers, span| {
            set_parent_context(span, extract(headers));
        })),
        ..ServerOptions::default()
    })
}

fn worker_config(data: &Path, slots: usize, confinement: Confinement) -> WorkerConfig {
    let remote = GIT_REMOTE
        .iter()
        .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
    WorkerConfig {
        name: format!("embedded/{}", std::process::id()),
        git_remote_env: remote.collect(),
        confinement,
        ..WorkerConfig::new(data, slots)
    }
}
