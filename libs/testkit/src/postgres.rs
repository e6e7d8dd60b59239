//! A PostgreSQL server beside the test, from Debian's binaries: no docker, a data directory of its own.
//!
//! Invariant: a shell keeps the server and reads a pipe from the test; when the test's process ends, however it
//! ends, the pipe closes, and server and data directory go. Databases are created here, and no other is touched.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::postgres_database::TestDatabase;
use crate::program::within;

/// How long the server may take to start, or to end.
const BOUND: Duration = Duration::from_secs(30);
/// The superuser.
pub(crate) const USER: &str = "autopack";
/// Its password over TCP; over the socket, which only its owner reaches, there is none.
pub(crate) const PASSWORD: &str = "of-the-testkit";

/// What keeps the server: starts it on request, ends it and its folder when the pipe closes.
const KEEPER: &str = r#"
pid=
while read -r word; do
  case $word in
    start)
      [ -n "$pid" ] && wait "$pid"
      "$0/postgres" -D "$1/data" -k "$1" -p "$2" -c listen_addresses=127.0.0.1 \
        -c fsync="$3" -c shared_buffers=16MB -c max_connections=60 -c max_wal_size=256MB >>"$1/log" 2>&1 &
      pid=$! ;;
  esac
done
[ -n "$pid" ] && kill -CONT "$pid" && kill -QUIT "$pid" && wait "$pid"
rm -rf "$1"
"#;

/// A running server. Dropped, it ends.
#[derive(Debug)]
pub struct Postgres {
    bin: PathBuf,
    folder: PathBuf,
    port: u16,
    keeper: Mutex<Child>,
}

