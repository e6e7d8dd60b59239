//! The way to a registry: a named address, the local process that serves, or none but our own.
//!
//! Invariant: the local data directory has one owner; whoever finds it taken becomes a client of the owner.

use std::{sync::Arc, time::Duration};

use autopack_domain::Reason;
use autopack_runtime::{DataDir, Opened, RegistryFile, telemetry::propagation::inject_caller};
use autopack_wire::{
    client::{ClientOptions, Clients, channel_uds, split_addresses},
    registry::GetInfoRequest,
    status::from_status,
};

use crate::{
    aliases::{Settings, absolute_path},
    engine::{Engine, Scope},
    error::CliError,
};

/// Tries of a call where several registries are named: their pauses last for as long as a standby takes to take over.
const TAKEOVER_TRIES: u32 = 10;
/// How long a process that holds the data directory may take until it answers.
const PATIENCE: Duration = Duration::from_secs(10);

/// Clients of a registry, and the registry itself if it is in this process.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The clients.
    pub(crate) clients: Clients,
    /// Our own services.
    pub(crate) engine: Option<Engine>,
    /// The local data directory is behind it.
    pub(crate) local: bool,
}

impl Connection {
    /// Ends our own services, if there are any.
    pub(crate) async fn close(self) {
        let Self {
            clients, engine, ..
        } = self;
        drop(clients);
        if let Some(engine) = engine {
            engine.stop().await;
        }
    }
}

/// For commands that need a registry but no workers.
pub(crate) async fn connect(
    settings: &Settings,
    registry: Option<&str>,
) -> Result<Connection, CliError> {
    match registry {
        Some(address) => remote(settings, address),
        None => local(settings, None, Scope::Registry).await,
    }
}

/// The registry at an address.
pub(crate) fn remote(settings: &Settings, address: &str) -> Result<Connection, CliError> {
    let bad = |error: autopack_wire::client::BadAddress| {
        CliError::usage(format!("--registry: {error}"))
            .hint("unix:/path/to/registry.sock, http://127.0.0.1:7878 or https://registry:7878")
    };
    let mut options = ClientOptions {
        database: settings.database_identity.clone(),
        ..ClientOptions::default()
    };
    if split_addresses(address).count() > 1 {
        options.tries = TAKEOVER_TRIES;
    }
    let clients = if let Some(path) = address.strip_prefix("unix:") {
        let path = absolute_path(std::path::Path::new(path.trim_start_matches("//")))?;
        let channel = channel_uds(&path).map_err(bad)?;
        Clients::over_channel(channel, &options.inject(Arc::new(inject_caller)))
    } else {
        let tls = settings.credentials.tls()?;
        options.token = settings.credentials.key(&settings.data_dir, address)?;
        Clients::at(address, &tls, &options.inject(Arc::new(inject_caller))).map_err(bad)?
    };
    Ok(Connection {
        clients,
        engine: None,
        local: false,
    })
}

/// The process that serves the data directory, else our own services there.
pub(crate) async fn local(
    settings: &Settings,
    checkout: Option<&std::path::Path>,
    scope: Scope,
) -> Result<Connection, CliError> {
    let mut waited = Duration::ZERO;
    loop {
        let found = match DataDir::open(&settings.data_dir, checkout)? {
            Opened::Locked(data) => {
                // Boxed: every command waits for this one, and few start services.
                let engine = Box::pin(Engine::start(settings, data, scope)).await?;
                return Ok(Connection {
                    clients: engine.clients(),
                    engine: Some(engine),
                    local: true,
                });
            }
            Opened::Busy { registry } => registry,
        };
        if let Some(clients) = answering(found.as_ref(), settings).await? {
            return Ok(Connection {
                clients,
                engine: None,
                local: true,
            });
        }
        if waited >= PATIENCE {
            let who = found.map_or_else(String::new, |file| format!(" (process {})", file.pid));
            return Err(CliError::reason(
                Reason::DataDirBusy,
                format!(
                    "another process{who} holds {} and does not answer",
                    settings.data_dir.display()
                ),
            ));
        }
        // It starts, or it ends; either is soon over.
        let pause = Duration::from_millis(100);
        tokio::time::sleep(pause).await;
        waited += pause;
    }
}

/// Clients of the process that wrote the file, if it answers.
async fn answering(
    file: Option<&RegistryFile>,
    settings: &Settings,
) -> Result<Option<Clients>, CliError> {
    let socket = file.and_then(|file| file.socket.as_deref());
    let Some(channel) = socket.and_then(|path| channel_uds(path).ok()) else {
        return Ok(None);
    };
    // A socket of this machine answers or it does not: many tries only delay what comes next.
    let options = ClientOptions {
        tries: 2,
        database: settings.database_identity.clone(),
        ..ClientOptions::default().inject(Arc::new(inject_caller))
    };
    let clients = Clients::over_channel(channel, &options);
    let mut registry = clients.registry.clone();
    let asked = registry.get_info(GetInfoRequest {});
    match tokio::time::timeout(Duration::from_secs(2), asked).await {
        Ok(Ok(_)) => Ok(Some(clients)),
        Ok(Err(status)) if from_status(&status).is(Reason::DatabaseMismatch) => Err(status.into()),
        _ => Ok(None),
    }
}
