//! A nats-server of its own for a cluster.
//!
//! Invariant: it keeps its port and its store over restarts; it is gone when the value is.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::program::within;

/// A server with JetStream on a port of the loopback interface.
#[derive(Debug)]
pub struct Nats {
    folder: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Nats {
    /// A server in this folder; started, and listening.
    #[track_caller]
    pub fn start(folder: PathBuf) -> Self {
        std::fs::create_dir_all(&folder).unwrap();
        let mut nats = Self {
            folder,
            port: 0,
            child: None,
        };
        nats.start_again();
        nats
    }

    /// A server that is not started, on a port that is free now.
    pub fn later(folder: PathBuf) -> Self {
        std::fs::create_dir_all(&folder).unwrap();
        Self {
            folder,
            port: super::node::free_port(),
            child: None,
        }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its port of the loopback interface.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its streams lie, for copies of them.
    pub fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    /// Sends a signal, such as `STOP`.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        let id = self.id().to_string();
        assert!(kill.args(["-s", name, &id]).status().unwrap().success());
    }

    /// Its process id.
    #[track_caller]
    pub fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it, on the same port and store as before.
    #[track_caller]
    pub fn start_again(&mut self) {
        let ports = self.folder.join("ports");
        let _ = std::fs::remove_dir_all(&ports);
        std::fs::create_dir(&ports).unwrap();
        let port = match self.port {
            0 => "-1".to_owned(),
            port => port.to_string(),
        };
        let mut child = Command::new(binary())
            .args(["-a", "127.0.0.1", "-p", &port, "-js", "-sd"])
            .arg(self.folder.join("store"))
            .arg("--ports_file_dir")
            .arg(&ports)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.port = within(Duration::from_secs(20), "nats-server listens", || {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "nats-server ended: {ended:?}");
            read_port(&ports)
        });
        self.child = Some(child);
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
    }
}

#[track_caller]
fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("AUTOPACK_NATS_SERVER") {
        return named.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = std::env::split_paths(&path).map(|folder| folder.join("nats-server"));
    let tools = "../../target/tools/nats/bin/nats-server";
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join(tools);
    let found = std::iter::once(tools)
        .chain(installed)
        .find(|candidate| candidate.is_file());
    match found {
        Some(found) => found,
        None => panic!("nats-server not found: run `make tools`"),
    }
}

fn read_port(ports: &Path) -> Option<u16> {
    let file = std::fs::read_dir(ports).ok()?.next()?.ok()?.path();
    let ports: serde_json::Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    let address = ports["nats"][0].as_str()?;
    address.rsplit(':').next()?.parse().ok()
}
