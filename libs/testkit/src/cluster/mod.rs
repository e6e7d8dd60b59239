//! The distributed form below one folder: nats-server, registry, schedulers, workers, telemetry, each a process.
//!
//! Invariant: nothing is started that a test did not ask for, and everything is gone when the value is. Every service
//! knows the same keys, each with its own role.

mod http;
mod node;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::autopack::Autopack;
use crate::{Nats, Postgres, TestDatabase};

pub use node::{Node, free_port};

/// Keys by role; the services find theirs in the list.
const ROLES: [&str; 7] = [
    "operator",
    "worker",
    "scheduler",
    "telemetry",
    "auditor",
    "builder",
    "reader",
];

/// The processes of the distributed form.
#[derive(Debug)]
pub struct Cluster {
    /// The registry.
    pub registry: Node,
    /// Schedulers.
    pub schedulers: Vec<Node>,
    /// Workers.
    pub workers: Vec<Node>,
    /// The telemetry service.
    pub telemetry: Node,
    /// The bus.
    pub nats: Nats,
    /// The registry's database.
    pub database: TestDatabase<'static>,
    temp: TempDir,
    env: Vec<(String, String)>,
}

/// The key of a role in every cluster.
pub fn key_of(role: &str) -> String {
    format!("key-of-the-{role}-0123456789")
}

impl Cluster {
    /// With nats-server running and nothing else.
    #[track_caller]
    pub fn new() -> Self {
        Self::with(true, Postgres::shared())
    }

    /// The same on a database server of the caller's.
    #[track_caller]
    pub fn on(server: &'static Postgres) -> Self {
        Self::with(true, server)
    }

    /// With nats-server running, on a database server of its own in a folder that `prepare` is given while it is empty.
    #[track_caller]
    pub fn on_own_database_in(prepare: impl FnOnce(&Path)) -> Self {
        Self::with(true, Box::leak(Box::new(Postgres::start_in(prepare))))
    }

    /// With nothing running at all.
    #[track_caller]
    pub fn cold() -> Self {
        Self::with(false, Postgres::shared())
    }

    /// With nats-server running, and a PostgreSQL server of its own that a test may kill; that ends with the test's
    /// process.
    #[track_caller]
    pub fn on_own_database() -> Self {
        Self::with(true, Box::leak(Box::new(Postgres::start())))
    }

    #[track_caller]
    fn with(bus: bool, server: &'static Postgres) -> Self {
        let temp = tempfile::Builder::new()
            .prefix("autopack-cluster-")
            .tempdir()
            .unwrap();
        let at = |name: &str| temp.path().join(name);
        let nats = if bus {
            Nats::start_in(at("nats"))
        } else {
            Nats::later_in(at("nats"))
        };
        let entry = |role: &&str| {
            let key = key_of(role);
            format!("[[key]]\nname = \"{role}\"\nrole = \"{role}\"\nkey = \"{key}\"\n")
        };
        let keys = ROLES.iter().map(entry).collect::<Vec<_>>().concat();
        let keys_file = at("keys.toml");
        std::fs::write(&keys_file, keys).unwrap();
        let env = vec![
            ("AUTOPACK_BUS".to_owned(), nats.url()),
            ("AUTOPACK_SLOTS".to_owned(), "2".to_owned()),
            (
                "AUTOPACK_API_KEY_FILE".to_owned(),
                keys_file.display().to_string(),
            ),
        ];
        let mut registry = Node::new("run-registry", at("registry"), env.clone());
        let database = server.database();
        registry.set("DATABASE_URL", &database.url());
        // A lease of a second, as the fault tests want it.
        registry.set("AUTOPACK_LEASE_MS", "1000");
        registry.set("AUTOPACK_HEARTBEAT_MS", "300");
        Self {
            registry,
            schedulers: Vec::new(),
            workers: Vec::new(),
            telemetry: Node::new("telemetry", at("telemetry"), env.clone()),
            nats,
            database,
            temp,
            env,
        }
    }

    /// Everything running and ready: one scheduler and so many workers.
    #[track_caller]
    pub fn up(workers: usize) -> Self {
        let mut cluster = Self::new();
        cluster.registry.start();
        cluster.add_scheduler();
        for _ in 0..workers {
            cluster.add_worker();
        }
        cluster.registry.ready();
        for node in cluster.schedulers.iter_mut().chain(&mut cluster.workers) {
            node.ready();
        }
        cluster
    }

    /// Starts one more scheduler; the registry must have listened once.
    #[track_caller]
    pub fn add_scheduler(&mut self) -> &mut Node {
        self.add_scheduler_with(&[])
    }

    /// The same with more of an environment.
    #[track_caller]
    pub fn add_scheduler_with(&mut self, env: &[(&str, &str)]) -> &mut Node {
        let name = format!("scheduler-{}", self.schedulers.len());
        let mut node = self.client("phase-scheduler", &name);
        for (name, value) in env {
            node.set(name, value);
        }
        node.start();
        self.schedulers.push(node);
        self.schedulers.last_mut().unwrap()
    }

    /// Starts one more worker; the registry must have listened once.
    #[track_caller]
    pub fn add_worker(&mut self) -> &mut Node {
        self.add_worker_with(&[])
    }

    /// The same with more of an environment.
    #[track_caller]
    pub fn add_worker_with(&mut self, env: &[(&str, &str)]) -> &mut Node {
        let name = format!("worker-{}", self.workers.len());
        let mut node = self.client("builder-worker", &name);
        // Builders of tests tell by files outside how far they are.
        let outside = format!("[\"{}\"]", std::env::temp_dir().display());
        node.set("AUTOPACK_SANDBOX_WRITE", &outside);
        for (name, value) in env {
            node.set(name, value);
        }
        node.start();
        self.workers.push(node);
        self.workers.last_mut().unwrap()
    }

    /// A registry on the same database and the same artifacts; not started.
    pub fn another_registry(&self) -> Node {
        let folder = self.temp.path().join("registry-2");
        let mut node = Node::new("run-registry", folder, self.registry.env().to_vec());
        let data = self.registry.folder().join("data");
        node.set("AUTOPACK_DATA_DIR", data.to_str().unwrap());
        node
    }

    /// Starts the telemetry service; the registry must have listened once.
    #[track_caller]
    pub fn start_telemetry(&mut self) -> &mut Node {
        let address = self.registry.address();
        self.telemetry.set("AUTOPACK_REGISTRY", &address);
        self.telemetry.start();
        &mut self.telemetry
    }

    /// Sets a variable of every service that is added from now on.
    pub fn set_all(&mut self, name: &str, value: &str) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }

    fn client(&self, program: &'static str, name: &str) -> Node {
        let mut node = Node::new(program, self.temp.path().join(name), self.env.clone());
        node.set("AUTOPACK_REGISTRY", &self.registry.address());
        node
    }

    /// The command line of a role, at this registry.
    pub fn cli(&self, role: &str) -> Autopack {
        Autopack::new()
            .with("AUTOPACK_REGISTRY", &self.registry.address())
            .with("AUTOPACK_API_KEY", &key_of(role))
    }

    /// A folder below the cluster's.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.temp.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    /// The folder of everything.
    pub fn path(&self) -> &Path {
        self.temp.path()
    }
}

impl Default for Cluster {
    fn default() -> Self {
        Self::new()
    }
}
