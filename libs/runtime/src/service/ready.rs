//! What a service waits for before it can do its work.
//!
//! Invariant: ready means that every named condition holds; a condition that was never told does not hold.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use autopack_wire::serve::Probes;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Conditions by name.
#[derive(Clone, Debug)]
pub struct Readiness {
    conditions: Arc<Mutex<BTreeMap<&'static str, bool>>>,
    changed: Arc<watch::Sender<bool>>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self {
            conditions: Arc::default(),
            changed: Arc::new(watch::channel(false).0),
        }
    }
}

impl Readiness {
    /// A condition that must hold; it does not yet.
    pub fn wait_for(&self, condition: &'static str) {
        self.set(condition, false);
    }

    /// Whether a condition holds.
    pub fn set(&self, condition: &'static str, holds: bool) {
        let mut conditions = self.lock();
        let before = conditions.insert(condition, holds);
        if before.is_some_and(|before| before != holds) {
            tracing::info!(condition, holds, "a condition of readiness changed");
        }
        let ready = conditions.values().all(|holds| *holds);
        self.changed
            .send_if_modified(|known| std::mem::replace(known, ready) != ready);
    }

    /// Whether all hold.
    pub fn is_ready(&self) -> bool {
        *self.changed.borrow()
    }

    /// Those that do not hold.
    pub fn missing(&self) -> Vec<&'static str> {
        let conditions = self.lock();
        let missing = conditions.iter().filter(|(_, holds)| !**holds);
        missing.map(|(name, _)| *name).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, bool>> {
        self.conditions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets a condition from a look at it, again and again, until the token is cancelled.
    pub async fn follow(
        self,
        condition: &'static str,
        period: Duration,
        look: impl Fn() -> bool + Send,
        shutdown: CancellationToken,
    ) {
        loop {
            self.set(condition, look());
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(period) => {}
            }
        }
    }

    /// Tells health checks, until the token is cancelled; then they hear that nothing is ready.
    pub(super) async fn tell(self, probes: Probes, shutdown: CancellationToken) {
        let mut changes = self.changed.subscribe();
        loop {
            let ready = *changes.borrow_and_update();
            probes.set_ready(ready).await;
            tokio::select! {
                () = shutdown.cancelled() => break,
                changed = changes.changed() => if changed.is_err() { break },
            }
        }
        probes.set_ready(false).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_all_conditions_and_names_the_missing() {
        let ready = Readiness::default();
        ready.wait_for("bus");
        ready.wait_for("registry");
        assert_eq!(ready.missing(), ["bus", "registry"]);
        ready.set("bus", true);
        assert!(!ready.is_ready());
        ready.set("registry", true);
        assert!(ready.is_ready() && ready.missing().is_empty());
        ready.set("bus", false);
        assert!(!ready.is_ready());
    }
}
