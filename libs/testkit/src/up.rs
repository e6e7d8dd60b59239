//! `autopack up` or `autopack run` beside the test, until it is dropped.
//!
//! Invariant: it has answered once before a test gets it, and it is gone when the value is.

use std::path::Path;
use std::time::Duration;

use crate::autopack::Autopack;
use crate::program::{Background, Done, within};

/// How long it may take to start or to end.
const BOUND: Duration = Duration::from_secs(30);

/// A serving process.
#[derive(Debug)]
pub struct Up {
    process: Background,
}

impl Autopack {
    /// Starts `autopack up` and waits until it answers.
    #[track_caller]
    pub fn up(&self, more: &[&str]) -> Up {
        let mut args = vec!["up", "--listen", "127.0.0.1:0"];
        args.extend(more);
        let process = self.serving(&args);
        self.call(&["info"]).expect_code(0);
        Up { process }
    }

    /// Starts `autopack run` beside the test and waits until it serves its data directory.
    #[track_caller]
    pub fn run_beside(&self, plan: &Path, repo: &Path, more: &[&str]) -> Background {
        let mut args = vec!["run", plan.to_str().unwrap()];
        args.extend(["--repo", repo.to_str().unwrap()]);
        args.extend(more);
        self.serving(&args)
    }

    #[track_caller]
    fn serving(&self, args: &[&str]) -> Background {
        let mut process = Background::start(&mut self.command(args));
        let file = self.data().join("registry.json");
        within(BOUND, "registry.json of a serving process", || {
            if process.is_running() {
                // One that died leaves its file behind.
                let text = std::fs::read(&file).ok()?;
                let told: serde_json::Value = serde_json::from_slice(&text).ok()?;
                return (told["pid"] == process.id()).then_some(());
            }
            panic!("`autopack {}` ended: {:?}", args[0], process.wait(BOUND));
        });
        process
    }
}

impl Up {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends it as an operator does.
    #[track_caller]
    pub fn stop(mut self) -> Done {
        self.process.signal("TERM");
        self.process.wait(BOUND)
    }
}
