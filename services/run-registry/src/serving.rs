//! Standby and active: a second registry on a database waits until the first one's lock is free, and takes over.
//!
//! Invariant: at most one registry is active on a database; whoever is not says so (`NOT_ACTIVE`) and names the one
//! that is. A registry that lost its place becomes a standby; only what time does not heal ends the process.

use std::{sync::Arc, time::Duration};

use autopack_domain::Refusal;
use autopack_runtime::supervise::{Kind, Supervisor};
use autopack_store_write::{Database, Line, Standing, WriteError};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    Core, Ports, RegistryConfig,
    activate::{self, Failed, Taken},
    open,
};

/// How often a standby asks for the lock.
const PERIOD: Duration = Duration::from_millis(250);

/// What a registry is at the moment.
#[derive(Clone, Debug)]
pub enum Activity {
    /// It has not reached its database yet, or not any more; what the last try said.
    Unreachable(String),
    /// Another registry is active: its address, empty if it did not say, and its epoch.
    Standby {
        /// Where the active one is reached.
        active: String,
        /// Its epoch.
        epoch: u64,
    },
    /// It is the active one.
    Active(Active),
}

/// The use cases of an active registry.
#[derive(Clone, Debug)]
pub struct Active {
    /// The use cases.
    pub core: Arc<Core>,
    /// Cancelled when it is active no longer; open streams end on it.
    pub(crate) streams: CancellationToken,
}

impl Activity {
    /// Whether commands are served.
    pub fn is_active(&self) -> bool {
        matches!(self, Self::Active(_))
    }
}

/// A registry of the distributed form, standby or active.
#[derive(Clone, Debug)]
pub struct Serving {
    activity: watch::Receiver<Activity>,
}

impl Serving {
    /// What it is, and every change: health follows it.
    pub fn activity(&self) -> watch::Receiver<Activity> {
        self.activity.clone()
    }

    /// The use cases while it is active.
    pub fn core(&self) -> Option<Arc<Core>> {
        match &*self.activity.borrow() {
            Activity::Active(active) => Some(Arc::clone(&active.core)),
            Activity::Unreachable(_) | Activity::Standby { .. } => None,
        }
    }

    /// Waits until it is active; `false`: the process ends first.
    pub async fn until_active(&self) -> bool {
        let mut activity = self.activity.clone();
        activity.wait_for(Activity::is_active).await.is_ok()
    }

    /// Opens a database that other registries may use too, and stands by until it is free. Returns before: the
    /// sockets can be bound at once. `streams`: open streams end on it, before the supervisor's tasks do.
    pub async fn start(
        config: RegistryConfig,
        ports: Ports,
        supervisor: &Supervisor,
        streams: CancellationToken,
    ) -> Result<Self, Refusal> {
        let database = open::open(&config).await?;
        let said = "the database was not asked yet".to_owned();
        let (state, activity) = watch::channel(Activity::Unreachable(said));
        let stand = Stand {
            config,
            ports,
            database,
            state,
            streams,
            shutdown: supervisor.token(),
        };
        supervisor.spawn("registry.activity", Kind::Critical, stand.run());
        Ok(Self { activity })
    }
}

struct Stand {
    config: RegistryConfig,
    ports: Ports,
    database: Database,
    state: watch::Sender<Activity>,
    streams: CancellationToken,
    shutdown: CancellationToken,
}

impl Stand {
    async fn run(self) -> Result<(), String> {
        while let Some(line) = self.wait().await {
            let taken = activate::take_over(
                self.config.clone(),
                self.ports.clone(),
                self.database.clone(),
                line,
            );
            match taken.await {
                Ok(taken) => self.serve(taken).await?,
                Err(Failed::Lost(refusal)) => {
                    tracing::warn!(%refusal, "the database was lost while it was taken over");
                    self.unreachable(&refusal);
                }
                Err(Failed::Refused(refusal)) => {
                    return Err(format!("{}: {refusal}", refusal.reason));
                }
            }
        }
        Ok(())
    }