impl Postgres {
    /// The server of this test process, started on first use; for tests that leave it alone.
    #[track_caller]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| Self::start_with("off"))
    }

    /// A server of the test's own, which it may kill.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with("off")
    }

    /// A server of the test's own in a folder that `prepare` is given while it is empty, to put a file system there.
    #[track_caller]
    pub fn start_in(prepare: impl FnOnce(&Path)) -> Self {
        Self::start_prepared("off", prepare)
    }

    /// A server that syncs its disk as in production, for measurements.
    #[track_caller]
    pub fn start_durable() -> Self {
        Self::start_with("on")
    }

    #[track_caller]
    fn start_with(fsync: &str) -> Self {
        Self::start_prepared(fsync, |_| {})
    }

    #[track_caller]
    fn start_prepared(fsync: &str, prepare: impl FnOnce(&Path)) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let bin = binaries();
        let owner = Owner::of_servers();
        let template = template(&bin, owner);
        let name = format!(
            "autopack-pg-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let folder = owner.folder(&name);
        prepare(&folder);
        owner.run(
            Command::new("cp")
                .arg("-a")
                .args([&template, &folder.join("data")]),
        );
        let port = free_port();
        let mut keeper = owner.command("sh");
        keeper
            .args(["-c", KEEPER])
            .arg(&bin)
            .arg(&folder)
            .args([&port.to_string(), fsync])
            .stdin(Stdio::piped())
            // It may outlive the test by a moment; the server's own words are in its folder.
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let keeper = match keeper.spawn() {
            Ok(keeper) => Mutex::new(keeper),
            Err(error) => panic!("sh cannot be started: {error}"),
        };
        let server = Self {
            bin,
            folder,
            port,
            keeper,
        };
        server.resume();
        server
    }

    /// Where the server's programs are.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// A new, empty database.
    #[track_caller]
    pub fn database(&self) -> TestDatabase<'_> {
        TestDatabase::create(self, "template0")
    }

    /// A new database with what another one holds; nobody may be connected to that.
    #[track_caller]
    pub fn database_like(&self, other: &TestDatabase<'_>) -> TestDatabase<'_> {
        TestDatabase::create(self, other.name())
    }

    /// A database that exists on this server; refused unless the testkit created it.
    pub fn existing(&self, name: &str) -> Result<TestDatabase<'_>, String> {
        TestDatabase::existing(self, name)
    }

    /// Whether it answers at this moment.
    pub fn answers(&self) -> bool {
        self.psql_at("postgres", "SELECT 1").is_ok()
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts it after [`Self::kill`] or [`Self::stop`], and waits until it answers.
    #[track_caller]
    pub fn resume(&self) {
        let since = std::time::Instant::now();
        while !self.try_start() {
            let log = self.log();
            assert!(since.elapsed() < BOUND, "PostgreSQL does not start:\n{log}");
        }
    }

    /// One try: a server that was killed may still hold its memory for a moment.
    fn try_start(&self) -> bool {
        let before = self.log().len();
        {
            let mut keeper = self.keeper();
            let pipe = keeper.stdin.as_mut().unwrap();
            pipe.write_all(b"start\n").unwrap();
        }
        within(BOUND, "PostgreSQL answers or ends", || {
            let ready = self.psql_at("postgres", "SELECT 1").is_ok();
            let fresh = self.log().split_off(before);
            let failed = fresh.contains("FATAL:  ") && !fresh.contains("starting PostgreSQL");
            let failed = failed || fresh.contains("database system is shut down");
            (ready || failed).then_some(ready)
        })
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// SIGKILL of the whole server, as when the machine's memory ran out.
    #[track_caller]
    pub fn kill(&self) {
        let (pid, mut all) = self.processes();
        all.insert(0, pid);
        Self::signal_all("KILL", &all);
        within(BOUND, "the killed server is gone", || {
            let gone = |pid: &u32| match fs::read_to_string(format!("/proc/{pid}/stat")) {
                Ok(stat) => stat.contains(") Z "),
                Err(_) => true,
            };
            all.iter().all(gone).then_some(())
        });
    }

    /// A fast shutdown, as by an operator: connections are ended, everything is written.
    #[track_caller]
    pub fn stop(&self) {
        let (pid, _) = self.processes();
        Self::signal_all("INT", &[pid]);
        within(BOUND, "the server ends", || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
            stat.map_or(true, |s| s.contains(") Z ")).then_some(())
        });
    }

    /// SIGSTOP of every process of the server: connections stay open and nothing answers.
    #[track_caller]
    pub fn freeze(&self) {
        let (pid, mut all) = self.processes();
        all.insert(0, pid);
        Self::signal_all("STOP", &all);
    }

    /// SIGCONT after [`Self::freeze`].
    #[track_caller]
    pub fn thaw(&self) {
        let (pid, mut all) = self.processes();
        all.push(pid);
        Self::signal_all("CONT", &all);
    }

    /// The postmaster and its children.
    #[track_caller]
    pub fn processes(&self) -> (u32, Vec<u32>) {
        let pid = self
            .pid()
            .unwrap_or_else(|| panic!("PostgreSQL does not run"));
        let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let list = list.unwrap_or_default();
        (
            pid,
            list.split_whitespace()
                .filter_map(|p| p.parse().ok())
                .collect(),
        )
    }

    fn pid(&self) -> Option<u32> {
        let text = fs::read_to_string(self.folder.join("data/postmaster.pid")).ok()?;
        text.lines().next()?.trim().parse().ok()
    }

    fn signal_all(name: &str, pids: &[u32]) {
        let mut kill = Command::new("kill");
        kill.args(["-s", name])
            .args(pids.iter().map(ToString::to_string));
        // A child may have ended by itself in the meantime.
        let _ = kill.stderr(Stdio::null()).status();
    }

    fn keeper(&self) -> MutexGuard<'_, Child> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs SQL by psql; what it prints, or its complaint.
    pub(crate) fn psql_at(&self, database: &str, sql: &str) -> Result<String, String> {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            USER,
            "-d",
            database,
        ])
        .arg("-h")
        .arg(&self.folder)
        .args(["-p", &self.port.to_string(), "-c", sql])
        .stdin(Stdio::null());
        let done = psql.output().map_err(|e| format!("psql: {e}"))?;
        if done.status.success() {
            Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&done.stderr).into_owned())
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut keeper = self.keeper();
        drop(keeper.stdin.take());
        let _ = keeper.wait();
    }
}

