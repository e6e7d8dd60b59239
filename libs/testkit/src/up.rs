//! `autopack up` as a child, until it is dropped.
//!
//! Invariant: it has answered once before a test gets it, and it is gone when the value is.

use std::process::Child;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::autopack::Autopack;
use crate::program::{drain, start, within};

/// How long it may take to start or to end.
const BOUND: Duration = Duration::from_secs(30);

/// A serving process.
#[derive(Debug)]
pub struct Up {
    child: Child,
    outputs: Vec<JoinHandle<String>>,
}

impl Autopack {
    /// Starts `autopack up` and waits until it answers.
    #[track_caller]
    pub fn up(&self, more: &[&str]) -> Up {
        let mut args = vec!["up", "--listen", "127.0.0.1:0"];
        args.extend(more);
        let mut child = start(&mut self.command(&args));
        let outputs = vec![
            drain(child.stdout.take().unwrap()),
            drain(child.stderr.take().unwrap()),
        ];
        let mut up = Up { child, outputs };
        let file = self.data().join("registry.json");
        within(BOUND, "registry.json of `autopack up`", || {
            if let Some(status) = up.child.try_wait().unwrap() {
                panic!("`autopack up` ended with {status}: {}", up.printed());
            }
            file.is_file().then_some(())
        });
        self.call(&["info"]).expect_code(0);
        up
    }
}

impl Up {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as an operator does, and returns its exit code and what it printed.
    #[track_caller]
    pub fn stop(mut self) -> (Option<i32>, String) {
        let mut kill = std::process::Command::new("kill");
        let _ = kill.args(["-TERM", &self.child.id().to_string()]).status();
        let status = within(BOUND, "`autopack up` ends after SIGTERM", || {
            self.child.try_wait().unwrap()
        });
        (status.code(), self.printed())
    }

    fn printed(&mut self) -> String {
        let outputs = std::mem::take(&mut self.outputs);
        outputs
            .into_iter()
            .map(|output| output.join().unwrap_or_default())
            .collect()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
