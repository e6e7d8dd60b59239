//! One service as a process of its own: started, stopped, killed, started again on its own address.
//!
//! Invariant: its log is a file, its address is what it bound itself, and it is gone when the value is.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::autopack::bin_dir;
use crate::program::{self, Done, within};

/// How long a service may take to listen, to become ready, or to end.
const BOUND: Duration = Duration::from_secs(30);

/// A service of the cluster.
#[derive(Debug)]
pub struct Node {
    program: &'static str,
    folder: PathBuf,
    listen: String,
    env: Vec<(String, String)>,
    args: Vec<String>,
    child: Option<Child>,
    grpc: String,
    metrics: String,
}

impl Node {
    /// A service with a folder of its own; not started. It keeps the port that it binds first.
    pub(super) fn new(program: &'static str, folder: PathBuf, env: Vec<(String, String)>) -> Self {
        std::fs::create_dir_all(&folder).unwrap();
        Self {
            program,
            folder,
            listen: "127.0.0.1:0".to_owned(),
            env,
            args: Vec::new(),
            child: None,
            grpc: String::new(),
            metrics: String::new(),
        }
    }

    /// Sets a variable, from the next start on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// What was set.
    pub(super) fn env(&self) -> &[(String, String)] {
        &self.env
    }

    /// Adds arguments, from the next start on.
    pub fn argue(&mut self, args: &[&str]) {
        self.args.extend(args.iter().map(ToString::to_string));
    }

    /// Listens on this port of the loopback interface, from the next start on.
    pub fn listen_on(&mut self, port: u16) {
        self.listen_at(&format!("127.0.0.1:{port}"));
    }

    /// Listens on this address, from the next start on.
    pub fn listen_at(&mut self, address: &str) {
        address.clone_into(&mut self.listen);
        address.clone_into(&mut self.grpc);
    }

    /// Runs its `healthcheck` against itself.
    #[track_caller]
    pub fn healthcheck(&self, more: &[&str]) -> Done {
        let mut command = Command::new(bin_dir().join(self.program));
        command
            .env_clear()
            .args(["healthcheck", "--address", &self.grpc])
            .args(more)
            .stdin(Stdio::null());
        program::run(&mut command, BOUND)
    }

    /// The command that starts it.
    #[track_caller]
    pub fn command(&self) -> Command {
        let bin = bin_dir().join(self.program);
        assert!(
            bin.is_file(),
            "{} is missing: cargo build --workspace --bins",
            bin.display()
        );
        let mut command = Command::new(bin);
        command
            .env_clear()
            .env(
                "PATH",
                std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into()),
            )
            .env("HOME", &self.folder)
            .env("LANG", "C.UTF-8")
            .env("AUTOPACK_DATA_DIR", self.folder.join("data"))
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .args(["--listen", &self.listen, "--metrics-listen", "127.0.0.1:0"])
            .arg("--address-file")
            .arg(self.address_file())
            .args(&self.args)
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        command
    }

    /// Starts it and waits until it listens; what it waits for itself may be missing.
    #[track_caller]
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.program);
        let _ = std::fs::remove_file(self.address_file());
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.log())
            .unwrap();
        let mut command = self.command();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        let file = self.address_file();
        let addresses = within(BOUND, &format!("{} listens", self.program), || {
            let text = std::fs::read_to_string(&file).ok();
            let lives = text.is_some() || self.is_running();
            assert!(lives, "{} ended:\n{}", self.program, self.log_text());
            serde_json::from_str::<Value>(&text?).ok()
        });
        let named = |key: &str| addresses[key].as_str().unwrap().to_owned();
        (self.grpc, self.metrics) = (named("grpc"), named("metrics"));
        self.listen.clone_from(&self.grpc);
    }

    /// Waits until it says that it can do its work.
    #[track_caller]
    pub fn ready(&mut self) {
        within(BOUND, &format!("{} is ready", self.program), || {
            assert!(
                self.is_running(),
                "{} ended:\n{}",
                self.program,
                self.log_text()
            );
            let (code, _) = super::http::get(&self.metrics, "/readyz")?;
            (code == 200).then_some(())
        });
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        match &mut self.child {
            Some(child) => child.try_wait().unwrap().is_none(),
            None => false,
        }
    }

    /// Its process id.
    #[track_caller]
    pub fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Where it listens for gRPC.
    #[track_caller]
    pub fn socket(&self) -> SocketAddr {
        self.grpc.parse().unwrap()
    }

    /// Its gRPC address, as a client names it.
    pub fn address(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// Where `/metrics` and `/readyz` are.
    pub fn metrics_address(&self) -> &str {
        &self.metrics
    }

    /// A page of its metrics address: status and body; `None` while it does not answer.
    pub fn page(&self, path: &str) -> Option<(u16, String)> {
        super::http::get(&self.metrics, path)
    }

    /// The value of a metric, summed over its labels; `None` while there is none.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = self.page("/metrics")?;
        let values: Vec<f64> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter(|line| {
                let rest = line.strip_prefix(name);
                rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
            .collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// Sends a signal, such as `STOP`.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let mut kill = Command::new("kill");
        assert!(kill.args(["-s", name, &id]).status().unwrap().success());
    }

    /// Ends it as an operator does; its exit code.
    #[track_caller]
    pub fn stop(&mut self) -> Option<i32> {
        self.signal("TERM");
        self.wait()
    }

    /// Ends it as the kernel does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Waits for its end; its exit code.
    #[track_caller]
    pub fn wait(&mut self) -> Option<i32> {
        let mut child = self.child.take().unwrap();
        let log = self.log();
        let ended = within(
            BOUND,
            &format!("{} ends, see {}", self.program, log.display()),
            || child.try_wait().unwrap(),
        );
        ended.code()
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its log.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log.jsonl")
    }

    /// What its log holds.
    pub fn log_text(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn address_file(&self) -> PathBuf {
        self.folder.join("addresses.json")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port of the loopback interface that is free now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