/// The newest Debian version, or the folder that `AUTOPACK_POSTGRES_BIN` names.
#[track_caller]
fn binaries() -> PathBuf {
    if let Some(named) = std::env::var_os("AUTOPACK_POSTGRES_BIN") {
        return PathBuf::from(named);
    }
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let found = versions
        .filter_map(Result::ok)
        .filter(|entry| entry.path().join("bin/postgres").is_file())
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse::<u32>().ok()?,
                entry.path(),
            ))
        })
        .max();
    match found {
        Some((_, path)) => path.join("bin"),
        None => panic!(
            "this test needs a PostgreSQL server: apt-get install postgresql, \
             or set AUTOPACK_POSTGRES_BIN to the folder of its programs"
        ),
    }
}

/// A data directory right after `initdb`, made once for all test processes.
fn template(bin: &Path, owner: Owner) -> PathBuf {
    let version = bin.parent().and_then(Path::file_name).unwrap_or_default();
    let name = format!(
        "autopack-initdb-{}-{}",
        version.to_string_lossy(),
        owner.uid
    );
    let folder = owner.folder(&name);
    let lock = File::create(folder.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let ready = folder.join("ready");
    if !ready.is_dir() {
        let secret = folder.join("password");
        fs::write(&secret, PASSWORD).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
        let fresh = folder.join("fresh");
        owner.run(Command::new("rm").arg("-rf").arg(&fresh));
        let mut initdb = Command::new(bin.join("initdb"));
        initdb.args([
            "--no-sync",
            "--no-locale",
            "-E",
            "UTF8",
            "-U",
            USER,
            "--wal-segsize=1",
        ]);
        initdb.args(["--auth-local=trust", "--auth-host=scram-sha-256"]);
        initdb.arg("--pwfile").arg(&secret).arg("-D").arg(&fresh);
        owner.run(&mut initdb);
        fs::rename(&fresh, &ready).unwrap();
    }
    ready
}

/// The account that servers run as: PostgreSQL refuses root.
#[derive(Clone, Copy, Debug)]
struct Owner {
    uid: u32,
    gid: u32,
    other: bool,
}

impl Owner {
    fn of_servers() -> Self {
        let own = fs::metadata("/proc/self").unwrap();
        if own.uid() != 0 {
            let (uid, gid) = (own.uid(), own.gid());
            return Self {
                uid,
                gid,
                other: false,
            };
        }
        let users = fs::read_to_string("/etc/passwd").unwrap();
        let find = |name: &str| {
            let line = users.lines().find(|l| l.starts_with(&format!("{name}:")))?;
            let mut ids = line.split(':').skip(2).map(|id| id.parse().ok());
            Some((ids.next()??, ids.next()??))
        };
        let (uid, gid) = find("postgres")
            .or_else(|| find("nobody"))
            .unwrap_or((65534, 65534));
        Self {
            uid,
            gid,
            other: true,
        }
    }

    /// A private folder of the account's below the temporary folder; an impostor's is refused.
    fn folder(self, name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(name);
        if fs::create_dir(&folder).is_ok() {
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
            if self.other {
                chown(&folder, Some(self.uid), Some(self.gid)).unwrap();
            }
        }
        let found = fs::symlink_metadata(&folder).unwrap();
        assert!(
            found.is_dir() && [self.uid, 0].contains(&found.uid()),
            "{} belongs to somebody else",
            folder.display()
        );
        folder
    }

    fn command(self, program: &str) -> Command {
        let mut command = Command::new(program);
        self.adopt(&mut command);
        command
    }

    fn adopt(self, command: &mut Command) {
        command.current_dir("/");
        if self.other {
            command.uid(self.uid).gid(self.gid);
        }
    }

    #[track_caller]
    fn run(self, command: &mut Command) {
        self.adopt(command);
        let done = command.stdin(Stdio::null()).output().unwrap();
        assert!(
            done.status.success(),
            "{command:?}: {}{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        );
    }
}

/// A port that nobody listens on at this moment.
fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}
