//! What all tasks of one worker share.
//!
//! Invariant: nothing here is a job's own; everything is cheap to reach from every slot.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use autopack_domain::Timestamp;
use autopack_domain::worker::WorkerProfile;
use autopack_sandbox::redact::Redactor;
use autopack_sandbox::{CancellationToken, Sandbox};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::board::Doing;
use crate::config::WorkerConfig;
use crate::control::Control;
use crate::error::{CallError, Stop};
use crate::figures::Figures;
use crate::host::Host;
use crate::leases::{Lease, Leases};
use crate::ports::{Ports, Terms};

/// The first pause between two calls.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause between two calls.
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// Shared by slots, heartbeat and shutdown.
pub(crate) struct Context {
    pub(crate) config: WorkerConfig,
    pub(crate) ports: Ports,
    pub(crate) host: Host,
    pub(crate) sandbox: Sandbox,
    pub(crate) redactor: Redactor,
    pub(crate) leases: Leases,
    /// The worker shuts down: nothing new is begun.
    pub(crate) draining: CancellationToken,
    /// Makes the next heartbeat come at once.
    pub(crate) nudge: Notify,
    pub(crate) figures: Figures,
    pub(crate) control: Control,
    pub(crate) profile: Arc<WorkerProfile>,
    terms: Mutex<Terms>,
    /// What the registry's wall clock showed at a moment of our monotonic one.
    told: Mutex<Option<(Timestamp, Instant)>>,
}

/// What a context is made from.
pub(crate) struct Parts {
    pub(crate) config: WorkerConfig,
    pub(crate) ports: Ports,
    pub(crate) host: Host,
    pub(crate) sandbox: Sandbox,
    pub(crate) redactor: Redactor,
    pub(crate) control: Control,
    pub(crate) profile: Arc<WorkerProfile>,
    pub(crate) terms: Terms,
}

impl Context {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            config,
            ports,
            host,
            sandbox,
            redactor,
            control,
            profile,
            terms,
        } = parts;
        let context = Self {
            config,
            ports,
            host,
            sandbox,
            redactor,
            leases: Leases::default(),
            draining: CancellationToken::new(),
            nudge: Notify::new(),
            figures: Figures::new(&control),
            control,
            profile,
            terms: Mutex::new(terms),
            told: Mutex::default(),
        };
        context.set_terms(terms);
        context
    }

    /// The registry's present terms.
    pub(crate) fn terms(&self) -> Terms {
        *self.terms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_terms(&self, terms: Terms) {
        *self.terms.lock().unwrap_or_else(PoisonError::into_inner) = terms;
        self.control.board().registered(terms.worker);
        self.set_clock(terms.time);
    }

    /// The registry told its wall clock; from now on it is ours.
    pub(crate) fn set_clock(&self, time: Option<Timestamp>) {
        if let Some(time) = time {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            *told = Some((time, Instant::now()));
        }
    }

    pub(crate) fn failpoint(&self, name: &'static str) {
        (self.ports.failpoint)(name);
    }

    /// The registry's wall clock, carried on by our monotonic one: this machine's may be wrong.
    pub(crate) fn now(&self) -> Timestamp {
        let told = *self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.map_or_else(
            || self.ports.clock.now(),
            |(time, at)| time.plus(at.elapsed()),
        )
    }

    /// Shows what a slot does.
    pub(crate) fn show(&self, slot: usize, doing: Doing) {
        self.control.board().put(slot, doing, self.now());
    }

    /// Seconds since 1970, for commits.
    pub(crate) fn seconds(&self) -> i64 {
        self.now().0.div_euclid(1_000_000)
    }

    /// The environment of an untrusted command.
    pub(crate) fn env(
        &self,
        home: &Path,
        tmp: &Path,
        more_passthrough: &[String],
        extra: &BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        self.host.env(home, tmp, more_passthrough, extra)
    }

    /// Repeats a call while the registry cannot be reached, the lease holds and patience lasts.
    pub(crate) async fn repeat<T, F>(
        &self,
        lease: &Lease,
        mut call: impl FnMut() -> F,
    ) -> Result<T, Stop>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        let end = Instant::now() + self.config.registry_patience;
        let mut pause = FIRST_PAUSE;
        loop {
            lease.check()?;
            match call().await {
                Err(error) if error.is_transient() && Instant::now() < end => {
                    tracing::debug!(%error, "a call to the registry is repeated");
                }
                Err(error) => return Err(error.into()),
                Ok(value) => return Ok(value),
            }
            lease
                .guard(async {
                    sleep(pause).await;
                    Ok::<_, Stop>(())
                })
                .await?;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// Repeats a fenced report until the registry has answered it or `patience` is over. Sound after the lease is
    /// over as well: a stale one is refused and changes nothing.
    pub(crate) async fn insist<T, F>(
        &self,
        patience: Duration,
        mut call: impl FnMut() -> F,
    ) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        let end = Instant::now() + patience;
        let mut pause = FIRST_PAUSE;
        loop {
            match call().await {
                Err(error) if error.is_transient() && Instant::now() < end => sleep(pause).await,
                answer => return answer,
            }
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }
}
