//! The life of a worker: start, serve, drain.
//!
//! Invariant: when [`Worker::run`] returns, no task and no process of it is left; a shutdown ends within its grace and
//! its deadline.

use std::sync::Arc;
use std::time::Duration;

use autopack_domain::worker::WorkerProfile;
use autopack_sandbox::redact::Redactor;
use autopack_sandbox::{CancellationToken, Sandbox, SandboxConfig};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::board::Stand;
use crate::config::WorkerConfig;
use crate::context::{Context, Parts};
use crate::control::Control;
use crate::error::WorkerError;
use crate::host::{self, Host};
use crate::ports::{Ports, Terms};
use crate::{heartbeat, profile, repo, slot};

/// The longest pause between attempts to register.
const PAUSE: Duration = Duration::from_secs(2);

/// A worker that has not started.
pub struct Worker {
    config: WorkerConfig,
    ports: Ports,
    control: Control,
}

impl Worker {
    pub(crate) fn new(config: WorkerConfig, ports: Ports, control: Control) -> Self {
        Self {
            config,
            ports,
            control,
        }
    }

    /// Status, slots and drain of this worker.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Serves jobs until `shutdown` is cancelled, a drain is asked for, or the bus is closed. The caller holds the
    /// data directory's lock.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), WorkerError> {
        let Self {
            config,
            ports,
            control,
        } = self;
        if config.slots == 0 {
            return Err(WorkerError::Config(
                "`slots` is 0; give at least 1".to_owned(),
            ));
        }
        control.configure(config.drain_grace);
        let profile = Arc::new(profile::profile(&config));
        control.board().introduce(Arc::clone(&profile));
        let host = Host::open(&config).await?;
        let sandbox = Sandbox::new(SandboxConfig {
            supervisor: config.supervisor.clone(),
        });
        let redactor = Redactor::new(host::secrets().into_iter().chain(host.models.list.keys()))?;
        let leave = async {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = control.asked() => {}
            }
        };
        let Some(terms) = register(&config, &ports, &profile, leave).await? else {
            control.board().move_to(Stand::Drained);
            return Ok(());
        };
        tracing::info!(worker = %terms.worker, slots = config.slots, "the worker is registered");
        let context = Arc::new(Context::new(Parts {
            config,
            ports,
            host,
            sandbox,
            redactor,
            control,
            profile,
            terms,
        }));
        serve(&context, &shutdown).await;
        Ok(())
    }
}

/// Runs the slots and what stands beside them to their end.
async fn serve(context: &Arc<Context>, shutdown: &CancellationToken) {
    let slots = context.config.slots;
    let (board, control) = (context.control.board(), &context.control);
    board.set_up(slots, context.now());
    board.move_to(Stand::Active);
    let end = CancellationToken::new();
    let mut beside = JoinSet::new();
    beside.spawn(heartbeat::beat(Arc::clone(context), end.clone()));
    beside.spawn(repo::mirrors::keep(Arc::clone(context), end.clone()));
    beside.spawn(repo::caches::keep(Arc::clone(context), end.clone()));
    let mut tasks = JoinSet::new();
    for slot in 0..slots {
        let stop = context.draining.clone();
        tasks.spawn(slot::serve(Arc::clone(context), slot, stop));
    }
    tokio::select! {
        () = shutdown.cancelled() => control.drain(None),
        () = control.asked() => {}
        () = join(&mut tasks) => {}
    }
    // No new job is begun; what was not begun is handed back, and what runs has the grace to end.
    board.move_to(Stand::Draining);
    context.draining.cancel();
    context.leases.drain_unstarted();
    context.nudge.notify_one();
    let hasten = async {
        // A signal during a drain with a long grace means the configured one.
        shutdown.cancelled().await;
        control.drain(None);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = join(&mut tasks) => {}
        () = control.overdue() => {}
        () = hasten => {}
    }
    context.leases.drain();
    if timeout(context.config.drain, join(&mut tasks))
        .await
        .is_err()
    {
        tracing::warn!("jobs did not end within the shutdown's deadline; they are dropped");
        tasks.shutdown().await;
    }
    end.cancel();
    join(&mut beside).await;
    board.move_to(Stand::Drained);
}

async fn join(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a task of the worker ended badly");
        }
    }
}

/// Registers; `None` if the worker was to leave before the registry answered.
async fn register(
    config: &WorkerConfig,
    ports: &Ports,
    profile: &WorkerProfile,
    leave: impl Future<Output = ()>,
) -> Result<Option<Terms>, WorkerError> {
    tokio::pin!(leave);
    let mut pause = config.retry_delay.min(PAUSE);
    loop {
        let answer = tokio::select! {
            () = &mut leave => return Ok(None),
            answer = ports.registry.register(profile) => answer,
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
            () = &mut leave => return Ok(None),
            () = sleep(pause) => {}
        }
        pause = (pause * 2).min(PAUSE);
    }
}
