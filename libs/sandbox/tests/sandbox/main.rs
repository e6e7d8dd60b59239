//! Real processes in a real sandbox.
//!
//! Invariant: no test waits for a fixed time; each polls for what it expects, within a bound.

#![expect(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod confine;
mod ends;
mod lifeline;
mod limits;
mod output;
mod tree;
mod trusted;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use autopack_sandbox::{CancellationToken, Outcome, Sandbox, SandboxConfig, Spec, env};

/// How long anything here may take at most.
const PATIENCE: Duration = Duration::from_secs(20);

fn sandbox() -> Sandbox {
    Sandbox::new(SandboxConfig {
        supervisor: PathBuf::from(env!("CARGO_BIN_EXE_autopack-supervisor")),
    })
}

/// A shell line in a folder, with the environment a product would give it and 20 s.
fn shell(line: &str, folder: &Path) -> Spec {
    let mut spec = Spec::shell(line, folder.to_path_buf());
    spec.env = env::scrubbed(&[], folder, folder, &[].into());
    spec.limits.wall = PATIENCE;
    spec
}

async fn run(spec: Spec) -> Outcome {
    sandbox().run(spec, CancellationToken::new()).await.unwrap()
}

/// Waits for a condition.
async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "waited too long: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The process id that a command wrote to a file.
fn pid_in(file: &Path) -> Option<i32> {
    let text = fs::read_to_string(file).ok()?;
    text.ends_with('\n').then(|| text.trim().parse().ok())?
}

/// Whether a process runs; a zombie does not.
fn alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        stat.rsplit(')')
            .next()
            .is_some_and(|rest| !rest.trim_start().starts_with(['Z', 'X']))
    })
}
