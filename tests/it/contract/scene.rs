//! The services: a registry that nobody schedules for, so that each call finds the state that the one before left; a
//! worker that serves a lane of its own; telemetry; and, when they are wanted, a scheduler.

use autopack_testkit::Cluster;

/// The lane of the worker: no run's phases are offered there.
pub(crate) const LANE: &str = "contract";

/// Addresses by package.
pub(crate) type Nodes = Vec<(&'static str, String)>;

/// What runs.
pub(crate) struct Scene {
    pub(crate) cluster: Cluster,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let mut cluster = Cluster::new();
        // Nobody renews a lease here, and none may end between two calls.
        cluster.registry.set("AUTOPACK_LEASE_MS", "600000");
        cluster.registry.start();
        cluster.registry.ready();
        let lanes = format!("[\"{LANE}\"]");
        cluster
            .add_worker_with(&[("AUTOPACK_LANES", &lanes)])
            .ready();
        cluster.start_telemetry().ready();
        Self { cluster }
    }

    pub(crate) fn start_scheduler(&mut self) {
        self.cluster.add_scheduler().ready();
    }

    pub(crate) fn nodes(&self) -> Nodes {
        let mut nodes = vec![
            ("autopack.registry.v1", self.cluster.registry.address()),
            ("autopack.worker.v1", self.cluster.workers[0].address()),
            ("autopack.telemetry.v1", self.cluster.telemetry.address()),
        ];
        if let Some(scheduler) = self.cluster.schedulers.first() {
            nodes.push(("autopack.scheduler.v1", scheduler.address()));
        }
        nodes
    }
}
