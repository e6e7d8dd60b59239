//! A NATS server of its own for a test: started, killed, frozen, wiped.
//!
//! Invariant: it listens on the loopback interface only, keeps its port and its store over restarts, and is ended with
//! its owner.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::nats_version::{self, NatsVersion};

/// How long a server may take to listen.
const SOON: Duration = Duration::from_secs(20);

/// A server with JetStream, ended when dropped.
#[derive(Debug)]
pub struct Nats {
    child: Option<Child>,
    folder: PathBuf,
    extra: Vec<String>,
    program: PathBuf,
    /// 0: whichever is free.
    port: u16,
    /// Goes with the server, where the folder is its own.
    _own: Option<tempfile::TempDir>,
}

impl Nats {
    /// Starts a server of this version on a free port.
    #[track_caller]
    pub fn start(version: NatsVersion) -> Self {
        Self::start_with(version, &[])
    }

    /// The same with more arguments for the server.
    #[track_caller]
    pub fn start_with(version: NatsVersion, extra: &[&str]) -> Self {
        let extra = extra.iter().map(ToString::to_string).collect();
        let mut nats = Self::own(version, extra);
        nats.start_again();
        nats
    }

    /// The same with a configuration file of this text.
    #[track_caller]
    pub fn start_configured(version: NatsVersion, configuration: &str) -> Self {
        let mut nats = Self::own(version, Vec::new());
        nats.configure(configuration);
        nats.start_again();
        nats
    }

    #[track_caller]
    fn own(version: NatsVersion, extra: Vec<String>) -> Self {
        let own = tempfile::tempdir().unwrap();
        Self {
            child: None,
            folder: own.path().to_owned(),
            extra,
            program: version.program(),
            port: 0,
            _own: Some(own),
        }
    }

    /// Starts the installed server in a folder of the caller's.
    #[track_caller]
    pub fn start_in(folder: PathBuf) -> Self {
        std::fs::create_dir_all(&folder).unwrap();
        let mut nats = Self::in_folder(folder, nats_version::any());
        nats.start_again();
        nats
    }

    /// The same, not started, on a port that is free now.
    #[track_caller]
    pub fn later_in(folder: PathBuf) -> Self {
        std::fs::create_dir_all(&folder).unwrap();
        let mut nats = Self::in_folder(folder, nats_version::any());
        nats.port = crate::cluster::free_port();
        nats
    }

    fn in_folder(folder: PathBuf, program: PathBuf) -> Self {
        Self {
            child: None,
            folder,
            extra: Vec::new(),
            program,
            port: 0,
            _own: None,
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
    #[track_caller]
    pub fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// The text of its configuration file from the next start on.
    #[track_caller]
    pub fn configure(&mut self, configuration: &str) {
        let file = self.folder.join("nats.conf");
        std::fs::write(&file, configuration).unwrap();
        self.extra = vec!["-c".to_owned(), file.display().to_string()];
    }

    /// SIGKILL; harmless if it does not run.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it, on the same port and the same store as before.
    #[track_caller]
    pub fn start_again(&mut self) {
        let ports = self.folder.join("ports");
        let _ = std::fs::remove_dir_all(&ports);
        std::fs::create_dir(&ports).unwrap();
        let log = self.folder.join("log");
        let _ = std::fs::remove_file(&log);
        let port = match self.port {
            0 => "-1".to_owned(),
            port => port.to_string(),
        };
        let mut child = Command::new(&self.program)
            .args(["-a", "127.0.0.1", "-p", &port, "-js", "-sd"])
            .arg(self.store())
            .arg("--ports_file_dir")
            .arg(&ports)
            .arg("-l")
            .arg(&log)
            .args(&self.extra)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        let deadline = Instant::now() + SOON;
        self.port = loop {
            if let Some(port) = read_port(&ports) {
                break port;
            }
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "nats-server ended: {ended:?}\n{}", said());
            let late = Instant::now() >= deadline;
            assert!(!late, "nats-server does not listen\n{}", said());
            std::thread::sleep(Duration::from_millis(5));
        };
        self.child = Some(child);
    }

    /// SIGKILL, and started again at once.
    #[track_caller]
    pub fn restart(&mut self) {
        self.kill();
        self.start_again();
    }

    /// Removes the store of a killed server, as a lost disk would.
    #[track_caller]
    pub fn wipe(&self) {
        std::fs::remove_dir_all(self.store()).unwrap();
    }

    /// Where its streams lie, for copies of them.
    pub fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    /// What it logged since it was started.
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// SIGSTOP: connections stay open and nothing is answered.
    #[track_caller]
    pub fn freeze(&self) {
        self.signal("STOP");
        crate::processes::await_stopped(self.id());
    }

    /// SIGCONT.
    #[track_caller]
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Sends a signal, such as `STOP`.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        let id = self.id().to_string();
        assert!(kill.args(["-s", name, &id]).status().unwrap().success());
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
    }
}

fn read_port(ports: &Path) -> Option<u16> {
    let file = std::fs::read_dir(ports).ok()?.next()?.ok()?.path();
    let ports: serde_json::Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    // A server that speaks TLS from the first byte is listed as `tls`.
    let address = ports["nats"][0].as_str().or(ports["tls"][0].as_str())?;
    address.rsplit(':').next()?.parse().ok()
}