    /// As a standby, until the lock is held; `None`: the process is to end.
    async fn wait(&self) -> Option<Line> {
        let mut line = self.database.line();
        while !self.shutdown.is_cancelled() {
            match ask(&mut line).await {
                Ok(None) => return Some(line),
                Ok(Some(standing)) => self.standby(&standing),
                Err(error) => self.unreachable(&error),
            }
            tokio::select! {
                () = self.shutdown.cancelled() => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
        line.close().await;
        None
    }

    /// As the active registry, until the process is to end or another registry has taken over.
    async fn serve(&self, taken: Taken) -> Result<(), String> {
        let Taken { core, writer } = taken;
        let term = self.shutdown.child_token();
        let streams = self.streams.child_token();
        let mut tasks: JoinSet<Result<(), String>> = JoinSet::new();
        let ending = term.clone();
        let (ended, overtaken) = tokio::sync::oneshot::channel();
        tasks.spawn(async move {
            let outcome = writer.run(ending.cancelled_owned()).await;
            let taken_over = matches!(outcome, Err(WriteError::TakenOver));
            let _ = ended.send(taken_over);
            match outcome {
                Err(WriteError::TakenOver) | Ok(()) => Ok(()),
                Err(error) => Err(format!("registry.writer: {error}")),
            }
        });
        let granted = match core.check_itself().await {
            Ok(()) => core.grant_leases().await,
            Err(refusal) => Err(refusal),
        };
        if let Err(refusal) = &granted {
            tracing::warn!(%refusal, "the leases of the registry before could not be taken over");
        } else {
            for (name, task) in activate::tasks(&core, &term) {
                tasks.spawn(async move { task.await.map_err(|e| format!("{name}: {e}")) });
            }
            let streams = streams.clone();
            let active = Active { core, streams };
            self.state.send_replace(Activity::Active(active));
        }
        // The first task that ends ends the others: with a fault, because another registry is active, or because
        // the process is to end.
        let mut outcome = Ok(());
        if granted.is_ok() {
            outcome = flat(tasks.join_next().await);
        }
        streams.cancel();
        term.cancel();
        while let Some(one) = tasks.join_next().await {
            outcome = outcome.and(flat(Some(one)));
        }
        let left = Activity::Unreachable("it is active no longer".to_owned());
        self.state.send_replace(left);
        match overtaken.await {
            Ok(true) => {
                tracing::warn!("another registry has taken over; this one is a standby now");
                Ok(())
            }
            Ok(false) | Err(_) => outcome,
        }
    }

    fn standby(&self, standing: &Standing) {
        let fresh = Activity::Standby {
            active: standing.address.clone(),
            epoch: standing.epoch,
        };
        let known = match &*self.state.borrow() {
            Activity::Standby { active, epoch } => {
                (active, *epoch) == (&standing.address, standing.epoch)
            }
            Activity::Unreachable(_) | Activity::Active(_) => false,
        };
        if !known {
            tracing::info!(
                active = standing.address,
                epoch = standing.epoch,
                "this registry is a standby"
            );
            self.state.send_replace(fresh);
        }
    }

    fn unreachable(&self, problem: &dyn std::fmt::Display) {
        let text = problem.to_string();
        let known = matches!(&*self.state.borrow(), Activity::Unreachable(said) if *said == text);
        if !known {
            tracing::warn!(
                problem = text,
                "the database cannot be reached; trying again"
            );
            self.state.send_replace(Activity::Unreachable(text));
        }
    }
}

/// `None`: the lock is held now; else who is active.
async fn ask(
    line: &mut Line,
) -> Result<Option<Standing>, Box<dyn std::error::Error + Send + Sync>> {
    if line.try_claim().await? {
        return Ok(None);
    }
    Ok(Some(line.standing().await?.unwrap_or_default()))
}

/// A task that is gone without an answer has panicked.
fn flat(joined: Option<Result<Result<(), String>, tokio::task::JoinError>>) -> Result<(), String> {
    match joined {
        Some(Ok(outcome)) => outcome,
        Some(Err(error)) => Err(error.to_string()),
        None => Ok(()),
    }
}
