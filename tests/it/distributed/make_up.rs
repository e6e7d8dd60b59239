//! What `make up` starts runs the demo plan, with two workers and with eight.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use autopack_testkit::autopack::bin_dir;
use autopack_testkit::{Autopack, program};

/// PostgreSQL, nats-server and all services, each waited for by the script itself.
const UP: Duration = Duration::from_mins(3);
/// Six phases, each with a build of its own.
const RUN: Duration = Duration::from_mins(4);

/// Ends what it started, whatever the test did.
struct Started {
    env: Vec<(&'static str, String)>,
}

impl Started {
    #[track_caller]
    fn with(workers: u16, folder: &Path) -> Self {
        let at = |name: &str| folder.join(name).display().to_string();
        let port = free_block(21 + workers);
        let env = vec![
            ("WORKERS", workers.to_string()),
            ("PORT", port.to_string()),
            ("AUTOPACK_UP", at("up")),
            ("AUTOPACK_UP_DATA", at("data")),
            // Where the owner of the database can reach it.
            (
                "AUTOPACK_UP_DB",
                format!("/var/tmp/autopack-up-test-{port}"),
            ),
        ];
        let started = Self { env };
        started.script("up.sh").expect_code(0);
        started
    }

    fn script(&self, name: &str) -> program::Done {
        let mut command = Command::new(root().join("scripts").join(name));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.env("AUTOPACK_BIN_DIR", bin_dir());
        program::run(&mut command, UP)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.env.push(("PURGE", "1".to_owned()));
        let done = self.script("down.sh");
        if !std::thread::panicking() {
            done.expect_code(0);
        }
    }
}

/// The first of so many ports below the ephemeral ones, with those of the metrics 2000 above.
fn free_block(width: u16) -> u16 {
    let first = (std::process::id() % 380) as u16;
    (0..380)
        .map(|n| 12_000 + (first + n) % 380 * 40)
        .find(|base| {
            (*base..base + width)
                .chain(base + 2000..base + 2000 + width)
                .all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
        })
        .unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .into()
}

/// The variables that the script tells its user to take over.
fn settings(file: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(file).unwrap();
    let line = |line: &str| {
        let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    text.lines().filter_map(line).collect()
}

fn demo_ends_green_with(workers: u16) {
    let temp = tempfile::tempdir().unwrap();
    let _started = Started::with(workers, temp.path());
    let repo = temp.path().join("durations");
    let examples = root().join("examples/demo");
    program::run(Command::new(examples.join("repo.sh")).arg(&repo), UP).expect_code(0);
    let mut autopack = Autopack::new();
    for (name, value) in settings(&temp.path().join("up/env")) {
        autopack = autopack.with(&name, &value);
    }
    let plan = examples.join("plan.yaml");
    autopack
        .call(&[
            "submit",
            plan.to_str().unwrap(),
            "--repo",
            repo.to_str().unwrap(),
        ])
        .expect_code(0);
    program::run(&mut autopack.command(&["watch", "demo"]), RUN).expect_code(0);
    let listed = autopack.call(&["workers", "--json"]);
    listed.expect_code(0);
    assert_eq!(
        listed.stdout.matches("\"ACTIVE\"").count(),
        usize::from(workers),
        "{}",
        listed.stdout
    );
    autopack.call(&["queue"]).expect_code(0);
    let log = [
        "-C",
        repo.to_str().unwrap(),
        "log",
        "--oneline",
        "main..autonomous/demo",
    ];
    let log = program::run(Command::new("git").args(log), UP);
    assert_eq!(log.stdout.lines().count(), 6, "{log:?}");
}

#[test]
fn two_workers_bring_the_demo_to_its_end() {
    demo_ends_green_with(2);
}

#[test]
fn eight_workers_bring_the_demo_to_its_end() {
    demo_ends_green_with(8);
}
