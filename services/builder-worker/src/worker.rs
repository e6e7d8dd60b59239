//! The life of a worker: start, serve, drain.
//!
//! Invariant: when [`Worker::run`] returns, no task and no process of it is left; a shutdown ends within its deadline.

use std::sync::Arc;
use std::time::Duration;

use autopack_sandbox::redact::Redactor;
use autopack_sandbox::{CancellationToken, Sandbox, SandboxConfig};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::config::WorkerConfig;
use crate::context::Context;
use crate::error::WorkerError;
use crate::heartbeat;
use crate::host::{self, Host};
use crate::ports::{Ports, Terms};
use crate::{slot, tools};

/// Tools that are announced as capabilities where they are found.
const TOOLS: &[&str] = &[
    "bun", "cargo", "deno", "go", "gradle", "java", "make", "mvn", "node", "npm", "pnpm", "poetry",
    "python3", "uv", "yarn",
];
/// The longest pause between attempts to register.
const PAUSE: Duration = Duration::from_secs(2);

/// A worker that has not started.
pub struct Worker {
    config: WorkerConfig,
    ports: Ports,
}

impl Worker {
    pub(crate) fn new(config: WorkerConfig, ports: Ports) -> Self {
        Self { config, ports }
    }

    /// Serves jobs until `shutdown` is cancelled or the bus is closed. The caller holds the data directory's lock.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), WorkerError> {
        let Self { config, ports } = self;
        if config.slots == 0 {
            return Err(WorkerError::Config(
                "`slots` is 0; give at least 1".to_owned(),
            ));
        }
        let host = Host::open(&config).await?;
        let sandbox = Sandbox::new(SandboxConfig {
            supervisor: config.supervisor.clone(),
        });
        let redactor = Redactor::new(host::secrets())?;
        let capabilities = capabilities(&config);
        let Some(terms) = register(&config, &ports, &capabilities, &shutdown).await? else {
            return Ok(());
        };
        tracing::info!(worker = %terms.worker, slots = config.slots, "the worker is registered");
        let drain = config.drain;
        let slots = config.slots;
        let context = Context::new(config, ports, host, sandbox, redactor, terms);
        let context = Arc::new(context);
        let end = CancellationToken::new();
        let mut heart = JoinSet::new();
        heart.spawn(heartbeat::beat(
            Arc::clone(&context),
            capabilities,
            end.clone(),
        ));
        let mut tasks = JoinSet::new();
        for _ in 0..slots {
            tasks.spawn(slot::serve(Arc::clone(&context), context.draining.clone()));
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = join(&mut tasks) => {}
        }
        // No new job is begun; landings in flight finish, everything else is handed back.
        context.draining.cancel();
        context.leases.drain();
        if timeout(drain, join(&mut tasks)).await.is_err() {
            tracing::warn!("jobs did not end within the shutdown's deadline; they are dropped");
            tasks.shutdown().await;
        }
        end.cancel();
        join(&mut heart).await;
        Ok(())
    }
}

async fn join(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a task of the worker ended badly");
        }
    }
}

fn capabilities(config: &WorkerConfig) -> Vec<String> {
    let found = TOOLS
        .iter()
        .filter(|tool| tools::find(tool, &config.path).is_some());
    found.map(|tool| format!("tool:{tool}")).collect()
}

/// Registers; `None` if the worker was shut down before the registry answered.
async fn register(
    config: &WorkerConfig,
    ports: &Ports,
    capabilities: &[String],
    shutdown: &CancellationToken,
) -> Result<Option<Terms>, WorkerError> {
    let slots = u32::try_from(config.slots).unwrap_or(u32::MAX);
    let mut pause = config.retry_delay.min(PAUSE);
    loop {
        let call = ports.registry.register(&config.name, slots, capabilities);
        let answer = tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            answer = call => answer,
        };
        match answer {
            Ok(terms) if terms.lease.is_zero() || terms.heartbeat.is_zero() => {
                return Err(WorkerError::Config(
                    "the registry grants leases or heartbeats of no length".to_owned(),
                ));
            }
            Ok(terms) => return Ok(Some(terms)),
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "the registry cannot be reached; trying again");
            }
            Err(error) => return Err(WorkerError::Refused(error)),
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            () = sleep(pause) => {}
        }
        pause = (pause * 2).min(PAUSE);
    }
}
