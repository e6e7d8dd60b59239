//! What a service's own code is given, and what it gives back.
//!
//! Invariant: what the service needs from outside it waits for, with a bounded back-off and for as long as it takes;
//! only an error that waiting cannot mend ends the process.

use std::{fmt::Display, future::Future, pin::Pin, sync::Arc, time::Duration};

use autopack_wire::{
    client::{ClientOptions, ClientTls, Clients, Offer},
    registry::GetInfoRequest,
    status::from_status,
};
use tonic::service::Routes;

use super::{ready::Readiness, settings::RegistryAddress};
use crate::{
    clock::Clock,
    ids::{IdSource, Jitter},
    metrics,
    supervise::{Kind, Supervisor},
    switches::Switches,
    telemetry::propagation::inject,
};

/// The first and the longest pause between tries of what the service waits for.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// How often the registry is asked whether it is there.
const ASK: Duration = Duration::from_secs(1);
/// How often the bus's connection is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How long such a question may take.
const ANSWER: Duration = Duration::from_secs(2);

/// Numbers of one metric: each with the values of its labels, in their order.
pub type Labelled = Vec<(Vec<String>, u64)>;

/// The process around a service.
#[derive(Clone)]
pub struct Process {
    /// The program's name.
    pub name: &'static str,
    /// This process among those of its name.
    pub instance: String,
    /// Tasks that end first; streams that callers hold open end on its token.
    pub tasks: Supervisor,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn IdSource>,
    /// What the service waits for.
    pub ready: Readiness,
    /// The switches.
    pub switches: Switches,
    pub(super) key: Option<String>,
    pub(super) tls: ClientTls,
}

impl std::fmt::Debug for Process {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process")
            .field("name", &self.name)
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

/// Why a service could not start; for people, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub String);

impl StartError {
    /// From any error that says what to do.
    pub fn from(error: impl Display) -> Self {
        Self(error.to_string())
    }
}

/// A service that has started.
pub struct Service {
    /// What it serves.
    pub routes: Routes,
    /// Called after its tasks and sockets have ended, with a bound of its own.
    pub end: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Service {
    /// A service with these routes and nothing to end.
    pub fn new(routes: Routes) -> Self {
        Self {
            routes,
            end: Box::pin(std::future::ready(())),
        }
    }

    /// With work for the end.
    pub fn ending(mut self, end: impl Future<Output = ()> + Send + 'static) -> Self {
        self.end = Box::pin(end);
        self
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Service")
    }
}

/// Asks what the registry offers; whether it answered.
async fn learn(clients: &Clients) -> bool {
    match tokio::time::timeout(ANSWER, Offer::learn(clients)).await {
        Ok(Ok(offer)) => {
            tracing::info!(
                told_by = offer.told.as_str(),
                contract = offer.contract_digest,
                database_identity = offer.database_identity,
                missing = offer.missing().len(),
                "the registry says what it offers"
            );
            true
        }
        Ok(Err(_)) | Err(_) => false,
    }
}

impl Process {
    /// Clients of the registry. Nothing is dialled yet.
    pub fn clients(&self, registry: &RegistryAddress) -> Result<Clients, StartError> {
        let options = ClientOptions {
            token: self.key.clone(),
            database: Some(registry.database_identity.clone()).filter(|id| !id.is_empty()),
            ..ClientOptions::default()
        };
        let options = options.inject(Arc::new(inject));
        Clients::at(&registry.address, &self.tls, &options).map_err(StartError::from)
    }

    /// Keeps asking the registry whether it is there, and keeps the database that we work on: the condition `registry`.
    /// Once, it is asked what it offers; what it lacks is logged.
    pub fn follow_registry(&self, clients: &Clients) {
        self.ready.wait_for("registry");
        let ready = self.ready.clone();
        let clients = clients.clone();
        let token = self.tasks.token();
        self.tasks
            .spawn("registry.watch", Kind::BestEffort, async move {
                let mut registry = clients.registry.clone();
                let (mut known, mut learnt) = (None, false);
                while !token.is_cancelled() {
                    let asked = registry.get_info(GetInfoRequest {});
                    let answer = match tokio::time::timeout(ANSWER, asked).await {
                        Ok(Ok(_)) => None,
                        Ok(Err(status)) => Some(from_status(&status).to_string()),
                        Err(_) => Some("no answer in time".to_owned()),
                    };
                    if answer != known
                        && let Some(error) = &answer
                    {
                        tracing::warn!(error, "the registry does not serve us; asking again");
                    }
                    ready.set("registry", answer.is_none());
                    if answer.is_none() && !learnt {
                        learnt = learn(&clients).await;
                    }
                    known = answer;
                    tokio::select! {
                        () = token.cancelled() => {}
                        () = tokio::time::sleep(ASK) => {}
                    }
                }
            });
    }

    /// Its name among all processes, for those that it connects to.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.name, self.instance)
    }

    /// Connects to the bus, for as long as it takes, and keeps looking at it: the condition `bus`, and its metrics.
    pub async fn bus<B, E, M, F>(
        &self,
        connect: M,
        transient: fn(&E) -> bool,
        connected: fn(&B) -> bool,
        happenings: fn(&B) -> Labelled,
    ) -> Result<Arc<B>, StartError>
    where
        B: ?Sized + Send + Sync + 'static,
        E: Display,
        M: FnMut() -> F,
        F: Future<Output = Result<Arc<B>, E>>,
    {
        let bus = self.persist("bus", transient, connect).await?;
        let (looked_at, counted) = (Arc::clone(&bus), Arc::clone(&bus));
        self.follow_bus(move || connected(&looked_at), move || happenings(&counted));
        Ok(bus)
    }

    fn follow_bus(
        &self,
        connected: impl Fn() -> bool + Clone + Send + Sync + 'static,
        happenings: impl Fn() -> Labelled + Send + Sync + 'static,
    ) {
        let look = connected.clone();
        metrics::observe(metrics::BUS_CONNECTED, move || u64::from(look()));
        metrics::observe_each(metrics::BUS_HAPPENINGS, happenings);
        let following = self
            .ready
            .clone()
            .follow("bus", LOOK, connected, self.tasks.token());
        self.tasks.spawn("bus.watch", Kind::BestEffort, following);
    }

    /// Tries until it works, an error is final, or the process is asked to end. Pauses double up to 2 s.
    pub async fn persist<T, E, M, F>(
        &self,
        what: &'static str,
        transient: impl Fn(&E) -> bool,
        mut attempt: M,
    ) -> Result<T, StartError>
    where
        E: Display,
        M: FnMut() -> F,
        F: Future<Output = Result<T, E>>,
    {
        self.ready.wait_for(what);
        let (mut pause, longest) = PAUSE;
        let jitter = Jitter::new();
        let token = self.tasks.token();
        loop {
            let tried = tokio::select! {
                () = token.cancelled() => return Err(StartError("asked to end while starting".to_owned())),
                tried = attempt() => tried,
            };
            match tried {
                Ok(value) => {
                    self.ready.set(what, true);
                    return Ok(value);
                }
                Err(error) if transient(&error) => {
                    tracing::warn!(%error, what, "not there yet; trying again");
                }
                Err(error) => return Err(StartError::from(error)),
            }
            let share = jitter.below(u64::try_from(pause.as_millis() / 2).unwrap_or(0));
            tokio::select! {
                () = token.cancelled() => {}
                () = tokio::time::sleep(pause / 2 + Duration::from_millis(share)) => {}
            }
            pause = (pause * 2).min(longest);
        }
    }
}
