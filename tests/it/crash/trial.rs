//! One run: started, ended by force, started again.
//!
//! Invariant: only the process itself is killed; whatever it started must go by itself.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use autopack_testkit::{Done, git, processes, program};

use crate::scene::{RUN, Scene};
use crate::verdict;

/// How long a run may take, on a busy machine.
const BOUND: Duration = Duration::from_secs(90);
/// How often a process is looked at.
const TICK: Duration = Duration::from_millis(2);

/// Milliseconds of the longest run that followed a crash.
pub(crate) static LONGEST: AtomicU64 = AtomicU64::new(0);

/// What a run without faults came to.
pub(crate) struct Reference {
    pub(crate) tree: String,
    pub(crate) took: Duration,
}

/// The run without faults: once for all tests of this process.
pub(crate) fn reference() -> &'static Reference {
    static REFERENCE: OnceLock<Reference> = OnceLock::new();
    REFERENCE.get_or_init(|| {
        let scene = Scene::new();
        let since = Instant::now();
        let done = scene.run_on();
        let took = since.elapsed();
        let tree = git::tree_of(scene.repo.path(), &autopack_testkit::repo::branch(RUN));
        done.expect_code(0);
        let reference = Reference { tree, took };
        verdict::check(&scene, &reference);
        eprintln!("crash: a run without faults takes {took:?}");
        reference
    })
}

/// How a process went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Went {
    /// It was killed.
    Killed,
    /// It ended by itself before it could be killed.
    Ended(ExitStatus),
}

impl Scene {
    /// Starts the run with more environment; its outputs go to files.
    fn start(&self, env: &[(&str, String)]) -> Child {
        let args = self.command();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let folder = self.autopack.folder("outputs");
        let file = |name: &str| {
            File::options()
                .create(true)
                .append(true)
                .open(folder.join(name))
                .unwrap()
        };
        let mut command = self.autopack.command(&args);
        command.envs(env.iter().map(|(name, value)| (name, value)));
        command
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"));
        command.spawn().unwrap()
    }

    /// Starts the run and kills the process after this time.
    pub(crate) fn kill_after(&self, moment: Duration) -> Went {
        let since = Instant::now();
        self.kill_when(|| since.elapsed() >= moment)
    }

    /// Starts the run and kills the process once this holds.
    pub(crate) fn kill_when(&self, holds: impl Fn() -> bool) -> Went {
        let mut child = self.start(&[]);
        let since = Instant::now();
        while !holds() && since.elapsed() < BOUND {
            if let Some(status) = child.try_wait().unwrap() {
                return Went::Ended(status);
            }
            std::thread::sleep(TICK);
        }
        child.kill().unwrap();
        let status = child.wait().unwrap();
        if status.signal() == Some(9) {
            Went::Killed
        } else {
            Went::Ended(status)
        }
    }

    /// Starts the run with a failpoint switched on, and waits for its end.
    pub(crate) fn crash_at(&self, failpoint: &str, hit: u64) -> ExitStatus {
        let mut child = self.start(&[("AUTOPACK_FAILPOINT", format!("{failpoint}={hit}"))]);
        let since = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            if since.elapsed() > BOUND {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!(
                    "with {failpoint}={hit} the run did not end within {BOUND:?}\n{}",
                    self.printed()
                );
            }
            std::thread::sleep(TICK);
        }
    }

    /// The same command again, to the end.
    pub(crate) fn run_on(&self) -> Done {
        let args = self.command();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        program::run(&mut self.autopack.command(&args), BOUND)
    }

    /// The same command again must end well, and with it all that must hold.
    #[track_caller]
    pub(crate) fn must_end_well(&self, reference: &Reference) {
        let landed = self.repo.branch(RUN);
        let done = self.run_on();
        LONGEST.fetch_max(done.took.as_millis() as u64, Ordering::Relaxed);
        assert_eq!(
            done.code,
            Some(0),
            "the run did not end well\n--- stdout\n{}\n--- stderr\n{}\n--- before\n{}",
            done.stdout,
            done.stderr,
            self.printed()
        );
        if let Some(landed) = landed {
            let name = autopack_testkit::repo::branch(RUN);
            let kept = git::try_git(
                self.repo.path(),
                &["merge-base", "--is-ancestor", &landed, &name],
            );
            assert_eq!(
                kept.code,
                Some(0),
                "{landed} had landed, and was taken back"
            );
        }
        verdict::check(self, reference);
        processes::none_left(&[self.autopack.data().parent().unwrap(), self.repo.outside()]);
    }

    /// What the processes that died had printed.
    fn printed(&self) -> String {
        let folder = self.autopack.folder("outputs");
        ["stdout", "stderr"]
            .map(|name| std::fs::read_to_string(folder.join(name)).unwrap_or_default())
            .concat()
    }
}

/// Keeps the folders of a trial that fails, if that was asked for.
pub(crate) struct Keep(Option<Scene>);

impl Keep {
    pub(crate) fn new(scene: Scene) -> Self {
        Self(Some(scene))
    }

    pub(crate) fn scene(&self) -> &Scene {
        self.0.as_ref().unwrap()
    }
}

impl Drop for Keep {
    fn drop(&mut self) {
        if let Some(scene) = self.0.take()
            && std::thread::panicking()
            && std::env::var_os("AUTOPACK_CRASH_KEEP").is_some()
        {
            eprintln!(
                "crash: kept {} and {}",
                scene.autopack.data().display(),
                scene.repo.path().display()
            );
            std::mem::forget(scene);
        }
    }
}
