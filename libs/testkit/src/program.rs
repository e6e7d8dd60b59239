//! A child process whose output is read to the end and whose time is bounded.
//!
//! Invariant: nothing that was started here outlives its bound.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const TICK: Duration = Duration::from_millis(10);

/// A process that has ended.
#[derive(Debug, Clone)]
pub struct Done {
    /// The exit code; `None`: ended by a signal.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
    /// The most resident memory that the process itself was seen to have, in bytes.
    pub peak_memory: u64,
}

impl Done {
    /// Fails with everything that was printed unless it ended with this code.
    #[track_caller]
    pub fn expect_code(&self, code: i32) -> &Self {
        assert_eq!(
            self.code,
            Some(code),
            "exit code\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout,
            self.stderr
        );
        self
    }
}

/// Runs a program to its end; one that takes longer than `bound` is killed, and the test fails.
#[track_caller]
pub fn run(command: &mut Command, bound: Duration) -> Done {
    let since = Instant::now();
    let mut child = start(command);
    let stdout = drain(child.stdout.take().unwrap());
    let stderr = drain(child.stderr.take().unwrap());
    let mut peak_memory = 0;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        peak_memory = peak_of(child.id()).unwrap_or(peak_memory);
        if since.elapsed() > bound {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        std::thread::sleep(TICK);
    };
    let done = Done {
        code: status.and_then(|status| status.code()),
        stdout: stdout.join().unwrap(),
        stderr: stderr.join().unwrap(),
        took: since.elapsed(),
        peak_memory,
    };
    assert!(
        status.is_some(),
        "{command:?} did not end within {bound:?}\n--- stdout\n{}\n--- stderr\n{}",
        done.stdout,
        done.stderr
    );
    done
}

/// The high-water mark of a process's memory, in bytes.
fn peak_of(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// A program that runs beside the test; it is killed when the value goes.
#[derive(Debug)]
pub struct Background {
    child: Child,
    since: Instant,
    outputs: Option<[JoinHandle<String>; 2]>,
}

impl Background {
    /// Starts it.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        let mut child = start(command);
        let stdout = drain(child.stdout.take().unwrap());
        let stderr = drain(child.stderr.take().unwrap());
        Self {
            child,
            since: Instant::now(),
            outputs: Some([stdout, stderr]),
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends a signal, such as `INT`.
    pub fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        let id = self.id().to_string();
        assert!(kill.args(["-s", name, &id]).status().unwrap().success());
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self, bound: Duration) -> Done {
        let status = within(bound, "the program ends", || self.child.try_wait().unwrap());
        let outputs = self
            .outputs
            .take()
            .map(|both| both.map(|one| one.join().unwrap()));
        let [stdout, stderr] = outputs.unwrap_or_default();
        Done {
            code: status.code(),
            stdout,
            stderr,
            took: self.since.elapsed(),
            peak_memory: 0,
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn start(command: &mut Command) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    match command.spawn() {
        Ok(child) => child,
        Err(error) => panic!("{command:?} cannot be started: {error}"),
    }
}

/// Reads a pipe to its end, in a thread.
fn drain(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Waits until `look` finds something; fails with `what` after `bound`.
#[track_caller]
pub fn within<T>(bound: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(since.elapsed() < bound, "not within {bound:?}: {what}");
        std::thread::sleep(TICK);
    }
}

/// Command lines of all processes of this machine that contain a word.
pub fn processes_with(word: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    entries
        .filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok())
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(word))
        .collect()
}
