//! Tasks with an owner: named, watched, ended together.
//!
//! Invariant: no task outlives `shutdown`; a panic is caught, reported, and treated as the task's end.

use std::{
    collections::BTreeMap,
    fmt::Display,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::FutureExt as _;
use tokio::{
    task::AbortHandle,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long aborted tasks may take to unwind.
const ABORT_GRACE: Duration = Duration::from_secs(1);
/// Longest pause between two starts of a restarting task.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// What the end of a task means that nobody asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The process ends with it.
    Critical,
    /// It is missed by nobody.
    BestEffort,
}

/// How a task ended: `()` or a result.
pub trait Ending: Send + 'static {
    /// What went wrong, if anything did.
    fn fault(self) -> Option<String>;
}

impl Ending for () {
    fn fault(self) -> Option<String> {
        None
    }
}

impl<E: Display + Send + 'static> Ending for Result<(), E> {
    fn fault(self) -> Option<String> {
        self.err().map(|error| error.to_string())
    }
}

/// What was wrong at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The critical task whose end ended the process, and why.
    pub failure: Option<String>,
    /// Tasks that did not end in time and were aborted.
    pub aborted: Vec<String>,
}

impl Report {
    /// Whether everything ended as asked.
    pub fn is_clean(&self) -> bool {
        self.failure.is_none() && self.aborted.is_empty()
    }
}

/// Owns the tasks of a process or service; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Supervisor {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    shutdown: CancellationToken,
    tasks: TaskTracker,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    running: BTreeMap<u64, (String, AbortHandle)>,
    failure: Option<String>,
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the end of a task that nobody asked to end.
    fn ended(&self, name: &str, kind: Kind, fault: Option<String>) {
        let asked = self.shutdown.is_cancelled();
        match (&fault, kind) {
            (Some(fault), _) => tracing::error!(task = name, fault, "a task failed"),
            (None, Kind::Critical) if !asked => tracing::error!(task = name, "a task ended"),
            (None, _) => tracing::debug!(task = name, "a task ended"),
        }
        if kind == Kind::Critical && !asked {
            let why = fault.unwrap_or_else(|| "it ended by itself".to_owned());
            self.state()
                .failure
                .get_or_insert_with(|| format!("{name}: {why}"));
            self.shutdown.cancel();
        }
    }
}

impl Supervisor {
    /// A supervisor without tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled once everything is to end; every stream and loop selects on it.
    pub fn token(&self) -> CancellationToken {
        self.inner.shutdown.clone()
    }

    /// Asks everything to end, without waiting.
    pub fn cancel(&self) {
        self.inner.shutdown.cancel();
    }

    /// Waits until somebody asked everything to end, or a critical task ended.
    pub async fn cancelled(&self) {
        self.inner.shutdown.cancelled().await;
    }

    /// Starts a task that runs once.
    pub fn spawn<F>(&self, name: impl Into<String>, kind: Kind, task: F)
    where
        F: Future<Output: Ending> + Send + 'static,
    {
        let name = name.into();
        let inner = Arc::clone(&self.inner);
        self.start(name.clone(), async move {
            let fault = guarded(task).await;
            inner.ended(&name, kind, fault);
        });
    }

    /// Starts a task that is made anew whenever it ends before it was asked to, after a pause that
    /// doubles up to 30 s while it keeps failing.
    pub fn spawn_restarting<M, F>(&self, name: impl Into<String>, backoff: Duration, mut make: M)
    where
        M: FnMut(CancellationToken) -> F + Send + 'static,
        F: Future<Output: Ending> + Send + 'static,
    {
        let name = name.into();
        let inner = Arc::clone(&self.inner);
        self.start(name.clone(), async move {
            let mut pause = backoff;
            while !inner.shutdown.is_cancelled() {
                let fault = guarded(make(inner.shutdown.clone())).await;
                pause = if fault.is_some() {
                    (pause * 2).min(LONGEST_BACKOFF)
                } else {
                    backoff
                };
                inner.ended(&name, Kind::BestEffort, fault);
                tokio::select! {
                    () = inner.shutdown.cancelled() => return,
                    () = sleep(pause) => {}
                }
            }
        });
    }

    fn start(&self, name: String, task: impl Future<Output = ()> + Send + 'static) {
        let mut state = self.inner.state();
        let id = state.next;
        state.next += 1;
        let inner = Arc::clone(&self.inner);
        let handle = self.inner.tasks.spawn(async move {
            task.await;
            // Waits for the lock that `start` holds, so the entry is there.
            inner.state().running.remove(&id);
        });
        state.running.insert(id, (name, handle.abort_handle()));
    }

    /// Names of the tasks that run now.
    pub fn running(&self) -> Vec<String> {
        let state = self.inner.state();
        state
            .running
            .values()
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Asks everything to end, waits until the deadline, aborts the rest, and reports.
    pub async fn shutdown(&self, deadline: Duration) -> Report {
        self.inner.shutdown.cancel();
        self.inner.tasks.close();
        let mut aborted = Vec::new();
        if timeout(deadline, self.inner.tasks.wait()).await.is_err() {
            for (name, handle) in self.inner.state().running.values() {
                handle.abort();
                aborted.push(name.clone());
            }
            tracing::error!(?aborted, "tasks did not end in time");
            let _ = timeout(ABORT_GRACE, self.inner.tasks.wait()).await;
        }
        let failure = self.inner.state().failure.clone();
        Report { failure, aborted }
    }
}

/// Runs a task to its end; a panic becomes its fault.
async fn guarded<F: Future<Output: Ending>>(task: F) -> Option<String> {
    match AssertUnwindSafe(task).catch_unwind().await {
        Ok(ending) => ending.fault(),
        Err(panic) => {
            let text = panic
                .downcast_ref::<&str>()
                .map(ToString::to_string)
                .or_else(|| panic.downcast_ref::<String>().cloned());
            Some(format!("panic: {}", text.unwrap_or_default()))
        }
    }
}
